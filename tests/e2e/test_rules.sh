#!/bin/sh
# test_rules.sh: rules, verify and asked: pipes, bad input, full disks.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
BOOK=$SRC/rules/shop.yaml
"$AGRL" init s > /dev/null 2>&1
MINE=s/rulebook.yaml

t "the rulebooks that ship have no problem"
for book in "$SRC"/rules/*.yaml; do
    run 0 "$AGRL" rules check "$book"
    prints '^no problems'
    run 0 "$AGRL" rules show "$book"
    run 0 "$AGRL" rules show --prompt "$book"
done

t "a facts file with a mistake"
sed 's/^facts:.*/facts: nowhere.yaml/' $MINE > lost.yaml
grep -q '^facts: nowhere' lost.yaml || wrong "the starter's book names no facts"
run 1 "$AGRL" rules check lost.yaml
says nowhere.yaml

t "a rulebook with a mistake"
sed 's/cat == DIFFERENT/cat == DIFERENT/' $MINE > bad.yaml
cp s/facts.yaml .
run 1 "$AGRL" rules check bad.yaml
silent
says '^agrl: .*bad.yaml:[0-9]*:[0-9]*: .*DIFFERENT'
for mistake in 's/^rulebook:/rulebok:/' 's/per: asked/per: ask/' 's/cap: "1"/cap: "9"/' '/^tiers:/,/^$/d' 's/any(/any((/'; do
    sed "$mistake" $MINE > bad.yaml
    run 1 "$AGRL" rules check bad.yaml
    silent
    says '^agrl: .*bad.yaml'
done

t "rulebooks that are none"
: > empty.yaml
head -c 3000 /dev/urandom > noise.yaml
printf 'a: &x [*x]\n' > alias.yaml
awk 'BEGIN { for (i = 0; i < 500; i++) printf "["; print "" }' > deep.yaml
printf 'rulebook: a\0b\n' > nul.yaml
printf 'rulebook: "\377"\n' > utf8.yaml
for file in empty noise alias deep nul utf8 missing; do
    run 1 "$AGRL" rules check $file.yaml
    silent
    says "$file.yaml"
done
run 1 "$AGRL" rules check s
says .

t "derive reads lines and a pipe"
echo '{"verdicts": {"cat": "SAME", "attr": {"colour": "CONFLICT"}}, "asked": [{"name": "colour", "op": "is", "value": "red"}]}' > line
run 0 "$AGRL" rules derive --rules "$BOOK" line
prints '{"tier":"3","rule":"R7"}'
run 0 "$AGRL" rules derive --rules "$BOOK" - < line
prints '{"tier":"3","rule":"R7"}'
run 0 "$AGRL" rules derive --rules "$BOOK" < line
prints '{"tier":"3","rule":"R7"}'

t "derive on bad lines"
echo '{"verdicts": {"cat": "SAM"}, "asked": []}' > bad
run 1 "$AGRL" rules derive --rules "$BOOK" bad
says 'bad:1.*SAM'
for text in '{' '[]' '"a"' 'null' '{"verdicts": 3}' ''; do
    printf '%s\n' "$text" > bad
    "$AGRL" rules derive --rules "$BOOK" bad > out 2> err
    code=$?
    [ -z "$text" ] && [ $code -eq 0 ] && continue
    is $code 1
    says 'bad:1'
done

pair='"pair": {"query": "red boots", "item": {"title": "Boots", "category": "boots"}, "asked": [], "gold": {"tier": "4"}}'
answer='4\ncat=SAME\nattr=-\nrule=R0\nwhy=As asked.'
t "verify"
printf '{%s, "answer": "%s"}\n' "$pair" "$answer" > answers
run 0 "$AGRL" verify --rules "$BOOK" answers
prints '"gate":true'
run 0 "$AGRL" verify --rules "$BOOK" < answers
prints '"gate":true'
run 0 "$AGRL" verify --rules "$BOOK" --out verdicts - < answers
silent
grep -q '"gate":true' verdicts || wrong "no verdict in the file"
printf '{%s, "answer": "%s\\n"}\n' "$pair" "$answer" > refused
run 0 "$AGRL" verify --rules "$BOOK" refused
prints '"format":false'
prints '"refused":'

t "verify on bad input keeps what was there"
{
    cat answers
    echo '{"pair": 1}'
} > bad
echo old > verdicts
run 1 "$AGRL" verify --rules "$BOOK" --out verdicts bad
says 'bad:2'
is "$(cat verdicts)" old
absent fresh
run 1 "$AGRL" verify --rules "$BOOK" --out fresh bad
absent fresh
run 1 "$AGRL" verify --rules missing.yaml answers
says missing.yaml
run 1 "$AGRL" verify --rules "$BOOK" missing
says missing
run 2 "$AGRL" verify answers
says -- '--rules'
run 2 "$AGRL" verify --rules "$BOOK" --aggregate mode answers
says 'must be one of'

t "audit holds a rulebook against people"
cat > judged << 'END'
{"id": "a", "query": "red boots", "item": {"id": "1", "title": "Boots", "category": "boots", "attributes": {"colour": "red"}}, "gold": {"tier": "4"}}
{"id": "b", "query": "red boots", "item": {"id": "2", "title": "Boots", "category": "boots", "attributes": {"colour": "blue"}}, "gold": {"tier": "1"}}
{"id": "c", "query": "boots", "item": {"title": "Kettle", "category": "kettles"}, "asked": [], "gold": {"tier": "4", "verdicts": {"cat": "DIFFERENT"}}}
{"id": "d", "query": "something", "item": {"title": "Boots", "category": "boots"}, "gold": {"tier": "4"}}
{"id": "e", "query": "boots", "item": {"title": "Boots", "category": "boots"}, "ratings": ["3", "4"]}
END
gzip -c judged > judged.gz
for file in judged judged.gz; do
    run 0 "$AGRL" rules audit "$BOOK" --judged $file
    prints '^R7 *3 *1 *1  |     0     0     0     1  |  0.000     0.000      +2.000$'
    prints '^R1 *1 *1 *1  |     1     0     0     0  |  0.000     0.000      -3.000$'
    prints '^all *3 *2  |     2     0     0     1  |  0.333     0.333      -0.333$'
    prints 'red boots .*people 1, derived 3: cat=SAME attr=colour:CONFLICT (wanted boots, is boots)$'
    prints '^left out: no category read in the query: 1 pairs of 1 queries$'
    grep -q '^left out: 2 pairs: ' err || wrong "no note on what was left out: $(cat err)"
done
run 0 "$AGRL" rules audit --rules "$BOOK" --judged - --json --aggregate median --worst 0 < judged
is "$(wc -l < out)" 1
prints '"audited":4,'
prints '"states":{"given":1,"facts":3,"no_tier":0,"people_only":0,"no_wanted_category":1,'
prints '"worst":\[\]'

t "audit on bad input"
run 2 "$AGRL" rules audit "$BOOK"
silent
says -- '--judged'
run 2 "$AGRL" rules audit --judged judged
says 'which rulebook'
run 2 "$AGRL" rules audit "$BOOK" --judged judged --aggregate soft
says 'must be one of'
run 1 "$AGRL" rules audit "$BOOK" --judged missing
silent
says missing
run 1 "$AGRL" rules audit "$BOOK" --judged judged --lexicon missing
silent
says missing
tail -n 1 judged > untold
run 1 "$AGRL" rules audit "$BOOK" --judged untold
silent
says 'untold: no pair to audit by.*--aggregate'
: > nothing
run 1 "$AGRL" rules audit "$BOOK" --judged nothing
says 'nothing: no pair to audit by'
{
    cat judged
    echo '{"query": "x"}'
} > bad
run 1 "$AGRL" rules audit "$BOOK" --judged bad
silent
says 'bad:6'
run 1 "$AGRL" rules audit missing.yaml --judged judged
says missing.yaml

t "asked"
echo "red boots under 40 euro" > queries
run 0 "$AGRL" asked --rules "$BOOK" queries
prints '"at_most"'
run 0 "$AGRL" asked --rules "$BOOK" - < queries
prints '"at_most"'
run 1 "$AGRL" asked --rules "$BOOK" missing
says missing
run 2 "$AGRL" asked queries
says -- '--rules'

t "full disks are reported"
awk 'BEGIN { while ((getline line < "answers") > 0) for (i = 0; i < 50; i++) print line }' > many
echo old > verdicts
run 1 full_disk "$AGRL" verify --rules "$BOOK" --out verdicts many
says verdicts
is "$(cat verdicts)" old
run 1 full_disk "$AGRL" asked --rules "$BOOK" --out verdicts many
is "$(cat verdicts)" old
head -n 3 judged > answered
if [ -c /dev/full ]; then
    for command in "verify --rules $BOOK answers" "asked --rules $BOOK queries" "rules show $BOOK" "rules check $BOOK" \
        "rules derive --rules $BOOK line" "rules audit --worst 0 --rules $BOOK --judged answered"; do
        # shellcheck disable=SC2086 # words of a command
        "$AGRL" $command > /dev/full 2> err
        is $? 1
        says "standard output"
    done
fi

t "a line that is too long, a NUL, damaged gzip"
head -c 20000000 /dev/zero | tr '\0' x > long
run 1 "$AGRL" verify --rules "$BOOK" long
says 'long:1'
printf 'a\0b\n' > nul
run 1 "$AGRL" verify --rules "$BOOK" nul
says 'nul:1'
gzip -c many | head -c 80 > cut.gz
run 1 "$AGRL" verify --rules "$BOOK" --out fresh cut.gz
says 'cut.gz'
absent fresh

finish
