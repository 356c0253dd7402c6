#!/bin/sh
# grpo.sh: one step of GRPO in agrl (bench_grpo) and in TRL (grpo_trl.py), one after the other, fp32 and bf16; then one table of
# seconds, peak memory and the ratio. Both programs say in their heads what the step is.
#
# usage: bench/grpo.sh [-b PROGRAM] [-p PYTHON] [-t THREADS] [-s STEPS] [-d "DTYPE..."] [MODEL [TRL-OPTION...]]
#   -b  bench_grpo (default: build/bench/bench_grpo, build/check/bench_grpo or build/release/bench_grpo, what is there first);
#       built by: cmake -S . -B build/bench -DAGRL_BENCH=ON && cmake --build build/bench --target bench_grpo
#   -p  a Python that has TRL (default: python3); without TRL that half is skipped and the other half is printed
#   -t  threads of both (default: 2)      -s  steps behind the warm-up (default: 2)      -d  default: "fp32 bf16"
# MODEL: a Hugging Face folder for both; a GGUF file or the name of a pulled model for agrl alone, TRL then has random weights of
# SmolLM2-135M's shape, as both have without MODEL. Weights do not change what is computed. Options behind it go to
# grpo_trl.py: --narrow, --batch N, --checkpointing.
#
# Take the figures on a quiet machine: the load is printed before and after. TRL takes some minutes for each type. Where a machine is
# never quiet, processor seconds with -t 1 compare better than seconds: no thread then waits for another.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program='' python=python3 threads=2 steps=2 types='fp32 bf16'
while getopts b:p:t:s:d: option; do
    case $option in
    b) program=$OPTARG ;;
    p) python=$OPTARG ;;
    t) threads=$OPTARG ;;
    s) steps=$OPTARG ;;
    d) types=$OPTARG ;;
    *) sed -n 's/^# \(usage:.*\)/\1/p' "$0" >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
model=${1:-random}
[ $# -eq 0 ] || shift

if [ -z "$program" ]; then
    for build in bench check release; do
        [ -x "$here/../build/$build/bench_grpo" ] || continue
        program=$here/../build/$build/bench_grpo
        break
    done
fi
if [ ! -x "$program" ]; then
    echo "grpo.sh: no bench_grpo; build it with -DAGRL_BENCH=ON or name it with -b" >&2
    exit 1
fi
folder=
[ ! -d "$model" ] || folder=$model
if "$python" "$here/grpo_trl.py" --check; then
    trl=true
else
    trl=false
    echo "grpo.sh: TRL is skipped; -p names a Python that has it" >&2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# run NAME COMMAND...: shows the output and keeps the line of results as a row "NAME seconds rollout update cpu peak".
run() {
    name=$1
    shift
    echo
    if ! "$@" >"$work/out" 2>"$work/err"; then
        cat "$work/out" "$work/err" >&2
        echo "grpo.sh: $name failed" >&2
        exit 1
    fi
    grep -v '^result:' "$work/out"
    awk -v name="$name" '$1 == "result:" { print name, $3, $5, $7, $9, $11 }' "$work/out" >>"$work/rows"
}

sed -n 's/^model name[^:]*: */processor: /p' /proc/cpuinfo | head -n 1
uptime
for type in $types; do
    run "agrl:$type" "$program" "$model" "$threads" "$type" "$steps"
    if $trl; then
        run "TRL:$type" "$python" "$here/grpo_trl.py" --dtype "$type" --threads "$threads" --steps "$steps" "$@" ${folder:+"$folder"}
    fi
done

echo
awk '
BEGIN {
    printf "%-12s %9s %9s %9s %9s %9s %11s %11s\n", "", "seconds", "rollout", "update", "cpu s", "peak MiB", "TRL takes", "TRL peaks"
}
{
    split($1, part, ":")
    row = sprintf("%-5s %-6s %9.2f %9.2f %9.2f %9.2f %9.0f", part[1], part[2], $2, $3, $4, $5, $6)
    if (part[1] == "agrl") { seconds = $2; peak = $6; print row }
    else printf "%s %10.1fx %10.1fx\n", row, $2 / seconds, $6 / peak
}
' "$work/rows"
uptime
