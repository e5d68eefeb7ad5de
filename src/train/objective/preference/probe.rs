//! A fixed sample of training prompts on which an alignment is looked at now and then.
//!
//! The losses compare a few answers; where the rest of the probability goes they cannot see. The probe looks at whole
//! distributions over the vocabulary, without any constraint: how far the model has moved from its start, and how much
//! it would give to tokens that no item has. It is a pure function of the weights, so a resumed training needs no state
//! of it: it is made from the start weights before a checkpoint is loaded.

use rand::seq::SliceRandom;
use trieval_kernels::beam::Constraint;
use trieval_kernels::index::fm::Spans as LegalSpans;
use trieval_kernels::index::{SidIndex, Spelled};

use super::group::GroupData;
use crate::decode::spans::Spans;
use crate::error::{Error, Result};
use crate::model::decoder::Decoder;
use crate::model::item_tokens::ItemTokens;
use crate::seed::Seed;
use crate::train::objective::{Row, TargetBatch};

/// Prompts looked at together.
const CHUNK: usize = 8;

/// What may be said.
#[derive(Clone, Copy, Default)]
pub struct Legal<'a> {
    /// Codes of items, whose numbers come first among the answers.
    pub codes: Option<(&'a ItemTokens, &'a SidIndex)>,
    /// Spans of texts, behind them.
    pub spans: Option<&'a Spans>,
}

/// The sample, and what the start model thought of it.
pub struct Probe {
    examples: Vec<Example>,
    /// Mean log-probability of the chosen identifiers at the start.
    start_log_prob: f64,
    start_illegal: f64,
}

/// A prompt and an item that was chosen for it.
struct Example {
    row: Row,
    /// Tokens of the chosen identifier.
    path: Vec<u32>,
    /// Tokens that may follow along the path, per position.
    legal: Vec<Vec<u32>>,
    /// Log-probabilities of all first tokens at the start, `[vocab]`.
    start: Vec<f32>,
}

/// What was seen at the positions of one example.
struct Sight {
    /// `[vocab]`, at the first position.
    first: Vec<f32>,
    /// Of the chosen identifier.
    log_prob: f64,
    /// Mean over its positions.
    illegal: f64,
}

impl Probe {
    /// Draws up to `prompts` prompts of `data`, each with its first chosen item, and looks at them with the `decoder`,
    /// which must still have the weights of the start. `None` when `prompts` is 0.
    ///
    /// # Errors
    /// [`Error::Failed`] when the indexes do not hold a chosen answer.
    pub fn new(
        decoder: &Decoder,
        data: &GroupData<'_>,
        index: Legal<'_>,
        prompts: u32,
        seed: Seed,
    ) -> Result<Option<Self>> {
        let mut drawn: Vec<(u32, u32)> = data
            .groups
            .iter()
            .filter_map(|group| Some((group.prompt, group.chosen.first()?.answer)))
            .collect();
        drawn.sort_by_key(|(prompt, _)| *prompt);
        drawn.dedup_by_key(|(prompt, _)| *prompt);
        drawn.shuffle(&mut seed.purpose("probe").rng());
        drawn.truncate(prompts as usize);
        if drawn.is_empty() {
            return Ok(None);
        }
        let examples = drawn.into_iter().map(|(prompt, item)| {
            let path = data.answers.tokens(item).to_vec();
            let row = Row::answer(&data.prompts.tokens(prompt), &path);
            let legal = legal(index, item, &path)?;
            Ok(Example { row, path, legal, start: Vec::new() })
        });
        let examples = examples.collect::<Result<_>>()?;
        let mut probe = Self { examples, start_log_prob: 0.0, start_illegal: 0.0 };
        let sights = probe.sights(decoder)?;
        probe.start_log_prob = mean(sights.iter().map(|sight| sight.log_prob));
        probe.start_illegal = mean(sights.iter().map(|sight| sight.illegal));
        for (example, sight) in probe.examples.iter_mut().zip(sights) {
            example.start = sight.first;
        }
        Ok(Some(probe))
    }

    /// `mass/illegal` of the start model.
    pub fn start_illegal(&self) -> f64 {
        self.start_illegal
    }

    /// Means over the sample:
    ///
    /// - `kl/first_token`: `sum_v p(v) log (p(v) / p_start(v))` over the whole vocabulary at the first identifier token;
    /// - `mass/illegal`: probability of tokens that no item has there, along the chosen paths, over their positions;
    /// - `drift/probe`: log-probability of the chosen identifiers, minus that at the start.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn look(&self, decoder: &Decoder) -> Result<Vec<(&'static str, f64)>> {
        let sights = self.sights(decoder)?;
        let pairs = sights.iter().zip(&self.examples);
        Ok(vec![
            ("kl/first_token", mean(pairs.map(|(sight, e)| divergence(&sight.first, &e.start)))),
            ("mass/illegal", mean(sights.iter().map(|sight| sight.illegal))),
            ("drift/probe", mean(sights.iter().map(|sight| sight.log_prob)) - self.start_log_prob),
        ])
    }

    fn sights(&self, decoder: &Decoder) -> Result<Vec<Sight>> {
        let vocabulary = decoder.config().vocab_size as u32;
        let mut sights = Vec::with_capacity(self.examples.len());
        for chunk in self.examples.chunks(CHUNK) {
            let rows: Vec<Row> = chunk.iter().map(|example| example.row.clone()).collect();
            let (mut places, mut tokens) = (Vec::new(), Vec::new());
            let mut place = 0;
            for example in chunk {
                for asked in example.asked(vocabulary) {
                    places.extend(std::iter::repeat_n(place, asked.len()));
                    tokens.extend(asked);
                    place += 1;
                }
            }
            let seen = TargetBatch::new(&rows)?.log_probs_of(decoder, &places, &tokens)?;
            let mut rest = seen.as_slice();
            for example in chunk {
                sights.push(example.sight(&mut rest, vocabulary as usize));
            }
        }
        Ok(sights)
    }
}

impl Example {
    /// Tokens to look at, position by position: all at the first, then those of the path and the legal ones.
    fn asked(&self, vocabulary: u32) -> impl Iterator<Item = Vec<u32>> {
        self.path.iter().zip(&self.legal).enumerate().map(move |(position, (token, legal))| {
            if position == 0 {
                (0..vocabulary).collect()
            } else {
                [&[*token][..], &legal[..]].concat()
            }
        })
    }

    /// Takes the log-probabilities of the tokens of [`Self::asked`] off the front of `seen`.
    fn sight(&self, seen: &mut &[f32], vocabulary: usize) -> Sight {
        let (first, after) = seen.split_at(vocabulary);
        *seen = after;
        let probability = |value: f32| f64::from(value).exp();
        let mut log_prob = f64::from(first[self.path[0] as usize]);
        let legal = self.legal[0].iter().map(|&token| probability(first[token as usize]));
        let mut illegal = (1.0 - legal.sum::<f64>()).max(0.0);
        for legal in &self.legal[1..] {
            let (own, after) = seen.split_at(1 + legal.len());
            *seen = after;
            log_prob += f64::from(own[0]);
            let legal: f64 = own[1..].iter().map(|&value| probability(value)).sum();
            illegal += (1.0 - legal).max(0.0);
        }
        Sight { first: first.to_vec(), log_prob, illegal: illegal / self.legal.len() as f64 }
    }
}

/// Tokens that may follow at every position of an answer.
fn legal(index: Legal<'_>, answer: u32, path: &[u32]) -> Result<Vec<Vec<u32>>> {
    let n_items = index.codes.map_or(0, |(items, _)| items.n_items());
    let legal = match (index.codes, index.spans) {
        (Some((items, codes)), _) if (answer as usize) < n_items => {
            let silence = items.silence().map(|silence| (silence.level, silence.code));
            along(Spelled::new(codes, silence), items.token(0, 0), path)
        }
        (_, Some(spans)) => {
            along(LegalSpans::new(&spans.index).starting_with(&spans.starts), 0, path)
        }
        (_, None) => None,
    };
    legal.ok_or_else(|| {
        Error::Failed(format!(
            "the index does not hold answer {answer} of the pairs: it was made for other identifiers"
        ))
    })
}

/// Tokens that may follow at every position of a path whose tokens are counted from `first`; none where it is no path.
fn along<C: Constraint>(index: C, first: u32, path: &[u32]) -> Option<Vec<Vec<u32>>> {
    let mut state = index.root(0);
    let mut legal = Vec::with_capacity(path.len());
    for &token in path {
        let mut tokens = Vec::new();
        index.children(state, &mut tokens);
        legal.push(tokens.into_iter().map(|token| first + token).collect());
        state = index.child(state, token.checked_sub(first)?)?;
    }
    Some(legal)
}

/// `sum_v p(v) (log p(v) - log q(v))` from log-probabilities.
fn divergence(p: &[f32], q: &[f32]) -> f64 {
    p.iter().zip(q).map(|(&p, &q)| f64::from(p).exp() * (f64::from(p) - f64::from(q))).sum()
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len().max(1) as f64;
    values.sum::<f64>() / n
}
