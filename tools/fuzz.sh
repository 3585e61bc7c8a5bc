#!/bin/bash
# Runs the fuzz targets that tests/fuzz/targets.txt names, as many at a time as there are cores. Of each finding it says
# the input that shows it and the command that shows it again; the other targets go on, and the status is 1.
# usage: tools/fuzz.sh [TARGET...]          all of them where none is named
# env:   FUZZ_SECONDS   for each target (600); 0: the files to begin with and no others
#        FUZZ_JOBS      targets at a time (all cores)
# What a run has found worth keeping stays in build/fuzz/corpus, where the next run begins.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/fuzz
table=tests/fuzz/targets.txt
export FUZZ_SECONDS=${FUZZ_SECONDS:-600}

seeds_of() { # TARGET LONGEST PATTERN...
  local target=$1 longest=$2 to=$build/seeds/$1 file number=0
  shift 2
  rm -rf "$to"
  mkdir -p "$to"
  shopt -s nullglob
  for pattern in "$@"; do
    for file in tests/golden/$pattern; do
      # One cut short would be another file.
      if [ -f "$file" ] && [ "$(stat -c %s "$file")" -le "$longest" ]; then
        number=$((number + 1))
        cp "$file" "$to/$number-${file##*/}"
      fi
    done
  done
  case $target in
    pickle | archive)
      for file in tests/golden/{library/pth,hostile,torchscript}/*.{pth,pt}; do
        local pickle=$to/${file##*/}.pkl
        { if [ "$target" = archive ]; then printf N; fi; unzip -p "$file" '*/data.pkl' 2> /dev/null; } > "$pickle" || true
        if grep -qa __torch__ "$pickle" && [ "$target" = archive ]; then { printf T; tail -c +2 "$pickle"; } > "$pickle.t"; fi
      done
      find "$to" -type f -size -2c -delete
      ;;
    tar)
      local samples
      samples=$(mktemp -d)
      cp tests/golden/library/images/tiny_3x5.png "$samples/0.png"
      cp tests/golden/library/images/tiny_1x1.png "$samples/1.png"
      echo 'a dog on a beach' > "$samples/0.txt"
      echo '{"caption": "two cats", "url": "x"}' > "$samples/1.json"
      for format in ustar gnu pax v7; do
        tar -C "$samples" --format=$format --owner=0 --group=0 --mtime=@0 -b 1 -cf "$to/$format.tar" 0.png 0.txt 1.json 1.png
      done
      gzip -n < "$to/ustar.tar" > "$to/ustar.tar.gz"
      rm -r "$samples"
      ;;
  esac
}

row_of() { awk -v target="$1" '$1 == target' "$table"; }

one() {
  local target=$1 longest dictionary patterns status=0
  read -r _ longest dictionary patterns <<< "$(row_of "$target")"
  set -f
  # shellcheck disable=SC2086 # a list of patterns
  set -- $patterns
  set +f
  seeds_of "$target" "$longest" "$@"
  local program=$build/bin/vicha_fuzz_$target log=$build/logs/$target.log
  mkdir -p "$build/corpus/$target" "$build/findings" "$build/logs"
  local folders=("$build/corpus/$target" "$build/seeds/$target")
  if [ -d "tests/fuzz/corpus/$target" ]; then folders+=("tests/fuzz/corpus/$target"); fi
  if [ ! -x "$program" ]; then
    echo "$program is not built: run 'make fuzz', or cmake --build --preset fuzz --target ${program##*/}" >&2
    return 1
  fi
  local limit=-max_total_time=$FUZZ_SECONDS
  if [ "$FUZZ_SECONDS" -eq 0 ]; then limit=-runs=0; fi
  OMP_NUM_THREADS=1 "$program" "$limit" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=1024 \
    -max_len="$longest" -dict="tests/fuzz/dictionaries/$dictionary.dict" -artifact_prefix="$build/findings/$target-" \
    -print_final_stats=1 "${folders[@]}" > "$log" 2>&1 < /dev/null || status=$?
  if [ "$status" -eq 0 ]; then
    awk -v target="$target" '/^#[0-9]+/ {for (i = 1; i <= NF; ++i) if ($i == "cov:") cover = $(i + 1)}
      /^Done / {runs = $2; seconds = $5} END {printf "%-14s %9d inputs in %s s, no finding (coverage %s)\n", target, runs, seconds, cover}' "$log"
    return 0
  fi
  local input
  input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
  {
    echo "FINDING: $target (exit status $status)"
    grep -a -m 1 -E 'broken promise|SUMMARY|terminate called|what\(\)|ERROR: libFuzzer' "$log" || true
    if [ -n "$input" ]; then
      echo "input:  $PWD/$input"
      echo "again:  $program $input"
    fi
    echo "log:    $PWD/$log"
  } >&2
  return 1
}

if [ "${1:-}" = --one ]; then
  one "$2" || exit 1
  exit 0
fi

if [ $# -eq 0 ]; then mapfile -t targets < <(awk '!/^#/ && NF {print $1}' "$table"); else targets=("$@"); fi
for target in "${targets[@]}"; do
  [ -n "$(row_of "$target")" ] || { echo "no fuzz target '$target': $table lists them" >&2; exit 2; }
done
# In memory where there is such a place: targets write and remove thousands of files a second.
memory=/dev/shm
[ -d "$memory" ] && [ -w "$memory" ] || memory=${TMPDIR:-/tmp}
TMPDIR=$(mktemp -d "$memory/vicha-fuzz.XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
symbolizer=$(command -v llvm-symbolizer-19 || command -v llvm-symbolizer || true)
export ASAN_SYMBOLIZER_PATH=$symbolizer
export LSAN_OPTIONS=suppressions=$PWD/tests/fuzz/leaks.supp:print_suppressions=0
printf '%s\n' "${targets[@]}" | xargs -P "${FUZZ_JOBS:-$(nproc)}" -n 1 "$0" --one || exit 1
