#!/bin/sh
# test_judge.sh: judging and measuring with a model of six steps on a small synthetic shop: what a line holds, a stopped run that
# goes on, judgements that are measured later.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
has judge || {
    echo "agrl judge is not there yet"
    exit 77
}
BOOK=$SRC/rules/shop.yaml
small_judge 900 300 "steps: 6, batch: 4, lr: 1.0e-3"
head -n 150 data/sft.jsonl > pairs.jsonl # three chunks
judge() { "$AGRL" judge --model run --rules "$BOOK" --threads 1 "$@"; }
evaluate() { "$AGRL" eval --model run --rules "$BOOK" --threads 1 "$@"; }

last_line() { # warnings and progress go to stderr too; what failed is said last
    tail -n 1 err > last
    mv last err
}

t "one line a pair, probabilities that sum to 1"
run 0 judge --json pairs.jsonl
cp out judged
is "$(wc -l < judged)" 150
sed 's/^{"id": *"\([^"]*\)".*/\1/' pairs.jsonl > want
sed 's/^{"id": *"\([^"]*\)".*/\1/' judged > got
cmp -s want got || wrong "other pairs, or another order"
sed 's/.*"probabilities": *{\([^}]*\)}.*/\1/; s/"[^"]*"://g; s/,/ /g' judged |
    awk '{ s = 0; for (i = 1; i <= NF; i++) { if ($i < 0 || $i > 1) bad++; s += $i } if (NF < 2 || s < 0.999999 || s > 1.000001) bad++ }
         END { exit bad > 0 }' || wrong "probabilities: $(head -n 1 judged)"
is "$(grep -c '"asked_source": *"given"' judged)" "$(grep -vc '"asked_source": *"parsed"' pairs.jsonl)"
grep -q '"verdicts"' judged && wrong "verdicts without --explain"

t "a pipe, and a file by --out, give the same"
run 0 judge --json - < pairs.jsonl
cmp -s out judged || wrong "a pipe gives something else"
run 0 judge --out file.jsonl pairs.jsonl
silent
cmp -s file.jsonl judged || wrong "a file gives something else"
absent file.jsonl.partial

t "--explain adds verdicts"
head -n 20 pairs.jsonl > few.jsonl
run 0 judge --json --explain few.jsonl
is "$(wc -l < out)" 20
is "$(grep -c '"format": *true.*"verdicts": *{' out)" 20
is "$(grep -c '"rule"' out)" 20
is "$(grep -c '"probabilities"' out)" 20
run 0 judge --pretty --explain few.jsonl
is "$(grep -c '^  tier ' out)" 20
is "$(grep -c '^    rule ' out)" 20

t "a stopped run goes on behind its last whole line"
head -n 70 judged > half.jsonl.partial
sed -n 71p judged | head -c 40 >> half.jsonl.partial
sed -i '3s/"gain":/"gain" :/' half.jsonl.partial # a mark: this line is not written again
run 0 judge --out half.jsonl pairs.jsonl
sed '3s/"gain" :/"gain":/' half.jsonl > plain
cmp -s plain judged || wrong "$(diff plain judged | head -c 300)"
cmp -s half.jsonl judged && wrong "the lines that were there are written again"
absent half.jsonl.partial

t "killed and called again: every pair once"
size() { if [ -e "$1" ]; then wc -c < "$1"; else echo 0; fi; }
kills=0 attempt=0
while [ $kills -lt 2 ] && [ $attempt -lt 20 ]; do
    attempt=$((attempt + 1))
    had=$(size cut.jsonl.partial)
    "$AGRL" judge --model run --rules "$BOOK" --threads 1 --out cut.jsonl pairs.jsonl > /dev/null 2>&1 &
    pid=$!
    while kill -0 $pid 2> /dev/null && [ "$(size cut.jsonl.partial)" -le "$had" ]; do :; done
    kill -9 $pid 2> /dev/null
    wait $pid 2> /dev/null
    if [ -e cut.jsonl ]; then rm cut.jsonl; else kills=$((kills + 1)); fi
done
[ $kills -gt 0 ] || wrong "no kill hit the run"
run 0 judge --out cut.jsonl pairs.jsonl
cmp -s cut.jsonl judged || wrong "$(diff cut.jsonl judged | head -c 300)"

t "a partial file that is not ours"
echo '{"query": "boots"}' > odd.jsonl.partial
run 1 judge --out odd.jsonl pairs.jsonl
last_line
says 'odd.jsonl.partial:1'
is "$(cat odd.jsonl.partial)" '{"query": "boots"}'
[ -e odd.jsonl ] && wrong "a result from a file that is not ours"

t "eval"
run 0 evaluate --data pairs.jsonl --draws 20 --answers 4 --out numbers.json --report report.html
prints Accuracy
prints NDCG
grep -q '</html>' report.html || wrong "no whole report.html"
run 0 evaluate --data pairs.jsonl --draws 20 --answers 4 --json
tr -d ' \n' < out > a
tr -d ' \n' < numbers.json > b
cmp -s a b || wrong "--json and --out differ"

t "eval of judgements made before"
run 0 evaluate --data pairs.jsonl --draws 20 --answers 0 --out numbers.json
run 0 "$AGRL" eval --judged judged --rules "$BOOK" --data pairs.jsonl --draws 20 --out later.json
for metric in accuracy ndcg nll; do
    grep -o "\"$metric\": *{[^}]*}" numbers.json | head -n 1 > a
    grep -o "\"$metric\": *{[^}]*}" later.json | head -n 1 > b
    [ -s a ] || wrong "no $metric in $(head -c 400 numbers.json)"
    cmp -s a b || wrong "$(cat a b)"
done
run 1 "$AGRL" eval --judged few.jsonl --rules "$BOOK" --data pairs.jsonl
last_line
says 'few.jsonl:1'
head -n 100 judged > short
run 1 "$AGRL" eval --judged short --rules "$BOOK" --data pairs.jsonl
last_line
says '50 of 150'
cat judged short > twice
run 1 "$AGRL" eval --judged twice --rules "$BOOK" --data pairs.jsonl
last_line
says 'twice:151.*judged twice'
run 2 "$AGRL" eval --judged judged --model run --rules "$BOOK" --data pairs.jsonl
says 'exclude'

t "eval against another judge of the same pairs"
sed 's/\("id":"[^"]*","tier":"\)[^"]*/\14/; s/"p":{[^}]*}/"p":{"4":0.7,"3":0.1,"2":0.1,"1":0.1}/' judged > fours
run 0 "$AGRL" eval --judged judged --against fours --rules "$BOOK" --data pairs.jsonl --draws 50 --out against.json --report against.html
prints 'Against fours'
grep -q 'id="against"' against.html || wrong "not in the report"
run 0 "$AGRL" eval --judged fours --rules "$BOOK" --data pairs.jsonl --draws 0 --out fours.json
number() { tr -d ' \n' < "$1" | sed "s/^{*.*\"$2\":{/{/" | grep -o "\"accuracy\":{[^}]*" | head -n 1 | sed "s/.*\"$3\":\([0-9.e-]*\).*/\1/"; }
[ "$(number fours.json overall value)" = "$(number against.json against other)" ] ||
    wrong "accuracy of the other: $(number fours.json overall value), $(number against.json against other)"
[ "$(number against.json overall value)" = "$(number against.json against value)" ] || wrong "its own accuracy differs"
[ "$(number against.json against other)" != "$(number against.json against value)" ] || wrong "nothing to tell apart"
run 0 "$AGRL" eval --judged judged --against judged --rules "$BOOK" --data pairs.jsonl --draws 50 --out same.json
tr -d ' \n' < same.json | grep -q '"against":.*"accuracy":{[^}]*"difference":0.0,[^}]*"p":1.0' || wrong "a judge against itself: $(grep -A12 against same.json | head -c 500)"
run 0 "$AGRL" eval --judged judged --judged fours --against fours --against judged --rules "$BOOK" --data pairs.jsonl --draws 50 --out runs.json
prints 'Against fours: means over 2 and 2 runs'
tr -d ' \n' < runs.json | grep -q '"against":.*"accuracy":{[^}]*"difference":0.0,' || wrong "the same runs in another order differ"
run 2 "$AGRL" eval --judged judged --judged fours --rules "$BOOK" --data pairs.jsonl
says 'several --judged'
run 2 "$AGRL" eval --judged judged --against fours --rules "$BOOK" --data pairs.jsonl --draws 0
says 'needs --draws'
run 1 "$AGRL" eval --judged judged --against short --rules "$BOOK" --data pairs.jsonl
says '50 of 150'

t "report"
run 0 "$AGRL" report run --metrics numbers.json
grep -q '</html>' run/report.html || wrong "no whole report.html"

t "bad input"
run 2 "$AGRL" judge --model run pairs.jsonl
silent
says -- '--rules'
run 2 "$AGRL" judge --rules "$BOOK" pairs.jsonl
says -- '--model'
run 2 judge --json --pretty pairs.jsonl
says 'exclude'
run 1 "$AGRL" judge --model missing --rules "$BOOK" pairs.jsonl
silent
says missing
run 1 judge missing.jsonl
last_line
says missing.jsonl
run 2 "$AGRL" eval --model run --data pairs.jsonl
says -- '--rules'
run 2 evaluate
says -- '--data'
{
    head -n 3 pairs.jsonl
    echo '{"query": "boots", "item": '
} > bad.jsonl
run 1 judge bad.jsonl
last_line
says 'bad.jsonl:4'
run 1 judge --out bad.out bad.jsonl
[ -e bad.out ] && wrong "a result from a damaged file"
run 1 evaluate --data bad.jsonl
last_line
says 'bad.jsonl:4'

finish
