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
    $vicha data demo --src data/sources --out $data
    ;;
  run)
    # The run's length is settled once, by a short trial: on a slow machine it is cut so that a quarter of an hour is
    # enough. A run that was begun keeps its length.
    if [ ! -e "$run/steps" ]; then
      mkdir -p "$run"
      steps=$(awk -F '= *' '/^max_steps/ {print $2}' "$recipe")
      $vicha -q pretrain "$recipe" --out "$run/trial" --resume none --set train.max_steps=120 \
        --set checkpoint.every_steps=0 --set eval.manifest='""' --set log.metrics_every_steps=1 --set log.tensorboard=false
      # Median rate of the last 40 steps (below the run's own: every caption is new to the cache); from $enough samples a
      # second on the whole length fits.
      tail -n 40 "$run/trial/metrics.jsonl" | sed 's/.*"samples_per_s"://; s/[,}].*//' | sort -n | sed -n 20p |
        awk -v steps="$steps" -v enough=350 '{n = int(steps * ($1 < enough ? $1 / enough : 1)); print n < 200 ? 200 : n}' > "$run/steps.part"
      rm -rf "$run/trial"
      mv "$run/steps.part" "$run/steps"
    fi
    # A finished run is recognised by its last checkpoint: --resume auto then has nothing left to do.
    $vicha pretrain "$recipe" --out "$run" --resume auto --set train.max_steps="$(cat "$run/steps")"
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
