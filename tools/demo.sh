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

# pretrain OUT STEPS ARGUMENT...: returns once OUT is trained to the end, with its checkpoint in $last; a run that was
# told to stop ends the script.
pretrain() {
  out=$1
  steps=$2
  shift 2
  # A signal may reach this shell alone (make passes SIGTERM on so): it goes on to the program, which then saves a
  # checkpoint and ends.
  $vicha "$@" --out "$out" --set train.max_steps="$steps" &
  program=$!
  trap 'kill "$program" 2> /dev/null || :' INT TERM
  status=0
  wait "$program" || status=$?
  while kill -0 "$program" 2> /dev/null; do # a signal ended the waiting, not the program
    status=0
    wait "$program" || status=$?
  done
  trap - INT TERM
  [ $status -eq 0 ] || [ $status -eq 130 ] || [ $status -eq 143 ] || exit $status
  last=$(find "$out/checkpoints" -mindepth 1 -maxdepth 1 -name 'step-*' 2> /dev/null | sort -V | tail -n 1)
  step=${last##*step-}
  # A program that was told to stop has not failed: its last step tells, or its status where it had not begun.
  if [ $status -ne 0 ] || [ "${step:-0}" -lt "$steps" ]; then
    echo "Stopped before the end. Repeat the same command to go on from there." >&2
    exit 130
  fi
}

case ${1:-} in
  data)
    $vicha data demo --src data/sources --out $data
    ;;
  run)
    # The run's length is settled once, by a short trial: on a slow machine it is cut so that a quarter of an hour is
    # enough. A run that was begun keeps its length.
    if [ ! -e "$run/steps" ]; then
      mkdir -p "$run"
      whole=$(awk -F '= *' '/^max_steps/ {print $2}' "$recipe")
      pretrain "$run/trial" 120 -q pretrain "$recipe" --resume none \
        --set checkpoint.every_steps=0 --set eval.manifest='""' --set log.metrics_every_steps=1 --set log.tensorboard=false
      # Median rate of the last 40 steps (below the run's own: every caption is new to the cache); from $enough samples a
      # second on the whole length fits.
      tail -n 40 "$run/trial/metrics.jsonl" | sed 's/.*"samples_per_s"://; s/[,}].*//' | sort -n | sed -n 20p |
        awk -v steps="$whole" -v enough=310 '{n = int(steps * ($1 < enough ? $1 / enough : 1)); print n < 200 ? 200 : n}' > "$run/steps.part"
      rm -rf "$run/trial"
      mv "$run/steps.part" "$run/steps"
    fi
    # A finished run is recognised by its last checkpoint: --resume auto then has nothing left to do.
    pretrain "$run" "$(cat "$run/steps")" pretrain "$recipe" --resume auto
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
