"""Writes trec_eval.json: random runs and judgments with the values that trec_eval gives them.

Needs `pip install pytrec_eval-terrier numpy`. The values are committed; run this only to change the cases:

    python eval/tests/golden/make.py > eval/tests/golden/trec_eval.json
"""

import json
import sys

import numpy as np
import pytrec_eval

CUTS = "1,3,5,10"
MEASURES = {"recall." + CUTS, "P." + CUTS, "ndcg_cut." + CUTS, "ndcg", "map", "map_cut." + CUTS, "recip_rank", "success." + CUTS}
OURS = {"P": "precision", "ndcg_cut": "ndcg", "map_cut": "ap", "map": "ap", "recip_rank": "mrr", "ndcg": "ndcg",
        "recall": "recall", "success": "success"}


def our_name(theirs):
    head, _, tail = theirs.rpartition("_")
    return f"{OURS[head]}@{tail}" if tail.isdigit() else OURS[theirs]


def case(rng, number):
    level = 1 if number % 3 else 2
    n_requests, n_items = int(rng.integers(1, 5)), int(rng.integers(3, 25))
    run, qrels = {}, {}
    for q in range(n_requests):
        request = f"q{q}"
        items = [f"d{i}" for i in range(n_items)]
        judged = rng.choice(items, size=int(rng.integers(1, n_items + 1)), replace=False)
        qrels[request] = {str(i): int(rng.integers(-1, 4)) for i in judged}
        if rng.random() < 0.85:
            found = rng.choice(items, size=int(rng.integers(1, n_items + 1)), replace=False)
            # Few distinct scores make ties; the last two differ as f64 but not as f32.
            scores = [0.5, 1.0, 2.25, -3.0, 0.1, 0.10000000000000002]
            run[request] = {str(i): float(rng.choice(scores)) for i in found}
    ndcg_qrels = {q: {i: (g if g >= level else 0) for i, g in one.items()} for q, one in qrels.items()}
    values = {}
    for judged, names in ((qrels, {m for m in MEASURES if not m.startswith("ndcg")}),
                          (ndcg_qrels, {m for m in MEASURES if m.startswith("ndcg")})):
        evaluator = pytrec_eval.RelevanceEvaluator(judged, names, relevance_level=level)
        for request, one in evaluator.evaluate(run).items():
            if max(qrels[request].values()) >= level:
                values.setdefault(request, {}).update({our_name(k): v for k, v in one.items()})
    return {"relevant_grade": level, "qrels": qrels, "run": run, "values": values}


def main():
    rng = np.random.default_rng(20240607)
    json.dump([case(rng, number) for number in range(32)], sys.stdout, separators=(",", ":"), sort_keys=True)
    print()


main()
