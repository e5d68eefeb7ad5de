//! Losses of predicted positions: differentiable functions of states, item vectors and targets.
//!
//! `states [rows, dim]` are what positions are known by, `items [n_items, dim]` the vectors of all items, `targets [rows]` the
//! items that follow, `negatives [k]` items drawn uniformly that all rows share, of which only the vectors are read. A score is an inner product. Every
//! loss is summed over the rows. A negative that is a row's own target is left out of that row's loss.

use candle_core::{Device, Result, Tensor};
use trieval_kernels::ops::{linear, token_log_probs_at};

use crate::train::objective::preference::pairwise::softplus;

/// Stands for a score of minus infinity whose gradient is zero and not undefined.
const NEVER: f32 = -1e9;

/// `−Σ log softmax(s)[target]` over all items.
///
/// # Errors
/// When shapes do not fit or an item does not exist.
pub(super) fn full_softmax(states: &Tensor, items: &Tensor, targets: &[u32]) -> Result<Tensor> {
    let rows: Vec<u32> = (0..targets.len() as u32).collect();
    token_log_probs_at(states, items, &rows, targets)?.sum_all()?.neg()
}

/// `Σ −s⁺ + log(exp s⁺ + Σ⁻ exp(s⁻ − log Q))`, where `Q = k / (N − 1)` is how often an item that is not the target is
/// expected among the `k` negatives of the row: the sum over the negatives then estimates that over all of them, without
/// bias. The target is always there, so its own `Q` is 1 (arXiv:1412.2007, equation 9; Bengio and Senécal 2008,
/// doi:10.1109/TNN.2007.912312).
///
/// # Errors
/// When shapes do not fit or an item does not exist.
pub(super) fn sampled_softmax(
    scores: Scores,
    n_items: usize,
    targets: &[u32],
    negatives: &[u32],
) -> Result<Tensor> {
    let others = n_items as f64 - 1.0;
    let mut correction = Vec::with_capacity(targets.len() * negatives.len());
    for target in targets {
        let n_hits = negatives.iter().filter(|negative| *negative == target).count();
        let minus_log_q = (others / (negatives.len() - n_hits).max(1) as f64).ln() as f32;
        correction.extend(
            negatives.iter().map(|negative| if negative == target { NEVER } else { minus_log_q }),
        );
    }
    let correction = Tensor::from_vec(correction, (targets.len(), negatives.len()), &Device::Cpu)?;
    let positive = scores.positive.unsqueeze(1)?;
    let all = Tensor::cat(&[&positive, &(scores.negative + correction)?], 1)?;
    (all.log_sum_exp(1)? - scores.positive)?.sum_all()
}

/// `−Σ 1/(k+1) (β log σ(s⁺) + Σ⁻ log(1 − σ(s⁻)))` (arXiv:2308.07192, equation 6).
///
/// # Errors
/// When shapes do not fit or an item does not exist.
pub(super) fn gbce(
    scores: &Scores,
    targets: &[u32],
    negatives: &[u32],
    beta: f64,
) -> Result<Tensor> {
    let counts = targets
        .iter()
        .flat_map(|target| negatives.iter().map(move |one| f32::from(u8::from(one != target))));
    let counts = Tensor::from_vec(
        counts.collect::<Vec<f32>>(),
        (targets.len(), negatives.len()),
        &Device::Cpu,
    )?;
    gbce_of_scores(&scores.positive, &scores.negative, &counts, beta)
}

/// [`gbce`] of scores `[rows]` and `[rows, k]`; `counts [rows, k]` is 0 for a negative that is left out, else 1.
fn gbce_of_scores(
    positive: &Tensor,
    negative: &Tensor,
    counts: &Tensor,
    beta: f64,
) -> Result<Tensor> {
    let k = negative.dims2()?.1 as f64;
    let positive = (softplus(&positive.neg()?)?.sum_all()? * beta)?;
    let negative = (softplus(negative)? * counts)?.sum_all()?;
    (positive + negative)? / (k + 1.0)
}

/// Exponent of the positive's probability, `β = α (t (1 − 1/α) + 1/α)` with the sampling rate `α = k / (N − 1)`
/// (arXiv:2308.07192, equation 10).
pub(super) fn gbce_beta(n_items: usize, negatives: u32, calibration: f64) -> f64 {
    let alpha = f64::from(negatives) / (n_items as f64 - 1.0);
    alpha * (calibration * (1.0 - 1.0 / alpha) + 1.0 / alpha)
}

/// Scores of targets `[rows]` and of shared negatives `[rows, k]`.
pub(super) struct Scores {
    positive: Tensor,
    negative: Tensor,
}

impl Scores {
    /// `targets [rows, dim]` and `negatives [k, dim]` are the vectors of those items.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub(super) fn new(states: &Tensor, targets: &Tensor, negatives: &Tensor) -> Result<Self> {
        Ok(Self { positive: (states * targets)?.sum(1)?, negative: linear(states, negatives)? })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::Var;
    use candle_nn::ops::{log_softmax, sigmoid};
    use trieval_kernels::ops::embedding;

    use super::*;
    use crate::model::decoder::normal;
    use crate::seed::Seed;

    const ROWS: usize = 5;
    const ITEMS: usize = 9;
    const DIM: usize = 4;
    const TARGETS: [u32; ROWS] = [0, 8, 3, 3, 5];

    fn random(shape: (usize, usize), seed: u64) -> Tensor {
        let values = normal(shape.0 * shape.1, 0.8, Seed::new(seed));
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn flat(x: &Tensor) -> Vec<f32> {
        x.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn scalar(x: &Tensor) -> f64 {
        f64::from(x.to_scalar::<f32>().unwrap())
    }

    fn assert_close(what: &str, a: &[f32], b: &[f32], tolerance: f32) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < tolerance, "{what}: {a} against {b}");
        }
    }

    /// Compares value and gradients with a plain composition, and the gradients with central differences.
    fn assert_same(
        what: &str,
        ours: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
        plain: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
    ) {
        let inputs = [random((ROWS, DIM), 1), random((ITEMS, DIM), 2)];
        let vars = inputs.each_ref().map(|x| Var::from_tensor(x).unwrap());
        let gradients = |loss: Tensor| {
            let store = loss.backward().unwrap();
            vars.each_ref().map(|var| flat(store.get(var).expect("a gradient")))
        };
        let (a, b) = (ours(&vars[0], &vars[1]).unwrap(), plain(&vars[0], &vars[1]).unwrap());
        assert!((scalar(&a) - scalar(&b)).abs() < 1e-4, "{what}: {a} against {b}");
        let (a, b) = (gradients(a), gradients(b));
        for i in 0..2 {
            assert_close(what, &a[i], &b[i], 1e-4);
            for entry in 0..inputs[i].elem_count() {
                let value = |step: f32| {
                    let mut moved = inputs.clone();
                    let mut values = flat(&inputs[i]);
                    values[entry] += step;
                    moved[i] = Tensor::from_vec(values, inputs[i].shape(), &Device::Cpu).unwrap();
                    scalar(&ours(&moved[0], &moved[1]).unwrap())
                };
                let slope = (value(1e-2) - value(-1e-2)) / 2e-2;
                assert!((slope - f64::from(a[i][entry])).abs() < 5e-3, "{what}, {i}, {entry}");
            }
        }
    }

    fn scores(states: &Tensor, items: &Tensor, targets: &[u32], negatives: &[u32]) -> Scores {
        let rows = |ids: &[u32]| {
            embedding(&Tensor::from_slice(ids, ids.len(), &Device::Cpu).unwrap(), items).unwrap()
        };
        Scores::new(states, &rows(targets), &rows(negatives)).unwrap()
    }

    fn one_hot(targets: &[u32]) -> Tensor {
        let hot = targets
            .iter()
            .flat_map(|t| (0..ITEMS as u32).map(move |i| f32::from(u8::from(i == *t))));
        Tensor::from_vec(hot.collect::<Vec<_>>(), (targets.len(), ITEMS), &Device::Cpu).unwrap()
    }

    fn plain_full(states: &Tensor, items: &Tensor) -> Result<Tensor> {
        let log_probs = log_softmax(&states.matmul(&items.t()?)?, 1)?;
        (log_probs * one_hot(&TARGETS))?.sum_all()?.neg()
    }

    #[test]
    fn full_softmax_is_the_cross_entropy() {
        assert_same("full", |s, e| full_softmax(s, e, &TARGETS), plain_full);
    }

    #[test]
    fn sampling_every_other_item_once_is_the_cross_entropy() {
        // With every item drawn once, a row's own target is left out and the others stand for themselves.
        let all: Vec<u32> = (0..ITEMS as u32).collect();
        assert_same(
            "sampled",
            |s, e| sampled_softmax(scores(s, e, &TARGETS, &all), ITEMS, &TARGETS, &all),
            plain_full,
        );
        // Twice each: every draw counts half.
        let twice = [all.clone(), all].concat();
        assert_same(
            "twice",
            |s, e| sampled_softmax(scores(s, e, &TARGETS, &twice), ITEMS, &TARGETS, &twice),
            plain_full,
        );
    }

    #[test]
    fn sampled_softmax_by_hand() {
        // s⁺ = 0.5; negatives 1.0 and −1.0 of 11 items, so each stands for 5.
        let states = Tensor::new(&[[1f32]], &Device::Cpu).unwrap();
        let mut vectors = vec![0f32; 11];
        (vectors[0], vectors[1], vectors[2]) = (0.5, 1.0, -1.0);
        let items = Tensor::from_vec(vectors, (11, 1), &Device::Cpu).unwrap();
        let expected = (0.5f64.exp() + 5.0 * (1f64.exp() + (-1f64).exp())).ln() - 0.5;
        let loss = |negatives: &[u32]| {
            let scores = scores(&states, &items, &[0], negatives);
            scalar(&sampled_softmax(scores, 11, &[0], negatives).unwrap())
        };
        assert!((loss(&[1, 2]) - expected).abs() < 1e-5);
        // A draw of the target itself changes nothing.
        assert!((loss(&[1, 0, 2]) - expected).abs() < 1e-5);
        // Nothing else was drawn: nothing is learnt.
        assert!(loss(&[0]).abs() < 1e-6);
    }

    #[test]
    fn gbce_of_the_published_setting_by_hand() {
        assert!((256.0 / 9_999.0 - 0.025603f64).abs() < 1e-6);
        assert!((gbce_beta(10_000, 256, 0.75) - 0.269202).abs() < 1e-6);
        assert!((gbce_beta(10_000, 256, 0.0) - 1.0).abs() < 1e-12, "plain cross-entropy");
        assert!((gbce_beta(10_000, 256, 1.0) - 256.0 / 9_999.0).abs() < 1e-12, "the sampling rate");
        let tensor = |values: &[f32], shape: &[usize]| {
            Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
        };
        let loss = gbce_of_scores(
            &tensor(&[1.3], &[1]),
            &tensor(&[0.2, -0.5], &[1, 2]),
            &tensor(&[1.0, 1.0], &[1, 2]),
            0.3,
        );
        assert!((scalar(&loss.unwrap()) - 0.448173).abs() < 1e-5);
    }

    #[test]
    fn gbce_equals_its_definition() {
        // Item 3 is drawn, and is the target of two rows.
        let negatives = [1u32, 3, 7, 7];
        let plain = |states: &Tensor, items: &Tensor| {
            let p = sigmoid(&states.matmul(&items.t()?)?)?;
            let positive = (p.log()? * one_hot(&TARGETS))?.sum_all()?;
            let mut sum = (positive * 0.4)?;
            let others = (1.0 - one_hot(&TARGETS))?;
            for negative in negatives {
                let chosen = one_hot(&[negative; ROWS]);
                let term = (((1.0 - &p)?.log()? * chosen)? * &others)?;
                sum = (sum + term.sum_all()?)?;
            }
            sum.neg()? / 5.0
        };
        let ours = |s: &Tensor, e: &Tensor| {
            gbce(&scores(s, e, &TARGETS, &negatives), &TARGETS, &negatives, 0.4)
        };
        assert_same("gbce", ours, plain);
    }
}
