//! Which spans of an item a request is trained to say.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use rand::Rng;

use crate::decode::spans::Spans;
use crate::error::Result;
use crate::identifier::spans::{Piece, View};
use crate::train::objective::Row;

/// Draws spans of items.
pub struct SpanLessons<'a> {
    spans: &'a Spans,
    /// Logarithm of one more than the tokens of all texts.
    all: f64,
}

impl<'a> SpanLessons<'a> {
    /// Over the spans of a model.
    pub fn new(spans: &'a Spans) -> Self {
        Self { spans, all: (spans.texts.n_tokens() as f64).ln_1p().max(1.0) }
    }

    /// The first of the mode tokens.
    pub fn first_mode(&self) -> Option<u32> {
        self.spans.views.iter().filter_map(|(_, mode)| *mode).min()
    }

    /// The rows of an example: `prompt` in every view that the item has a text for, each with what is to be said, whose
    /// weights sum to 1 over all views. `query` is what the request asks in words. None of an item without texts.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] when the tokenizer refuses the query.
    pub fn rows(
        &self,
        prompt: &[u32],
        query: Option<&str>,
        item: u32,
        rng: &mut impl Rng,
    ) -> Result<Vec<Row>> {
        let query = query.map(|query| self.spans.tokenizer.pieces(query)).transpose()?;
        let query: Vec<u32> =
            query.unwrap_or_default().into_iter().map(|piece| piece.token).collect();
        let longest = self.spans.settings.tokens as usize;
        let (mut asked, mut n_answers) = (Vec::new(), 0);
        for (view, mode) in &self.spans.views {
            let text = self.text(item, view);
            let answers: Vec<Vec<u32>> = match view {
                View::Spans => self.sample(&text, &query, rng),
                View::Title | View::Field(_) => {
                    let tokens: Vec<u32> = text.iter().take(longest).map(|p| p.token).collect();
                    Some(tokens).filter(|tokens| !tokens.is_empty()).into_iter().collect()
                }
            };
            if !answers.is_empty() {
                n_answers += answers.len();
                asked.push((mode, answers));
            }
        }
        let weight = 1.0 / n_answers.max(1) as f32;
        let row = |(mode, answers): (&Option<u32>, Vec<Vec<u32>>)| {
            let prompt: Vec<u32> = prompt.iter().copied().chain(*mode).collect();
            Row::answers(&prompt, answers.iter().map(Vec::as_slice)).weighing(weight)
        };
        Ok(asked.into_iter().map(row).collect())
    }

    /// A sample of the spans of an item's title, for a request that asks in some words.
    ///
    /// # Errors
    /// As [`SpanLessons::rows`].
    pub fn spans_of(
        &self,
        item: u32,
        query: Option<&str>,
        rng: &mut impl Rng,
    ) -> Result<Vec<Vec<u32>>> {
        let query = query.map(|query| self.spans.tokenizer.pieces(query)).transpose()?;
        let query: Vec<u32> =
            query.unwrap_or_default().into_iter().map(|piece| piece.token).collect();
        Ok(self.sample(&self.text(item, &View::Spans), &query, rng))
    }

    /// The pieces of the text that a view is of.
    fn text(&self, item: u32, view: &View) -> Vec<Piece> {
        let field = match view {
            View::Spans | View::Title => 0,
            View::Field(name) => {
                let place = self.spans.settings.fields.iter().position(|one| one == name);
                place.map_or(u32::MAX, |place| place as u32 + 1)
            }
        };
        self.spans.pieces(item, field).unwrap_or_default()
    }

    /// Spans of a title, drawn without repetition: the largest of `weight + Gumbel noise`.
    fn sample(&self, title: &[Piece], query: &[u32], rng: &mut impl Rng) -> Vec<Vec<u32>> {
        let settings = &self.spans.settings.sample;
        let mut candidates: Vec<(f64, Vec<u32>)> = Vec::new();
        self.each_span(title, query, |span, dice, informative| {
            let weight = settings.overlap * dice + settings.informative * informative;
            let noise = -(-rng.random::<f64>().max(f64::MIN_POSITIVE).ln()).ln();
            candidates.push((weight + noise, span.to_vec()));
        });
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        candidates.truncate(settings.spans as usize);
        candidates.into_iter().map(|(_, span)| span).collect()
    }

    /// All spans of a title of whole words, each once, with the Dice coefficient of its tokens and those of the query, and
    /// how much it says: 1 is all, 0 is nothing.
    fn each_span(&self, title: &[Piece], query: &[u32], mut each: impl FnMut(&[u32], f64, f64)) {
        let tokens: Vec<u32> = title.iter().map(|piece| piece.token).collect();
        let longest = self.spans.settings.tokens as usize;
        let mut asked: HashMap<u32, i32, RandomState> = HashMap::default();
        for token in query {
            *asked.entry(*token).or_default() += 1;
        }
        let mut known: Vec<&[u32]> = Vec::new();
        for from in 0..tokens.len() {
            if !title[from].begins_word {
                continue;
            }
            let mut rows = self.spans.index.all();
            let (mut left, mut shared) = (asked.clone(), 0);
            for to in from + 1..=tokens.len().min(from + longest) {
                let token = tokens[to - 1];
                // Every run of a text is in its index.
                let Some(longer) = self.spans.index.extend(rows, token) else { break };
                rows = longer;
                if let Some(n) = left.get_mut(&token).filter(|n| **n > 0) {
                    (*n, shared) = (*n - 1, shared + 1);
                }
                let ends_word = title.get(to).is_none_or(|next| next.begins_word);
                let span = &tokens[from..to];
                if !ends_word || known.contains(&span) {
                    continue;
                }
                known.push(span);
                let dice = 2.0 * f64::from(shared) / (span.len() + query.len()) as f64;
                let informative = 1.0 - (rows.count() as f64).ln_1p() / self.all;
                each(span, dice, informative);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::decode::spans::testing::{TITLES, spans};
    use crate::seed::Seed;

    fn tokens(spans: &Spans, text: &str) -> Vec<u32> {
        spans.tokenizer.pieces(text).unwrap().iter().map(|piece| piece.token).collect()
    }

    /// `D` and `I` of the recipe's documentation, by hand.
    #[test]
    fn spans_are_whole_words_weighed_by_query_and_rarity() {
        let spans = spans(9);
        let lessons = SpanLessons::new(&spans);
        let title = lessons.text(3, &View::Spans);
        assert_eq!(TITLES[3], "oak table oak");
        let query = tokens(&spans, "oak lamp");
        let mut found = BTreeMap::new();
        lessons.each_span(&title, &query, |span, dice, informative| {
            assert!(found.insert(span.to_vec(), (dice, informative)).is_none(), "once each");
        });
        let texts = ["oak", "oak table", "oak table oak", "table", "table oak"];
        let expected: BTreeSet<Vec<u32>> = texts.map(|text| tokens(&spans, text)).into();
        assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), expected);
        let all = (spans.texts.n_tokens() as f64 + 1.0).ln();
        for (text, occurrences) in texts.iter().zip([4.0f64, 2.0, 1.0, 2.0, 1.0]) {
            let span = tokens(&spans, text);
            let (dice, informative) = found[&span];
            let mut left = query.clone();
            let shared = span.iter().filter(|token| {
                let at = left.iter().position(|one| one == *token);
                at.map(|at| left.remove(at)).is_some()
            });
            let shared = shared.count() as f64;
            let wanted = 2.0 * shared / (span.len() + query.len()) as f64;
            assert!((dice - wanted).abs() < 1e-12, "{text}");
            assert!((informative - (1.0 - occurrences.ln_1p() / all)).abs() < 1e-12, "{text}");
        }
    }

    #[test]
    fn an_example_counts_once_in_all_views_that_its_item_has_a_text_for() {
        let spans = spans(4);
        let lessons = SpanLessons::new(&spans);
        let mut rng = Seed::new(3).rng();
        // Item 0 has a title and a brand, item 1 a title alone, item 5 nothing.
        for (item, n_views) in [(0, 3), (1, 2), (5, 0)] {
            let rows = lessons.rows(&[1, 2], Some("red oak"), item, &mut rng).unwrap();
            assert_eq!(rows.len(), n_views, "item {item}");
            for (row, (_, mode)) in rows.iter().zip(&spans.views) {
                assert_eq!(row.prompt(), [1, 2, mode.unwrap()]);
            }
            if n_views > 0 {
                let sum: f32 = rows.iter().map(Row::weight).sum();
                assert!((sum - 1.0).abs() < 1e-6);
            }
        }
        let rows = lessons.rows(&[1], None, 0, &mut rng).unwrap();
        assert_eq!(
            rows[1].targets().collect::<Vec<_>>(),
            tokens(&spans, TITLES[0])[..4.min(tokens(&spans, TITLES[0]).len())]
        );
    }

    /// Over many draws, a span comes as often as its weight says.
    #[test]
    fn spans_are_drawn_by_their_weights_and_anew_each_time() {
        let mut spans = spans(9);
        spans.settings.sample.spans = 1;
        let lessons = SpanLessons::new(&spans);
        let query = tokens(&spans, "oak");
        let title = lessons.text(3, &View::Spans);
        let mut weights = BTreeMap::new();
        lessons.each_span(&title, &query, |span, dice, informative| {
            let sample = &spans.settings.sample;
            let weight = (sample.overlap * dice + sample.informative * informative).exp();
            weights.insert(span.to_vec(), weight);
        });
        let total: f64 = weights.values().sum();
        let (n, mut counts) = (4_000, BTreeMap::<Vec<u32>, u32>::new());
        for draw in 0..n {
            let mut rng = Seed::new(5).index(draw).rng();
            let drawn = lessons.spans_of(3, Some("oak"), &mut rng).unwrap().remove(0);
            *counts.entry(drawn).or_default() += 1;
        }
        for (span, weight) in weights {
            let expected = weight / total;
            let share = f64::from(*counts.get(&span).unwrap_or(&0)) / n as f64;
            let error = (expected * (1.0 - expected) / n as f64).sqrt();
            assert!((share - expected).abs() < 5.0 * error + 1e-3, "{span:?}: {share} {expected}");
        }
    }
}
