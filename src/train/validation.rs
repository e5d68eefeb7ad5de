//! Validation in the course of a training: how good the weights are on data that is not trained on,
//! when that stops getting better, and which weights are kept.
//!
//! Knows numbers and steps; how they are measured is the caller's business.

use std::collections::BTreeMap;

use super::course::settings::{Keep, ValidationSettings};
use crate::error::{Error, Result};

/// Prefix of validated figures in the log.
const PREFIX: &str = "validation/";

/// Prefix of figures of validation before the first step.
pub const START: &str = "start/";

/// Name of a figure of validation as it was before the first step: part of the first step's record.
pub fn at_start(name: &str) -> String {
    format!("{START}{name}")
}

/// Values by metric; must hold the one that decides.
pub type Measured = BTreeMap<String, f64>;

/// When to validate, by what, and what follows.
pub struct Validation<'a> {
    settings: &'a ValidationSettings,
    /// Measures the current weights. Must depend on nothing else, so that a resumed training measures the same.
    measure: Box<dyn FnMut() -> Result<Measured> + 'a>,
}

/// What validation has seen so far: part of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Course {
    /// The best value and the step that it was measured after.
    pub best: Option<Best>,
    /// Validations since then.
    pub misses: u64,
}

/// The best validation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    /// Value of the deciding metric.
    pub value: f64,
    /// Finished steps when it was measured.
    pub step: u64,
}

impl<'a> Validation<'a> {
    /// Validates by `measure`.
    pub fn new(
        settings: &'a ValidationSettings,
        measure: impl FnMut() -> Result<Measured> + 'a,
    ) -> Self {
        Self { settings, measure: Box::new(measure) }
    }

    /// Steps between two validations, where an epoch has `epoch_steps` of them (perhaps a fraction).
    pub(super) fn interval(&self, epoch_steps: f64) -> u64 {
        match self.settings.every_steps {
            Some(steps) => u64::from(steps).max(1),
            None => {
                ((self.settings.every_epochs.unwrap_or(1.0) * epoch_steps).round() as u64).max(1)
            }
        }
    }

    /// Whether the weights of the best validation are wanted in the end.
    pub(super) fn keeps_best(&self) -> bool {
        self.settings.keep == Keep::Best
    }

    /// Name of the deciding metric in the log.
    pub(super) fn metric(&self) -> String {
        format!("{PREFIX}{}", self.settings.metric)
    }

    /// Measures the weights after `step` steps and enters the values into `metrics`; true where they
    /// are the best so far.
    pub(super) fn observe(
        &mut self,
        course: &mut Course,
        step: u64,
        metrics: &mut BTreeMap<String, f64>,
    ) -> Result<bool> {
        let measured = (self.measure)()?;
        let metric = &self.settings.metric;
        let value = measured.get(metric).copied();
        let value =
            value.ok_or_else(|| Error::Failed(format!("validation did not measure {metric}")))?;
        if !value.is_finite() {
            return Err(Error::Failed(format!(
                "training diverged: {metric} on the validation requests is {value} after step {step}; lower \
                 optimizer.learning_rate or optimizer.clip, or raise optimizer.warmup"
            )));
        }
        metrics
            .extend(measured.into_iter().map(|(name, value)| (format!("{PREFIX}{name}"), value)));
        let improved = course.best.is_none_or(|best| self.settings.is_better(value, best.value));
        if improved {
            *course = Course { best: Some(Best { value, step }), misses: 0 };
        } else {
            course.misses += 1;
        }
        Ok(improved)
    }

    /// Measures the weights that the training begins with, which stay the best until others are better.
    pub(super) fn observe_start(
        &mut self,
        course: &mut Course,
        metrics: &mut BTreeMap<String, f64>,
    ) -> Result<bool> {
        let mut measured = BTreeMap::new();
        let improved = self.observe(course, 0, &mut measured)?;
        metrics.extend(measured.into_iter().map(|(name, value)| (at_start(&name), value)));
        Ok(improved)
    }

    /// What is to be said where the last weights are worse than those that the training began with.
    pub(super) fn fall(&self, start: Option<f64>, last: Option<f64>) -> Option<String> {
        let (start, last) = (start?, last?);
        let metric = &self.settings.metric;
        let kept = match self.settings.keep {
            Keep::Best => "the weights of the best validation are kept",
            Keep::Last => "the last weights are kept all the same",
        };
        self.settings.is_better(start, last).then(|| {
            format!(
                "{metric} on the validation requests was {start:.4} before the first step and is {last:.4} after the \
                 last: the training took from what it began with, and {kept}; lower optimizer.learning_rate or epochs, \
                 or raise objective.anchor"
            )
        })
    }

    /// Whether so many validations brought nothing better that the training ends.
    pub(super) fn is_exhausted(&self, course: &Course) -> bool {
        self.settings.patience.is_some_and(|patience| course.misses >= u64::from(patience))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn observe_all(metric: &str, patience: u32, values: &[f64]) -> (Vec<bool>, Course, bool) {
        let settings = ValidationSettings {
            metric: metric.into(),
            patience: Some(patience),
            ..Default::default()
        };
        let mut left = values.iter();
        let mut validation =
            Validation::new(&settings, || Ok([(metric.to_owned(), *left.next().unwrap())].into()));
        let mut course = Course::default();
        let mut log = BTreeMap::new();
        let improved = (1..=values.len() as u64)
            .map(|step| validation.observe(&mut course, step * 10, &mut log).unwrap())
            .collect();
        assert_eq!(log[&format!("validation/{metric}")], *values.last().unwrap());
        (improved, course, validation.is_exhausted(&course))
    }

    #[test]
    fn losses_fall_and_other_metrics_rise() {
        let (improved, course, stop) = observe_all("loss", 2, &[3.0, 2.0, 2.0, 2.5]);
        assert_eq!(improved, [true, true, false, false]);
        assert_eq!(course, Course { best: Some(Best { value: 2.0, step: 20 }), misses: 2 });
        assert!(stop);
        let (improved, course, stop) = observe_all("recall@10", 2, &[0.1, 0.05, 0.2, 0.1]);
        assert_eq!(improved, [true, false, true, false]);
        assert_eq!((course.best.unwrap().step, course.misses, stop), (30, 1, false));
        let (improved, course, _) = observe_all("gini@10", 2, &[0.3, 0.2, 0.25]);
        assert_eq!((improved, course.best.unwrap().step), (vec![true, true, false], 20));
    }

    #[test]
    fn a_fall_below_the_start_is_told_for_either_direction() {
        let told = |metric: &str, start, last| {
            let settings = ValidationSettings { metric: metric.into(), ..Default::default() };
            Validation::new(&settings, || Ok(Measured::new())).fall(start, last)
        };
        assert!(told("recall@10", Some(0.5), Some(0.4)).unwrap().contains("0.5000 before"));
        assert_eq!(told("recall@10", Some(0.5), Some(0.5)), None);
        assert_eq!(told("loss", Some(0.5), Some(0.4)), None);
        assert!(told("loss", Some(0.4), Some(0.5)).is_some());
        assert_eq!(told("recall@10", None, Some(0.4)), None);
        let settings = ValidationSettings { metric: "mrr".into(), ..Default::default() };
        let mut validation = Validation::new(&settings, || Ok([("mrr".into(), 0.5)].into()));
        let (mut course, mut metrics) = (Course::default(), BTreeMap::new());
        assert!(validation.observe_start(&mut course, &mut metrics).unwrap());
        assert_eq!(metrics, [("start/validation/mrr".to_owned(), 0.5)].into());
        assert_eq!(course.best, Some(Best { value: 0.5, step: 0 }));
    }

    #[test]
    fn intervals_are_steps_or_shares_of_an_epoch() {
        let interval = |every_steps, every_epochs, epoch_steps| {
            let settings = ValidationSettings { every_steps, every_epochs, ..Default::default() };
            Validation::new(&settings, || Ok(Measured::new())).interval(epoch_steps)
        };
        assert_eq!(interval(Some(7), None, 100.0), 7);
        assert_eq!(interval(None, Some(0.25), 100.0), 25);
        assert_eq!(interval(None, None, 3.4), 3);
        assert_eq!(interval(None, Some(0.01), 10.0), 1, "never 0");
    }

    #[test]
    fn what_is_not_a_number_is_a_divergence() {
        let settings = ValidationSettings::default();
        let mut validation =
            Validation::new(&settings, || Ok([("loss".to_owned(), f64::NAN)].into()));
        let error = validation.observe(&mut Course::default(), 4, &mut BTreeMap::new());
        let error = error.unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("is NaN after step 4"), "{error}");
    }
}
