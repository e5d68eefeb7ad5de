//! The paths of an index as they are spelled: a range of tokens for each level, and one code of one level not spelled at
//! all, so that paths are of different lengths.
//!
//! A level's tokens are its own, so that no path is the prefix of another: behind a prefix that may go on with the code
//! that is not spelled, tokens of two levels are legal.

use std::ops::Range;

use super::sid::{SidIndex, SidState};
use crate::beam::{Constraint, Places};

/// An index whose tokens are numbered through all levels.
#[derive(Debug, Clone)]
pub struct Spelled<'a> {
    index: &'a SidIndex,
    /// Token of code 0 of each level.
    base: Vec<u32>,
    /// A level, not the last, and its last code, which is not spelled.
    unspelled: Option<(usize, u32)>,
}

impl<'a> Spelled<'a> {
    /// The paths of `index`; `unspelled` is the last code of some level but the last, by level and code. Tokens are counted
    /// from the first code of the first level.
    pub fn new(index: &'a SidIndex, unspelled: Option<(usize, u32)>) -> Self {
        let sums = |next: &mut u32, codes: &u32| {
            let base = *next;
            *next += codes;
            Some(base)
        };
        let base = index.codes_per_level().iter().scan(0, sums).collect();
        Self { index, base, unspelled }
    }

    /// The code behind a state that is not spelled, if an item has it there.
    fn silent(&self, state: SidState) -> Option<SidState> {
        let (level, code) = self.unspelled?;
        (state.depth() == level).then(|| self.index.child(state, code)).flatten()
    }

    /// Appends the tokens of the codes of one level that are spelled.
    fn spell(&self, state: SidState, tokens: &mut Vec<u32>) {
        let start = tokens.len();
        self.index.children(state, tokens);
        let level = state.depth();
        if let Some((silent, code)) = self.unspelled
            && silent == level
            && tokens[start..].last() == Some(&code)
        {
            tokens.pop();
        }
        tokens[start..].iter_mut().for_each(|token| *token += self.base[level]);
    }

    fn step(&self, state: SidState, token: u32) -> Option<SidState> {
        self.index.child(state, token.checked_sub(*self.base.get(state.depth())?)?)
    }
}

impl Constraint for Spelled<'_> {
    type State = SidState;

    const DISJOINT: bool = true;

    fn root(&self, _request: usize) -> SidState {
        self.index.root()
    }

    fn children(&self, state: SidState, tokens: &mut Vec<u32>) {
        if state.depth() == self.index.n_levels() {
            return;
        }
        self.spell(state, tokens);
        if let Some(behind) = self.silent(state) {
            self.spell(behind, tokens);
        }
    }

    fn child(&self, state: SidState, token: u32) -> Option<SidState> {
        let is_silent = self.unspelled.is_some_and(|(level, code)| {
            state.depth() == level && token == self.base[level] + code
        });
        if is_silent {
            return None;
        }
        self.step(state, token).or_else(|| self.step(self.silent(state)?, token))
    }

    fn is_leaf(&self, state: SidState) -> bool {
        self.index.is_leaf(state)
    }

    fn items(&self, state: SidState) -> impl Iterator<Item = u32> + '_ {
        self.index.items(state)
    }
}

impl Places for Spelled<'_> {
    fn below(&self, state: SidState) -> Range<u32> {
        self.index.below(state)
    }

    fn places_of(&self, item: u32, places: &mut Vec<u32>) {
        self.index.places_of(item, places);
    }

    fn toward(&self, state: SidState, row: u32) -> Option<u32> {
        let code = self.index.toward(state, row)?;
        match self.silent(state) {
            Some(behind) if self.unspelled.is_some_and(|(_, silent)| silent == code) => {
                let code = self.index.toward(behind, row)?;
                Some(self.base[behind.depth()] + code)
            }
            _ => Some(self.base[state.depth()] + code),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::beam::Filtered;

    const SIZES: [u32; 4] = [3, 3, 4, 2];
    const BASE: [u32; 4] = [0, 3, 6, 10];

    fn spelled(path: &[u32], level: usize) -> Vec<u32> {
        let is_spelled = |at: usize| at != level || path[at] != SIZES[at] - 1;
        (0..4).filter(|&at| is_spelled(at)).map(|at| BASE[at] + path[at]).collect()
    }

    /// Everything below a state, by its tokens: legal sequences and the items they name.
    fn walk<C: Constraint>(
        c: &C,
        state: C::State,
        path: &mut Vec<u32>,
        out: &mut Vec<(Vec<u32>, Vec<u32>)>,
    ) {
        if c.is_leaf(state) {
            out.push((path.clone(), c.items(state).collect()));
            return;
        }
        let mut tokens = Vec::new();
        c.children(state, &mut tokens);
        assert!(tokens.windows(2).all(|pair| pair[0] < pair[1]), "{tokens:?}");
        for token in 0..13 {
            assert_eq!(c.child(state, token).is_some(), tokens.contains(&token));
        }
        for token in tokens {
            path.push(token);
            walk(c, c.child(state, token).unwrap(), path, out);
            path.pop();
        }
    }

    proptest! {
        #[test]
        fn spells_each_path_once_whatever_is_left_out(
            paths in proptest::collection::hash_set(
                (0u32..3, 0u32..3, 0u32..4, 0u32..2).prop_map(|(a, b, c, d)| [a, b, c, d]), 1..60),
            level in 0usize..3,
            without in proptest::collection::btree_set(0u32..60, 0..20),
        ) {
            let paths: Vec<[u32; 4]> = paths.into_iter().collect();
            let index = SidIndex::build(&paths.concat(), &SIZES).unwrap();
            let view = Spelled::new(&index, Some((level, SIZES[level] - 1)));
            let expected = |without: &BTreeSet<u32>| {
                let items = (0u32..).zip(&paths).filter(|(item, _)| !without.contains(item));
                items.map(|(item, path)| (spelled(path, level), vec![item])).collect::<BTreeSet<_>>()
            };
            let mut all = Vec::new();
            walk(&view, view.root(0), &mut Vec::new(), &mut all);
            prop_assert_eq!(all.len(), paths.len());
            prop_assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected(&BTreeSet::new()));

            let mut filtered = Filtered::new(view);
            let list: Vec<u32> = without.iter().copied().collect();
            filtered.set(&[crate::beam::Filter::Without(&list)]);
            let mut rest = Vec::new();
            if without.iter().filter(|item| **item < paths.len() as u32).count() < paths.len() {
                walk(&filtered, filtered.root(0), &mut Vec::new(), &mut rest);
            }
            prop_assert_eq!(rest.into_iter().collect::<BTreeSet<_>>(), expected(&without));
        }
    }
}
