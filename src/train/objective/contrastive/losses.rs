//! The two losses as functions of scores, without a model.
//!
//! Global comparison (retrieval): a positive against the negatives of its request, its other positives left out
//! of the denominator. Local comparison (ranking): items of one request against each other.

use candle_core::{Device, Tensor};

use crate::error::Result;
use crate::train::objective::preference::pairwise::softplus;

/// Added to the logit of a column that a row must not see.
const HIDDEN: f32 = -1e9;

/// A positive of a row: an entry of the scores, and what it counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Positive {
    pub(super) row: u32,
    pub(super) column: u32,
    pub(super) weight: f32,
}

/// Two items of one row of which the first got further.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    pub(super) row: u32,
    pub(super) better: u32,
    pub(super) worse: u32,
    pub(super) weight: f32,
}

fn vector(values: Vec<f32>) -> Result<Tensor> {
    let n = values.len();
    Ok(Tensor::from_vec(values, n, &Device::Cpu)?)
}

/// Entries of `scores [rows, columns]` at `(row, column)`: `[entries]`.
fn entries(scores: &Tensor, places: impl Iterator<Item = (u32, u32)>) -> Result<Tensor> {
    let columns = scores.dims2()?.1 as i64;
    let places: Vec<i64> =
        places.map(|(row, column)| i64::from(row) * columns + i64::from(column)).collect();
    Ok(scores.flatten_all()?.index_select(&Tensor::new(places, &Device::Cpu)?, 0)?)
}

/// `Σ_p w_p · −log( e^{z_p} / (e^{z_p} + Σ_{j ∈ N(row)} e^{z_j}) )` (in the notation of a softmax over sampled items
/// with several positives).
///
/// Shapes: `logits [rows, columns]`; `is_negative(row, column)` says what is in `N(row)`; result a scalar. There is at
/// least one positive.
pub(super) fn global(
    logits: &Tensor,
    is_negative: impl Fn(usize, usize) -> bool,
    positives: &[Positive],
) -> Result<Tensor> {
    let (rows, columns) = logits.dims2()?;
    let mut mask = vec![HIDDEN; rows * columns];
    for (place, mask) in mask.iter_mut().enumerate() {
        if is_negative(place / columns, place % columns) {
            *mask = 0.0;
        }
    }
    let mask = Tensor::from_vec(mask, (rows, columns), &Device::Cpu)?;
    let negatives = (logits + mask)?.log_sum_exp(1)?;
    let owners: Vec<u32> = positives.iter().map(|positive| positive.row).collect();
    let negatives = negatives.index_select(&Tensor::new(owners, &Device::Cpu)?, 0)?;
    let own = entries(logits, positives.iter().map(|p| (p.row, p.column)))?;
    let weights = vector(positives.iter().map(|positive| positive.weight).collect())?;
    Ok((softplus(&(negatives - own)?)? * weights)?.sum_all()?)
}

/// `Σ_{(a, b)} w_ab · log(1 + e^{−(s_a − s_b) / τ})`; there is at least one pair.
///
/// Shapes: `scores [rows, columns]`, result a scalar.
pub(super) fn pairwise(scores: &Tensor, pairs: &[Pair], temperature: f64) -> Result<Tensor> {
    let better = entries(scores, pairs.iter().map(|pair| (pair.row, pair.better)))?;
    let worse = entries(scores, pairs.iter().map(|pair| (pair.row, pair.worse)))?;
    let weights = vector(pairs.iter().map(|pair| pair.weight).collect())?;
    Ok((softplus(&((worse - better)? / temperature)?)? * weights)?.sum_all()?)
}

/// What swapping two items changes in NDCG: `|(2^a − 2^b)(1/log2(1 + π_a) − 1/log2(1 + π_b))| / IDCG` for all pairs
/// `(a, b)` of the items of one request with `levels[a] > levels[b]`, as `(a, b, weight)`; `π` is the rank by `scores`,
/// gains are `2^level − 1`.
pub(super) fn lambdas(scores: &[f32], levels: &[u32]) -> Vec<(usize, usize, f32)> {
    let n = scores.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let discount = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
    let mut discounts = vec![0.0; n];
    for (rank, item) in order.into_iter().enumerate() {
        discounts[item] = discount(rank);
    }
    let gain = |level: u32| f64::from(level).exp2() - 1.0;
    let mut best = levels.to_vec();
    best.sort_unstable_by(|a, b| b.cmp(a));
    let ideal: f64 = best.iter().enumerate().map(|(rank, l)| gain(*l) * discount(rank)).sum();
    let mut pairs = Vec::new();
    for a in 0..n {
        for b in 0..n {
            if levels[a] > levels[b] {
                let gains = gain(levels[a]) - gain(levels[b]);
                let weight = (gains * (discounts[a] - discounts[b])).abs() / ideal;
                pairs.push((a, b, weight as f32));
            }
        }
    }
    pairs
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::Var;

    use super::*;

    fn row(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, (1, values.len()), &Device::Cpu).unwrap()
    }

    fn assert_value(got: &Tensor, expected: f32) {
        let got = got.to_scalar::<f32>().unwrap();
        assert!((got - expected).abs() < 1e-5, "{got} against {expected}");
    }

    fn positive(row: u32, column: u32, weight: f32) -> Positive {
        Positive { row, column, weight }
    }

    #[test]
    fn global_loss_of_hand_worked_scores() {
        let scores = [0.8f32, 0.7, 0.2, -0.1];
        let first = [positive(0, 0, 1.0)];
        for (temperature, expected) in [(0.05, 0.126_933), (0.1, 0.315_162)] {
            let logits = row(&scores.map(|s| s / temperature));
            assert_value(&global(&logits, |_, c| c != 0, &first).unwrap(), expected);
        }
        let q = [0.01f32, 0.05, 0.001, 0.001];
        let logits: Vec<f32> = scores.iter().zip(q).map(|(s, q)| s / 0.1 - q.ln()).collect();
        assert_value(&global(&row(&logits), |_, c| c != 0, &first).unwrap(), 0.094_944);
    }

    #[test]
    fn other_positives_stay_out_of_the_denominator() {
        let logits = row(&[2.0, 1.0, 0.5, -1.0]);
        let both = [positive(0, 0, 1.0), positive(0, 1, 1.0)];
        assert_value(&global(&logits, |_, c| c > 1, &both).unwrap(), 0.796_268);
        let weighted = [positive(0, 0, 2.0)];
        let one = global(&logits, |_, c| c > 1, &both[..1]).unwrap().to_scalar::<f32>().unwrap();
        assert_value(&global(&logits, |_, c| c > 1, &weighted).unwrap(), 2.0 * one);
        // Without a negative there is nothing to lose.
        assert_value(&global(&logits, |_, _| false, &both).unwrap(), 0.0);
    }

    fn all_pairs(levels: &[u32], weight: f32) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for a in 0..levels.len() as u32 {
            for b in 0..levels.len() as u32 {
                if levels[a as usize] > levels[b as usize] {
                    pairs.push(Pair { row: 0, better: a, worse: b, weight });
                }
            }
        }
        pairs
    }

    #[test]
    fn local_losses_of_hand_worked_scores() {
        let (scores, levels) = ([0.6f32, 0.5, 0.55, 0.1], [3u32, 2, 1, 0]);
        let pairs = all_pairs(&levels, 1.0 / 6.0);
        assert_value(&pairwise(&row(&scores), &pairs, 0.1).unwrap(), 0.299_555);
        let weighted: Vec<Pair> = lambdas(&scores, &levels)
            .into_iter()
            .map(|(a, b, weight)| Pair { row: 0, better: a as u32, worse: b as u32, weight })
            .collect();
        assert_eq!(weighted.len(), 6);
        assert_value(&pairwise(&row(&scores), &weighted, 0.1).unwrap(), 0.209_113);
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let values = [0.6f32, -0.5, 0.55, 0.1, 0.3, 0.2, -0.4, 0.9];
        let negatives = |row: usize, column: usize| (row + column) % 3 == 2;
        let positives = [positive(0, 0, 1.0), positive(0, 1, 0.5), positive(1, 3, 2.0)];
        let pairs = [
            Pair { row: 0, better: 2, worse: 1, weight: 1.0 },
            Pair { row: 1, better: 0, worse: 3, weight: 0.3 },
        ];
        let loss = |scores: &Tensor| {
            let global = global(&(scores / 0.3).unwrap(), negatives, &positives).unwrap();
            (global + pairwise(scores, &pairs, 0.2).unwrap()).unwrap()
        };
        let tensor = |values: &[f32]| Tensor::from_slice(values, (2, 4), &Device::Cpu).unwrap();
        let var = Var::from_tensor(&tensor(&values)).unwrap();
        let store = loss(var.as_tensor()).backward().unwrap();
        let got = store.get(&var).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for entry in 0..values.len() {
            let shifted = |by: f32| {
                let mut values = values;
                values[entry] += by;
                loss(&tensor(&values)).to_scalar::<f32>().unwrap()
            };
            let slope = (shifted(1e-2) - shifted(-1e-2)) / 2e-2;
            assert!((got[entry] - slope).abs() < 2e-2, "entry {entry}: {} {slope}", got[entry]);
        }
    }
}
