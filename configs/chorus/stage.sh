#!/bin/sh
# The first stage of configs/chorus/stage.yaml: 8,000 training pairs from the catalogue, none of whose queries mean the same as a rated
# one, and two passes over them; then how it judges the rated pairs, of which it saw no label.
# usage: configs/chorus/stage.sh PRODUCTS.jsonl.gz RATED_PAIRS.jsonl OUT_DIR [agrl train options]
set -eu
[ $# -ge 3 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
products=$1 rated=$2 out=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
rules=$here/../../rules/chorus.yaml
agrl=${AGRL:-agrl}
mkdir -p "$out"
[ -e "$out/stage/sft.jsonl" ] || "$agrl" synth --rules "$rules" --catalogue "$products" --refuse "$rated" --out "$out/stage" --seed 1 \
    --tiers 4=0.4,3=0.05,2=0.1,1=0.45 --kind 0.75 --brand 0.08 --absent 0.07 --device 0.05 --attribute 0.05 --per-query 3 \
    --pairs 8097 --sft-share 0.988 --valid-share 0.012 --rl-share 0 --test-share 0 --unseen-share 0
"$agrl" train "$here/stage.yaml" --resume --set data.train="$out/stage/sft.jsonl" --set data.valid="$out/stage/valid.jsonl" \
    --set data.lexicon="$out/stage/lexicon.json" --set out="$out/run" "$@"
[ -e "$out/pairs.jsonl" ] || "$agrl" import chorus "$rated" --rules "$rules" --out "$out/pairs.jsonl"
"$agrl" judge --model "$out/run" --rules "$rules" --out "$out/judged.jsonl" "$out/pairs.jsonl"
"$agrl" eval --judged "$out/judged.jsonl" --data "$out/pairs.jsonl" --rules "$rules" --out "$out/eval.json" --report "$out/report.html"
