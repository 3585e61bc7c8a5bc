#!/bin/sh
# How the files of this folder were made, by the program of commit e9f6f93 (before objectives became plug-ins):
#   make.sh VICHA EMPTY_FOLDER, then what it leaves there is committed. Not to be run again with a newer program.
set -eu
vicha=$1 here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
cp -r "$here/images" "$here/vocab.txt" "$here/train.jsonl" "$here/test.json" "$here/tiny.toml" "$here/concepts.toml" "$2"
cd "$2"
export OMP_NUM_THREADS=1
"$vicha" pretrain tiny.toml --out source --device cpu
"$vicha" concepts build --captions train.jsonl --out train.concepts.json --source vicha:source --k 4 --device cpu
"$vicha" pretrain concepts.toml --out run --device cpu
"$vicha" config show concepts.toml > every_key.toml
"$vicha" eval retrieval run/checkpoints/step-000060 test.json --out run/eval.json --device cpu
# What going on from step 60 must come to.
mkdir expected
mv run/checkpoints/step-000064/model.safetensors expected/step-000064.safetensors
mv run/metrics.jsonl expected/metrics.jsonl
head -n 60 expected/metrics.jsonl > run/metrics.jsonl
# Not needed: the first run's training state, the last checkpoint's.
rm -r run/checkpoints/step-000064 source/checkpoints/*/optimizer.safetensors test.json.*.emb
