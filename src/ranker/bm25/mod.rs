//! BM25 and BM25F (Robertson and Zaragoza 2009, §3.5 and §3.6) over item text, with settable constants.
//!
//! `score(q, d) = sum over t in q of ln(1 + (N - n_t + .5) / (n_t + .5)) * tf (k1 + 1) / (tf + k1)`, where
//! `tf = sum over fields f of weight_f * tf_f / (1 - b_f + b_f * length_f / mean length_f)` and n_t counts the
//! items that hold t in any field. With one field of weight 1 this is BM25. A request without text is asked with
//! the text of the newest items of its history.

mod index;
mod kind;
pub mod settings;
mod words;

pub use index::Index;
pub use words::words;

use std::sync::Arc;

use super::harness::{Output, Rank, Retrieve, Scored, looked_up};
use super::slate::Slate;
use crate::corpus::{Ask, Heard, Words};
use crate::error::Result;
use settings::Bm25Settings;
use trieval_kernels::top::top;

/// Items of a history that stand for a request without text.
const HISTORY_ITEMS: usize = 5;

/// An inverted index with the weights that constants give to its postings.
pub struct Bm25 {
    index: Arc<Index>,
    /// `[postings]`: the whole weight of a term in an item.
    weights: Vec<f32>,
}

impl Bm25 {
    /// Weighs the postings of an index that was built from the fields of these settings.
    pub fn weigh(index: &Arc<Index>, settings: &Bm25Settings) -> Self {
        let n_fields = index.n_fields;
        let (weight, b): (Vec<f64>, Vec<f64>) = match settings.fields.as_slice() {
            [] => (vec![1.0], vec![settings.b]),
            fields => fields.iter().map(|f| (f.weight, f.b.unwrap_or(settings.b))).unzip(),
        };
        let means = index.mean_lengths();
        let (n_items, k1) = (index.n_items() as f64, settings.k1);
        let mut weights = Vec::with_capacity(index.items.len());
        for range in index.offsets.windows(2) {
            let n_t = (range[1] - range[0]) as f64;
            let idf = (1.0 + (n_items - n_t + 0.5) / (n_t + 0.5)).ln();
            for posting in range[0]..range[1] {
                let lengths = &index.lengths[index.items[posting] as usize * n_fields..];
                let frequencies = &index.frequencies[posting * n_fields..][..n_fields];
                let mut tf = 0.0;
                for field in (0..n_fields).filter(|&field| frequencies[field] > 0) {
                    let length = f64::from(lengths[field]) / means[field];
                    let norm = 1.0 - b[field] + b[field] * length;
                    tf += weight[field] * f64::from(frequencies[field]) / norm;
                }
                // A term in fields of weight 0 alone says nothing, also where k1 is 0.
                let part = if tf > 0.0 { tf * (k1 + 1.0) / (tf + k1) } else { 0.0 };
                weights.push((idf * part) as f32);
            }
        }
        Self { index: Arc::clone(index), weights }
    }

    fn scores(&self, terms: impl Iterator<Item = u32>) -> Vec<(u32, f32)> {
        let index = &self.index;
        let mut scores = vec![0.0f32; index.n_items()];
        let mut touched = Vec::new();
        for term in terms {
            let range = index.offsets[term as usize]..index.offsets[term as usize + 1];
            for (&item, &weight) in index.items[range.clone()].iter().zip(&self.weights[range]) {
                if weight > 0.0 {
                    if scores[item as usize] == 0.0 {
                        touched.push(item);
                    }
                    scores[item as usize] += weight;
                }
            }
        }
        touched.into_iter().map(|item| (item, scores[item as usize])).collect()
    }

    /// Items that share a term with the request, and their scores, in any order.
    fn matches(&self, ask: &Ask) -> Vec<Scored> {
        match &ask.query {
            Some(query) => self.scores(self.index.query_terms(query).into_iter()),
            None => {
                let newest = ask.history.len().saturating_sub(HISTORY_ITEMS);
                let terms = |&item: &u32| self.index.item_terms[item as usize].iter().copied();
                self.scores(ask.history[newest..].iter().flat_map(terms))
            }
        }
    }
}

impl Retrieve for Bm25 {
    fn hears(&self, ask: &Ask) -> Heard {
        let knows = |query: &String| !self.index.query_terms(query).is_empty();
        match &ask.query {
            Some(query) if !knows(query) => Heard { query: Words::Unknown, ..Heard::default() },
            _ => Heard::query_or_history(ask),
        }
    }

    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        Ok(top(self.matches(ask).into_iter(), depth, exclude))
    }

    fn as_rank(&self) -> Option<&dyn Rank> {
        Some(self)
    }
}

impl Rank for Bm25 {
    fn outputs(&self, slate: &Slate<'_>) -> Result<Vec<Output>> {
        let mut scores = self.matches(slate.ask);
        scores.sort_unstable_by_key(|one| one.0);
        Ok(vec![Output::score(looked_up(&scores, slate.items()))])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use super::settings::Bm25Field;
    use super::*;

    fn settings() -> Bm25Settings {
        serde_json::from_str(r#"{"name": "bm25", "k1": 1.2, "b": 0.75, "stem": false}"#).unwrap()
    }

    fn scores(texts: &[&str], settings: &Bm25Settings, query: &str) -> HashMap<u32, f64> {
        let n_fields = settings.fields.len().max(1);
        let index = Arc::new(Index::of_texts(texts, n_fields, settings.stem));
        let bm25 = Bm25::weigh(&index, settings);
        let found = bm25.scores(index.query_terms(query).into_iter());
        found.into_iter().map(|(item, score)| (item, f64::from(score))).collect()
    }

    fn idf(n_items: f64, n: f64) -> f64 {
        (1.0 + (n_items - n + 0.5) / (n + 0.5)).ln()
    }

    #[test]
    fn equals_the_formula_worked_by_hand() {
        let scores = scores(&["red chair", "red red table lamp", "blue"], &settings(), "Red lamp");
        let average = 7.0 / 3.0;
        let part = |tf: f64, length: f64| tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / average));
        let expected_0 = idf(3.0, 2.0) * part(1.0, 2.0);
        let expected_1 = idf(3.0, 2.0) * part(2.0, 4.0) + idf(3.0, 1.0) * part(1.0, 4.0);
        assert!((scores[&0] - expected_0).abs() < 1e-6);
        assert!((scores[&1] - expected_1).abs() < 1e-6);
        assert!(!scores.contains_key(&2));
    }

    #[test]
    fn fields_are_weighted_before_saturation_each_by_its_own_length() {
        let field = |name: &str, weight, b| Bm25Field { field: name.into(), weight, b };
        let fields = vec![field("title", 3.0, Some(0.5)), field("brand", 1.0, None)];
        let settings = Bm25Settings { fields, ..settings() };
        // Titles of 2, 4 and 0 words, brands of 1, 0 and 2.
        let texts = ["oak chair", "oak", "oak red oak lamp", "", "", "red oak"];
        let found = scores(&texts, &settings, "oak");
        let title = |tf: f64, length: f64| 3.0 * tf / (0.5 + 0.5 * length / 2.0);
        let brand = |tf: f64, length: f64| tf / (0.25 + 0.75 * length / 1.0);
        let saturate = |tf: f64| idf(3.0, 3.0) * tf * 2.2 / (tf + 1.2);
        let expected = [saturate(title(1.0, 2.0) + brand(1.0, 1.0)), saturate(title(2.0, 4.0)), {
            saturate(brand(1.0, 2.0))
        }];
        for (item, expected) in (0..).zip(expected) {
            assert!((found[&item] - expected).abs() < 1e-6, "{item}: {found:?} {expected}");
        }
        // A field of weight 0 finds nothing.
        let mut mute = settings.clone();
        mute.fields[0].weight = 0.0;
        mute.k1 = 0.0;
        let found = scores(&texts, &mute, "lamp chair oak");
        assert_eq!(found.len(), 2);
        assert!(found.values().all(|score| score.is_finite()));
    }

    #[test]
    fn one_field_of_weight_1_is_bm25() {
        let texts = ["red chair", "red red table lamp", "blue", ""];
        let fields = vec![Bm25Field { field: "title".into(), weight: 1.0, b: None }];
        let with_field = Bm25Settings { fields, ..settings() };
        assert_eq!(
            scores(&texts, &settings(), "red table"),
            scores(&texts, &with_field, "red table")
        );
    }

    #[test]
    fn an_index_reads_back_and_answers_alike() {
        let folder = tempfile::tempdir().unwrap();
        let texts = ["red chair", "Chairs", "red red table lamp", "", "blue", "Äpfel red"];
        for stem in [false, true] {
            let index = Index::of_texts(&texts, 2, stem);
            index.write(folder.path()).unwrap();
            let read = Index::open(folder.path(), 2, 3).unwrap();
            assert_eq!((&read.terms, &read.offsets), (&index.terms, &index.offsets));
            assert_eq!((&read.items, &read.frequencies), (&index.items, &index.frequencies));
            assert_eq!((&read.lengths, &read.item_terms), (&index.lengths, &index.item_terms));
            let asked = |index: &Index| index.query_terms("äpfel chair red");
            assert_eq!(asked(&read), asked(&index));
        }
        let refused =
            |fields, items| Index::open(folder.path(), fields, items).err().unwrap().to_string();
        assert!(refused(1, 6).contains("expected 1 fields, got 2"));
        assert!(refused(2, 4).contains("expected 4 items, got 3"));
    }

    #[test]
    fn stemming_joins_word_forms() {
        let terms = |stem| Index::of_texts(&["running shoes"], 1, stem).query_terms("run shoe");
        assert!(terms(false).is_empty());
        assert_eq!(terms(true).len(), 2);
    }
}
