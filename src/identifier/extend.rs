//! Identifiers for items that come later: nothing that has a name gets another.

use std::collections::{HashMap, HashSet};

use super::artifact::Identifiers;
use super::naming::{Residuals, Space};
use super::settings::Collisions;

/// Names of new items, as far as there are any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Codes `[new items, levels]` of those that fit.
    pub codes: Vec<u32>,
    /// New items that no identifier is left for.
    pub left_over: Vec<u32>,
}

impl Identifiers {
    /// Names for new items from the codes `[new items, levels that were made]` nearest to `space.vectors`, in their order:
    /// spare codes of the dedup level, last codes that are free, or shared identifiers, as items were told apart before.
    pub fn extension(&self, made: &[u32], space: Space<'_>) -> Extension {
        let n_made = space.centroids.len();
        let n_own = self.n_levels() - usize::from(self.dedup);
        let rows = self.codes.chunks_exact(self.n_levels());
        let mut counts: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut taken: HashSet<Vec<u32>> = HashSet::with_capacity(self.n_items());
        for row in rows {
            *counts.entry(row[..n_own].to_vec()).or_default() += 1;
            taken.insert(row.to_vec());
        }
        let residuals = Residuals { space, made, n_levels: n_made };
        let mut extension = Extension { codes: Vec::new(), left_over: Vec::new() };
        for (item, made) in (0u32..).zip(made.chunks_exact(n_made)) {
            let mut path =
                self.removed.as_ref().map_or_else(|| made.to_vec(), |removed| removed.spell(made));
            let is_named = match self.naming.collisions() {
                Collisions::Shared => true,
                Collisions::Nearest | Collisions::Matching => {
                    move_to_free(&mut path, &taken, &residuals.distances(item))
                }
                Collisions::Dedup | Collisions::Sinkhorn => {
                    let number = counts.get(&path).copied().unwrap_or(0);
                    let most = if self.dedup { self.levels[n_own] } else { 1 };
                    if number < most {
                        *counts.entry(path.clone()).or_default() += 1;
                    }
                    if self.dedup {
                        path.push(number);
                    }
                    number < most
                }
            };
            if is_named {
                taken.insert(path.clone());
                extension.codes.extend(path);
            } else {
                extension.left_over.push(item);
            }
        }
        extension
    }

    /// These identifiers with those of new items behind them; `catalogue` is the hash of all item ids.
    pub fn extended(&self, extension: &Extension, catalogue: &str) -> Self {
        let mut all = self.clone();
        all.codes.extend_from_slice(&extension.codes);
        all.catalogue = catalogue.to_owned();
        let n_items = all.n_items() as u32;
        if let Some(order) = &mut all.order {
            // Nobody has chosen a new item yet.
            order.extend(order.len() as u32..n_items);
        }
        all
    }
}

/// Gives a path the nearest last code that is free below its prefix, its own first; whether there is one.
fn move_to_free(path: &mut [u32], taken: &HashSet<Vec<u32>>, distances: &[f64]) -> bool {
    let Some((&mut own, _)) = path.split_last_mut() else { return false };
    let last = path.len() - 1;
    let mut codes: Vec<u32> = (0..distances.len() as u32).collect();
    codes.sort_by(|&a, &b| {
        let (a_own, b_own) = (a != own, b != own);
        let nearer = distances[a as usize].total_cmp(&distances[b as usize]);
        a_own.cmp(&b_own).then(nearer).then(a.cmp(&b))
    });
    codes.into_iter().any(|code| {
        path[last] = code;
        !taken.contains(&*path)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::settings::NamingSettings;
    use super::super::{Centroids, Made};
    use super::*;

    const FIRST: [f32; 2] = [0.0, 10.0];
    const LAST: [f32; 3] = [0.0, 1.0, 3.0];

    /// Items at 0, 1 and 1; two levels.
    fn identifiers(collisions: Collisions, spare: Option<u32>) -> Identifiers {
        let centroids = Centroids {
            dim: 1,
            levels: vec![FIRST.to_vec(), LAST.to_vec()],
            ..Centroids::default()
        };
        let made = Made { kind: "residual-k-means".into(), centroids, residuals: vec![1.0, 0.0] };
        let naming =
            NamingSettings { collisions: Some(collisions), spare, ..NamingSettings::default() };
        let vectors = [0.0, 1.0, 1.0];
        let codes = vec![0, 0, 0, 1, 0, 1];
        Identifiers::named(codes, vec![2, 3], made, "c", (&naming, Some(&vectors))).unwrap()
    }

    fn extension(before: &Identifiers, vectors: &[f32], made: &[u32]) -> Extension {
        let levels = before.centroids.levels.clone();
        before.extension(made, Space { dim: 1, vectors, centroids: &levels })
    }

    #[test]
    fn spare_codes_name_new_items_until_they_are_gone() {
        let before = identifiers(Collisions::Dedup, Some(2));
        assert_eq!(before.levels, [2, 3, 4]);
        let made = [0, 1, 0, 1, 0, 1, 1, 2];
        let found = extension(&before, &[1.0, 1.0, 1.0, 13.0], &made);
        assert_eq!(found.codes, [0, 1, 2, 0, 1, 3, 1, 2, 0]);
        assert_eq!(found.left_over, [2]);
        let after = before.extended(&found, "d");
        assert_eq!((after.n_items(), &after.levels), (6, &before.levels));
        assert_eq!(after.codes[..9], before.codes[..9], "nobody gets another name");
        assert_eq!(after.index().unwrap().find(&[0, 1, 3]), Some(4));
    }

    #[test]
    fn free_codes_name_new_items_the_nearest_first() {
        let before = identifiers(Collisions::Nearest, None);
        // One of the items at 1 keeps its code, the other has the free one.
        assert_eq!(before.codes, [0, 0, 0, 1, 0, 2]);
        let found =
            extension(&before, &[1.0, 12.5, 12.5, 12.5, 12.5], &[0, 1, 1, 2, 1, 2, 1, 2, 1, 2]);
        assert_eq!(found.codes, [1, 2, 1, 1, 1, 0]);
        assert_eq!(found.left_over, [0, 4]);
    }

    #[test]
    fn shared_identifiers_name_any_number_behind_those_that_were_chosen() {
        let before = identifiers(Collisions::Shared, None);
        let found = extension(&before, &[1.0, 1.0], &[0, 1, 0, 1]);
        assert_eq!((found.codes.as_slice(), found.left_over.len()), (&[0, 1, 0, 1][..], 0));
        let mut after = before.clone();
        after.order_by(&[0, 3, 5]);
        let after = after.extended(&found, "d");
        let index = after.index().unwrap();
        let leaf = index.prefix(&[0, 1]).unwrap();
        use trieval_kernels::beam::Constraint;
        assert_eq!(Constraint::items(&index, leaf).collect::<Vec<_>>(), [2, 1, 3, 4]);
    }
}
