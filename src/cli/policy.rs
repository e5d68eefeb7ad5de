//! `trieval eval --policy`: what policies would have earned, from logs of another.

use std::collections::BTreeMap;
use std::path::PathBuf;

use trieval_eval::policy::{Estimator, LoggedRow, PolicyOptions, estimate, read_log};
use trieval_eval::report::Report;
use trieval_eval::report::model::{EvaluationSummary, REPORT_FORMAT, SystemReport};
use trieval_eval::significance::few_requests;

use super::args::EvalArgs;
use super::eval::{fingerprint, named, unusable};
use super::form::{show, warn};
use crate::error::{Error, Result};
use crate::judging::machine::machine;
use crate::progress::Context;
use crate::store::digest;

pub(super) fn execute(args: &EvalArgs, ctx: &Context) -> Result<()> {
    let files: Vec<PathBuf> = args.policy.iter().map(|text| named(text).1).collect();
    args.form.check(files.iter().map(PathBuf::as_path))?;
    let judging = &args.judging;
    let options = PolicyOptions {
        clip: args.clip,
        resamples: judging.bootstrap,
        confidence: judging.confidence,
        seed: judging.seed,
    };
    let mut report = Report {
        format: REPORT_FORMAT,
        name: "policies".into(),
        seed: judging.seed,
        machine: machine(),
        ..Report::default()
    };
    let mut names: Vec<String> = Vec::new();
    for text in &args.policy {
        let (name, path) = named(text);
        let log = read_log(&path).map_err(|e| unusable(&path, e))?;
        let name = name.map_or_else(|| path.display().to_string(), str::to_owned);
        report.fingerprints.push(fingerprint(&name, digest(&path)?));
        let rows = log.rows();
        let (has_model, remark) = model(rows);
        let estimators: &[Estimator] = match has_model {
            true => &[Estimator::Ips, Estimator::Snips, Estimator::DoublyRobust],
            false => &[Estimator::Ips, Estimator::Snips],
        };
        let mut system = SystemReport {
            name,
            kind: "policy-log".into(),
            run: Some(path.display().to_string()),
            ..SystemReport::default()
        };
        report.warnings.extend(remark.map(|remark| format!("{}: {remark}", system.name)));
        for &estimator in estimators {
            let value = estimate(&log, estimator, &options).map_err(|e| unusable(&path, e))?;
            let metric = estimator.to_string();
            if !names.contains(&metric) {
                names.push(metric.clone());
            }
            system.metrics.insert(metric, value.value);
            system.operational = BTreeMap::from([
                ("rows".to_owned(), value.rows as f64),
                ("effective_rows".to_owned(), value.effective_rows),
                ("mean_weight".to_owned(), value.mean_weight),
                ("largest_weight".to_owned(), value.largest_weight),
                ("clipped_rows".to_owned(), value.clipped as f64),
            ]);
            if estimator == Estimator::Ips {
                let remark = few_requests(value.requests);
                report.warnings.extend(remark.map(|remark| format!("{}: {remark}", system.name)));
            }
            // Unbiased weights have mean 1: far from it, the log cannot answer the question.
            if estimator == Estimator::Ips && !(0.5..=2.0).contains(&value.mean_weight) {
                report.warnings.push(format!(
                    "{}: the mean weight is {:.2} instead of 1: propensities are wrong, or the log lacks what the policy shows",
                    system.name, value.mean_weight
                ));
            }
        }
        report.counts.evaluated = report.counts.evaluated.max(rows.len() as u64);
        report.systems.push(system);
    }
    let twice = (1..report.systems.len())
        .find(|&at| report.systems[..at].iter().any(|one| one.name == report.systems[at].name));
    if let Some(at) = twice {
        let name = &report.systems[at].name;
        return Err(Error::Usage(format!("two policies are called {name}: name them NAME=FILE")));
    }
    report.evaluation = EvaluationSummary {
        metrics: names,
        bootstrap: judging.bootstrap,
        confidence: judging.confidence,
        split: Some("rows of the logs, which are resampled by the bootstrap".into()),
        ..EvaluationSummary::default()
    };
    warn(&report, ctx);
    show(&report, &args.form)
}

/// Whether all rows have a model's figures; where some have, what is lacking.
fn model(rows: &[LoggedRow]) -> (bool, Option<String>) {
    let lacking = rows.iter().position(|row| row.estimate.is_none() || row.expectation.is_none());
    let Some(at) = lacking else { return (true, None) };
    if rows.iter().all(|row| row.estimate.is_none() && row.expectation.is_none()) {
        return (false, None);
    }
    let lacks = match (rows[at].estimate, rows[at].expectation) {
        (None, None) => "neither `estimate` nor `expectation`",
        (None, Some(_)) => "`expectation` and no `estimate`",
        _ => "`estimate` and no `expectation`",
    };
    let remark = format!(
        "no doubly robust estimate is made, because row {} has {lacks}: give both in every row",
        at + 1
    );
    (false, Some(remark))
}
