#!/bin/sh
# test_sxs_model.sh: `agrl sxs judge`: a small model goes through a study; its answers are what `agrl judge` says of the same pairs, survive a
# kill, and change no figure of people.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
has sxs || exit 77
PYTHON=$(command -v python3) || { echo "no python3"; exit 77; }
BOOK=$SRC/rules/shop.yaml
small_judge 300 120 "steps: 4, batch: 4, lr: 1.0e-3"
judge() { "$AGRL" sxs judge s.db --model run --rules "$BOOK" --threads 1 "$@"; }

# 30 queries of the shop, each with two lists of three of its products.
"$PYTHON" - << 'END'
import json, random
random.seed(1)
pairs = [json.loads(line) for line in open("data/sft.jsonl")]
items = {p["item"]["id"]: p["item"] for p in pairs}
queries = list(dict.fromkeys(p["query"] for p in pairs))[:30]
with open("items.jsonl", "w") as f:
    for item in items.values(): f.write(json.dumps(item) + "\n")
with open("log.jsonl", "w") as q, open("old.jsonl", "w") as a, open("new.jsonl", "w") as b:
    for n, text in enumerate(queries):
        q.write(json.dumps({"id": str(n), "query": text}) + "\n")
        for f in (a, b): f.write(json.dumps({"query": str(n), "list": random.sample(sorted(items), 3)}) + "\n")
END
run 0 "$AGRL" sxs create s.db --queries log.jsonl --old old.jsonl --new new.jsonl --k 3 --n 20 --catalogue items.jsonl
run 0 "$AGRL" sxs invite s.db ann

t "wrong usage"
run 2 judge --as ann
tail -n 1 err > last && mv last err
says "name of a person"
run 1 "$AGRL" sxs judge nowhere.db --model run --rules "$BOOK"
says 'no such study'
run 2 "$AGRL" sxs judge s.db --model run
tail -n 1 err > last && mv last err
says rules

t "killed in the middle, it goes on"
run 0 "$AGRL" sxs report s.db --json
cp out before
judge --as micro > out 2> err &
pid=$!
i=0
until [ "$("$PYTHON" -c 'import sqlite3; print(sqlite3.connect("s.db").execute("SELECT count(*) FROM answer").fetchone()[0])')" -ge 3 ] || [ $i -ge 200 ]; do i=$((i + 1)); done
kill -9 $pid 2> /dev/null
wait $pid 2> /dev/null
run 0 judge --as micro
run 0 judge --as micro
grep -q '^0 queries' err || wrong "there was something left: $(cat err)"

t "its answers are what agrl judge says"
"$PYTHON" - << 'END' > pairs.jsonl
import json, sqlite3
db = sqlite3.connect("s.db")
for query, item, text, whole in db.execute("SELECT DISTINCT query, item, text, whole FROM list JOIN query USING(query) JOIN item USING(item) ORDER BY query, item"):
    print(json.dumps({"id": f"{query} {item}", "query": text, "item": json.loads(whole)}))
END
run 0 "$AGRL" judge --model run --rules "$BOOK" --threads 1 --json pairs.jsonl
"$PYTHON" - << 'END' || wrong "other answers"
import json, math, sqlite3
judged = {line["id"]: line for line in map(json.loads, open("out"))}
db = sqlite3.connect("s.db")
seen = 0
for task, query, new_left, preference, both in db.execute("SELECT task, query, new_left, preference, both FROM answer JOIN task USING(task)").fetchall():
    lists = [[i for i, in db.execute("SELECT item FROM list WHERE query = ? AND system = ? ORDER BY rank", (query, s))] for s in (0, 1)]
    gain = {i: judged[f"{query} {i}"]["gain"] for l in lists for i in l}
    good = {i: judged[f"{query} {i}"]["tier"] in ("3", "4") for i in gain}
    stored = dict(db.execute("SELECT item, good FROM rating WHERE task = ?", (task,)))
    assert stored == good, (stored, good)
    dcg = lambda l: sum(gain[i] / math.log2(r + 2) for r, i in enumerate(l))
    best = dcg(sorted(gain, key=lambda i: -gain[i])[:3])
    left, right = (lists[1], lists[0]) if new_left else (lists[0], lists[1])
    d = (dcg(right) - dcg(left)) / best
    if min(abs(abs(d) - 0.02), abs(abs(d) - 0.25)) < 1e-4: continue  # rounding may decide
    want = (d > 0) - (d < 0) if abs(d) >= 0.02 else 0
    want *= 2 if abs(d) >= 0.25 else 1
    assert preference == want, (preference, d)
    assert (both != 0) == (want == 0)
    seen += 1
assert seen >= 15, seen
END

t "the report keeps it apart"
run 0 "$AGRL" sxs report s.db --json
"$PYTHON" - << 'END' || wrong "the report"
import json
before, after = json.load(open("before")), json.load(open("out"))
for part in ("all", "differ", "agreement", "types", "worst", "left_out", "queries"):
    assert before[part] == after[part], part
assert [(m["judge"], m["answers"]) for m in after["models"]] == [("micro", 20)]
assert [j["kind"] for j in after["judges"]] == ["person", "model"]
END
run 0 "$AGRL" sxs report s.db
prints '^model micro .*not a person'
run 0 "$AGRL" sxs invite s.db
is "$(wc -l < out)" 1 # a model has no link
finish
