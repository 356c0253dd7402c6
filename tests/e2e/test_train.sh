#!/bin/sh
# test_train.sh: train, eval, judge, report, generate and logprob on the starter's ten pairs, with a model that is too
# small and too little trained to be right: what counts here is what the commands do with it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
has train || {
    echo "agrl train is not there yet"
    exit 77
}
"$AGRL" init s > /dev/null 2>&1
BOOK=s/rulebook.yaml
quick='--set stages.0.epochs=3 --set stages.0.valid_every=2 --set scratch.vocab=400 --threads'
quick=${quick% --threads}

last_line() { # progress goes to stderr too; what failed is said last
    tail -n 1 err > last
    mv last err
}

t "plan"
run 0 "$AGRL" plan s/run.yaml
cat out err | grep -q 'total' || wrong "no total: $(cat out err)"

t "train"
# shellcheck disable=SC2086 # words
run 0 "$AGRL" train s/run.yaml $quick --set out=one
for file in config.yaml metrics.jsonl timing.jsonl checkpoints/best/model.safetensors checkpoints/best/config.json \
    checkpoints/best/tokenizer.json checkpoints/last/state; do
    [ -e "one/$file" ] || wrong "no one/$file"
done
find one | grep -e '\.tmp$' -e '/\.agrl' && wrong "half-written files were left"

t "two runs give the same bytes"
# shellcheck disable=SC2086
run 0 "$AGRL" train s/run.yaml $quick --set out=two
cmp -s one/metrics.jsonl two/metrics.jsonl || wrong "metrics.jsonl differs"
diff -r one/checkpoints two/checkpoints > difference 2>&1 || wrong "$(head -c 300 difference)"

t "any cut into micro-batches gives the same losses and gradients"
fields() { # loss, loss of prompts and norm of the gradient of each step
    sed -n 's/.*"loss": *\([0-9.e-]*\).*"grad_norm": *\([0-9.e-]*\).*"prompt_loss": *\([0-9.e-]*\).*/\1 \2 \3/p' "$1"
}
weights='--set stages.0.prompt_loss=0.5 --set stages.0.choice_weight=3 --set stages.0.optimizer=muon'
cuts() { # TYPE BOUND: in bf16 a hidden state can round the other way when sums are cut otherwise
    # shellcheck disable=SC2086
    run 0 "$AGRL" train s/run.yaml $quick $weights --set dtype="$1" --set out="whole-$1" --set micro_tokens=4096
    # shellcheck disable=SC2086
    run 0 "$AGRL" train s/run.yaml $quick $weights --set dtype="$1" --set out="cut-$1" --set micro_tokens=16
    fields "whole-$1/metrics.jsonl" > whole.txt
    fields "cut-$1/metrics.jsonl" > cut.txt
    [ -s whole.txt ] || wrong "no losses in metrics.jsonl: $(head -n 2 "whole-$1/metrics.jsonl")"
    paste -d ' ' whole.txt cut.txt | awk -v bound="$2" '
        { for (i = 1; i <= 3; i++) if (($i - $(i + 3)) ^ 2 > (bound * $i) ^ 2) { print "step " NR ": " $0; exit 1 } }' > far.txt ||
        wrong "$1: $(cat far.txt)"
}
cuts fp32 1e-4
cuts bf16 1e-2

t "checkpoints keep weights in the type that was asked for"
kept() { # RUN TYPE OTHER
    head -c 4000 "$1/checkpoints/best/model.safetensors" | grep -aq "\"$2\"" || wrong "$1: no $2 weights"
    head -c 4000 "$1/checkpoints/best/model.safetensors" | grep -aq "\"$3\"" && wrong "$1: $3 weights"
}
# shellcheck disable=SC2086
run 0 "$AGRL" train s/run.yaml $quick $weights --set dtype=bf16 --set save_dtype=fp32 --set out=full
kept full F32 BF16
kept whole-bf16 BF16 F32
kept whole-fp32 F32 BF16

t "train on wrong settings"
run 2 "$AGRL" train s/run.yaml --set stages.0.optimizer=muon --set lora.rank=4
says 'muon.*lora'
run 2 "$AGRL" train s/run.yaml --set stages.0.epoch=3
silent
says "did you mean 'epochs'"
run 2 "$AGRL" train s/run.yaml --set seed=x
says seed
sed 's/preset: nano/presett: nano/' s/run.yaml > s/bad.yaml
run 2 "$AGRL" train s/bad.yaml
says 'bad.yaml:[0-9]*:[0-9]*: .*preset'
run 1 "$AGRL" train missing.yaml
says missing.yaml
run 2 "$AGRL" train
says 'RUN'
absent s/run

run 2 "$AGRL" train s/run.yaml --set data.valid=s/pairs.jsonl --set kv_slots=64 --set out=small
last_line
says 'kv_slots: 64 is too small'

t "train on bad pairs"
{
    head -n 3 s/pairs.jsonl
    echo '{"query": "a"'
} > s/bad.jsonl
run 1 "$AGRL" train s/run.yaml --set data.train=s/bad.jsonl --set out=three
last_line
says 'bad.jsonl:4'
[ -e three/checkpoints/best ] && wrong "a checkpoint that looks whole"
sed 's/"tier": "4"/"tier": "5"/' s/pairs.jsonl > s/bad.jsonl
run 1 "$AGRL" train s/run.yaml --set data.train=s/bad.jsonl --set out=three
last_line
says 'bad.jsonl:1'

t "train on a full disk"
# shellcheck disable=SC2086
run 1 full_disk "$AGRL" train s/run.yaml $quick --set out=four
last_line
says .
[ -e four/checkpoints/best ] && wrong "a checkpoint that looks whole"

t "eval"
run 0 "$AGRL" eval --model one --rules $BOOK --data s/pairs.jsonl --draws 50 --out numbers.json --report report.html
prints Accuracy
[ -s numbers.json ] || wrong "no numbers.json"
grep -q '</html>' report.html || wrong "no whole report.html"
grep -E 'src="https?:|href="https?:|@import' report.html && wrong "the report wants a network"
run 0 "$AGRL" eval --model one --rules $BOOK --data s/pairs.jsonl --draws 50 --json
prints '^{'
run 0 "$AGRL" eval --model one --rules $BOOK --data - --draws 0 < s/pairs.jsonl

t "eval on bad input keeps what was there"
echo old > old
run 1 "$AGRL" eval --model one --rules $BOOK --data s/bad.jsonl --out old
last_line
says 'bad.jsonl:1'
is "$(cat old)" old
run 1 "$AGRL" eval --model missing --rules $BOOK --data s/pairs.jsonl
last_line
says missing
run 2 "$AGRL" eval --model one --rules $BOOK
says -- '--data'
run 1 full_disk "$AGRL" eval --model one --rules $BOOK --data s/pairs.jsonl --draws 0 --out old
last_line
says old
is "$(cat old)" old

t "judge"
run 0 "$AGRL" judge --model one --rules $BOOK --json s/pairs.jsonl
is "$(wc -l < out)" 10
prints '"probabilities"'
cp out judged
run 0 "$AGRL" judge --model one --rules $BOOK - < s/pairs.jsonl
cmp -s out judged || wrong "a pipe gives something else"
run 0 "$AGRL" judge --model one --rules $BOOK --explain s/pairs.jsonl
is "$(wc -l < out)" 10
prints '"verdicts"'
run 0 "$AGRL" judge --model one --rules $BOOK --explain --pretty s/pairs.jsonl
prints 'red leather boots'

t "judge goes on where it stopped, and judges no line twice"
run 0 "$AGRL" judge --model one --rules $BOOK --out half.jsonl s/pairs.jsonl
cmp -s half.jsonl judged || wrong "a file gives something else"
rm half.jsonl
head -n 4 judged > half.jsonl.partial
head -n 5 judged | tail -n 1 | head -c 20 >> half.jsonl.partial
run 0 "$AGRL" judge --model one --rules $BOOK --out half.jsonl s/pairs.jsonl
cmp -s half.jsonl judged || wrong "$(diff half.jsonl judged | head -c 300)"

t "judge never goes on with the lines of another run, and writes pipes and links as they are"
head -n 4 judged > half.jsonl.partial
printf 'model other\n' > half.jsonl.partial.of
mv half.jsonl half.before
run 2 "$AGRL" judge --model one --rules $BOOK --out half.jsonl s/pairs.jsonl
says 'half.jsonl.partial was begun with another'
rm half.jsonl.partial half.jsonl.partial.of
run 0 "$AGRL" judge --model one --rules $BOOK --out half.jsonl s/pairs.jsonl
absent half.jsonl.partial.of
mkfifo pipe
cat pipe > through &
run 0 "$AGRL" judge --model one --rules $BOOK --out pipe s/pairs.jsonl
wait
cmp -s through judged || wrong "a pipe got something else"
[ -p pipe ] || wrong "the pipe is gone"
echo old > target
ln -s target link
run 0 "$AGRL" judge --model one --rules $BOOK --out link s/pairs.jsonl
cmp -s target judged || wrong "the link's target is not written"
[ -L link ] || wrong "the link is gone"

t "no output over an input, and no work for a place that cannot be written"
cp s/pairs.jsonl mine.jsonl
run 2 "$AGRL" judge --model one --rules $BOOK --out mine.jsonl mine.jsonl
says 'mine.jsonl'
run 2 "$AGRL" eval --model one --rules $BOOK --data mine.jsonl --out mine.jsonl
run 2 "$AGRL" eval --model one --rules $BOOK --data mine.jsonl --out x --report x
cmp -s mine.jsonl s/pairs.jsonl || wrong "the labels are lost"
run 1 "$AGRL" judge --model one --rules $BOOK --out s mine.jsonl
says 'is a folder'
run 1 "$AGRL" eval --model one --rules $BOOK --data mine.jsonl --report none/report.html
says "no folder 'none'"

t "a team of one thread gives the same numbers"
printf '{"text": "red leather boots for the judge"}\n' > few
run 0 "$AGRL" logprob --model one --threads 2 few
cp out many
OMP_THREAD_LIMIT=1 OMP_DYNAMIC=true "$AGRL" logprob --model one --threads 2 few > out 2> err
cmp -s out many || wrong "$(cat out many)"

t "judge on bad input"
{
    head -n 2 s/pairs.jsonl
    echo '{"query": 1}'
} > bad.jsonl
run 1 "$AGRL" judge --model one --rules $BOOK bad.jsonl
last_line
says 'bad.jsonl:3'
if [ -c /dev/full ]; then
    "$AGRL" judge --model one --rules $BOOK s/pairs.jsonl > /dev/full 2> err
    is $? 1
    last_line
    says "standard output"
fi

t "report"
run 0 "$AGRL" report one --metrics numbers.json
grep -q '</html>' one/report.html || wrong "no whole report.html"
run 1 "$AGRL" report missing
last_line
says missing

GGUF=$SRC/tests/golden/models/llama-mixed.gguf
t "logprob"
printf '{"text": "in the end"}\n{"tokens": [4, 5, 6]}\n' > texts
run 0 "$AGRL" logprob --model "$GGUF" texts
is "$(wc -l < out)" 2
prints '"tokens": *\[4, *5, *6\]'
cp out lines
run 0 "$AGRL" logprob --model "$GGUF" - < texts
cmp -s out lines || wrong "a pipe gives something else"
echo '{"tokens": [4, 999999]}' > bad
run 1 "$AGRL" logprob --model "$GGUF" bad
last_line
says 'bad:1'
run 1 "$AGRL" generate --model "$GGUF" bad
last_line
says 'bad:1'
echo 'in the end' > bad
run 1 "$AGRL" logprob --model "$GGUF" bad
last_line
says 'bad:1'

t "generate"
run 0 "$AGRL" generate --model "$GGUF" --max-new 5 texts
is "$(wc -l < out)" 2
run 0 "$AGRL" generate --model "$GGUF" --max-new 5 --temperature 1 --samples 3 --seed 9 texts
is "$(wc -l < out)" 6
cp out drawn
run 0 "$AGRL" generate --model "$GGUF" --max-new 5 --temperature 1 --samples 3 --seed 9 texts
cmp -s out drawn || wrong "the same seed drew something else"
run 1 "$AGRL" generate --model "$GGUF" bad
last_line
says 'bad:1'

finish
