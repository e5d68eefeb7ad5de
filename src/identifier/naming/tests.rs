//! Identifiers against brute force.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::identifier::settings::{Length, Remove};

fn named(codes: &[u32], levels: &[u32], naming: &NamingSettings) -> Named {
    name(codes.to_vec(), levels.to_vec(), naming, None).unwrap()
}

fn by(collisions: Collisions) -> NamingSettings {
    NamingSettings { collisions: Some(collisions), ..NamingSettings::default() }
}

/// The least sum of costs over all assignments of items to different codes.
fn least(distances: &[Vec<f64>], taken: &mut Vec<usize>) -> f64 {
    let Some((first, rest)) = distances.split_first() else { return 0.0 };
    let mut best = f64::INFINITY;
    for (code, distance) in first.iter().enumerate() {
        if !taken.contains(&code) {
            taken.push(code);
            best = best.min(distance + least(rest, taken));
            taken.pop();
        }
    }
    best
}

fn cost(chosen: &[u32], distances: &[Vec<f64>]) -> f64 {
    chosen.iter().zip(distances).map(|(&code, row)| row[code as usize]).sum()
}

fn own(distances: &[Vec<f64>]) -> Vec<u32> {
    let nearest =
        |row: &Vec<f64>| (0..row.len()).min_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap() as u32;
    distances.iter().map(nearest).collect()
}

fn tables() -> impl Strategy<Value = Vec<Vec<f64>>> {
    (1usize..6, 0usize..3).prop_flat_map(|(items, more)| {
        // Few different values, so that there are ties.
        let row = proptest::collection::vec((0u32..12).prop_map(f64::from), items + more);
        proptest::collection::vec(row, items)
    })
}

proptest! {
    #[test]
    fn a_matching_costs_the_least(distances in tables()) {
        let own = own(&distances);
        let matched = matching::choose(&own, &distances);
        let greedy = nearest::choose(&own, &distances);
        for chosen in [&matched, &greedy] {
            prop_assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), distances.len());
        }
        let best = least(&distances, &mut Vec::new());
        prop_assert!((cost(&matched, &distances) - best).abs() < 1e-9);
        prop_assert!(cost(&greedy, &distances) >= best - 1e-9);
    }

    /// Each mover got the nearest code among those that no keeper and no earlier mover has.
    #[test]
    fn nearest_is_the_nearest_that_is_free(distances in tables()) {
        let own = own(&distances);
        let chosen = nearest::choose(&own, &distances);
        let at = |item: usize, code: u32| distances[item][code as usize];
        let keeps = |item: usize| chosen[item] == own[item];
        let mut taken = BTreeSet::new();
        for code in own.iter().collect::<BTreeSet<_>>() {
            let sharing: Vec<usize> = (0..own.len()).filter(|&i| own[i] == *code).collect();
            let keeper = sharing.iter().copied().filter(|&i| keeps(i)).collect::<Vec<_>>();
            prop_assert_eq!(keeper.len(), 1);
            prop_assert!(sharing.iter().all(|&i| at(i, *code) >= at(keeper[0], *code)));
            taken.insert(*code);
        }
        let mut movers: Vec<usize> = (0..own.len()).filter(|&i| !keeps(i)).collect();
        movers.sort_by(|&a, &b| at(a, own[a]).total_cmp(&at(b, own[b])).then(a.cmp(&b)));
        for mover in movers {
            let free = (0..distances[mover].len() as u32).filter(|code| !taken.contains(code));
            let least = free.map(|code| at(mover, code)).fold(f64::INFINITY, f64::min);
            prop_assert_eq!(at(mover, chosen[mover]), least);
            taken.insert(chosen[mover]);
        }
    }

    #[test]
    fn every_item_has_a_path_and_one_of_its_own_where_that_is_promised(
        points in proptest::collection::vec((-3i32..4, -3i32..4), 2..40),
    ) {
        let vectors: Vec<f32> = points.iter().flat_map(|&(x, y)| [x as f32, y as f32]).collect();
        // Quarters, then a fine grid in each.
        let first: Vec<f32> = vec![-2.0, -2.0, -2.0, 2.0, 2.0, -2.0, 2.0, 2.0];
        let last: Vec<f32> =
            (0..48u8).flat_map(|i| [f32::from(i % 7) - 3.0, f32::from(i / 7) - 3.0]).collect();
        let nearest = |x: &[f32], of: &[f32]| {
            let distance = |k: &usize| squared_distance(x, &of[2 * k..2 * k + 2]);
            (0..of.len() / 2).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap()
        };
        let codes: Vec<u32> = vectors
            .chunks_exact(2)
            .flat_map(|x| {
                let a = nearest(x, &first);
                let left = [x[0] - first[2 * a], x[1] - first[2 * a + 1]];
                [a as u32, nearest(&left, &last) as u32]
            })
            .collect();
        let centroids = [first, last];
        let space = Space { dim: 2, vectors: &vectors, centroids: &centroids };
        let run = |how| name(codes.clone(), vec![4, 48], &by(how), Some(space)).unwrap();
        let mut residuals = Vec::new();
        for how in [Collisions::Nearest, Collisions::Matching, Collisions::Sinkhorn] {
            let named = run(how);
            let n = named.levels.len();
            let rows: BTreeSet<&[u32]> = named.codes.chunks_exact(n).collect();
            prop_assert_eq!(rows.len(), points.len());
            prop_assert_eq!(n, if named.dedup { 3 } else { 2 });
            for (row, made) in named.codes.chunks_exact(n).zip(codes.chunks_exact(2)) {
                prop_assert_eq!(row[0], made[0]);
            }
            residuals.push(named.outcome.unwrap().residual.unwrap());
        }
        prop_assert!(residuals[1] <= residuals[0] + 1e-9);
    }
}

#[test]
fn too_few_codes_are_told_with_their_number() {
    let vectors = vec![0.0f32; 5];
    let centroids = [vec![0.0f32], vec![0.0, 1.0, 2.0]];
    let space = Space { dim: 1, vectors: &vectors, centroids: &centroids };
    for how in [Collisions::Nearest, Collisions::Matching] {
        let error = name(vec![0; 10], vec![1, 3], &by(how), Some(space)).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let told = error.to_string();
        assert!(
            told.starts_with("2 items find no free code of the last level: 1 prefixes"),
            "{told}"
        );
        assert!(told.contains("the 3 codes") && told.contains("dedup"), "{told}");
    }
    let spread = name(vec![0; 10], vec![1, 3], &by(Collisions::Sinkhorn), Some(space)).unwrap();
    assert!(spread.dedup, "three codes for five equal items");
}

#[test]
fn sinkhorn_parts_two_items_on_one_path() {
    let vectors = [0.1f32, -0.1, 5.0];
    let centroids = [vec![0.0f32], vec![0.0, 0.5, -0.5, 5.0]];
    let space = Space { dim: 1, vectors: &vectors, centroids: &centroids };
    let codes = vec![0, 0, 0, 0, 0, 3];
    let named = name(codes, vec![1, 4], &by(Collisions::Sinkhorn), Some(space)).unwrap();
    assert!(!named.dedup);
    assert_ne!(named.codes[1], named.codes[3]);
    assert_eq!(named.codes[5], 3, "an item that is alone stays");
    let outcome = named.outcome.unwrap();
    assert_eq!((outcome.leaves, outcome.most_items_per_leaf), (3, 1));
    assert!((outcome.collision_rate - 1.0 / 3.0).abs() < 1e-12);
}

#[test]
fn the_default_adds_a_level_only_where_needed_and_spare_codes_always() {
    let plain = NamingSettings::default();
    let unique = named(&[0, 1, 1, 0], &[2, 2], &plain);
    assert_eq!(
        (unique.levels.as_slice(), unique.dedup, unique.outcome),
        (&[2, 2][..], false, None)
    );
    let shared = named(&[5, 5, 0, 1, 5, 5, 5, 5], &[6, 6], &plain);
    assert_eq!(shared.codes, [5, 5, 0, 0, 1, 0, 5, 5, 1, 5, 5, 2]);
    assert_eq!((shared.levels.as_slice(), shared.dedup), (&[6, 6, 3][..], true));
    let spare = NamingSettings { spare: Some(4), ..plain };
    assert_eq!(named(&[0, 1, 1, 0], &[2, 2], &spare).levels, [2, 2, 5]);
    let same = named(&[5, 5, 0, 1, 5, 5], &[6, 6], &by(Collisions::Shared));
    assert_eq!((same.codes.as_slice(), same.dedup), (&[5, 5, 0, 1, 5, 5][..], false));
    let outcome = same.outcome.unwrap();
    assert_eq!((outcome.leaves, outcome.most_items_per_leaf), (2, 2));
}

#[test]
fn the_second_level_goes_whole_or_its_head_does() {
    // Second codes: 2 four times, 0 twice, 1 once.
    let codes = [0, 2, 0, 1, 2, 1, 0, 2, 2, 1, 2, 3, 0, 0, 0, 1, 0, 1, 1, 1, 2];
    let with = |remove| NamingSettings { remove: Some(remove), ..NamingSettings::default() };
    let whole = named(&codes, &[2, 3, 4], &with(Remove::SecondLevel));
    assert_eq!(whole.levels, [2, 4, 2], "(0, 0) and (1, 1) are two items' now");
    assert_eq!(whole.codes[..6], [0, 0, 0, 1, 1, 0]);
    assert_eq!(whole.removed, Some(Removed { codes: 3, tokens: None }));
    let head = named(&codes, &[2, 3, 4], &with(Remove::Top { codes: 1 }));
    assert_eq!((head.levels.as_slice(), head.dedup), (&[2, 4, 4][..], false));
    assert_eq!(head.codes, [0, 3, 0, 1, 3, 1, 0, 3, 2, 1, 3, 3, 0, 0, 0, 1, 0, 1, 1, 1, 2]);
    assert_eq!(head.removed.unwrap().skip(), Some(3));
    let tokens = |share| {
        let naming =
            NamingSettings { length: Some(Length::Skip), ..with(Remove::TopShare { share }) };
        named(&codes, &[2, 3, 4], &naming).removed.unwrap().tokens.unwrap()
    };
    assert_eq!((tokens(0.5), tokens(0.6), tokens(1.0)), (vec![2], vec![0, 2], vec![0, 1, 2]));
    assert_eq!(with(Remove::SecondLevel).spelled(vec![2, 3, 4]), [2, 4]);
    assert_eq!(with(Remove::Top { codes: 1 }).spelled(vec![2, 3, 4]), [2, 4, 4]);
    assert!(name(vec![0, 0], vec![1, 1], &with(Remove::Top { codes: 1 }), None).is_err());
}
