#!/bin/sh
# Times vicha and its PyTorch peer (bench/peer) in turn, prints each run and the ratio to the peer's best mode.
# usage: tools/bench.sh [--sizes small base retrieval clip] [--rounds N] [--threads N] [--all-modes]     (--help)
# Results: one JSON line a run in runs/bench/results.jsonl
set -eu
cd "$(dirname "$0")/.."
# Both sides alike: idle threads sleep instead of spinning.
export OMP_WAIT_POLICY=passive
exec .venv/bin/python tools/bench.py "$@"
