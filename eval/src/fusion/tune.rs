//! Weights of a fusion, searched for on validation judgments: a grid over the simplex, then single steps uphill. The same
//! input gives the same weights. Knows only the judgments that it is given; those of the test must not be among them.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::fuse::Prepared;
use super::lists::Fusion;
use crate::error::{Error, Result};
use crate::evaluate::evaluate;
use crate::metric::Metric;
use crate::qrels::Qrels;
use crate::run::Run;

/// Parts into which a weight of 1 is cut: weights are multiples of 1/20.
const UNITS: u32 = 20;

/// A gain below this is rounding.
const LEAST_GAIN: f64 = 1e-12;

/// Weights found by [`tune_weights`].
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// `[run]`, summing to 1; 0 leaves a run out.
    pub weights: Vec<f64>,
    /// The metric on the judgments used, under these weights.
    pub value: f64,
    /// The same under equal weights.
    pub equal: f64,
    /// Weights tried.
    pub tried: usize,
}

/// Weights that are best on one metric over validation judgments. The runs must answer the requests of those judgments;
/// others are not looked at.
pub fn tune_weights(
    runs: &[&Run],
    fusion: &Fusion,
    validation: &Qrels,
    metric: &Metric,
    relevant_grade: f64,
) -> Result<Tuned> {
    let answered = |run: &&Run| validation.judgments().any(|one| run.get(one.request()).is_some());
    if let Some(strange) = runs.iter().find(|run| !answered(run)) {
        return Err(Error::Run {
            run: strange.name().to_owned(),
            what: "it answers no validation request, so its weight cannot be tuned; run it on the validation requests".to_owned(),
        });
    }
    let sign = metric.better().sign();
    let judged = |request: &str| validation.get(request).is_some();
    let found = search(runs, fusion, Some(&judged), |run| {
        let scores = evaluate(run, validation, std::slice::from_ref(metric), relevant_grade)?;
        Ok(sign * scores.columns[0].value)
    })?;
    Ok(Tuned { value: sign * found.value, equal: sign * found.equal, ..found })
}

/// Weights that make any figure of the fused run largest. `objective` must give the same value for the same run.
pub fn tune_weights_by(
    runs: &[&Run],
    fusion: &Fusion,
    objective: impl Fn(&Run) -> Result<f64> + Sync,
) -> Result<Tuned> {
    search(runs, fusion, None, objective)
}

fn search(
    runs: &[&Run],
    fusion: &Fusion,
    only: Option<&(dyn Fn(&str) -> bool + Sync)>,
    objective: impl Fn(&Run) -> Result<f64> + Sync,
) -> Result<Tuned> {
    let prepared = Prepared::new(runs, fusion)?;
    let value = |weights: &[f64]| -> Result<f64> {
        let value = objective(&prepared.run(weights, only)?)?;
        if value.is_nan() {
            let what = "fusion: the figure that weights are tuned for is not a number".to_owned();
            return Err(Error::Comparison { what });
        }
        Ok(value)
    };
    let best_of = |candidates: Vec<Vec<u32>>| -> Result<Option<(Vec<u32>, f64)>> {
        let values: Vec<f64> =
            candidates.par_iter().map(|units| value(&as_weights(units))).collect::<Result<_>>()?;
        // The most even weights win a tie, then the first tried.
        let spread = |units: &[u32]| -> u32 { units.iter().map(|unit| unit * unit).sum() };
        Ok(candidates.into_iter().zip(values).reduce(|best, one| {
            let order = one.1.total_cmp(&best.1).then(spread(&best.0).cmp(&spread(&one.0)));
            if order == Ordering::Greater { one } else { best }
        }))
    };

    let equal = value(&[])?;
    let start = starts(runs.len());
    let mut tried = 1 + start.len();
    let Some((mut units, mut best)) = best_of(start)? else {
        return Err(Error::Comparison { what: "fusion: there is no run".to_owned() });
    };
    loop {
        let steps = steps(&units);
        tried += steps.len();
        match best_of(steps)? {
            Some((next, value)) if value > best + LEAST_GAIN => (units, best) = (next, value),
            _ => break,
        }
    }
    // Equal weights are kept where they are as good: twentieths cannot always express them.
    if equal >= best {
        let weights = vec![1.0 / runs.len() as f64; runs.len()];
        return Ok(Tuned { weights, value: equal, equal, tried });
    }
    Ok(Tuned { weights: as_weights(&units), value: best, equal, tried })
}

fn as_weights(units: &[u32]) -> Vec<f64> {
    units.iter().map(|&unit| f64::from(unit) / f64::from(UNITS)).collect()
}

/// Where the search begins: all twentieths for two runs, all tenths for three, and for more every run alone, every half of
/// two, and all alike.
fn starts(n_runs: usize) -> Vec<Vec<u32>> {
    match n_runs {
        0 => Vec::new(),
        1 => vec![vec![UNITS]],
        2 => (0..=UNITS).map(|unit| vec![unit, UNITS - unit]).collect(),
        3 => {
            let tenths = UNITS / 2;
            let pairs = (0..=tenths).flat_map(|a| (0..=tenths - a).map(move |b| (a, b)));
            pairs.map(|(a, b)| vec![2 * a, 2 * b, 2 * (tenths - a - b)]).collect()
        }
        _ => {
            let share = UNITS / n_runs as u32;
            let rest = UNITS as usize % n_runs;
            let even = (0..n_runs).map(|run| share + u32::from(run < rest)).collect();
            let mut starts: Vec<Vec<u32>> = vec![even];
            for left in 0..n_runs {
                for right in left..n_runs {
                    let mut units = vec![0; n_runs];
                    units[left] += UNITS / 2;
                    units[right] += UNITS / 2;
                    starts.push(units);
                }
            }
            starts
        }
    }
}

/// Every way to hand one unit from one run to another.
fn steps(units: &[u32]) -> Vec<Vec<u32>> {
    let runs = 0..units.len();
    let pairs = runs.clone().flat_map(|from| runs.clone().map(move |to| (from, to)));
    pairs
        .filter(|&(from, to)| from != to && units[from] > 0)
        .map(|(from, to)| {
            let mut next = units.to_vec();
            next[from] -= 1;
            next[to] += 1;
            next
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::settings::FusionMethod;
    use super::*;

    /// Runs over requests with one relevant item: run r scores it with `strength[r]` plus noise of its own.
    fn runs(strengths: &[f64]) -> (Vec<Run>, Qrels) {
        let mut qrels = Qrels::builder();
        let mut builders: Vec<_> =
            (0..strengths.len()).map(|run| Run::builder(format!("r{run}"))).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        for request in 0..60 {
            let id = format!("q{request:02}");
            qrels.push(&id, "i0", 1.0).unwrap();
            for item in 0..12 {
                for (builder, strength) in builders.iter_mut().zip(strengths) {
                    let noise: f64 = rng.random();
                    let signal = if item == 0 { *strength } else { 0.0 };
                    builder.push(&id, &format!("i{item}"), (noise + signal) as f32).unwrap();
                }
            }
        }
        let runs = builders.into_iter().map(|builder| builder.finish().unwrap()).collect();
        (runs, qrels.finish().unwrap())
    }

    fn tune(strengths: &[f64]) -> Tuned {
        let (runs, qrels) = runs(strengths);
        let runs: Vec<&Run> = runs.iter().collect();
        let fusion = Fusion { method: FusionMethod::CombSum, ..Fusion::default() };
        tune_weights(&runs, &fusion, &qrels, &"mrr".parse().unwrap(), 1.0).unwrap()
    }

    #[test]
    fn informative_runs_get_the_weight() {
        for strengths in [&[0.6, 0.0][..], &[0.6, 0.0, 0.3], &[0.0, 0.5, 0.5, 0.0]] {
            let tuned = tune(strengths);
            assert!((tuned.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(tuned.value > tuned.equal, "{strengths:?}: {tuned:?}");
            let of = |informative: bool| {
                let pairs = tuned.weights.iter().zip(strengths);
                pairs
                    .filter(move |(_, strength)| (**strength > 0.0) == informative)
                    .map(|one| *one.0)
            };
            let most_noise = of(false).fold(0.0, f64::max);
            assert!(of(true).all(|weight| weight > most_noise), "{strengths:?}: {tuned:?}");
            assert_eq!(tuned, tune(strengths));
        }
    }

    #[test]
    fn the_grid_of_two_is_searched_in_full() {
        // Largest at 0.35 exactly, with a lesser hill at 0.8.
        let (runs, _) = runs(&[0.1, 0.1]);
        let runs: Vec<&Run> = runs.iter().collect();
        let tuned = tune_weights_by(&runs, &Fusion::default(), |run| {
            let weight: f64 = match run.name().strip_prefix("rrf(") {
                Some(rest) => rest.split('*').next().unwrap().parse().unwrap_or(0.5),
                None => panic!("{}", run.name()),
            };
            Ok((1.0 - 20.0 * (weight - 0.35).abs()).max(0.5 - (weight - 0.8).abs()))
        })
        .unwrap();
        assert_eq!((tuned.weights, tuned.value), (vec![0.35, 0.65], 1.0));
    }

    #[test]
    fn equal_weights_win_ties() {
        let (runs, _) = runs(&[0.1, 0.1, 0.1]);
        let runs: Vec<&Run> = runs.iter().collect();
        let tuned = tune_weights_by(&runs, &Fusion::default(), |_| Ok(0.5)).unwrap();
        assert_eq!(tuned.weights, [1.0 / 3.0; 3]);
        assert!(tune_weights_by(&runs, &Fusion::default(), |_| Ok(f64::NAN)).is_err());
        assert!(tune_weights_by(&[], &Fusion::default(), |_| Ok(0.5)).is_err());
    }

    #[test]
    fn a_run_that_answers_nothing_judged_is_refused() {
        let (runs, _) = runs(&[0.1, 0.1]);
        let mut other = Qrels::builder();
        other.push("elsewhere", "i0", 1.0).unwrap();
        let runs: Vec<&Run> = runs.iter().collect();
        let other = other.finish().unwrap();
        let metric = "mrr".parse().unwrap();
        let fault = tune_weights(&runs, &Fusion::default(), &other, &metric, 1.0).unwrap_err();
        assert!(fault.to_string().contains("run r0: it answers no validation request"));
    }
}
