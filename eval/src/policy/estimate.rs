//! Estimates of a target policy's value. Letters: row i earned r_i, was shown with propensity p_i and would be shown by the
//! target with π_i; w_i = π_i / p_i, clipped where asked; q_i is a model's estimate of r_i and v_i its expectation under the
//! target. Knows no file.

use std::collections::HashMap;
use std::fmt;

use super::log::{LoggedRow, PolicyLog};
use crate::error::{Error, Result};
use crate::report::model::Estimate;
use crate::scores::Values;
use crate::significance::{interval, resample};

/// How the value is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Estimator {
    /// Inverse propensity scoring, `mean(w r)` (Horvitz and Thompson 1952): unbiased without clipping.
    Ips,
    /// Self-normalized, `Σ w r / Σ w` (Swaminathan and Joachims 2015): a little biased, steadier, within the range of rewards.
    Snips,
    /// Doubly robust, `mean(v + w (r − q))` (arXiv 1103.4601): unbiased where propensities or model are right.
    DoublyRobust,
}

/// Settings of the estimates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyOptions {
    /// Largest weight; larger ones are cut to it, which trades bias (towards 0 for rewards that are not negative) for
    /// variance. None leaves weights as they are.
    pub clip: Option<f64>,
    /// Resamples of the bootstrap over requests.
    pub resamples: u32,
    /// Confidence of the interval, in (0, 1).
    pub confidence: f64,
    /// Seed of the draws.
    pub seed: u64,
}

/// An estimate with what is needed to trust it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyValue {
    /// How it was estimated.
    pub estimator: Estimator,
    /// The value of one action, with a percentile interval over requests: the rows of one request are drawn together, and a row
    /// without one on its own.
    pub value: Estimate,
    /// Rows of the log.
    pub rows: usize,
    /// What the bootstrap draws: requests, and rows that name none.
    pub requests: usize,
    /// `(Σ w)² / Σ w²` (Kish 1965): about how many rows drawn from the target itself would say as much. 0 where the target
    /// would have shown nothing that was logged.
    pub effective_rows: f64,
    /// Mean weight before clipping; far from 1, the propensities are wrong or the log lacks what the target shows.
    pub mean_weight: f64,
    /// Largest weight before clipping.
    pub largest_weight: f64,
    /// Rows whose weight was cut.
    pub clipped: usize,
}

impl fmt::Display for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ips => "ips",
            Self::Snips => "snips",
            Self::DoublyRobust => "doubly_robust",
        })
    }
}

impl Default for PolicyOptions {
    fn default() -> Self {
        Self { clip: None, resamples: 2_000, confidence: 0.95, seed: 0 }
    }
}

/// Estimates the target's value. Several estimators with equal options see the same draws. Refused: options that make no
/// sense, a doubly robust estimate where a row lacks the model's figures, and a self-normalized one where every weight is 0.
/// The same for any number of threads.
pub fn estimate(
    log: &PolicyLog,
    estimator: Estimator,
    options: &PolicyOptions,
) -> Result<PolicyValue> {
    check(options)?;
    let refuse = |what: String| Err(Error::Comparison { what: format!("{}: {what}", log.place()) });
    let rows = log.rows();
    let raw: Vec<f64> = rows.iter().map(|row| row.target / row.propensity).collect();
    if let Some(at) = raw.iter().position(|weight| !weight.is_finite()) {
        let LoggedRow { target, propensity, .. } = &rows[at];
        return refuse(format!(
            "row {}: the weight {} / {}, target by propensity, is not a finite number; so small a propensity is no logged \
             probability: correct it, or leave the row out",
            at + 1,
            short(*target),
            short(*propensity)
        ));
    }
    let most = options.clip.unwrap_or(f64::INFINITY);
    let weights: Vec<f64> = raw.iter().map(|weight| weight.min(most)).collect();
    let total: f64 = weights.iter().sum();
    let n_rows = rows.len() as f64;

    let mut terms = Vec::with_capacity(rows.len());
    for (index, (row, weight)) in rows.iter().zip(&weights).enumerate() {
        terms.push(match (estimator, row.estimate, row.expectation) {
            (Estimator::Ips | Estimator::Snips, ..) => weight * row.reward,
            (Estimator::DoublyRobust, Some(estimate), Some(expectation)) => {
                expectation + weight * (row.reward - estimate)
            }
            (Estimator::DoublyRobust, ..) => {
                return refuse(format!(
                    "row {} has no `estimate` or no `expectation`, which the doubly robust estimate needs; give both in every row, or use snips",
                    index + 1
                ));
            }
        });
    }
    let sum: f64 = terms.iter().sum();
    let value = match estimator {
        Estimator::Ips | Estimator::DoublyRobust => sum / n_rows,
        Estimator::Snips if total > 0.0 => sum / total,
        Estimator::Snips => {
            return refuse(
                "the target would have shown nothing of what was logged, so that nothing can be said of it".to_owned(),
            );
        }
    };
    let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
    let mean_weight = raw.iter().sum::<f64>() / n_rows;
    let largest_weight = raw.iter().copied().fold(0.0, f64::max);
    let clipped = raw.iter().filter(|&&weight| weight > most).count();

    let (requests, n_requests) = requests(rows);
    let per_request = |values: &mut dyn Iterator<Item = f64>| {
        let mut sums = vec![0.0; n_requests];
        for (&request, value) in requests.iter().zip(values) {
            sums[request] += value;
        }
        Values::PerRequest(sums)
    };
    // The row that contributes most: where figures leave the range of numbers, it is to blame.
    let size = |at: &usize| if terms[*at].is_finite() { terms[*at].abs() } else { f64::INFINITY };
    let largest = (0..terms.len()).max_by(|one, other| size(one).total_cmp(&size(other)));
    let largest = largest.unwrap_or_default();
    let terms = per_request(&mut terms.into_iter());
    let totals = match estimator {
        Estimator::Ips | Estimator::DoublyRobust => per_request(&mut std::iter::repeat(1.0)),
        Estimator::Snips => per_request(&mut weights.iter().copied()),
    };
    let drawn = resample(&[&terms, &totals], n_requests, options.resamples, options.seed);
    // A draw without weight gives 0 / 0, no number, and is left out.
    let pairs = drawn.figures(0).iter().zip(drawn.figures(1));
    let figures: Vec<f64> = pairs.map(|(sum, total)| sum / total).collect();
    let (low, high) = interval(&figures, options.confidence).unwrap_or((value, value));
    let drawn = figures.iter().any(|figure| figure.is_infinite());
    if drawn || [value, low, high, mean_weight].iter().any(|figure| !figure.is_finite()) {
        return refuse(format!(
            "row {}: with reward {} and weight {} the {estimator} estimate is not a finite number; give rewards and \
             estimates on a smaller scale, or correct the row",
            largest + 1,
            short(rows[largest].reward),
            short(raw[largest])
        ));
    }
    // Squares of very large weights leave the range of numbers: their ratio does not.
    let scale = if squares.is_finite() { 1.0 } else { largest_weight.min(most) };
    let share = |power: i32| weights.iter().map(|weight| (weight / scale).powi(power)).sum::<f64>();
    let effective_rows = match squares.is_finite() {
        true if squares > 0.0 => total * total / squares,
        true => 0.0,
        false => share(1) * share(1) / share(2),
    };
    Ok(PolicyValue {
        estimator,
        value: Estimate { value, low, high },
        rows: rows.len(),
        requests: n_requests,
        effective_rows,
        mean_weight,
        largest_weight,
        clipped,
    })
}

/// A number without hundreds of zeros.
fn short(number: f64) -> String {
    match number == 0.0 || (1e-4..1e6).contains(&number.abs()) {
        true => number.to_string(),
        false => format!("{number:e}"),
    }
}

/// The request of every row, numbered, and how many there are; a row that names none is one of its own.
fn requests(rows: &[LoggedRow]) -> (Vec<usize>, usize) {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut n_requests = 0;
    let mut next = || {
        n_requests += 1;
        n_requests - 1
    };
    let mut requests = Vec::with_capacity(rows.len());
    for LoggedRow { request, .. } in rows {
        requests.push(match request.is_empty() {
            true => next(),
            false => *numbers.entry(request).or_insert_with(&mut next),
        });
    }
    (requests, n_requests)
}

/// Refuses options that make no sense.
fn check(options: &PolicyOptions) -> Result<()> {
    let refuse = |what: String| Err(Error::Comparison { what });
    if let Some(clip) = options.clip
        && !(clip > 0.0 && clip.is_finite())
    {
        return refuse(format!("weights must be clipped at a positive number, not {clip}"));
    }
    if !(options.confidence > 0.0 && options.confidence < 1.0) {
        return refuse(format!(
            "the confidence must be between 0 and 1, not {}",
            options.confidence
        ));
    }
    if options.resamples == 0 {
        return refuse("the bootstrap needs at least one resample".to_owned());
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::log::PolicyLogBuilder;
    use super::*;

    /// Two kinds of requests, three actions: probability of a reward, of the logging policy, of the target.
    const REWARD: [[f64; 3]; 2] = [[0.9, 0.2, 0.4], [0.1, 0.6, 0.3]];
    const LOGGING: [[f64; 3]; 2] = [[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]];
    const TARGET: [[f64; 3]; 2] = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]];

    fn expectation(model: &[f64; 3], kind: usize) -> f64 {
        model.iter().zip(TARGET[kind]).map(|(reward, share)| reward * share).sum()
    }

    /// The target's true value: both kinds are as likely.
    fn truth() -> f64 {
        (expectation(&REWARD[0], 0) + expectation(&REWARD[1], 1)) / 2.0
    }

    /// A log of the logging policy, with a model of rewards and propensities that may be wrong by a factor.
    fn log(seed: u64, n_rows: usize, model: &[[f64; 3]; 2], wrong: f64) -> PolicyLog {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut builder = PolicyLog::builder("simulation");
        for _ in 0..n_rows {
            let kind = usize::from(rng.random::<bool>());
            let draw: f64 = rng.random();
            let action = match draw {
                _ if draw < LOGGING[kind][0] => 0,
                _ if draw < LOGGING[kind][0] + LOGGING[kind][1] => 1,
                _ => 2,
            };
            let reward = f64::from(u8::from(rng.random::<f64>() < REWARD[kind][action]));
            builder
                .push(LoggedRow {
                    request: String::new(),
                    item: action.to_string(),
                    reward,
                    propensity: LOGGING[kind][action] * wrong,
                    target: TARGET[kind][action],
                    estimate: Some(model[kind][action]),
                    expectation: Some(expectation(&model[kind], kind)),
                })
                .unwrap();
        }
        builder.finish().unwrap()
    }

    /// Mean of the estimates over many logs, its standard error, and the spread of single estimates.
    fn over_logs(
        estimator: Estimator,
        model: &[[f64; 3]; 2],
        wrong: f64,
        clip: Option<f64>,
    ) -> (f64, f64, f64) {
        let options = PolicyOptions { clip, resamples: 1, ..PolicyOptions::default() };
        let values: Vec<f64> = (0..400)
            .map(|seed| {
                estimate(&log(seed, 300, model, wrong), estimator, &options).unwrap().value.value
            })
            .collect();
        let mean = values.iter().sum::<f64>() / 400.0;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 399.0;
        (mean, (variance / 400.0).sqrt(), variance.sqrt())
    }

    #[test]
    fn estimates_are_unbiased_where_theory_says_so() {
        let nothing = [[0.5; 3]; 2];
        let right = |(mean, error, _): (f64, f64, f64)| (mean - truth()).abs() < 4.0 * error;
        assert!(right(over_logs(Estimator::Ips, &nothing, 1.0, None)));
        assert!(right(over_logs(Estimator::DoublyRobust, &nothing, 1.0, None)));
        // A right model mends wrong propensities; nothing else does.
        assert!(right(over_logs(Estimator::DoublyRobust, &REWARD, 0.7, None)));
        assert!(!right(over_logs(Estimator::DoublyRobust, &nothing, 0.7, None)));
        assert!(!right(over_logs(Estimator::Ips, &REWARD, 0.7, None)));
        // SNIPS is consistent, and here cancels the factor in the propensities.
        let (mean, ..) = over_logs(Estimator::Snips, &nothing, 0.7, None);
        assert!((mean - truth()).abs() < 0.01, "{mean} instead of {}", truth());
        // Clipping lowers IPS.
        let (mean, error, _) = over_logs(Estimator::Ips, &nothing, 1.0, Some(2.0));
        assert!(mean < truth() - 10.0 * error);
    }

    #[test]
    fn a_model_and_normalization_lower_the_spread() {
        let spread = |estimator, model| over_logs(estimator, model, 1.0, None).2;
        let ips = spread(Estimator::Ips, &REWARD);
        assert!(spread(Estimator::Snips, &REWARD) < 0.8 * ips);
        assert!(spread(Estimator::DoublyRobust, &REWARD) < 0.8 * ips);
    }

    #[test]
    fn intervals_cover_the_truth_as_often_as_promised() {
        let options = PolicyOptions { resamples: 300, confidence: 0.9, ..PolicyOptions::default() };
        for estimator in [Estimator::Ips, Estimator::Snips, Estimator::DoublyRobust] {
            let covered = (0..200)
                .filter(|&seed| {
                    let found = estimate(&log(seed, 400, &[[0.5; 3]; 2], 1.0), estimator, &options);
                    let value = found.unwrap().value;
                    value.low <= truth() && truth() <= value.high
                })
                .count();
            // 180 expected, standard deviation 4.2.
            assert!((162..=195).contains(&covered), "{estimator}: {covered} of 200");
        }
    }

    #[test]
    fn rows_of_one_request_are_drawn_together() {
        // Each row ten times over: nothing is known that one row alone did not say.
        let one = log(5, 200, &REWARD, 1.0);
        let [mut alone, mut together, mut apart] =
            [(); 3].map(|()| PolicyLog::builder("simulation"));
        for (number, row) in one.rows().iter().enumerate() {
            let named = LoggedRow { request: number.to_string(), ..row.clone() };
            alone.push(named.clone()).unwrap();
            for _ in 0..10 {
                together.push(named.clone()).unwrap();
                apart.push(row.clone()).unwrap();
            }
        }
        let width = |log: PolicyLogBuilder, estimator| {
            let value = estimate(&log.finish().unwrap(), estimator, &PolicyOptions::default());
            let value = value.unwrap().value;
            value.high - value.low
        };
        for estimator in [Estimator::Ips, Estimator::Snips, Estimator::DoublyRobust] {
            let alone = width(alone.clone(), estimator);
            assert!((width(together.clone(), estimator) - alone).abs() < 1e-12);
            assert!(width(apart.clone(), estimator) < alone / 2.0);
        }
    }

    #[test]
    fn a_target_equal_to_the_log_is_the_mean_reward() {
        let mut builder = PolicyLog::builder("x");
        for (reward, propensity) in [(1.0, 0.5), (0.0, 0.25), (3.0, 0.25)] {
            let row = LoggedRow {
                request: String::new(),
                item: String::new(),
                reward,
                propensity,
                target: propensity,
                estimate: None,
                expectation: None,
            };
            builder.push(row).unwrap();
        }
        let log = builder.finish().unwrap();
        let options = PolicyOptions::default();
        for estimator in [Estimator::Ips, Estimator::Snips] {
            let found = estimate(&log, estimator, &options).unwrap();
            assert!((found.value.value - 4.0 / 3.0).abs() < 1e-12);
            assert_eq!((found.rows, found.clipped, found.mean_weight), (3, 0, 1.0));
            assert!((found.effective_rows - 3.0).abs() < 1e-12);
        }
        let message = estimate(&log, Estimator::DoublyRobust, &options).unwrap_err().to_string();
        assert!(message.contains("x: row 1 has no `estimate`"), "{message}");
        let clipped = PolicyOptions { clip: Some(0.5), ..options };
        let found = estimate(&log, Estimator::Ips, &clipped).unwrap();
        assert!((found.value.value - 2.0 / 3.0).abs() < 1e-12 && found.clipped == 3);
        for bad in [Some(0.0), Some(f64::NAN)] {
            let options = PolicyOptions { clip: bad, ..options };
            assert!(estimate(&log, Estimator::Ips, &options).is_err());
        }
    }

    #[test]
    fn what_is_no_finite_number_is_refused_with_the_row() {
        let plain = (1.0, 0.5, 0.5);
        for (rows, says) in [
            (vec![plain, (1.0, 1e-320, 0.5)], "row 2: the weight 0.5 / "),
            (vec![plain, plain, (1e308, 0.01, 1.0)], "row 3: with reward 1"),
            (vec![(1e308, 0.5, 0.5), (1.7e308, 0.5, 0.5)], "row 2: with reward 1"),
            (vec![(-1e308, 0.5, 0.5), plain], "row 1: with reward -1"),
        ] {
            let mut builder = PolicyLog::builder("x");
            for (reward, propensity, target) in rows {
                let row = LoggedRow {
                    request: String::new(),
                    item: String::new(),
                    reward,
                    propensity,
                    target,
                    estimate: None,
                    expectation: None,
                };
                builder.push(row).unwrap();
            }
            let log = builder.finish().unwrap();
            for estimator in [Estimator::Ips, Estimator::Snips] {
                let refused = estimate(&log, estimator, &PolicyOptions::default()).unwrap_err();
                assert!(refused.to_string().contains(says), "{refused}");
            }
        }
    }

    #[test]
    fn a_target_that_shows_nothing_logged_is_refused_where_undefined() {
        let mut builder = PolicyLog::builder("x");
        let row = LoggedRow {
            request: String::new(),
            item: String::new(),
            reward: 1.0,
            propensity: 0.5,
            target: 0.0,
            estimate: None,
            expectation: None,
        };
        builder.push(row).unwrap();
        let log = builder.finish().unwrap();
        assert!(estimate(&log, Estimator::Snips, &PolicyOptions::default()).is_err());
        let found = estimate(&log, Estimator::Ips, &PolicyOptions::default()).unwrap();
        assert_eq!((found.value.value, found.effective_rows), (0.0, 0.0));
    }
}
