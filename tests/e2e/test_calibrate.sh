#!/bin/sh
# test_calibrate.sh: a calibration from the fit to the judge that uses it, stale ones, decisions, and the cache of judgements with several
# processes, kills and full disks.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
BOOK=$SRC/rules/shop.yaml
small_judge 900 300 "steps: 40, batch: 16, lr: 2.0e-3"
head -n 150 data/sft.jsonl > pairs.jsonl # three chunks
sed -n 151,450p data/sft.jsonl > dev.jsonl
common="--threads 1 --rules $BOOK"
# shellcheck disable=SC2086
judge() { "$AGRL" judge --model run $common --json "$@"; }
# shellcheck disable=SC2086
evaluate() { "$AGRL" eval --model run $common --answers 0 --draws 0 --json "$@"; }
# shellcheck disable=SC2086
calibrate() { "$AGRL" calibrate --model run $common --draws 100 "$@"; }
FILE=run/checkpoints/best/calibration.json

last_line() { # warnings and progress go to stderr too; what failed is said last
    tail -n 1 err > last
    mv last err
}

# METRIC [OBJECT]: its value in the JSON of stdout
value() {
    tr -d '\n' < out | sed "s/.*\"${2:-overall}\": *{//" | grep -o "\"$1\": *{\"value\": *[-0-9.e]*" | head -n 1 | sed 's/.*: *//'
}

t "a fit is printed and stored, and the same again"
judge pairs.jsonl > raw 2> /dev/null
evaluate --data dev.jsonl > out 2> /dev/null
before=$(value nll)
run 0 calibrate --data dev.jsonl --dry-run
absent $FILE
prints '^300 pairs in '
prints '^temperature  [0-9]'
prints '^Log loss '
prints '^Brier score '
prints '^Calibration error '
prints '^argmax .*stored$'
is "$(grep -c '^      0\.[1-9] ' out)" 9
cp out dry
run 0 calibrate --data dev.jsonl
cmp -s out dry || wrong "--dry-run prints something else"
grep -q 'stored in' err || wrong "$(cat err)"
cp $FILE first.json
run 0 calibrate --data dev.jsonl --json
cmp -s $FILE first.json || wrong "another calibration from the same data"
is "$(wc -l < out)" 1
is "$(value nll before)" "$before"
after=$(value nll after)
awk "BEGIN { exit !($after < $before) }" || wrong "the loss went from $before to $after"

t "eval has the figures of the fit, and the raw ones on request"
run 0 evaluate --data dev.jsonl
is "$(value nll)" "$after"
grep -q 'calibrated by' err || wrong "eval does not say that it is calibrated"
run 0 evaluate --data dev.jsonl --calibration off
is "$(value nll)" "$before"

t "the judge applies it: P' ~ exp(log P / T + b)"
run 0 judge pairs.jsonl
cp out calibrated
is "$(grep -c '"calibrated": *true' out)" 150
numbers() { sed 's/.*"probabilities": *{\([^}]*\)}.*/\1/; s/"[^"]*"://g; s/,/ /g' "$1"; }
sed -n 's/.*"temperature": *\([^,]*\),.*/\1/p' $FILE > constants
sed -n 's/.*"bias": *{\([^}]*\)}.*/\1/p' $FILE | sed 's/"[^"]*"://g; s/,/ /g' >> constants
numbers raw > raw.numbers
numbers calibrated | paste -d ' ' - raw.numbers > both
awk 'NR == FNR { if (FNR == 1) T = $1; else for (i = 1; i <= 4; i++) b[i] = $i; next }
     { z = 0; for (i = 1; i <= 4; i++) z += w[i] = exp(log($(4 + i)) / T + b[i])
       for (i = 1; i <= 4; i++) { d = w[i] / z - $i; if (d < 0) d = -d; if (d > 1e-9) bad++ } n++ }
     END { exit bad > 0 || n != 150 }' constants both || wrong "other probabilities: $(head -n 2 both)"
run 0 judge --calibration off pairs.jsonl
cmp -s out raw || wrong "--calibration off is not what it was before"

t "a stale or damaged calibration is refused"
sed 's/^version: .*/version: "99"/' "$BOOK" > other.yaml
cp -r "$SRC/rules/facts" . 2> /dev/null
run 1 "$AGRL" judge --model run --rules other.yaml pairs.jsonl
last_line
says 'another rulebook.*agrl calibrate'
silent
cp -rL run/checkpoints/best copy
run 0 "$AGRL" judge --model copy --rules "$BOOK" --threads 1 --json pairs.jsonl
cmp -s out calibrated || wrong "a copy of the folder judges otherwise"
sed 's/"mark_matches": *false/"mark_matches": true/' copy/agrl.json > agrl.json
cp agrl.json copy/agrl.json
run 1 "$AGRL" judge --model copy --rules "$BOOK" pairs.jsonl
last_line
says 'other weights or another prompt format'
cp run/checkpoints/best/agrl.json copy/agrl.json
size=$(wc -c < copy/model.safetensors)
head -c $((size - 1)) run/checkpoints/best/model.safetensors > copy/model.safetensors
printf '\101' >> copy/model.safetensors
run 1 "$AGRL" eval --model copy --rules "$BOOK" --data dev.jsonl
last_line
says 'other weights'
run 0 "$AGRL" judge --model copy --rules "$BOOK" --threads 1 --json --calibration off pairs.jsonl
cp run/checkpoints/best/model.safetensors copy/model.safetensors
head -c 100 first.json > copy/calibration.json
run 1 "$AGRL" judge --model copy --rules "$BOOK" pairs.jsonl
last_line
says 'copy/calibration.json'

t "decisions"
goods() { grep -c '"tier": *"[43]"' "$1"; }
for x in 0.2 0.5 0.8; do
    run 0 judge --decide threshold --threshold $x pairs.jsonl
    goods out >> goods
    is "$(grep -c '"decided_by": *"threshold"' out)" 150
    sed 's/"decided_by": *"threshold", *//; s/"tier": *"[0-9]"//' out > a
    sed 's/"tier": *"[0-9]"//' calibrated > b
    cmp -s a b || wrong "a decision changes more than the tier"
done
sort -rn goods | cmp -s - goods || wrong "a higher threshold calls more pairs good: $(tr '\n' ' ' < goods)"
cat > costs.yaml << 'YAML' # never praise what may be bad
"4": {"4": 0, "3": 1, "2": 1, "1": 1}
"3": {"4": 1, "3": 0, "2": 1, "1": 1}
"2": {"4": 100, "3": 100, "2": 0, "1": 1}
"1": {"4": 100, "3": 100, "2": 1, "1": 0}
YAML
run 0 judge --decide cost --costs costs.yaml pairs.jsonl
is "$(goods out)" 0
cp out cautious
run 0 "$AGRL" eval --judged cautious --rules "$BOOK" --data pairs.jsonl --draws 0 --json
cautious=$(value accuracy)
run 0 "$AGRL" eval --judged cautious --rules "$BOOK" --data pairs.jsonl --draws 0 --json --decide argmax
plain=$(value accuracy)
run 0 evaluate --data pairs.jsonl
is "$(value accuracy)" "$plain"
run 0 evaluate --data pairs.jsonl --decide cost --costs costs.yaml
is "$(value accuracy)" "$cautious"
[ "$plain" = "$cautious" ] && wrong "the decision changes no accuracy"

t "a stored decision is the judge's own"
run 0 calibrate --data dev.jsonl --decide cost --costs costs.yaml
prints '^cost .*stored$'
run 0 judge pairs.jsonl
cmp -s out cautious || wrong "the stored decision is not used"
run 0 judge --decide argmax pairs.jsonl
cmp -s out calibrated || wrong "--decide does not override it"
run 0 judge --calibration off pairs.jsonl
cmp -s out raw || wrong "--calibration off keeps the decision"
run 0 calibrate --data dev.jsonl

t "a fit on judgements made before"
run 0 judge --calibration off --out before.jsonl dev.jsonl
rm $FILE
run 0 calibrate --data dev.jsonl --judged before.jsonl
cmp -s out dry || wrong "other figures: $(diff out dry | head -n 4)"
sed 's/"\(temperature\|bias\)".*//' $FILE > a
sed 's/"\(temperature\|bias\)".*//' first.json > b
cmp -s a b || wrong "another file"
run 0 "$AGRL" calibrate --rules "$BOOK" --data dev.jsonl --judged before.jsonl --dry-run
run 2 "$AGRL" calibrate --rules "$BOOK" --data dev.jsonl --judged before.jsonl
says 'model is missing'
run 0 judge --out after.jsonl dev.jsonl
run 1 calibrate --data dev.jsonl --judged after.jsonl
last_line
says 'calibrated already'
cp first.json $FILE

t "wrong usage"
run 2 "$AGRL" calibrate --model run --rules "$BOOK"
says -- '--data'
run 2 calibrate --data dev.jsonl --threshold 0.5
says 'needs --decide threshold'
run 2 judge --decide threshold pairs.jsonl
says 'needs --threshold'
run 2 judge --decide cost pairs.jsonl
says 'needs --costs'
run 2 judge --costs costs.yaml pairs.jsonl
says 'needs --decide cost'
run 2 judge --decide luck pairs.jsonl
says 'must be one of'
run 2 judge --decide threshold --threshold 1.5 pairs.jsonl
says threshold
run 1 judge --decide cost --costs pairs.jsonl pairs.jsonl
last_line
says 'pairs.jsonl'
run 2 "$AGRL" eval --judged cautious --rules "$BOOK" --data pairs.jsonl --calibration off
says 'exclude'
head -n 20 dev.jsonl > few.jsonl
run 1 calibrate --data few.jsonl
last_line
says 'too few'
silent
cmp -s $FILE first.json || wrong "what was refused changed the calibration"
run 2 judge --cache-mb 5 pairs.jsonl
says -- '--cache'
run 2 judge --cache same --out same pairs.jsonl
says 'same file'

# --- the cache ---------------------------------------------------------------------------------------------------------

hits() { # N of 150 judgements came from the cache
    grep -q "^$1 of 150 judgements came from" err || wrong "not $1 hits: $(tail -n 1 err)"
}

t "hits are the same bytes"
for n in 0 150 150; do
    run 0 judge --cache c.db pairs.jsonl
    cmp -s out calibrated || wrong "other bytes with $n hits"
    hits $n
done
run 0 judge --cache c.db --out file.jsonl pairs.jsonl
cmp -s file.jsonl calibrated || wrong "--out gives something else"
head -n 64 pairs.jsonl > explained.jsonl
run 0 judge --explain explained.jsonl
cp out explained
for n in 0 64; do
    run 0 judge --explain --cache c.db explained.jsonl
    cmp -s out explained || wrong "other explanations with $n hits"
    grep -q "^$n of 64 " err || wrong "not $n hits: $(tail -n 1 err)"
done

t "whatever changes the judgement misses, what does not hits"
run 0 judge --cache c.db --calibration off pairs.jsonl
hits 0
cmp -s out raw || wrong "other bytes without the calibration"
run 0 judge --cache c.db --decide threshold --threshold 0.8 pairs.jsonl
hits 150
run 0 judge --decide threshold --threshold 0.8 pairs.jsonl
cp out want
run 0 judge --cache c.db --decide threshold --threshold 0.8 pairs.jsonl
cmp -s out want || wrong "another decision from the cache"
sed 's/^{"id": *"/&new-/' pairs.jsonl > renamed.jsonl
run 0 judge --cache c.db renamed.jsonl
hits 150
sed 's/"title": *"/&New /' pairs.jsonl > retitled.jsonl
run 0 judge --cache c.db retitled.jsonl
hits 0
run 0 "$AGRL" judge --model run --rules other.yaml --threads 1 --json --calibration off --cache c.db pairs.jsonl
hits 0
run 0 judge --cache c.db --dtype fp32 --calibration off pairs.jsonl
if ! cmp -s out raw; then hits 0; fi # where bf16 is the rule

t "two processes at once"
judge --cache two.db pairs.jsonl > one 2> one.err &
pid=$!
judge --cache two.db pairs.jsonl > other 2> other.err
wait $pid || wrong "the one failed: $(tail -n 1 one.err)"
for file in one other; do
    numbers $file | paste -d ' ' - both | # last digits may differ where one found some of the other's
        awk '{ for (i = 1; i <= 4; i++) { d = $i - $(4 + i); if (d > 0.01 || d < -0.01) bad++ } } END { exit bad > 0 || NR != 150 }' ||
        wrong "$file judges otherwise"
    grep -q 'warning' $file.err && wrong "$(cat $file.err)"
done
run 0 judge --cache two.db pairs.jsonl
hits 150

t "killed and called again: nothing is lost, the cache is whole"
size() { if [ -e "$1" ]; then wc -c < "$1"; else echo 0; fi; }
kills=0 attempt=0
while [ $kills -lt 2 ] && [ $attempt -lt 20 ]; do
    attempt=$((attempt + 1))
    had=$(size cut.jsonl.partial)
    # shellcheck disable=SC2086
    "$AGRL" judge --model run $common --json --cache killed.db --out cut.jsonl pairs.jsonl > /dev/null 2>&1 &
    pid=$!
    while kill -0 $pid 2> /dev/null && [ "$(size cut.jsonl.partial)" -le "$had" ]; do :; done
    kill -9 $pid 2> /dev/null
    wait $pid 2> /dev/null
    if [ -e cut.jsonl ]; then rm -f cut.jsonl killed.db*; else kills=$((kills + 1)); fi
done
[ $kills -gt 0 ] || wrong "no kill hit the run"
run 0 judge --cache killed.db --out cut.jsonl pairs.jsonl
cmp -s cut.jsonl calibrated || wrong "$(diff cut.jsonl calibrated | head -c 300)"
grep -q warning err && wrong "$(cat err)"
run 0 judge --cache killed.db pairs.jsonl
cmp -s out calibrated || wrong "other bytes from the cache of killed runs"
hits 150

t "a full disk is one warning, and the same judgements"
# What the program writes here goes through pipes: the bound is for files.
{ full_disk judge --cache full.db pairs.jsonl 2>&1 >&3 | cat > err; } 3>&1 | cat > out
cmp -s out calibrated || wrong "other bytes: $(head -c 300 out)"
is "$(grep -c 'warning: full.db' err)" 1
{ full_disk judge --cache c.db retitled.jsonl 2>&1 >&3 | cat > err; } 3>&1 | cat > out
is "$(wc -l < out)" 150
run 0 judge --cache full.db pairs.jsonl
cmp -s out calibrated || wrong "other bytes when there is room again"

t "a file that is no cache is refused and stays"
cp pairs.jsonl no.db
run 1 judge --cache no.db few.jsonl
last_line
says 'no.db: not a cache'
silent
cmp -s no.db pairs.jsonl || wrong "it was overwritten"
head -c 3000 c.db > cut.db
run 1 judge --cache cut.db few.jsonl
last_line
says 'cut.db'
run 1 judge --cache nowhere/c.db few.jsonl
last_line
says "no folder 'nowhere'"
finish
