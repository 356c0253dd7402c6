"""Makes golden.json: random judgements and what numpy and scikit-learn say of them.

Needed only when the golden numbers are remade:  pip install numpy scikit-learn && python3 make.py > golden.json
NDCG is scikit-learn's ndcg_score, which takes the mean over the orders of ties; queries are averaged here.
"""
import json
import warnings

import numpy as np
from sklearn import metrics as sk

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20240607)


def number(x):
    return None if x is None or not np.isfinite(x) else float(x)


def ece(confidence, hit, bins=15):
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return sum(abs(hit[place == b].sum() - confidence[place == b].sum()) for b in range(len(edges) - 1)) / len(hit)


def ndcg(query, score, gain):
    values, informative, irrelevant = [], 0, 0
    for q in np.unique(query):
        s, g = score[query == q], gain[query == q]
        if g.max() <= 0:
            irrelevant += 1
            continue
        values.append(1.0 if len(g) == 1 else sk.ndcg_score([g], [s], k=10))
        informative += g.min() < g.max()
    return (np.mean(values) if values else None), informative, irrelevant


def case(tiers, n, queries, skill, rounding, missing):
    gains = np.array([2.0 ** (tiers - 1 - k) - 1 for k in range(tiers)])
    good = np.arange(tiers) < max(1, tiers // 2)
    query = rng.integers(0, queries, n)
    classes = [k for k in range(tiers) if k not in missing]
    gold = rng.choice(classes, n)
    logit = rng.normal(size=(n, tiers)) + skill * np.eye(tiers)[gold]
    logit = np.round(logit * rounding) / rounding
    p = np.exp(logit)
    p = np.round(p / p.sum(1, keepdims=True), 4)
    p[:, -1] = 1 - p[:, :-1].sum(1)
    p = np.round(np.abs(p), 4)
    tier = p.argmax(1)
    labels = list(range(tiers))
    prf = sk.precision_recall_fscore_support(gold, tier, labels=labels, zero_division=np.nan)
    f1 = sk.f1_score(gold, tier, labels=labels, average=None, zero_division=np.nan)
    kappa = sk.cohen_kappa_score(gold, tier, labels=labels, weights="quadratic")
    value, informative, irrelevant = ndcg(query, np.round(p @ gains, 9), gains[gold])
    return {
        "tiers": tiers, "gains": gains.tolist(), "good": [bool(x) for x in good],
        "query": query.tolist(), "gold": gold.tolist(), "p": p.tolist(),
        "expect": {
            "accuracy": number(sk.accuracy_score(gold, tier)),
            "macro_f1": number(sk.f1_score(gold, tier, average="macro")),
            "kappa": number(kappa),
            "acc2": number(sk.accuracy_score(good[gold], good[tier])),
            "mae": number(sk.mean_absolute_error(gold, tier)),
            "ndcg": number(value),
            "nll": number(-np.log(np.maximum(p[np.arange(n), gold], 1e-12)).mean()),
            "brier": number(((p - np.eye(tiers)[gold]) ** 2).sum(1).mean()),
            "ece": number(ece(p.max(1), (tier == gold).astype(float))),
        },
        "informative": int(informative), "without_relevant": int(irrelevant),
        "precision": [number(x) for x in prf[0]], "recall": [number(x) for x in prf[1]],
        "f1": [number(x) for x in f1], "confusion": sk.confusion_matrix(gold, tier, labels=labels).tolist(),
    }


cases = [
    case(4, 120, 12, 1.5, 4, ()),     # the usual
    case(4, 60, 6, 1.0, 1, ()),       # coarse scores: many ties
    case(2, 40, 8, 1.0, 4, ()),
    case(3, 30, 30, 0.5, 4, (1,)),    # a tier that never occurs as gold, mostly single-item queries
    case(5, 80, 3, 2.0, 2, (0, 4)),   # queries longer than the depth of NDCG
    case(4, 20, 5, 1.0, 4, (0, 1, 2)),  # nothing relevant at all
    case(7, 90, 9, 1.0, 4, ()),
    case(4, 1, 1, 3.0, 4, ()),
]
print("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]")
