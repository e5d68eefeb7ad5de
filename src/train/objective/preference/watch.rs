//! Says in plain words when an alignment goes wrong, once for each way in which it can.
//!
//! Knows the figures of the log only; what is said of the steps before a resumption was said then.

use std::collections::BTreeMap;

use super::losses::LossTerms;
use crate::train::log::StepRecord;

/// Steps over which figures are smoothed, and before which nothing is judged.
const HORIZON: u64 = 30;
/// Steps before which nobody can expect margins to have grown.
const PATIENCE: u64 = 100;
/// First steps whose mean margin is the start of a loss without reference.
const START_STEPS: u64 = 10;
/// Mean change of a log-probability (nats per identifier) from which on it has fallen.
const FALL: f64 = -0.5;
/// Divergence from the start at the first token (nats) from which on much is forgotten.
const DIVERGENCE: f64 = 2.0;
/// Probability that illegal tokens may gain.
const ILLEGAL_GAIN: f64 = 0.1;

/// What can go wrong, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    BothFall,
    ChosenFall,
    Illegal,
    Diverges,
    Saturated,
    NoMargin,
}

const VERDICTS: [Verdict; 6] = [
    Verdict::BothFall,
    Verdict::ChosenFall,
    Verdict::Illegal,
    Verdict::Diverges,
    Verdict::Saturated,
    Verdict::NoMargin,
];

/// The watcher.
#[derive(Debug)]
pub struct Watch {
    terms: LossTerms,
    start_illegal: Option<f64>,
    steps: u64,
    /// Smoothed figures; those of the probe as last measured.
    figures: BTreeMap<String, f64>,
    start_margin: f64,
    said: Vec<Verdict>,
}

impl Watch {
    /// `start_illegal` is the illegal mass of the start model, where it was measured.
    pub fn new(terms: &LossTerms, start_illegal: Option<f64>) -> Self {
        Self {
            terms: *terms,
            start_illegal,
            steps: 0,
            figures: BTreeMap::new(),
            start_margin: 0.0,
            said: Vec::new(),
        }
    }

    /// Looks at the next step; what is to be said of it, if anything.
    pub fn observe(&mut self, record: &StepRecord) -> Option<String> {
        self.steps += 1;
        let rate = 1.0 / HORIZON.min(self.steps) as f64;
        for (name, &value) in &record.metrics {
            let is_probe =
                matches!(name.as_str(), "kl/first_token" | "mass/illegal" | "drift/probe");
            let figure = self.figures.entry(name.clone()).or_insert(value);
            *figure += if is_probe { value - *figure } else { rate * (value - *figure) };
        }
        // With a reference, margins start at 0 by construction.
        if !self.terms.loss.needs_reference() && self.steps == START_STEPS {
            self.start_margin = self.figure("rewards/margins").unwrap_or(0.0);
        }
        let verdicts = VERDICTS.into_iter().filter(|verdict| !self.said.contains(verdict));
        let (verdict, text) =
            verdicts.filter_map(|verdict| Some((verdict, self.judge(verdict)?))).next()?;
        self.said.push(verdict);
        if verdict == Verdict::BothFall {
            // It has been said that the chosen ones fall.
            self.said.push(Verdict::ChosenFall);
        }
        Some(text)
    }

    fn figure(&self, name: &str) -> Option<f64> {
        self.figures.get(name).copied()
    }

    fn judge(&self, verdict: Verdict) -> Option<String> {
        let settled = (self.steps >= HORIZON).then_some(());
        match verdict {
            Verdict::BothFall => settled.and_then(|()| self.both_fall()),
            Verdict::ChosenFall => settled.and_then(|()| self.chosen_fall()),
            Verdict::Illegal => self.illegal(),
            Verdict::Diverges => self.diverges(),
            Verdict::Saturated => settled.and_then(|()| self.saturated()),
            Verdict::NoMargin => (self.steps >= PATIENCE).then(|| self.no_margin()).flatten(),
        }
    }

    /// Change of the chosen identifiers' log-probability: over the pairs, or of the probe without a reference.
    fn drift(&self) -> Option<f64> {
        self.figure("drift/chosen").or_else(|| self.figure("drift/probe"))
    }

    fn both_fall(&self) -> Option<String> {
        let (chosen, rejected) = (self.drift()?, self.figure("drift/rejected")?);
        let grows = self.figure("rewards/margins")? > self.start_margin;
        if chosen > FALL || rejected > FALL || !grows {
            return None;
        }
        let illegal = match (self.figure("mass/illegal"), self.start_illegal) {
            (Some(now), Some(start)) => format!(
                " (without the constraint, {:.1} % of it would go to tokens that no item has; {:.1} % at the start)",
                100.0 * now,
                100.0 * start
            ),
            _ => String::new(),
        };
        let mut remedies = vec!["raise objective.anchor"];
        if self.terms.loss.reads_dpo_positive() && self.terms.dpo_positive == 0.0 {
            remedies.push("set objective.dpo_positive = 5");
        }
        if !self.terms.detach_prefix {
            remedies.push("set objective.detach_prefix = true");
        }
        Some(format!(
            "chosen and rejected identifiers both lose probability (by {:.2} and {:.2} nats on average) while the \
             margin between them grows: the probability goes to answers that are neither{illegal}; {}, or lower \
             optimizer.learning_rate",
            -chosen,
            -rejected,
            remedies.join(", ")
        ))
    }

    fn chosen_fall(&self) -> Option<String> {
        let drift = self.drift()?;
        (drift <= FALL).then(|| {
            format!(
                "the log-probability of chosen identifiers has fallen by {:.2} nats on average since alignment began: \
                 the model takes probability from clicked items as well, and gives it to others; raise \
                 objective.anchor or objective.beta, or lower optimizer.learning_rate",
                -drift
            )
        })
    }

    fn illegal(&self) -> Option<String> {
        let (now, start) = (self.figure("mass/illegal")?, self.start_illegal?);
        (now > start + ILLEGAL_GAIN).then(|| {
            format!(
                "without the constraint, {:.0} % of the probability would go to tokens that no item has ({:.0} % at \
                 the start): the search hides it, but scores lose their meaning; raise objective.anchor, or lower \
                 optimizer.learning_rate or epochs",
                100.0 * now,
                100.0 * start
            )
        })
    }

    fn diverges(&self) -> Option<String> {
        let moved = self.figure("kl/first_token")?;
        (moved > DIVERGENCE).then(|| {
            format!(
                "the model has moved {moved:.2} nats (divergence at the first identifier token) away from the one that \
                 alignment began with: what supervised training taught is being forgotten; raise objective.beta or \
                 objective.anchor, or lower optimizer.learning_rate or epochs"
            )
        })
    }

    fn saturated(&self) -> Option<String> {
        let (won, loss) = (self.figure("rewards/accuracies")?, self.figure("loss/preference")?);
        (won >= 0.99 && loss <= 0.05).then(|| {
            format!(
                "chosen identifiers win {:.1} % of their pairs and the preference loss is down to {loss:.3}: the \
                 rejected ones are too easy and teach nothing more; lower pairs.beam so that negatives rank higher, \
                 raise pairs.beam_requests, or lower epochs",
                100.0 * won
            )
        })
    }

    fn no_margin(&self) -> Option<String> {
        let won = self.figure("rewards/accuracies")?;
        let margin = (self.figure("rewards/margins")? - self.start_margin) / self.terms.beta;
        (won < 0.55 && margin < 0.1).then(|| {
            format!(
                "after {} steps the margin between chosen and rejected identifiers has grown by {margin:.2} nats only \
                 and chosen ones win {:.0} % of their pairs: the pairs teach nothing yet; raise \
                 optimizer.learning_rate or epochs, lower objective.anchor, or, where clicks are noisy, take loss = \
                 \"cdpo\" or fewer pairs.shown_negatives",
                self.steps,
                100.0 * won
            )
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::train::settings::{PreferenceLoss, PreferenceSettings};

    fn watch(loss: PreferenceLoss) -> Watch {
        let settings = PreferenceSettings { loss, ..Default::default() };
        Watch::new(&LossTerms::new(&settings), Some(0.02))
    }

    /// Everything that is said over `steps` steps of which `figures` gives the metrics.
    fn said<const N: usize>(
        mut watch: Watch,
        steps: u64,
        figures: impl Fn(f64) -> [(&'static str, f64); N],
    ) -> Vec<(u64, String)> {
        (1..=steps)
            .filter_map(|step| {
                let metrics = figures(step as f64).map(|(name, value)| (name.to_owned(), value));
                let record = StepRecord {
                    step,
                    loss: 0.0,
                    learning_rate: 0.0,
                    grad_norm: 0.0,
                    tokens_per_s: 0.0,
                    metrics: metrics.into(),
                };
                Some((step, watch.observe(&record)?))
            })
            .collect()
    }

    #[test]
    fn a_healthy_alignment_is_left_in_peace() {
        let healthy = |step: f64| {
            [
                ("drift/chosen", 0.1),
                ("drift/rejected", -0.02 * step),
                ("rewards/margins", 0.005 * step),
                ("rewards/accuracies", 0.8),
                ("loss/preference", 0.5),
                ("kl/first_token", 0.2),
                ("mass/illegal", 0.05),
            ]
        };
        assert_eq!(said(watch(PreferenceLoss::Dpo), 300, healthy), []);
    }

    #[test]
    fn chosen_answers_that_fall_are_named_once() {
        let found = said(watch(PreferenceLoss::Dpo), 300, |step| [("drift/chosen", -0.02 * step)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].1.contains("raise objective.anchor"), "{}", found[0].1);
        // Before any step could be smoothed nothing is said.
        assert!(found[0].0 >= HORIZON);
    }

    #[test]
    fn probability_that_goes_elsewhere_is_followed_to_the_illegal_tokens() {
        let figures = |step: f64| {
            [
                ("drift/chosen", -0.02 * step),
                ("drift/rejected", -0.05 * step),
                ("rewards/margins", 0.003 * step),
                ("mass/illegal", 0.09),
            ]
        };
        let found = said(watch(PreferenceLoss::Dpo), 300, figures);
        assert_eq!(found.len(), 1, "{found:?}");
        let text = &found[0].1;
        for part in ["both lose probability", "9.0 %", "2.0 % at the start", "dpo_positive = 5"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // ipo does not read that key.
        let found = said(watch(PreferenceLoss::Ipo), 300, figures);
        assert!(!found[0].1.contains("dpo_positive"), "{}", found[0].1);
    }

    #[test]
    fn margins_that_do_not_grow_and_pairs_that_are_too_easy_are_told_apart() {
        let idle = |_| [("rewards/margins", 0.001), ("rewards/accuracies", 0.5)];
        let found = said(watch(PreferenceLoss::Dpo), 300, idle);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, PATIENCE);
        assert!(found[0].1.contains("50 % of their pairs"), "{}", found[0].1);

        let easy = |step: f64| {
            let loss = 0.7 * (-step / 20.0).exp();
            [("rewards/margins", step), ("rewards/accuracies", 1.0), ("loss/preference", loss)]
        };
        let found = said(watch(PreferenceLoss::Dpo), 300, easy);
        assert_eq!(found.len(), 1);
        assert!(found[0].1.contains("too easy"), "{}", found[0].1);
    }

    #[test]
    fn margins_without_reference_are_counted_from_where_they_began() {
        // A start of 1 is not growth.
        let idle = |_| [("rewards/margins", 1.0), ("rewards/accuracies", 0.5)];
        assert_eq!(said(watch(PreferenceLoss::Simpo), 300, idle).len(), 1);
        let grows =
            |step: f64| [("rewards/margins", 1.0 + 0.02 * step), ("rewards/accuracies", 0.5)];
        assert_eq!(said(watch(PreferenceLoss::Simpo), 300, grows), []);
        // The probe tells of the fall.
        let falls = |_| [("drift/probe", -0.8), ("rewards/accuracies", 0.7)];
        let found = said(watch(PreferenceLoss::Simpo), 60, falls);
        assert!(found[0].1.contains("fallen by 0.80 nats"), "{}", found[0].1);
    }

    #[test]
    fn the_probe_is_judged_as_last_seen() {
        let mut watch = watch(PreferenceLoss::Dpo);
        let mut look = |step, metrics: &[(&str, f64)]| {
            let metrics = metrics.iter().map(|(name, value)| ((*name).to_owned(), *value));
            watch.observe(&StepRecord {
                step,
                loss: 0.0,
                learning_rate: 0.0,
                grad_norm: 0.0,
                tokens_per_s: 0.0,
                metrics: metrics.collect(),
            })
        };
        assert_eq!(look(1, &[("kl/first_token", 0.1), ("mass/illegal", 0.1)]), None);
        let text = look(2, &[("kl/first_token", 2.5), ("mass/illegal", 0.3)]).unwrap();
        assert!(text.contains("30 % of the probability"), "{text}");
        let text = look(3, &[]).unwrap();
        assert!(text.contains("moved 2.50 nats"), "{text}");
        assert_eq!(look(4, &[]), None);
    }
}
