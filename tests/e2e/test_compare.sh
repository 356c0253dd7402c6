#!/bin/sh
# test_compare.sh: methods with two seeds on the starter's ten pairs: the table says what the JSON says, what is done is not done again,
# a comparison that was killed ends as one that was not, changed and wrong plans are refused before anything is trained.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
OMP_NUM_THREADS=1
export OMP_NUM_THREADS
"$AGRL" init s > /dev/null 2>&1
cat > s/sft.yaml << 'YAML'
scratch: {preset: nano, vocab: 400}
rules: rulebook.yaml
data: {train: pairs.jsonl}
out: sft
threads: 1
dtype: fp32
stages:
  - {method: sft, steps: 75, batch: 10, lr: 6.0e-3}
YAML
cat > s/rl.yaml << 'YAML'
model: start
rules: rulebook.yaml
data: {train: pairs.jsonl, valid: pairs.jsonl}
out: unused
threads: 1
dtype: fp32
stages:
  - {method: rrs, steps: 4, batch: 4, group: 4, lr: 5.0e-4, warmup: 0.3, refills: 1, valid_every: 2, checkpoint_every: 1}
YAML
cat > s/plan.yaml << 'YAML'
run: rl.yaml
out: ../cmp
test: pairs.jsonl
seeds: [1, 2]
slice: rule=R6
draws: 500
against: grpo
methods:
  - sft
  - verdicts
  - grpo
  - {name: rrs-soft, method: rrs, gate_soft: 0.5}
YAML
run 0 "$AGRL" train s/sft.yaml --set out=start

elsewhere() { # OUT: the plan with another folder
    sed "s|^out:.*|out: ../$1|" s/plan.yaml > "s/$1.yaml"
}

# ROW GROUP KEY FILE: a mean out of compare.json
mean() {
    awk -v row="$1" -v group="$2" -v key="$3" '
    /^  "rows": / {
        n = split($0, rows, "{\"name\":")
        for (i = 2; i <= n; i++) {
            text = rows[i]
            if (index(text, "\"" row "\"") != 1) continue
            text = substr(text, index(text, "\"" group "\":{"))
            text = substr(text, index(text, "\"" key "\":{\"mean\":") + length(key) + 11)
            sub(/[,}].*/, "", text)
            print text
            exit
        }
    }' "$4"
}

t "a plan becomes a table, JSON and a page"
run 0 "$AGRL" compare s/plan.yaml
mv out table.txt
cp cmp/compare.json first.json
prints_table() { # ROW COLUMN: a number of the table without its mark
    awk -v row="$1" -v column="$2" '/^Difference/ { exit } $1 == row { sub(/\*/, "", $column); print $column; exit }' table.txt
}
for row in sft verdicts grpo rrs-soft; do
    column=2
    for key in tested/slice tested/rest tested/all metrics/macro_f1 metrics/self_consistency metrics/adherence metrics/format \
        metrics/accuracy metrics/copy_rate; do
        want=$(mean $row "${key%/*}" "${key#*/}" cmp/compare.json | awk '{ printf "%.3f", $1 }')
        is "$row $key $(prints_table $row $column)" "$row $key $want"
        column=$((column + 1))
    done
done
awk 'length($0) > 110 && !/\// { print NR ": " $0; exit 1 }' table.txt > wide.txt || wrong "wide: $(cat wide.txt)"
grep -q '^Smallest detectable difference: rule=R6 ' table.txt || wrong "no detectable difference: $(cat table.txt)"
grep -q '10 pairs in 4 query groups, 500 bootstrap draws' table.txt || wrong "pairs, groups and draws: $(tail -5 table.txt)"
is "$(tail -n 1 table.txt)" cmp/report.html
for id in methods tests slices stability costs plan; do
    grep -q "<section id=\"$id\">" cmp/report.html || wrong "the page has no $id"
done
run 0 "$AGRL" compare s/plan.yaml --json
is "$(wc -l < out)" 1
is "$(tr -d ' \n' < out)" "$(tr -d ' \n' < cmp/compare.json)"

t "each cell is a run and its judgements"
for cell in grpo/seed-1 grpo/seed-2 rrs-soft/seed-1 rrs-soft/seed-2 start; do
    is "$cell $(wc -l < cmp/$cell/judged.jsonl)" "$cell 10"
    is "$cell $(grep -c '"hinted":' cmp/$cell/judged.jsonl)" "$cell 10"
    [ "$cell" = start ] || [ -f cmp/$cell/checkpoints/last/model.safetensors ] || wrong "$cell has no model"
done
grep -q '^seed: 2$' cmp/grpo/seed-2/config.yaml || wrong "seed 2 is $(grep ^seed: cmp/grpo/seed-2/config.yaml)"
grep -q 'gate_soft: 0.5' cmp/rrs-soft/seed-1/config.yaml || wrong "a row's own setting is lost"
grep -q 'gate_soft: 0.5' cmp/grpo/seed-1/config.yaml && wrong "a row's own setting is another's"
cmp -s cmp/grpo/seed-1/judged.jsonl cmp/grpo/seed-2/judged.jsonl && wrong "two seeds judge alike"

t "what eval says of the same checkpoint"
run 0 "$AGRL" eval --model cmp/grpo/seed-2/checkpoints/last --rules s/rulebook.yaml --data s/pairs.jsonl --dtype fp32 --draws 0 --json
sed 's/.*"overall":{//; s/"queries".*//' out > overall.txt
sed 's/.*"compliant":{"value":\([0-9.]*\).*/\1/' overall.txt > eval.txt
awk '/^  "rows"/ { sub(/.*"name":"grpo"/, ""); sub(/.*/, substr($0, index($0, "\"all\":"))); print }' cmp/compare.json |
    sed 's/^"all":{[^[]*"values":\[[0-9.]*,\([0-9.]*\)\].*/\1/' > compare.txt
is "$(cat compare.txt)" "$(cat eval.txt)"

t "verdicts: tier and rule follow from the start's own verdicts"
format=$(mean sft metrics format cmp/compare.json)
is "$(mean verdicts metrics format cmp/compare.json)" "$format"
is "$(mean verdicts metrics self_consistency cmp/compare.json)" "$format"
awk "BEGIN { exit !($(mean sft metrics self_consistency cmp/compare.json) < $format) }" || wrong "the start breaks no gate: the test says nothing"

t "what is done stays done"
before=$(find cmp -path '*seed-*' -type f -exec sha256sum {} + | LC_ALL=C sort | sha256sum)
run 0 "$AGRL" compare s/plan.yaml --report page.html
is "$(tail -n 1 out)" page.html
[ -s page.html ] || wrong "no page"
is "$(cat err)" "5 of 5 cells are done"
is "$(find cmp -path '*seed-*' -type f -exec sha256sum {} + | LC_ALL=C sort | sha256sum)" "$before"
cmp -s cmp/compare.json first.json || wrong "compare.json differs"
run 0 "$AGRL" compare cmp/plan.yaml
cmp -s cmp/compare.json first.json || wrong "the resolved plan gives another compare.json"
run 0 env OMP_NUM_THREADS=3 "$AGRL" compare s/plan.yaml --report threads.html
cmp -s cmp/compare.json first.json || wrong "three threads give another compare.json"
cmp -s page.html threads.html || wrong "three threads give another page"

t "judgements that are damaged are refused, the first in the table's order"
for cell in grpo/seed-2 rrs-soft/seed-1; do
    mv cmp/$cell/judged.jsonl cmp/$cell/whole
    sed 3d cmp/$cell/whole > cmp/$cell/judged.jsonl
done
for threads in 1 3; do
    run 1 env OMP_NUM_THREADS=$threads "$AGRL" compare s/plan.yaml --report none.html
    sed -i 1d err # how many cells are done
    says 'cmp/grpo/seed-2/judged.jsonl:3: .* should stand here'
    absent none.html
done
head -n 9 cmp/grpo/seed-2/whole > cmp/grpo/seed-2/judged.jsonl
run 1 "$AGRL" compare s/plan.yaml
sed -i 1d err
says 'cmp/grpo/seed-2/judged.jsonl: 9 lines for 10 test pairs'
for cell in grpo/seed-2 rrs-soft/seed-1; do mv cmp/$cell/whole cmp/$cell/judged.jsonl; done

t "killed and continued, the same numbers"
elsewhere killed
kills=0 attempt=0
while [ $kills -lt 4 ] && [ $attempt -lt 30 ]; do
    attempt=$((attempt + 1))
    "$AGRL" compare s/killed.yaml > out 2> err &
    pid=$!
    before=$(find killed -name 'step-*' -o -name judged.jsonl 2> /dev/null | wc -l) i=0
    while [ $i -lt 3000 ] && kill -0 $pid 2> /dev/null; do
        [ "$(find killed -name 'step-*' -o -name judged.jsonl 2> /dev/null | wc -l)" -gt $((before + attempt % 3)) ] && break
        i=$((i + 1))
    done
    if kill -9 $pid 2> /dev/null; then kills=$((kills + 1)); fi
    wait $pid 2> /dev/null
done
[ $kills -ge 4 ] || wrong "only $kills kills hit the comparison"
[ -e killed/compare.json ] && wrong "a comparison that was killed has a result"

t "stopped by a signal and continued"
"$AGRL" compare s/killed.yaml > out 2> err &
pid=$!
i=0
before=$(find killed -name 'step-*' | wc -l)
while [ $i -lt 3000 ] && kill -0 $pid 2> /dev/null && [ "$(find killed -name 'step-*' | wc -l)" -le "$before" ]; do i=$((i + 1)); done
kill -TERM $pid 2> /dev/null || wrong "it ended before it was stopped"
wait $pid
is $? 1
tail -n 1 err > last
mv last err
says 'stopped at .*, seed [12] ([0-9] of 5); the same command goes on from there'
run 0 "$AGRL" compare s/killed.yaml
cmp -s killed/compare.json first.json || wrong "compare.json differs from that of a comparison never stopped"

t "several cells at once, the same numbers"
elsewhere several
"$AGRL" compare s/several.yaml --jobs 3 > out 2> err &
pid=$!
i=0
while [ $i -lt 3000 ] && kill -0 $pid 2> /dev/null && [ "$(find several -name 'step-*' 2> /dev/null | wc -l)" -lt 2 ]; do i=$((i + 1)); done
kill -TERM $pid 2> /dev/null || wrong "it ended before it was stopped"
wait $pid
is $? 1
tail -n 1 err > last
mv last err
says 'stopped with [0-4] of 5 cells done; the same command goes on from there'
run 0 "$AGRL" compare s/several.yaml --jobs 2 --cards 2
cmp -s several/compare.json first.json || wrong "compare.json differs from that of one cell at a time"
for cell in grpo/seed-1 rrs-soft/seed-2; do
    [ "$(digest cmp/$cell)" = "$(digest several/$cell)" ] || wrong "$cell differs: $(diff -rq cmp/$cell several/$cell | head -5)"
done
sed 's/gate_soft: 0.5/data.valid: broken.jsonl/; s|^out:.*|out: ../none|' s/plan.yaml > s/bad.yaml
echo '{' > s/broken.jsonl
run 1 "$AGRL" compare s/bad.yaml --jobs 2
says "row 'rrs-soft': .*broken.jsonl:1"
absent none

t "a changed plan is refused, a longer one goes on"
refuse() { # CODE TEXT COMMAND...: one line, and nothing is trained
    code=$1 text=$2
    shift 2
    run "$code" "$@"
    silent
    says "$text"
    absent none
}
refuse 2 'a cell works on one card; give --jobs 3 or more' "$AGRL" compare s/bad.yaml --jobs 2 --cards 3
refuse 2 'CUDA_VISIBLE_DEVICES names 1' env CUDA_VISIBLE_DEVICES=4 "$AGRL" compare s/bad.yaml --jobs 2 --cards 2
refuse 2 'cmp/grpo/seed-1 was made with other settings' "$AGRL" compare s/plan.yaml --set stages.0.lr=1e-4
sed 's/^limit.*//; $a limit: 9' s/plan.yaml > s/limit.yaml
refuse 2 'start/judged.jsonl was made with other test pairs' "$AGRL" compare s/limit.yaml
sed 's/^seeds.*/seeds: [1, 2, 3]/' s/plan.yaml > s/more.yaml
run 0 "$AGRL" compare s/more.yaml
grep -q '^5 of 7 cells are done' err || wrong "$(head -1 err)"
[ -d cmp/grpo/seed-3 ] || wrong "no third seed"
cp -r cmp/grpo/seed-1 other 2> /dev/null
mkdir -p none2/grpo
mv other none2/grpo/seed-1
rm none2/grpo/seed-1/cell.json
elsewhere none2
refuse 2 'none2/grpo/seed-1 holds a run that no comparison made' "$AGRL" compare s/none2.yaml

t "checkpoints go when they are not to be kept"
elsewhere lean
printf 'keep: false\ncheckpoint: best\n' >> s/lean.yaml
sed 's/^seeds.*/seeds: [5]/; /verdicts/d; /rrs-soft/d' s/lean.yaml > s/lean1.yaml
run 0 "$AGRL" compare s/lean1.yaml
absent lean/grpo/seed-5/checkpoints
[ -f lean/grpo/seed-5/metrics.jsonl ] || wrong "the log is gone too"
run 0 "$AGRL" compare s/lean1.yaml
is "$(cat err)" "2 of 2 cells are done"

t "wrong plans are refused with a place, and nothing is trained"
plan() { # SED: a plan that is wrong in one way
    sed "s|^out:.*|out: ../none|; $1" s/plan.yaml > s/bad.yaml
}
plan 's/^test:/tests:/'
refuse 2 "s/bad.yaml:3:1: unknown key 'tests'; did you mean 'test'?" "$AGRL" compare s/bad.yaml
plan 's/- grpo$/- grpoo/; s/^against.*/against: sft/'
refuse 2 "s/bad.yaml:11:5: unknown method 'grpoo'; did you mean 'grpo'? known: sft, verdicts, " "$AGRL" compare s/bad.yaml
plan 's/^seeds.*/seeds: []/'
refuse 2 's/bad.yaml:4:8: seeds must be a list with at least one number' "$AGRL" compare s/bad.yaml
plan 's/^seeds.*/seeds: [1, 2, 1]/'
refuse 2 's/bad.yaml:4:15: seed 1 is given twice' "$AGRL" compare s/bad.yaml
plan 's/^seeds.*/seeds: [1, x]/'
refuse 2 's/bad.yaml:4:12: a seed must be' "$AGRL" compare s/bad.yaml
plan 's/^against.*/against: gropo/'
refuse 2 "s/bad.yaml:7:10: against names no row: 'gropo'; did you mean 'grpo'?" "$AGRL" compare s/bad.yaml
plan 's/^slice.*/slice: rule=R61/'
refuse 2 "s/bad.yaml:5:8: none of the 10 test pairs is in slice 'rule=R61'; did you mean 'rule=R6'?" "$AGRL" compare s/bad.yaml
plan 's/^slice.*/slice: R6/'
refuse 2 's/bad.yaml:5:8: slice must be NAME=VALUE' "$AGRL" compare s/bad.yaml
plan 's/^slice.*/metric: complaint/'
refuse 2 "unknown metric 'complaint'; did you mean 'compliant'?" "$AGRL" compare s/bad.yaml
plan 's/^slice.*/checkpoint: first/'
refuse 2 'checkpoint must be last or best' "$AGRL" compare s/bad.yaml
plan 's/gate_soft: 0.5/gate_sof: 0.5/'
refuse 2 "s/bad.yaml:12:35: unknown setting 'gate_sof'; did you mean 'gate_soft'?" "$AGRL" compare s/bad.yaml
plan 's/gate_soft: 0.5/gate_soft: 5/'
refuse 2 "s/bad.yaml:12:5: row 'rrs-soft': gate_soft must be between 0 and 1" "$AGRL" compare s/bad.yaml
plan 's/gate_soft: 0.5/choice_weight: 2/'
refuse 2 "row 'rrs-soft': method rrs has no setting 'choice_weight'" "$AGRL" compare s/bad.yaml
plan 's/gate_soft: 0.5/seed: 4/'
refuse 2 "the plan decides 'seed'" "$AGRL" compare s/bad.yaml
plan 's/gate_soft: 0.5/kv_slots: 64/'
refuse 2 "row 'rrs-soft': kv_slots: 64 is too small" "$AGRL" compare s/bad.yaml
plan 's/name: rrs-soft/name: grpo/'
refuse 2 "two rows are called 'grpo'" "$AGRL" compare s/bad.yaml
plan 's/name: rrs-soft/name: ..\/x/'
refuse 2 "is a folder's name too" "$AGRL" compare s/bad.yaml
plan 's/^test:.*/test: nowhere.jsonl/'
refuse 1 'nowhere.jsonl' "$AGRL" compare s/bad.yaml
plan 's/^run:.*/run: two.yaml/'
cp s/rl.yaml s/two.yaml
echo '  - {method: sft, steps: 1}' >> s/two.yaml
refuse 2 's/two.yaml: a comparison needs a run file with exactly one stage, and this one has 2' "$AGRL" compare s/bad.yaml
plan 's/^run:.*/run: none.yaml/'
sed 's/^model:.*/model: ""/' s/rl.yaml > s/none.yaml
refuse 2 "s/none.yaml: 'model' is empty" "$AGRL" compare s/bad.yaml
refuse 2 "the plan decides 'seed'" "$AGRL" compare s/plan.yaml --set seed=3
refuse 1 'no model' "$AGRL" compare s/plan.yaml --set model=nowhere
refuse 1 'absent.yaml' "$AGRL" compare absent.yaml
run 2 "$AGRL" compare
silent
full() { full_disk "$AGRL" compare s/full.yaml; }
elsewhere full
run 1 full
absent full/compare.json

finish
