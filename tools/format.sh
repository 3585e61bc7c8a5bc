#!/bin/sh
# Formats every tracked C++ source in place; with --check, names those that are not formatted and fails.
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
  --check) set -- --dry-run --Werror ;;
  "") set -- -i ;;
  *) echo "usage: tools/format.sh [--check]" >&2; exit 2 ;;
esac
git ls-files -z -- '*.h' '*.hpp' '*.cpp' '*.cu' | xargs -0 clang-format "$@"
