//! Whether a training went well, by rules that anyone can check against its log. Knows figures by step, no objective.

use trieval_eval::metric::{Better, better_of};
use trieval_eval::report::model::{Course, Health};

use crate::train::log::StepRecord;
use crate::train::validation::at_start;

/// Steps below which a course cannot be judged.
const FEWEST: usize = 20;
/// Parts of the course of which the first and the last are compared.
const PARTS: usize = 10;
/// Standard errors from which on a difference of two parts is no noise.
const SURE: f64 = 3.0;
/// A loss that ends so many times as high as it began has diverged.
const DIVERGED: f64 = 2.0;
/// A gradient so many times the median is a spike.
const SPIKE: f64 = 10.0;
/// Share of spikes from which on steps are doubtful.
const SPIKES: f64 = 0.01;
/// Share of the steps that warm up, in which gradients are large.
const WARM_UP: usize = 20;
/// Prefix of figures of validation.
const VALIDATION: &str = "validation/";
/// The loss of pairs without what anchors it.
const PREFERENCE: &str = "loss/preference";

/// Judges a training by its log, and by what was warned of while it ran; none where it logged nothing.
pub(super) fn health(records: &[StepRecord], warnings: &[String]) -> Option<Health> {
    if records.is_empty() {
        return None;
    }
    let trained: Vec<&StepRecord> = records.iter().collect();
    let mut told = Told::default();
    if trained.len() < FEWEST {
        let n = trained.len();
        told.say(format!("{n} steps are too few to judge its course by"));
    } else {
        told.loss(&trained);
        told.gradients(&trained);
    }
    told.validation(records);
    for warning in warnings {
        told.doubt(warning.clone());
    }
    let course = match (told.doubtful, trained.len() < FEWEST) {
        (true, _) => Course::Doubtful,
        (false, true) => Course::Unknown,
        (false, false) => Course::Healthy,
    };
    Some(Health { course, sentences: told.sentences.iter().map(|text| sentence(text)).collect() })
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|one| one.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

#[derive(Default)]
struct Told {
    sentences: Vec<String>,
    doubtful: bool,
}

impl Told {
    fn say(&mut self, text: String) {
        self.sentences.push(text);
    }

    fn doubt(&mut self, text: String) {
        self.doubtful = true;
        self.sentences.push(text);
    }

    /// Where the loss began and where it ended.
    fn loss(&mut self, records: &[&StepRecord]) {
        let preference: Option<Vec<f64>> =
            records.iter().map(|record| record.metrics.get(PREFERENCE).copied()).collect();
        let what = if preference.is_some() { "the preference loss" } else { "the loss" };
        let losses =
            preference.unwrap_or_else(|| records.iter().map(|record| record.loss).collect());
        let size = losses.len().div_ceil(PARTS);
        let part = |at: usize| Part::of(&losses[at..at + size]);
        let (first, last) = (part(0), part(losses.len() - size));
        let before = part(losses.len() - 2 * size);
        let (from, to) = (short(first.mean), short(last.mean));
        let where_ = "in the means of the first and the last tenth of its steps";
        if !last.mean.is_finite() || (first.mean > 0.0 && last.mean > DIVERGED * first.mean) {
            self.doubt(format!(
                "it diverged: {what} rose from {from} to {to}, {where_}; lower optimizer.learning_rate"
            ));
        } else if first.is_below(&last) {
            self.doubt(format!(
                "{what} rose from {from} to {to}, {where_}; lower optimizer.learning_rate"
            ));
        } else if !last.is_below(&first) {
            self.doubt(format!(
                "{what} is flat at {to}: between the first and the last tenth of its steps it changed by no more \
                 than its noise; raise optimizer.learning_rate or epochs"
            ));
        } else if last.is_below(&before)
            && before.mean - last.mean > (first.mean - last.mean) / 20.0
        {
            self.say(format!(
                "{what} fell from {from} to {to}, {where_}, and was still falling: more epochs may bring more"
            ));
        } else {
            self.say(format!("{what} fell from {from} to {to}, {where_}, and had settled"));
        }
    }

    /// Whether single steps tore at the weights.
    fn gradients(&mut self, records: &[&StepRecord]) {
        let warm = &records[records.len() / WARM_UP..];
        let mut norms: Vec<f64> = warm.iter().map(|record| record.grad_norm).collect();
        norms.sort_by(f64::total_cmp);
        let median = norms[norms.len() / 2];
        let spikes = warm.iter().filter(|record| record.grad_norm > SPIKE * median);
        let Some(largest) =
            spikes.clone().max_by(|left, right| left.grad_norm.total_cmp(&right.grad_norm))
        else {
            return;
        };
        let n = spikes.count();
        let told = format!(
            "{n} of its steps had a gradient more than ten times the median of {}, the largest of {} in step {}",
            short(median),
            short(largest.grad_norm),
            largest.step
        );
        if n as f64 > SPIKES * warm.len() as f64 {
            self.doubt(format!("{told}; lower optimizer.learning_rate or optimizer.clip"));
        } else {
            self.say(told);
        }
    }

    /// When the validation requests were answered best.
    fn validation(&mut self, records: &[StepRecord]) {
        let names = records.iter().flat_map(|record| record.metrics.keys());
        let mut names: Vec<&String> = names.filter(|name| name.starts_with(VALIDATION)).collect();
        // Where lists are measured, they decide.
        names.sort_by_key(|name| name.ends_with("/loss"));
        let Some(name) = names.first() else { return };
        let metric = &name[VALIDATION.len()..];
        let start = records.iter().find_map(|record| record.metrics.get(&at_start(name)));
        let looks =
            records.iter().filter_map(|record| Some((record.step, *record.metrics.get(*name)?)));
        let values: Vec<(u64, f64)> =
            start.map(|&value| (0, value)).into_iter().chain(looks).collect();
        let better = if metric == "loss" {
            Better::Lower
        } else {
            better_of(metric).unwrap_or(Better::Higher)
        };
        let (Some(&first), Some(&last)) = (values.first(), values.last()) else { return };
        let best = values
            .iter()
            .fold(first, |best, &one| if better.is_better(one.1, best.1) { one } else { best });
        let [at_best, at_end] = [best.1, last.1].map(short);
        let on = format!("{metric} on the validation requests");
        if values.len() == 1 {
            self.say(format!("{on} is {at_end} after step {}", last.0));
        } else if best.0 == 0 {
            self.doubt(format!(
                "{on} is best before the first step, {at_best}, and {at_end} at the end: the training took from what \
                 it began with; lower optimizer.learning_rate or epochs"
            ));
        } else if best.1 == last.1 {
            self.say(format!("{on} is best at the end, {at_best}"));
        } else {
            self.say(format!(
                "{on} is best after step {}, {at_best}, and {at_end} at the end",
                best.0
            ));
        }
    }
}

/// Mean of some steps, and its standard error.
struct Part {
    mean: f64,
    error: f64,
}

impl Part {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let error = (squares / (n - 1.0).max(1.0) / n).sqrt();
        Self { mean, error }
    }

    /// Whether it is lower by more than noise.
    fn is_below(&self, other: &Self) -> bool {
        let noise = self.error.hypot(other.error).max(1e-9 * other.mean.abs());
        other.mean - self.mean > SURE * noise
    }
}

/// Three digits.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A log of `n` steps with some noise; `figures` gives loss and gradient norm by the share of the course.
    fn log(n: u64, figures: impl Fn(f64) -> (f64, f64)) -> Vec<StepRecord> {
        (1..=n)
            .map(|step| {
                let (loss, grad_norm) = figures(step as f64 / n as f64);
                let noise = 0.02 * (step as f64 * 2.3).sin();
                StepRecord {
                    step,
                    loss: loss + noise,
                    learning_rate: 1e-3,
                    grad_norm,
                    tokens_per_s: 0.0,
                    metrics: Default::default(),
                }
            })
            .collect()
    }

    fn judged(records: &[StepRecord]) -> (Course, String) {
        let health = health(records, &[]).unwrap();
        (health.course, health.sentences.join(" "))
    }

    #[test]
    fn courses_are_told_apart() {
        let settled = |at: f64| 1.0 + 4.0 * (-20.0 * at).exp();
        for (figures, course, part) in [
            (&settled as &dyn Fn(f64) -> f64, Course::Healthy, "The loss fell from 2.69"),
            (&settled, Course::Healthy, "had settled"),
            (&|at| 5.0 - 4.0 * at, Course::Healthy, "still falling"),
            (&|_| 2.0, Course::Doubtful, "is flat at 2.0"),
            (&|at| 2.0 + at, Course::Doubtful, "The loss rose from 2.0"),
            (&|at| 1.0 + 3.0 * at, Course::Doubtful, "It diverged"),
            (&|_| f64::NAN, Course::Doubtful, "It diverged"),
        ] {
            let (found, text) = judged(&log(400, |at| (figures(at), 1.0)));
            assert!(found == course && text.contains(part), "{part}: {found:?} {text}");
        }
        let (course, text) = judged(&log(9, |_| (1.0, 1.0)));
        assert!(course == Course::Unknown && text.contains("9 steps are too few"), "{text}");
        assert!(health(&[], &[]).is_none());
    }

    #[test]
    fn the_loss_of_pairs_is_judged_without_its_anchor() {
        let mut records = log(200, |_| (2.0, 1.0));
        for (at, record) in records.iter_mut().enumerate() {
            record.metrics.insert(PREFERENCE.into(), 0.7 - 0.001 * at as f64);
        }
        let (course, text) = judged(&records);
        assert!(course == Course::Healthy && text.contains("preference loss fell"), "{text}");
    }

    #[test]
    fn spikes_of_the_gradient_are_counted() {
        let fall = |at: f64| 3.0 - 2.0 * at;
        let (course, text) = judged(&log(400, |at| (fall(at), if at == 0.5 { 30.0 } else { 1.0 })));
        assert!(
            text.contains("1 of its steps had a gradient") && text.contains("step 200"),
            "{text}"
        );
        assert_eq!(course, Course::Healthy);
        let spiked = |at: f64| if ((at * 400.0) as u64).is_multiple_of(20) { 30.0 } else { 1.0 };
        let (course, text) = judged(&log(400, |at| (fall(at), spiked(at))));
        assert!(course == Course::Doubtful && text.contains("optimizer.clip"), "{text}");
        // Large gradients at the start are the rule.
        let (_, text) = judged(&log(400, |at| (fall(at), if at < 0.04 { 30.0 } else { 1.0 })));
        assert!(!text.contains("gradient"), "{text}");
    }

    #[test]
    fn validation_is_judged_by_what_is_better() {
        let course_of = |metric: &str, values: &[(u64, f64)]| {
            let mut records = log(400, |at| (3.0 - 2.0 * at, 1.0));
            for (step, value) in values {
                let name = format!("validation/{metric}");
                match step {
                    0 => records[0].metrics.insert(at_start(&name), *value),
                    step => records[*step as usize - 1].metrics.insert(name, *value),
                };
            }
            judged(&records)
        };
        let (course, text) = course_of("recall@10", &[(0, 0.5), (200, 0.6), (400, 0.55)]);
        assert!(text.contains("best after step 200, 0.600, and 0.550 at the end"), "{text}");
        assert_eq!(course, Course::Healthy);
        let (course, text) = course_of("recall@10", &[(0, 0.5), (200, 0.4), (400, 0.45)]);
        assert!(text.contains("best before the first step, 0.500"), "{text}");
        assert_eq!(course, Course::Doubtful);
        let (_, text) = course_of("loss", &[(200, 0.6), (400, 0.5)]);
        assert!(text.contains("best at the end, 0.500"), "{text}");
    }

    #[test]
    fn what_was_warned_of_is_no_health() {
        let records = log(400, |at| (3.0 - 2.0 * at, 1.0));
        let health = health(&records, &["chosen items fall".to_owned()]).unwrap();
        assert_eq!(health.course, Course::Doubtful);
        assert_eq!(health.sentences.last().unwrap(), "Chosen items fall.");
    }
}
