#!/bin/sh
# 5-fold cross-validation of configs/chorus/run.yaml over query groups. Safe to stop and start again: folds that are judged are
# kept, a fold that was stopped goes on from its checkpoint.
# usage: configs/chorus/cv.sh RATED_PAIRS.jsonl OUT_DIR [agrl train options, for example --set stages.0.epochs=2]
set -eu
[ $# -ge 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
rated=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
rules=$here/../../rules/general-4tier.yaml
agrl=${AGRL:-agrl}
mkdir -p "$out"
[ -e "$out/pairs.fold5.test.jsonl" ] || "$agrl" import chorus "$rated" --rules "$rules" --out "$out/pairs.jsonl" --folds 5 --seed 1
for fold in 1 2 3 4 5; do
    [ ! -e "$out/judged.fold$fold.jsonl" ] || continue
    "$agrl" train "$here/run.yaml" --resume --set data.train="$out/pairs.fold$fold.train.jsonl" --set out="$out/fold$fold" "$@"
    "$agrl" judge --model "$out/fold$fold" --rules "$rules" --out "$out/judged.fold$fold.jsonl" "$out/pairs.fold$fold.test.jsonl"
    rm -rf "$out/fold$fold/checkpoints" # half a gigabyte a fold; the judgements stay
done
cat "$out"/judged.fold?.jsonl > "$out/judged.jsonl"
cat "$out"/pairs.fold?.test.jsonl > "$out/pairs.jsonl"
"$agrl" eval --judged "$out/judged.jsonl" --data "$out/pairs.jsonl" --rules "$rules" --out "$out/eval.json" --report "$out/report.html"
