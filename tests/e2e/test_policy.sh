#!/bin/sh
# test_policy.sh: methods that sample, on the starter's ten pairs: rewards rise, log-probabilities at sampling are those of training,
# the same settings give the same bytes also after kills, any cut into micro-batches gives the same update, wrong settings are refused.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
"$AGRL" init s > /dev/null 2>&1
cat > s/sft.yaml << 'YAML'
scratch: {preset: nano, vocab: 400}
rules: rulebook.yaml
data: {train: pairs.jsonl}
out: sft
threads: 1
dtype: fp32
stages:
  - {method: sft, steps: 130, batch: 10, lr: 6.0e-3}
YAML
sed -e 's/^scratch.*/model: sft/; /^stages/,$d' s/sft.yaml > s/rl.yaml
cat >> s/rl.yaml << 'YAML'
stages:
  - {method: rrs, steps: 24, batch: 6, group: 6, lr: 5.0e-4, warmup: 0.3, refills: 1, checkpoint_every: 4}
YAML
run 0 "$AGRL" train s/sft.yaml --set out=sft

field() { # NAME FILE: the values of a number in metrics.jsonl
    sed -n "s/.*\"$1\": *\(-\{0,1\}[0-9.e+-]*\).*/\1/p" "$2"
}
base="--set model=sft"

t "rewards rise"
run 0 "$AGRL" train s/sft.yaml --set out=rough --set stages.0.steps=95
run 0 "$AGRL" train s/rl.yaml --set model=rough --set out=rise --set stages.0.steps=30 --set stages.0.batch=10 \
    --set stages.0.group=32 --set stages.0.refills=0 --set stages.0.lr=1e-3 --set stages.0.beta2=0.99
field reward rise/metrics.jsonl > rewards.txt
is "$(wc -l < rewards.txt)" 30
awk 'NR <= 6 { a += $1 / 6 } NR > 24 { b += $1 / 6 } END { print a, b; exit !(b > a + 0.15) }' rewards.txt > rise.txt || wrong "from $(cat rise.txt)"

t "log-probabilities at sampling are those of training, and the first ratio is 1"
for temperature in 0.7 1.0 1.3; do
    # shellcheck disable=SC2086
    run 0 "$AGRL" train s/rl.yaml $base --set out="t$temperature" --set stages.0.steps=3 --set stages.0.temperature=$temperature
    field mismatch_max "t$temperature/metrics.jsonl" | awk '$1 > 1e-4 { print; exit 1 }' > far.txt || wrong "$temperature: $(cat far.txt)"
    field ratio "t$temperature/metrics.jsonl" | awk '($1 - 1) ^ 2 > 1e-10 { print; exit 1 }' > far.txt || wrong "$temperature: $(cat far.txt)"
    field trained_answers "t$temperature/metrics.jsonl" | awk '{ n += $1 } END { exit !(n > 20) }' || wrong "$temperature: hardly an answer was trained"
done

t "every rollout is kept, with what it takes to train on it again"
# shellcheck disable=SC2086
run 0 "$AGRL" train s/rl.yaml $base --set out=one
is "$(find one/rollouts -name 'step-*.jsonl.gz' | wc -l)" 24
gunzip -c one/rollouts/step-000001.jsonl.gz > first.jsonl
for key in id draw sample level version finished trained advantage prompt tokens logprobs text verdict; do
    head -n 1 first.jsonl | grep -q "\"$key\":" || wrong "no $key: $(head -c 200 first.jsonl)"
done
is "$(($(wc -l < first.jsonl) % 6))" 0
# A prompt that a step draws twice gets other answers the second time.
# shellcheck disable=SC2086
run 0 "$AGRL" train s/rl.yaml $base --set out=twice --set stages.0.steps=1 --set stages.0.batch=15
gunzip -c twice/rollouts/step-000001.jsonl.gz | grep '"sample":0' | sed 's/.*"id":"\([^"]*\)","draw":\([0-9]*\).*/\1 \2/' > draws.txt
is "$(sort -u draws.txt | wc -l)" "$(wc -l < draws.txt)"
grep -q ' 1$' draws.txt || wrong "nothing was drawn twice: $(cat draws.txt)"

t "a rollout's reward is explained"
run 0 "$AGRL" explain one/rollouts/step-000001.jsonl.gz --limit 400
is "$(grep -c '  reward ' out)" "$(wc -l < first.jsonl)"
prints '  gate       holds: its verdicts give tier'
# The terms of each answer sum to its reward.
awk '/^  (tier|rule|format|cat|attr) / { sum += $2 } /^  reward / { if ((sum - $2) ^ 2 > 1e-4) { print NR ": " sum " " $2; exit 1 } sum = 0 }' out > far.txt || wrong "$(cat far.txt)"
# The score of what is asked, from the weights by their definition: all verdicts of the pool over so many of this one times the kinds.
grep -o '"attr": *{[^}]*}' s/pairs.jsonl | grep -o ': *"[A-Z]*"' | tr -d ' :"' | sort | uniq -c |
    awk '{ n[$2] = $1; all += $1; kinds++ } END { for (v in n) printf "%s %.3f\n", v, all / (kinds * n[v]) }' | sort > weights.txt
is "$(wc -l < weights.txt)" 4
tr ',{}' '\n\n\n' < rise/reward.json | grep -o '"[A-Z]*":[0-9.]*' | tr -d '"' | awk -F: '{ printf "%s %.3f\n", $1, $2 }' | sort | cmp -s - weights.txt ||
    wrong "weights: $(cat rise/reward.json)"
run 0 "$AGRL" explain rise/rollouts/step-00000*.jsonl.gz --limit 4000
awk -v RS= 'BEGIN { while ((getline line < "weights.txt") > 0 && split(line, rows, "\n")) for (i in rows) { split(rows[i], w, " "); weight[w[1]] = w[2] } }
    { gsub(/[ \n]+/, " "); if (!match($0, / attr [+-][0-9.]+ score [0-9.]+/)) next
      score = substr($0, RSTART, RLENGTH); sub(/.* /, "", score); said = met = 0; rest = substr($0, RSTART)
      while (match(rest, /[A-Z]+ weighs [0-9.]+, (met|missed)/)) {
          split(substr(rest, RSTART, RLENGTH), p, /[ ,]+/); rest = substr(rest, RSTART + RLENGTH)
          said += weight[p[1]]; if (p[4] == "met") met += weight[p[1]]
      }
      part += met > 0 && met < said
      if (!said || (met / said - score) ^ 2 > 1e-5) { print met "/" said " is not " score; bad = 1; exit } }
    END { exit bad || part < 3 }' out > far.txt || wrong "scores of what is asked: $(cat far.txt)"
run 0 "$AGRL" explain one/rollouts/step-000001.jsonl.gz --wrong --limit 400
awk -v RS= '/  gate +holds/ && /  tier +[^ ]+ +score 1.000/ { print; exit 1 }' out > right.txt || wrong "right, but shown: $(cat right.txt)"
[ "$(grep -c 'no answer ' out)" -gt 0 ] || wrong "no refusal is explained"
# What a broken gate leaves falls to 0 over a tenth of the 24 steps, and is what metrics.jsonl says.
for step in 1 2 3 4; do
    run 0 "$AGRL" explain one/rollouts/step-00000$step.jsonl.gz --limit 400
    soft=$(awk -v step=$step 'BEGIN { left = 1 - (step - 1) / 24 / 0.1; printf "%.3f", (left > 0 ? 0.3 * left : 0) }')
    is "$(grep -o 'gate_soft [0-9.]*' out | sort -u)" "gate_soft $soft"
    is "$(sed -n "${step}s/.*\"gate_soft\":\([0-9.]*\).*/\1/p" one/metrics.jsonl | awk '{ printf "%.3f", $1 }')" "$soft"
done
# Gold as the pool has it, and no line of ours wider than a terminal.
run 0 "$AGRL" explain one/rollouts/step-00000*.jsonl.gz --limit 4000
awk -v RS= '{ id = $1; sub(/.*\n  gold +/, ""); sub(/\n  (gate|no answer) .*/, ""); gsub(/[ \n]+/, " "); print id " " $0 }' out | sort -u > gold.txt
sed 's/.*"id": "\([^"]*\)", "query".*"gold": {"tier": "\(.\)", "verdicts": {"cat": "\([A-Z]*\)", "attr": {\(.*\)}}, "rule": "\(..\)".*/\1 tier \2 by rule \5; cat \3; attr \4/' \
    s/pairs.jsonl | tr -d '":' | sort > pool.txt
[ "$(wc -l < gold.txt)" -gt 6 ] || wrong "gold of hardly a pair: $(cat gold.txt)"
comm -23 gold.txt pool.txt | grep . && wrong "gold that the pool does not have"
LC_ALL=C awk '!/^    \|/ && !/[^ -~]/ && length > 80 { print; exit 1 }' out > far.txt || wrong "wider than a terminal: $(cat far.txt)"
# shellcheck disable=SC2086
run 0 "$AGRL" train s/rl.yaml $base --set out=keep --set stages.0.steps=1 --set stages.0.gate=keep_tier
run 0 "$AGRL" explain keep/rollouts/step-000001.jsonl.gz
prints 'keep_tier: a broken gate leaves half of a right tier'
run 1 "$AGRL" explain s/pairs.jsonl
says 'pairs.jsonl:1: not a rollout'
run 2 "$AGRL" explain
says 'ROLLOUTS'

t "killed and resumed, the same bytes"
# shellcheck disable=SC2086
killed killed "$AGRL" train s/rl.yaml $base --set out=killed --resume
[ "$(digest one)" = "$(digest killed)" ] || wrong "a killed run differs: $(diff -rq one killed | head -5)"

t "any cut into micro-batches gives the same loss and gradient"
for rows in 4096 16; do
    # shellcheck disable=SC2086
    run 0 "$AGRL" train s/rl.yaml $base --set out="m$rows" --set stages.0.steps=1 --set micro_tokens=$rows
    for key in loss grad_norm trained_answers; do field $key "m$rows/metrics.jsonl"; done > "m$rows.txt"
done
paste -d ' ' m4096.txt m16.txt | awk 'NF != 2 || ($1 - $2) ^ 2 > (1e-4 * $1) ^ 2 + 1e-14 { print; exit 1 }' > far.txt || wrong "$(cat far.txt)"

t "several passes and mini-batches"
# shellcheck disable=SC2086
run 0 "$AGRL" train s/rl.yaml $base --set out=many --set stages.0.steps=4 --set stages.0.passes=2 --set stages.0.mini_batches=2
field updates many/metrics.jsonl | awk '$1 == 4 { n++ } END { exit !(n > 0) }' || wrong "updates: $(field updates many/metrics.jsonl | tr '\n' ' ')"
field ratio_max many/metrics.jsonl | awk '$1 > 1 { n++ } END { exit !(n > 0) }' || wrong "the policy did not move within a step"

t "KL is logged where there is a policy to compare with: 0 before the first update, never below; null at beta 0"
# shellcheck disable=SC2086
run 0 "$AGRL" train s/rl.yaml $base --set out=held --set stages.0.steps=8 --set stages.0.beta=0.1
sed -n 's/.*"kl":\([^,]*\),.*/\1/p' held/metrics.jsonl > kl.txt
awk 'NR == 1 && $1 != 0 { exit 1 } $1 == "null" || $1 < 0 { exit 1 } $1 > 0 { n++ } END { if (NR != 8 || n < 4) exit 1 }' kl.txt || wrong "kl: $(tr '\n' ' ' < kl.txt)"
is "$(sed -n 's/.*"kl":\([^,]*\),.*/\1/p' one/metrics.jsonl | sort -u)" null
run 0 "$AGRL" train --settings
prints '^  beta .* 0: that policy is not kept and not asked, and kl in metrics.jsonl is null'

t "each way of the mean, of credit and of the ratio"
for set in aggregation=sequence_mean aggregation=dr_grpo credit=sequence ratio=sequence norm=mean gate=keep_tier; do
    # shellcheck disable=SC2086
    run 0 "$AGRL" train s/rl.yaml $base --set out="way-$set" --set stages.0.steps=2 --set "stages.0.$set"
    cmp -s "way-$set/metrics.jsonl" t1.0/metrics.jsonl && wrong "$set changes nothing"
done
for method in grpo grpo-pr; do
    # shellcheck disable=SC2086
    run 0 "$AGRL" train s/rl.yaml $base --set out="way-$method" --set stages.0.steps=2 --set stages.0.method=$method
done
[ "$(field rule way-grpo/metrics.jsonl | sort -u)" = 0.0 ] || wrong "grpo is rewarded for rules: $(field rule way-grpo/metrics.jsonl)"

t "what is wrong at a glance is said before data are read"
echo 'no pair' > s/broken.jsonl
glance() { # CODE TEXT SETTING...: with training pairs that cannot be read
    code=$1 text=$2
    shift 2
    # shellcheck disable=SC2086
    run "$code" "$AGRL" train s/rl.yaml $base --set data.train=s/broken.jsonl --set out=refused "$@"
    grep '^agrl: ' err > said && mv said err
    says "$text"
    absent refused
}
glance 1 's/broken.jsonl:1' # nothing else is wrong
glance 1 "no model 'nowhere'" --set model=nowhere
glance 1 's: has neither a config.json nor' --set model=s
glance 2 "no preset 'nan'" --set model= --set scratch.preset=nan
for file in rules data.pool data.valid data.lexicon stages.0.rollouts; do glance 1 "cannot open 'nowhere'" --set $file=nowhere; done
glance 1 's/pairs.jsonl:1: not a rollout' --set stages.0.rollouts=s/pairs.jsonl
glance 2 'a group of 6 answers; set group: 6' --set stages.0.rollouts=one/rollouts --set stages.0.group=4
glance 2 'sampled at temperature 1, grammar false' --set stages.0.rollouts=one/rollouts --set stages.0.temperature=0.5
glance 2 'one already holds a run' --set out=one

t "wrong settings are refused before anything is loaded"
refuse() { # SETTING TEXT
    # shellcheck disable=SC2086
    run 2 "$AGRL" train s/rl.yaml $base --set out=refused --set "$1"
    silent
    says "$2"
    absent refused
}
refuse stages.0.temperature=-1 'temperature must be between'
refuse stages.0.temperature=0 'temperature must be between'
refuse stages.0.group=1 'group must be between'
refuse stages.0.clip_low=2 'clip_low must be between'
refuse stages.0.gate=soft 'gate must be one of'
for setting in top_k top_p min_p; do refuse stages.0.$setting=0.9 "'$setting': training never truncates sampling"; done
refuse stages.0.choice_weight=3 "method rrs has no setting 'choice_weight'"
run 2 "$AGRL" train s/sft.yaml --set out=refused --set stages.0.group=4
says "method sft has no setting 'group'"
run 2 "$AGRL" train s/sft.yaml --set out=refused --set data.pool=s/pairs.jsonl
says 'data.pool'
sed 's/^reward:.*/reward: {tier: 0.2, rule: 0.1, format_penalty: 0.5}/' s/rulebook.yaml > s/weak.yaml
grep -q 'tier: 0.2' s/weak.yaml || wrong "the starter's book has no reward line"
# shellcheck disable=SC2086
run 1 "$AGRL" train s/rl.yaml $base --set out=refused --set rules=s/weak.yaml
says 'weak.yaml: the reward of the tier (0.2) must be larger'
absent refused
sed 's/{id: R7/{id: R_/; s/{id: R6/{id: R7/; s/{id: R_/{id: R6/' s/rulebook.yaml > s/other.yaml # the same tiers by other rules
# shellcheck disable=SC2086
run 1 "$AGRL" train s/rl.yaml $base --set out=refused --set rules=s/other.yaml
says "s/pairs.jsonl: by rulebook 'starter' the gold verdicts of 3 of 10 pairs do not lead to their gold tier and rule: were they labelled by another book?"
absent refused
run 0 "$AGRL" train s/rl.yaml --set model=sft --set out=weak --set stages.0.steps=1 --set rules=s/weak.yaml --set stages.0.method=grpo

finish
