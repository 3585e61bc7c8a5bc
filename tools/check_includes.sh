#!/bin/sh
# Holds every #include of src/ and every vicha_room() of src/CMakeLists.txt against the table of rooms in docs/design.md:
# a room may use itself, the rooms its row names, and what those may use. A room may have sub-rooms (`text/cleaning`), with rows
# of their own; the name of a room further down stands for all of its sub-rooms above. Tests, which are one program a room, may
# include all of their room and its sub-rooms. Names file, line and include of each violation.
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
    # The innermost known room of a path that starts below src/; its first folder where none is known.
    function room_of(path,    n, part, i, name, found) {
      n = split(path, part, "/")
      found = part[1]; name = part[1]
      for (i = 2; i < n; ++i) { name = name "/" part[i]; if (name in known) found = name }
      return found
    }
    function exists(room,    other) {
      for (other in known) if (other == room || index(other, room "/") == 1) return 1
      return 0
    }
    # A library is all of a room: it links what any of its sub-rooms may use.
    function links(target, room,    one, other) {
      for (one in known) if (one == target || index(one, target "/") == 1)
        for (other in known) if ((other == room || index(other, room "/") == 1) && ((one, other) in may)) return 1
      return 0
    }
    function allow(room, used,    one, other) {
      for (one in known) if (one == used || index(one, used "/") == 1) {
        may[room, one] = 1
        for (other in known) if ((one, other) in may) may[room, other] = 1
      }
    }

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
          if (!exists(name[i])) { complain("room " room " may not use " name[i] ", which is no room above it"); continue }
          allow(room, name[i])
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
        else if (keyword == "NAME") { target = word[i]; if (!exists(target)) complain("no room " target " in docs/design.md") }
        else if (keyword == "USES" && !links(target, word[i])) complain(target " may not link " word[i])
      }
      next
    }

    FNR == 1 {
      if (split(FILENAME, part, "/") < 3) { room = ""; complain("stands in no room") }
      else {
        test = (FILENAME ~ /_test(_support)?\.(h|cpp)$/)
        room = room_of(substr(FILENAME, 5))
        if (!(room in known)) complain("room " room " has no row in docs/design.md")
      }
    }

    /^[ \t]*#[ \t]*include[ \t]*["<]/ {
      ++includes
      quoted = ($0 ~ /include[ \t]*"/)
      path = $0
      sub(/^[^"<]*["<]/, "", path); sub(/[">].*/, "", path)
      other = path ~ /\// ? room_of(path) : ""
      house = room; sub(/\/.*/, "", house)
      if (other in known) {
        if (test && (other == house || index(other, house "/") == 1)) next
        if ((room in known) && !((room, other) in may)) complain(room " may not include \"" path "\"")
      }
      else if (quoted) complain("\"" path "\" names no room (includes are relative to src/)")
    }

    END {
      if (!rooms) { print "docs/design.md: no table of rooms found"; exit 2 }
      if (violations) { print violations " violation(s) of the table of rooms in docs/design.md"; exit 1 }
      print includes " includes of " rooms " rooms keep to the table of docs/design.md"
    }
  ' "$@"
}
