//! A realistic report for tests: seven systems on the simulated shop, with everything a reader could meet, hostile titles
//! included, and a huge one that fills every limit. Compiled for tests and the browser suite only.

mod figures;
mod huge;
mod requests;
mod training;

use std::collections::BTreeMap;

use super::model::*;

pub use huge::{HOSTILE, huge};

/// Names of the sample's metrics.
pub const METRICS: [&str; 5] = ["recall@10", "recall@50", "ndcg@10", "mrr@10", "hit_rate@10"];

/// Name, kind, recall@10, median latency, memory.
type System = (&'static str, &'static str, f64, Option<f64>, Option<u64>);

const SYSTEMS: [System; 7] = [
    ("popularity", "popularity", 0.071, Some(0.02), Some(38_400)),
    ("bm25", "bm25", 0.412, Some(0.31), Some(2_310_000)),
    ("two-tower", "two-tower", 0.388, Some(1.9), Some(8_800_000)),
    ("supervised", "generative", 0.409, Some(12.4), Some(61_000_000)),
    ("aligned", "generative", 0.447, Some(12.6), Some(61_200_000)),
    ("colbert <v2>", "run-file", 0.431, None, None),
    ("oracle", "oracle", 0.702, Some(0.05), Some(1_200_000)),
];

/// The sample: every field of the model is filled.
pub fn report() -> Report {
    let systems = figures::systems();
    let comparisons = figures::against("bm25", &systems);
    let pairs = figures::pairs(&systems);
    Report {
        format: REPORT_FORMAT,
        name: "quickstart".to_owned(),
        description: "The main job end to end on the simulated shop".to_owned(),
        seed: 17,
        counts: Counts {
            items: Some(2_400),
            requests: Some(26_000),
            evaluated: 1_784,
            without_relevant: 31,
            malformed_rows: 0,
            other: BTreeMap::from([
                ("users".to_owned(), 5_200),
                ("impressions".to_owned(), 518_000),
            ]),
        },
        evaluation: EvaluationSummary {
            metrics: METRICS.map(str::to_owned).to_vec(),
            relevant_grade: 3.0,
            depth: 100,
            bootstrap: 2_000,
            confidence: 0.95,
            split: Some("the last 2 of 30 days".to_owned()),
            correction: Some("Holm’s correction".to_owned()),
            lower_is_better: Vec::new(),
        },
        baseline: Some("bm25".to_owned()),
        slices: figures::slices(&systems),
        systems,
        comparisons,
        pairs,
        training: vec![
            training::curve("supervised", 900, 5.6, 1.9),
            training::curve("aligned", 300, 0.69, 0.31),
        ],
        identifiers: vec![training::identifier(), training::spans()],
        index_bytes: Some(38_912),
        examples: requests::examples(),
        leaks: leaks(),
        log: Some(log()),
        reliability: vec![reliability("two-tower", 0.16), reliability("supervised", 0.04)],
        values_note: "the values of all metrics for single requests are in values.parquet".to_owned(),
        warnings: vec![
            "leave-one-out leaks time: a request may be answered from the future".to_owned(),
            "1 item <b>without</b> title & text has no identifier".to_owned(),
        ],
        notes: vec![
            "run file colbert <v2> was ranked elsewhere; its latency is not known".to_owned(),
        ],
        machine: Machine {
            os: "linux x86_64".to_owned(),
            cpu: "AMD EPYC 9V74".to_owned(),
            threads: 2,
            gpu: None,
            memory_bytes: Some(8_330_000_000),
            version: "0.1.0".to_owned(),
            commit: Some("4626671c0ffee".to_owned()),
        },
        fingerprints: vec![
            fingerprint("items.csv", "5d1f8c0a77b2e946", Some(412_339)),
            fingerprint("impressions.csv", "c7a8811f0e3b5d26", Some(18_220_114)),
            fingerprint("test qrels", "09ab37f6521c8e44", None),
        ],
        recipe: "name = \"quickstart\"\nseed = 17\n\n[corpus]\nkind = \"simulator\"\nitems = 2400\n# </pre><script>alert(1)</script>\n".to_owned(),
    }
}

/// Gives the two decoders two seeds each, of which one knows which they were.
#[cfg(test)]
pub(crate) fn train_twice(report: &mut Report) {
    for (name, seeds) in [("aligned", vec![17, 18]), ("supervised", Vec::new())] {
        for system in report.systems.iter_mut().filter(|system| system.name == name) {
            let value = system.metrics[METRICS[0]].value;
            let values = vec![value - 0.01, value + 0.01];
            system.seed_values = [(METRICS[0].to_owned(), values)].into();
            system.seeds.clone_from(&seeds);
        }
    }
}

/// Turns the first metric around: less of it is better now.
#[cfg(test)]
pub(crate) fn turn(report: &mut Report) {
    report.evaluation.lower_is_better = vec![METRICS[0].to_owned()];
    let all = report.comparisons.iter_mut().chain(&mut report.pairs);
    for one in all.filter(|one| one.metric == METRICS[0]) {
        one.lower_is_better = true;
        one.verdict = one.reversed().verdict;
        (one.wins, one.losses) = (one.losses, one.wins);
    }
}

fn fingerprint(name: &str, checksum: &str, bytes: Option<u64>) -> Fingerprint {
    Fingerprint { name: name.to_owned(), checksum: format!("blake3:{checksum}"), bytes }
}

/// Every third system answers nothing in a place in which the log showed it.
fn log() -> LogReport {
    let near = |value: f64| Estimate { value, low: value - 0.003, high: value + 0.003 };
    let policy = |estimator: &str, value: f64, effective_rows: f64| PolicyReport {
        estimator: estimator.to_owned(),
        value: near(value),
        effective_rows,
        mean_weight: 1.04,
    };
    let system = |(at, &(name, ..)): (usize, &System)| LoggedSystem {
        system: name.to_owned(),
        answers: 17_840,
        never_shown_share: Some(0.004 * at as f64),
        unshown_share: Some(0.125 + 0.06 * at as f64),
        policies: match at % 3 {
            2 => Vec::new(),
            _ => vec![policy("ips", 0.043, 812.0), policy("snips", 0.041, 812.0)],
        },
        true_order: None,
        true_clicks: None,
    };
    LogReport {
        cutoff: 10,
        requests: 1_602,
        rows: 41_230,
        chosen_share: Some(near(0.039)),
        systems: SYSTEMS.iter().enumerate().map(system).collect(),
    }
}

fn leaks() -> Vec<LeakReport> {
    let leak = |what: &str, count: u64, examples: &[&str]| LeakReport {
        what: what.to_owned(),
        count,
        share: count as f64 / 1_784.0,
        examples: examples.iter().map(|&one| one.to_owned()).collect(),
    };
    vec![
        leak(
            "test requests whose query text occurs in training",
            388,
            &["small oak side table", "brass lamp", "<svg onload=alert(1)>"],
        ),
        leak("test requests of a user seen in training", 1_602, &[]),
        leak("test requests with the clicked item in the history", 0, &[]),
    ]
}

/// Ten bins whose predictions are too extreme by `skew`.
fn reliability(system: &str, skew: f64) -> ReliabilityReport {
    let bins = (0..10)
        .map(|index| {
            let low = f64::from(index) / 10.0;
            let mean_prediction = low + 0.052;
            ReliabilityBin {
                low,
                high: low + 0.1,
                mean_prediction,
                share_positive: mean_prediction - skew * (2.0 * mean_prediction - 1.0),
                count: 9_000 / (1 + index as u64 * 2),
            }
        })
        .collect();
    ReliabilityReport { system: system.to_owned(), bins }
}
