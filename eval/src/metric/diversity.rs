//! Intra-list diversity: how unlike the listed items are, by their vectors.

use super::catalogue::Catalogue;

/// The mean over pairs of listed items of `1 − cosine`, in [0, 2]; 0 where fewer than two are listed. A zero vector is at
/// distance 1 from all. With unit vectors `Σ over pairs of cosine = (|Σ v|² − Σ |v|²) / 2`: `O(k · dim)`. `scratch` is reused
/// between lists.
pub(crate) fn value(
    catalogue: &Catalogue,
    items: &[u32],
    cutoff: usize,
    scratch: &mut Vec<f64>,
) -> f64 {
    let items = &items[..items.len().min(cutoff)];
    let n = items.len() as f64;
    if items.len() < 2 {
        return 0.0;
    }
    scratch.clear();
    let mut squares = 0.0;
    for &item in items {
        let vector = catalogue.vector(item);
        scratch.resize(vector.len(), 0.0);
        for (sum, &x) in scratch.iter_mut().zip(vector) {
            let x = f64::from(x);
            *sum += x;
            squares += x * x;
        }
    }
    let of_sum: f64 = scratch.iter().map(|x| x * x).sum();
    1.0 - (of_sum - squares) / (n * (n - 1.0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn catalogue(vectors: &[[f32; 3]]) -> Catalogue {
        let ids: Vec<String> = (0..vectors.len()).map(|item| item.to_string()).collect();
        Catalogue::new(ids).unwrap().with_vectors(vectors.concat(), 3).unwrap()
    }

    #[test]
    fn diversity_by_hand() {
        let items = catalogue(&[[2.0, 0.0, 0.0], [0.0, 0.1, 0.0], [-1.0, 0.0, 0.0], [0.0; 3]]);
        let of = |list: &[u32], cutoff| value(&items, list, cutoff, &mut Vec::new());
        assert_eq!(of(&[0, 1], 9), 1.0);
        assert_eq!(of(&[0, 2], 9), 2.0);
        assert_eq!(of(&[0, 3], 9), 1.0);
        assert!((of(&[0, 1, 2], 9) - 4.0 / 3.0).abs() < 1e-12);
        assert_eq!(of(&[0, 1, 2], 1), 0.0);
    }

    proptest! {
        #[test]
        fn equal_to_the_mean_over_pairs(vectors in prop::collection::vec(prop::array::uniform3(-5.0_f32..5.0), 2..12)) {
            let items = catalogue(&vectors);
            let list: Vec<u32> = (0..vectors.len() as u32).collect();
            let norm = |v: &[f32; 3]| v.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            let cosine = |a: &[f32; 3], b: &[f32; 3]| {
                let product: f64 = a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
                if norm(a) * norm(b) == 0.0 { 0.0 } else { product / (norm(a) * norm(b)) }
            };
            let mut distances = Vec::new();
            for (at, left) in vectors.iter().enumerate() {
                distances.extend(vectors[..at].iter().map(|right| 1.0 - cosine(left, right)));
            }
            let expected = distances.iter().sum::<f64>() / distances.len() as f64;
            prop_assert!((value(&items, &list, 100, &mut Vec::new()) - expected).abs() < 1e-5);
        }
    }
}
