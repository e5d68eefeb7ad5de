//! The guide over places against brute force.

use proptest::prelude::*;

use super::cases::{Case, Stream, Tree, prefixes, state_of};
use super::*;
use crate::index::SidIndex;

fn bonus_equals_brute_force<C: Case>() {
    let scored = proptest::collection::btree_map(0u32..160, -9i8..9, 0..120);
    proptest!(|(entries in C::entries(), scored in scored)| {
        let (constraint, paths) = (C::build(&entries), C::paths(&entries));
        let scored: Vec<(u32, f32)> =
            scored.into_iter().map(|(item, score)| (item, f32::from(score))).collect();
        let guide = BestBelow::new(&constraint, &[&[], &scored], -99.0);
        for prefix in prefixes(&paths) {
            let state = state_of(&constraint, 1, &prefix);
            let expected = reference::bonus(&paths, &scored, &prefix).unwrap_or(-99.0);
            prop_assert_eq!(guide.bonus(&constraint, 1, state), expected);
            prop_assert_eq!(guide.bonus(&constraint, 0, state), -99.0, "nothing is scored");
            prop_assert_eq!(guide.bonus(&constraint, 2, state), -99.0, "no such request");
        }
    });
}

#[test]
fn the_bonus_is_the_best_score_below() {
    bonus_equals_brute_force::<SidIndex>();
    bonus_equals_brute_force::<Tree>();
    bonus_equals_brute_force::<Stream>();
}

#[test]
fn a_scored_item_survives_a_narrow_beam() {
    // The scorer likes item 0 at first; only the guide knows of item 3 behind code 1.
    let index = SidIndex::build(&[0u32, 0, 0, 1, 1, 0, 1, 1], &[2, 2]).unwrap();
    let scorer = || host::By(|_, level, token| -(((level == 0) as u32 * token) as f32));
    let plain = HostSearch::new(&index, scorer(), width(1)).run(&[()]).unwrap();
    assert_eq!(pairs(&plain[0]), [(0, 0.0)]);
    let guide = BestBelow::new(&index, &[&[(3, 2.0), (2, 0.5)]], 0.0);
    for (stays, score) in [(true, 1.0), (false, -1.0)] {
        let mut guide = guide.clone();
        guide.stays = stays;
        let mut search = HostSearch::new(&index, scorer(), width(1)).guided(guide);
        assert_eq!(pairs(&search.run(&[()]).unwrap()[0]), [(3, score)]);
    }
    let mut only_scored = guide.clone();
    only_scored.otherwise = f32::NEG_INFINITY;
    let mut search = HostSearch::new(&index, scorer(), width(9)).guided(only_scored);
    assert_eq!(pairs(&search.run(&[()]).unwrap()[0]), [(3, 1.0), (2, -0.5)]);
    // Without the bonus, hits are ordered by what is left.
    let mut off = guide;
    off.stays = false;
    let mut search = HostSearch::new(&index, scorer(), width(9)).guided(off);
    let hits = search.run(&[()]).unwrap();
    assert_eq!(pairs(&hits[0]), [(0, 0.0), (1, 0.0), (3, -1.0), (2, -1.0)]);
    let unusable = BestBelow::new(&index, &[&[(3, f32::NAN), (2, 0.5)]], 0.0);
    let mut search = HostSearch::new(&index, scorer(), width(9)).guided(unusable);
    let error = search.run(&[()]).unwrap_err();
    assert!(matches!(error, SearchError::NotANumber { request: 0, level: 0, token: 1 }));
}
