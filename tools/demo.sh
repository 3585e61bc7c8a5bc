#!/bin/sh
# The demonstration. usage: tools/demo.sh data    build data/demo from the fetched packages, once
#                           tools/demo.sh scenes  build data/scenes from them, once
#                           tools/demo.sh run     features of a frozen tower, aligned heads, their concepts, ViCHA with and without, search, report
#                           tools/demo.sh seeds   with and without concepts, three seeds each, from features and from pixels (SEED_STEPS, 600; SEED_INPUTS): mean and spread
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

tower=torchscript:data/efficientnet/efficientnet_lite0.pt

# settle_length RUN: lengths are settled once, by a short trial: as long as fits into a quarter of an hour, all else
# included. A run that was begun keeps its length.
settle_length() {
  if [ -e "$1/steps" ]; then return 0; fi
  pretrain "$1/trial" 60 recipes/demo-features.toml --resume none $(of_run "$1") --set itm.start=0 --set log.tensorboard=false \
    --set checkpoint.every_steps=0 --set eval.manifest='""' --set log.metrics_every_steps=1 --set log.every_steps=1000
  # Median rate of the last 20 steps. 1.3 steps for each sample a second, and at most the recipe's: two runs side by side then
  # take six minutes.
  rate=$(tail -n 20 "$1/trial/metrics.jsonl" | sed 's/.*"samples_per_s"://; s/[,}].*//' | sort -n | sed -n 10p)
  echo "$rate $(awk -F '= *' '/^max_steps/ {print $2}' recipes/demo-features.toml)" |
    awk '{n = int(1.3 * $1); if (n > $2) n = $2; print n < 100 ? 100 : n}' > "$1/steps.part"
  rm -rf "$1/trial"
  mv "$1/steps.part" "$1/steps"
}

evaluate() { # RUN ARGUMENT...: unless done since it was trained
  out=$1
  shift
  if ! newer "$out/eval.txt" "$(last_checkpoint "$out")/model.safetensors"; then
    $vicha eval retrieval "$out" $data/test.json --out "$out/eval.json" "$@" > "$out/eval.txt.part"
    mv "$out/eval.txt.part" "$out/eval.txt"
  fi
}

# of_run RUN: what recipes say of runs/demo, said of RUN.
of_run() {
  echo "--set data.features.store=$1/features/pictures.fst.patches --set init.heads=$1/align"
}

# align RUN: features of all pictures, once; RUN/align; in RUN a manifest with concepts.
align() {
  mkdir -p "$1/features"
  $vicha embed $data/pretrain.json $data/val.json $data/test.json --tower $tower --patches --views flip \
    --trust-names --out "$1/features/pictures.fst"
  if ! [ -e "$1/align/eval.txt" ]; then
    start $vicha align recipes/demo-align.toml --out "$1/align" --resume auto --set features.image_store="$1/features/pictures.fst"
    wait_for_all
    # shellcheck disable=SC2086 # one number
    [ $statuses -eq 0 ] || exit $statuses
    evaluate "$1/align" --image-store "$1/features/pictures.fst"
  fi
  if ! [ -e "$1/pretrain.concepts.json" ]; then
    $vicha concepts build --captions $data/pretrain.json --out "$1/pretrain.concepts.json" \
      --source "tower:$1/features/pictures.fst" --image-tower $tower --leave-out-group source --k 8
  fi
}

# both RUN OUT_WITH OUT_WITHOUT RECIPE_WITH RECIPE_WITHOUT STEPS SEED: ViCHA with concepts and without, side by side on half the cores
# each, which takes less time than one after the other on all of them.
both() {
  run=$1
  with=$2
  without=$3
  recipe_with=$4
  recipe_without=$5
  steps=$6
  seed=$7
  echo "Pretraining with concepts, and without them (whose progress is not shown), side by side" >&2
  cores=$(nproc)
  [ "$cores" -le 1 ] || export OMP_NUM_THREADS=$((cores / 2))
  set -- --resume auto --set train.seed="$seed" --set train.max_steps="$steps"
  # shellcheck disable=SC2046 # words
  case $recipe_without in *features*) set -- "$@" $(of_run "$run") ;; esac
  start $vicha pretrain "$recipe_with" "$@" --out "$with" --set data.manifests="[\"$run/pretrain.concepts.json\"]"
  start $vicha -q pretrain "$recipe_without" "$@" --out "$without"
  wait_for_all
  unset OMP_NUM_THREADS
  # shellcheck disable=SC2086 # two numbers
  set -- $statuses
  require_end "$1" "$with" "$steps"
  require_end "$2" "$without" "$steps"
  evaluate "$with"
  evaluate "$without"
}

# search RUN: RUN/index over the pictures that no model has seen, and a sheet of what words find among them.
search() {
  $vicha index $data/test.json --model "$1/align" --out "$1/index" --calibrate $data/val.json
  echo
  for words in "a red car" "a cat" "something to eat for breakfast"; do
    echo "\"$words\""
    $vicha search "$1/index" "$words" --k 3
  done
  $vicha -q search "$1/index" "an animal that lives in the sea" --k 20 --html "$1/search.html" > "$1/search.txt"
}

case ${1:-} in
  data)
    $vicha data demo --src data/sources --out $data
    ;;
  scenes)
    $vicha data demo --src data/sources --out data/scenes --scenes
    ;;
  run)
    run=${RUN:-runs/demo}
    align "$run"
    settle_length "$run"
    both "$run" "$run" "$run/without" recipes/demo-concepts.toml recipes/demo-features.toml "$(cat "$run/steps")" 42
    # Heads alone have no matching that could re-rank: their table stands by itself.
    set -- "ViCHA without concepts=$run/without" "ViCHA with concepts=$run"
    if ! newer "$run/report.html" "$run/eval.txt"; then $vicha report "$run" --compare "$1" --compare "$2"; fi
    search "$run"
    echo
    $vicha eval compare "$@"
    echo
    echo "The aligned heads:"
    cat "$run/align/eval.txt"
    echo
    echo "ViCHA with concepts:"
    cat "$run/eval.txt"
    echo "The report: $PWD/$run/report.html"
    echo "Pictures found by words: $PWD/$run/search.html"
    ;;
  seeds)
    run=${RUN:-runs/demo}
    align "$run"
    for input in ${SEED_INPUTS:-features pixels}; do
      case $input in
        features) recipe_with=recipes/demo-concepts.toml recipe_without=recipes/demo-features.toml ;;
        pixels) recipe_with=recipes/demo-pixels-concepts.toml recipe_without=recipes/demo.toml ;;
      esac
      to=$run/seeds-$input
      for seed in 1 2 3; do both "$run" "$to/with-$seed" "$to/without-$seed" $recipe_with $recipe_without "${SEED_STEPS:-600}" $seed; done
      set -- "without concepts=$to/without-1,$to/without-2,$to/without-3" \
        "with concepts=$to/with-1,$to/with-2,$to/with-3"
      $vicha eval compare "$@" --out "$to.json"
      $vicha report "$to/with-1" --compare "$1" --compare "$2" --out "$to.html"
    done
    ;;
  *)
    sed -n '2,6s/^# //p' "$0" >&2
    exit 2
    ;;
esac
