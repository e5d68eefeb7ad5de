//! A decoder that answers in spans as a ranker, and the constants by which its spans vote.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

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
pub(super) type Memo = Mutex<HashMap<Option<String>, Arc<Said>>>;

/// A decoder behind the index of the spans of its catalogue.
pub(super) struct InSpans {
    pub(super) prompts: Arc<PromptBuilder>,
    pub(super) retriever: SpanRetriever,
    /// Kept while constants are tried.
    pub(super) memo: Option<Arc<Memo>>,
}

impl InSpans {
    fn said(&self, ask: &Ask) -> Result<Arc<Said>> {
        if let Some(memo) = &self.memo
            && let Some(said) = memo.lock().unwrap_or_else(PoisonError::into_inner).get(&ask.query)
        {
            return Ok(said.clone());
        }
        let query = ask.query.as_deref();
        let prompt = self.prompts.build(query, &[])?;
        let said = Arc::new(self.retriever.say(&prompt.tokens, query)?);
        if let Some(memo) = &self.memo {
            let mut memo = memo.lock().unwrap_or_else(PoisonError::into_inner);
            memo.insert(ask.query.clone(), said.clone());
        }
        Ok(said)
    }
}

impl Retrieve for InSpans {
    fn hears(&self, _: &Ask) -> Heard {
        Heard { query: Words::Read, ..Heard::default() }
    }

    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        Ok(self.retriever.items(&*self.said(ask)?, depth, exclude))
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
        Ok(self.retriever.evidence(&*self.said(ask)?, items))
    }
}

/// What is chosen where constants are tuned, with the least and the largest value that is tried; the first is tried in equal
/// ratios.
const CONSTANTS: [(&str, f64, f64); 5] = [
    ("spans.smoothing", 0.25, 64.0),
    ("spans.exponent", 0.5, 3.0),
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
pub(super) fn under(
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
        assert_eq!(under(&given, &tried[0]), given);
        for (name, least, most) in CONSTANTS {
            let values: Vec<f64> = tried[1..].iter().map(|one| one[name]).collect();
            assert!(values.iter().all(|value| (least..=most).contains(value)), "{name}");
            let low = values.iter().filter(|value| **value < (least + most) / 2.0).count();
            assert!(name == "spans.smoothing" || (40..=60).contains(&low), "{name}: {low}");
        }
        assert_eq!(under(&given, &tried[7]).smoothing, tried[7]["spans.smoothing"]);
        assert_eq!([1, 2, 3, 4].map(|n| halton(n, 2)), [0.5, 0.25, 0.75, 0.125]);
    }
}
