//! Item vectors from feedback alone: leading directions of the cosine matrix of who chose which items.
//!
//! `A[h, i] = sqrt(w_h) [i in h] / sqrt(d_i)` over training histories h, with `w_h = 1 / ln(1 + |h|)` or 1, |h| counting
//! different items, and `d_i = Σ_h w_h [i in h]`. `S = AᵀA` is the matrix of cosines that item-knn keeps the neighbors of
//! (unshrunk, and damped by length); its diagonal is 1. With `S ≈ V Λ Vᵀ`, item i has the vector `V_i Λ^{1/2}`: inner
//! products of vectors are the best approximation of S of that rank. This is the truncated SVD of A, `A ≈ U Λ^{1/2} Vᵀ`;
//! S itself, which is large, is never built. Items that nobody chose have vectors of zeros.
//!
//! `ppmi` has another matrix, of what stands near each other; its vectors come from the same eigenpairs.

mod eigen;
mod kind;
mod near;
mod ppmi;

use super::settings::CollaborativeSettings;
use crate::corpus::{Corpus, training_histories};
use crate::error::{Error, Result};
use crate::progress::Context;
use crate::seed::Seed;
use crate::vectors::Vectors;
use eigen::{leading, width};
pub use near::Near;
use ppmi::Ppmi;

/// Vectors of all items of a corpus, `[items, dim]`.
///
/// # Errors
/// [`Error::Data`] when the corpus cannot be read, holds nothing to count, or gives fewer directions than asked for;
/// [`Error::Interrupted`] when the user asked to stop.
pub fn fit(
    corpus: &Corpus,
    settings: &CollaborativeSettings,
    seed: Seed,
    ctx: &Context,
) -> Result<Vectors> {
    let histories = training_histories(corpus)?;
    let n_items = corpus.summary().items as usize;
    let dim = settings.dim as usize;
    let go = || ctx.check_interrupt();
    let (found, share, told, rows) = match &settings.ppmi {
        None => {
            let matrix = Matrix::new(histories, n_items, settings.length_damping);
            let found = leading(n_items, dim, seed, |x| matrix.product(x), go)?;
            let n_chosen = matrix.scales.iter().filter(|scale| **scale > 0.0).count();
            // Every chosen item adds 1 to the trace.
            let share = found.values.iter().sum::<f64>() / n_chosen.max(1) as f64;
            let told = format!("the similarity of {n_chosen} chosen items");
            let rows = matrix.rows(&found.values, &found.vectors);
            (found, share, told, rows)
        }
        Some(ppmi) => {
            let weighted = |history: Vec<u32>| {
                let weight = weight(&mut history.clone(), settings.length_damping);
                (history, weight)
            };
            let histories: Vec<(Vec<u32>, f64)> = histories.into_iter().map(weighted).collect();
            let matrix = Ppmi::new(&histories, n_items, ppmi);
            drop(histories);
            let found = leading(n_items, dim, seed, |x| matrix.product(x), go)?;
            let share = found.values.iter().sum::<f64>() / matrix.squares();
            let told = format!("the squared information of {} near items", matrix.n_informed());
            let rows = matrix.rows(&found.values, &found.vectors);
            (found, share, told, rows)
        }
    };
    let rank = found.values.len();
    if rank < dim {
        let message = format!(
            "the feedback of training gives {rank} directions, `dim` of vectors of kind collaborative is {dim}"
        );
        let help = match (rank, &settings.ppmi) {
            (0, Some(_)) => "lower `shift` of `ppmi`, or widen its `window`".into(),
            _ => format!("lower `dim` to {rank} or less"),
        };
        return Err(Error::data(corpus.folder(), message).with_help(help));
    }
    let share = 100.0 * share;
    ctx.say(format!(
        "{dim} directions hold {share:.1} % of {told} (of {n_items}); residual {:.1e}",
        found.residual
    ));
    Vectors::new(dim, rows, "collaborative vectors")
}

/// How much a history counts, which is left with its different items, ascending.
fn weight(history: &mut Vec<u32>, length_damping: bool) -> f64 {
    history.sort_unstable();
    history.dedup();
    if length_damping { 1.0 / (1.0 + history.len() as f64).ln() } else { 1.0 }
}

/// What [`fit`] holds at most beside the histories: four blocks of columns in `f64`.
pub fn peak_bytes(items: u64, dim: u64) -> u64 {
    4 * 8 * items * width(dim as usize) as u64
}

/// The matrix S, by its factors.
struct Matrix {
    /// Different items of each history, ascending, with the history's weight.
    histories: Vec<(Vec<u32>, f64)>,
    /// `1 / sqrt(d_i)`, 0 for items that nobody chose.
    scales: Vec<f64>,
}

impl Matrix {
    fn new(histories: Vec<Vec<u32>>, n_items: usize, length_damping: bool) -> Self {
        let weighted = |mut history: Vec<u32>| {
            let weight = weight(&mut history, length_damping);
            (history, weight)
        };
        let chosen = histories.into_iter().filter(|history| !history.is_empty());
        let histories: Vec<(Vec<u32>, f64)> = chosen.map(weighted).collect();
        let mut scales = vec![0.0; n_items];
        for (items, weight) in &histories {
            items.iter().for_each(|item| scales[*item as usize] += weight);
        }
        for scale in scales.iter_mut().filter(|scale| **scale > 0.0) {
            *scale = 1.0 / scale.sqrt();
        }
        Self { histories, scales }
    }

    fn n_items(&self) -> usize {
        self.scales.len()
    }

    /// `S x`, `[items]`.
    fn product(&self, x: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; x.len()];
        for (items, weight) in &self.histories {
            let of = |item: &u32| self.scales[*item as usize] * x[*item as usize];
            let sum = weight * items.iter().map(of).sum::<f64>();
            items.iter().for_each(|item| sums[*item as usize] += sum);
        }
        sums.iter_mut().zip(&self.scales).for_each(|(sum, scale)| *sum *= scale);
        sums
    }

    /// `V Λ^{1/2}`, row by row; what nobody chose is 0 to the bit.
    fn rows(&self, values: &[f64], vectors: &[Vec<f64>]) -> Vec<f32> {
        let mut data = Vec::with_capacity(self.n_items() * values.len());
        for (item, scale) in self.scales.iter().enumerate() {
            let chosen = f64::from(u8::from(*scale > 0.0));
            let pairs = values.iter().zip(vectors);
            data.extend(pairs.map(|(value, vector)| (chosen * value.sqrt() * vector[item]) as f32));
        }
        data
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::eigen::symmetric;
    use super::*;
    use crate::corpus::build;
    use crate::corpus::kinds::CorpusSettings;
    use crate::corpus::settings::SimulatorSettings;

    /// S by its definition, `[items, items]`.
    fn dense(histories: &[Vec<u32>], n: usize, damped: bool) -> Vec<f64> {
        let mut together = vec![0.0; n * n];
        for history in histories {
            let mut items = history.clone();
            items.sort_unstable();
            items.dedup();
            let weight = if damped { 1.0 / (1.0 + items.len() as f64).ln() } else { 1.0 };
            for a in &items {
                for b in &items {
                    together[*a as usize * n + *b as usize] += weight;
                }
            }
        }
        let own: Vec<f64> = (0..n).map(|i| together[i * n + i]).collect();
        let cosine = |at: usize| {
            let norm = (own[at / n] * own[at % n]).sqrt();
            if norm > 0.0 { together[at] / norm } else { 0.0 }
        };
        (0..n * n).map(cosine).collect()
    }

    fn histories() -> Vec<Vec<u32>> {
        // Item 13 is chosen by nobody; 11 and 12 are repeated within a history.
        (0..40u32)
            .map(|user| {
                let n = 2 + user % 5;
                let item = |place: u32| (user * user + place * (1 + user % 3)) % 13;
                let mut items: Vec<u32> = (0..n).map(item).collect();
                items.extend([11, 11].iter().take((user % 3) as usize));
                items
            })
            .chain([Vec::new()])
            .collect()
    }

    #[test]
    fn vectors_are_the_best_approximation_of_the_cosines() {
        let (n, dim) = (14, 4);
        for damped in [false, true] {
            let cosines = dense(&histories(), n, damped);
            let matrix = Matrix::new(histories(), n, damped);
            let unit = |i: usize| (0..n).map(|j| f64::from(u8::from(i == j))).collect::<Vec<_>>();
            for i in 0..n {
                for (a, b) in matrix.product(&unit(i)).iter().zip(&cosines[i * n..]) {
                    assert!((a - b).abs() < 1e-12, "{a} {b}");
                }
            }
            let go = || Ok(());
            let found = leading(n, dim, Seed::new(3), |x| matrix.product(x), go).unwrap();
            let rows = matrix.rows(&found.values, &found.vectors);
            let (values, columns) = symmetric(cosines, n);
            for a in 0..n {
                for b in 0..n {
                    let best: f64 =
                        (0..dim).map(|k| values[k] * columns[a * n + k] * columns[b * n + k]).sum();
                    let (a, b) = (&rows[a * dim..][..dim], &rows[b * dim..][..dim]);
                    let inner: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum();
                    assert!((inner - best).abs() < 1e-5, "{inner} {best}");
                }
            }
            assert!(rows[13 * dim..].iter().all(|x| *x == 0.0));
        }
    }

    #[test]
    fn cosines_worked_by_hand() {
        // {0, 1}, {0, 1}, {0}: cosine 2 / sqrt 6, so eigenvalues 1 ± 2 / sqrt 6 with directions (1, ±1) / sqrt 2.
        let matrix = Matrix::new(vec![vec![1, 0], vec![0, 1, 1], vec![0]], 3, false);
        let cosine = 2.0 / 6f64.sqrt();
        let found = leading(3, 2, Seed::new(1), |x| matrix.product(x), || Ok(())).unwrap();
        assert!((found.values[0] - (1.0 + cosine)).abs() < 1e-9);
        assert!((found.values[1] - (1.0 - cosine)).abs() < 1e-9);
        let rows = matrix.rows(&found.values, &found.vectors);
        let long = ((1.0 + cosine) / 2.0).sqrt();
        assert!(
            (f64::from(rows[0]) - long).abs() < 1e-6 && (f64::from(rows[2]) - long).abs() < 1e-6
        );
        assert_eq!(rows[4..], [0.0, 0.0]);
    }

    #[test]
    fn a_shop_gives_vectors_and_says_what_is_too_wide() {
        let folder = tempfile::tempdir().unwrap();
        let shop = SimulatorSettings {
            items: 120,
            users: 15,
            requests: 400,
            days: 8,
            ..SimulatorSettings::default()
        };
        let settings = CorpusSettings::Simulator(shop);
        build(&settings, Seed::new(3), folder.path(), &Context::silent()).unwrap();
        let corpus = Corpus::open(folder.path()).unwrap();
        let fit = |dim| {
            let settings = CollaborativeSettings { dim, ..CollaborativeSettings::default() };
            fit(&corpus, &settings, Seed::new(5), &Context::silent())
        };
        let vectors = fit(4).unwrap();
        assert_eq!((vectors.len(), vectors.dim), (120, 4));
        assert!(vectors.rows().any(|row| row.iter().any(|x| *x != 0.0)));
        for row in vectors.rows() {
            // The diagonal of S is 1, and what is left out is not negative.
            assert!(row.iter().map(|x| x * x).sum::<f32>() <= 1.0 + 1e-4);
        }
        assert_eq!(fit(4).unwrap(), vectors);
        let text = fit(100).unwrap_err().to_string();
        assert!(
            text.contains("directions, `dim` of vectors of kind collaborative is 100"),
            "{text}"
        );
        assert!(text.contains("lower `dim` to"), "{text}");
    }
}
