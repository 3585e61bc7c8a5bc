#!/bin/sh
# All tasks on the scene set (data/scenes, `make demo-scenes`): features of every picture once, a pretraining on captions, then each task fine-tuned,
# chosen on val and evaluated once on test, and beside it without pretraining, from pixels, and without similarities of words and patches.
# usage: tools/bench_tasks.sh [TASK[:VARIANT]…]   all of them, or these alone; variants: main, scratch, pixels, off
# What is finished is not done again; a killed run goes on from its last checkpoint. Leaves RUN/results.json, of what has been evaluated.
# env: RUN (runs/tasks), SCENES (data/scenes), VICHA (build/release/bin/vicha), STEPS (the recipes' lengths; a number for all: to try the script)
set -eu
cd "$(dirname "$0")/.."
vicha=${VICHA:-build/release/bin/vicha}
scenes=${SCENES:-data/scenes}
run=${RUN:-runs/tasks}
tower=$run/tower/efficientnet_lite0.pt
mkdir -p "$run"

. tools/programs.sh

# What fails ends the script.
must_run() {
  run_program "$@"
  [ $status -eq 0 ] || exit $status
}

# The scenes are laid out on a grid of 3 x 3: at 192 pixels the tower's map of 6 x 6 fits it. Of its two maps the narrow one
# ("patches": 2), which holds the same.
make_tower() {
  if [ -e "$run/tower/efficientnet_lite0.json" ]; then return 0; fi
  mkdir -p "$run/tower"
  cp data/efficientnet/efficientnet_lite0.pt "$tower"
  sed 's/"image_size": *[0-9]*/"image_size": 192/; s/"patches": *[0-9]*/"patches": 2/' data/efficientnet/efficientnet_lite0.json > "$run/tower/part.json"
  mv "$run/tower/part.json" "$run/tower/efficientnet_lite0.json"
}

embed() {
  make_tower
  if [ -e "$run/pictures.done" ]; then return 0; fi
  # Every picture of every task, whatever the field that names it; beside the manifests, whose paths it has.
  list=$scenes/all-pictures.jsonl
  grep -ho '"images/scenes/[^"]*\.jpg"' "$scenes"/*_train.json "$scenes"/*_val.json "$scenes"/*_test.json | sort -u |
    sed 's/.*/{"image":&}/' > "$list.part"
  mv "$list.part" "$list"
  must_run "$vicha" embed "$list" --tower "torchscript:$tower" --patches --trust-names --out "$run/pictures.fst"
  : > "$run/pictures.done"
}

# Of other places than the recipes name, and of other lengths.
settings() { # RECIPE
  [ "$run" = runs/tasks ] ||
    echo "--set data.features.tower=torchscript:$tower --set data.features.store=$run/pictures.fst.patches"
  if [ "$scenes" != data/scenes ]; then
    sed -n 's|^\(manifests\) = \["data/scenes/\(.*\)"\]|data.\1=["@/\2"]|p; s|^manifest = "data/scenes/\(.*\)"|eval.manifest="@/\1"|p
      s|^answers = "data/scenes/\(.*\)"|vqa.answers="@/\1"|p; s|^boxes = "data/scenes/\(.*\)"|grounding.boxes="@/\1"|p' "$1" |
      sed "s|@|$scenes|; s|^|--set |"
  fi
  [ -z "${STEPS:-}" ] || echo "--set train.max_steps=$STEPS --set checkpoint.every_steps=$STEPS"
}

of_variant() { # VARIANT
  case $1 in
    pixels) echo "--set model.image.input=pixels --set data.features.store=\"\"" ;;
    off) echo "--set model.fusion.similarity=false" ;;
  esac
}

# timed OUT PROGRAM ARGUMENT…: seconds that it took, those before a kill included, in OUT/seconds.
timed() {
  timing=$1
  shift
  begun=$(date +%s)
  mkdir -p "$timing"
  trap 'count_seconds "$timing" "$begun"' EXIT
  must_run "$@"
  trap - EXIT
  count_seconds "$timing" "$begun"
}
count_seconds() { echo $(($(cat "$1/seconds" 2> /dev/null || echo 0) + $(date +%s) - $2)) > "$1/seconds"; }

pretrain() { # VARIANT: main, pixels or off
  base=$run/pretrain
  [ "$1" = main ] || base=$base-$1
  if [ -e "$base/finished" ]; then return 0; fi
  [ "$1" = pixels ] || embed
  words=
  [ "$1" != off ] || words="--set words.enabled=false"
  # shellcheck disable=SC2046,SC2086 # words
  timed "$base" "$vicha" pretrain recipes/scenes-pretrain.toml --out "$base" --resume auto $(settings recipes/scenes-pretrain.toml) \
    $(of_variant "$1") $words
  : > "$base/finished"
}

# The captions that tell where things stand: the others fit several scenes.
relation_captions() {
  if [ -e "$scenes/retrieval_test_relations.json" ]; then return 0; fi
  sed 's/"caption":\["\([^"]*\)",[^]]*\]/"caption":["\1"]/' "$scenes/retrieval_test.json" > "$scenes/relations.part"
  mv "$scenes/relations.part" "$scenes/retrieval_test_relations.json"
}

evaluate() { # TASK OUT
  if [ -e "$2/eval.json" ]; then return 0; fi
  case $1 in
    retrieval)
      relation_captions
      set -- "$1" "$2" "$scenes/retrieval_test_relations.json" --k-test 32 --ranking joint
      ;;
    vqa) set -- "$1" "$2" "$scenes/vqa_test.json" ;;
    nlvr2) set -- "$1" "$2" "$scenes/nlvr_test.json" ;;
    entailment) set -- "$1" "$2" "$scenes/ve_test.json" ;;
    grounding) set -- "$1" "$2" "$scenes/grounding_test.json" --boxes "$scenes/dets.json" ;;
  esac
  kind=$1
  judged=$2
  shift 2
  must_run "$vicha" eval "$kind" "$judged" "$@" --out "$judged/eval.json"
}

task() { # TASK VARIANT
  into=$run/$1
  [ "$2" = main ] || into=$into-$2
  if ! [ -e "$into/finished" ]; then
    from=$run/pretrain
    case $2 in
      scratch)
        embed
        from=
        ;;
      main) pretrain main ;;
      *)
        pretrain "$2"
        from=$run/pretrain-$2
        ;;
    esac
    words=
    if [ "$1" = retrieval ] && [ "$2" = off ]; then words="--set words.enabled=false"; fi
    # shellcheck disable=SC2046,SC2086 # words
    timed "$into" "$vicha" finetune "$1" "recipes/scenes-$1.toml" --out "$into" --resume auto $(settings "recipes/scenes-$1.toml") \
      $(of_variant "$2") $words --set init.checkpoint="\"$from\""
    : > "$into/finished"
  fi
  evaluate "$1" "$into"
}

number() { # FILE KEY…: the number of the last key behind the others, in the order of the file; null where there is none
  file=$1
  shift
  keys=$*
  [ -e "$file" ] || {
    echo null
    return 0
  }
  tr -d '\n' < "$file" | awk -v keys="$keys" '{
    n = split(keys, key, " "); rest = $0
    for (i = 1; i <= n; ++i) {
      at = index(rest, "\"" key[i] "\"")
      if (!at) { print "null"; exit }
      rest = substr(rest, at + length(key[i]) + 2)
    }
    print match(rest, /^ *: *-?[0-9.]+/) ? substr(rest, index(rest, ":") + 1, RLENGTH - index(rest, ":")) + 0 : "null"
  }'
}

results() {
  {
    echo "{"
    for task in vqa nlvr2 entailment grounding; do
      printf '  "%s": {"accuracy": %s, "blind": %s, "chance": %s' $task "$(number "$run/$task/eval.json" accuracy)" \
        "$(number "$scenes/stats.json" blind $task)" "$(number "$scenes/stats.json" chance $task)"
      for variant in scratch pixels off; do
        name=$variant
        [ $variant != off ] || name=similarity_off
        printf ', "%s": %s' $name "$(number "$run/$task-$variant/eval.json" accuracy)"
      done
      printf ', "seconds": %s},\n' "$(cat "$run/$task/seconds" 2> /dev/null || echo null)"
    done
    printf '  "retrieval": {'
    comma=
    for variant in main scratch pixels off; do
      out=$run/retrieval
      suffix=
      case $variant in
        main) ;;
        off)
          out=$out-off
          suffix=_similarity_off
          ;;
        *)
          out=$out-$variant
          suffix=_$variant
          ;;
      esac
      for recall in r1 r10; do
        printf '%s"%s": %s' "$comma" "$recall$suffix" "$(number "$out/eval.json" text_to_image $recall)"
        comma=', '
      done
    done
    printf ', "blind_r1": 0.1, "blind_r10": 1.0, "seconds": %s},\n' "$(cat "$run/retrieval/seconds" 2> /dev/null || echo null)"
    printf '  "pretrain": {"seconds": %s, "seconds_pixels": %s}\n}\n' "$(cat "$run/pretrain/seconds" 2> /dev/null || echo null)" \
      "$(cat "$run/pretrain-pixels/seconds" 2> /dev/null || echo null)"
  } > "$run/results.part"
  mv "$run/results.part" "$run/results.json"
}

# What is asked first is known first: every task once, then what they are compared with.
[ $# -gt 0 ] || set -- $(for variant in main scratch off pixels; do
  for task in retrieval grounding entailment vqa nlvr2; do echo $task:$variant; done
done)
for one in "$@"; do
  variant=${one#*:}
  [ "$variant" != "$one" ] || variant=main
  echo "== ${one%%:*}, $variant" >&2
  task "${one%%:*}" "$variant"
  results
done
cat "$run/results.json"
