#!/bin/sh
# test_blind_spot.sh: the claim of guided replay in miniature (METHOD.md section 14, test 11): two attributes, four rules, and a model whose
# training pairs never break both requests at once. It never answers such a pair right in 64 tries; GRPO and the shaped reward with
# its gate have nothing to start from; with hints the rule is learned, and stays learned without them, in the same number of tokens.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
cat > book.yaml << 'YAML'
rulebook: two
version: "1"
language: en
order: respond_then_think
why: none
instruction: Judge.
tiers:
  - {id: "4", name: Excellent, gain: 7, good: true}
  - {id: "3", name: Related, gain: 3, good: true}
  - {id: "2", name: Mismatch, gain: 1, good: false}
  - {id: "1", name: Irrelevant, gain: 0, good: false}
criteria:
  - {id: attr, name: request, per: asked, verdicts: [MATCH, CONFLICT], weight: 0.2, from: none}
attributes:
  default: {importance: minor, compare: text}
  colour: {importance: core, compare: text}
rules:
  - {id: R1, when: "any(attr, core) == CONFLICT and any(attr, minor) == CONFLICT", cap: "1", text: "Both requests broken."}
  - {id: R2, when: "any(attr, core) == CONFLICT", cap: "2", text: "The colour is another."}
  - {id: R3, when: "any(attr, minor) == CONFLICT", cap: "3", text: "The size is another."}
  - {id: R0, when: otherwise, cap: "4", text: "All met."}
reward: {tier: 1.0, rule: 0.1, format_penalty: 0.5}
YAML
# Every query with every item of its kind: KIND COLOUR SIZE against KIND COLOUR SIZE.
awk 'BEGIN {
    kinds = split("shirt coat scarf boots jacket skirt vest cap", kind, " ")
    colours = split("red blue green black white pink grey brown", colour, " ")
    sizes = split("s m l xl xs", size, " ")
    for (k = 1; k <= kinds; k++) for (c = 1; c <= colours; c++) for (s = 1; s <= sizes; s++)
        for (d = 1; d <= colours; d++) for (z = 1; z <= sizes; z++) {
            core = c == d ? "MATCH" : "CONFLICT"; minor = s == z ? "MATCH" : "CONFLICT"
            rule = c != d && s != z ? 1 : c != d ? 2 : s != z ? 3 : 0
            tier = rule ? rule : 4
            h = ((((k * 131 + c) * 137 + s) * 139 + d) * 149 + z) % 99991
            for (i = 0; i < 3; i++) h = (h * h + 12345 * i + h) % 99991
            h %= 1009
            if (rule == 1 && h % 8) continue
            if (rule == 2 && h % 2) continue
            printf "%d %d {\"id\":\"%d-%d-%d-%d-%d\",\"query\":\"%s %s %s\",\"item\":{\"title\":\"%s %s %s\"},\"asked\":[{\"name\":\"colour\",\"value\":\"%s\"},{\"name\":\"size\",\"value\":\"%s\"}],\"gold\":{\"tier\":\"%d\",\"verdicts\":{\"attr\":{\"colour\":\"%s\",\"size\":\"%s\"}},\"rule\":\"R%d\"}}\n", h, rule, k, c, s, d, z, colour[c], kind[k], size[s], colour[d], kind[k], size[z], colour[c], size[s], tier, core, minor, rule
        }
}' | sort -n > all.txt
awk '$1 < 600 && $2 != 1' all.txt | cut -d ' ' -f 3- > sft.jsonl
awk '$1 >= 600 && $1 < 860' all.txt | cut -d ' ' -f 3- > pool.jsonl
awk '$1 >= 860 && $2 == 1' all.txt | head -n 60 | cut -d ' ' -f 3- > slice.jsonl
awk '$1 >= 860 && $2 != 1' all.txt | head -n 120 | cut -d ' ' -f 3- > rest.jsonl
cat slice.jsonl rest.jsonl > test.jsonl
cat > sft.yaml << 'YAML'
scratch: {preset: nano, vocab: 400}
rules: book.yaml
data: {train: sft.jsonl, valid: test.jsonl}
prompt: {rules: false, repeat_query: false, mark_matches: true}
out: sft
threads: 1
dtype: fp32
hints: {share: 0.5, counterfactual: 0.8}
valid: {pairs: 180, answers: 180}
stages:
  - {method: sft, steps: 900, batch: 16, optimizer: muon, lr: 1.0e-2, beta2: 0.99, choice_weight: 3}
YAML
sed -e 's/^scratch.*/model: sft/; /^hints/d; /^stages/,$d; s/train: sft.jsonl/&, pool: pool.jsonl/' sft.yaml > rl.yaml
cat >> rl.yaml << 'YAML'
stages:
  - {method: agrl, steps: 1000, budget: 400000, batch: 16, group: 8, lr: 2.0e-3, beta2: 0.99, warmup: 0.05, refills: 0, keep_rollouts: false, valid_every: 20}
YAML
run 0 "$AGRL" train sft.yaml

strict() { # RULE FILE: strict accuracy of its pairs at the last validation
    grep '"valid"' "$2" | tail -n 1 | sed "s/.*\"rule=$1\":{\"compliant\":\([0-9.e-]*\).*/\1/"
}
above() { # X BOUND
    awk -v x="$1" -v bound="$2" 'BEGIN { exit !(x > bound) }'
}

t "a blind spot: all but one rule is known, and 64 answers to each of its pairs are all wrong"
for rule in R0 R2 R3; do above "$(strict $rule sft/metrics.jsonl)" 0.95 || wrong "$rule: $(strict $rule sft/metrics.jsonl)"; done
run 0 "$AGRL" train rl.yaml --set out=try --set stages.0.method=grpo --set stages.0.steps=1 --set stages.0.batch=60 --set stages.0.group=64 \
    --set data.pool=slice.jsonl --set stages.0.budget=0
sed 's/.*"accuracy":\([0-9.]*\),"tier.*/\1/' try/metrics.jsonl | head -n 1 > accuracy.txt
is "$(cat accuracy.txt)" 0.0

t "without hints nothing is learned of it"
for method in grpo grpo-pr rrs; do
    run 0 "$AGRL" train rl.yaml --set out=$method --set stages.0.method=$method
    is "$(strict R1 $method/metrics.jsonl)" 0.0
done

t "with hints it is, in as many tokens, and the rest stays"
# Two seeds: at the first the failures that guided answers show up are pushed away hard enough to find the rule by themselves.
for seed in 1 2; do
    run 0 "$AGRL" train rl.yaml --set out=agrl-$seed --set seed=$seed
    above "$(strict R1 agrl-$seed/metrics.jsonl)" 0.9 || wrong "seed $seed, R1: $(strict R1 agrl-$seed/metrics.jsonl)"
    for rule in R0 R2 R3; do
        above "$(strict $rule agrl-$seed/metrics.jsonl)" 0.9 || wrong "seed $seed, $rule: $(strict $rule agrl-$seed/metrics.jsonl)"
    done
done
for method in grpo agrl-1 agrl-2; do
    spent=$(tail -n 1 $method/metrics.jsonl | sed 's/.*"spent":\([0-9]*\).*/\1/')
    [ "$spent" -ge 400000 ] && [ "$spent" -lt 430000 ] || wrong "$method spent $spent tokens"
done

t "wrong labels are listed: a tier in ten is another one, of pairs by rules that the model knows, and hints say it"
awk '$1 >= 600 && $1 < 860 && $2 != 1' all.txt | head -n 480 | cut -d ' ' -f 3- | awk '{
    match($0, /"tier":"./); tier = substr($0, RSTART + 8, 1)
    if (NR % 10 == 0) { tier = tier % 4 + 1; match($0, /"id":"[^"]*/); print substr($0, RSTART + 6, RLENGTH - 6) > "flipped.txt" }
    sub(/"gold":.*/, "\"gold\":{\"tier\":\"" tier "\"}}"); print
}' > noisy.jsonl
run 0 "$AGRL" train rl.yaml --set out=noisy --set data.pool=noisy.jsonl --set stages.0.steps=60 --set stages.0.budget=0
sed 's/{"id":"\([^"]*\)".*/\1/' noisy/unsolved.jsonl | sort > listed.txt
both=$(sort flipped.txt | comm -12 - listed.txt | wc -l)
[ "$both" -ge 44 ] && [ "$(wc -l < listed.txt)" -le 54 ] || wrong "$both of $(wc -l < flipped.txt) wrong labels among $(wc -l < listed.txt) listed pairs"

finish
