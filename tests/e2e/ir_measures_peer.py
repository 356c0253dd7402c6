"""Holds `agrl eval --run` against the Python package ir_measures on random runs: every measure, every query and the means.

python3 ir_measures_peer.py AGRL [RUNS]   (pip install ir_measures pytrec_eval-terrier; ERR also needs perl)
"""
import json
import math
import random
import shutil
import subprocess
import sys

import ir_measures

agrl = sys.argv[1]
runs = int(sys.argv[2]) if len(sys.argv) > 2 else 30
relevance = [
    form.format(rel)
    for rel in ("", "(rel=2)", "(rel=3)")
    for form in ("P{}@1", "P{}@10", "R{}@5", "R{}@100", "AP{}", "AP{}@7", "RR{}", "RR{}@3", "RR{}@10", "Success{}@1", "Success{}@5")
]
names = ["nDCG", "nDCG@1", "nDCG@10", "nDCG@100", "Judged", "Judged@1", "Judged@10"] + relevance
if shutil.which("perl"):
    names += ["ERR@1", "ERR@5", "ERR@20"]
else:
    print("no perl: ERR is left out")
measures = [ir_measures.parse_measure(name) for name in names]


def make(rng, path_qrels, path_run):
    """Several grades, some below 0; ties, also such as only single precision has; documents and queries on one side only."""
    docs = [rng.choice("aZé漢") + str(i) for i in range(rng.choice([3, 12, 60, 250]))]
    queries = [str(q) for q in range(1, rng.randint(2, 12))]
    levels = rng.choice([1, 3, 20, None])
    with open(path_qrels, "w", encoding="utf-8") as qrels, open(path_run, "w", encoding="utf-8") as run:
        for q in queries:
            judged = rng.sample(docs, rng.randint(1, len(docs)))
            grades = [rng.choice([-1, 0, 0, 0, 1, 1, 2, 3, 4]) for _ in judged]
            grades[0] = max(0, grades[0])  # pytrec_eval never ends on a query whose grades are all below 0
            if q == queries[0] or rng.random() > 0.1:
                for doc, grade in zip(judged, grades):
                    qrels.write(f"{q} 0 {doc} {grade}\n")
            if q == queries[0] or rng.random() > 0.2:
                for rank, doc in enumerate(rng.sample(docs, rng.randint(1, len(docs))), 1):
                    score = rng.gauss(0, 3) if levels is None else rng.randrange(levels)
                    score += rng.choice([0, 0, 1e-9])
                    run.write(f"{q} Q0 {doc} {rank} {score!r} random\n")


def main():
    worst = {}
    numbers = 0
    for seed in range(runs):
        make(random.Random(seed), "peer.qrels", "peer.run")
        out = subprocess.run(
            [agrl, "eval", "--qrels", "peer.qrels", "--run", "peer.run", "--measures", ",".join(names), "--draws", "0", "--json"],
            check=True, capture_output=True, text=True, encoding="utf-8").stdout
        ours = json.loads(out)
        peer = ir_measures.calc(measures, list(ir_measures.read_trec_qrels("peer.qrels")), list(ir_measures.read_trec_run("peer.run")))
        pairs = [(str(m), ours["measures"][str(m)]["value"], value) for m, value in peer.aggregated.items()]
        pairs += [(str(one.measure), ours["per_query"][one.query_id][str(one.measure)], one.value) for one in peer.per_query]
        asked = len(names) * (1 + len(ours["per_query"]))
        if len(pairs) != asked:
            sys.exit(f"run {seed}: {len(pairs)} numbers of ir_measures, {asked} of agrl")
        for name, a, b in pairs:
            kind = "ERR" if name.startswith("ERR") else "others"
            worst[kind] = max(worst.get(kind, 0), abs(a - b) if math.isfinite(a) and math.isfinite(b) else math.inf)
            if worst[kind] > (1e-5 if kind == "ERR" else 1e-9):
                sys.exit(f"run {seed}: {name} is {a!r}, and {b!r} by ir_measures")
        numbers += len(pairs)
    print(f"{runs} runs, {len(names)} measures, {numbers} numbers; largest difference: " +
          ", ".join(f"{kind} {value:.2g}" for kind, value in sorted(worst.items())))


main()
