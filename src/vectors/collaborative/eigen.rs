//! Leading eigenpairs of a symmetric positive semi-definite matrix that is known by its products alone.
//!
//! Orthogonal iteration from a random start, with a Rayleigh–Ritz step: the randomized subspace iteration of Halko,
//! Martinsson and Tropp (arXiv:0909.4061, algorithm 4.4), repeated until the leading pairs stand still. The small dense
//! problem is solved by Jacobi's rotations. Work is divided by columns and never within a sum, so that threads change no
//! bit.

use rayon::prelude::*;

use crate::error::Result;
use crate::model::decoder::normal;
use crate::seed::Seed;

/// Columns beside those that are asked for: they take up what is not wanted, so that the wanted ones settle sooner.
const OVERSAMPLE: usize = 16;
/// Products between two Rayleigh–Ritz steps.
const BETWEEN_CHECKS: usize = 4;
/// Rayleigh–Ritz steps at most: directions whose eigenvalues are nearly equal turn into each other without end, and any
/// of them serves.
const MAX_CHECKS: usize = 12;
/// A pair has settled when `|A v - λ v|` is below this share of the largest eigenvalue.
const TOLERANCE: f64 = 1e-7;
/// Share of its length below which what is left of a column is rounding.
const DEPENDENT: f64 = 1e-10;
/// Entries that a thread takes at once; each is computed for itself.
const CHUNK: usize = 4_096;
/// Sweeps of Jacobi's rotations at most; some ten are needed.
const MAX_SWEEPS: usize = 60;

/// Eigenpairs, the largest value first.
pub(super) struct Eigenpairs {
    pub(super) values: Vec<f64>,
    /// One per value, `[n]` each, of unit length.
    pub(super) vectors: Vec<Vec<f64>>,
    /// The largest `|A v - λ v|` as a share of the largest value.
    pub(super) residual: f64,
}

/// The `k` leading eigenpairs of the matrix `[n, n]` behind `product`; fewer where its rank is lower. `check` is asked
/// before every product whether to go on.
///
/// # Errors
/// Those of `check`.
pub(super) fn leading(
    n: usize,
    k: usize,
    seed: Seed,
    product: impl Fn(&[f64]) -> Vec<f64> + Sync,
    mut check: impl FnMut() -> Result<()>,
) -> Result<Eigenpairs> {
    let width = n.min(width(k));
    let start = |column: usize| -> Vec<f64> {
        normal(n, 1.0, seed.index(column as u64)).into_iter().map(f64::from).collect()
    };
    let mut basis = orthonormal((0..width).into_par_iter().map(start).collect());
    let mut found = Eigenpairs { values: Vec::new(), vectors: Vec::new(), residual: 0.0 };
    for _ in 0..MAX_CHECKS {
        let mut images = Vec::new();
        for step in 0..BETWEEN_CHECKS {
            check()?;
            if step > 0 {
                basis = orthonormal(images);
            }
            images = basis.par_iter().map(|column| product(column)).collect();
        }
        let n_columns = basis.len();
        let small: Vec<f64> = (0..n_columns * n_columns)
            .into_par_iter()
            .map(|at| dot(&basis[at / n_columns], &images[at % n_columns]))
            .collect();
        let (values, rotation) = symmetric(small, n_columns);
        let largest = values.first().copied().unwrap_or(0.0);
        let n_kept = values.iter().take(k).filter(|value| **value > DEPENDENT * largest).count();
        let (vectors, turned) = (mixed(&basis, &rotation), mixed(&images, &rotation));
        let residual = (0..n_kept).into_par_iter().map(|pair| {
            let two = turned[pair].iter().zip(&vectors[pair]);
            two.map(|(image, x)| (image - values[pair] * x).powi(2)).sum::<f64>().sqrt() / largest
        });
        let residual = residual.collect::<Vec<f64>>().into_iter().fold(0.0, f64::max);
        found = Eigenpairs {
            values: values[..n_kept].to_vec(),
            vectors: vectors.into_iter().take(n_kept).collect(),
            residual,
        };
        if residual <= TOLERANCE {
            break;
        }
        basis = orthonormal(turned);
    }
    // Either sign is right: the largest entry is to be positive, the first of equals.
    for vector in &mut found.vectors {
        let largest =
            vector.iter().fold(0.0, |most: f64, x| if x.abs() > most.abs() { *x } else { most });
        if largest < 0.0 {
            vector.iter_mut().for_each(|x| *x = -*x);
        }
    }
    Ok(found)
}

/// Columns that `k` pairs are looked for with.
pub(super) fn width(k: usize) -> usize {
    k + OVERSAMPLE.max(k / 4)
}

/// Orthonormal columns of the same span, by Gram and Schmidt, twice (which is enough); dependent columns are left out.
fn orthonormal(columns: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(columns.len());
    for mut column in columns {
        let before = dot(&column, &column).sqrt();
        for _ in 0..2 {
            let shares: Vec<f64> = basis.par_iter().map(|other| dot(other, &column)).collect();
            column.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, part)| {
                for (other, share) in basis.iter().zip(&shares) {
                    let other = &other[chunk * CHUNK..][..part.len()];
                    part.iter_mut().zip(other).for_each(|(x, y)| *x -= share * y);
                }
            });
        }
        let length = dot(&column, &column).sqrt();
        if length > DEPENDENT * before {
            column.iter_mut().for_each(|x| *x /= length);
            basis.push(column);
        }
    }
    basis
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Columns `Σ_i columns_i rotation[i, j]`.
fn mixed(columns: &[Vec<f64>], rotation: &[f64]) -> Vec<Vec<f64>> {
    let width = columns.len();
    let mix = |j: usize| {
        let mut sum = vec![0.0; columns.first().map_or(0, Vec::len)];
        for (i, column) in columns.iter().enumerate() {
            let share = rotation[i * width + j];
            sum.iter_mut().zip(column).for_each(|(sum, x)| *sum += share * x);
        }
        sum
    };
    (0..width).into_par_iter().map(mix).collect()
}

/// Eigenvalues of a symmetric matrix `[n, n]`, the largest first, and eigenvectors as the columns of `[n, n]`: Jacobi's
/// cyclic rotations (Golub and Van Loan, section 8.5). Of the matrix, the mean with its transpose is taken.
pub(super) fn symmetric(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    for i in 0..n {
        for j in 0..i {
            let mean = (a[i * n + j] + a[j * n + i]) / 2.0;
            (a[i * n + j], a[j * n + i]) = (mean, mean);
        }
    }
    // Eigenvectors lie in rows here: rotations then run along memory.
    let mut v = vec![0.0; n * n];
    (0..n).for_each(|i| v[i * n + i] = 1.0);
    let total: f64 = dot(&a, &a);
    for _ in 0..MAX_SWEEPS {
        let outside: f64 = (0..n).map(|i| dot(&a[i * n..i * n + i], &a[i * n..i * n + i])).sum();
        if outside <= total * f64::EPSILON.powi(2) {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, n, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j * n + j].total_cmp(&a[i * n + i]).then(i.cmp(&j)));
    let values = order.iter().map(|&i| a[i * n + i]).collect();
    let mut columns = vec![0.0; n * n];
    for (to, &from) in order.iter().enumerate() {
        (0..n).for_each(|row| columns[row * n + to] = v[from * n + row]);
    }
    (values, columns)
}

/// One rotation, which makes `a[p, q]` zero.
fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let off = a[p * n + q];
    if off == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * off);
    let sign = if theta < 0.0 { -1.0 } else { 1.0 };
    let t = sign / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for i in 0..n {
        let (x, y) = (a[i * n + p], a[i * n + q]);
        (a[i * n + p], a[i * n + q]) = (c * x - s * y, s * x + c * y);
    }
    for i in 0..n {
        let (x, y) = (a[p * n + i], a[q * n + i]);
        (a[p * n + i], a[q * n + i]) = (c * x - s * y, s * x + c * y);
        let (x, y) = (v[p * n + i], v[q * n + i]);
        (v[p * n + i], v[q * n + i]) = (c * x - s * y, s * x + c * y);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// `B Bᵀ` of random columns, the later ones shorter.
    fn gram(n: usize, rank: usize) -> Vec<f64> {
        let columns: Vec<Vec<f64>> = (0..rank)
            .map(|i| {
                let column = normal(n, 0.8f64.powi(i as i32), Seed::new(9).index(i as u64));
                column.into_iter().map(f64::from).collect()
            })
            .collect();
        let entry = |at: usize| columns.iter().map(|c| c[at / n] * c[at % n]).sum();
        (0..n * n).map(entry).collect()
    }

    fn product(a: &[f64], x: &[f64]) -> Vec<f64> {
        a.chunks_exact(x.len()).map(|row| dot(row, x)).collect()
    }

    #[test]
    fn jacobi_solves_what_can_be_solved_by_hand() {
        let (values, columns) = symmetric(vec![2.0, 1.0, 1.0, 2.0], 2);
        assert!((values[0] - 3.0).abs() < 1e-12 && (values[1] - 1.0).abs() < 1e-12);
        let half = 0.5f64.sqrt();
        assert!((columns[0].abs() - half).abs() < 1e-12 && (columns[0] - columns[2]).abs() < 1e-12);
        assert_eq!(symmetric(vec![4.0], 1), (vec![4.0], vec![1.0]));
        assert_eq!(symmetric(vec![1.0, 0.0, 0.0, 5.0], 2).0, [5.0, 1.0]);
    }

    #[test]
    fn jacobi_gives_orthonormal_eigenvectors() {
        let n = 30;
        let a = gram(n, n);
        let (values, columns) = symmetric(a.clone(), n);
        let column = |j: usize| -> Vec<f64> { (0..n).map(|i| columns[i * n + j]).collect() };
        for j in 0..n {
            let v = column(j);
            let image = product(&a, &v);
            for (image, x) in image.iter().zip(&v) {
                assert!((image - values[j] * x).abs() < 1e-9 * values[0]);
            }
            for i in 0..n {
                let expected = f64::from(u8::from(i == j));
                assert!((dot(&column(i), &v) - expected).abs() < 1e-10);
            }
        }
        assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
        let trace: f64 = (0..n).map(|i| a[i * n + i]).sum();
        assert!((values.iter().sum::<f64>() - trace).abs() < 1e-9 * trace);
    }

    #[test]
    fn leading_pairs_equal_those_of_the_dense_decomposition() {
        let (n, k) = (60, 5);
        let a = gram(n, 45);
        let (values, columns) = symmetric(a.clone(), n);
        let found = leading(n, k, Seed::new(1), |x| product(&a, x), || Ok(())).unwrap();
        assert_eq!((found.values.len(), found.vectors.len()), (k, k));
        assert!(found.residual <= TOLERANCE, "{}", found.residual);
        for j in 0..k {
            assert!((found.values[j] - values[j]).abs() < 1e-9 * values[0]);
            let dense: Vec<f64> = (0..n).map(|i| columns[i * n + j]).collect();
            assert!((dot(&dense, &found.vectors[j]).abs() - 1.0).abs() < 1e-9);
            let largest =
                found.vectors[j].iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
            assert!(largest.unwrap() > 0.0);
        }
    }

    #[test]
    fn a_low_rank_gives_fewer_pairs() {
        let a = gram(20, 3);
        let found = leading(20, 8, Seed::new(1), |x| product(&a, x), || Ok(())).unwrap();
        assert_eq!(found.values.len(), 3);
        let none = leading(4, 2, Seed::new(1), |x| vec![0.0; x.len()], || Ok(())).unwrap();
        assert!(none.values.is_empty());
        let stop = || Err(crate::error::Error::Interrupted);
        assert!(leading(20, 8, Seed::new(1), |x| product(&a, x), stop).is_err());
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let a = gram(50, 30);
        let bits = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let run = || leading(50, 6, Seed::new(4), |x| product(&a, x), || Ok(())).unwrap();
            pool.install(run).vectors.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(bits(1), bits(3));
    }
}
