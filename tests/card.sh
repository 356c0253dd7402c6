#!/bin/sh
# card.sh: what only a machine with a card can show, in some five minutes: the operations table, the model's tests, whole runs on the
# processor against the card, and the operations again under compute-sanitizer (memory, and races between threads). A line each; logs in OUT.
# usage: tests/card.sh BUILD OUT      BUILD: the folder of `cmake --preset check`, or a copy of its programs
set -u
[ $# -eq 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) || exit 2
mkdir -p "$2"
out=$(cd "$2" && pwd)
jobs=${JOBS:-$(nproc)}
broken=$out/broken
rm -f "$broken"

# NAME SECONDS COMMAND...: runs it for so long at most, with a line when it ends.
step() {
    name=$1 limit=$2
    shift 2
    begin=$(date +%s)
    if timeout "$limit" "$@" > "$out/$name.log" 2>&1; then echo "ok      $name ($(($(date +%s) - begin)) s)"; else
        echo "FAILED  $name: see $out/$name.log" | tee -a "$broken"
    fi
}

step operations 120 "$build/device_test_ops" '*cuda*'
step graphs 60 "$build/device_test_graph"
step cards 150 "$build/device_test_cards"
for test in session generate pass adamw; do step "model-$test" 90 "$build/model_test_$test" '*cuda*'; done
step whole-runs 300 env AGRL="$build/agrl" AGRL_CUDA="$build/agrl" AGRL_CUDA_STEPS=50 AGRL_CUDA_UPDATES=20 AGRL_SOURCE_DIR="$here/.." "$here/e2e/test_cuda.sh"
cards=$(nvidia-smi -L | wc -l)
[ -z "${CUDA_VISIBLE_DEVICES:-}" ] || cards=$(echo "$CUDA_VISIBLE_DEVICES" | tr , '\n' | wc -l)
if [ "$cards" -gt 1 ] && command -v mpirun > /dev/null; then
    step ranks 200 env AGRL="$build/agrl" AGRL_CARDS="$cards" AGRL_SOURCE_DIR="$here/.." "$here/e2e/test_ranks.sh"
else
    echo "left out: ranks on several cards (cards: $cards)"
fi

# A process an operation: the sanitizer makes them slow, and each uses one core. The pair cuda-again runs the same kernels on the same cases.
# racecheck reports hazards within some of cuBLAS's kernels (nvjet_...), whose blocks wait for each other in clusters; they are told, and are no
# failure where the test passes and nothing else is reported.
if command -v compute-sanitizer > /dev/null; then
    sed -n 's/^\[ RUN *\] *//p' "$out/operations.log" | grep '^ref-cuda/' | grep -v /matmul > "$out/names" # which is the library's
    for tool in racecheck memcheck; do # the slower first
        while read -r name; do echo "$tool $name"; done < "$out/names"
    done > "$out/sanitized"
    begin=$(date +%s)
    # shellcheck disable=SC2016
    xargs -P "$jobs" -L 1 sh -c '
        log=$1/$3.$(echo "$4" | tr -c "a-z0-9_\n" -).log
        timeout 400 compute-sanitizer --tool "$3" --error-exitcode 9 "$2/device_test_ops" "$4" > "$log" 2>&1
        status=$?
        [ "$status" != 0 ] || exit 0
        if [ "$3 $status" = "racecheck 9" ] && grep -q "^\[  PASSED  \] 1 test" "$log" &&
            ! grep "^=========.*\(Error\|Warning\|access at\)" "$log" | grep -qv "access at nvjet_"; then
            echo "        racecheck of $4: hazards within $(grep -o "nvjet_[a-zA-Z0-9_]*" "$log" | sort -u | xargs), none elsewhere" >&2
        else
            echo "FAILED  $3 of $4: see $log"
        fi' \
        - "$out" "$build" < "$out/sanitized" | tee -a "$broken"
    echo "        compute-sanitizer on $(wc -l < "$out/names") operations, memcheck and racecheck ($(($(date +%s) - begin)) s)"
else
    echo "left out: no compute-sanitizer"
fi
[ ! -s "$broken" ]
