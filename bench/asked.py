#!/usr/bin/env python3
"""What the parser reads in the 100 Chorus queries, against readings written by hand.

usage: bench/asked.py AGRL BOOK LEXICON RATED_PAIRS.jsonl
AGRL: the program. LEXICON: as `agrl synth --catalogue` writes it. asked_chorus.tsv holds the readings: the first 16
digits of the query's SHA-256 (the queries are not ours to copy), the wanted category as the facts file names it, and
name=value requests. A synonym of the category counts; a value counts when its letters and digits are the same.
"""
import hashlib
import json
import os
import re
import subprocess
import sys


def plain(text):
    return re.sub(r"[^a-z0-9]", "", text.lower())


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    agrl, book, lexicon, rated = sys.argv[1:]
    here = os.path.dirname(os.path.abspath(__file__))
    wanted = {}
    for line in open(os.path.join(here, "asked_chorus.tsv"), encoding="utf-8").read().splitlines()[1:]:
        key, category, asked = line.split("\t")
        wanted[key] = (category, {(a.split("=")[0], plain(a.split("=")[1])) for a in asked.split(";") if a})
    queries = sorted({json.loads(line)["query"] for line in open(rated, encoding="utf-8")})
    known = [q for q in queries if hashlib.sha256(q.encode()).hexdigest()[:16] in wanted]
    out = subprocess.run([agrl, "asked", "--rules", book, "--lexicon", lexicon], input="\n".join(known) + "\n",
                         capture_output=True, text=True, check=True).stdout
    right = {"category": 0, "request": 0}
    read = dict(right)
    hand = dict(right)
    for query, line in zip(known, out.splitlines()):
        got = json.loads(line)
        category, asked = wanted[hashlib.sha256(query.encode()).hexdigest()[:16]]
        found = got.get("category", "")
        requests = {(a["name"], plain(a["value"])) for a in got["asked"] if a["op"] == "is"}
        read["category"] += found != ""
        hand["category"] += category != ""
        right["category"] += category != "" and found == category
        read["request"] += len(got["asked"])
        hand["request"] += len(asked)
        right["request"] += len(requests & asked)
        if found != category or requests != asked:
            print(f"  {query}: read {found or '-'} {sorted(requests)}, by hand {category or '-'} {sorted(asked)}")
    print(f"{len(known)} queries")
    for what in right:
        print(f"{what:8}  precision {right[what] / max(1, read[what]):.3f}  recall {right[what] / max(1, hand[what]):.3f}"
              f"  ({right[what]} right of {read[what]} read, {hand[what]} by hand)")


main()
