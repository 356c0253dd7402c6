#!/bin/sh
# start.sh: seconds from the start of `agrl train` to the end of its first step: SmolLM2-135M, 8,000 pairs of the invented shop, SFT, 16 pairs
# a step. Reading the pairs and the model, opening the device, kernels' first launches and the step itself are in it. Three runs: the first
# may read from the disk, and pulls the model where it is missing.
# usage: bench/start.sh OUT [agrl train options, like --set device=cuda]      AGRL: the program, if it is not on the PATH; MODEL: another model
set -eu
[ $# -ge 1 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
agrl=${AGRL:-agrl} rules=$here/../rules/shop-brief.yaml
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
[ -e "$out/data/sft.jsonl" ] ||
    "$agrl" synth --rules "$rules" --out "$out/data" --pairs 8097 --sft-share 0.988 --valid-share 0.012 --rl-share 0 --test-share 0 --unseen-share 0 > "$out/synth.log"
printf '%s\n' "model: ${MODEL:-smollm2-135m}" "rules: $rules" "data: {train: data/sft.jsonl, valid: data/valid.jsonl, lexicon: data/lexicon.json}" \
    "out: run" "stages: [{method: sft, batch: 16}]" > "$out/start.yaml"
for run in 1 2 3; do
    rm -rf "$out/run"
    begin=$(date +%s%N)
    "$agrl" train "$out/start.yaml" "$@" > "$out/train.log" 2>&1 &
    train=$!
    until [ -s "$out/run/metrics.jsonl" ]; do
        kill -0 "$train" 2> /dev/null || { tail -1 "$out/train.log" >&2; exit 1; }
        sleep 0.01
    done
    echo "$begin $(date +%s%N)" | awk -v run="$run" '{ printf "run %d: %.2f s\n", run, ($2 - $1) / 1e9 }'
    kill -KILL "$train"
    wait "$train" 2> /dev/null || true
done
