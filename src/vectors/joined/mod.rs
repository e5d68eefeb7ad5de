//! Several vectors of an item as one, for instance of its text and of its feedback.
//!
//! `x = [sqrt(w_1) x_1 / |x_1|, …, sqrt(w_P) x_P / |x_P|]`, so that `⟨x, y⟩ = Σ_p w_p cos(x_p, y_p)`: what residual
//! quantisers of semantic and collaborative vectors are given (as in LETTER, arXiv 2405.07314). A part of zeros stays so
//! and adds nothing. Nothing encodes requests into this space.

mod kind;

use std::path::Path;

use crate::error::{Error, Result};
use crate::vectors::{Vectors, norm};

/// Joins vectors of the same items, with one weight of 0 or more for each part; without weights, all are 1. `origin` names
/// the result in errors.
///
/// # Errors
/// [`Error::Failed`] when parts differ in their number of items, or weights do not fit the parts.
pub fn join(parts: &[Vectors], weights: &[f64], origin: impl AsRef<Path>) -> Result<Vectors> {
    let Some(items) = parts.first().map(Vectors::len) else {
        return Err(Error::Failed("no vectors are to be joined".into()));
    };
    if let Some(other) = parts.iter().find(|part| part.len() != items) {
        let message = format!("vectors of {items} and of {} items cannot be joined", other.len());
        return Err(Error::Failed(message));
    }
    let fit = weights.is_empty() || weights.len() == parts.len();
    if !fit || weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0) {
        let message = format!("weights {weights:?} do not fit {} joined vectors", parts.len());
        return Err(Error::Failed(message));
    }
    let dim = parts.iter().map(|part| part.dim).sum();
    let mut data = Vec::with_capacity(items * dim);
    for item in 0..items {
        for (number, part) in parts.iter().enumerate() {
            let row = &part.data[item * part.dim..][..part.dim];
            let length = norm(row);
            let weight = weights.get(number).copied().unwrap_or(1.0);
            let scale = if length > 0.0 { weight.sqrt() / length } else { 0.0 };
            data.extend(row.iter().map(|x| (f64::from(*x) * scale) as f32));
        }
    }
    Vectors::new(dim, data, origin)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn inner(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    #[test]
    fn inner_products_are_weighted_sums_of_cosines() {
        let text = Vectors::new(2, vec![3.0, 4.0, 0.0, 2.0, 1.0, 1.0], "text").unwrap();
        let feedback = Vectors::new(1, vec![-5.0, 0.5, 0.0], "feedback").unwrap();
        let joined = join(&[text.clone(), feedback.clone()], &[2.0, 0.5], "joined").unwrap();
        assert_eq!((joined.dim, joined.len()), (3, 3));
        // Worked by hand: (3, 4) / 5 sqrt 2, and -sqrt 0.5.
        let root = 2f64.sqrt();
        for (x, expected) in joined.data.iter().zip([0.6 * root, 0.8 * root, -0.5f64.sqrt()]) {
            assert!((f64::from(*x) - expected).abs() < 1e-6, "{x} {expected}");
        }
        let rows: Vec<&[f32]> = joined.rows().collect();
        let cosine = |vectors: &Vectors, a: usize, b: usize| {
            let rows: Vec<&[f32]> = vectors.rows().collect();
            let lengths = inner(rows[a], rows[a]).sqrt() * inner(rows[b], rows[b]).sqrt();
            if lengths > 0.0 { inner(rows[a], rows[b]) / lengths } else { 0.0 }
        };
        for a in 0..3 {
            for b in 0..3 {
                let expected = 2.0 * cosine(&text, a, b) + 0.5 * cosine(&feedback, a, b);
                assert!((inner(rows[a], rows[b]) - expected).abs() < 1e-6, "{a} {b}");
            }
        }
        // Nobody chose the last item: only its text speaks.
        assert_eq!(rows[2][2], 0.0);
        let even = join(&[text.clone(), feedback.clone()], &[], "joined").unwrap();
        assert_eq!(even, join(&[text, feedback], &[1.0, 1.0], "joined").unwrap());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let two = Vectors::new(1, vec![1.0, 2.0], "two").unwrap();
        let three = Vectors::new(1, vec![1.0; 3], "three").unwrap();
        let text = join(&[two.clone(), three], &[], "x").unwrap_err().to_string();
        assert!(text.contains("of 2 and of 3 items"), "{text}");
        assert!(join(&[], &[], "x").is_err());
        for weights in [&[1.0][..], &[1.0, -1.0], &[1.0, f64::NAN]] {
            assert!(join(&[two.clone(), two.clone()], weights, "x").is_err());
        }
    }
}
