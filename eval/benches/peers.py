"""The work of judge.rs with ranx, pytrec_eval and the verb `trieval eval`, on the files that judge.rs made.

    pip install ranx pytrec_eval-terrier pyarrow "pandas<3"
    python eval/benches/peers.py /tmp/judge trec|parquet ranx|pytrec_eval|verb [repetitions]

Prints the phases in seconds (medians), the peak memory and the means. ranx is warmed up first, so that its compilation does
not count, nor do the imports of either. `verb` is the program from start to end, with all that the peers do not do: ranks that
contradict scores, checksums, 2,000 bootstrap resamples. The program is `$TRIEVAL`, or target/release/trieval.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time

OURS = ["ndcg@10", "ndcg@100", "recall@10", "recall@100", "precision@10", "ap", "mrr", "rprec", "bpref", "success@10"]
RANX = ["ndcg@10", "ndcg@100", "recall@10", "recall@100", "precision@10", "map", "mrr", "r-precision", "bpref", "hit_rate@10"]
TREC = ["ndcg_cut_10", "ndcg_cut_100", "recall_10", "recall_100", "P_10", "map", "recip_rank", "Rprec", "bpref", "success_10"]
ASKED = {"ndcg_cut.10,100", "recall.10,100", "P.10", "map", "recip_rank", "Rprec", "bpref", "success.10"}


def ranx_once(folder, kind):
    import pandas
    import ranx

    start = time.perf_counter()
    if kind == "trec":
        run = ranx.Run.from_file(f"{folder}/run.trec", kind="trec")
        read = time.perf_counter()
        qrels = ranx.Qrels.from_file(f"{folder}/qrels.trec", kind="trec")
    else:
        # Its own from_parquet takes 64-bit scores only; this is what it does otherwise.
        table = pandas.read_parquet(f"{folder}/run.parquet").astype({"score": "float64"})
        run = ranx.Run.from_df(table, q_id_col="request", doc_id_col="item", score_col="score")
        read = time.perf_counter()
        table = pandas.read_parquet(f"{folder}/qrels.parquet").astype({"grade": "int64"})
        qrels = ranx.Qrels.from_df(table, q_id_col="request", doc_id_col="item", score_col="grade")
    judged = time.perf_counter()
    values = ranx.evaluate(qrels, run, RANX, make_comparable=True)
    done = time.perf_counter()
    return (read - start, judged - read, done - judged), [values[name] for name in RANX]


def pytrec_once(folder, kind):
    import pytrec_eval

    start = time.perf_counter()
    if kind == "trec":
        with open(f"{folder}/run.trec") as file:
            run = pytrec_eval.parse_run(file)
        read = time.perf_counter()
        with open(f"{folder}/qrels.trec") as file:
            qrels = pytrec_eval.parse_qrel(file)
    else:
        run = table(f"{folder}/run.parquet", "score", float)
        read = time.perf_counter()
        qrels = table(f"{folder}/qrels.parquet", "grade", int)
    judged = time.perf_counter()
    results = pytrec_eval.RelevanceEvaluator(qrels, ASKED).evaluate(run)
    means = [sum(one[name] for one in results.values()) / len(results) for name in TREC]
    done = time.perf_counter()
    return (read - start, judged - read, done - judged), means


def table(path, number, kind):
    """The nested dictionaries that pytrec_eval wants, the fastest way we know."""
    import pyarrow.parquet

    columns = pyarrow.parquet.read_table(path, columns=["request", "item", number])
    nested = {}
    for request, item, value in zip(*(columns[name].to_pylist() for name in ("request", "item", number))):
        nested.setdefault(request, {})[item] = kind(value)
    return nested


def verb_once(folder, kind):
    program = os.environ.get("TRIEVAL", "target/release/trieval")
    command = [program, "eval", "--qrels", f"{folder}/qrels.{kind}", "--run", f"{folder}/run.{kind}",
               "-m", ",".join(OURS), "--json"]
    start = time.perf_counter()
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    seconds = time.perf_counter() - start
    found = json.loads(answer)["systems"][0]["metrics"]
    return (0.0, 0.0, seconds), [found[name]["value"] for name in OURS]


def processor_seconds():
    """User and system time of this process and of those that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def warm_up():
    import ranx

    ranx.evaluate(ranx.Qrels({"q": {"a": 1}}), ranx.Run({"q": {"a": 1.0}}), RANX, make_comparable=True)


def main():
    folder, kind, peer = sys.argv[1:4]
    repetitions = int(sys.argv[4]) if len(sys.argv) > 4 else 3
    once = {"ranx": ranx_once, "pytrec_eval": pytrec_once, "verb": verb_once}[peer]
    if peer == "ranx":
        warm_up()
    phases, means = [], []
    cpu = []
    for _ in range(repetitions):
        before = processor_seconds()
        times, means = once(folder, kind)
        phases.append(times)
        cpu.append(processor_seconds() - before)
    run, qrels, metrics = (statistics.median(column) for column in zip(*phases))
    total = statistics.median(sum(times) for times in phases)
    who = resource.RUSAGE_CHILDREN if peer == "verb" else resource.RUSAGE_SELF
    peak = resource.getrusage(who).ru_maxrss / 1_000
    print(f"{peer} {kind}: run {run:.3f} s, qrels {qrels:.3f} s, metrics {metrics:.3f} s, all {total:.3f} s, "
          f"processor {statistics.median(cpu):.2f} s (medians of {repetitions}), peak {peak:.0f} MB")
    for name, value in zip(OURS, means):
        print(f"  {name} {value:.12f}")


main()
