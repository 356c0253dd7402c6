#!/bin/sh
# format.sh [ROOT]: every C and CUDA file is as clang-format writes it. Versions differ in what they write, so one counts:
# without it the check is skipped (exit 77). Fix with: clang-format-14 -i FILE
set -eu
cd "${1:-$(dirname "$0")/../..}"
version=14
tool=
for name in clang-format-$version clang-format; do
    if command -v "$name" >/dev/null 2>&1 && "$name" --version | grep -q "version $version\."; then
        tool=$name
        break
    fi
done
if [ -z "$tool" ]; then
    echo "skipped: no clang-format $version"
    exit 77
fi
bad=$(find src include tests bench -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' 2>/dev/null | LC_ALL=C sort |
    xargs "$tool" --style=file --dry-run 2>&1 | sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: warning: .*/\1/p' | uniq)
[ -z "$bad" ] && exit 0
printf '%s\n' "$bad" | sed 's/$/: not formatted (clang-format-'$version' -i does it)/'
exit 1
