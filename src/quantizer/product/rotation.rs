//! Orthogonal matrices: how vectors are turned, and which matrix turns them best.

use candle_core::{DType, Device, Tensor};
use trieval_kernels::ops::{MatRef, Threads, matmul_new};

use crate::error::{Error, Result};
use crate::model::decoder::normal;
use crate::seed::Seed;

/// Iterations after which a matrix that is not orthogonal yet is taken for one without an orthogonal factor.
const MOST_ITERATIONS: usize = 150;

/// How far from the identity `QᵀQ` may be, entry by entry.
const TOLERANCE: f64 = 1e-10;

/// How much of the rotation as it is goes into the next, so that directions in which nothing lies keep theirs.
const INERTIA: f64 = 1e-4;

/// An orthogonal matrix, which turns `x` into `x R`; without one, vectors stay as they are.
pub(super) struct Rotation {
    dim: usize,
    matrix: Option<Matrix>,
}

struct Matrix {
    /// `[dim, dim]`, `f64`.
    exact: Tensor,
    /// The same in `f32`.
    rounded: Vec<f32>,
}

impl Rotation {
    /// Leaves vectors as they are.
    pub(super) fn none(dim: usize) -> Self {
        Self { dim, matrix: None }
    }

    /// The orthogonal factor of a matrix of normal numbers: any rotation or reflection is as likely as any other.
    pub(super) fn random(dim: usize, seed: Seed) -> Result<Self> {
        let drawn = Tensor::from_vec(normal(dim * dim, 1.0, seed), (dim, dim), &Device::Cpu)?;
        let mut rotation = Self::none(dim);
        rotation.set(polar(&drawn.to_dtype(DType::F64)?)?)?;
        Ok(rotation)
    }

    fn set(&mut self, exact: Tensor) -> Result<()> {
        let rounded = exact.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        self.matrix = Some(Matrix { exact, rounded });
        Ok(())
    }

    /// Becomes the rotation that brings points nearest to what they are to reach, where `meeting [dim, dim]` is the product
    /// of the points, transposed, and of what they are to reach: its orthogonal factor (Schönemann 1966).
    pub(super) fn toward(&mut self, meeting: &[f32]) -> Result<()> {
        let Some(Matrix { exact, .. }) = &self.matrix else { return Ok(()) };
        let shape = (self.dim, self.dim);
        let meeting = Tensor::from_slice(meeting, shape, &Device::Cpu)?.to_dtype(DType::F64)?;
        let length = meeting.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt();
        if length == 0.0 {
            // All centroids lie at the origin: no rotation is better than another.
            return Ok(());
        }
        let inertia = INERTIA * length / (self.dim as f64).sqrt();
        let next = polar(&(meeting + (exact * inertia)?)?)?;
        self.set(next)
    }

    /// Vectors `[n, dim]`, turned.
    pub(super) fn turn(&self, vectors: &[f32]) -> Vec<f32> {
        self.by(vectors, |matrix| matrix)
    }

    /// Turned vectors `[n, dim]` as they were.
    pub(super) fn turn_back(&self, vectors: &[f32]) -> Vec<f32> {
        self.by(vectors, MatRef::t)
    }

    fn by<'m>(&'m self, vectors: &[f32], view: impl Fn(MatRef<'m>) -> MatRef<'m>) -> Vec<f32> {
        let Some(Matrix { rounded, .. }) = &self.matrix else { return vectors.to_vec() };
        let rows = MatRef::new(vectors, vectors.len() / self.dim, self.dim);
        matmul_new(rows, view(MatRef::new(rounded, self.dim, self.dim)), Threads::Pool)
    }
}

/// The orthogonal matrix nearest to a square one, `U Vᵀ` of its singular value decomposition, by Newton and Schulz's
/// iteration `X ← X (3 - XᵀX) / 2`, which draws every singular value to 1.
///
/// # Errors
/// [`Error::Failed`] where there is none, because the matrix is singular or not finite.
fn polar(matrix: &Tensor) -> Result<Tensor> {
    let dim = matrix.dim(0)?;
    // No singular value is larger than the root of the product of the largest sums of rows and of columns.
    let largest =
        |axis: usize| -> Result<f64> { Ok(matrix.abs()?.sum(axis)?.max(0)?.to_scalar::<f64>()?) };
    let bound = (largest(0)? * largest(1)?).sqrt();
    let identity = Tensor::eye(dim, DType::F64, &Device::Cpu)?;
    let mut x = (matrix / bound)?;
    for _ in 0..MOST_ITERATIONS {
        let gram = x.t()?.matmul(&x)?;
        let off = (&gram - &identity)?.abs()?.max_all()?.to_scalar::<f64>()?;
        if off < TOLERANCE {
            return Ok(x);
        }
        x = x.matmul(&((&identity * 1.5)? - (gram * 0.5)?)?)?;
    }
    Err(Error::Failed(
        "no rotation fits the vectors: what they have in common with their centroids is singular; set `rotation = false`"
            .into(),
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn values(matrix: &Tensor) -> Vec<f64> {
        matrix.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn square(dim: usize, values: &[f64]) -> Tensor {
        Tensor::from_slice(values, (dim, dim), &Device::Cpu).unwrap()
    }

    fn close(a: &[f64], b: &[f64], within: f64) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < within)
    }

    #[test]
    fn what_can_be_solved_by_hand() {
        // A rotation by the angle of (3, 4), stretched.
        let found = polar(&square(2, &[6.0, -8.0, 4.0, 3.0])).unwrap();
        assert!(close(&values(&found), &[0.6, -0.8, 0.8, 0.6], 1e-9), "{found}");
        // Signs stay, lengths go, however different they are.
        let found = polar(&square(3, &[1e-6, 0.0, 0.0, 0.0, -2.0, 0.0, 0.0, 0.0, 300.0])).unwrap();
        assert!(close(&values(&found), &[1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0], 1e-9));
    }

    #[test]
    fn a_factor_is_orthogonal_and_what_remains_is_symmetric() {
        let drawn =
            normal(40 * 40, 1.0, Seed::new(3)).iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let matrix = square(40, &drawn);
        let factor = polar(&matrix).unwrap();
        let gram = values(&factor.t().unwrap().matmul(&factor).unwrap());
        let identity = values(&Tensor::eye(40, DType::F64, &Device::Cpu).unwrap());
        assert!(close(&gram, &identity, 1e-9));
        let rest = factor.t().unwrap().matmul(&matrix).unwrap();
        assert!(close(&values(&rest), &values(&rest.t().unwrap().contiguous().unwrap()), 1e-7));
        // Of all orthogonal matrices it has most in common with the matrix: more than one that is turned a little.
        let trace = |rest: &Tensor| (0..40).map(|i| values(rest)[i * 41]).sum::<f64>();
        let (sin, cos) = 0.01_f64.sin_cos();
        let mut turn = identity;
        (turn[0], turn[1], turn[40], turn[41]) = (cos, sin, -sin, cos);
        let turned = factor.matmul(&square(40, &turn)).unwrap();
        assert!(trace(&rest) > trace(&turned.t().unwrap().matmul(&matrix).unwrap()));
    }

    #[test]
    fn a_singular_matrix_has_none() {
        let told = polar(&square(2, &[1.0, 2.0, 2.0, 4.0])).unwrap_err().to_string();
        assert!(told.contains("rotation = false"), "{told}");
        assert!(polar(&square(2, &[f64::NAN, 0.0, 0.0, 1.0])).is_err());
    }

    #[test]
    fn turning_there_and_back_changes_nothing_and_empty_directions_do_no_harm() {
        let mut rotation = Rotation::random(6, Seed::new(1)).unwrap();
        let vectors = normal(5 * 6, 1.0, Seed::new(2));
        let same = |rotation: &Rotation| {
            let back = rotation.turn_back(&rotation.turn(&vectors));
            back.iter().zip(&vectors).all(|(a, b)| (a - b).abs() < 1e-5)
        };
        assert!(same(&rotation) && rotation.turn(&vectors) != vectors);
        // Points on a line: five directions in which nothing lies.
        let mut meeting = [0.0; 36];
        meeting[7] = 2.0;
        rotation.toward(&meeting).unwrap();
        assert!(same(&rotation));
        rotation.toward(&[0.0; 36]).unwrap();
        assert!(same(&rotation));
        assert_eq!(Rotation::none(6).turn(&vectors), vectors);
    }
}
