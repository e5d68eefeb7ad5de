//! The systems of one comparison, each with one or several seeds, checked to be scored alike. Knows
//! no test.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::scores::{SystemScores, Values};

/// How the seeds of several systems are drawn anew, above their requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SeedDraws {
    /// Every system's by themselves: trainings that share nothing. Their spreads add up in a
    /// difference.
    #[default]
    Apart,
    /// Seed s of all systems together: replicates of one whole recipe, in which systems share what
    /// was made under the seed. What a seed does to both systems of a pair cancels in their
    /// difference. Systems that have several seeds must have equally many, in one order; a system
    /// with one, such as one without any random part, stands beside each.
    Together,
}

/// One system, given as the scores of each seed that it was trained with.
#[derive(Debug, Clone)]
pub struct SeedGroup<'a> {
    /// Name of the system.
    pub name: String,
    /// Scores, one per seed; at least one.
    pub seeds: Vec<&'a SystemScores>,
}

impl<'a> SeedGroup<'a> {
    /// A system that knows no seed, or was trained with one.
    pub(super) fn single(scores: &'a SystemScores) -> Self {
        Self { name: scores.system.clone(), seeds: vec![scores] }
    }

    /// The figure of a metric: the mean over seeds.
    pub(super) fn value(&self, metric: usize) -> f64 {
        let values = self.seeds.iter().map(|one| one.columns[metric].value);
        values.sum::<f64>() / self.seeds.len() as f64
    }

    /// `[request]` values of a metric, means over seeds; none for a pooled figure.
    pub(super) fn per_request(&self, metric: usize) -> Option<Cow<'a, [f64]>> {
        let mut seeds = self.seeds.iter().map(|one| match &one.columns[metric].values {
            Values::PerRequest(values) => Some(values.as_slice()),
            Values::Pooled(_) => None,
        });
        let first = seeds.next()??;
        if self.seeds.len() == 1 {
            return Some(Cow::Borrowed(first));
        }
        let mut sums = first.to_vec();
        for values in seeds {
            for (sum, value) in sums.iter_mut().zip(values?) {
                *sum += value;
            }
        }
        sums.iter_mut().for_each(|sum| *sum /= self.seeds.len() as f64);
        Some(Cow::Owned(sums))
    }
}

/// Refuses seeds that cannot be drawn together.
pub(super) fn check_draws(groups: &[SeedGroup<'_>], draws: SeedDraws) -> Result<()> {
    let several = || groups.iter().filter(|group| group.seeds.len() > 1);
    match (draws, several().next()) {
        (SeedDraws::Together, Some(first)) => {
            match several().find(|group| group.seeds.len() != first.seeds.len()) {
                None => Ok(()),
                Some(other) => Err(Error::Comparison {
                    what: format!(
                        "{} has {} seeds and {} has {}: replicates of one recipe need the same seeds for all systems",
                        first.name,
                        first.seeds.len(),
                        other.name,
                        other.seeds.len()
                    ),
                }),
            }
        }
        (SeedDraws::Together, None) | (SeedDraws::Apart, _) => Ok(()),
    }
}

/// Refuses systems that were not scored on the same requests and metrics, and figures that are not
/// finite numbers.
pub(super) fn check(groups: &[SeedGroup<'_>]) -> Result<()> {
    let refuse = |what: String| Err(Error::Comparison { what });
    if let Some(empty) = groups.iter().find(|group| group.seeds.is_empty()) {
        return refuse(format!("{} has no scores; give at least one seed", empty.name));
    }
    let Some(first) = groups.first().map(|group| group.seeds[0]) else {
        return refuse("there is no system".to_owned());
    };
    for one in groups.iter().flat_map(|group| &group.seeds) {
        let same_metrics = one.columns.len() == first.columns.len()
            && one.columns.iter().zip(&first.columns).all(|(left, right)| {
                left.metric == right.metric
                    && matches!(left.values, Values::Pooled(_))
                        == matches!(right.values, Values::Pooled(_))
            });
        if one.requests != first.requests || !same_metrics {
            return refuse(format!(
                "{} and {} were not scored on the same requests and metrics; evaluate both against the same qrels",
                one.system, first.system
            ));
        }
        for (column, theirs) in one.columns.iter().zip(&first.columns) {
            if column.better != theirs.better {
                return refuse(format!(
                    "{}: less is better for one of {} and {}, and more for the other; say the same of both",
                    column.metric, first.system, one.system
                ));
            }
            let fault = match &column.values {
                _ if !column.value.is_finite() => Some("the figure"),
                Values::PerRequest(values) if values.len() != one.requests.len() => {
                    return refuse(format!(
                        "{} of {} has {} values for {} requests",
                        column.metric,
                        one.system,
                        values.len(),
                        one.requests.len()
                    ));
                }
                Values::PerRequest(values) if values.iter().any(|value| !value.is_finite()) => {
                    Some("a value per request")
                }
                _ => None,
            };
            if let Some(what) = fault {
                return refuse(format!(
                    "{what} of {} on {} is not a finite number; leave the metric out, or look at the run",
                    one.system, column.metric
                ));
            }
        }
    }
    Ok(())
}
