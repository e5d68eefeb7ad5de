//! The systems of a finished run, with what answering cost and where their answers lie.

use std::collections::BTreeMap;
use std::path::Path;

use trieval_eval::report::model::{Latency, SystemReport};

use crate::error::Result;
use crate::judging::answer::Throughput;
use crate::judging::runs::RUN_FILE;
use crate::kind::Family;
use crate::pipeline::folder::RunFolder;
use crate::pipeline::locate::finished;
use crate::pipeline::plan::Plan;
use crate::pipeline::step::step_name;
use crate::ranker::harness::Comparison;
use crate::steps::{Evaluation, SystemResult};

/// One entry per system, in the order of the recipe.
pub(super) fn systems(
    evaluation: &Evaluation,
    plan: &Plan,
    folder: &RunFolder,
    n_items: u64,
) -> Result<Vec<SystemReport>> {
    let system = |one: &SystemResult| {
        let cost = &one.file.cost;
        let step = step_name(Family::System, &one.name);
        let run = finished(plan, folder, &step)?.join(RUN_FILE);
        let share = |count: u64| count as f64 / one.file.returned.max(1) as f64;
        let mut operational: BTreeMap<String, f64> = [
            ("invalid_rate".to_owned(), share(one.file.invalid)),
            ("duplicate_rate".to_owned(), share(one.file.duplicates)),
            ("bytes_per_item".to_owned(), one.file.bytes as f64 / n_items.max(1) as f64),
        ]
        .into();
        if cost.seconds > 0.0 {
            let qps = cost.milliseconds.len() as f64 / cost.seconds;
            operational.insert("qps".into(), qps);
        }
        if let Some(Throughput { batch, requests, seconds }) = cost.throughput
            && seconds > 0.0
        {
            operational.insert("qps_batch".into(), requests as f64 / seconds);
            operational.insert("batch".into(), batch as f64);
        }
        if let Some(Comparison { recall_at_10, speedup, .. }) = one.file.approximate {
            operational.insert("index_recall_at_10".into(), recall_at_10);
            operational.insert("index_speedup".into(), speedup);
        }
        Ok(SystemReport {
            name: one.name.clone(),
            kind: one.kind.clone(),
            metrics: evaluation
                .metrics
                .iter()
                .cloned()
                .zip(one.estimates.iter().copied())
                .collect(),
            latency_ms: Latency::from_milliseconds(&cost.milliseconds),
            peak_bytes: cost.peak_bytes,
            unanswered: one.unanswered,
            run: Some(relative(&run, folder)),
            operational,
            bytes: Some(one.file.bytes),
            seed_values: one.seed_values.clone(),
            seeds: one.seeds.clone(),
        })
    };
    evaluation.systems.iter().map(system).collect()
}

/// A path inside the run folder as a link of the report, which lies at its root.
pub(super) fn relative(path: &Path, folder: &RunFolder) -> String {
    path.strip_prefix(folder.root()).unwrap_or(path).display().to_string()
}
