#!/bin/sh
# test_replay.sh: guided replay and the other methods that sample, on a small shop whose training pairs lack a rule: hints come when
# and where they should, stay within their bounds, and are remembered; the same bytes after kills; recorded rollouts train as
# sampled ones do; wrong settings are refused.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
shop_without_rule "method: sft, steps: 500, batch: 12, optimizer: muon, lr: 1.0e-2, beta2: 0.99, choice_weight: 3" \
    "method: agr, steps: 20, batch: 8, group: 6, lr: 5.0e-4, refills: 1, checkpoint_every: 4, replay_warmup: 0.2, replay_tail: 0.2,
     beta: 0.02, replay_most: 2, draw_uncertain: 0.3, draw_unsolved: 0.2, guided_mode: auto, guided_weight: floor"
run 0 "$AGRL" train sft.yaml --set out=start

# NAME FILE: the first number or word of that name in each line that has it; `member` prints - for the others.
field() {
    awk -v key="\"$1\":" '{ at = index($0, key); if (at) { s = substr($0, at + length(key)); sub(/^"/, "", s); sub(/[",}].*/, "", s); print s } }' "$2"
}
member() {
    awk -v key="\"$1\":" '{ at = index($0, key); s = "-"; if (at) { s = substr($0, at + length(key)); sub(/^"/, "", s); sub(/[",}].*/, "", s) } print s }' "$2"
}

t "hints come between warm-up and tail, and help"
run 0 "$AGRL" train rl.yaml --set out=one
field triggered one/metrics.jsonl > triggered.txt
is "$(wc -l < triggered.txt)" 20
awk 'NR <= 4 || NR > 16 { n += $1 } END { exit n > 0 }' triggered.txt || wrong "hints outside of their time: $(tr '\n' ' ' < triggered.txt)"
awk 'NR > 4 && NR <= 16 { n += $1 } END { exit n < 12 }' triggered.txt || wrong "hardly a hint: $(tr '\n' ' ' < triggered.txt)"
field rescued one/metrics.jsonl | awk '{ n += $1 } END { exit n < 3 }' || wrong "nothing was rescued"

t "guided answers stay within their bounds, and say how they are trained"
for file in one/rollouts/step-*.jsonl.gz; do gunzip -c "$file"; done > all.jsonl
for key in id draw level sample trained advantage mode reveals; do member $key all.jsonl > "col.$key"; done
grep -o '"tokens":\[[^]]*\]' all.jsonl | awk -F, '{ print NF }' > col.tokens
paste -d ' ' col.level col.trained col.advantage col.mode col.tokens col.id col.sample > rows.txt
awk '$1 > 0 && $2 == "true" && $3 <= 0 { print; exit 1 }' rows.txt > bad.txt || wrong "a guided answer is blamed: $(cat bad.txt)"
awk '$1 > 0 && $2 == "true" && $4 == "-" { print; exit 1 }' rows.txt > bad.txt || wrong "no mode: $(cat bad.txt)"
awk '$1 == 0 { seen = 1 } $1 > 0 && !seen { exit 1 }' rows.txt || wrong "hints before plain answers"
# At most a quarter of a step's trained tokens, and two of a group.
for file in one/rollouts/step-*.jsonl.gz; do
    gunzip -c "$file" > step.jsonl
    member level step.jsonl > a && member trained step.jsonl > b && member id step.jsonl > c && member draw step.jsonl > n
    grep -o '"tokens":\[[^]]*\]' step.jsonl | awk -F, '{ print NF }' > m
    paste -d ' ' a b c m n | awk -v f="$file" '$2 == "true" { all += $4; if ($1 > 0) { guided += $4; if (++n[$3 " " $5] > 2) exit 1 } }
        END { if (guided > 0.25 * all + 60) { print f, guided, all; exit 1 } }' > bad.txt || wrong "too much guidance: $(cat bad.txt)"
done
grep -q '"mode":"transfer"' all.jsonl || wrong "no answer is trained without its hint"
grep '"mode":"transfer"' all.jsonl | grep -q '"weights":\[' || wrong "no weights"
run 0 "$AGRL" explain one/rollouts/step-000010.jsonl.gz --limit 500
prints 'with a hint of level'

t "what nothing solves is listed for people"
[ -s one/unsolved.jsonl ] || wrong "no list"
member unsolved one/unsolved.jsonl | awk 'NR > 1 && $1 > last { exit 1 } { last = $1 }' || wrong "not the most often failed first"
run 0 "$AGRL" rules derive --rules "$book" one/unsolved.jsonl

t "killed and resumed, the same bytes, memory and reference included"
killed killed "$AGRL" train rl.yaml --set out=killed --resume
[ "$(digest one)" = "$(digest killed)" ] || wrong "a killed run differs: $(diff -rq one killed | head -5)"
cmp -s one/unsolved.jsonl killed/unsolved.jsonl || wrong "another list"
[ -s one/checkpoints/last/state/replay.json ] || wrong "no memory in the checkpoint"

t "every other method runs, and learns something of its own"
for method in agrl agr-shuffled rft dpo dpo-gold rrs; do
    grep -v '^stages' rl.yaml | sed '/^  - {method/,$d' > m.yaml
    printf 'stages:\n  - {method: %s, steps: 4, batch: 8, group: 6, lr: 5.0e-4, refills: 0, grammar: true}\n' $method >> m.yaml
    run 0 "$AGRL" train m.yaml --set out="m-$method"
    field grad_norm "m-$method/metrics.jsonl" | awk '$1 > 0 { n++ } END { exit n < 1 }' || wrong "$method: no gradient"
done
sed 's/method: rrs.*/method: sft+, steps: 4, batch: 8, lr: 5.0e-4}/' m.yaml > plus.yaml
run 0 "$AGRL" train plus.yaml --set out=plus
field spent plus/metrics.jsonl | awk '$1 > last { n++ } { last = $1 } END { exit n != 4 }' || wrong "spent: $(field spent plus/metrics.jsonl | tr '\n' ' ')"
field margin m-dpo-gold/metrics.jsonl > margin.txt
awk 'NR == 1 { if ($1 ^ 2 > 1e-10) exit 1 } NR == 4 { if ($1 <= 0) exit 1 }' margin.txt || wrong "preferences: $(tr '\n' ' ' < margin.txt)"

t "each choice changes what is learned"
way() { # SETTING...: eight steps with hints from the first on, enough of them and room for them
    run 0 "$AGRL" train rl.yaml --set stages.0.steps=8 --set stages.0.replay_warmup=0 --set stages.0.guided_share=0.5 \
        --set stages.0.hint_answers=8 "$@"
}
way --set out=way
for set in anchor=0.5 entropy=0.05 beta=0.3 guided_mode=hinted guided_mode=transfer guided_weight=none guided_floor=0.9 guided_weight=seq \
    guided_weight=shaped guided_loss=0.3 rescued_negatives=drop trigger=0.5 hint_answers=2 hint_level=2 replay_most=1 guided_share=0.01 geo_min=1 \
    hint_dropout=0.6 draw_uncertain=0.7 draw_unsolved=0.6; do
    way --set out="way-$set" --set "stages.0.$set"
    field grad_norm way/metrics.jsonl > a && field grad_norm "way-$set/metrics.jsonl" > b
    cmp -s a b && wrong "$set changes nothing"
done
for weight in tis seq shaped floor; do # without a cap of its own
    way --set out="weight-$weight" --set stages.0.guided_mode=transfer --set stages.0.guided_weight=$weight
    for file in "weight-$weight"/rollouts/*.gz; do gunzip -c "$file"; done | grep -o '"weights":\[[^]]*' | sed 's/.*\[//' | tr , '\n' > weights.txt
    awk '$1 > 0 { n++; if ($1 > 5) bad = 1; seen[$1] = 1 } END { for (w in seen) kinds++; exit !(n > 5 && kinds > 2 && !bad) }' weights.txt ||
        wrong "weights of $weight: $(wc -l < weights.txt): $(sort -u weights.txt | head -5 | tr '\n' ' ')"
done
run 0 "$AGRL" train rl.yaml --set out=left --set stages.0.steps=1 --set stages.0.method=grpo
grep -q 'stage 0: method grpo does not have, and leaves out: replay_most, replay_warmup, replay_tail, guided_mode, guided_weight$' err || wrong "$(cat err)"

t "a budget of tokens ends a stage"
run 0 "$AGRL" train rl.yaml --set out=budget --set stages.0.budget=9000 --set stages.0.steps=1000
last=$(field spent budget/metrics.jsonl | tail -n 1)
[ "$last" -ge 9000 ] && [ "$last" -lt 20000 ] || wrong "spent $last of 9000"
[ -e budget/checkpoints/last/model.safetensors ] || wrong "no checkpoint at the end"

t "recorded rollouts train as sampled ones do"
sed 's/method: rrs.*/method: rrs, steps: 2, batch: 8, group: 6, lr: 5.0e-4, refills: 0}/' m.yaml > two.yaml
run 0 "$AGRL" train two.yaml --set out=live
run 0 "$AGRL" train two.yaml --set out=again --set stages.0.rollouts=live/rollouts
for run in live again; do for key in loss grad_norm reward trained_answers; do field $key $run/metrics.jsonl; done > "$run.txt"; done
paste -d ' ' live.txt again.txt | awk 'NF != 2 || ($1 - $2) ^ 2 > (2e-3 * $1) ^ 2 + 1e-10 { print; exit 1 }' > far.txt || wrong "live and recorded: $(cat far.txt)"
is "$(field sampled_tokens again/metrics.jsonl | sort -u)" 0.0
run 0 "$AGRL" train rl.yaml --set out=guided --set stages.0.steps=10 --set stages.0.rollouts=one/rollouts
field guided_share guided/metrics.jsonl | awk '$1 > 0 { n++ } END { exit n < 1 }' || wrong "guided answers of the record are not trained"
run 2 "$AGRL" train two.yaml --set out=refused --set stages.0.rollouts=live/rollouts --set stages.0.group=4
grep -q 'a group of 6 answers; set group: 6' err || wrong "$(cat err)"
absent refused

t "sampling under the grammar: only what is well-formed, and the same policy in training"
run 0 "$AGRL" train rl.yaml --set out=masked --set stages.0.steps=3 --set stages.0.grammar=true --set stages.0.replay_warmup=0
field format masked/metrics.jsonl | awk '($1 - 1) ^ 2 > 1e-18 { exit 1 }' || wrong "format $(field format masked/metrics.jsonl | tr '\n' ' ')"
field mismatch_max masked/metrics.jsonl | awk '$1 > 1e-4 { print; exit 1 }' > far.txt || wrong "mismatch $(cat far.txt)"
gunzip -c masked/rollouts/step-000001.jsonl.gz | grep -q '"forced":\[' || wrong "no token is forced"

t "wrong settings are refused before anything is loaded"
refuse() { # SETTING TEXT
    run 2 "$AGRL" train rl.yaml --set out=refused --set "$1"
    silent
    says "$2"
    absent refused
}
refuse stages.0.replay_most=6 'replay_most (6) must be below group (6)'
refuse stages.0.draw_uncertain=0.9 'draw_uncertain (0.9) and draw_unsolved (0.2) are shares: together at most 1'
refuse stages.0.hint_level=6 'hint_level must be between 1 and 5'
refuse stages.0.trigger=1 'trigger must be between'
refuse stages.0.guided_weight=half 'guided_weight must be one of'
refuse stages.0.guided_mode=plain 'guided_mode must be one of'
refuse stages.0.top_p=0.9 "'top_p': training never truncates sampling"
refuse stages.0.method=ppo "unknown method 'ppo'; known: sft"
run 2 "$AGRL" train two.yaml --set out=refused --set stages.0.trigger=0.1
says "method rrs has no setting 'trigger'"

finish
