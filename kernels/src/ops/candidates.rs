//! Cross-entropy against soft targets over a few candidates per row: what may follow at some place, and how probable each
//! of it should be.
//!
//! `loss(p) = − Σ_j t_j ln softmax(hidden[row(p)] · table[token(p, j)])_j`. The softmax is over the candidates of the place
//! alone, so that nothing has to be learnt about tokens that cannot follow there. Only candidates are computed.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::cpu::{gradients, with_slices};
use super::operation::{Passes, not_on_a_gpu, operation};
use super::simd::{axpy, dot, log_sum_exp};

const NAME: &str = "candidate-cross-entropy";

/// Candidates of some places: for each the row of hidden states that predicts it, and tokens with their targets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Candidates {
    /// Row of every place, `[places]`.
    rows: Vec<u32>,
    /// Where the candidates of every place end, `[places]`.
    ends: Vec<usize>,
    tokens: Vec<u32>,
    targets: Vec<f32>,
}

impl Candidates {
    /// Adds a place that `row` predicts, with its tokens and the probability that each should have. Targets need not sum to
    /// one: a place counts as much as their sum.
    pub fn push(&mut self, row: u32, candidates: impl IntoIterator<Item = (u32, f32)>) {
        for (token, target) in candidates {
            self.tokens.push(token);
            self.targets.push(target);
        }
        self.rows.push(row);
        self.ends.push(self.tokens.len());
    }

    /// Places.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The same, whose tokens are counted from `first`: rows of a part of a table.
    ///
    /// # Errors
    /// When a token lies before it.
    pub fn counted_from(mut self, first: u32) -> Result<Self> {
        for token in &mut self.tokens {
            match token.checked_sub(first) {
                Some(shifted) => *token = shifted,
                None => bail!("{NAME}: token {token} lies before {first}"),
            }
        }
        Ok(self)
    }

    fn at(&self, place: usize) -> (&[u32], &[f32]) {
        let begin = if place == 0 { 0 } else { self.ends[place - 1] };
        let range = begin..self.ends[place];
        (&self.tokens[range.clone()], &self.targets[range])
    }

    fn check(&self, rows: usize, table: usize) -> Result<()> {
        if let Some(row) = self.rows.iter().find(|&&row| row as usize >= rows) {
            bail!("{NAME}: row {row} is outside the {rows} rows of hidden states");
        }
        if let Some(token) = self.tokens.iter().find(|&&token| token as usize >= table) {
            bail!("{NAME}: token {token} is outside the table of {table}");
        }
        if (0..self.len()).any(|place| self.at(place).0.is_empty()) {
            bail!("{NAME}: a place has no candidate");
        }
        Ok(())
    }
}

/// The cross-entropy of every place, in nats.
///
/// Shapes: `hidden [n, d]`, `table [vocab, d]`, both `f32` on the CPU; result `[places]`. Differentiable in both.
///
/// # Errors
/// When shapes or types do not fit, a row or token does not exist, or a place has no candidate.
pub fn candidate_cross_entropy(
    hidden: &Tensor,
    table: &Tensor,
    candidates: Candidates,
) -> Result<Tensor> {
    let ((rows, width), (vocab, table_width)) = (hidden.dims2()?, table.dims2()?);
    if width != table_width {
        bail!("{NAME}: hidden {:?} and table {:?} do not fit", hidden.dims(), table.dims());
    }
    candidates.check(rows, vocab)?;
    let candidates = Arc::new(candidates);
    operation(
        NAME,
        [hidden, table],
        |inputs| {
            let values = with_slices(inputs, NAME, |[hidden, table]| {
                Ok(forward(&candidates, hidden, table, width))
            })?;
            let (n, candidates) = (values.len(), candidates.clone());
            Ok(Passes::new((values, n), move |inputs, g| {
                let [hidden, table] = inputs;
                let data = with_slices([hidden, table, g], NAME, |[hidden, table, g]| {
                    Ok(backward(&candidates, hidden, table, g, width))
                })?;
                gradients(data, inputs)
            }))
        },
        not_on_a_gpu(NAME),
    )
}

/// Inner products of a row of hidden states with the rows of some tokens.
fn logits(hidden: &[f32], table: &[f32], tokens: &[u32]) -> Vec<f32> {
    let width = hidden.len();
    tokens.iter().map(|&token| dot(hidden, &table[token as usize * width..][..width])).collect()
}

fn forward(candidates: &Candidates, hidden: &[f32], table: &[f32], width: usize) -> Vec<f32> {
    let value = |place: usize| {
        let (tokens, targets) = candidates.at(place);
        let row = &hidden[candidates.rows[place] as usize * width..][..width];
        let logits = logits(row, table, tokens);
        let normalizer = log_sum_exp(&logits);
        targets.iter().zip(&logits).map(|(target, logit)| target * (normalizer - logit)).sum()
    };
    (0..candidates.len()).into_par_iter().map(value).collect()
}

/// What a place adds to the gradient of a token's row: token, row of hidden states, weight.
type Share = (u32, u32, f32);

/// Gradients of `hidden` and `table`, given the gradient `g` of every place: `d loss / d logit_j = p_j Σ t − t_j`.
fn backward(
    candidates: &Candidates,
    hidden: &[f32],
    table: &[f32],
    g: &[f32],
    width: usize,
) -> [Vec<f32>; 2] {
    let of_place = |place: usize| {
        let (tokens, targets) = candidates.at(place);
        let row = &hidden[candidates.rows[place] as usize * width..][..width];
        let mut weights = logits(row, table, tokens);
        let normalizer = log_sum_exp(&weights);
        let total: f32 = targets.iter().sum();
        for (weight, target) in weights.iter_mut().zip(targets) {
            *weight = g[place] * ((*weight - normalizer).exp() * total - target);
        }
        let mut d_row = vec![0f32; width];
        for (&token, &weight) in tokens.iter().zip(&weights) {
            axpy(weight, &table[token as usize * width..][..width], &mut d_row);
        }
        (weights, d_row)
    };
    let of_places: Vec<(Vec<f32>, Vec<f32>)> =
        (0..candidates.len()).into_par_iter().map(of_place).collect();
    let mut d_hidden = vec![0f32; hidden.len()];
    // Candidates by token, so that each row of the table is summed by one thread, in the order of places.
    let mut by_token: Vec<Share> = Vec::with_capacity(candidates.tokens.len());
    for (place, (weights, d_row)) in of_places.iter().enumerate() {
        let row = candidates.rows[place];
        let at = &mut d_hidden[row as usize * width..][..width];
        at.iter_mut().zip(d_row).for_each(|(sum, x)| *sum += x);
        let (tokens, _) = candidates.at(place);
        by_token.extend(tokens.iter().zip(weights).map(|(&token, &weight)| (token, row, weight)));
    }
    by_token.par_sort_by_key(|&(token, ..)| token);
    let mut d_table = vec![0f32; table.len()];
    let mut parts: Vec<(&mut [f32], &[Share])> = Vec::new();
    let (mut rest, mut passed) = (d_table.as_mut_slice(), 0);
    for group in by_token.chunk_by(|a, b| a.0 == b.0) {
        let token = group[0].0 as usize;
        let (_, behind) = std::mem::take(&mut rest).split_at_mut((token - passed) * width);
        let (own, behind) = behind.split_at_mut(width);
        parts.push((own, group));
        (rest, passed) = (behind, token + 1);
    }
    parts.into_par_iter().for_each(|(own, group)| {
        for &(_, row, weight) in group {
            axpy(weight, &hidden[row as usize * width..][..width], own);
        }
    });
    [d_hidden, d_table]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::D;

    use super::super::testing::{assert_same_gradients, random};
    use super::*;

    fn sample() -> Candidates {
        let mut candidates = Candidates::default();
        candidates.push(2, [(0, 0.5), (6, 0.25), (3, 0.25)]);
        candidates.push(0, [(5, 1.0)]);
        candidates.push(2, [(1, 0.0), (6, 0.7), (2, 0.2)]);
        candidates.push(1, [(4, 0.1), (0, 0.9)]);
        candidates
    }

    /// The same by candle's own operations.
    fn plain(inputs: &[Tensor], candidates: &Candidates) -> Result<Tensor> {
        let mut values = Vec::new();
        for place in 0..candidates.len() {
            let (tokens, targets) = candidates.at(place);
            let rows = inputs[1].index_select(&Tensor::new(tokens, inputs[1].device())?, 0)?;
            let hidden = inputs[0].narrow(0, candidates.rows[place] as usize, 1)?;
            let logits = hidden.matmul(&rows.t()?)?;
            let normalizer = logits.log_sum_exp(D::Minus1)?.unsqueeze(1)?;
            let targets = Tensor::new(targets, logits.device())?.unsqueeze(0)?;
            let log_probs = logits.broadcast_sub(&normalizer)?;
            values.push((log_probs * targets)?.sum_all()?.neg()?.unsqueeze(0)?);
        }
        Tensor::cat(&values, 0)
    }

    #[test]
    fn values_and_gradients_are_those_of_a_softmax_over_the_candidates() {
        let inputs = [random(&[3, 5], 1), random(&[7, 5], 2)];
        assert_same_gradients(
            &inputs,
            1e-5,
            |inputs| candidate_cross_entropy(&inputs[0], &inputs[1], sample()),
            |inputs| plain(inputs, &sample()),
        );
    }

    #[test]
    fn candidates_of_a_part_of_a_table_are_counted_from_its_first_row() {
        let (hidden, table) = (random(&[3, 5], 1), random(&[9, 5], 2));
        let mut shifted = sample();
        shifted.tokens.iter_mut().for_each(|token| *token += 2);
        let whole = candidate_cross_entropy(&hidden, &table, shifted.clone()).unwrap();
        let part = table.narrow(0, 2, 7).unwrap();
        let part = candidate_cross_entropy(&hidden, &part, shifted.counted_from(2).unwrap());
        let values = |tensor: Tensor| tensor.to_vec1::<f32>().unwrap();
        assert_eq!(values(whole), values(part.unwrap()));
        assert!(sample().counted_from(1).is_err());
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        let (hidden, table) = (random(&[3, 5], 1), random(&[7, 5], 2));
        let told = |row: u32, candidates: &[(u32, f32)]| {
            let mut one = Candidates::default();
            one.push(row, candidates.iter().copied());
            candidate_cross_entropy(&hidden, &table, one).err().unwrap().to_string()
        };
        assert!(told(3, &[(0, 1.0)]).contains("row 3 is outside the 3 rows"));
        assert!(told(0, &[(7, 1.0)]).contains("token 7 is outside the table of 7"));
        assert!(told(0, &[]).contains("no candidate"));
    }
}
