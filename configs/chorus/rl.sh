#!/bin/sh
# Reinforcement learning of a real model on a real catalogue: SmolLM2-135M is fine-tuned on pairs that synth wrote from the catalogue,
# except those that rule R3 decides (a maker is named and the product is another's), then learns the rule by GRPO and by AGRL with the same
# tokens, from a pool of which R3 decides three pairs in ten. Judged: pairs of unseen queries, and people's ratings, of which no model
# saw a label. Safe to stop and start again: what is done stays done.
# usage: configs/chorus/rl.sh PRODUCTS.jsonl.gz RATED_PAIRS.jsonl OUT_DIR [agrl compare options]
set -eu
[ $# -ge 3 ] || { sed -n '2,6s/^# //p' "$0" >&2; exit 2; }
products=$1 rated=$2
mkdir -p "$3"
out=$(cd "$3" && pwd)
shift 3
here=$(cd "$(dirname "$0")" && pwd)
rules=$here/../../rules/chorus.yaml
agrl=${AGRL:-agrl}

[ -e "$out/data/lexicon.json" ] || "$agrl" synth --rules "$rules" --catalogue "$products" --refuse "$rated" --out "$out/data" --seed 1 \
    --tiers 4=0.4,3=0.05,2=0.1,1=0.45 --kind 0.5 --brand 0.3 --absent 0.05 --device 0.05 --attribute 0.1 --per-query 3 \
    --pairs 9000 --withhold R3 --sft-share 0.5 --rl-share 0.22 --valid-share 0.03 --test-share 0.12 --unseen-share 0.13
"$agrl" train "$here/stage.yaml" --resume --set data.train="$out/data/sft.jsonl" --set data.valid="$out/data/valid.jsonl" \
    --set data.lexicon="$out/data/lexicon.json" --set out="$out/sft" --set stages.0.epochs=1 \
    --set hints.share=0.15 --set hints.counterfactual=0.8

mixed() { # FILE: all pairs of R3, and others until R3 has three in ten
    grep '"rule":"R3"' "$1"
    grep -v '"rule":"R3"' "$1" | head -n $(($(grep -c '"rule":"R3"' "$1") * 7 / 3))
}
mixed "$out/data/rl.jsonl" > "$out/pool.jsonl"
mixed "$out/data/valid.jsonl" > "$out/valid.jsonl"
head -n 600 "$out/data/test.jsonl" | cat - "$out/data/test_unseen.jsonl" > "$out/test.jsonl"
printf 'run: %s\nout: %s\ntest: %s\nseeds: [1]\nslice: rule=R3\nagainst: agrl\n' "$here/rl.yaml" "$out/compare" "$out/test.jsonl" > "$out/plan.yaml"
printf 'set: [model=%s, rules=%s, data.train=%s, data.pool=%s, data.valid=%s, data.lexicon=%s]\nmethods: [sft, agrl, grpo]\n' "$out/sft" \
    "$rules" "$out/data/sft.jsonl" "$out/pool.jsonl" "$out/valid.jsonl" "$out/data/lexicon.json" >> "$out/plan.yaml"
"$agrl" compare "$out/plan.yaml" "$@"

[ -e "$out/rated.jsonl" ] || "$agrl" import chorus "$rated" --rules "$rules" --out "$out/rated.jsonl"
for row in sft agrl grpo; do
    case $row in sft) model=$out/sft ;; *) model=$out/compare/$row/seed-1 ;; esac
    "$agrl" judge --model "$model" --rules "$rules" --out "$out/rated.$row.jsonl" "$out/rated.jsonl"
    echo "$row, against people's ratings"
    "$agrl" eval --judged "$out/rated.$row.jsonl" --data "$out/rated.jsonl" --rules "$rules" --out "$out/rated.$row.json"
done
