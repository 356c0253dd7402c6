#!/bin/sh
# Real results on a card: SmolLM2-135M learns the rulebook from pairs that synth wrote from the catalogue, then every method goes on from that one
# model with the same tokens, and a last short pass over ratings, cross-validated, says how people would agree with each. Nothing is withheld.
# Safe to stop and start again: what is done stays done. Start nvidia-cuda-mps-control -d first where JOBS is more than 1.
# usage: [DEVICE=cuda] [CARDS=1] [JOBS=5] [AT_ONCE=1] [SEEDS="1, 2, 3, 4, 5"] [PAIRS=32000] [BUDGET=3e5] [PASSES=1] [ROWS="grpo ..."]
#        configs/chorus/card.sh PRODUCTS.jsonl.gz RATED_PAIRS.jsonl OUT
# ROWS: whose models of seed 1 go on to the ratings (agrl and the start with all seeds). AT_ONCE: models, of five folds each, at a time.
# PASSES: over the ratings, as "1 2" for both in turn (ROWS: the first alone)
set -eu
[ $# -ge 3 ] || { sed -n '2,8s/^# //p' "$0" >&2; exit 2; }
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
at_once=${AT_ONCE:-1}
processors=$(getconf _NPROCESSORS_ONLN)
share=$(((processors + jobs - 1) / jobs)) # of the processors, a cell
seeds=${SEEDS:-1, 2, 3, 4, 5}
pairs=${PAIRS:-32000}
budget=${BUDGET:-3e5}
passes=${PASSES:-1}
rows=${ROWS-sft+ dpo grpo grpo-pr rrs}

[ -e "$out/data/lexicon.json" ] || "$agrl" synth --rules "$rules" --catalogue "$products" --refuse "$rated" --out "$out/data" --seed 1 \
    --tiers 4=0.4,3=0.05,2=0.1,1=0.45 --kind 0.75 --brand 0.08 --absent 0.07 --device 0.05 --attribute 0.05 --per-query 3 \
    --pairs "$pairs" --sft-share 0.7 --rl-share 0.15 --valid-share 0.01 --test-share 0.07 --unseen-share 0.07
[ -e "$out/sft/done" ] || "$agrl" train "$here/stage.yaml" --resume --set data.train="$out/data/sft.jsonl" --set data.valid="$out/data/valid.jsonl" \
    --set data.lexicon="$out/data/lexicon.json" --set out="$out/sft" --set device="$device" --set threads="$share" --set micro_tokens=8192 --set kv_slots=32768 \
    --set hints.share=0.15 --set hints.counterfactual=0.8
touch "$out/sft/done"

cat "$out/data/test.jsonl" "$out/data/test_unseen.jsonl" > "$out/test.jsonl"
{
    printf 'run: %s\nout: %s\ntest: %s\nseeds: [%s]\nagainst: agrl\nkeep: true\n' "$here/rl.yaml" "$out/compare" "$out/test.jsonl" "$seeds"
    printf 'set: [device=%s, model=%s, rules=%s, data.train=%s, data.pool=%s, data.valid=%s, data.lexicon=%s, ' "$device" "$out/sft" "$rules" \
        "$out/data/sft.jsonl" "$out/data/rl.jsonl" "$out/data/valid.jsonl" "$out/data/lexicon.json"
    printf 'threads=%s, save_dtype=fp32, micro_tokens=8192, kv_slots=65536, stages.0.batch=32, stages.0.budget=%s, ' "$share" "$budget"
    printf 'stages.0.keep_rollouts=false, stages.0.valid_every=1000, stages.0.checkpoint_every=1000]\n'
    printf 'methods:\n'
    plus=$(awk -v budget="$budget" 'BEGIN { print int(budget / 7500) + 1 }') # updates of sft+: it samples nothing
    printf '  - %s\n' sft verdicts "{name: sft+, method: sft+, budget: 0, steps: $plus}" dpo grpo grpo-pr rrs agrl
} > "$out/plan.yaml"
"$agrl" compare "$out/plan.yaml" --jobs "$jobs" --cards "$cards" "$@"

# So many at a time in the background, dealt to the cards: later N COMMAND..., and finish.
pids='' begun=0
finish() { # all of them end, also where one has failed
    failed=0
    for pid in $pids; do wait "$pid" || failed=1; done
    pids=''
    [ $failed = 0 ]
}
later() {
    most=$1
    shift
    (
        [ "$cards" -le 1 ] || export CUDA_VISIBLE_DEVICES=$((begun % cards)) DEAL=$begun
        "$@"
    ) &
    pids="$pids $!"
    begun=$((begun + 1))
    [ $((begun % most)) != 0 ] || finish
}

# NAME MODEL: people's ratings, of which no label was seen
alone() {
    [ ! -e "$out/alone/$1.json" ] || return 0
    "$agrl" judge --model "$out/$2" --rules "$rules" --device "$device" --threads "$share" --out "$out/alone/$1.jsonl" "$out/rated.jsonl"
    "$agrl" eval --judged "$out/alone/$1.jsonl" --data "$out/rated.jsonl" --rules "$rules" --out "$out/alone/$1.json" > "$out/alone/$1.log"
}
# PASSES NAME MODEL SEED: five folds, so many passes over the ratings
ratings() {
    [ ! -e "$out/cv-$1/$2/eval.json" ] || return 0
    threads=$(((processors / at_once + 4) / 5))
    THREADS=$((threads > 0 ? threads : 1)) JOBS=$jobs CARDS=$cards RULES=$rules DEVICE=$device "$here/cv.sh" "$rated" "$out/cv-$1/$2" \
        --set model="$out/$3" --set data.lexicon="$out/data/lexicon.json" --set stages.0.epochs="$1" --set seed="$4" \
        --set stages.0.checkpoint_every=100000 --set micro_tokens=4096 --set kv_slots=16384 > "$out/cv-$1/$2.log" 2>&1 ||
        { echo "ratings of $2 failed: see $out/cv-$1/$2.log" >&2; return 1; }
}
seeds=$(echo "$seeds" | tr ',' ' ')
mkdir -p "$out/alone"
[ -e "$out/rated.jsonl" ] || "$agrl" import chorus "$rated" --rules "$rules" --out "$out/rated.jsonl"
later "$jobs" alone sft sft
for seed in $seeds; do later "$jobs" alone "agrl-$seed" "compare/agrl/seed-$seed"; done
for row in $rows; do later "$jobs" alone "$row" "compare/$row/seed-${seeds%% *}"; done
finish
begun=0
for n in $passes; do
    mkdir -p "$out/cv-$n"
    for seed in $seeds; do
        later "$at_once" ratings "$n" "sft-$seed" sft "$seed"
        later "$at_once" ratings "$n" "agrl-$seed" "compare/agrl/seed-$seed" "$seed"
    done
    [ "$n" = "${passes%% *}" ] || continue
    for row in $rows; do later "$at_once" ratings "$n" "$row" "compare/$row/seed-${seeds%% *}" "${seeds%% *}"; done
done
finish
