"""Residual k-means in faiss, the peer of `trieval bench quantizer`: same vectors, levels, codes, iterations and threads.

    python benches/peers/quantizer.py --make clumps.npy --items 1000000 --dim 64
    python benches/peers/quantizer.py --vectors clumps.npy --levels 3 --codes 1024 --iterations 20 --threads 2
    trieval bench quantizer --vectors clumps.npy --levels 3 --codes 1024 --iterations 20 --threads 2

Each level is a `faiss.Kmeans` of what the levels before it left over, one start, no beam; as many training rows per code as trieval takes
(256, faiss's own bound; `--rows-per-code` changes it), then all rows get their nearest code. Prints one JSON object: wall and CPU seconds of
fitting and coding, and the mean squared error after each level, over all rows.

`--make` writes clumped vectors: a mixture of 1,000 Gaussians with Zipf weights and log-normal widths, scaled to unit length."""

import argparse
import json
import os
import time


def make(path, items, dim, seed):
    import numpy as np

    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((1000, dim))
    weights = 1 / np.arange(1, 1001) ** 0.8
    widths = rng.lognormal(-0.7, 0.6, 1000)
    of = rng.choice(1000, items, p=weights / weights.sum())
    vectors = centers[of] + widths[of][:, None] * rng.standard_normal((items, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(path, vectors.astype("<f4"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--make", metavar="FILE")
    parser.add_argument("--vectors", metavar="FILE")
    defaults = [("items", 1_000_000), ("dim", 64), ("levels", 3), ("codes", 1024), ("iterations", 20), ("threads", 2), ("seed", 1),
                ("rows-per-code", 256)]
    for name, default in defaults:
        parser.add_argument("--" + name, type=int, default=default)
    a = parser.parse_args()
    if a.make:
        return make(a.make, a.items, a.dim, a.seed)

    # Read when the library is loaded.
    os.environ["OMP_NUM_THREADS"] = str(a.threads)
    import faiss
    import numpy as np

    faiss.omp_set_num_threads(a.threads)
    left = np.load(a.vectors).astype(np.float32)
    wall, cpu = time.perf_counter(), time.process_time()
    errors = []
    for level in range(a.levels):
        kmeans = faiss.Kmeans(left.shape[1], a.codes, niter=a.iterations, nredo=1, seed=a.seed + level,
                              max_points_per_centroid=a.rows_per_code)
        kmeans.train(left)
        _, codes = kmeans.index.search(left, 1)
        left -= kmeans.centroids[codes[:, 0]]
        errors.append(float(np.einsum("ij,ij->", left, left, dtype=np.float64) / len(left)))
    print(json.dumps({"peer": f"faiss {faiss.__version__}", "rows": len(left), "seconds": time.perf_counter() - wall,
                      "cpu_seconds": time.process_time() - cpu, "errors": errors}))


if __name__ == "__main__":
    main()
