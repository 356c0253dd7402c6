#!/bin/sh
# A run killed with SIGKILL at ten instants, some of them inside a checkpoint write, and resumed each time, ends with the same
# bytes as one that never stopped; and two runs of the same settings give the same bytes.
# usage: kill_resume.sh AGRL SOURCE_DIR
set -eu
agrl=$1 source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

"$agrl" synth --rules "$source/rules/shop.yaml" --out "$work/data" --pairs 400 --products 300 --unseen-products 0.1 --seed 3 --quiet
cat > "$work/run.yaml" <<YAML
scratch: {preset: nano, vocab: 600}
rules: $source/rules/shop.yaml
data: {train: data/sft.jsonl, valid: data/valid.jsonl, lexicon: data/lexicon.json}
out: run
threads: 2
kv_slots: 4096
valid: {pairs: 8, answers: 2}
micro_tokens: 1024
stages:
  - {method: sft, steps: 40, batch: 4, lr: 1.0e-3, checkpoint_every: 3, valid_every: 20, hint_share: 0.3}
  - {method: sft, steps: 20, batch: 4, lr: 5.0e-4, checkpoint_every: 3}
YAML

# The bytes that must be the same: checkpoints and metrics.
digest() { (cd "$1" && find checkpoints metrics.jsonl -type f -o -type l | LC_ALL=C sort | while read -r f; do
    if [ -L "$f" ]; then printf '%s -> %s\n' "$f" "$(readlink "$f")"; else sha256sum "$f"; fi; done) | sha256sum; }

now() { date +%s%N; }
begin=$(now)
"$agrl" train "$work/run.yaml" --set out="$work/whole" 2> "$work/whole.log"
spent=$((($(now) - begin) / 1000000))
"$agrl" train "$work/run.yaml" --set out="$work/again" 2> "$work/again.log"
want=$(digest "$work/whole")
[ "$(digest "$work/again")" = "$want" ] || { echo "two runs of the same settings differ"; exit 1; }

kills=0 attempt=0
while [ $kills -lt 10 ] && [ $attempt -lt 60 ]; do
    attempt=$((attempt + 1))
    "$agrl" train "$work/run.yaml" --set out="$work/killed" --resume 2> "$work/killed.log" &
    pid=$!
    if [ $((attempt % 3)) -eq 0 ]; then # inside a checkpoint write: the folder that is written aside exists
        i=0
        while [ $i -lt 3000 ] && kill -0 $pid 2>/dev/null; do
            case $(ls -a "$work/killed/checkpoints" 2>/dev/null) in *.tmp*) break ;; esac
            i=$((i + 1))
        done
    else # anywhere: later each time, so that the run gets on
        ms=$((spent * (attempt % 5 + 2) / 16 + attempt * 7))
        sleep "$(awk "BEGIN { print $ms / 1000 }")"
    fi
    if kill -9 $pid 2>/dev/null; then kills=$((kills + 1)); fi
    wait $pid 2>/dev/null || true
done
"$agrl" train "$work/run.yaml" --set out="$work/killed" --resume 2> "$work/killed.log" || { cat "$work/killed.log"; exit 1; }
[ $kills -ge 10 ] || { echo "only $kills kills hit the run"; exit 1; }
[ "$(digest "$work/killed")" = "$want" ] || { echo "a killed and resumed run differs"; diff -r "$work/whole" "$work/killed" | head -20; exit 1; }
echo "killed $kills times and resumed: the same bytes"
