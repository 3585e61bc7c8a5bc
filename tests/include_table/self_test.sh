#!/bin/sh
# Runs the checker on the faulty tree beside this file: it must fail and name exactly the faults of expected.txt.
set -eu
cd "$(dirname "$0")"
status=0
found=$(../../tools/check_includes.sh bad) || status=$?
[ "$status" -eq 1 ] || { echo "expected exit status 1, got $status"; exit 1; }
printf '%s\n' "$found" | diff -u expected.txt -
