#!/bin/sh
# The comparisons of docs/RESULTS.md: makes the shop, the pairs and the model that all methods start from, writes the plan, and runs it.
# Safe to stop and start again. usage: configs/claims/run.sh SETTING OUT [agrl compare options]
#   a            rule R5 left out of training, 30 % of the pool         b-units b-synonyms b-hierarchy   a skill left out
#   a-natural    the same at its natural share                         c            nothing left out
#   a-relabel    R5 labelled as if it were not in the book             d            as a, and the pool knows tiers only
#   noise-5 ...  tiers only, natural share, 5 % of them flipped        ablation     one seed of each choice, as a
#   sweep        learning rate and KL of the baselines, as a           think        as a, the answer's tier last
#   literacy-0 ...  as a, with hints in 0 % of the first training's prompts
#   start-20 ...    as a, with 20 pairs of R5 in the first training                 relabel-20 ...  the same with a-relabel
#   a-long          GRPO, GRPO-PR and RRS with three times the tokens               a-tuned      baselines at the best of the sweep, five seeds
#   a-natural-long  a-natural with four times the tokens                            a-natural-ways   one seed of ways to draw its prompts
#   a-choices       AGRL by the ablation's best choices, and with three times the tokens, five seeds
# DEVICE=cuda trains and judges there; ONLY_START=1 ends with the model that all methods start from.
set -eu
[ $# -ge 2 ] || { sed -n '2,15s/^# //p' "$0" >&2; exit 2; }
setting=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
book=$here/../../rules/shop-brief.yaml
agrl=${AGRL:-agrl}
seeds=${SEEDS:-1, 2, 3, 4, 5}
device=${DEVICE:-cpu}
room='' # a card takes more tokens at a time
[ "$device" = cpu ] || room=', micro_tokens=16384, kv_slots=65536'
mkdir -p "$out"
out=$(cd "$out" && pwd)

case $setting in
b-*) skill=${setting#b-} world=$setting withhold="--withhold-skill $skill" slice="$skill=needed" ;;
c) world=c withhold='' slice='hard=yes' ;;
a-relabel | relabel-*) world=$setting withhold='--withhold R5 --relabel' slice='rule=R5' ;;
think | literacy-* | start-*) world=$setting withhold='--withhold R5' slice='rule=R5' ;;
*) world=a withhold='--withhold R5' slice='rule=R5' ;;
esac
base=$out/$world
mkdir -p "$base"
first='' # settings of the first training
case $setting in
think)
    sed -e 's/^order: .*/order: think_then_respond/' -e "s#^facts: #facts: $here/../../rules/#" "$book" > "$base/book.yaml"
    book=$base/book.yaml
    ;;
literacy-*) first="--set hints.share=$(awk -v n="${setting#literacy-}" 'BEGIN { print n / 100 }')" ;;
esac

if [ ! -e "$base/data/lexicon.json" ]; then
    # shellcheck disable=SC2086 # options are words
    "$agrl" synth --rules "$book" --out "$base/data" --pairs 60000 --seed 1 $withhold --sft-share 0.6 --rl-share 0.2 --valid-share 0.03 \
        --test-share 0.12 --unseen-share 0.05 --quiet
fi
case $setting in
start-* | relabel-*) # of the pool's pairs
    [ -e "$base/sft/done" ] || grep '"rule":"R5"' "$base/data/rl.jsonl" | head -n "${setting#*-}" >> "$base/data/sft.jsonl"
    ;;
esac
# shellcheck disable=SC2086
[ -e "$base/sft/done" ] || "$agrl" train "$here/sft.yaml" --resume --set device="$device" --set data.train="$base/data/sft.jsonl" \
    --set data.valid="$base/data/valid.jsonl" --set data.lexicon="$base/data/lexicon.json" --set out="$base/sft" --set rules="$book" $first
touch "$base/sft/done"
[ -z "${ONLY_START:-}" ] || exit 0

# Pool and validation pairs: all that need what was left out, and so many others that they are SHARE of the file; empty: as they come.
mix() { # PATTERN SHARE FILE
    grep -e "$1" "$3" > "$folder/.few"
    grep -v -e "$1" "$3" > "$folder/.others"
    awk -v few="$(wc -l < "$folder/.few")" -v all="$(wc -l < "$folder/.others")" -v share="$2" \
        'BEGIN { want = few * (1 - share) / share } int(NR * want / all) > int((NR - 1) * want / all)' "$folder/.others" |
        cat "$folder/.few" -
    rm "$folder/.few" "$folder/.others"
}
folder=$out/$setting
mkdir -p "$folder"
case $setting in b-*) pattern="\"$skill\":\"needed\"" ;; *) pattern='"rule":"R5"' ;; esac
case $setting in
a-natural* | noise-* | c) cat "$base/data/rl.jsonl" ;;
*) mix "$pattern" 0.3 "$base/data/rl.jsonl" ;;
esac > "$folder/pool.jsonl"
tiers_only() { # what people's ratings are: no verdicts, no rule
    sed 's/"gold":{"tier":"\([^"]*\)".*"why":"[^"]*"}/"gold":{"tier":"\1"}/' "$folder/pool.jsonl" > "$folder/.tiers"
    mv "$folder/.tiers" "$folder/pool.jsonl"
}
case $setting in
d) tiers_only ;;
noise-*) # every pair by a number of its own gets another tier; were its verdicts there, they would say so
    awk -v share="${setting#noise-}" '{
        h = 7; for (i = 1; i <= 24; i++) h = (h * 31 + index("0123456789abcdefghijklmnopqrstuvwxyz-", substr($0, i + 7, 1))) % 99991
        if (h % 100 < share && match($0, /"gold":{"tier":"[1-4]"/)) {
            old = substr($0, RSTART + RLENGTH - 2, 1); new = 1 + (old + h % 3) % 4
            $0 = substr($0, 1, RSTART + RLENGTH - 3) new substr($0, RSTART + RLENGTH - 1)
            sub(/^{/, "{\"flipped\":true,")
        }
        print
    }' "$folder/pool.jsonl" > "$folder/.noise"
    mv "$folder/.noise" "$folder/pool.jsonl"
    tiers_only
    ;;
esac
mix "$pattern" 0.3 "$base/data/valid.jsonl" > "$folder/valid.jsonl"
test=$base/data/test.jsonl

# Eight answers of the start to each pair, as GRPO that learns nothing records them: "id rule right wrong" a line, where wrong is what most
# of the wrong answers had wrong.
sampled() { # PAIRS NAME
    "$agrl" train "$here/rl.yaml" --resume --set device="$device" --set rules="$book" --set model="$base/sft" --set data.train="$base/data/sft.jsonl" \
        --set data.pool="$1" --set data.valid= --set data.lexicon="$base/data/lexicon.json" --set out="$folder/$2" --set stages.0.method=grpo \
        --set stages.0.lr=0 --set stages.0.beta=0 --set stages.0.budget=0 --set stages.0.keep_rollouts=true \
        --set stages.0.steps=$((($(wc -l < "$1") + 31) / 32)) ${room:+--set kv_slots=65536} >&2
    for file in "$folder/$2"/rollouts/step-*.jsonl.gz; do gunzip -c "$file"; done | awk -v pairs="$1" '
        function word(key,   s) { # of the first member of that name
            if (!match($0, "\"" key "\":\"?[^\",}]*")) return ""
            s = substr($0, RSTART, RLENGTH); sub(/.*:"?/, "", s); return s
        }
        { id = word("id"); n[id]++
          if (index($0, "\"gate\":true") && index($0, "\"scores\":{\"tier\":1")) right[id]++
          else if (!index($0, "\"scores\":{")) form[id]++
          else if (match($0, /"scores":[{][^}]*"cat":[^1]/)) cat[id]++
          else if (match($0, /"scores":[{][^}]*"attr":[^1]/)) attr[id]++ }
        END { while ((getline < pairs) > 0) { id = word("id"); rule = word("rule")
                if (!(id in n)) continue
                half = n[id] / 2
                print id, rule, right[id] / n[id], (cat[id] > half ? "cat" : attr[id] > half ? "attr" : form[id] > half ? "format" : "other") } }'
}
if [ "$setting" != c ] && ! [ -e "$folder/start.txt" ]; then # how often the start is right by chance where it lacks something
    grep -e "$pattern" "$folder/valid.jsonl" > "$folder/.slice"
    sampled "$folder/.slice" start | awk '{ sum += $3; n++ } END { printf "plain success of the start, 8 answers to each of %d pairs: %.4f\n", n, sum / n }' \
        > "$folder/start.txt"
fi
# Setting c asks what the start never gets right. Development pairs whose answers are all wrong fall into strata, by deciding rule and the
# criterion that most of the answers had wrong. Strata with five pairs or more are kept, and test pairs in them to which the start has no
# right answer in eight either, unseen brands and categories among them, are the slice "hard".
if [ "$setting" = c ]; then
    cat "$base/data/test.jsonl" "$base/data/test_unseen.jsonl" > "$folder/.test"
    [ -e "$folder/strata.txt" ] || sampled "$base/data/valid.jsonl" dev | awk '$3 == 0 { n[$2 " " $4]++ } END { for (s in n) if (n[s] >= 5) print s, n[s] }' |
        sort > "$folder/strata.txt"
    [ -e "$folder/hard.txt" ] || sampled "$folder/.test" never | awk 'NR == FNR { s[$1 " " $2] = 1; next } $3 == 0 && ($2 " " $4) in s' "$folder/strata.txt" - \
        > "$folder/hard.txt"
    awk 'NR == FNR { hard[$1] = 1; next } { match($0, /"id":"[^"]*/); id = substr($0, RSTART + 6, RLENGTH - 6)
        sub(/"slice":[{]/, "&\"hard\":\"" (id in hard ? "yes" : "no") "\","); print }' "$folder/hard.txt" "$folder/.test" > "$folder/test.jsonl"
    test=$folder/test.jsonl
fi

methods() {
    case $setting in
    ablation) cat "$here/ablation.txt" ;;
    sweep)
        for method in grpo grpo-pr rrs; do
            for lr in 5.0e-4 1.0e-3 2.0e-3 4.0e-3; do for beta in 0 0.02; do
                echo "  - {name: $method-$lr-$beta, method: $method, lr: $lr, beta: $beta}"
            done; done
        done
        for lr in 5.0e-4 1.0e-3 2.0e-3; do for steps in 120 240 480; do
            echo "  - {name: sft+-$lr-$steps, method: sft+, lr: $lr, budget: 0, steps: $steps}"
        done; done
        ;;
    a-long) for method in grpo grpo-pr rrs; do echo "  - {name: $method, method: $method, budget: 6.0e+6}"; done ;;
    a-tuned)
        echo '  - {name: grpo-pr-2.0e-3, method: grpo-pr, lr: 2.0e-3}'
        echo '  - {name: grpo-pr-1.0e-3-0, method: grpo-pr, beta: 0}'
        echo '  - {name: rrs-5.0e-4-0, method: rrs, lr: 5.0e-4, beta: 0}'
        echo '  - {name: sft+-120, method: sft+, budget: 0, steps: 120}'
        echo '  - {name: sft+-5.0e-4, method: sft+, lr: 5.0e-4, budget: 0, steps: 240}'
        echo '  - agrl'
        ;;
    a-choices)
        echo '  - {name: keep-tier, method: agrl, gate: keep_tier}'
        echo '  - {name: floor, method: agrl, guided_mode: transfer, guided_weight: floor}'
        echo '  - {name: keep-tier-floor, method: agrl, gate: keep_tier, guided_mode: transfer, guided_weight: floor}'
        echo '  - {name: anchor, method: agrl, anchor: 0.2}'
        echo '  - {name: long, method: agrl, budget: 6.0e+6}'
        echo '  - {name: sft+-2.0e-3, method: sft+, lr: 2.0e-3, budget: 0, steps: 240}'
        echo '  - {name: sft+-long, method: sft+, budget: 0, steps: 720}'
        echo '  - agrl'
        ;;
    a-natural-long)
        printf '  - %s\n' sft '{name: sft+, method: sft+, budget: 0, steps: 960}'
        for method in rft grpo grpo-pr rrs agrl; do echo "  - {name: $method, method: $method, budget: 8.0e+6}"; done
        echo '  - {name: agrl-drawn, method: agrl, budget: 8.0e+6, draw_uncertain: 0.5, draw_unsolved: 0.2}'
        ;;
    a-natural-ways)
        echo '  - agrl'
        for share in 0.2 0.4; do echo "  - {name: unsolved-$share, method: agrl, draw_unsolved: $share}"; done
        echo '  - {name: uncertain-0.5, method: agrl, draw_uncertain: 0.5}'
        echo '  - {name: both, method: agrl, draw_uncertain: 0.5, draw_unsolved: 0.2}'
        echo '  - {name: trigger-1-4, method: agrl, trigger: 0.25}'
        echo '  - {name: most-4, method: agrl, replay_most: 4, guided_share: 0.5}'
        ;;
    literacy-*) printf '  - %s\n' sft agrl ;;
    noise-*) printf '  - %s\n' sft sft+ grpo agrl ;;
    d) printf '  - %s\n' sft verdicts sft+ rft dpo grpo grpo-pr rrs agr-shuffled agr agrl ;; # there is no gold answer to prefer
    *) printf '  - %s\n' sft verdicts sft+ rft dpo dpo-gold grpo grpo-pr rrs agr-shuffled agr agrl ;;
    esac | sed "s/^  - sft+\$/  - {name: sft+, method: sft+, budget: 0, steps: ${STEPS_OF_GOLD:-240}}/"
}
case $setting in ablation | sweep | a-natural-ways | literacy-*) seeds=1 ;; esac
{
    printf 'run: %s\nout: %s\ntest: %s\nseeds: [%s]\nkeep: false\n' "$here/rl.yaml" "$folder/compare" "$test" "$seeds"
    [ -z "$slice" ] || printf 'slice: %s\n' "$slice"
    printf 'set: [device=%s, rules=%s, model=%s, data.train=%s, data.pool=%s, data.valid=%s, data.lexicon=%s%s]\nmethods:\n' "$device" "$book" "$base/sft" "$base/data/sft.jsonl" \
        "$folder/pool.jsonl" "$folder/valid.jsonl" "$base/data/lexicon.json" "$room"
    methods
} > "$folder/plan.yaml"
"$agrl" compare "$folder/plan.yaml" "$@"

# How well the list of pairs to label again finds the flipped tiers: those that no hint solved, and those and the disputed ones.
case $setting in
noise-*)
    all=$(grep -c '^{"flipped":true' "$folder/pool.jsonl" || :)
    for list in "$folder"/compare/agrl/seed-*/unsolved.jsonl; do
        seed=$(basename "$(dirname "$list")")
        awk -v all="$all" -v seed="$seed" '
            { flipped = /"flipped":true/; n["listed"]++; hit["listed"] += flipped; if (/"unsolved":[1-9]/) { n["unsolved"]++; hit["unsolved"] += flipped } }
            END { for (i = 1; i <= 2; i++) { k = i == 1 ? "unsolved" : "listed"
                printf "%s: %d %s, %d of %d flipped: precision %.2f, recall %.2f\n", seed, n[k], k, hit[k], all, n[k] ? hit[k] / n[k] : 0, all ? hit[k] / all : 0 } }' "$list"
    done
    ;;
esac
