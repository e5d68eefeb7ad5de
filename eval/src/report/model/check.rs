//! Refuses reports that JSON cannot hold: every number must be finite. The fault names the place.

use std::collections::BTreeMap;

use super::{Comparison, Estimate, ExampleItem, Report};
use crate::error::{Error, Result};

impl Report {
    /// Refuses figures that are not finite, naming the first.
    pub fn check_finite(&self) -> Result<()> {
        let evaluation = &self.evaluation;
        check("a setting of the evaluation", [evaluation.relevant_grade, evaluation.confidence])?;
        for system in &self.systems {
            let name = &system.name;
            check_estimates(&system.metrics, || name.clone())?;
            let latency = system.latency_ms.iter();
            let latency = latency.flat_map(|one| [Some(one.p50), one.p95, Some(one.p99)]);
            check(&format!("the latency of {name}"), latency.flatten())?;
            for (metric, values) in &system.seed_values {
                check(&format!("{metric} of a seed of {name}"), values.iter().copied())?;
            }
            for (figure, &value) in &system.operational {
                check(&format!("{figure} of {name}"), [value])?;
            }
        }
        self.comparisons.iter().chain(&self.pairs).try_for_each(check_comparison)?;
        for slice in &self.slices {
            for system in &slice.systems {
                check_estimates(&system.metrics, || {
                    format!("{} where {} is {}", system.name, slice.by, slice.value)
                })?;
            }
        }
        for training in &self.training {
            let points = training.points.iter().flat_map(|point| {
                point.extra.values().copied().chain(point.loss).chain(point.learning_rate)
            });
            let all = points.chain(training.seconds);
            check(&format!("a figure of the training {}", training.name), all)?;
        }
        for identifier in &self.identifiers {
            let levels = identifier.levels.iter().flat_map(|level| {
                [level.entropy_bits, level.normalized_entropy, level.gini]
                    .into_iter()
                    .chain(level.collision_rate)
                    .chain(
                        level
                            .targets
                            .iter()
                            .flat_map(|one| [one.normalized_entropy, one.gini, one.top_1_share]),
                    )
            });
            let ceiling =
                identifier.ceiling.iter().flat_map(|one| [one.exact, one.codes, one.ranked]);
            let all = levels.chain(identifier.collision_rate).chain(identifier.distortion);
            let all = all.chain(ceiling);
            check(&format!("a diagnostic of the identifier {}", identifier.name), all)?;
        }
        for example in &self.examples {
            let items = example.systems.iter().flat_map(|one| &one.items).chain(&example.relevant);
            let worth = |item: &ExampleItem| -> Vec<f64> {
                item.spans.iter().map(|span| span.worth).collect()
            };
            let figures = items
                .flat_map(|item| [item.grade, item.score].into_iter().flatten().chain(worth(item)));
            check(&format!("a score of the request {}", example.request), figures)?;
            let values = example.values.values().copied();
            check(&format!("a value of the request {}", example.request), values)?;
        }
        for leak in &self.leaks {
            check(&format!("the share of {}", leak.what), [leak.share])?;
        }
        if let Some(log) = &self.log {
            let chosen = log.chosen_share.iter().flat_map(|one| [one.value, one.low, one.high]);
            check("the share that the log chose", chosen)?;
            for one in &log.systems {
                let shares = one.never_shown_share.into_iter().chain(one.unshown_share);
                let policies = one.policies.iter().flat_map(|policy| {
                    let Estimate { value, low, high } = policy.value;
                    [value, low, high, policy.effective_rows, policy.mean_weight]
                });
                check(&format!("what the log says of {}", one.system), shares.chain(policies))?;
            }
        }
        for one in &self.reliability {
            let bins = one.bins.iter();
            let all =
                bins.flat_map(|bin| [bin.low, bin.high, bin.mean_prediction, bin.share_positive]);
            check(&format!("the reliability of {}", one.system), all)?;
        }
        Ok(())
    }
}

fn check_estimates(metrics: &BTreeMap<String, Estimate>, place: impl Fn() -> String) -> Result<()> {
    metrics.iter().try_for_each(|(metric, one)| {
        check(&format!("{metric} of {}", place()), [one.value, one.low, one.high])
    })
}

fn check_comparison(one: &Comparison) -> Result<()> {
    let figures = [one.difference, one.low, one.high, one.p_value, one.p_adjusted];
    let place = format!("the comparison of {} on {}", one.system, one.metric);
    check(&place, figures.into_iter().chain(one.effect_size).chain(one.margin))
}

fn check(place: &str, values: impl IntoIterator<Item = f64>) -> Result<()> {
    if values.into_iter().all(f64::is_finite) {
        return Ok(());
    }
    Err(Error::Report { what: format!("{place} is not a finite number") })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn no_kind_of_figure_escapes() {
        let spoilers: [fn(&mut Report); 35] = [
            |r| r.evaluation.relevant_grade = f64::NAN,
            |r| r.evaluation.confidence = f64::NAN,
            |r| r.pairs[1].margin = Some(f64::NAN),
            |r| r.systems[1].metrics.values_mut().for_each(|one| one.high = f64::NAN),
            |r| r.systems[1].operational.values_mut().for_each(|one| *one = f64::INFINITY),
            |r| r.systems[1].latency_ms.as_mut().unwrap().p50 = f64::NAN,
            |r| r.systems[1].latency_ms.as_mut().unwrap().p95 = Some(f64::NAN),
            |r| r.systems[1].latency_ms.as_mut().unwrap().p99 = f64::NAN,
            |r| r.comparisons[2].difference = f64::NAN,
            |r| r.comparisons[2].low = f64::NEG_INFINITY,
            |r| r.comparisons[2].high = f64::NAN,
            |r| r.comparisons[2].p_value = f64::NAN,
            |r| r.pairs[2].p_adjusted = f64::NAN,
            |r| r.pairs[2].effect_size = Some(f64::INFINITY),
            |r| r.slices[1].systems[0].metrics.values_mut().for_each(|one| one.low = f64::NAN),
            |r| r.training[0].seconds = Some(f64::NAN),
            |r| r.training[0].points[3].loss = Some(f64::NAN),
            |r| r.training[0].points[3].learning_rate = Some(f64::NAN),
            |r| r.training[0].points[9].extra.values_mut().for_each(|one| *one = f64::NAN),
            |r| r.identifiers[0].collision_rate = Some(f64::NAN),
            |r| r.identifiers[0].distortion = Some(f64::NAN),
            |r| r.identifiers[0].levels[1].entropy_bits = f64::NAN,
            |r| r.identifiers[0].levels[1].normalized_entropy = f64::NAN,
            |r| r.identifiers[0].levels[1].gini = f64::NAN,
            |r| r.identifiers[0].levels[1].collision_rate = Some(f64::NAN),
            |r| r.examples[0].values.values_mut().for_each(|one| *one = f64::NAN),
            |r| r.examples[0].systems[1].items[0].score = Some(f64::NAN),
            |r| r.examples[0].relevant[0].grade = Some(f64::NAN),
            |r| r.examples[0].systems[0].items[0].spans[0].worth = f64::NAN,
            |r| r.leaks[0].share = f64::NAN,
            |r| r.log.as_mut().unwrap().systems[0].policies[0].value.low = f64::NAN,
            |r| r.log.as_mut().unwrap().systems[1].unshown_share = Some(f64::NAN),
            |r| r.reliability[0].bins[0].mean_prediction = f64::NAN,
            |r| r.reliability[0].bins[0].share_positive = f64::NAN,
            |r| r.reliability[0].bins[0].high = f64::NAN,
        ];
        sample::report().check_finite().unwrap();
        for (index, spoil) in spoilers.iter().enumerate() {
            let mut report = sample::report();
            spoil(&mut report);
            let message = report.to_json().unwrap_err().to_string();
            assert!(message.contains("is not a finite number"), "{index}: {message}");
        }
    }
}
