//! A report at every limit: many systems, metrics and requests, and texts made to break a page.

use std::collections::BTreeMap;

use super::requests::examples;
use crate::report::model::*;

/// Titles that break naive pages: markup, quotes, right-to-left text, overrides, emoji, template syntax, great length.
pub const HOSTILE: [&str; 7] = [
    "</script><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "שולחן קטן מעץ אלון \u{202e}txt.exe",
    "🪑👩‍👩‍👧‍👦 e\u{301}\u{301}\u{301}",
    "{{ 7 * 7 }} {% include 'x' %} ${1}",
    "<!-- <script> ]]> &amp; &#0;",
    "line\nbreak\tand \u{0} control \u{2028} separators",
];

/// 30 systems, 40 metrics, all pairs on all metrics, 2,000 requests with five items per system, titles of 10,000 characters.
pub fn huge() -> Report {
    let n_systems = 30;
    let n_metrics = 40;
    let mut report = super::report();
    let metrics: Vec<String> = (1..=n_metrics).map(|at| format!("ndcg(gain=exp)@{at}")).collect();
    let names: Vec<String> =
        (0..n_systems).map(|at| format!("system {at} {}", HOSTILE[at % HOSTILE.len()])).collect();
    let figure = |system: usize, metric: usize| 0.2 + 0.015 * system as f64 + 0.004 * metric as f64;
    report.evaluation.metrics.clone_from(&metrics);
    report.baseline = Some(names[3].clone());
    let estimates = |system: usize| -> BTreeMap<String, Estimate> {
        let estimate = |metric: usize| {
            let value = figure(system, metric);
            Estimate { value, low: value - 0.01, high: value + 0.01 }
        };
        metrics.iter().cloned().zip((0..n_metrics).map(estimate)).collect()
    };
    report.systems = (0..n_systems)
        .map(|system| SystemReport {
            name: names[system].clone(),
            kind: "generative".to_owned(),
            metrics: estimates(system),
            latency_ms: Some(Latency {
                p50: 0.01 * 1.4_f64.powi(system as i32),
                p95: None,
                p99: 0.03 * 1.4_f64.powi(system as i32),
            }),
            bytes: Some(1_000 << (system % 20)),
            run: Some(format!("runs/{}", names[system])),
            ..SystemReport::default()
        })
        .collect();
    let compare = |left: usize, right: usize, metric: usize| {
        let difference = figure(left, metric) - figure(right, metric);
        Comparison {
            system: names[left].clone(),
            baseline: names[right].clone(),
            metric: metrics[metric].clone(),
            difference,
            low: difference - 0.01,
            high: difference + 0.01,
            p_value: 0.000_12,
            p_adjusted: 0.012_345,
            significant: true,
            verdict: if difference > 0.0 { Verdict::Better } else { Verdict::Worse },
            wins: 100,
            ties: 1_500,
            losses: 184,
            ..Comparison::default()
        }
    };
    let others = (0..n_systems).filter(|&system| system != 3);
    report.comparisons = others
        .clone()
        .flat_map(|system| (0..n_metrics).map(move |metric| compare(system, 3, metric)))
        .collect();
    report.pairs = others
        .clone()
        .flat_map(|left| others.clone().filter(move |&right| right < left).map(move |r| (left, r)))
        .flat_map(|(left, right)| (0..n_metrics).map(move |metric| compare(left, right, metric)))
        .collect();
    for slice in &mut report.slices {
        slice.systems = (0..n_systems)
            .map(|system| SliceSystem { name: names[system].clone(), metrics: estimates(system) })
            .collect();
    }
    let long = "very long title ".repeat(625);
    let pattern = examples();
    report.examples = (0..2_000)
        .map(|index| {
            let model = &pattern[index % pattern.len()];
            let item = |rank: usize, system: usize| {
                let at = (index * 7 + rank * 13 + system) % 900;
                ExampleItem {
                    item: format!("i{at}"),
                    title: if at == 5 {
                        long.clone()
                    } else {
                        format!("{at} {}", HOSTILE[at % HOSTILE.len()])
                    },
                    grade: (rank == index % 5).then_some(3.0),
                    score: Some(9.0 - rank as f64 * 1.234_567),
                    spans: Vec::new(),
                }
            };
            ExampleReport {
                request: format!("r{index}"),
                text: format!("{} {index}", HOSTILE[index % HOSTILE.len()]),
                history: vec![long.clone(); 2],
                systems: (0..n_systems)
                    .map(|system| ExampleSystem {
                        system: names[system].clone(),
                        items: (0..5).map(|rank| item(rank, system)).collect(),
                    })
                    .collect(),
                values: (0..n_systems)
                    .map(|system| {
                        (names[system].clone(), ((index * 31 + system * 17) % 101) as f64 / 101.0)
                    })
                    .collect(),
                ..model.clone()
            }
        })
        .collect();
    report
}
