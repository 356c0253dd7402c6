#!/bin/sh
# 5-fold cross-validation of configs/chorus/run.yaml over query groups. Safe to stop and start again: folds that are judged are
# kept, a fold that was stopped goes on from its checkpoint.
# usage: [JOBS=N] [THREADS=N] [RULES=BOOK] [DEVICE=cuda] [CARDS=1] [DEAL=0] configs/chorus/cv.sh RATED_PAIRS.jsonl OUT_DIR [agrl train options, as --set model=FOLDER]
# JOBS: folds at a time, each with THREADS (default 1; its share of the processors). RULES: default rules/general-4tier.yaml
# CARDS: the folds are dealt to so many, DEAL further than the first
set -eu
[ $# -ge 2 ] || { sed -n '2,6s/^# //p' "$0" >&2; exit 2; }
rated=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
rules=${RULES:-$here/../../rules/general-4tier.yaml}
agrl=${AGRL:-agrl}
device=${DEVICE:-cpu}
jobs=${JOBS:-1}
cards=${CARDS:-1}
processors=$(getconf _NPROCESSORS_ONLN)
threads=${THREADS:-$((processors > jobs ? processors / jobs : 1))}
mkdir -p "$out"
[ -e "$out/pairs.fold5.test.jsonl" ] || "$agrl" import chorus "$rated" --rules "$rules" --out "$out/pairs.jsonl" --folds 5 --seed 1

fold() { # NUMBER [agrl train options]
    n=$1
    shift
    [ ! -e "$out/judged.fold$n.jsonl" ] || return 0
    "$agrl" train "$here/run.yaml" --resume --set data.train="$out/pairs.fold$n.train.jsonl" --set out="$out/fold$n" \
        --set threads="$threads" --set rules="$rules" --set device="$device" "$@"
    "$agrl" judge --model "$out/fold$n" --rules "$rules" --threads "$threads" --device "$device" --out "$out/judged.fold$n.jsonl" \
        "$out/pairs.fold$n.test.jsonl"
    rm -rf "$out/fold$n/checkpoints" # half a gigabyte a fold; the judgements stay
}

pids=''
for n in 1 2 3 4 5; do
    [ "$cards" -le 1 ] || export CUDA_VISIBLE_DEVICES=$(((n + ${DEAL:-0}) % cards))
    fold $n "$@" &
    pids="$pids $!"
    if [ $((n % jobs)) = 0 ] || [ $n = 5 ]; then
        failed=0 # the others end before it stops: started again it would meet them
        for pid in $pids; do wait "$pid" || failed=1; done
        [ $failed = 0 ] || exit 1
        pids=''
    fi
done
cat "$out"/judged.fold?.jsonl > "$out/judged.jsonl"
cat "$out"/pairs.fold?.test.jsonl > "$out/pairs.jsonl"
"$agrl" eval --judged "$out/judged.jsonl" --data "$out/pairs.jsonl" --rules "$rules" --out "$out/eval.json" --report "$out/report.html"
