#!/bin/sh
# docs/config.md is written by the program from its option table: fails if the two differ.
set -eu
cd "$(dirname "$0")/.."
written=$(mktemp)
trap 'rm -f "$written"' EXIT
build/release/bin/vicha config docs > "$written"
if ! diff -u docs/config.md "$written"; then
  echo "docs/config.md is not what 'vicha config docs' prints. Run 'make docs' and commit the result." >&2
  exit 1
fi
