//! From the scores of all systems to intervals and verdicts: every system but the baseline is compared with it on every
//! metric, and all those comparisons together are one family for Holm's correction.

use super::{holm, resample_means};
use crate::error::{Error, Result};
use crate::evaluate::{SystemScores, Values};
use crate::report::model::{Comparison, Estimate, Verdict};

/// Settings of the tests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignificanceOptions {
    /// Resamples of the bootstrap.
    pub resamples: u32,
    /// Confidence of intervals and tests, in (0, 1).
    pub confidence: f64,
    /// Seed of the draws.
    pub seed: u64,
}

/// Intervals of all systems and their comparisons with the baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// `[system][metric]`: means with percentile intervals.
    pub estimates: Vec<Vec<Estimate>>,
    /// One per system other than the baseline and metric, systems in the order given.
    pub comparisons: Vec<Comparison>,
    /// What limits the tests, in words.
    pub warnings: Vec<String>,
}

/// Compares systems scored on the same requests and metrics. `baseline` is an index into `scores`.
pub fn assess(
    scores: &[SystemScores],
    baseline: usize,
    options: &SignificanceOptions,
) -> Result<Assessment> {
    let refuse = |what: String| Err(Error::Comparison { what });
    let Some(base) = scores.get(baseline) else {
        return refuse(format!("baseline {baseline} is none of {} systems", scores.len()));
    };
    if !(options.confidence > 0.0 && options.confidence < 1.0) {
        return refuse(format!(
            "the confidence must be between 0 and 1, not {}",
            options.confidence
        ));
    }
    if options.resamples == 0 {
        return refuse("the bootstrap needs at least one resample".to_owned());
    }
    for one in scores {
        let metrics = one.columns.iter().map(|column| &column.metric);
        if one.requests != base.requests
            || !metrics.eq(base.columns.iter().map(|column| &column.metric))
        {
            return refuse(format!(
                "{} and {} were not scored on the same requests and metrics; evaluate both against the same qrels",
                one.system, base.system
            ));
        }
    }
    let mut columns: Vec<&[f64]> = Vec::new();
    for column in scores.iter().flat_map(|one| &one.columns) {
        match &column.values {
            Values::PerRequest(values) => columns.push(values),
            Values::Pooled(_) => {
                let what = format!("{} is no mean over requests; leave it out", column.metric);
                return refuse(what);
            }
        }
    }
    let resamples = resample_means(&columns, options.resamples, options.seed);
    let n_metrics = base.columns.len();
    let column = |system: usize, metric: usize| system * n_metrics + metric;

    let mut estimates = Vec::with_capacity(scores.len());
    let mut comparisons = Vec::new();
    for (system, one) in scores.iter().enumerate() {
        let mut row = Vec::with_capacity(n_metrics);
        for (metric, measured) in one.columns.iter().enumerate() {
            let (low, high) = resamples.interval(column(system, metric), options.confidence);
            row.push(Estimate { value: measured.value, low, high });
            if system == baseline {
                continue;
            }
            let (low, high, p_value) = resamples.difference(
                column(system, metric),
                column(baseline, metric),
                options.confidence,
            );
            comparisons.push(Comparison {
                system: one.system.clone(),
                metric: measured.metric.clone(),
                difference: measured.value - base.columns[metric].value,
                low,
                high,
                p_value,
                ..Comparison::default()
            });
        }
        estimates.push(row);
    }
    let p_values: Vec<f64> = comparisons.iter().map(|one| one.p_value).collect();
    let level = 1.0 - options.confidence;
    for (one, adjusted) in comparisons.iter_mut().zip(holm(&p_values)) {
        one.p_adjusted = adjusted;
        // The slack forgives the rounding of `1 − confidence`.
        one.significant = adjusted <= level + 1e-12 && one.difference != 0.0;
        one.verdict = match one.significant {
            true if one.difference > 0.0 => Verdict::Better,
            true => Verdict::Worse,
            false => Verdict::Inconclusive,
        };
    }
    let warnings = limits(comparisons.len(), base.requests.len(), options);
    Ok(Assessment { estimates, comparisons, warnings })
}

/// What the number of resamples, comparisons and requests does not allow to be shown.
fn limits(n_comparisons: usize, n_requests: usize, options: &SignificanceOptions) -> Vec<String> {
    let mut warnings = Vec::new();
    let least = 2.0 / (f64::from(options.resamples) + 1.0) * n_comparisons as f64;
    let level = 1.0 - options.confidence;
    if least > level {
        let needed = (2.0 * n_comparisons as f64 / level).ceil();
        warnings.push(format!(
            "with {} resamples and {n_comparisons} comparisons no difference can be significant after correction; set `bootstrap` to at least {needed}",
            options.resamples
        ));
    }
    if n_requests < 30 {
        warnings.push(format!(
            "only {n_requests} requests were evaluated; bootstrap intervals over so few are too narrow"
        ));
    }
    warnings
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::evaluate::Column;

    fn scores(system: &str, value: impl Fn(usize) -> f64) -> SystemScores {
        let values: Vec<f64> = (0..200).map(value).collect();
        SystemScores {
            system: system.to_owned(),
            requests: (0..200).map(|i| format!("{i:03}")).collect(),
            columns: vec![Column {
                metric: "mrr".to_owned(),
                value: values.iter().sum::<f64>() / 200.0,
                values: Values::PerRequest(values),
            }],
            counts: Default::default(),
        }
    }

    fn options(resamples: u32) -> SignificanceOptions {
        SignificanceOptions { resamples, confidence: 0.95, seed: 1 }
    }

    #[test]
    fn verdicts_follow_the_corrected_test() {
        let base = |i: usize| (i * 37 % 101) as f64 / 101.0;
        let systems = [
            scores("worse", |i| base(i) * 0.8),
            scores("base", base),
            scores("better", |i| base(i).sqrt()),
            scores("same", base),
            scores("noise", |i| if i % 2 == 0 { base(i) } else { 1.0 - base(i) }),
        ];
        let assessment = assess(&systems, 1, &options(1_000)).unwrap();
        let verdicts: Vec<(&str, Verdict)> =
            assessment.comparisons.iter().map(|one| (one.system.as_str(), one.verdict)).collect();
        assert_eq!(
            verdicts,
            [
                ("worse", Verdict::Worse),
                ("better", Verdict::Better),
                ("same", Verdict::Inconclusive),
                ("noise", Verdict::Inconclusive),
            ]
        );
        assert!(assessment.warnings.is_empty());
        for (one, row) in systems.iter().zip(&assessment.estimates) {
            assert!(row[0].low <= one.columns[0].value && one.columns[0].value <= row[0].high);
        }
        for one in &assessment.comparisons {
            assert!(one.p_value <= one.p_adjusted && one.low <= one.difference + 1e-12);
        }
    }

    #[test]
    fn too_few_resamples_are_said() {
        let systems: Vec<_> = (0..9).map(|i| scores(&i.to_string(), |_| 0.5)).collect();
        let warnings = assess(&systems, 0, &options(100)).unwrap().warnings;
        assert!(warnings[0].contains("set `bootstrap` to at least 320"), "{}", warnings[0]);
    }

    #[test]
    fn systems_scored_on_other_requests_are_refused() {
        let mut other = scores("other", |_| 0.1);
        other.requests[3] = "x".to_owned();
        let error = assess(&[scores("base", |_| 0.1), other], 0, &options(100)).unwrap_err();
        assert!(error.to_string().contains("other and base"));
        assert!(assess(&[], 0, &options(100)).is_err());
    }
}
