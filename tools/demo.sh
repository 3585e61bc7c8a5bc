#!/bin/sh
# The demonstration. usage: tools/demo.sh data    build data/demo from the fetched packages, once
#                           tools/demo.sh run     pretrain, find concepts, go on with and without them, evaluate, report
#                           tools/demo.sh seeds   go on with three seeds each: mean and spread
# What is finished is not done again. env: RUN (runs/demo)
set -eu
cd "$(dirname "$0")/.."
vicha=build/release/bin/vicha
data=data/demo

# Programs run in the background and are waited for: a signal may reach this shell alone (make passes SIGTERM on so), and
# must go on to them, which then save a checkpoint and end.
programs=
statuses=
start() {
  "$@" &
  programs="$programs $!"
}
# wait_for_all: sets $statuses, one a program in the order of their start.
wait_for_all() {
  # shellcheck disable=SC2086 # a list of numbers
  trap 'kill $programs 2> /dev/null || :' INT TERM
  statuses=
  for program in $programs; do
    status=0
    wait "$program" || status=$?
    while kill -0 "$program" 2> /dev/null; do # a signal ended the waiting, not the program
      status=0
      wait "$program" || status=$?
    done
    statuses="$statuses $status"
  done
  trap - INT TERM
  programs=
}

last_checkpoint() { find "$1/checkpoints" -mindepth 1 -maxdepth 1 -name 'step-*' 2> /dev/null | sort -V | tail -n 1; }

# require_end STATUS OUT STEPS: ends the script unless OUT is trained to the end. A program that was told to stop has not
# failed: its last step tells, or its status where it had not begun.
require_end() {
  [ "$1" -eq 0 ] || [ "$1" -eq 130 ] || [ "$1" -eq 143 ] || exit "$1"
  step=$(last_checkpoint "$2")
  step=${step##*step-}
  if [ "$1" -ne 0 ] || [ "${step:-0}" -lt "$3" ]; then
    echo "Stopped before the end. Repeat the same command to go on from there." >&2
    exit 130
  fi
}

# pretrain OUT STEPS RECIPE ARGUMENT...
pretrain() {
  out=$1
  steps=$2
  shift 2
  start $vicha pretrain "$@" --out "$out" --set train.max_steps="$steps"
  wait_for_all
  # shellcheck disable=SC2086 # one number
  require_end $statuses "$out" "$steps"
}

# newer FILE THAN: whether FILE is there and not older.
# shellcheck disable=SC3013 # dash and bash know -nt
newer() { [ -e "$1" ] && ! [ "$2" -nt "$1" ]; }

# settle_length RUN: lengths are settled once, by a short trial: as long as fits into a quarter of an hour, evaluations and
# comparison included. A run that was begun keeps its length.
settle_length() {
  if [ -e "$1/steps" ]; then return 0; fi
  mkdir -p "$1"
  pretrain "$1/trial" 160 recipes/demo.toml --resume none --set itm.enabled=false --set mlm.enabled=false \
    --set mae.enabled=false --set log.tensorboard=false --set checkpoint.every_steps=0 --set eval.manifest='""' \
    --set log.metrics_every_steps=1 --set log.every_steps=1000
  # Median rate of the last 40 steps, when all pictures have been decoded. 7 steps for each sample a second, and at most the
  # recipe's: with the objectives that set in later that is about eleven minutes.
  rate=$(tail -n 40 "$1/trial/metrics.jsonl" | sed 's/.*"samples_per_s"://; s/[,}].*//' | sort -n | sed -n 20p)
  echo "$rate $(awk -F '= *' '/^max_steps/ {print $2}' recipes/demo.toml)" |
    awk '{n = int(7 * $1); if (n > $2) n = $2; print n < 200 ? 200 : n}' > "$1/steps.part"
  rm -rf "$1/trial"
  mv "$1/steps.part" "$1/steps"
}

evaluate() { # RUN: unless done since it was trained
  if ! newer "$1/eval.txt" "$(last_checkpoint "$1")/model.safetensors"; then
    $vicha eval retrieval "$1" $data/test.json --out "$1/eval.json" > "$1/eval.txt.part"
    mv "$1/eval.txt.part" "$1/eval.txt"
  fi
}

# first_run RUN: RUN, and in it a manifest with the concepts that it sees in the pictures.
first_run() {
  settle_length "$1"
  pretrain "$1" "$(cat "$1/steps")" recipes/demo.toml --resume auto
  evaluate "$1"
  if ! newer "$1/pretrain.concepts.json" "$(last_checkpoint "$1")/model.safetensors"; then
    $vicha concepts build --captions $data/pretrain.json --out "$1/pretrain.concepts.json" --source "vicha:$1" --k 5
  fi
}

# go_on FIRST OUT SEED STEPS: OUT/with, which goes on from FIRST with concepts, and OUT/without. Side by side on half the cores
# each, which takes less time than one after the other on all of them.
go_on() {
  first=$1
  out=$2
  seed=$3
  steps=$4
  echo "Going on with concepts, and without them (whose progress is not shown), side by side" >&2
  cores=$(nproc)
  [ "$cores" -le 1 ] || export OMP_NUM_THREADS=$((cores / 2))
  set -- recipes/demo-concepts.toml --resume auto --set init.checkpoint="$first" --set train.seed="$seed" --set train.max_steps="$steps"
  start $vicha pretrain "$@" --out "$out/with" --set data.manifests="[\"$first/pretrain.concepts.json\"]"
  start $vicha -q pretrain "$@" --out "$out/without" --set data.manifests="[\"$data/pretrain.json\"]" \
    --set model.concepts.enabled=false --set data.concepts.enabled=false
  wait_for_all
  unset OMP_NUM_THREADS
  # shellcheck disable=SC2086 # two numbers
  set -- $statuses
  require_end "$1" "$out/with" "$steps"
  require_end "$2" "$out/without" "$steps"
  evaluate "$out/with"
  evaluate "$out/without"
}

case ${1:-} in
  data)
    $vicha data demo --src data/sources --out $data
    ;;
  run)
    run=${RUN:-runs/demo}
    first_run "$run"
    go_on "$run" "$run" 42 100
    set -- "first run=$run" "on without concepts=$run/without" "on with concepts=$run/with"
    if ! newer "$run/report.html" "$run/with/eval.txt"; then $vicha report "$run" --compare "$1" --compare "$2" --compare "$3"; fi
    $vicha eval compare "$@"
    echo
    cat "$run/eval.txt"
    echo "The report: $PWD/$run/report.html"
    ;;
  seeds)
    run=${RUN:-runs/demo}
    first_run "$run"
    steps=$(awk -F '= *' '/^max_steps/ {print $2}' recipes/demo-concepts.toml)
    for seed in 1 2 3; do go_on "$run" "$run/seed-$seed" $seed "$steps"; done
    set -- "without concepts=$run/seed-1/without,$run/seed-2/without,$run/seed-3/without" \
      "with concepts=$run/seed-1/with,$run/seed-2/with,$run/seed-3/with" "first run=$run"
    $vicha eval compare "$@" --out "$run/seeds.json"
    $vicha report "$run/seed-1/with" --compare "$1" --compare "$2" --compare "$3" --out "$run/seeds.html"
    ;;
  *)
    sed -n '2,5s/^# //p' "$0" >&2
    exit 2
    ;;
esac
