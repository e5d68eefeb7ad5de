//! The sample's systems, comparisons and slices, computed from a few base values.

use std::collections::BTreeMap;

use super::{METRICS, SYSTEMS};
use crate::report::model::*;

const SHAPE: [f64; 5] = [1.0, 1.46, 0.83, 0.95, 1.21];

fn value(base: f64, metric: usize) -> f64 {
    (base * SHAPE[metric]).min(0.93)
}

fn estimate(value: f64, width: f64) -> Estimate {
    let half = width * (0.018 * (value * (1.0 - value)).sqrt() + 0.002);
    Estimate { value, low: (value - half).max(0.0), high: value + half * 1.1 }
}

fn estimates(base: f64, width: f64) -> BTreeMap<String, Estimate> {
    let all = METRICS.iter().enumerate();
    all.map(|(index, metric)| ((*metric).to_owned(), estimate(value(base, index), width))).collect()
}

pub(super) fn systems() -> Vec<SystemReport> {
    SYSTEMS
        .iter()
        .map(|&(name, kind, base, latency, peak_bytes)| {
            let run = if kind == "run-file" {
                "runs/colbert <v2>.tsv.gz".to_owned()
            } else {
                format!("steps/system.{name}/run.tsv")
            };
            let mut operational = BTreeMap::new();
            if let Some(latency) = latency {
                operational.insert("qps".to_owned(), 1_900.0 / latency);
                operational.insert("build_seconds".to_owned(), 3.2 * latency);
                operational.insert("bytes_per_item".to_owned(), 12.0 + 2_000.0 * latency);
                operational.insert("invalid_rate".to_owned(), 0.0);
                let duplicates = if name == "supervised" { 0.0021 } else { 0.0 };
                operational.insert("duplicate_rate".to_owned(), duplicates);
            }
            SystemReport {
                name: name.to_owned(),
                kind: kind.to_owned(),
                metrics: estimates(base, 1.0),
                latency_ms: latency.map(|p50| Latency {
                    p50,
                    p95: Some(p50 * 1.8),
                    p99: p50 * 2.7,
                }),
                peak_bytes,
                unanswered: u64::from(kind == "run-file") * 4,
                run: Some(run),
                operational,
                bytes: peak_bytes.map(|bytes| bytes / 3),
                seed_values: BTreeMap::new(),
                seeds: Vec::new(),
            }
        })
        .collect()
}

/// Every other system against the named one, on every metric.
pub(super) fn against(baseline: &str, systems: &[SystemReport]) -> Vec<Comparison> {
    let base = systems.iter().find(|one| one.name == baseline);
    let rivals = systems.iter().filter(|one| one.name != baseline);
    rivals
        .flat_map(|system| METRICS.iter().map(move |metric| (system, *metric)))
        .filter_map(|(system, metric)| Some(comparison(system, base?, metric)))
        .map(|one| Comparison { baseline: String::new(), ..one })
        .collect()
}

/// Every two systems other than the ceiling and the baseline.
pub(super) fn pairs(systems: &[SystemReport]) -> Vec<Comparison> {
    let rivals: Vec<&SystemReport> =
        systems.iter().filter(|one| !one.is_ceiling() && one.name != "bm25").collect();
    let mut pairs = Vec::new();
    for (index, left) in rivals.iter().enumerate() {
        for right in &rivals[index + 1..] {
            pairs.extend(METRICS.iter().map(|metric| comparison(right, left, metric)));
        }
    }
    pairs
}

fn comparison(system: &SystemReport, base: &SystemReport, metric: &str) -> Comparison {
    let difference = system.metrics[metric].value - base.metrics[metric].value;
    let significant = difference.abs() > 0.012;
    let p_value = if significant { 0.001 } else { 0.21 };
    let verdict = match significant {
        true if difference > 0.0 => Verdict::Better,
        true => Verdict::Worse,
        false => Verdict::Inconclusive,
    };
    let lean = (difference * 900.0).round() as i64;
    Comparison {
        system: system.name.clone(),
        baseline: base.name.clone(),
        metric: metric.to_owned(),
        lower_is_better: false,
        difference,
        low: difference - 0.011,
        high: difference + 0.012,
        p_value,
        p_adjusted: (p_value * 12.0).min(1.0),
        significant,
        verdict,
        test: "paired bootstrap".to_owned(),
        effect_size: Some(difference * 2.4),
        wins: (420 + lean).max(0) as u64,
        ties: (1_784 - (420 + lean).max(0) - (420 - lean).max(0)).max(0) as u64,
        losses: (420 - lean).max(0) as u64,
        margin: Some(0.01),
        non_inferior: (difference - 0.009 > -0.01).then_some(true),
    }
}

pub(super) fn slices(systems: &[SystemReport]) -> Vec<SliceReport> {
    // Division, part, meaning, requests, factor for lexical systems, factor for generative ones.
    let parts: [(&str, &str, &str, u64, f64, f64); 10] = [
        (
            "item exposure",
            "head",
            "relevant item among the 20% shown most in training",
            903,
            1.05,
            1.16,
        ),
        ("item exposure", "middle", "relevant item among the next 30%", 512, 1.0, 0.98),
        ("item exposure", "tail", "relevant item among the rest", 297, 0.94, 0.71),
        ("item exposure", "never seen", "relevant item never shown in training", 72, 0.91, 0.34),
        ("query length", "1 term", "queries of one term", 310, 0.74, 0.98),
        ("query length", "2 to 3 terms", "queries of two or three terms", 1_102, 1.03, 1.01),
        ("query length", "4 or more", "longer queries", 372, 1.12, 0.97),
        (
            "request frequency",
            "often",
            "query text seen ten times or more in training",
            402,
            1.0,
            1.21,
        ),
        ("request frequency", "seldom", "query text seen one to nine times", 640, 1.0, 1.02),
        ("request frequency", "new", "query text never seen in training", 742, 0.99, 0.86),
    ];
    parts
        .iter()
        .map(|&(by, value, meaning, requests, lexical, generative)| SliceReport {
            by: by.to_owned(),
            value: value.to_owned(),
            meaning: meaning.to_owned(),
            requests,
            systems: systems
                .iter()
                .zip(SYSTEMS)
                .map(|(system, (_, kind, base, _, _))| {
                    let factor = match kind {
                        "generative" | "two-tower" => generative,
                        "oracle" => 1.0,
                        _ => lexical,
                    };
                    let width = (1_784.0 / requests as f64).sqrt();
                    SliceSystem {
                        name: system.name.clone(),
                        metrics: estimates(base * factor, width),
                    }
                })
                .collect(),
        })
        .collect()
}
