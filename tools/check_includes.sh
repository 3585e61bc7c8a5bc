#!/bin/sh
# Holds every #include of src/ and every vicha_room() of src/CMakeLists.txt against the table of rooms in docs/design.md:
# a room may use itself, the rooms its row names, and what those may use. Names file, line and include of each violation.
# usage: tools/check_includes.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/..}"
[ -e docs/design.md ] && [ -d src ] || { echo "$PWD: no docs/design.md and src/ here" >&2; exit 2; }

find src -type f \( -name '*.h' -o -name '*.hpp' -o -name '*.cpp' -o -name '*.cu' \) | LC_ALL=C sort | {
  set -- docs/design.md
  if [ -e src/CMakeLists.txt ]; then set -- "$@" src/CMakeLists.txt; fi
  while IFS= read -r file; do set -- "$@" "$file"; done
  exec awk '
    function complain(what) { print FILENAME ":" FNR ": " what; ++violations }

    # Row of the table: | `room` | what lives there | may use |
    FILENAME == "docs/design.md" {
      if (/^## /) in_rooms = ($0 == "## Rooms")
      if (!in_rooms || !/^\| *`/) next
      split($0, column, "|")
      room = column[2]; gsub(/[ `]/, "", room)
      uses = column[4]; gsub(/[ `]/, "", uses)
      if (room in known) { complain("room " room " has two rows"); next }
      if (uses == "all") for (other in known) may[room, other] = 1
      else if (uses != "–" && uses != "-") {
        n = split(uses, name, ",")
        for (i = 1; i <= n; ++i) {
          if (!(name[i] in known)) { complain("room " room " may not use " name[i] ", which is no room above it"); continue }
          may[room, name[i]] = 1
          for (other in known) if ((name[i], other) in may) may[room, other] = 1
        }
      }
      known[room] = 1; may[room, room] = 1; ++rooms
      next
    }

    # vicha_room(NAME room … USES room room LIBRARIES …), over one or more lines
    FILENAME == "src/CMakeLists.txt" {
      sub(/#.*/, "")
      gsub(/[()]/, " & ")
      n = split($0, word, " ")
      for (i = 1; i <= n; ++i) {
        if (word[i] == "vicha_room") { call = 1; keyword = "" }
        else if (!call || word[i] == "(") continue
        else if (word[i] == ")") call = 0
        else if (word[i] ~ /^[A-Z]+$/) keyword = word[i]
        else if (keyword == "NAME") { target = word[i]; if (!(target in known)) complain("no room " target " in docs/design.md") }
        else if (keyword == "USES" && !((target, word[i]) in may)) complain(target " may not link " word[i])
      }
      next
    }

    FNR == 1 {
      if (split(FILENAME, part, "/") < 3) { room = ""; complain("stands in no room") }
      else {
        room = part[2]
        if (!(room in known)) complain("room " room " has no row in docs/design.md")
      }
    }

    /^[ \t]*#[ \t]*include[ \t]*["<]/ {
      ++includes
      quoted = ($0 ~ /include[ \t]*"/)
      path = $0
      sub(/^[^"<]*["<]/, "", path); sub(/[">].*/, "", path)
      other = path
      if (!sub(/\/.*/, "", other)) other = ""
      if (other in known) { if ((room in known) && !((room, other) in may)) complain(room " may not include \"" path "\"") }
      else if (quoted) complain("\"" path "\" names no room (includes are relative to src/)")
    }

    END {
      if (!rooms) { print "docs/design.md: no table of rooms found"; exit 2 }
      if (violations) { print violations " violation(s) of the table of rooms in docs/design.md"; exit 1 }
      print includes " includes of " rooms " rooms keep to the table of docs/design.md"
    }
  ' "$@"
}
