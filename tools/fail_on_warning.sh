#!/bin/sh
# Runs a compiler (through ccache) and fails if it warns. See cmake/Dependencies.cmake.
messages=$(mktemp) || exit 1
trap 'rm -f "$messages"' EXIT
"$@" 2> "$messages"
status=$?
cat "$messages" >&2
if [ $status -eq 0 ] && grep -q 'warning:' "$messages"; then
  echo "a warning is an error in this build (VICHA_WERROR)" >&2
  exit 1
fi
exit $status
