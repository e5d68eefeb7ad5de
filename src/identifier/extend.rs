//! Identifiers for items that come later: nothing that has a name gets another.

use std::collections::{HashMap, HashSet};

use super::artifact::{Identifiers, Known};
use super::dedup;
use super::diagnostics::Diagnostics;
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

/// New items, in their order.
#[derive(Debug, Clone, Copy)]
pub struct Later<'a> {
    /// The codes `[new items, levels that were made]` nearest to their vectors.
    pub made: &'a [u32],
    /// Their vectors, and what levels stand for.
    pub space: Space<'a>,
}

impl<'a> Later<'a> {
    fn len(&self) -> usize {
        self.made.len() / self.space.centroids.len().max(1)
    }

    fn residuals(&self) -> Residuals<'a> {
        let Self { made, space } = *self;
        Residuals { space, made, n_levels: space.centroids.len() }
    }

    /// Mean squared length of what each level leaves over.
    fn left_over(&self) -> Vec<f64> {
        let Space { dim, vectors, centroids } = self.space;
        let (mut left, n_levels) = (vectors.to_vec(), centroids.len());
        let of_level = |(level, centroids): (usize, &Vec<f32>)| {
            let codes = self.made.chunks_exact(n_levels).map(|path| path[level] as usize);
            for (row, code) in left.chunks_exact_mut(dim).zip(codes) {
                let centroid = &centroids[code * dim..][..dim];
                row.iter_mut().zip(centroid).for_each(|(x, c)| *x -= c);
            }
            let sum = left.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
            sum / self.len().max(1) as f64
        };
        centroids.iter().enumerate().map(of_level).collect()
    }
}

impl Identifiers {
    /// Levels without the one that only tells items apart.
    fn n_own(&self) -> usize {
        self.n_levels() - usize::from(self.dedup)
    }

    /// The codes `[items, levels that were made]` as they were made; none where identifiers do not spell them: where items
    /// were moved to other codes, or tokens removed.
    pub fn made(&self) -> Option<Vec<u32>> {
        let is_spelled = matches!(self.naming.collisions(), Collisions::Dedup | Collisions::Shared);
        if !is_spelled || self.removed.is_some() {
            return None;
        }
        let rows = self.codes.chunks_exact(self.n_levels());
        Some(rows.flat_map(|row| &row[..self.n_own()]).copied().collect())
    }

    /// Names for new items: spare codes of the dedup level, last codes that are free, or shared identifiers, as items were
    /// told apart before.
    pub fn extension(&self, later: Later<'_>) -> Extension {
        let Later { made, space } = later;
        let n_made = space.centroids.len();
        let n_own = self.n_own();
        let rows = self.codes.chunks_exact(self.n_levels());
        let mut counts: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut taken: HashSet<Vec<u32>> = HashSet::with_capacity(self.n_items());
        for row in rows {
            *counts.entry(row[..n_own].to_vec()).or_default() += 1;
            taken.insert(row.to_vec());
        }
        let residuals = later.residuals();
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

    /// These identifiers with those of new items behind them, measured anew; `known` are the codes `[items, levels that were
    /// made]` of these, `catalogue` is the hash of all item ids.
    pub fn extended(
        &self,
        extension: &Extension,
        (known, later): (&[u32], Later<'_>),
        catalogue: &str,
    ) -> Self {
        let mut all = self.clone();
        all.codes.extend_from_slice(&extension.codes);
        all.catalogue = catalogue.to_owned();
        let known_before = || Known { catalogue: self.catalogue.clone(), items: self.n_items() };
        all.extends = Some(self.extends.clone().unwrap_or_else(known_before));
        all.diagnostics = all.measured(&self.diagnostics, known, later);
        let n_items = all.n_items() as u32;
        if let Some(order) = &mut all.order {
            // Nobody has chosen a new item yet.
            order.extend(order.len() as u32..n_items);
        }
        all
    }

    /// Use of the codes of all items: those that `before` is of, with the codes `known` that were made for them, and later ones.
    fn measured(&self, before: &Diagnostics, known: &[u32], later: Later<'_>) -> Diagnostics {
        let (n_before, n_items) = (before.items as f64, self.n_items() as f64);
        let made = [known, later.made].concat();
        let residuals: Option<Vec<f64>> =
            before.levels.iter().map(|level| level.residual).collect();
        let residuals: Option<Vec<f64>> = residuals.map(|before| {
            let pairs = before.iter().zip(later.left_over());
            pairs.map(|(a, b)| (a * n_before + b * (n_items - n_before)) / n_items).collect()
        });
        let levels: Vec<u32> = before.levels.iter().map(|level| level.codes).collect();
        let all = Diagnostics::measure(&made, &levels, &residuals.unwrap_or_default());
        let outcome = before.outcome.as_ref().map(|outcome| {
            let spell = |path: &[u32]| match &self.removed {
                Some(removed) => removed.spell(path),
                None => path.to_vec(),
            };
            let spelled: Vec<u32> = made.chunks_exact(levels.len()).flat_map(spell).collect();
            let rows = self.codes.chunks_exact(self.n_levels());
            let n_own = self.n_own();
            let own: Vec<u32> = rows.flat_map(|row| &row[..n_own]).copied().collect();
            outcome.with((later.len(), later.residuals()), (&spelled, &own), n_own)
        });
        let together = before.together.clone();
        Diagnostics { outcome, together, fitted: before.fitted, ..all }
    }

    /// These identifiers with those of new items behind them, however many share a path: the level that only tells items apart
    /// grows, or is added, as they need. `known` are the codes `[items, levels that were made]` of these.
    ///
    /// # Errors
    /// How many items find no identifier, where items have last codes of their own and none is free.
    pub fn grown(&self, known: &[u32], later: Later<'_>) -> Result<Self, usize> {
        let mut roomy = self.clone();
        if self.naming.may_number() {
            if !roomy.dedup {
                roomy.codes = dedup::number(&self.codes, self.n_levels());
                roomy.levels.push(1);
                roomy.dedup = true;
            }
            roomy.levels[self.n_own()] = u32::MAX;
        }
        let extension = roomy.extension(later);
        if !extension.left_over.is_empty() {
            return Err(extension.left_over.len());
        }
        let mut all = roomy.extended(&extension, (known, later), &self.catalogue);
        all.extends = None;
        if all.dedup {
            let n_levels = all.n_levels();
            let numbers = all.codes.chunks_exact(n_levels).map(|path| path[n_levels - 1]);
            let most = numbers.max().map_or(1, |number| number + 1);
            all.levels[n_levels - 1] = most + self.naming.spare.unwrap_or(0);
            if all.levels[n_levels - 1] == 1 {
                let rows = all.codes.chunks_exact(n_levels);
                all.codes = rows.flat_map(|path| &path[..n_levels - 1]).copied().collect();
                all.levels.pop();
                all.dedup = false;
            }
        }
        Ok(all)
    }

    /// The same with the item at each place `p` put at `order[p]`: a permutation.
    pub fn placed(mut self, order: &[usize]) -> Self {
        let n_levels = self.n_levels();
        let mut codes = vec![0; self.codes.len()];
        for (path, &place) in self.codes.chunks_exact(n_levels).zip(order) {
            codes[place * n_levels..][..n_levels].copy_from_slice(path);
        }
        self.codes = codes;
        if let Some(before) = &mut self.order {
            let mut after = vec![0; before.len()];
            before.iter().zip(order).for_each(|(rank, &place)| after[place] = *rank);
            *before = after;
        }
        self
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
        before.extension(Later { made, space: Space { dim: 1, vectors, centroids: &levels } })
    }

    fn extended(
        before: &Identifiers,
        found: &Extension,
        (known, made): (&[u32], &[u32]),
        vectors: &[f32],
    ) -> Identifiers {
        let levels = before.centroids.levels.clone();
        let space = Space { dim: 1, vectors, centroids: &levels };
        before.extended(found, (known, Later { made, space }), "d")
    }

    #[test]
    fn spare_codes_name_new_items_until_they_are_gone() {
        let before = identifiers(Collisions::Dedup, Some(2));
        assert_eq!(before.levels, [2, 3, 4]);
        let made = [0, 1, 0, 1, 0, 1, 1, 2];
        let found = extension(&before, &[1.0, 1.0, 1.0, 13.0], &made);
        assert_eq!(found.codes, [0, 1, 2, 0, 1, 3, 1, 2, 0]);
        assert_eq!(found.left_over, [2]);
        let made = [0, 1, 0, 1, 1, 2];
        let known = before.made().unwrap();
        let after = extended(&before, &found, (&known, &made), &[1.0, 1.0, 13.0]);
        assert_eq!((after.n_items(), &after.levels), (6, &before.levels));
        assert_eq!((after.catalogue.as_str(), after.catalogue_of_run()), ("d", "c"));
        assert_eq!(after.hash(), before.hash(), "a model of the run speaks these too");
        // The figures are those of identifiers that were made of all items at once.
        let diagnostics = &after.diagnostics;
        let path = [[0, 0], [0, 1], [0, 1], [0, 1], [0, 1], [1, 2]].concat();
        let residuals = [(0.0 + 1.0 + 1.0 + 1.0 + 1.0 + 9.0) / 6.0, 0.0];
        let levels = Diagnostics::measure(&path, &[2, 3], &residuals);
        let first = diagnostics.levels[0].residual.unwrap();
        // The first level of the sample says 1 of three items whose true mean is 2 / 3.
        assert!((first - (1.0 * 3.0 + 11.0) / 6.0).abs() < 1e-9, "{first}");
        assert_eq!((diagnostics.items, diagnostics.distinct), (levels.items, levels.distinct));
        assert_eq!(diagnostics.levels[1].usage, levels.levels[1].usage);
        let outcome = diagnostics.outcome.as_ref().unwrap();
        assert_eq!((outcome.leaves, outcome.collision_rate, outcome.moved), (6, 0.5, 0));
        assert_eq!(after.codes[..9], before.codes[..9], "nobody gets another name");
        assert_eq!(after.index().unwrap().find(&[0, 1, 3]), Some(4));
    }

    #[test]
    fn a_level_that_tells_items_apart_grows_as_items_need() {
        let grown = |spare: Option<u32>, vectors: &[f32], made: &[u32]| {
            let before = identifiers(Collisions::Dedup, spare);
            let levels = before.centroids.levels.clone();
            let later = Later { made, space: Space { dim: 1, vectors, centroids: &levels } };
            before.grown(&before.made().unwrap(), later).unwrap()
        };
        // Three more with the path of two: five numbers, whatever was there for them.
        let made = [0, 1, 0, 1, 0, 1, 1, 2];
        let all = grown(None, &[1.0, 1.0, 1.0, 13.0], &made);
        assert_eq!(all.levels, [2, 3, 5]);
        assert_eq!(all.codes, [0, 0, 0, 0, 1, 0, 0, 1, 1, 0, 1, 2, 0, 1, 3, 0, 1, 4, 1, 2, 0]);
        assert_eq!(grown(Some(2), &[1.0, 1.0, 1.0, 13.0], &made).levels, [2, 3, 7]);
        let placed = all.placed(&[6, 0, 1, 2, 3, 4, 5]);
        assert_eq!(
            (placed.codes_of(6), placed.codes_of(0)),
            (Some(&[0, 0, 0][..]), Some(&[0, 1, 0][..]))
        );
        assert_eq!((placed.extends.as_ref(), placed.diagnostics.items), (None, 7));
    }

    #[test]
    fn such_a_level_is_added_where_there_was_none_and_is_wanted() {
        let centroids = Centroids { dim: 1, levels: vec![LAST.to_vec()], ..Centroids::default() };
        let made = Made { kind: "residual-k-means".into(), centroids, residuals: vec![0.0] };
        let before = Identifiers::new(vec![0, 1], vec![3], made, "c").unwrap();
        let levels = before.centroids.levels.clone();
        let grown = |vectors: &[f32], made: &[u32]| {
            let later = Later { made, space: Space { dim: 1, vectors, centroids: &levels } };
            before.grown(&[0, 1], later).unwrap()
        };
        let apart = grown(&[3.0], &[2]);
        assert_eq!(
            (apart.dedup, &apart.levels[..], &apart.codes[..]),
            (false, &[3][..], &[0, 1, 2][..])
        );
        let shared = grown(&[1.0], &[1]);
        assert_eq!(
            (shared.dedup, &shared.levels[..], &shared.codes[..]),
            (true, &[3, 2][..], &[0, 0, 1, 0, 1, 1][..])
        );
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
        assert_eq!(before.made(), None, "items were moved");
        let fits = [1, 2, 1, 2, 1, 2];
        let after = extended(&before, &found, (&[0, 0, 0, 1, 0, 1], &fits), &[12.5; 3]);
        let outcome = after.diagnostics.outcome.unwrap();
        assert_eq!((outcome.leaves, outcome.moved, outcome.most_items_per_leaf), (6, 3, 1));
        assert_eq!(outcome.collision_rate, 0.5);
        // One known item is 2 from the code that it was moved to; new ones are 0.5, 1.5 and 2.5 from theirs.
        let squares = 4.0 + 0.25 + 2.25 + 6.25;
        assert!((outcome.residual.unwrap() - squares / 6.0).abs() < 1e-9);
    }

    #[test]
    fn shared_identifiers_name_any_number_behind_those_that_were_chosen() {
        let before = identifiers(Collisions::Shared, None);
        let found = extension(&before, &[1.0, 1.0], &[0, 1, 0, 1]);
        assert_eq!((found.codes.as_slice(), found.left_over.len()), (&[0, 1, 0, 1][..], 0));
        let mut after = before.clone();
        after.order_by(&[0, 3, 5]);
        let after = extended(&after, &found, (&[0, 0, 0, 1, 0, 1], &[0, 1, 0, 1]), &[1.0, 1.0]);
        let index = after.index().unwrap();
        let leaf = index.prefix(&[0, 1]).unwrap();
        use trieval_kernels::beam::Constraint;
        assert_eq!(Constraint::items(&index, leaf).collect::<Vec<_>>(), [2, 1, 3, 4]);
    }
}
