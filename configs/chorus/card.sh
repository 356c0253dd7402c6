#!/bin/sh
# Real results on a card: SmolLM2-135M learns the rulebook from pairs that synth wrote from the catalogue, then every method goes on from that one
# model with the same tokens, and a last short pass over ratings, cross-validated, says how people would agree with each. Nothing is withheld.
# Safe to stop and start again: what is done stays done. Start nvidia-cuda-mps-control -d first where JOBS is more than 1.
# usage: [DEVICE=cuda] [CARDS=1] [JOBS=5] [SEEDS="1, 2, 3, 4, 5"] [PAIRS=32000] [BUDGET=3e5] [ROWS="agrl grpo ..."] configs/chorus/card.sh PRODUCTS.jsonl.gz RATED_PAIRS.jsonl OUT
# ROWS: whose models of seed 1 go on to the ratings (agrl and the start with all seeds)
set -eu
[ $# -ge 3 ] || { sed -n '2,6s/^# //p' "$0" >&2; exit 2; }
products=$1 rated=$2
mkdir -p "$3"
out=$(cd "$3" && pwd)
shift 3
here=$(cd "$(dirname "$0")" && pwd)
rules=$here/../../rules/chorus.yaml
agrl=${AGRL:-agrl}
device=${DEVICE:-cuda}
jobs=${JOBS:-5}
cards=${CARDS:-1}
seeds=${SEEDS:-1, 2, 3, 4, 5}
pairs=${PAIRS:-32000}
budget=${BUDGET:-3e5}
rows=${ROWS:-sft+ dpo grpo grpo-pr rrs}

[ -e "$out/data/lexicon.json" ] || "$agrl" synth --rules "$rules" --catalogue "$products" --refuse "$rated" --out "$out/data" --seed 1 \
    --tiers 4=0.4,3=0.05,2=0.1,1=0.45 --kind 0.75 --brand 0.08 --absent 0.07 --device 0.05 --attribute 0.05 --per-query 3 \
    --pairs "$pairs" --sft-share 0.7 --rl-share 0.15 --valid-share 0.01 --test-share 0.07 --unseen-share 0.07
[ -e "$out/sft/done" ] || "$agrl" train "$here/stage.yaml" --resume --set data.train="$out/data/sft.jsonl" --set data.valid="$out/data/valid.jsonl" \
    --set data.lexicon="$out/data/lexicon.json" --set out="$out/sft" --set device="$device" --set micro_tokens=8192 --set kv_slots=32768 \
    --set hints.share=0.15 --set hints.counterfactual=0.8
touch "$out/sft/done"

cat "$out/data/test.jsonl" "$out/data/test_unseen.jsonl" > "$out/test.jsonl"
{
    printf 'run: %s\nout: %s\ntest: %s\nseeds: [%s]\nagainst: agrl\nkeep: true\n' "$here/rl.yaml" "$out/compare" "$out/test.jsonl" "$seeds"
    printf 'set: [device=%s, model=%s, rules=%s, data.train=%s, data.pool=%s, data.valid=%s, data.lexicon=%s, ' "$device" "$out/sft" "$rules" \
        "$out/data/sft.jsonl" "$out/data/rl.jsonl" "$out/data/valid.jsonl" "$out/data/lexicon.json"
    printf 'micro_tokens=8192, kv_slots=65536, stages.0.batch=32, stages.0.budget=%s, stages.0.valid_every=1000, stages.0.checkpoint_every=1000]\n' "$budget"
    printf 'methods:\n'
    printf '  - %s\n' sft verdicts '{name: sft+, method: sft+, budget: 0, steps: 40}' dpo grpo grpo-pr rrs agrl
} > "$out/plan.yaml"
"$agrl" compare "$out/plan.yaml" --jobs "$jobs" --cards "$cards" "$@"

# NAME MODEL: five folds, one pass over the ratings
ratings() {
    [ -e "$out/cv/$1/eval.json" ] || JOBS=$jobs CARDS=$cards RULES=$rules DEVICE=$device "$here/cv.sh" "$rated" "$out/cv/$1" --set model="$2" \
        --set data.lexicon="$out/data/lexicon.json" --set stages.0.epochs=1 --set micro_tokens=8192 --set kv_slots=32768
}
mkdir -p "$out/cv"
ratings sft "$out/sft"
for seed in $(echo "$seeds" | tr -d ,); do ratings "agrl-$seed" "$out/compare/agrl/seed-$seed"; done
for row in $rows; do ratings "$row" "$out/compare/$row/seed-1"; done
