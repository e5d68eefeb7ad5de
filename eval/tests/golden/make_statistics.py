"""Writes statistics.json: tests, corrections, figures of labelled predictions and fused runs as other libraries compute them.

Needs `pip install scipy statsmodels scikit-learn ranx`. The values are committed; run this only to change the cases:

    python eval/tests/golden/make_statistics.py > eval/tests/golden/statistics.json
"""

import json
import sys

import numpy as np
from ranx import Run
from ranx.fusion import comb_mnz, comb_sum, rrf, wsum
from ranx.normalization import min_max_norm, zmuv_norm
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score, root_mean_squared_error
from statsmodels.stats.multitest import multipletests

rng = np.random.default_rng(20250117)


def floats(values):
    return [float(value) for value in values]


def paired():
    cases = []
    for n, decimals, shift in ((4, 1, 0.4), (7, 3, 0.3), (12, 1, 0.2), (13, 2, 0.1), (14, 1, 0.2), (25, 6, 0.15),
                               (40, 1, 0.1), (50, 8, 0.05), (51, 8, 0.12), (90, 1, 0.05), (150, 6, 0.02)):
        left = np.round(rng.random(n) + shift * rng.random(n), decimals)
        right = np.round(rng.random(n), decimals)
        if decimals == 1:
            right[: n // 4] = left[: n // 4]
        # The difference is rounded, so that ties are ties; as `left` with `right` 0 it reaches every library alike.
        difference = np.round(left - right, decimals)
        one = {
            "differences": floats(difference),
            "t": float(stats.ttest_rel(difference, np.zeros(n)).pvalue),
            "wilcoxon": float(stats.wilcoxon(difference).pvalue),
            "cohens_d": float(difference.mean() / difference.std(ddof=1)),
        }
        if n <= 12:
            one["randomization"] = float(stats.permutation_test(
                (difference,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue)
        cases.append(one)
    return cases


def tails():
    student = [[t, df, float(2 * stats.t.sf(t, df))]
               for t in (1e-3, 0.5, 1.0, 1.96, 3.3, 8.0, 30.0) for df in (1, 2, 3, 7, 30, 199, 9_999, 1_000_000)]
    normal = [[z, float(2 * stats.norm.sf(z))] for z in (1e-4, 0.3, 1.0, 1.96, 2.7, 2.83, 4.0, 9.0, 20.0)]
    return {"student": student, "normal": normal}


def corrections():
    cases = []
    for n in (1, 2, 5, 12, 30):
        p = rng.random(n) ** 4
        p[: n // 3] = np.round(p[: n // 3], 2)
        cases.append({
            "p_values": floats(p),
            "holm": floats(multipletests(p, method="holm")[1]),
            "benjamini_hochberg": floats(multipletests(p, method="fdr_bh")[1]),
        })
    return cases


def calibration(y, p, bins, strategy):
    true, predicted = calibration_curve(y, p, n_bins=bins, strategy=strategy)
    edges = np.linspace(0.0, 1.0, bins + 1) if strategy == "uniform" else np.percentile(
        p, np.linspace(0, 1, bins + 1) * 100)
    counts = np.bincount(np.searchsorted(edges[1:-1], p), minlength=bins)
    counts = counts[counts > 0]
    return {
        "bins": bins,
        "share_positive": floats(true),
        "mean_prediction": floats(predicted),
        "counts": [int(count) for count in counts],
        "ece": float((counts / len(p) * np.abs(true - predicted)).sum()),
    }


def labelled():
    cases = []
    for n_requests, per_request, decimals in ((3, 4, 2), (12, 6, 1), (30, 5, 5)):
        rows, y, p, grades, requests = [], [], [], [], []
        for request in range(n_requests):
            for item in range(per_request):
                score = float(np.round(rng.random(), decimals))
                grade = int(rng.choice([0, 0, 1, 2])) if request or item else 1
                rows.append([f"q{request:02}", f"i{item}", grade, score])
                y.append(int(grade >= 1)), p.append(score), grades.append(grade), requests.append(request)
        y, p, grades = np.array(y), np.array(p), np.array(grades)
        times = rng.integers(0, 4, n_requests)
        times[0] = 1
        weights = times[np.array(requests)]

        def figures(weights):
            return {
                "auc": float(roc_auc_score(y, p, sample_weight=weights)),
                "log_loss": float(log_loss(y, p, sample_weight=weights)),
                "pr_auc": float(average_precision_score(y, p, sample_weight=weights)),
                "rmse": float(root_mean_squared_error(grades, p, sample_weight=weights)),
            }

        cases.append({
            "rows": rows,
            "times": [int(one) for one in times],
            "figures": figures(None),
            "drawn": figures(weights),
            "width": calibration(y, p, 10, "uniform"),
            "mass": calibration(y, p, 7, "quantile"),
        })
    return cases


def fusion():
    cases = []
    for n_runs in (2, 3):
        runs = []
        for _ in range(n_runs):
            run = {}
            for request in range(4):
                items = rng.choice(15, size=int(rng.integers(3, 11)), replace=False)
                # Sixty-fourths are exact as f32; distinct within a list, so that no rank is a tie.
                scores = rng.choice(640, size=len(items), replace=False) / 64 - 3
                run[f"q{request}"] = {f"d{item:02}": float(score) for item, score in zip(items, scores)}
            runs.append(run)

        def fresh(normalize=None):
            made = [Run(run, name=f"r{index}") for index, run in enumerate(runs)]
            return [normalize(one) for one in made] if normalize else made

        weights = [0.25, 0.75] if n_runs == 2 else [0.5, 0.125, 0.375]
        plain = lambda run: {q: {d: float(s) for d, s in items.items()} for q, items in run.to_dict().items()}
        cases.append({
            "runs": runs,
            "weights": weights,
            "rrf": plain(rrf(fresh(), k=60)),
            "comb_sum_min_max": plain(comb_sum(fresh(min_max_norm))),
            "comb_mnz_min_max": plain(comb_mnz(fresh(min_max_norm))),
            "comb_sum_z_score": plain(comb_sum(fresh(zmuv_norm))),
            "comb_mnz_z_score": plain(comb_mnz(fresh(zmuv_norm))),
            "weighted_min_max": plain(wsum(fresh(min_max_norm), weights)),
        })
    return cases


json.dump({"paired": paired(), "tails": tails(), "corrections": corrections(), "labelled": labelled(), "fusion": fusion()},
          sys.stdout, separators=(",", ":"))
print()
