#!/bin/sh
# test_kill_resume.sh: two runs of the same settings give the same bytes; a run killed with SIGKILL at ten instants, some of them
# inside a checkpoint write, and resumed each time, ends with the bytes of one that never stopped.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
"$AGRL" synth --rules "$SRC/rules/shop.yaml" --out data --pairs 400 --products 300 --seed 3 --quiet 2> synth.log
cat > run.yaml << YAML
scratch: {preset: nano, vocab: 600}
rules: $SRC/rules/shop.yaml
data: {train: data/sft.jsonl, valid: data/valid.jsonl, lexicon: data/lexicon.json}
prompt: {rules: false}
out: run
threads: 1
kv_slots: 4096
valid: {pairs: 8, answers: 2}
micro_tokens: 1024
recompute: none
hints: {share: 0.3}
stages:
  - {method: sft, steps: 80, batch: 4, lr: 1.0e-3, checkpoint_every: 3, valid_every: 20}
  - {method: sft, steps: 40, batch: 4, lr: 5.0e-4, checkpoint_every: 3}
YAML

now() { date +%s%N; }

t "the same settings, the same bytes"
begin=$(now)
run 0 "$AGRL" train run.yaml --set out=whole
spent=$((($(now) - begin) / 1000000))
run 0 "$AGRL" train run.yaml --set out=again
[ "$(digest whole)" = "$(digest again)" ] || wrong "two runs differ: $(diff -rq whole again | head -5)"

t "killed ten times and resumed, the same bytes"
begin=$(now)
run 0 "$AGRL" train run.yaml --set out=again --resume # nothing is left to do: what starting costs
start=$((($(now) - begin) / 1000000))
kills=0 attempt=0
while [ $kills -lt 10 ] && [ $attempt -lt 80 ]; do
    attempt=$((attempt + 1))
    "$AGRL" train run.yaml --set out=killed --resume > out 2> err &
    pid=$!
    if [ $((attempt % 3)) -eq 0 ]; then # while a checkpoint is written aside
        i=0
        while [ $i -lt 5000 ] && kill -0 $pid 2> /dev/null; do
            case $(ls -a killed/checkpoints 2> /dev/null) in *.tmp*) break ;; esac
            i=$((i + 1))
        done
    else # anywhere, later each time so that the run gets on
        sleep "$(awk "BEGIN { print ($start + $spent * ($attempt % 5 + 1) / 60) / 1000 }")"
    fi
    if kill -9 $pid 2> /dev/null; then kills=$((kills + 1)); fi
    wait $pid 2> /dev/null
done
run 0 "$AGRL" train run.yaml --set out=killed --resume
[ $kills -ge 10 ] || wrong "only $kills kills hit the run"
[ "$(digest whole)" = "$(digest killed)" ] || wrong "a killed run differs: $(diff -rq whole killed | head -5)"

t "the run's own config.yaml continues it"
run 0 "$AGRL" train killed/config.yaml --resume

t "stopped by a signal and resumed, the same bytes"
"$AGRL" train run.yaml --set out=stopped > out 2> err &
pid=$!
sleep "$(awk "BEGIN { print ($start + $spent / 3) / 1000 }")"
if [ -r /proc/$pid/status ]; then # no thread runs a handler: the libraries' generated code does not survive one
    for status in /proc/$pid/task/*/status; do
        caught=$(sed -n 's/^SigCgt:.*\(....\)$/\1/p' "$status")
        case $caught in '' | [012389ab]??[014589cd]) ;; *) wrong "SIGINT or SIGTERM has a handler: $caught" ;; esac
    done
fi
kill -TERM $pid 2> /dev/null || wrong "the run ended before it was stopped"
wait $pid
is $? 1
tail -n 1 err > last
mv last err
says 'stopped at step [0-9]*; continue with: agrl train stopped/config.yaml --resume'
run 0 "$AGRL" train run.yaml --set out=stopped --resume
[ "$(digest whole)" = "$(digest stopped)" ] || wrong "differs: $(diff -rq whole stopped | head -5)"

finish
