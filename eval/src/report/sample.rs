//! A realistic report for tests: seven systems on the simulated shop, with everything a reader could meet, hostile titles
//! included.

use std::collections::BTreeMap;

use super::model::*;

/// Names of the sample's metrics.
pub(crate) const METRICS: [&str; 5] =
    ["recall@10", "recall@50", "ndcg@10", "mrr@10", "hit_rate@10"];

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

/// The sample.
pub(crate) fn report() -> Report {
    let shape = [1.0, 1.46, 0.83, 0.95, 1.21];
    let value = |base: f64, metric: usize| (base * shape[metric]).min(0.93);
    let systems: Vec<SystemReport> = SYSTEMS
        .iter()
        .map(|&(name, kind, base, latency, peak_bytes)| SystemReport {
            name: name.to_owned(),
            kind: kind.to_owned(),
            metrics: METRICS
                .iter()
                .enumerate()
                .map(|(index, metric)| {
                    let value = value(base, index);
                    let half = 0.018 * (value * (1.0 - value)).sqrt() + 0.002;
                    let one = Estimate { value, low: value - half, high: value + half * 1.1 };
                    ((*metric).to_owned(), one)
                })
                .collect(),
            latency_ms: latency.map(|p50| Latency { p50, p99: p50 * 2.7 }),
            peak_bytes,
            unanswered: u64::from(kind == "run-file") * 4,
        })
        .collect();
    let comparisons = systems
        .iter()
        .filter(|system| system.name != "bm25")
        .flat_map(|system| {
            METRICS.iter().enumerate().map(move |(index, metric)| (system, index, *metric))
        })
        .map(|(system, index, metric)| {
            let difference = system.metrics[metric].value - value(0.412, index);
            let significant = difference.abs() > 0.012;
            let p_value = if significant { 0.001 } else { 0.21 };
            let verdict = match significant {
                true if difference > 0.0 => Verdict::Better,
                true => Verdict::Worse,
                false => Verdict::Inconclusive,
            };
            Comparison {
                system: system.name.clone(),
                metric: metric.to_owned(),
                difference,
                low: difference - 0.011,
                high: difference + 0.012,
                p_value,
                p_adjusted: (p_value * 12.0).min(1.0),
                significant,
                verdict,
                ..Comparison::default()
            }
        })
        .collect();
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
            other: BTreeMap::from([("users".to_owned(), 5_200), ("impressions".to_owned(), 518_000)]),
        },
        evaluation: EvaluationSummary {
            metrics: METRICS.map(str::to_owned).to_vec(),
            relevant_grade: 3.0,
            depth: 100,
            bootstrap: 2_000,
            confidence: 0.95,
            split: Some("the last 2 of 30 days".to_owned()),
        },
        baseline: Some("bm25".to_owned()),
        systems,
        comparisons,
        training: vec![curve("supervised", 900, 5.6, 1.9), curve("aligned", 300, 0.69, 0.31)],
        identifiers: vec![identifier()],
        index_bytes: Some(38_912),
        examples: examples(),
        warnings: vec![
            "leave-one-out leaks time: a request may be answered from the future".to_owned(),
            "1 item <b>without</b> title & text has no identifier".to_owned(),
        ],
        notes: vec!["run file colbert <v2> was ranked elsewhere; its latency is not known".to_owned()],
        machine: Machine {
            os: "linux x86_64".to_owned(),
            cpu: "AMD EPYC 9V74".to_owned(),
            threads: 2,
            gpu: None,
            memory_bytes: Some(8_330_000_000),
            version: "0.1.0".to_owned(),
        },
        recipe: "name = \"quickstart\"\nseed = 17\n\n[corpus]\nkind = \"simulator\"\nitems = 2400\n# </pre><script>alert(1)</script>\n".to_owned(),
    }
}

fn curve(name: &str, steps: u64, first: f64, last: f64) -> TrainingReport {
    let points = (1..=60)
        .map(|index| {
            let share = f64::from(index) / 60.0;
            let wave = (f64::from(index) * 2.3).sin() * 0.02 * first;
            let loss = last + (first - last) * (-4.0 * share).exp() + wave;
            let mut extra = BTreeMap::new();
            if index % 10 == 0 {
                extra.insert("validation_loss".to_owned(), loss * 1.08 + 0.05);
                extra.insert("accuracy".to_owned(), 0.5 + 0.4 * share);
            }
            TrainingPoint {
                step: steps * index as u64 / 60,
                loss: (index != 7).then_some(loss),
                learning_rate: Some(3e-4 * (1.0 - share)),
                extra,
            }
        })
        .collect();
    TrainingReport {
        name: name.to_owned(),
        objective: if name == "aligned" { "preference" } else { "supervised" }.to_owned(),
        steps,
        seconds: Some(93.4),
        parameters: Some(1_310_720),
        diverged: false,
        points,
    }
}

fn identifier() -> IdentifierReport {
    let level = |used: u64, steepness: f64, collision_rate: f64| {
        let usage: Vec<u64> = (0..64)
            .map(|code| {
                if code < used { (160.0 * (-steepness * code as f64).exp()) as u64 + 1 } else { 0 }
            })
            .collect();
        let total: u64 = usage.iter().sum();
        let entropy_bits: f64 = usage
            .iter()
            .filter(|&&count| count > 0)
            .map(|&count| count as f64 / total as f64)
            .map(|share| -share * share.log2())
            .sum();
        LevelReport {
            codes: 64,
            used,
            entropy_bits,
            normalized_entropy: entropy_bits / 6.0,
            gini: 0.3 + steepness * 4.0,
            collision_rate: Some(collision_rate),
            usage,
        }
    };
    IdentifierReport {
        name: "sid".to_owned(),
        kind: "residual-k-means".to_owned(),
        items: 2_400,
        distinct: 2_312,
        collision_rate: 0.068,
        largest_group: Some(5),
        index_bytes: Some(38_912),
        distortion: Some(0.182),
        levels: vec![level(64, 0.02, 1.0), level(22, 0.11, 0.71), level(61, 0.03, 0.068)],
        findings: vec!["hourglass: level 2 uses 22 of 64 codes".to_owned()],
    }
}

fn examples() -> Vec<ExampleReport> {
    let item = |id: &str, title: &str, grade: Option<f64>, score: Option<f64>| ExampleItem {
        item: id.to_owned(),
        title: title.to_owned(),
        grade,
        score,
    };
    let list = |hit: usize| {
        (0..5)
            .map(|rank| {
                let score = Some(8.0 - rank as f64 * 1.37);
                if rank == hit {
                    item("i1207", "Oak side table, oval, 45 cm", Some(4.0), score)
                } else {
                    let grade = (rank == 4).then_some(1.0);
                    item(
                        &format!("i{}", 300 + rank * 17),
                        &format!("Pine shelf no. {rank}, white"),
                        grade,
                        score,
                    )
                }
            })
            .collect()
    };
    let systems = |hits: [usize; 7]| {
        SYSTEMS
            .iter()
            .zip(hits)
            .map(|(system, hit)| ExampleSystem { system: system.0.to_owned(), items: list(hit) })
            .collect()
    };
    vec![
        ExampleReport {
            request: "r20113".to_owned(),
            text: "small oak side table".to_owned(),
            history: vec!["Oak bed frame, 140 cm".to_owned(), "Reading lamp, brass".to_owned()],
            relevant: vec![item("i1207", "Oak side table, oval, 45 cm", Some(4.0), None)],
            relevant_total: 1,
            systems: systems([9, 2, 1, 1, 0, 9, 0]),
        },
        ExampleReport {
            request: "r20114".to_owned(),
            text: "<img src=x onerror=alert(1)> tabel".to_owned(),
            history: Vec::new(),
            relevant: vec![item("i1207", "Oak side table, oval, 45 cm", Some(4.0), None)],
            relevant_total: 3,
            systems: systems([9, 9, 3, 0, 0, 2, 0]),
        },
        ExampleReport {
            request: "r20115".to_owned(),
            text: String::new(),
            history: vec!["Reading lamp, brass".to_owned()],
            relevant: vec![item("i1207", "", Some(3.0), None)],
            relevant_total: 1,
            systems: systems([9, 9, 9, 9, 4, 9, 0]),
        },
    ]
}
