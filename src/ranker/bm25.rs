//! BM25 (Robertson and Zaragoza 2009, eq. 3.15) over item text, with settable constants.
//!
//! `score(q, d) = sum over t in q of ln(1 + (N - n_t + .5) / (n_t + .5)) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * |d| / avg))`
//!
//! Words are runs of letters and digits, lower-cased, optionally stemmed (English Snowball). A
//! request without text is asked with the text of the newest items of its history.

use std::collections::HashMap;

use rayon::prelude::*;
use rust_stemmers::{Algorithm, Stemmer};

use super::settings::Bm25Settings;
use super::{Ranker, top::top};
use crate::corpus::{Catalogue, Request};
use crate::error::Result;

/// Items of a history that stand for a request without text.
const HISTORY_ITEMS: usize = 5;

/// An inverted index with precomputed weights.
pub struct Bm25 {
    terms: HashMap<String, u32>,
    /// Where each term's postings begin, `[terms + 1]`.
    offsets: Vec<usize>,
    /// `(item, weight)` with the whole term weight, by term, then item.
    postings: Vec<(u32, f32)>,
    /// Terms of each item's text, repeats included: what a history is asked with.
    item_terms: Vec<Vec<u32>>,
    stem: bool,
}

impl Bm25 {
    /// Indexes the text of every item of the catalogue.
    pub fn index(catalogue: &Catalogue, settings: &Bm25Settings) -> Self {
        let items: Vec<u32> = (0..catalogue.len() as u32).collect();
        let texts: Vec<&str> = items.iter().map(|&item| catalogue.text(item)).collect();
        Self::index_texts(&texts, settings)
    }

    fn index_texts(texts: &[&str], settings: &Bm25Settings) -> Self {
        let tokenized: Vec<Vec<String>> =
            texts.par_iter().map(|text| words(text, settings.stem)).collect();
        let n_items = texts.len();
        let total: usize = tokenized.iter().map(Vec::len).sum();
        let average = (total as f64 / n_items.max(1) as f64).max(1.0);
        let mut terms: HashMap<String, u32> = HashMap::new();
        let mut frequencies: Vec<Vec<(u32, u32)>> = Vec::new();
        let mut lengths = Vec::with_capacity(n_items);
        let mut item_terms = Vec::with_capacity(n_items);
        for (item, tokens) in tokenized.into_iter().enumerate() {
            lengths.push(tokens.len() as f64);
            let mut own_terms = Vec::with_capacity(tokens.len());
            for token in tokens {
                let next = terms.len() as u32;
                let term = *terms.entry(token).or_insert(next) as usize;
                own_terms.push(term as u32);
                if term == frequencies.len() {
                    frequencies.push(Vec::new());
                }
                match frequencies[term].last_mut() {
                    Some((last, count)) if *last == item as u32 => *count += 1,
                    _ => frequencies[term].push((item as u32, 1)),
                }
            }
            item_terms.push(own_terms);
        }
        let mut offsets = Vec::with_capacity(frequencies.len() + 1);
        let mut postings = Vec::with_capacity(frequencies.iter().map(Vec::len).sum());
        offsets.push(0);
        for entries in &frequencies {
            let n_t = entries.len() as f64;
            let idf = (1.0 + (n_items as f64 - n_t + 0.5) / (n_t + 0.5)).ln();
            for &(item, count) in entries {
                let tf = f64::from(count);
                let length = 1.0 - settings.b + settings.b * lengths[item as usize] / average;
                let weight = idf * tf * (settings.k1 + 1.0) / (tf + settings.k1 * length);
                postings.push((item, weight as f32));
            }
            offsets.push(postings.len());
        }
        Self { terms, offsets, postings, item_terms, stem: settings.stem }
    }

    /// Terms of a query that occur in the catalogue.
    fn query_terms(&self, query: &str) -> Vec<u32> {
        words(query, self.stem).iter().filter_map(|word| self.terms.get(word).copied()).collect()
    }

    fn scores(&self, terms: impl Iterator<Item = u32>) -> Vec<(u32, f32)> {
        let mut scores = vec![0.0f32; self.item_terms.len()];
        let mut touched = Vec::new();
        for term in terms {
            let term = term as usize;
            for &(item, weight) in &self.postings[self.offsets[term]..self.offsets[term + 1]] {
                if scores[item as usize] == 0.0 {
                    touched.push(item);
                }
                scores[item as usize] += weight;
            }
        }
        touched.into_iter().map(|item| (item, scores[item as usize])).collect()
    }
}

impl Ranker for Bm25 {
    fn rank(&self, request: &Request, depth: usize, exclude: &[u32]) -> Result<Vec<(u32, f32)>> {
        let scores = match &request.query {
            Some(query) => self.scores(self.query_terms(query).into_iter()),
            None => {
                let newest = request.history.len().saturating_sub(HISTORY_ITEMS);
                let items = request.history[newest..].iter();
                self.scores(items.flat_map(|&item| self.item_terms[item as usize].iter().copied()))
            }
        };
        Ok(top(scores.into_iter(), depth, exclude))
    }
}

/// Runs of letters and digits, lower-cased, optionally stemmed.
pub fn words(text: &str, stem: bool) -> Vec<String> {
    let stemmer = stem.then(|| Stemmer::create(Algorithm::English));
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| {
            let lower = word.to_lowercase();
            match &stemmer {
                Some(stemmer) => stemmer.stem(&lower).into_owned(),
                None => lower,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(stem: bool) -> Bm25Settings {
        Bm25Settings { name: "bm25".into(), k1: 1.2, b: 0.75, stem }
    }

    #[test]
    fn equals_the_formula_worked_by_hand() {
        let index =
            Bm25::index_texts(&["red chair", "red red table lamp", "blue"], &settings(false));
        let scores: HashMap<u32, f32> =
            index.scores(index.query_terms("Red lamp").into_iter()).into_iter().collect();
        let average = 7.0 / 3.0;
        let idf = |n: f64| (1.0 + (3.0 - n + 0.5) / (n + 0.5)).ln();
        let part = |tf: f64, length: f64| tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / average));
        let expected_0 = idf(2.0) * part(1.0, 2.0);
        let expected_1 = idf(2.0) * part(2.0, 4.0) + idf(1.0) * part(1.0, 4.0);
        assert!((f64::from(scores[&0]) - expected_0).abs() < 1e-6);
        assert!((f64::from(scores[&1]) - expected_1).abs() < 1e-6);
        assert!(!scores.contains_key(&2));
    }

    #[test]
    fn stemming_joins_word_forms() {
        let plain = Bm25::index_texts(&["running shoes"], &settings(false));
        let stemmed = Bm25::index_texts(&["running shoes"], &settings(true));
        assert!(plain.query_terms("run shoe").is_empty());
        assert_eq!(stemmed.query_terms("run shoe").len(), 2);
    }
}
