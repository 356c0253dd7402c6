#!/bin/sh
# test_sxs.sh: `agrl sxs`: a study from plan to report: what it prints, hostile files, two judges at once with the server killed under
# them, nothing that names a system on the wire, and (where there is one) a real browser.
# shellcheck source=tests/e2e/lib.sh disable=SC2086,SC2317 # $inputs are words; functions are called by run
. "$(dirname "$0")/lib.sh"
PYTHON=$(command -v python3 || true)
sxs() { "$AGRL" sxs "$@"; }
has sxs || exit 77
server=
trap '[ -z "$server" ] || kill -9 $server 2> /dev/null; rm -rf "$T"' EXIT

# 90 queries: for every third one the lists are equal; else the new list has one good item more than the old one, or one less where the
# number ends in 7. Four items each.
awk 'BEGIN {
    for (q = 0; q < 90; q++) {
        printf "{\"id\": \"q%d\", \"query\": \"words %d\", \"traffic\": %d, \"type\": %s}\n", q, q, 1 + 400 / (q + 4), q % 2 ? "\"odd\"" : "[\"even\", \"all of them\"]" > "log.jsonl"
        for (r = 0; r < 4; r++) {
            id = "p" q "-" r
            printf "{\"id\": \"%s\", \"title\": \"%s thing %s <b>\\\"&amp;\", \"price\": %d.5, \"currency\": \"EUR\", \"stock\": %d, \"image\": \"https://%s/%s.jpg\", \"description\": \"text\"}\n", id, r < 2 ? "good" : "poor", id, r, r, r ? "img.shop.example" : "evil.example", id > "items.jsonl"
        }
        worse = q % 10 == 7
        printf "{\"query\": \"q%d\", \"list\": [\"p%d-%d\", {\"id\": \"p%d-2\"}]}\n", q, q, q % 3 == 0 || worse ? 0 : 3, q > "zebra.jsonl"
        n = q % 3 == 0 || !worse ? 0 : 3
        printf "q%d Q0 p%d-2 2 1.0 quaggarun\nq%d Q0 p%d-%d 1 2.5 quaggarun\n", q, q, q, q, n > "quagga.run"
    }
    for (c = 0; c < 6; c++)
        printf "{\"query\": \"check %d\", \"better\": [\"p%d-0\", \"p%d-1\"], \"worse\": [\"p%d-2\", \"p%d-3\"]}\n", c, c, c, c, c > "gold.jsonl"
}'
inputs="--queries log.jsonl --old zebra.jsonl --new quagga.run --k 2"

t "what a study would tell"
run 0 sxs plan $inputs --precision 0.2
prints '^90 queries; the top 2 are equal for 30 of them'
prints '<- wanted'
prints '^head '
run 0 sxs plan $inputs --json
prints '"differ":60'
prints '"n":60,"answers":120'
run 2 sxs plan $inputs --precision 0.001
says 'longer log'
run 2 sxs plan $inputs --n 61
says 'more than the 60'
run 2 sxs plan $inputs --n 3 --precision 0.5
says 'exclude'
run 2 sxs plan --queries log.jsonl --old zebra.jsonl
says 'needed'
run 2 sxs
says 'plan, create'
run 2 sxs reprot
says "did you mean 'report'"
run 0 sxs --help
run 0 sxs plan --queries log.jsonl --old zebra.jsonl --new zebra.jsonl --json > /dev/null || : # nothing differs
run 1 sxs plan --queries log.jsonl --old zebra.jsonl --new zebra.jsonl --precision 0.1
says 'nothing to compare'

t "files that are none"
bad() { # FILE TEXT SAYS: with this text in place of the file
    mv "$1" keep
    printf '%b' "$2" > "$1"
    run 1 sxs create no.db $inputs --catalogue items.jsonl --gold gold.jsonl --n 40
    says "$3"
    absent no.db
    silent
    mv keep "$1"
}
bad log.jsonl '' 'log.jsonl: empty'
bad log.jsonl '[]\n' 'log.jsonl:1: must be an object'
bad log.jsonl '{"id": "q"}\n' "log.jsonl:1: 'query'"
bad log.jsonl '{"query": "a", "traffic": 0}\n' "log.jsonl:1: 'traffic'"
bad log.jsonl '{"query": "a", "traffic": "1"}\n' "log.jsonl:1: 'traffic'"
bad log.jsonl '{"query": "a"}\n{"query": "a"}\n' 'log.jsonl:2: query .a. is there already'
bad log.jsonl '{"query": "a", "stratum": "s"}\n{"query": "b"}\n' "no 'stratum'"
bad log.jsonl '{"query": "a", "type": 1}\n' "'type'"
bad log.jsonl '{"query": "zzz"}\n' 'do their ids agree'
bad zebra.jsonl '{"query": "q1", "list": "p1"}\n' 'zebra.jsonl:1: .list.'
bad zebra.jsonl '{"query": "q1", "list": ["p1", "p1"]}\n' "'p1' twice"
bad zebra.jsonl '{"query": "q1", "list": []}\n{"query": "q1", "list": []}\n' 'zebra.jsonl:2: query .q1. is there'
bad quagga.run 'q1 Q0 p1\n' 'quagga.run:1'
bad quagga.run 'q1 Q0 p 1 nan r\n' 'quagga.run:1'
bad gold.jsonl '{"query": "a", "better": ["p0-0"]}\n' "gold.jsonl:1: 'worse'"
bad gold.jsonl '{"query": "a", "better": ["p0-0"], "worse": ["p0-0"]}\n' 'same list'
bad gold.jsonl '{"query": "a", "better": ["nowhere"], "worse": ["p0-0"]}\n' "'nowhere'"
bad items.jsonl '{"id": "p1", "title": "x"}\n' 'are not in it'
bad items.jsonl '{' 'items.jsonl'
run 2 sxs create no.db $inputs --catalogue items.jsonl
says 'precision or --n'
run 2 sxs create no.db $inputs --n 40
says 'catalogue'
run 2 sxs create no.db $inputs --catalogue items.jsonl --n 40 --good-at-least 3
says 'good-at-least'

t "a study is made once, and from a seed"
create() { sxs create "$@" --catalogue items.jsonl --gold gold.jsonl --n 40 --old-name zebrasystem --new-name quaggasystem --good-at-least 1; }
run 0 create s.db $inputs --seed 3
run 0 create same.db $inputs --seed 3
run 0 create other.db $inputs --seed 4
cmp -s s.db same.db || wrong "the same seed gives other bytes"
cmp -s s.db other.db && wrong "another seed gives the same bytes"
run 2 create s.db $inputs
says 'there already'
[ "$(ls -A . | grep -c 'new-')" -eq 0 ] || wrong "something was left behind"
run 1 sxs report nowhere.db
says 'no such study'
absent nowhere.db
run 1 sxs report log.jsonl
says 'log.jsonl'
head -c 20000 s.db > cut.db
run 1 sxs report cut.db
says 'cut.db'
run 0 sxs report s.db
prints 'not finished; so far: no interval'
prints '^0 of 40 drawn queries judged'

t "invitations"
run 0 sxs invite s.db ann bob careless --url https://judge.example/
is "$(wc -l < out)" 3
prints '^https://judge.example/#[0-9a-f]\{32\}	ann$'
cp out links
run 0 sxs invite s.db bob --url https://judge.example
is "$(cat out)" "$(grep bob links)"
for bad_name in '' ' ann' "$(printf 'a\nb')" "$(printf '%081d' 0)"; do
    run 2 sxs invite s.db "$bad_name"
    says "judge's name"
done
secret() { sed -n "s/.*#\([0-9a-f]*\)	$1\$/\1/p" links; }

t "refused addresses and hosts"
run 2 sxs serve s.db --open --listen 0.0.0.0:0
says 'token'
run 2 sxs serve s.db --image-host 'a b'
says 'no host'
run 2 sxs serve s.db --host x.example
says 'open'
run 2 sxs serve s.db --listen nonsense

command -v curl > /dev/null || { echo "no curl: the site is not tried"; finish; }
[ -n "$PYTHON" ] || { echo "no python3: the site is not tried"; finish; }
port=$("$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
serve() { # OPTION...: until it listens
    "$AGRL" sxs serve s.db --listen 127.0.0.1:"$port" --log requests "$@" 2> serve.err &
    server=$!
    i=0
    until curl -s -o /dev/null "http://127.0.0.1:$port/" || [ $i -ge 100 ]; do
        sleep 0.1
        i=$((i + 1))
    done
}
# TOKEN PATH [BODY]: the status, the body in `got`
ask() {
    if [ $# -gt 2 ]; then set -- "$1" "$2" -H 'Content-Type: application/json' --data-binary "$3"; fi
    token=$1 path=$2
    shift 2
    curl -s -o got -D head -w '%{http_code}' -H "X-Judge: $token" "$@" "http://127.0.0.1:$port$path"
}

t "what the site answers"
serve --image-host img.shop.example
ann=$(secret ann)
is "$(ask "$ann" /)" 200
grep -q "default-src 'none'" head || wrong "no policy"
grep -qi 'img-src[^;]*https://img.shop.example' head || wrong "the image host is not in the policy"
grep -qi 'unsafe' head && wrong "the policy allows inline code"
grep -qE '(src|href)="(https?:)?//' got && wrong "the page loads from elsewhere"
is "$(ask '' /api/task)" 401
is "$(ask 0123 /api/task)" 401
is "$(ask "$ann" /api/nothing)" 401
is "$(ask "$ann" /api/enter '{"name": "eve"}')" 403
is "$(ask "$ann" /api/last)" 200
is "$(ask "$ann" /api/task)" 200
cp got task
grep -q evil.example got && wrong "an image of a host that is not allowed"
grep -q img.shop.example got || grep -q '"stock":0' got || wrong "no image of the host that is"
is "$(ask "$ann" /api/task)" 200
cmp -s got task || wrong "an open task must come again as it was"
number=$(sed 's/.*"task":\([0-9]*\).*/\1/' task)
rated=$("$PYTHON" -c 'import json; t = json.load(open("task")); print(json.dumps({str(i["item"]): True for i in t["left"] + t["right"]}))')
for body in '' '{' '[]' 'null' '{"task": "x"}' '{"task": 1e99}' "{\"task\": $number}" "{\"task\": $number, \"preference\": 1}" \
    "{\"task\": $number, \"preference\": 1, \"ratings\": {}}" "{\"task\": $number, \"preference\": 1, \"ratings\": {\"x\": 1}}" \
    "{\"task\": $number, \"preference\": 3, \"ratings\": $rated}" "{\"task\": $number, \"preference\": 0, \"ratings\": $rated}" \
    "{\"task\": $number, \"preference\": 1, \"both\": \"good\", \"ratings\": $rated}" \
    "{\"task\": $number, \"preference\": 0, \"both\": \"x\", \"ratings\": $rated}" \
    "{\"task\": $number, \"preference\": 1, \"ratings\": {\"999\": true, ${rated#?}}" "{\"task\": 999, \"skip\": true}" \
    "{\"task\": $number, \"skip\": true, \"comment\": \"$(printf '%02001d' 0)\"}" \
    "{\"task\": $number, \"skip\": true, \"skip\": true}"; do
    is "$(ask "$ann" /api/answer "$body")" 400
done
is "$(ask "$(secret bob)" /api/answer "{\"task\": $number, \"skip\": true}")" 400
head -c 100000 /dev/zero | tr '\0' ' ' > large
is "$(ask "$ann" /api/answer @large)" 413
is "$(ask "$ann" /api/answer "$(printf '{"task": %s, "skip": true, "comment": "\377"}' "$number")")" 400
answer="{\"task\": $number, \"preference\": 1, \"ratings\": $rated, \"comment\": \"say \\\"what\\\" <b>\"}"
is "$(ask "$ann" /api/answer "$answer")" 200
is "$(ask "$ann" /api/answer "$answer")" 200
is "$(ask "$ann" /api/last)" 200
grep -q '"preference":1' got || wrong "the last answer is not the last: $(head -c 200 got)"
is "$(ask "$ann" /api/answer "{\"task\": $number, \"preference\": -1, \"ratings\": $rated}")" 200
is "$(ask "$ann" /api/answer "{\"task\": $number, \"skip\": true}")" 200 # the last one may be changed as often as one likes
is "$(ask "$ann" /api/task)" 200
second=$(sed 's/.*"task":\([0-9]*\).*/\1/' got)
is "$(ask "$ann" /api/answer "{\"task\": $second, \"skip\": true}")" 200
is "$(ask "$ann" /api/answer "$answer")" 409
kill -TERM $server
wait $server
is $? 0
server=

t "judges at once, the server and one of them killed: nothing is lost"
serve
begin() { # JUDGE
    "$PYTHON" "$SRC/tests/e2e/sxs_client.py" 127.0.0.1:"$port" "$(secret "$1")" "$1" "wire-$1" "acked-$1" > "client-$1" 2>&1 &
    eval "client_$1=\$!"
}
for judge in ann bob careless; do begin $judge; done
for i in 1 2 3 4 5; do
    sleep 0.4
    if [ $i -eq 2 ]; then # it takes its place again
        kill -9 $client_bob 2> /dev/null && wait $client_bob 2> /dev/null
        begin bob
    fi
    kill -9 $server
    wait $server 2> /dev/null
    serve
done
for judge in ann bob careless; do
    eval "wait \$client_$judge" || wrong "$judge: $(cat client-$judge)"
done
left=1 round=0
while [ "$left" -gt 0 ] && [ $round -lt 6 ]; do # a slow start ends early; and who was done before careless was found out has more to do
    left=0 round=$((round + 1))
    for judge in careless ann bob; do
        "$PYTHON" "$SRC/tests/e2e/sxs_client.py" 127.0.0.1:"$port" "$(secret $judge)" $judge wire-$judge acked-$judge > client-$judge 2>&1 ||
            wrong "$judge: $(cat client-$judge)"
        left=$((left + $(tail -n 1 client-$judge)))
    done
done
sort -n acked-* | uniq > acked
[ "$(wc -l < acked)" -ge 90 ] || wrong "only $(wc -l < acked) answers were acknowledged"
"$PYTHON" - << 'END' || wrong "the study's file"
import sqlite3
db = sqlite3.connect("s.db")
one = lambda sql: db.execute(sql).fetchone()[0]
acked = {int(line) for line in open("acked")}
stored = {row[0] for row in db.execute("SELECT task FROM answer")}
assert acked <= stored, ("lost", acked - stored)
# a kill may come between storing and saying so: of the server with three clients, or of a client; two answers were given by hand
assert len(stored) <= len(acked) + 2 + 5 * 3 + 1, ("more than was acknowledged", stored - acked)
assert one("PRAGMA integrity_check") == "ok"
# each judged query has ratings of all its items
assert one("SELECT count(*) FROM answer JOIN task USING(task) WHERE NOT skipped AND (SELECT count(*) FROM rating WHERE rating.task = answer.task) != (SELECT count(DISTINCT item) FROM list WHERE list.query = task.query)") == 0
# a repeat has its sides swapped, and stands behind its first showing
assert one("SELECT count(*) FROM task a JOIN task b USING(judge, query) WHERE a.kind = 0 AND b.kind = 1 AND (a.new_left = b.new_left OR a.task >= b.task)") == 0
assert one("SELECT count(*) FROM task WHERE kind = 1") >= 2
# careful judges give each query two answers; sides are shuffled
assert one("SELECT count(*) FROM (SELECT query FROM task JOIN answer USING(task) JOIN judge USING(judge) WHERE kind = 0 AND NOT skipped AND name != 'careless' GROUP BY query HAVING count(*) < 2)") <= 2 # ann has skipped two
left = one("SELECT avg(new_left) FROM task WHERE kind = 0")
assert 0.3 < left < 0.7, left
END

t "blinded: nothing on the wire names a system, a ranking or a reason"
cat wire-* task got requests > wire
curl -s "http://127.0.0.1:$port/" "http://127.0.0.1:$port/sxs.js" "http://127.0.0.1:$port/sxs.css" >> wire
grep -ciE 'zebra|quagga' wire | grep -qx 0 || wrong "a system is named: $(grep -iE 'zebra|quagga' wire | head -c 300)"
grep -qE '"(kind|gold|repeat|old|new|new_left|system|stratum|weight|traffic|rank|pi|id)"' wire-* && wrong "an answer says too much"
grep -q "$ann" requests && wrong "a judge's secret is in the log"

t "the report"
run 0 sxs report s.db --html page.html
prints 'quaggasystem is preferred$'
prints 'careless .*LEFT OUT'
grep -q quaggasystem page.html || wrong "the page does not name the winner"
grep -qE '(src|href)="http' page.html && wrong "the page loads from elsewhere"
run 0 sxs report s.db --json
cp out first
run 0 sxs report s.db --json
cmp -s out first || wrong "the same study gives another report"
"$PYTHON" - << 'END' || wrong "the figures"
import json, sqlite3
report, db = json.load(open("out")), sqlite3.connect("s.db")
# The net preference once more, by plain sums over the tables.
same, total = db.execute("SELECT traffic, total FROM same WHERE same = 0").fetchone()
cells = {c: t for c, t in db.execute("SELECT cell, traffic FROM cell")}
queries = {}
for query, cell, weight, left, preference in db.execute("SELECT query, cell, traffic / pi, new_left, preference FROM answer JOIN task USING(task) JOIN query USING(query) JOIN judge USING(judge) WHERE kind = 0 AND NOT skipped AND name != 'careless'"):
    queries.setdefault((query, cell, weight), []).append(-preference if left else preference)
sums = {c: sum(w for _, cell, w in queries if cell == c) for c in cells}
net = sum(w * cells[c] / sums[c] * sum((x > 0) - (x < 0) for x in xs) / len(xs) for (_, c, w), xs in queries.items()) / total
got = report["all"]["preference"]["net"]
assert abs(got["value"] - net) < 1e-12, (got, net)
assert got["low"] <= net <= got["high"]
assert report["left_out"] == ["careless"], report["left_out"]
# These judges have no side, and agree with each other and with themselves.
assert report["agreement"]["self"]["share"]["value"] == 1, report["agreement"]
assert report["agreement"]["self"]["same_side"]["value"] == 0
assert report["agreement"]["judges"]["share"]["value"] == 1
assert report["queries"]["answered"] == 40
assert [t["type"] for t in report["types"]] == ["even", "all of them", "odd"]
assert report["worst"] and all(w["score"] < 0 for w in report["worst"])
END

t "by name"
kill -TERM $server
wait $server
serve --open
is "$(ask '' /api/enter '{"name": "carl"}')" 200
carl=$(sed 's/.*"token":"\([0-9a-f]*\)".*/\1/' got)
is "$(ask "$carl" /api/task)" 200
grep -q '"judge":"carl"' got || wrong "not carl: $(head -c 200 got)"
is "$(ask '' /api/enter '{"name": "carl"}')" 200
grep -q "$carl" got || wrong "carl is somebody else now"
for body in '{}' '{"name": 1}' '{'; do is "$(ask '' /api/enter "$body")" 400; done
is "$(ask '' /api/enter '{"name": " "}')" 409
kill -TERM $server
wait $server
server=

t "a real browser goes through a study"
if command -v chromedriver > /dev/null; then
    rm -f s.db*
    run 0 create s.db $inputs
    serve
    mkdir shots
    link=$(sxs invite s.db ann --url "http://127.0.0.1:$port" | cut -f 1)
    "$PYTHON" "$SRC/tests/e2e/sxs_browser.py" "$link" shots zebra quagga > browser 2>&1 || wrong "$(tail -n 3 browser)"
    [ -z "${SHOTS:-}" ] || cp shots/*.png "$SHOTS"
    kill -TERM $server
    wait $server
    server=
else
    echo "  no chromedriver: not tried"
fi
finish
