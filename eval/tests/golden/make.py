"""Writes trec_eval.bin.gz: what trec_eval (through pytrec_eval) gives for 1,000 random runs and judgments.

The cases are drawn by a generator that golden.rs repeats, so that only values are stored: little-endian f64, by case, request
and measure. Needs `pip install pytrec_eval-terrier`. The values are committed; run this only to change the cases:

    python eval/tests/golden/make.py eval/tests/golden/trec_eval.bin.gz
"""

import gzip
import struct
import sys

import pytrec_eval

CASES = 1_000
MEASURES = [
    "ndcg", "ndcg_cut_1", "ndcg_cut_5", "ndcg_cut_10", "map", "map_cut_3", "map_cut_10", "recall_2", "recall_10", "P_3", "P_10",
    "recip_rank", "success_1", "success_5", "Rprec", "bpref", "iprec_at_recall_0.00", "iprec_at_recall_0.10",
    "iprec_at_recall_0.30", "iprec_at_recall_0.50", "iprec_at_recall_0.70", "iprec_at_recall_1.00", "set_F", "set_P", "set_recall",
]
ASKED = {
    "ndcg", "ndcg_cut.1,5,10", "map", "map_cut.3,10", "recall.2,10", "P.3,10", "recip_rank", "success.1,5", "Rprec", "bpref",
    "iprec_at_recall.0.0,0.1,0.3,0.5,0.7,1.0", "set_F", "set_P", "set_recall",
}
GRADES = [-2, -1, 0, 0, 1, 1, 2, 3, 4]
# 0.1 and 16777216 come in two and three spellings that are one number as f32.
SCORES = [0.1, 0.10000000000000002, 0.1000000001, 0.5, 1.0, 2.25, -3.0, 16777216.0, 16777217.0]


class Draw:
    """Knuth's 64-bit linear congruential generator, its upper 31 bits."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % n


def case(draw, number):
    """Threshold of relevance, judgments and run; requests are drawn in turn, items in the order of their numbers."""
    level = 2 if number % 3 == 2 else 1
    qrels, run = {}, {}
    n_requests = 1 + draw.below(3)
    n_items = 3 + draw.below(20)
    for request in range(n_requests):
        judged = {f"d{i}": GRADES[draw.below(9)] for i in range(n_items) if draw.below(100) < 60}
        found = {}
        if draw.below(100) < 85:
            found = {f"d{i}": SCORES[draw.below(9)] for i in range(n_items + 4) if draw.below(100) < 70}
        if judged:
            qrels[f"q{request}"] = judged
        if found:
            run[f"q{request}"] = found
    return level, qrels, run


def main():
    draw = Draw(20240607)
    values = []
    for number in range(CASES):
        level, qrels, run = case(draw, number)
        # trec_eval reads behind its tables where no grade reaches the level; such requests are left out by both.
        qrels = {q: one for q, one in qrels.items() if max(one.values()) >= level}
        run = {q: one for q, one in run.items() if q in qrels}
        if not run:
            continue
        results = pytrec_eval.RelevanceEvaluator(qrels, ASKED, relevance_level=level).evaluate(run)
        for request in sorted(run):
            values.extend(results[request][measure] for measure in MEASURES)
    data = struct.pack(f"<{len(values)}d", *values)
    with open(sys.argv[1], "wb") as file:
        file.write(gzip.compress(data, 9, mtime=0))
    print(f"{len(values)} values")


main()
