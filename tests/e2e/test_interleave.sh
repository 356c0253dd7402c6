#!/bin/sh
# test_interleave.sh: `agrl interleave`: a log worked by hand, warnings, hostile files.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
interleave() { "$AGRL" interleave "$@"; }
AB='"list": [{"id": "x", "team": "A"}, {"id": "y", "team": "B"}]'
BA='"list": [{"id": "y", "team": "B"}, {"id": "x", "team": "A"}]'

cat > log << END
{"query": "boots", "user": "u1", "session": 1, $AB, "clicks": [1]}
{"query": "boots", "user": "u2", "session": 2, $BA, "clicks": ["x"], "when": "today"}

{"query": "tea", "user": "u1", "session": 3, $AB, "clicks": [2]}
{"query": "tea", "user": "u2", "session": 4, $BA, "clicks": [1, 2]}
{"query": "cup", "user": "u3", "session": 5, $AB, "clicks": []}
END

t "a log worked by hand"
run 0 interleave log --names B=neural,A=bm25
prints '^5 impressions, 4 with clicks$'
prints '^A  bm25  *2  *50.0%  *3$'
prints '^B  neural  *1  *25.0%  *2$'
prints '^ties  *1  *25.0%$'
prints '^preference delta_AB   0.125 .* over 2 query groups with clicks'
prints '^sign test  *p = 1 over 3 impressions'
prints '^first positions  *60.0% by A, 23.1 .. 88.2$'
prints '^   1  *3  *1  *33.3%  *2  *1  *50.0%$'
prints '^   2  *2  *2  *100.0%  *3  *1  *33.3%$'
[ -s err ] && wrong "$(cat err)"
run 0 interleave log --json --draws 0
is "$(wc -l < out)" 1
prints '"impressions":5,"clicked":4,"clicks":{"A":3,"B":2},"wins":{"A":2,"B":1},"ties":1,"by":"query",'
prints '"delta":{"value":0.125,"low":null,"high":null,"detectable":null,"records":4,"groups":2}'
prints '"sign_test":{"decided":3,"p":1.0}'
prints '"not_team_draft":{"impressions":0,"line":null}'

t "gzip and a pipe give the same, and so does the seed"
run 0 interleave log --json
sed 's/"log":"[^"]*"//' out > want
gzip -c log > log.gz
run 0 interleave log.gz --json
sed 's/"log":"[^"]*"//' out | cmp -s - want || wrong "gzip gives something else"
interleave - --json < log | sed 's/"log":"[^"]*"//' | cmp -s - want || wrong "a pipe gives something else"
for by in user session; do
    run 0 interleave log --by $by
    prints "over [24] $by groups with clicks"
done

t "a coin that is not fair, lists that are no draft, no click"
awk -v list="$AB" 'BEGIN { for (i = 0; i < 20; i++) printf "{\"query\": \"q%d\", %s, \"clicks\": [1]}\n", i, list }' > unfair
run 0 interleave unfair
says 'A has 20 of 20 first positions'
prints 'no fair coin$'
echo '{"query": "q", "list": [{"id": "x", "team": "A"}, {"id": "y", "team": "A"}, {"id": "z", "team": "B"}], "clicks": [1]}' > undrafted
run 0 interleave undrafted
says '1 lists are no team draft (the first is undrafted:1)'
tail -n 1 log > clickless
run 0 interleave clickless
says 'no impression has a click'
prints '^preference delta_AB  *-  '
run 0 interleave clickless --json
prints '"delta":{"value":null'

t "wrong usage"
run 2 interleave
silent
run 2 interleave log log
for names in 'A=x' 'A=x,B=' 'A=x,A=y' 'x,y' 'A=x,B=y,C=z' 'A=x,B=x' ''; do
    run 2 interleave log --names "$names"
    says '\-\-names'
    silent
done
run 2 interleave log --by shop
says 'must be one of'
run 2 interleave log --draws -1
says draws

t "files that are none"
bad() { # TEXT SAYS
    printf '%b' "$1" > bad
    run 1 interleave bad
    says "$2"
    silent
}
bad '' 'bad: empty'
bad '{' 'bad:1'
bad 'null\n' 'bad:1: must be an object'
bad '{"query": "q", "query": "r"}\n' 'bad:1'
bad '{"query": "q", "list": "x", "clicks": []}\n' "bad:1: 'list' must be"
bad "{\"query\": \"q\", $AB}\n" "bad:1: 'clicks' must be a list"
bad "{\"query\": \"q\", $AB, \"click\": [1], \"clicks\": [3]}\n" 'bad:1: clicks: position 3, but the list has 1 to 2'
bad "{\"query\": \"q\", $AB, \"clicks\": [1, \"x\"]}\n" "bad:1: clicks: 'x' twice"
bad "{\"query\": \"q\", $AB, \"clicks\": [\"w\"]}\n" "bad:1: clicks: 'w' is not in the list"
bad '{"query": "q", "list": [{"id": "x", "team": "a"}], "clicks": []}\n' "bad:1: list: the team of result 'x'"
bad '{"query": "q", "list": [{"id": "x", "team": "A"}, {"id": "x", "team": "B"}], "clicks": []}\n' "bad:1: list: 'x' is at positions 1 and 2"
bad "{\"query\": \"q\0377\", $AB, \"clicks\": []}\n" 'bad:1'
bad "{\"query\": \"q\", \"id\": \"i\", $AB, \"clicks\": []}\n\n{\"query\": \"q\", \"id\": \"i\", $AB, \"clicks\": []}\n" "bad:3: impression 'i' is in line 1"
run 1 interleave undrafted --by user
says "undrafted:1: 'user' must be"
run 1 interleave nowhere
says nowhere
head -c 60 log.gz > short.gz
run 1 interleave short.gz
says short.gz
awk 'BEGIN { printf "{\"query\": \"q\", \"clicks\": [], \"list\": ["; for (i = 0; i < 1001; i++) printf "%s{\"id\": \"%d\", \"team\": \"A\"}", i ? "," : "", i; print "]}" }' > long
run 1 interleave long
says 'long:1: list: more than 1000 results'
head -c 20000000 /dev/zero | tr '\0' x > endless
run 1 interleave endless
says 'endless:1'
if [ -c /dev/full ]; then
    interleave log > /dev/full 2> err
    is $? 1
    says "standard output"
fi
finish
