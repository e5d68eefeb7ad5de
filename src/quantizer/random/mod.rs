//! Random identifiers: the items in a drawn order, numbered in digits of base K.
//!
//! The control that every claim of semantic IDs needs: the same number of tokens, the same index, the same training, and
//! nothing that a code says of its item.

use super::kinds::IdentifierKind;
use super::known::Known;
use super::settings::RandomSettings;
use crate::error::{Error, Result};
use crate::identifier::{Identifiers, Made};
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{Draws, Faults, Kind};
use crate::seed::Seed;
use crate::train::permutation::Permutation;

impl Kind for RandomSettings {
    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        if let Some(items) = faults.items()
            && paths(self) < items
        {
            let message =
                format!("`{}` leaves items without a path", faults.dotted(&keys!["codes"]));
            let label = format!("{} paths for {items} items", paths(self));
            faults.value(keys!["codes"], message, label, "raise `codes` or `levels`");
        }
    }
}

impl IdentifierKind for RandomSettings {
    fn known_levels(&self) -> Vec<u32> {
        vec![self.codes; self.levels as usize]
    }

    fn may_collide(&self) -> bool {
        false
    }

    fn assign(&self, step: &StepContext<'_>, _known: &dyn Known) -> Result<Identifiers> {
        let catalogue = step.inputs.catalogue()?;
        let codes = deal(self, catalogue.len(), step.seed).ok_or_else(|| {
            let folder = step.inputs.corpus().map(|corpus| corpus.folder().to_owned());
            let message = format!("{} items, but {} paths of codes", catalogue.len(), paths(self));
            Error::data(folder.unwrap_or_default(), message)
                .with_help("raise the identifier's `codes` or `levels`")
        })?;
        Identifiers::new(codes, self.known_levels(), Made::by("random"), &catalogue.hash)
    }
}

/// Different paths of codes.
fn paths(settings: &RandomSettings) -> u64 {
    u64::from(settings.codes).saturating_pow(settings.levels)
}

/// Codes `[items, levels]`, no path twice, near in number only as far as the drawn order has it; none where there are more
/// items than paths.
fn deal(settings: &RandomSettings, items: usize, seed: Seed) -> Option<Vec<u32>> {
    let (paths, codes) = (paths(settings), u64::from(settings.codes));
    if (items as u64) > paths {
        return None;
    }
    // Paths are drawn out of all there are, so that every level is used evenly.
    let order = Permutation::new(paths, seed.purpose("random-identifiers"));
    let path = |item: u64| {
        let mut number = order.at(item);
        let mut path = vec![0; settings.levels as usize];
        for code in path.iter_mut().rev() {
            *code = (number % codes) as u32;
            number /= codes;
        }
        path
    };
    Some((0..items as u64).flat_map(path).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn settings(levels: u32, codes: u32) -> RandomSettings {
        RandomSettings { levels, codes, seed: None }
    }

    #[test]
    fn no_path_is_dealt_twice_and_all_are_where_there_are_as_many_items() {
        for (levels, codes, items) in [(2, 8, 64), (3, 64, 1_000), (1, 100, 100), (8, 65_536, 500)]
        {
            let dealt = deal(&settings(levels, codes), items, Seed::new(4)).unwrap();
            let rows: HashSet<&[u32]> = dealt.chunks_exact(levels as usize).collect();
            assert_eq!(rows.len(), items);
            assert!(dealt.iter().all(|&code| code < codes));
        }
        assert!(deal(&settings(2, 8), 65, Seed::new(4)).is_none());
    }

    #[test]
    fn first_codes_are_used_evenly_and_the_seed_decides() {
        let dealt = |seed| deal(&settings(2, 10), 50, Seed::new(seed)).unwrap();
        let firsts = dealt(1).chunks_exact(2).map(|path| path[0]).collect::<HashSet<_>>();
        assert!(firsts.len() >= 9, "{firsts:?}");
        assert_eq!(dealt(1), dealt(1));
        assert_ne!(dealt(1), dealt(2));
    }
}
