#!/usr/bin/env python3
"""How well characters tell made queries from real ones: AUC of a classifier (0.5: not at all, 1: always).

usage: bench/query_auc.py MADE.jsonl REAL [--seed N]
MADE: pairs as `agrl synth` writes them. REAL: JSONL with "query", or a query a line. Each distinct query counts once;
as many of the larger side are drawn as the smaller has. The classifier is naive Bayes over the 1- to 4-grams of
characters (with ends marked), ten-fold: each query is scored by a model that never saw it.
"""
import argparse
import json
import math
import random
from collections import Counter


def queries(path):
    found = []
    for line in open(path, encoding="utf-8"):
        line = line.strip()
        if line:
            found.append(json.loads(line)["query"] if line.startswith("{") else line)
    return sorted({" ".join(q.lower().split()) for q in found})


def grams(text):
    text = f"^{text}$"
    return {text[i:i + n] for n in (1, 2, 3, 4) for i in range(len(text) - n + 1)}


def scores(train, test):
    """Log odds of 'made' for each test query, Bernoulli features that occur, Laplace-smoothed."""
    count = {True: Counter(), False: Counter()}
    total = Counter()
    for text, made in train:
        total[made] += 1
        count[made].update(grams(text))
    result = []
    for text in test:
        odds = 0.0
        for g in grams(text):
            a, b = count[True][g], count[False][g]
            if a + b > 1:
                odds += math.log((a + 0.5) / (total[True] + 1)) - math.log((b + 0.5) / (total[False] + 1))
        result.append(odds)
    return result


def auc(made, real):
    ranked = sorted([(s, 1) for s in made] + [(s, 0) for s in real])
    rank_sum, i = 0.0, 0
    while i < len(ranked):
        k = i
        while k < len(ranked) and ranked[k][0] == ranked[i][0]:
            k += 1
        rank_sum += sum(label for _, label in ranked[i:k]) * (i + k + 1) / 2
        i = k
    return (rank_sum - len(made) * (len(made) + 1) / 2) / (len(made) * len(real))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("made")
    parser.add_argument("real")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    made, real = queries(a.made), queries(a.real)
    found = []
    for draw in range(10):
        rng = random.Random(a.seed * 1000 + draw)
        n = min(len(made), len(real))
        rows = [(q, True) for q in rng.sample(made, n)] + [(q, False) for q in rng.sample(real, n)]
        rng.shuffle(rows)
        of = {True: [], False: []}
        for fold in range(10):
            test = rows[fold::10]
            train = [r for i, r in enumerate(rows) if i % 10 != fold]
            for (_, label), s in zip(test, scores(train, [q for q, _ in test])):
                of[label].append(s)
        found.append(auc(of[True], of[False]))
    mean = sum(found) / len(found)
    print(f"{len(made)} made, {len(real)} real: AUC {mean:.3f} ({min(found):.3f} to {max(found):.3f} over 10 draws)")


main()
