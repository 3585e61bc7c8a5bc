#!/bin/sh
# The demonstration. usage: tools/demo.sh data    build data/demo from the fetched packages, once
#                           tools/demo.sh run     pretrain, evaluate, report; what is finished is not done again
# env: RUN (runs/demo), RECIPE (recipes/demo.toml)
set -eu
cd "$(dirname "$0")/.."
vicha=build/release/bin/vicha
data=data/demo
run=${RUN:-runs/demo}
recipe=${RECIPE:-recipes/demo.toml}

case ${1:-} in
  data)
    # The mark is made last: an interrupted build starts again.
    if [ -e $data/.complete ]; then exit 0; fi
    $vicha data demo --src data/sources --out $data
    touch $data/.complete
    ;;
  run)
    # A finished run is recognised by its last checkpoint: --resume auto then has nothing left to do.
    $vicha pretrain "$recipe" --out "$run" --resume auto
    last=$(find "$run/checkpoints" -mindepth 1 -maxdepth 1 -name 'step-*' | sort -V | tail -n 1)
    [ -n "$last" ] || { echo "no checkpoint in $run/checkpoints" >&2; exit 1; }
    if [ ! -e "$run/eval.txt" ] || [ "$last/model.safetensors" -nt "$run/eval.txt" ]; then
      $vicha eval retrieval "$last" $data/test.json --out "$run/eval.json" > "$run/eval.txt.part"
      mv "$run/eval.txt.part" "$run/eval.txt"
    fi
    if [ ! -e "$run/report.html" ] || [ "$run/eval.txt" -nt "$run/report.html" ]; then
      $vicha report "$run"
    fi
    cat "$run/eval.txt"
    echo "The report: $PWD/$run/report.html"
    ;;
  *)
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
    ;;
esac
