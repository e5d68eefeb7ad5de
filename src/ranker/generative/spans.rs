//! A decoder that answers in spans as a ranker, and the constants by which its spans vote.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;
use trieval_kernels::ops::alone;

use crate::corpus::{Ask, Heard, Words};
use crate::decode::prompt::PromptBuilder;
use crate::decode::spans::settings::SpanDecodeSettings;
use crate::decode::spans::{Said, SpanRetriever};
use crate::error::Result;
use crate::ranker::harness::Evidence;
use crate::ranker::{Retrieve, Scored};

/// What was said to requests that are asked again under other constants, by their query.
type Memo = Mutex<HashMap<Option<String>, Arc<Said>>>;

/// A decoder behind the index of the spans of its catalogue.
pub(super) struct InSpans {
    prompts: Arc<PromptBuilder>,
    retriever: SpanRetriever,
    /// Kept while constants are tried.
    memo: Option<Arc<Memo>>,
    /// The last query that was answered, for what speaks for its items.
    last: Mutex<Option<(Option<String>, Arc<Said>)>>,
}

/// One decoder under many constants, which says the same under all of them.
pub(super) struct Weighable {
    prompts: Arc<PromptBuilder>,
    retriever: SpanRetriever,
    memo: Arc<Memo>,
}

impl InSpans {
    fn said(&self, ask: &Ask) -> Result<Arc<Said>> {
        let known = self.memo.as_ref().and_then(|memo| locked(memo).get(&ask.query).cloned());
        if let Some(said) = known {
            return Ok(said);
        }
        let query = ask.query.as_deref();
        let prompt = self.prompts.build(query, &[])?;
        let said = Arc::new(self.retriever.say(&prompt.tokens, query)?);
        if let Some(memo) = &self.memo {
            locked(memo).insert(ask.query.clone(), said.clone());
        }
        Ok(said)
    }
}

impl Weighable {
    pub(super) fn new(prompts: Arc<PromptBuilder>, retriever: SpanRetriever) -> Self {
        Self { prompts, retriever, memo: Arc::default() }
    }

    /// What answers under some constants; one that `remembers` says again what was said under others.
    pub(super) fn under(&self, settings: &SpanDecodeSettings, remembers: bool) -> InSpans {
        let (prompts, retriever) = (self.prompts.clone(), self.retriever.weighing(settings));
        let memo = remembers.then(|| self.memo.clone());
        InSpans { prompts, retriever, memo, last: Mutex::default() }
    }
}

/// What is behind a lock is whole whatever became of the thread that held it.
fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Retrieve for InSpans {
    fn hears(&self, _: &Ask) -> Heard {
        Heard { query: Words::Read, ..Heard::default() }
    }

    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let said = self.said(ask)?;
        let items = self.retriever.items(&said, depth, exclude);
        *locked(&self.last) = Some((ask.query.clone(), said));
        Ok(items)
    }

    fn retrieve_all(
        &self,
        asks: &[&Ask],
        depth: usize,
        exclude: &[Vec<u32>],
    ) -> Result<Vec<Vec<Scored>>> {
        let asked = asks.par_iter().zip(exclude);
        asked.map(|(ask, exclude)| alone(|| self.retrieve(ask, depth, exclude))).collect()
    }

    fn evidence(&self, ask: &Ask, items: &[u32]) -> Result<Vec<Vec<Evidence>>> {
        let last = locked(&self.last).clone().filter(|(query, _)| *query == ask.query);
        let said = last.map_or_else(|| self.said(ask), |(_, said)| Ok(said))?;
        Ok(self.retriever.evidence(&said, items))
    }
}

/// What is chosen where constants are tuned, with the least and the largest value that is tried; the first is tried in equal
/// ratios.
const CONSTANTS: [(&str, f64, f64); 5] = [
    ("spans.smoothing", 0.25, 64.0),
    ("spans.exponent", 0.5, 4.0),
    ("spans.repetition", 0.0, 1.0),
    ("spans.strongest", 0.0, 0.6),
    ("spans.unigram_weight", 0.0, 4.0),
];
/// Bases of the sequences that spread what is tried (Halton 1960), one for each constant.
const BASES: [u32; 5] = [2, 3, 5, 7, 11];

/// The given constants, and `n` others spread over their ranges.
pub(super) fn candidates(given: &SpanDecodeSettings, n: u32) -> Vec<BTreeMap<String, f64>> {
    let own =
        [given.smoothing, given.exponent, given.repetition, given.strongest, given.unigram_weight];
    let named = |values: [f64; 5]| {
        let named = CONSTANTS.iter().zip(values);
        named.map(|((name, _, _), value)| ((*name).to_owned(), value)).collect()
    };
    let spread = (1..=n).map(|number| {
        let mut values = [0.0; 5];
        for (place, ((_, least, most), base)) in CONSTANTS.iter().zip(BASES).enumerate() {
            let at = halton(number, base);
            let value = match place {
                0 => least * (most / least).powf(at),
                _ => least + (most - least) * at,
            };
            // As people read it.
            values[place] = (value * 1_000.0).round() / 1_000.0;
        }
        values
    });
    [own].into_iter().chain(spread).map(named).collect()
}

/// The settings with constants by name; others stay.
pub(super) fn with_constants(
    given: &SpanDecodeSettings,
    constants: &BTreeMap<String, f64>,
) -> SpanDecodeSettings {
    let value = |place: usize, own: f64| constants.get(CONSTANTS[place].0).copied().unwrap_or(own);
    SpanDecodeSettings {
        smoothing: value(0, given.smoothing),
        exponent: value(1, given.exponent),
        repetition: value(2, given.repetition),
        strongest: value(3, given.strongest),
        unigram_weight: value(4, given.unigram_weight),
        ..given.clone()
    }
}

/// The digits of a number behind the point, in reverse, in a base.
fn halton(mut number: u32, base: u32) -> f64 {
    let (mut value, mut unit) = (0.0, 1.0);
    while number > 0 {
        unit /= f64::from(base);
        value += unit * f64::from(number % base);
        number /= base;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_begins_with_what_is_given_and_stays_in_its_ranges() {
        let given = SpanDecodeSettings { exponent: 1.5, ..SpanDecodeSettings::default() };
        let tried = candidates(&given, 100);
        assert_eq!(tried.len(), 101);
        assert_eq!(with_constants(&given, &tried[0]), given);
        for (name, least, most) in CONSTANTS {
            let values: Vec<f64> = tried[1..].iter().map(|one| one[name]).collect();
            assert!(values.iter().all(|value| (least..=most).contains(value)), "{name}");
            let low = values.iter().filter(|value| **value < (least + most) / 2.0).count();
            assert!(name == "spans.smoothing" || (40..=60).contains(&low), "{name}: {low}");
        }
        assert_eq!(with_constants(&given, &tried[7]).smoothing, tried[7]["spans.smoothing"]);
        assert_eq!([1, 2, 3, 4].map(|n| halton(n, 2)), [0.5, 0.25, 0.75, 0.125]);
    }
}
