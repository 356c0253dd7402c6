#!/bin/sh
# Every comparison of docs/RESULTS.md: first the models that they start from, then the settings, AT_ONCE of them at a time with JOBS cells each.
# Safe to stop and start again. With DEVICE=cuda start nvidia-cuda-mps-control first (docs/PERFORMANCE.md).
# usage: [DEVICE=cuda] [CARDS=1] [AT_ONCE=2] [JOBS=15] configs/claims/all.sh OUT [SETTING...]      CARDS: dealt to so many
set -eu
[ $# -ge 1 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
run=$(cd "$(dirname "$0")" && pwd)/run.sh
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- a d c b-units b-synonyms b-hierarchy a-natural a-natural-long a-natural-ways a-long a-tuned a-choices \
    noise-0 noise-5 noise-10 noise-20 ablation sweep a-relabel relabel-20 relabel-60 start-10 start-60 start-80 start-100 think literacy-0 literacy-25

# Settings that share a start wait for it here.
for setting in "$@"; do
    case $setting in
    b-* | c | a-relabel | relabel-* | think | literacy-* | start-*) echo "$setting" ;;
    *) echo a ;;
    esac
done | sort -u | awk -v cards="${CARDS:-1}" '{ print (cards > 1 ? "CUDA_VISIBLE_DEVICES=" NR % cards : "A=") , $0 }' |
    ONLY_START=1 xargs -P "${JOBS:-2}" -L 1 sh -c 'exec env "$2" "$0" "$3" "$1"' "$run" "$out" > "$out/starts.log" 2>&1

printf '%s\n' "$@" | xargs -P "${AT_ONCE:-1}" -I '{}' sh -c '
    if "$1" "$2" "$3" --jobs "$4" --cards "$5" > "$3/$2.log" 2>&1; then echo "$2: $3/$2/compare/report.html"; else echo "$2: stopped, see $3/$2.log"; fi' \
    - "$run" '{}' "$out" "${JOBS:-2}" "${CARDS:-1}"
