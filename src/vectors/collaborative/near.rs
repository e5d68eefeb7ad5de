//! How often items stand near each other in what one person chose.

use std::collections::HashMap;

/// `n(i, j) = Σ_h w_h #{two places of h, at most a window apart, that hold i and j}` for `i ≠ j`, and `n(i) = Σ_j n(i, j)`.
pub struct Near {
    /// `n(i, j)`, the smaller item first.
    pub counts: HashMap<(u32, u32), f64>,
    /// `n(i)`, `[items]`.
    pub own: Vec<f64>,
}

impl Near {
    /// Counts histories, each with its weight.
    pub fn count<'h>(
        histories: impl IntoIterator<Item = (&'h [u32], f64)>,
        n_items: usize,
        window: u32,
    ) -> Self {
        let mut counts: HashMap<(u32, u32), f64> = HashMap::new();
        let mut own = vec![0.0; n_items];
        for (items, weight) in histories {
            for (place, &a) in items.iter().enumerate() {
                let near = items[place + 1..].iter().take(window as usize);
                for &b in near.filter(|&&b| b != a) {
                    *counts.entry((a.min(b), a.max(b))).or_default() += weight;
                    own[a as usize] += weight;
                    own[b as usize] += weight;
                }
            }
        }
        Self { counts, own }
    }
}
