#!/bin/sh
# test_rules_diff.sh: `agrl rules diff`: gold and judged verdicts under two rulebooks, what is left out, hostile files.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
cp -r "$SRC/rules/facts" .
cp "$SRC/rules/general-4tier.yaml" old.yaml
sed -e '/id: R2$/,/cap:/s/cap: "2"/cap: "1"/' -e 's/^version:.*/version: "2.0"/' old.yaml > new.yaml
diff() { "$AGRL" rules diff old.yaml new.yaml "$@"; }

cat > pairs << 'END'
{"id": "a", "query": "boots", "item": {"title": "Polish"}, "asked": [], "gold": {"tier": "2", "verdicts": {"cat": "COMPLEMENT"}}}
{"id": "b", "query": "red boots", "item": {"title": "Boots"}, "asked": [{"name": "colour", "value": "red"}], "gold": {"verdicts": {"cat": "SAME", "attr": {"colour": "MATCH"}}}}
{"id": "c", "query": "boots", "item": {"title": "Kettle"}, "asked": [], "gold": {"tier": "1"}}
END
cat > answers << 'END'
{"pair": {"id": "a", "query": "boots", "item": {"title": "Polish"}, "asked": []}, "answer": "2\ncat=COMPLEMENT\nattr=-\nrule=R2"}
{"pair": {"id": "b", "query": "red boots", "item": {"title": "Boots"}, "asked": [{"name": "colour", "value": "red"}]}, "answer": "4\ncat=SAME\nattr=colour:MATCH\nrule=R0"}
{"pair": {"id": "c", "query": "boots", "item": {"title": "Kettle"}, "asked": []}, "answer": "1"}
END
"$AGRL" verify --rules old.yaml --out judged answers

t "books alone"
run 0 diff
prints '^  book  *-  *version  *1.0$'
prints '^  rule  *R2  *cap  *2$'
prints '^  *-> 1$'
is "$(grep -c 'pairs' out)" 0
run 0 diff --json
is "$(wc -l < out)" 1
prints '{"kind":"rule","id":"R2","field":"cap","old":"2","new":"1"}\],"judged":null}$'
run 0 "$AGRL" rules diff old.yaml old.yaml
prints '^no difference between the books$'
{
    echo '# a comment'
    cat old.yaml
} > same.yaml
run 0 "$AGRL" rules diff old.yaml same.yaml
prints '^no difference between the books but comments'

t "gold verdicts and a judge's give the same"
run 0 diff --data pairs --out changed
prints '^2 of 3 pairs compared: the tier of 1 changes (50.00%; 0 better, 1 worse), of 0 more only the rule$'
prints '^left out: 1: no verdict that the old book needs: cat$'
prints '^  2  *-> 1  *1 *50.00%$'
prints '^  R2  *-> R2  *1 *50.00%  *1$'
prints '^  boots  *Polish  *2 (R2) -> 1 (R2), gain -1$'
is "$(cat changed)" '{"id":"a","query":"boots","title":"Polish","old":{"tier":"2","rule":"R2"},"new":{"tier":"1","rule":"R2"},"facts":false,"difference":-1.0}'
mv changed gold
for file in judged judged.gz; do
    gzip -c judged > judged.gz
    run 0 diff --judged $file --data pairs --out changed
    cmp -s changed gold || wrong "$(cat changed)"
    prints '^left out: 1: answer not in the format$'
    [ -s err ] && wrong "$(cat err)"
done
run 0 diff --judged - --data pairs --limit 0 --json < judged
prints '"pairs":3,"compared":2,"changed":1,"share":0.5,"better":0,"worse":1,"rule_only":0,"assumed":0,"differs":0,"facts":0,"reread":0,'
prints '"left_out":\[{"state":"refused","text":"answer not in the format","name":null,"pairs":1}\],"most":\[\]'

t "without the pairs, and by another book than said"
run 0 diff --judged judged
says '2 judged lines without their pairs.*--data'
prints '^  a  *-  *2 (R2) -> 1 (R2), gain -1$'
run 0 "$AGRL" rules diff new.yaml old.yaml --judged judged --data pairs
says '1 judged lines derived another tier or rule than the old book'

t "a rule's new name changes no tier"
sed 's/id: R0/id: R9/' old.yaml > named.yaml
run 0 "$AGRL" rules diff old.yaml named.yaml --data pairs --out changed
prints 'the tier of 0 changes (0.00%; 0 better, 0 worse), of 1 more only the rule'
prints '^  R0  *-> R9  *1 *50.00%  *0$'
is "$(grep -c '"id":"b"' changed)" 1

t "verdicts that the new book cannot read"
sed 's/COMPLEMENT/ACCESSORY/' old.yaml > renamed.yaml
run 0 "$AGRL" rules diff old.yaml renamed.yaml --data pairs
prints '^left out: 1: verdict that the new book cannot read: cat=COMPLEMENT$'
prints '^1 of 3 pairs compared'
sed 's/id: cat/id: kind/; s/cat ==/kind ==/' old.yaml > kind.yaml
run 0 "$AGRL" rules diff old.yaml kind.yaml --data pairs
says 'no pair could be compared'
prints '^left out: 2: verdict that the new book cannot read: cat$'
prints '^0 of 3 pairs compared: the tier of 0 changes, of 0'

t "pairs that do not say what is asked"
echo '{"id": "a", "query": "red boots", "item": {"title": "Boots", "category": "boots", "attributes": {"colour": "red"}}, "gold": {"verdicts": {"cat": "COMPLEMENT"}}}' > unsaid
run 0 diff --data unsaid
prints '^left out: 1: no verdict that the old book needs: attr$'
echo '{"id": "a", "verdicts": {"cat": "COMPLEMENT", "attr": {"colour": "MATCH"}}}' > seen
run 0 diff --data unsaid --judged seen
prints '^1 of 1 pairs compared: the tier of 1 changes'
echo '{"id": "a", "verdicts": {"cat": "COMPLEMENT", "attr": {}}}' > unseen
run 0 diff --data unsaid --judged unseen
prints '^left out: 1: the pair asks for something else than was judged$'

t "facts files that differ"
mkdir -p other/facts
cp old.yaml other/new.yaml
cp facts/*.yaml other/facts
{
    cat facts/general.yaml
    printf 'categories: {boots: {}, wellies: {parents: [boots]}}\nvalues: {colour: {synonyms: [[red, crimson]]}}\n'
} > other/facts/general.yaml
run 0 "$AGRL" rules diff old.yaml other/new.yaml
prints '^  category *boots *added *-$'
prints '^  category *wellies *added *boots$'
prints '^  values *colour *added *red = crimson$'
grep -q '^no difference' out && wrong "facts are not looked at: $(cat out)"
run 0 "$AGRL" rules diff old.yaml other/new.yaml --json
prints '{"kind":"values","id":"colour","field":null,"old":null,"new":"red = crimson"}'
cat > crimson << 'END'
{"id": "x", "query": "red boots", "category": "boots", "item": {"title": "Boots", "category": "boots", "attributes": {"colour": "crimson"}}, "asked": [{"name": "colour", "value": "red"}], "gold": {"verdicts": {"cat": "SAME", "attr": {"colour": "CONFLICT"}}}}
{"id": "y", "query": "red boots", "category": "boots", "item": {"title": "Boots", "category": "boots", "attributes": {"colour": "crimson"}}, "asked": [{"name": "colour", "value": "red"}], "gold": {"verdicts": {"cat": "SAME", "attr": {"colour": "UNKNOWN"}}}}
END
sed 's/"query".*"gold": {\(.*\)}/\1/' crimson > crimson-judged
for source in '--data crimson' '--judged crimson-judged --data crimson'; do
    # shellcheck disable=SC2086 # options are words
    run 0 "$AGRL" rules diff old.yaml other/new.yaml $source --out changed
    prints '^2 of 2 pairs compared: the tier of 1 changes (50.00%; 1 better, 0 worse)'
    prints '^verdicts that change with the facts: of 1 pairs$'
    is "$(cut -d, -f1 changed)" '{"id":"x"'
    grep -q '"facts":true' changed || wrong "$(cat changed)"
    [ -s err ] && wrong "$(cat err)"
done
run 0 "$AGRL" rules diff old.yaml other/new.yaml --judged crimson-judged --out changed
grep -q "warning: the books' facts differ; without --data" err || wrong "$(cat err)"
[ -s changed ] && wrong "without the items nothing can change: $(cat changed)"
cp facts/general.yaml other/facts/general.yaml
echo '# a comment' >> other/facts/general.yaml
run 0 "$AGRL" rules diff old.yaml other/new.yaml --data crimson
prints '^no difference between the books but comments or layout$'
prints 'the tier of 0 changes'

t "options that contradict each other"
run 2 "$AGRL" rules diff old.yaml
silent
run 2 diff --out changed
says '\-\-out is about judged pairs'
run 2 diff --limit 3
says '\-\-limit is about judged pairs'
run 2 diff --judged judged --lexicon x
says '\-\-lexicon is for the pairs of --data'
run 2 diff --data pairs --out -
says '\-\-out needs a file'
run 2 diff --judged - --data -
says 'only one file can come from standard input'
run 2 diff --data pairs --out pairs
says pairs
run 2 diff --data pairs --out new.yaml
says new.yaml
run 1 diff --data pairs --out none/x
says none

t "files that are none"
bad() { # TEXT SAYS
    printf '%b' "$1" > bad
    run 1 diff --judged bad --data pairs --out gone
    says "$2"
    silent
    absent gone
}
bad '' 'bad: empty'
bad '{' 'bad:1'
bad '[]\n' 'bad:1: must be an object'
bad '{"id": "a", "verdicts": {"cat": "SAMEE"}}\n' "bad:1: verdicts: 'SAMEE' is no verdict of the old book; did you mean 'SAME'"
bad '{"id": "a", "tier": "4"}\n' 'bad:1: no verdicts: `agrl judge --explain`'
bad '{"id": "a", "format": false}\n\n{"id": "a", "format": false}\n' "bad:3: 'a' is in line 1 already"
bad '{"id": "a\\u0000b", "verdicts": {}}\n' 'bad:1'
bad '{"verdicts": {}}\n' "bad:1: 'id' is missing"
bad '{"id": "\0377", "verdicts": {}}\n' 'bad:1'
run 1 diff --judged pairs
says 'pairs:1: no verdicts: a file of pairs with gold verdicts goes to --data'
run 1 diff --data judged
says 'judged:1'
run 1 diff --data nowhere
says nowhere
run 1 diff --judged nowhere
says nowhere
run 1 "$AGRL" rules diff old.yaml nowhere.yaml --data pairs
says nowhere.yaml
: > empty.yaml
run 1 "$AGRL" rules diff empty.yaml new.yaml
says empty.yaml
head -c 60 judged.gz > short.gz
run 1 diff --judged short.gz
says short.gz

t "a full disk leaves what was there"
echo old > kept
awk 'BEGIN { getline line < "pairs"; for (i = 0; i < 50; i++) { copy = line; sub(/"a"/, "\"a" i "\"", copy); print copy } }' > many
run 1 full_disk "$AGRL" rules diff old.yaml new.yaml --data many --out kept
says kept
is "$(cat kept)" old
if [ -c /dev/full ]; then
    diff --data many > /dev/full 2> err
    is $? 1
    says "standard output"
fi
finish
