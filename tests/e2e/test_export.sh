#!/bin/sh
# test_export.sh: `agrl export`: every list comes back through import or eval as the judgements that went in; what no list holds is refused.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
BOOK=$SRC/rules/general-4tier.yaml
LABELS=3=4,2=3,1=2,0=1
export_as() { # FORMAT OPTION...: of pairs.jsonl
    format=$1
    shift
    "$AGRL" export "$format" --data pairs.jsonl --rules "$BOOK" "$@"
}
# FILE: item, tier and query of each pair, in one order; line ends and tabs as topics have them.
tiers() {
    sed 's/,"title":"[^"]*"//; s/.*"query":"\(.*\)","item":{"[a-z]*":"\(.*\)"},"gold":{"tier":"\([^"]*\)".*/\2 \3 \1/; s/\\[nt]/ /g' "$1" | LC_ALL=C sort
}
same_tiers() { # as went in, in back.jsonl
    tiers back.jsonl > back.tiers
    cmp -s want.tiers back.tiers || wrong "$(diff want.tiers back.tiers)"
}

cat > pairs.jsonl << 'P'
{"id":"1","query":"red boots","item":{"id":"b","title":"Red boots"},"gold":{"tier":"4"}}
{"id":"2","query":"boots, \"red\"\nnot suede","item":{"id":"b","title":"Red boots"},"gold":{"tier":"3"}}
{"id":"3","query":"red boots","item":{"id":"a","title":"Blue boots"},"gold":{"tier":"2"}}
{"id":"4","query":"Stiefel für Mädchen; \\ 5'\t","item":{"id":"ü,\"1","title":"Kettle"},"gold":{"tier":"1"}}
{"id":"5","query":"red boots","item":{"id":"c","title":"Boots"},"gold":{"tier":"2"}}
{"id":"6","query":"not judged","item":{"id":"c","title":"Boots"}}
P
grep -v '"6"' pairs.jsonl > gold.jsonl
tiers gold.jsonl > want.tiers
if [ "$(head -n 2 want.tiers | tr '\n' ';')" != 'a 2 red boots;b 3 boots, \"red\" not suede;' ]; then
    echo "the test cannot read its own pairs: $(cat want.tiers)" >&2
    exit 1
fi
sed 's/.*"item":\({"id":.*"title":"[^"]*"}\).*/\1/' pairs.jsonl | LC_ALL=C sort -u > catalogue.jsonl
cat > judged << 'J'
{"id":"1","probabilities":{"4":0.7,"3":0.1,"2":0.1,"1":0.1}}
{"id":"2","probabilities":{"4":0.2,"3":0.5,"2":0.2,"1":0.1}}
{"id":"3","probabilities":{"4":0,"3":0.25,"2":0.75,"1":0}}
{"id":"4","probabilities":{"4":0,"3":0,"2":0.1,"1":0.9}}
{"id":"5","probabilities":{"4":0,"3":0.25,"2":0.75,"1":0}}
{"id":"6","probabilities":{"4":0.25,"3":0.25,"2":0.25,"1":0.25}}
J

t "qrels and topics"
run 0 export_as qrels --out qrels --queries topics
silent
grep -q 'pairs.jsonl: 1 pairs without a gold tier are left out' err || wrong "$(cat err)"
grep -q "qrels: 5 judgements of 3 queries; agrl import reads them with --labels $LABELS" err || wrong "$(cat err)"
printf 'q1 0 b 3\nq1 0 a 1\nq1 0 c 1\nq2 0 b 2\nq3 0 ü,"1 0\n' > want
cmp -s qrels want || wrong "$(cat qrels)"
printf 'q1\tred boots\nq2\tboots, "red" not suede\nq3\tStiefel für Mädchen; \\ 5'"'"' \n' > want
cmp -s topics want || wrong "$(cat topics)"
run 0 export_as qrels --grades gain
is "$(cut -d' ' -f4 out | tr '\n' ' ')" "7 1 1 3 0 "
run 0 export_as qrels --judged judged
is "$(tail -n 1 out)" "q4 0 c 3" # the better tier of equal ones
is "$(head -n 5 out)" "$(cat qrels)"

t "import qrels gives the same tiers"
run 0 "$AGRL" import qrels qrels --queries topics --catalogue catalogue.jsonl --rules "$BOOK" --labels $LABELS --out back.jsonl
same_tiers
run 0 export_as qrels --grades gain --out gains --queries topics
run 0 "$AGRL" import qrels gains --queries topics --catalogue catalogue.jsonl --rules "$BOOK" --labels 7=4,3=3,1=2,0=1 --out back.jsonl
same_tiers

t "a run by expected gain, and eval takes it with the qrels"
run 0 export_as run --judged judged --out run --queries topics.run --tag mine
grep -q '^run: 6 judgements of 4 queries$' err || wrong "$(cat err)"
sed 's/ 5\.2999*[0-9] / 5.3 /; s/ 3\.1000*[0-9] / 3.1 /' run > short
printf 'q1 Q0 b 1 5.3 mine\nq1 Q0 a 2 1.5 mine\nq1 Q0 c 3 1.5 mine\nq2 Q0 b 1 3.1 mine\nq3 Q0 ü,"1 1 0.1 mine\nq4 Q0 c 1 2.75 mine\n' > want
cmp -s short want || wrong "$(cat run)"
is "$(head -n 3 topics.run)" "$(cat topics)"
is "$(tail -n 1 topics.run)" "q4	not judged"
run 0 "$AGRL" eval --run run --qrels qrels --draws 0
prints '^nDCG@10 .* 0.667 '
run 0 export_as run --judged judged --soft
is "$(cut -d' ' -f1-5 out)" "$(cut -d' ' -f1-5 run)"
is "$(cut -d' ' -f6 out | sort -u)" agrl

t "a query has one id in the qrels of the gold and in a run"
{ tail -n 1 pairs.jsonl && cat gold.jsonl; } > turned.jsonl
run 0 "$AGRL" export qrels --data turned.jsonl --rules "$BOOK" --queries topics
is "$(cut -d' ' -f1 out | uniq | tr '\n' ' ')" "q2 q3 q4 "
is "$(cut -f1 topics | tr '\n' ' ')" "q2 q3 q4 "
grep -q '^qrels: 5 judgements of 3 queries' err || wrong "$(cat err)"
run 0 "$AGRL" export run --judged judged --data turned.jsonl --rules "$BOOK"
is "$(grep ' b ' out | cut -d' ' -f1 | tr '\n' ' ')" "q2 q3 "

t "quepid"
run 0 export_as quepid --out ratings.csv
printf 'query,docid,rating\nred boots,b,3\nred boots,a,1\nred boots,c,1\n"boots, ""red""\nnot suede",b,2\n"Stiefel für Mädchen; \\ 5'"'"'\t","ü,""1",0\n' > want
cmp -s ratings.csv want || wrong "$(cat ratings.csv)"
run 0 "$AGRL" import quepid ratings.csv --catalogue catalogue.jsonl --rules "$BOOK" --labels $LABELS --out back.jsonl
same_tiers
run 0 "$AGRL" import csv ratings.csv --map docid=title --map rating=tier --rules "$BOOK" --labels $LABELS --out back.jsonl
same_tiers
run 0 export_as quepid --judged judged --soft
is "$(grep -c ',1.5$' out)" 2
prints '^not judged,c,2.75$'
run 2 "$AGRL" import quepid ratings.csv --catalogue catalogue.jsonl --rules "$BOOK"
says "the grades of Quepid's ratings differ from set to set"
printf 'query,docid,Rating\nx,a,1\n' > wrong.csv
run 1 "$AGRL" import quepid wrong.csv --catalogue catalogue.jsonl --rules "$BOOK" --labels $LABELS
says "wrong.csv:1: no column 'rating'"

t "opensearch"
run 0 export_as opensearch --out list.json
is "$(head -n 4 list.json | tr -d '\n')" '{"name": "general-4tier","description": "gold tiers by rulebook general-4tier 1.0: '$LABELS'","type": "IMPORT_JUDGMENT",'
is "$(grep -c docId list.json)" 5
grep -q '^{"docId": "b", "rating": "3"},$' list.json || wrong "$(cat list.json)"
run 0 "$AGRL" import opensearch list.json --catalogue catalogue.jsonl --rules "$BOOK" --labels $LABELS --out back.jsonl
same_tiers
run 0 export_as opensearch --judged judged --soft
prints '^{"docId": "a", "rating": "1.5"},$'
prints ': expected gains",$'

t "gzip, a table and pipes"
run 0 export_as qrels --out qrels.gz
is "$(gzip -dc qrels.gz)" "$(cat qrels)"
printf 'query,query_id,item_id,title,tier\nred boots,,b,Boots,4\nkettle,k7,b,Boots,1\n' > table.csv
run 0 "$AGRL" export qrels --data table.csv --rules "$BOOK" --out -
is "$(cat out)" "q1 0 b 3
k7 0 b 0"
run 0 "$AGRL" export qrels --data - --rules "$BOOK" < gold.jsonl
is "$(cat out)" "$(cat qrels)"

t "query ids: the pairs' own, of a text that has one elsewhere, and free numbers"
cat > ids.jsonl << 'P'
{"query":"a","item":{"id":"1","title":"x"},"gold":{"tier":"4"}}
{"query":"b","item":{"id":"1","title":"x"},"gold":{"tier":"4"}}
{"query":"c","query_id":"q3","item":{"id":"1","title":"x"},"gold":{"tier":"4"}}
{"query":"a","query_id":17,"item":{"id":"2","title":"y"},"gold":{"tier":"1"}}
{"query":"d","item":{"id":"1","title":"x"},"gold":{"tier":"4"}}
{"query":"e","item":{"id":"1","title":"x"},"gold":{"tier":"4"}}
P
run 0 "$AGRL" export qrels --data ids.jsonl --rules "$BOOK" --queries topics
is "$(tr '\n' ';' < out)" "17 0 1 3;17 0 2 0;q2 0 1 3;q3 0 1 3;q4 0 1 3;q5 0 1 3;"
sed 's/"d"/"d","query_id":"q5"/' ids.jsonl > taken.jsonl
run 0 "$AGRL" export qrels --data taken.jsonl --rules "$BOOK"
is "$(tail -n 2 out | tr '\n' ';')" "q5 0 1 3;q6 0 1 3;"
sed 's/"d"/"d","query_id":"q3"/' ids.jsonl > two.jsonl
run 1 "$AGRL" export qrels --data two.jsonl --rules "$BOOK" --out gone
says "two.jsonl:5: the query id 'q3' has another text at two.jsonl:3: give each text its own"
sed 's/"q3"/[1]/' ids.jsonl > list.jsonl
run 1 "$AGRL" export qrels --data list.jsonl --rules "$BOOK" --out gone
says "list.jsonl:3: query_id must be a string or a whole number"
sed 's/"q3"/"q 3"/' ids.jsonl > blank.jsonl
run 1 "$AGRL" export qrels --data blank.jsonl --rules "$BOOK" --out gone
says "blank.jsonl:3: the query id 'q 3' has a blank"
absent gone
run 0 "$AGRL" export quepid --data blank.jsonl --rules "$BOOK"

t "gold from ratings"
cat > rated.jsonl << 'P'
{"query":"a","item":{"id":"1","title":"x"},"ratings":["4","4","1"]}
P
run 1 "$AGRL" export qrels --data rated.jsonl --rules "$BOOK"
says "rated.jsonl: no pair has a gold tier; .*--aggregate ratings"
run 0 "$AGRL" export qrels --data rated.jsonl --rules "$BOOK" --aggregate majority
prints '^q1 0 1 3$'

t "what no list can hold"
bad() { # FORMAT LINE SAYS
    { cat gold.jsonl && echo "$2"; } > bad.jsonl
    run 1 "$AGRL" export "$1" --data bad.jsonl --rules "$BOOK" --out gone --queries gone.topics
    says "$3"
    absent gone gone.topics
}
bad qrels '{"query":"x","item":{"id":"a b","title":"x"},"gold":{"tier":"1"}}' "bad.jsonl:6: the item id 'a b' has a blank.*rename it, or export quepid or opensearch"
bad qrels '{"query":"x","item":{"id":"a\u00a0b","title":"x"},"gold":{"tier":"1"}}' "bad.jsonl:6: the item id .* has a blank"
bad qrels '{"query":"x","item":{"title":"x"},"gold":{"tier":"1"}}' "bad.jsonl:6: the item has no id"
bad qrels '{"id":"9","query":"red boots","item":{"id":"a","title":"x"},"gold":{"tier":"1"}}' "the item 'a' stands at bad.jsonl:3 for the same query"
bad qrels '{"query":"x"' "bad.jsonl:6"
bad qrels '{"query":"x","item":{"id":"a","title":"x"},"gold":{"tier":"5"}}' "'5' is not a tier of the book"
: > empty.jsonl
run 1 "$AGRL" export qrels --data empty.jsonl --rules "$BOOK"
says "empty.jsonl: no pairs"
run 1 "$AGRL" export qrels --data nowhere.jsonl --rules "$BOOK"
says nowhere.jsonl
sed 's/gain: 3/gain: 2.5/; s/gain: 1,/gain: 0,/' "$BOOK" > halves.yaml
mkdir -p facts && cp "$SRC"/rules/facts/* facts/
run 2 "$AGRL" export qrels --data gold.jsonl --rules halves.yaml --grades gain --out gone
says "halves.yaml: the gain 2.5 of tier '3' is no whole number, as grades of qrels must be: leave --grades out"
absent gone
run 0 "$AGRL" export quepid --data gold.jsonl --rules halves.yaml --grades gain
grep -q "tiers '2' and '1' have the same gain" err || wrong "$(cat err)"
grep -q -e '--labels 7=4,2.5=3,0=2$' err || wrong "$(cat err)"

t "judgements that are none"
head -n 3 judged > few
run 1 export_as run --judged few --out gone
says "few: 3 of 6 pairs are not judged"
cat judged few > twice
run 1 export_as quepid --judged twice --out gone
says "twice:7: '1' is judged twice"
sed 's/0\.7/0.8/' judged > much
run 1 export_as quepid --judged much --out gone
says "much:1: the probabilities sum to 1.1, not 1"
echo '{"id":"1","tier":"4"}' > bare
run 1 export_as quepid --judged bare --out gone
says "bare:1: a judgement needs 'probabilities'"
absent gone

t "options that contradict each other"
refused() { # SAYS COMMAND...
    want_text=$1
    shift
    run 2 "$@"
    says "$want_text"
    silent
    absent gone
}
refused "unknown format 'qrel' (known: qrels, run, quepid, opensearch); did you mean 'qrels'?" export_as qrel --out gone
refused '\-\-data is missing' "$AGRL" export qrels --rules "$BOOK"
refused '\-\-rules is missing' "$AGRL" export qrels --data pairs.jsonl
refused 'a run needs --judged FILE' export_as run --out gone
refused '\-\-queries is for qrels and run' export_as quepid --queries gone
refused '\-\-tag is the name of a run' export_as qrels --tag x
refused '\-\-tag must be one word' export_as run --judged judged --tag 'a b'
refused '\-\-grades is not for a run' export_as run --judged judged --grades gain
refused 'qrels hold whole grades: leave --soft out' export_as qrels --judged judged --soft
refused '\-\-soft needs --judged' export_as quepid --soft
refused '\-\-soft writes expected gains' export_as quepid --judged judged --soft --grades position
refused '\-\-judged and --aggregate exclude each other' export_as quepid --judged judged --aggregate median
refused 'cannot both come from standard input' "$AGRL" export run --data - --judged - --rules "$BOOK"
refused 'are the same file' export_as qrels --out gone --queries gone

t "outputs that must not be written"
cp pairs.jsonl keep.pairs && cp judged keep.judged
for input in pairs.jsonl ./judged; do
    refused "is an input as well" export_as run --judged judged --out $input
    refused "is an input as well" export_as run --judged judged --out gone --queries $input
done
cmp -s pairs.jsonl keep.pairs && cmp -s judged keep.judged || wrong "an input was overwritten"
run 1 export_as qrels --out none/x
says "there is no folder 'none'"
run 1 export_as qrels --out qrels --queries pairs.jsonl/x
says "pairs.jsonl"
mkdir locked && chmod 555 locked
if ! touch locked/try 2> /dev/null; then
    run 1 export_as qrels --out locked/x
    says "locked/x"
    cp qrels kept
    run 1 export_as qrels --grades gain --out kept --queries locked/x
    says "locked/x"
    cmp -s qrels kept || wrong "the old list is gone"
fi
chmod 755 locked

t "a full disk leaves what was there"
i=0
while [ $i -lt 200 ]; do
    echo '{"query":"query number '$i'","item":{"id":"'$i'","title":"x"},"gold":{"tier":"4"}}' >> many.jsonl
    i=$((i + 1))
done
for format in qrels quepid opensearch; do
    echo old > kept
    run 1 full_disk "$AGRL" export $format --data many.jsonl --rules "$BOOK" --out kept
    is "$(cat kept)" old
done
absent none
finish
