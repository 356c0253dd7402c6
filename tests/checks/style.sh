#!/bin/sh
# style.sh [ROOT]: what holds for every file: no flags that change the meaning of numbers or tie the program to one
# machine, no output and no exit in library rooms, sizes of files, a head comment, no paths of somebody's machine.
# Prints each violation as file:line: why, and warnings that fail nothing.
# shellcheck disable=SC2016 # the $ are awk's
set -eu
cd "${1:-$(dirname "$0")/../..}"

files() { # files of the given names in the places that hold ours
    find . \( -path ./.git -o -path ./build -o -path ./runs -o -path ./tests/golden \) -prune -o -type f \( "$@" \) -print |
        sed 's|^\./||' | LC_ALL=C sort
}

# Build files and pragmas. (The words are cut in two so that this file does not hold them.)
flags() {
    words='-f''fast-math|-use''_fast_math|-O''fast|-m''arch=native|-m''tune=native|funsafe-math|fast''-math"'
    files -name CMakeLists.txt -o -name '*.cmake' -o -name 'CMakePresets.json' -o -name run -o -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' |
        xargs grep -nE -e "$words" /dev/null |
        sed 's/^\([^:]*:[0-9]*\):.*/\1: a flag that changes results or needs this very processor/'
}

# Library rooms neither print nor exit; comments and strings do not count.
output() {
    find src \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' \) ! -path 'src/cli/*' ! -path src/main.c ! -path src/base/log.c | LC_ALL=C sort | xargs awk '
FNR == 1 { comment = 0 }
{
    line = $0; code = ""
    while (line != "") {
        if (comment) {
            at = index(line, "*/")
            if (!at) { line = ""; continue }
            line = substr(line, at + 2); comment = 0; continue
        }
        if (match(line, /\/\*|\/\/|"|\047/) == 0) { code = code line; line = ""; continue }
        what = substr(line, RSTART, RLENGTH)
        code = code substr(line, 1, RSTART - 1)
        line = substr(line, RSTART + RLENGTH)
        if (what == "//") line = ""
        else if (what == "/*") comment = 1
        else { # to the end of the string or character
            while (line != "" && substr(line, 1, 1) != what) line = substr(line, substr(line, 1, 1) == "\\" ? 3 : 2)
            line = substr(line, 2); code = code " "
        }
    }
    code = " " code
    gsub(/fflush\(stdout\)/, "", code) # keeps the order of what others print
    if (code ~ /[^a-zA-Z0-9_](exit|_exit|_Exit|quick_exit|abort|printf|vprintf|puts|putchar|perror|err|errx)[ \t]*\(/ ||
        code ~ /[^a-zA-Z0-9_](stdout|stderr)[^a-zA-Z0-9_]/)
        printf "%s:%d: library code returns a status; it neither prints nor exits\n", FILENAME, FNR
}'
}

# Sizes, and a head comment that says what the file is for.
sizes() {
    files -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' -o -name '*.sh' -o -name '*.cmake' -o -name '*.py' | xargs awk '
FNR == 1 && FILENAME ~ /\.([ch]|cuh?)$/ && $0 !~ /^\/\*/ { printf "%s:1: no head comment\n", FILENAME }
FNR == 1501 { printf "%s:1501: more than 1500 lines\n", FILENAME }'
}

paths() {
    homes='(^|[^A-Za-z0-9_.$}/-])/(wo''rk|ho''me|ro''ot|Us''ers)/[A-Za-z0-9]'
    files -name '*' ! -name '*.gguf' ! -name '*.safetensors' | xargs grep -nIE -e "$homes" /dev/null |
        sed 's/^\([^:]*:[0-9]*\):.*/\1: a path of one machine/'
}

warnings() {
    files -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' | xargs awk '
FNR == 1 { start = 0 }
FNR == 801 { printf "warning: %s: more than 800 lines\n", FILENAME }
/^\{/ { start = FNR }
/^\}/ {
    if (start && FNR - start > 101) printf "warning: %s:%d: a function of %d lines\n", FILENAME, start, FNR - start - 1
    start = 0
}'
}

warnings
found=$(flags; output; sizes; paths)
[ -z "$found" ] && exit 0
printf '%s\n' "$found"
exit 1
