//! Items in the order of their paths of codes.

use rayon::prelude::*;

/// Items in the order of their paths in codes `[items, n_levels]`, equal ones by number.
pub(super) fn by_path(codes: &[u32], n_levels: usize) -> Vec<u32> {
    let path = |item: u32| &codes[item as usize * n_levels..][..n_levels];
    let mut items: Vec<u32> = (0..(codes.len() / n_levels) as u32).collect();
    items.par_sort_unstable_by(|a, b| path(*a).cmp(path(*b)).then(a.cmp(b)));
    items
}
