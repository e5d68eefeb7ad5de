//! From the codes that a quantiser made to identifiers: tokens of the second level are removed, then what shares a path is
//! told apart.
//!
//! `removal` takes tokens away; `crowd` finds the items that share a path; `nearest`, `matching` and `sinkhorn` give them
//! other last codes.

mod crowd;
mod matching;
mod nearest;
mod removal;
mod sinkhorn;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::dedup::number;
use super::settings::{Collisions, NamingSettings};
use crate::error::Result;
use crowd::{SharedPaths, crowds, shared_paths};
pub use removal::Removed;

/// What codes were made from: vectors, and what each level stands for.
#[derive(Debug, Clone, Copy)]
pub struct Space<'a> {
    /// Numbers per vector.
    pub dim: usize,
    /// Vectors `[items, dim]`.
    pub vectors: &'a [f32],
    /// Per level `[codes, dim]`.
    pub centroids: &'a [Vec<f32>],
}

/// Codes as identifiers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    /// Codes `[items, levels]`.
    pub(super) codes: Vec<u32>,
    /// Codes per level, the dedup level included.
    pub(super) levels: Vec<u32>,
    /// Whether the last level only tells items apart.
    pub(super) dedup: bool,
    /// What was taken from the second level.
    pub(super) removed: Option<Removed>,
    /// Which came of it; none where nothing but the default was asked for.
    pub(super) outcome: Option<Outcome>,
}

/// What became of codes on the way to identifiers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What tells items apart that share a path.
    pub collisions: Collisions,
    /// Share of items that shared their path with another after tokens were removed, and before they were told apart:
    /// `1 - paths / items`.
    pub collision_rate: f64,
    /// Items that got another last code.
    pub moved: usize,
    /// Different identifiers in the end.
    pub leaves: usize,
    /// Most items that one identifier names.
    pub most_items_per_leaf: usize,
    /// Mean squared length that all levels leave over in the end, if known.
    pub residual: Option<f64>,
}

impl Outcome {
    /// Of paths before and after items were told apart.
    fn of(collisions: Collisions, before: &SharedPaths, after: &SharedPaths) -> Self {
        let is_numbered = matches!(collisions, Collisions::Dedup | Collisions::Sinkhorn);
        Self {
            collisions,
            collision_rate: before.rate(),
            moved: 0,
            leaves: if is_numbered { after.items } else { after.paths },
            most_items_per_leaf: if is_numbered { 1 } else { after.most },
            residual: None,
        }
    }

    /// The same of all items, `later` of which came behind those that this is of: `spelled` are the codes
    /// `[items, n_levels]` that were made, without removed ones, `codes` those that items have in the end.
    pub(super) fn with(
        &self,
        later: (usize, Residuals<'_>),
        (spelled, codes): (&[u32], &[u32]),
        n_levels: usize,
    ) -> Self {
        let (n_later, residuals) = later;
        let n_items = codes.len() / n_levels;
        let n_before = n_items - n_later;
        let [spelled_later, codes_later] =
            [spelled, codes].map(|codes| &codes[n_before * n_levels..]);
        let rows = spelled_later.chunks_exact(n_levels).zip(codes_later.chunks_exact(n_levels));
        let moved = self.moved + rows.filter(|(spelled, codes)| spelled != codes).count();
        let residual = self.residual.map(|before| {
            let own = residuals.mean_left_over(codes_later, n_levels);
            (before * n_before as f64 + own * n_later as f64) / n_items as f64
        });
        let paths = [spelled, codes].map(|codes| shared_paths(codes, n_levels));
        Self { moved, residual, ..Self::of(self.collisions, &paths[0], &paths[1]) }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { collisions, moved, leaves, most_items_per_leaf, .. } = self;
        write!(
            f,
            "in the end ({}): {leaves} identifiers, at most {most_items_per_leaf} items under one; {:.2} % of the items found \
             their path taken, {moved} have another last code",
            collisions.name(),
            100.0 * self.collision_rate
        )?;
        match self.residual {
            Some(residual) => write!(f, "; residual {residual:.4}"),
            None => Ok(()),
        }
    }
}

/// Makes identifiers of codes `[items, levels]`.
///
/// # Errors
/// When the codes of the last level do not suffice, or `space` is missing where distances decide.
pub(super) fn name(
    mut codes: Vec<u32>,
    levels: Vec<u32>,
    naming: &NamingSettings,
    space: Option<Space<'_>>,
) -> Result<Named> {
    let made = codes.clone();
    let mut levels = levels;
    let n_made = levels.len();
    let removed = match naming.remove {
        None => None,
        Some(remove) => Some(removal::remove(&mut codes, &mut levels, remove)?),
    };
    let n_levels = levels.len();
    let before = shared_paths(&codes, n_levels);
    let residuals = space.map(|space| Residuals { space, made: &made, n_levels: n_made });
    let moved = match naming.collisions() {
        Collisions::Dedup | Collisions::Shared => 0,
        how => {
            let n_codes = levels[n_levels - 1] as usize;
            let residuals = residuals.as_ref().ok_or_else(needs_vectors)?;
            if how == Collisions::Sinkhorn {
                sinkhorn::spread(&mut codes, n_levels, n_codes, residuals)
            } else {
                let crowds = crowds(&codes, n_levels, n_codes)?;
                let choose =
                    if how == Collisions::Nearest { nearest::choose } else { matching::choose };
                crowd::reassign(&mut codes, n_levels, &crowds, residuals, choose)
            }
        }
    };
    let after = if moved == 0 { before } else { shared_paths(&codes, n_levels) };
    let outcome = (!naming.is_plain()).then(|| {
        let residual = residuals.map(|it| it.mean_left_over(&codes, n_levels));
        Outcome { moved, residual, ..Outcome::of(naming.collisions(), &before, &after) }
    });
    let spare = naming.spare.unwrap_or(0);
    let dedup = naming.may_number() && (after.most > 1 || spare > 0);
    if dedup {
        codes = number(&codes, n_levels);
        levels.push(after.most as u32 + spare);
    }
    Ok(Named { codes, levels, dedup, removed, outcome })
}

fn needs_vectors() -> crate::error::Error {
    crate::error::Error::Failed("codes without vectors cannot be moved to near ones".into())
}

/// What the levels before the last leave over of each vector, by the codes that were made.
pub(super) struct Residuals<'a> {
    pub(super) space: Space<'a>,
    /// Codes `[items, n_levels]`.
    pub(super) made: &'a [u32],
    pub(super) n_levels: usize,
}

impl Residuals<'_> {
    /// Of one item.
    fn of(&self, item: u32) -> Vec<f32> {
        let Space { dim, vectors, centroids } = self.space;
        let item = item as usize;
        let mut left = vectors[item * dim..][..dim].to_vec();
        let codes = &self.made[item * self.n_levels..][..self.n_levels - 1];
        for (level, &code) in centroids.iter().zip(codes) {
            for (x, c) in left.iter_mut().zip(&level[code as usize * dim..][..dim]) {
                *x -= c;
            }
        }
        left
    }

    /// Squared distances of an item's residual to all codes of the last level.
    pub(super) fn distances(&self, item: u32) -> Vec<f64> {
        let (dim, left) = (self.space.dim, self.of(item));
        let last = &self.space.centroids[self.n_levels - 1];
        last.chunks_exact(dim).map(|centroid| squared_distance(&left, centroid)).collect()
    }

    /// Mean squared length of what is left of vectors after their last codes.
    fn mean_left_over(&self, codes: &[u32], n_levels: usize) -> f64 {
        let dim = self.space.dim;
        let last = &self.space.centroids[self.n_levels - 1];
        let lengths = (0u32..).zip(codes.chunks_exact(n_levels)).map(|(item, path)| {
            let at = path[n_levels - 1] as usize * dim;
            squared_distance(&self.of(item), &last[at..at + dim])
        });
        lengths.sum::<f64>() / (codes.len() / n_levels).max(1) as f64
    }
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

#[cfg(test)]
mod tests;
