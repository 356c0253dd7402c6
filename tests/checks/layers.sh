#!/bin/sh
# layers.sh [ROOT]: a lower room never includes a header of a higher one. Prints each violation as file:line: why.
# shellcheck disable=SC2016 # the $ are awk's
set -eu
cd "${1:-$(dirname "$0")/../..}"

find src -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' | LC_ALL=C sort | xargs awk '
BEGIN {
    # Lowest first. eval stands below train: validation during training uses the judge and the metrics of eval.
    count = split("base text rules data device model eval train sxs serve cli", rooms, " ")
    for (i = 1; i <= count; i++) rank[rooms[i]] = i
    # Rooms that may see less than all below them.
    only["device"] = " base device "
    only["model"] = " base text device model "
}
function bad(why) { printf "%s:%d: %s\n", FILENAME, FNR, why; failed = 1 }
FNR == 1 {
    split(FILENAME, part, "/") # src/ROOM/..., and src/main.c, which counts as cli
    own = part[3] == "" ? "cli" : part[2]
    if (!(own in rank)) bad("no room is called " own " (tests/checks/layers.sh lists them)")
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
    name = $0
    sub(/^[^"]*"/, "", name)
    sub(/".*/, "", name)
    if (name == "agrl.h") next
    room = name
    if (!sub(/\/.*/, "", room) || name ~ /\.\./) { bad("\"" name "\" must be included by its path below src"); next }
    if (!(room in rank)) { bad("\"" name "\" is in no room"); next }
    if (own in only ? index(only[own], " " room " ") == 0 : rank[room] > rank[own])
        bad(own " must not include \"" name "\"")
}
END { exit failed }
' || exit 1
