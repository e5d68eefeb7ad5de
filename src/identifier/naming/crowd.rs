//! Items that share a path, and the prefixes in which they do.

use rayon::prelude::*;

use super::Residuals;
use crate::error::{Error, Result};
use crate::identifier::paths::by_path;

/// How many items share a path.
#[derive(Clone, Copy)]
pub(super) struct SharedPaths {
    pub(super) items: usize,
    pub(super) paths: usize,
    pub(super) most: usize,
}

impl SharedPaths {
    /// `1 - paths / items`.
    pub(super) fn rate(&self) -> f64 {
        1.0 - self.paths as f64 / self.items.max(1) as f64
    }
}

/// Counts the paths of codes `[items, n_levels]`.
pub(super) fn shared_paths(codes: &[u32], n_levels: usize) -> SharedPaths {
    let items = by_path(codes, n_levels);
    let path = |item: u32| &codes[item as usize * n_levels..][..n_levels];
    let groups = items.chunk_by(|a, b| path(*a) == path(*b)).map(<[u32]>::len);
    let (paths, most) = groups.fold((0, 0), |(n, most), len| (n + 1, most.max(len)));
    SharedPaths { items: items.len(), paths, most }
}

/// Groups of items that share a whole path, each ascending.
pub(super) fn groups(codes: &[u32], n_levels: usize) -> Vec<Vec<u32>> {
    let items = by_path(codes, n_levels);
    let path = |item: u32| &codes[item as usize * n_levels..][..n_levels];
    let groups = items.chunk_by(|a, b| path(*a) == path(*b));
    groups.filter(|group| group.len() > 1).map(<[u32]>::to_vec).collect()
}

/// All items of each prefix, the last code left out, in which two items share that code too; each ascending.
///
/// # Errors
/// When a prefix has more items than the last level has codes.
pub(super) fn crowds(codes: &[u32], n_levels: usize, n_codes: usize) -> Result<Vec<Vec<u32>>> {
    let items = by_path(codes, n_levels);
    let path = |item: u32| &codes[item as usize * n_levels..][..n_levels];
    let prefix = |item: u32| &path(item)[..n_levels - 1];
    let crowds: Vec<Vec<u32>> = items
        .chunk_by(|a, b| prefix(*a) == prefix(*b))
        .filter(|items| items.windows(2).any(|pair| path(pair[0]) == path(pair[1])))
        .map(|items| {
            let mut items = items.to_vec();
            items.sort_unstable();
            items
        })
        .collect();
    let full = crowds.iter().filter(|crowd| crowd.len() > n_codes);
    let (n_full, most, left) = full.fold((0, 0, 0), |(n, most, left), crowd| {
        (n + 1, most.max(crowd.len()), left + crowd.len() - n_codes)
    });
    if n_full == 0 {
        return Ok(crowds);
    }
    Err(Error::Usage(format!(
        "{left} items find no free code of the last level: {n_full} prefixes of {} codes hold more items than the {n_codes} \
         codes of that level, one of them {most}\n  help: raise the codes of the last level or of those before it, or set \
         collisions = \"dedup\", which adds a level",
        n_levels - 1
    )))
}

/// Last codes `[items]` of a crowd, no two the same, from their codes and squared distances `[items][codes]`.
pub(super) type Choose = fn(&[u32], &[Vec<f64>]) -> Vec<u32>;

/// Gives the items of crowds the last codes that `choose` says; how many got another.
pub(super) fn reassign(
    codes: &mut [u32],
    n_levels: usize,
    crowds: &[Vec<u32>],
    residuals: &Residuals<'_>,
    choose: Choose,
) -> usize {
    let chosen: Vec<Vec<u32>> = crowds
        .par_iter()
        .map(|crowd| {
            let own: Vec<u32> =
                crowd.iter().map(|&item| codes[(item as usize + 1) * n_levels - 1]).collect();
            let distances: Vec<Vec<f64>> =
                crowd.iter().map(|&item| residuals.distances(item)).collect();
            choose(&own, &distances)
        })
        .collect();
    let mut moved = 0;
    for (&item, &code) in crowds.iter().flatten().zip(chosen.iter().flatten()) {
        let last = &mut codes[(item as usize + 1) * n_levels - 1];
        moved += usize::from(*last != code);
        *last = code;
    }
    moved
}
