//! Logistic regression over features: the probability that something happens to an item that is shown,
//! learned from impressions.
//!
//! - `value`, `sides`: cells as numbers and tokens, of items, questions, showings and the past
//! - `layout`: which weight belongs to what; `start`: where it begins; `examples`, `objective`: what is learned; `file`: what is kept
//!
//! The position of an item, where it is a feature, is learned from and not known of new candidates: what is
//! absent adds nothing, so that candidates are compared as if all stood at one place.

mod asked;
mod examples;
mod file;
mod kind;
mod layout;
mod objective;
pub mod settings;
mod sides;
mod start;
#[cfg(test)]
mod tests;
mod value;

use candle_core::{Device, Tensor, Var};
use trieval_kernels::top::top;

use self::asked::Asked;
use self::examples::{Examples, Known, mean_rate};
use self::file::Stored;
use self::layout::{Entry, Gathering, Layout};
use self::objective::{Batch, LabelLoss};
use self::settings::LogisticSettings;
use self::sides::{Places, Side};
use self::value::Value;
use super::harness::{Output, Rank, Retrieve, Scored, first_outputs};
use super::slate::Slate;
use crate::corpus::{Ask, Corpus, DailyStatistics, Heard, Labels, Request, Split, Words};
use crate::error::{Error, Result};
use crate::inputs::StepContext;
use crate::kind::Role;
use crate::memory;
use crate::model::{ParameterSpec, Parameters};
use crate::text::{bytes, grouped};
use crate::train::course::settings::LOSS;
use crate::train::held_out::Judge;
use crate::train::validation::Measured;

/// The bias and the weights among the parameters.
const BIAS: &str = "bias";
const WEIGHTS: &str = "weights";
/// Bytes of a weight in training: its value and two moments, the same while a checkpoint of them is
/// written, and the best value that is kept.
const BYTES_PER_WEIGHT: u64 = 28;
/// Bytes of the average of a weight: its value, the same while a checkpoint is written, and the weight's own while the
/// average is validated.
const BYTES_PER_AVERAGE: u64 = 12;
/// Examples whose loss is computed at once in a validation.
const CHUNK: usize = 4_096;

/// The model.
pub struct Logistic {
    settings: LogisticSettings,
    places: Places,
    layout: Layout,
    /// `[items]`: features of an item, its past as of the end of training.
    items: Vec<[Side; 2]>,
    bias: f32,
    /// `[weights]`
    weights: Vec<f32>,
    asked: Asked,
}

/// Trains a model on the impressions of a corpus and writes it.
///
/// # Errors
/// [`Error::Data`] for impressions that nothing can be learned from; as
/// [`Training::run`](crate::train::engine::Training::run).
fn fit(
    settings: &LogisticSettings,
    asked: Asked,
    step: &StepContext<'_>,
    judge: &dyn Judge,
) -> Result<()> {
    let corpus = step.inputs.corpus()?;
    let places = Places::of(settings)?;
    let columns = places.of_showing();
    let mut labels = corpus.labels(Split::Train, &settings.label, &columns)?;
    check(settings, corpus, &labels, step)?;
    let train = corpus.requests(Split::Train)?;
    let held_out = held_out(settings, &columns, (&train, &mut labels), step, judge)?;
    let n_items = corpus.summary().items as usize;
    let daily = places.has_past().then(|| DailyStatistics::of(corpus)).transpose()?;
    let rate = daily.as_ref().map_or(0.0, |daily| mean_rate(daily, n_items));
    let sides = places.items(corpus)?;
    let known = Known { items: &sides, daily: daily.as_ref(), rate };
    let examples = Examples::new(&places, &known, &train, &labels, &asked)?;
    let mut gathering = Gathering::new(&settings.all_features());
    examples.gather(&mut gathering);
    if let Some(place) = gathering.unmet() {
        return Err(unmet(settings, corpus, place));
    }
    let layout = gathering.finish(settings);
    fits(settings, &layout)?;

    let parameters = match step.inputs.find(Role::Start) {
        Some(folder) => start::from(&Stored::read(folder)?, settings, &layout, step)?,
        None => start::from_nothing(&layout, &labels)?,
    };
    let (bias, weights) = (parameters.var(BIAS)?, parameters.var(WEIGHTS)?);
    let held_out = held_out
        .map(|(requests, labels)| Examples::new(&places, &known, &requests, &labels, &asked));
    let held_out = held_out.transpose()?;
    let mut measure = held_out.as_ref().map(|held_out| {
        let layout = &layout;
        move || Ok([(LOSS.to_owned(), mean_loss(held_out, layout, weights, bias)?)].into())
    });
    let measure = measure.as_mut().map(|measure| measure as &mut dyn FnMut() -> Result<Measured>);
    let mut objective = LabelLoss { examples: &examples, layout: &layout, weights, bias };
    settings.course.run(step, &settings.name, &parameters, &mut objective, measure)?;

    let past = |item: u32| match &daily {
        Some(daily) => places.past(daily.in_all(item), rate),
        None => vec![Value::Absent; places.0.len()],
    };
    let items = (0..).zip(sides).map(|(item, side)| [side, past(item)]).collect();
    let model = Logistic {
        settings: settings.clone(),
        places,
        layout,
        items,
        bias: bias.to_vec1::<f32>()?[0],
        weights: weights.flatten_all()?.to_vec1()?,
        asked,
    };
    model.save(step.out)
}

/// Requests and labels that validation looks at: those of the validation days, or, where a corpus has
/// pages of training requests only, every tenth training request, which is then not learned from.
fn held_out(
    settings: &LogisticSettings,
    columns: &[&str],
    (train, labels): (&[Request], &mut Labels),
    step: &StepContext<'_>,
    judge: &dyn Judge,
) -> Result<Option<(Vec<Request>, Labels)>> {
    let Some(validation) = &settings.course.validation else { return Ok(None) };
    let found = judge.labels(&settings.label, columns, validation.requests)?;
    if !found.1.pages.is_empty() {
        return Ok(Some(found));
    }
    step.ctx.say(format!(
        "{}: nothing was shown on the validation days; every tenth training request is held out",
        settings.name
    ));
    let (mut held, mut kept) = (Vec::new(), Vec::new());
    for (place, page) in std::mem::take(&mut labels.pages).into_iter().enumerate() {
        if place % 10 == 9 { held.push(page) } else { kept.push(page) }
    }
    labels.pages = kept;
    // Both are in the order of requests.
    let is_held =
        |request: &&Request| held.binary_search_by_key(&request.idx, |page| page.0).is_ok();
    let requests = train.iter().filter(is_held).cloned().collect();
    Ok(Some((requests, Labels { pages: held, unknown: 0 })))
}

/// A feature that no training impression has.
fn unmet(settings: &LogisticSettings, corpus: &Corpus, place: usize) -> Error {
    let features = settings.all_features();
    let feature = &features[place];
    let what = if feature.reads.is_number() { "a number" } else { "a value" };
    let message = format!("no training impression has {what} in `{}`", feature.column);
    Error::data(corpus.folder(), message).with_help(format!(
        "read it as something else, or leave it out of the features of `{}`",
        settings.name
    ))
}

/// Bytes of a weight in training.
fn bytes_per_weight(settings: &LogisticSettings) -> u64 {
    BYTES_PER_WEIGHT + settings.course.average().map_or(0, |_| BYTES_PER_AVERAGE)
}

/// Refuses more weights than there is memory for.
fn fits(settings: &LogisticSettings, layout: &Layout) -> Result<()> {
    let needed = layout.size() as u64 * bytes_per_weight(settings);
    match settings.course.memory_limit().or_else(memory::allowed) {
        Some(room) if needed > room => Err(Error::Memory {
            message: format!(
                "`{}` has {} weights, which take {} in training; {} are allowed",
                settings.name,
                grouped(layout.size() as u64),
                bytes(needed),
                bytes(room)
            ),
            help: "lower `buckets` of its features and crosses".into(),
        }),
        _ => Ok(()),
    }
}

/// Refuses labels of one class, and says what there is.
fn check(
    settings: &LogisticSettings,
    corpus: &Corpus,
    labels: &Labels,
    step: &StepContext<'_>,
) -> Result<()> {
    let (n, positive) = labels.counts();
    let signal = &settings.label.signal;
    if positive == 0 || positive == n {
        let from = settings.label.from;
        let message =
            format!("{positive} of {n} training impressions have a `{signal}` of {from} or more");
        return Err(Error::data(corpus.folder(), message).with_help(format!(
            "a ranker learns from both: change `label` of `{}`, or bring other impressions",
            settings.name
        )));
    }
    let unknown = match labels.unknown {
        0 => String::new(),
        unknown => format!(", {unknown} more without a recorded {signal} are left out"),
    };
    step.ctx.say(format!(
        "{}: {n} training impressions, {positive} of them with {signal}{unknown}",
        settings.name
    ));
    Ok(())
}

/// A bias, which does not decay, and weights `[weights, 1]`, of which a step decays those it reads.
fn parameters(bias: f32, weights: &[f32]) -> Result<Parameters> {
    let [bias_spec, weights_spec] = specs(weights.len());
    let bias = bias_spec.filled(&Tensor::new(&[bias], &Device::Cpu)?)?;
    let weights = Tensor::from_slice(weights, (weights.len(), 1), &Device::Cpu)?;
    Ok([bias, weights_spec.filled(&weights)?].into_iter().collect())
}

/// What files of so many weights hold, sorted by name.
fn specs(n_weights: usize) -> [ParameterSpec; 2] {
    [ParameterSpec::vector(BIAS, 1), ParameterSpec::matrix(WEIGHTS, [n_weights, 1])]
}

/// Mean loss of examples.
fn mean_loss(examples: &Examples<'_>, layout: &Layout, weights: &Var, bias: &Var) -> Result<f64> {
    let mut sum = 0.0;
    for first in (0..examples.len()).step_by(CHUNK) {
        let numbers = first..(first + CHUNK).min(examples.len());
        let loss = Batch::of(examples, layout, numbers).loss(weights, bias)?;
        sum += f64::from(loss.to_scalar::<f32>()?);
    }
    Ok(sum / examples.len() as f64)
}

impl Logistic {
    /// The probability for an item, from the features of the question, of its showing, and of what
    /// systems say of it.
    fn probability(&self, item: u32, sides: [&Side; 3], entries: &mut Vec<Entry>) -> f32 {
        let ([side, past], [ask, showing, scored]) = (&self.items[item as usize], sides);
        entries.clear();
        let value = |feature| self.places.pick(feature, [side, past, ask, showing, scored]);
        self.layout.encode(value, entries);
        let read = |&(weight, value): &Entry| self.weights[weight as usize] * value;
        let odds = self.bias + entries.iter().map(read).sum::<f32>();
        1.0 / (1.0 + (-odds).exp())
    }
}

impl Retrieve for Logistic {
    fn hears(&self, ask: &Ask) -> Heard {
        let columns: Vec<String> =
            self.settings.features.iter().map(|feature| feature.column.clone()).collect();
        let has = |name: &str| columns.iter().any(|column| column == name);
        Heard {
            query: if has("request.query") { Words::Read } else { Words::Ignored },
            history: has("request.history"),
            user: has("user.id"),
            columns,
        }
        .or(self.asked.hears(ask))
    }

    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let slate = Slate::new(ask, (0..self.items.len() as u32).collect());
        let scores = first_outputs(self, std::slice::from_ref(&slate))?.pop().unwrap_or_default();
        Ok(top((0..).zip(scores), depth, exclude))
    }

    fn as_rank(&self) -> Option<&dyn Rank> {
        Some(self)
    }
}

impl Rank for Logistic {
    /// One probability, called after the signal.
    fn outputs(&self, slate: &Slate<'_>) -> Result<Vec<Output>> {
        let ask = self.places.ask(slate.ask);
        let mut entries = Vec::new();
        let nothing = vec![Value::Absent; self.places.0.len()];
        // What no feature reads is not made for every row.
        let showings = match self.places.of_showing().is_empty() {
            true => Vec::new(),
            false => self.places.showings(slate),
        };
        let scores = self.asked.scores(slate)?;
        let scored: Vec<Side> = match self.asked.is_empty() {
            true => Vec::new(),
            false => scores.iter().map(|scores| self.places.scored(scores)).collect(),
        };
        let of = |(row, &item): (usize, &u32)| {
            let [showing, scored] =
                [&showings, &scored].map(|rows| rows.get(row).unwrap_or(&nothing));
            self.probability(item, [&ask, showing, scored], &mut entries)
        };
        let values = slate.items().iter().enumerate().map(of).collect();
        let name = self.settings.label.signal.clone();
        Ok(vec![Output { name, values, variance: None }])
    }
}
