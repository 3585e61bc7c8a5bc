#!/bin/sh
# The documented labs (docs/ablation.md): what they need, made once, then each of them. usage: tools/ablation.sh [LAB…]
# env: OUT (runs/ablation), VICHA (build/release/bin/vicha). Repeated it goes on where it was; a run that failed stops no other.
set -eu
cd "$(dirname "$0")/.."
vicha=${VICHA:-build/release/bin/vicha}
out=${OUT:-runs/ablation}
[ $# -gt 0 ] || set -- demo-short demo demo-data
data=data/demo

. tools/programs.sh

case " $* " in
  *" demo"*)
    mkdir -p runs/demo/features
    run_program "$vicha" embed $data/pretrain.json $data/val.json $data/test.json \
      --tower torchscript:data/efficientnet/efficientnet_lite0.pt --patches --views flip --trust-names \
      --out runs/demo/features/pictures.fst
    [ $status -eq 0 ] || exit $status
    ;;
esac
failed=0
for lab in "$@"; do
  run_program "$vicha" ablate "labs/$lab.toml" --out "$out/$lab"
  [ $status -eq 0 ] || failed=$status
  echo "$PWD/$out/$lab/table.html"
done
exit $failed
