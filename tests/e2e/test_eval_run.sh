#!/bin/sh
# test_eval_run.sh: `agrl eval --run`: a TREC run against TREC qrels, without model and rulebook; what hostile files come to.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
evaluate() { "$AGRL" eval --qrels qrels --run run "$@"; }
number() { # KEY: of the first such estimate in out
    sed "s/.*\"$1\":{\"value\":\([0-9.e-]*\).*/\1/" out
}

cat > qrels << 'Q'
q1 0 a 2
q1 0 b 0
q1 0 c 1
q2 0 a 1
q3 0 a 0
Q
cat > run << 'R'
q1 Q0 a 1 3.0 x
q1 Q0 n 2 2.0 x
q1 Q0 c 3 1.0 x
q3 Q0 a 1 1.0 x
q9 Q0 a 1 1.0 x
R

t "means and values of queries"
run 0 evaluate --json --draws 100 --measures "AP,P(rel=2)@2,RR,Judged"
is "$(wc -l < out)" 1
is "$(number AP)" 0.27777777777777773
is "$(number 'P(rel=2)@2')" 0.16666666666666666
is "$(number RR)" 0.3333333333333333
prints '"queries":{"measured":3,"not_in_run":1,"not_in_qrels":1,"without_relevant":1}'
prints '"per_query":{"q1":{"AP":0.8333333333333333,"P(rel=2)@2":0.5,"RR":1.0,"Judged":0.6666666666666666},"q2":{"AP":0.0,'
[ -s err ] && wrong "$(cat err)"

t "a table"
run 0 evaluate
for measure in nDCG@10 P@10 AP RR R@100; do prints "^$measure  .* \.\. .* 3\$"; done
prints '^Queries of the run that the qrels lack, left out: 1$'
run 0 evaluate --draws 0
prints '^AP .* 0.278  *-  *-  *3$'

t "--out, gzip, a pipe and BEIR's form give the same"
run 0 evaluate --json --out numbers.json
tail -n +3 numbers.json > want # behind the names of the files
is "$(grep -c . numbers.json)" "$(($(grep -c . want) + 2))"
printf 'query-id\tcorpus-id\tscore\n' > beir.tsv
awk '{ printf "%s\t%s\t%s\n", $1, $3, $4 }' qrels >> beir.tsv
gzip -c run > run.gz
run 0 "$AGRL" eval --qrels beir.tsv --run run.gz --out again.json
grep -v '"run":\|"qrels":' numbers.json > a
grep -v '"run":\|"qrels":' again.json > b
cmp -s a b || wrong "$(diff a b | head -c 300)"
"$AGRL" eval --qrels qrels --run - --out pipe.json < run > /dev/null 2> err
grep -v '"run":\|"qrels":' pipe.json > b
cmp -s a b || wrong "a pipe gives something else: $(cat err)"

t "options that contradict each other"
run 2 "$AGRL" eval --run run
says "\-\-qrels is missing"
run 2 "$AGRL" eval --qrels qrels
says "\-\-run is missing"
for other in model judged rules data report; do
    run 2 evaluate --$other x
    says "\-\-run and --$other exclude each other"
done
for other in 'limit 3' 'threads 2' 'dtype fp32' 'aggregate median'; do
    # shellcheck disable=SC2086 # an option and its value
    run 2 evaluate --$other
    says "\-\-run and --${other% *} exclude each other"
done
run 2 "$AGRL" eval --run - --qrels -
says "cannot both come from standard input"
run 2 evaluate --measures nDCG@10,bpref
says "unknown measure 'bpref' (known: nDCG"
run 2 evaluate --measures P
says "needs a rank: P@10"
run 2 evaluate --out run
says "run"
run 1 evaluate --out none/x.json
says "none"

t "files that are none"
bad() { # FILE TEXT SAYS
    cp qrels bad.qrels
    cp run bad.run
    printf '%b' "$2" > "bad.$1"
    run 1 "$AGRL" eval --qrels bad.qrels --run bad.run --out gone.json
    says "$3"
    silent
    absent gone.json
}
bad run '' "bad.run: empty"
bad qrels '' "bad.qrels: empty"
bad qrels 'query-id\tcorpus-id\tscore\n' "bad.qrels: empty"
bad run 'q1 Q0 a 1 3.0\n' "bad.run:1: not 'query-id Q0"
bad run 'q1 Q0 a 1 3.0 x\nq1 Q0 b 2 NaN x\n' "bad.run:2: not 'query-id Q0"
bad run 'q1 Q0 a 1 3.0 x\nq2 Q0 a 1 1 x\nq1 Q0 a 2 2.0 x\n' "bad.run:3: document 'a' of query 'q1' is in line 1 already"
bad run 'q7 Q0 a 1 3.0 x\n' "none of the 1 queries of 'bad.run' (the first is 'q7') is in 'bad.qrels'"
bad run 'q1 Q0 a\0b 1 3.0 x\n' "bad.run:1"
bad run 'q1 Q0 \0377 1 3.0 x\n' "bad.run:1: not"
bad qrels 'q1 0 a\n' "bad.qrels:1: not"
bad qrels 'q1 0 a 1 1\n' "bad.qrels:1: not"
bad qrels 'q1 0 a nan\n' "bad.qrels:1: not"
bad qrels 'q1 0 a 0.5\n' "bad.qrels:1: relevance 0.5: grades are whole numbers"
bad qrels 'q1 0 a 1\nq1 0 a 1\n' "bad.qrels:2: document 'a' of query 'q1' is in line 1 already"
run 1 "$AGRL" eval --qrels nowhere --run run
says "nowhere"
head -c 40 run.gz > short.gz
run 1 "$AGRL" eval --qrels qrels --run short.gz
says "short.gz"
printf 'q1 0 a 5\n' > high
run 1 "$AGRL" eval --qrels high --run run --measures ERR@10
says "high:1: relevance 5, but ERR@10 is for grades up to 4"
run 0 "$AGRL" eval --qrels high --run run --measures nDCG@10

t "a full disk leaves what was there"
echo old > kept.json
i=0
while [ $i -lt 200 ]; do
    echo "q1 0 doc$i 1" >> long.qrels
    i=$((i + 1))
done
awk '{ print "x" NR, 0, $3, 1; print "q1", 0, $3, 1 }' long.qrels > many.qrels
run 1 full_disk "$AGRL" eval --qrels many.qrels --run run --draws 0 --out kept.json
is "$(cat kept.json)" old
absent none
finish
