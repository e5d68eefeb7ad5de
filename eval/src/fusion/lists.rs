//! Several lists of one request as one, over items of any kind: ids as text, numbers. What the
//! lists say is laid side by side once, and weighted as often as wanted. Knows no run and no
//! judgments.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::Hash;

use super::normalize::contributions;
use super::settings::{FusionMethod, FusionSettings, Normalization, weight_fault};
use crate::error::{Error, Result};

/// Most lists that can be fused: the lists that hold an item are kept as bits.
const MOST_LISTS: usize = 64;

/// How lists are fused.
#[derive(Debug, Clone, PartialEq)]
pub struct Fusion {
    /// How scores of one item are put together.
    pub method: FusionMethod,
    /// How scores of different runs are made comparable.
    pub normalize: Normalization,
    /// Constant of reciprocal rank fusion.
    pub k: f64,
    /// `[run]` weights; empty for equal ones.
    pub weights: Vec<f64>,
    /// Items kept per request; none keeps all.
    pub depth: Option<u32>,
}

impl Default for Fusion {
    fn default() -> Self {
        Self {
            method: FusionMethod::default(),
            normalize: Normalization::default(),
            k: 60.0,
            weights: Vec::new(),
            depth: None,
        }
    }
}

impl From<&FusionSettings> for Fusion {
    fn from(settings: &FusionSettings) -> Self {
        Self {
            method: settings.method,
            normalize: settings.normalize,
            k: settings.k,
            weights: settings.weights.clone(),
            depth: None,
        }
    }
}

/// Fuses `[list]` of items with scores, each in any order, into one list, best first.
///
/// The order within a list and of the result is that of a run: score descending, equal scores by
/// item descending. [`std::cmp::Reverse`] turns the order of items round. Sums are taken in the
/// order of the lists and rounded to `f32`, so that rounding decides nothing. [`super::fuse`] does
/// the same for whole runs.
///
/// # Errors
/// Where the settings do not fit the lists, an item stands twice in one list, or a score is not a
/// number, or infinite and looked at.
pub fn fuse_lists<I: Copy + Ord + Hash>(
    lists: &[&[(I, f32)]],
    fusion: &Fusion,
) -> Result<Vec<(I, f32)>> {
    fusion.check(lists.len())?;
    let weights = fusion.weights_of(&fusion.weights, lists.len())?;
    let ordered = |(index, list): (usize, &&[(I, f32)])| {
        let mut list = list.to_vec();
        list.sort_unstable_by(by_rule);
        (index, list)
    };
    let lists: Vec<(usize, Vec<(I, f32)>)> = lists.iter().enumerate().map(ordered).collect();
    let candidates = Candidates::new(lists.len(), &lists, fusion).map_err(|fault| {
        let Fault { index, place, what, .. } = fault;
        let what = match what {
            Unfit::Twice => "the item stands there twice".to_owned(),
            Unfit::Score(score) => {
                format!("the score is {score}, which cannot be fused by `{}`", fusion.method.name())
            }
        };
        refusal(&format!("place {} of list {}: {what}", place + 1, index + 1))
    })?;
    let mut fused = candidates.list(&weights, fusion);
    fused.sort_unstable_by(by_rule);
    Ok(fused)
}

impl Fusion {
    /// Refuses settings that fit no lists, and too few or too many lists.
    pub(super) fn check(&self, n_lists: usize) -> Result<()> {
        if n_lists == 0 || n_lists > MOST_LISTS {
            let what = format!("from 1 to {MOST_LISTS} runs can be fused, not {n_lists}");
            return Err(refusal(&what));
        }
        if !(self.k >= 0.0 && self.k.is_finite()) {
            return Err(refusal(&format!("`k` must be a number from 0 on, not {}", self.k)));
        }
        if self.depth == Some(0) {
            return Err(refusal("a depth of 0 keeps no item"));
        }
        Ok(())
    }

    /// `[list]`: these weights, or equal ones where there are none.
    pub(super) fn weights_of(&self, weights: &[f64], n_lists: usize) -> Result<Vec<f64>> {
        let weights = if weights.is_empty() { vec![1.0; n_lists] } else { weights.to_vec() };
        if weights.len() != n_lists {
            return Err(refusal(&format!(
                "{} weights for {n_lists} runs; give one for each",
                weights.len()
            )));
        }
        match weight_fault(&weights) {
            Some(what) => Err(refusal(&what)),
            None => Ok(weights),
        }
    }
}

fn refusal(what: &str) -> Error {
    Error::Comparison { what: format!("fusion: {what}") }
}

/// The order of a run: score descending, then item descending.
fn by_rule<I: Ord>(left: &(I, f32), right: &(I, f32)) -> Ordering {
    // Not `total_cmp`: -0 and 0 are equal scores. NaN is refused.
    right.1.partial_cmp(&left.1).unwrap_or(Ordering::Equal).then_with(|| right.0.cmp(&left.0))
}

/// A list that cannot be fused.
pub(super) struct Fault<I> {
    /// Number of the list.
    pub(super) index: usize,
    /// Place in the list, from 0.
    pub(super) place: usize,
    /// The item there.
    pub(super) item: I,
    pub(super) what: Unfit,
}

/// What is wrong with an entry of a list.
pub(super) enum Unfit {
    /// The item stands in the list a second time.
    Twice,
    /// The score is not a number, or infinite and looked at.
    Score(f32),
}

/// Items that any list holds, with what each list adds, before weights.
pub(super) struct Candidates<I> {
    n_lists: usize,
    items: Vec<I>,
    /// `[item, list]`: 0 where the list does not hold the item.
    parts: Vec<f64>,
    /// `[item]`: bit l is set where list l holds the item.
    held_by: Vec<u64>,
}

impl<I: Copy + Ord + Hash> Candidates<I> {
    /// Lays lists side by side, each best first and with its number below `n_lists`, which is at
    /// most [`MOST_LISTS`]; a list that is absent adds nothing.
    pub(super) fn new(
        n_lists: usize,
        lists: &[(usize, Vec<(I, f32)>)],
        fusion: &Fusion,
    ) -> std::result::Result<Self, Fault<I>> {
        let mut numbers: HashMap<I, usize> = HashMap::new();
        let mut found = Self { n_lists, items: Vec::new(), parts: Vec::new(), held_by: Vec::new() };
        for (index, list) in lists.iter().map(|(index, list)| (*index, list)) {
            let unfit = |place: usize, what| Fault { index, place, item: list[place].0, what };
            let scores: Vec<f32> = list.iter().map(|entry| entry.1).collect();
            let parts = match scores.iter().position(|score| score.is_nan()) {
                Some(place) => Err(place),
                None => contributions(&scores, fusion.method, fusion.normalize, fusion.k),
            };
            let parts = parts.map_err(|place| unfit(place, Unfit::Score(scores[place])))?;
            for (place, (&(item, _), part)) in list.iter().zip(parts).enumerate() {
                let number = *numbers.entry(item).or_insert_with(|| {
                    found.items.push(item);
                    found.parts.resize(found.parts.len() + n_lists, 0.0);
                    found.held_by.push(0);
                    found.items.len() - 1
                });
                if found.held_by[number] & (1 << index) != 0 {
                    return Err(unfit(place, Unfit::Twice));
                }
                found.parts[number * n_lists + index] = part;
                found.held_by[number] |= 1 << index;
            }
        }
        Ok(found)
    }

    /// Items with fused scores, in no promised order unless cut to a depth. An item that only lists
    /// of weight 0 hold is left out.
    pub(super) fn list(&self, weights: &[f64], fusion: &Fusion) -> Vec<(I, f32)> {
        let weighted = weights
            .iter()
            .enumerate()
            .fold(0_u64, |bits, (list, &weight)| bits | u64::from(weight > 0.0) << list);
        let mut fused: Vec<(I, f32)> = Vec::with_capacity(self.items.len());
        for ((&item, parts), held_by) in
            self.items.iter().zip(self.parts.chunks(self.n_lists)).zip(&self.held_by)
        {
            let n_lists = (held_by & weighted).count_ones();
            if n_lists == 0 {
                continue;
            }
            let sum: f64 = parts.iter().zip(weights).map(|(part, weight)| part * weight).sum();
            let score = match fusion.method {
                FusionMethod::CombMnz => sum * f64::from(n_lists),
                FusionMethod::Rrf | FusionMethod::CombSum => sum,
            };
            fused.push((item, score as f32));
        }
        if let Some(depth) = fusion.depth {
            fused.sort_unstable_by(by_rule);
            fused.truncate(depth as usize);
        }
        fused
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cmp::Reverse;

    use proptest::prelude::*;

    use super::*;
    use crate::fusion::fuse;
    use crate::run::Run;

    type Lists = Vec<Vec<(u32, f32)>>;

    fn lists() -> impl Strategy<Value = Lists> {
        let scores = prop::collection::btree_map(0_u32..12, -2_i8..4, 0..9);
        let list = scores.prop_map(|list| {
            list.into_iter().map(|(item, score)| (item, f32::from(score) / 2.0)).collect()
        });
        prop::collection::vec(list, 1..5)
    }

    fn fusion() -> impl Strategy<Value = Fusion> {
        let method = prop::sample::select(vec![
            FusionMethod::Rrf,
            FusionMethod::CombSum,
            FusionMethod::CombMnz,
        ]);
        let normalize = prop::sample::select(vec![Normalization::MinMax, Normalization::ZScore]);
        let weights = prop::option::of(prop::collection::vec(0_u8..4, 4));
        let depth = prop::option::of(1_u32..8);
        (method, normalize, weights, depth).prop_map(|(method, normalize, weights, depth)| Fusion {
            method,
            normalize,
            weights: weights.unwrap_or_default().iter().map(|&w| f64::from(w) / 3.0).collect(),
            depth,
            ..Fusion::default()
        })
    }

    fn bits<I: Copy>(list: &[(I, f32)]) -> Vec<(I, u32)> {
        list.iter().map(|&(item, score)| (item, score.to_bits())).collect()
    }

    proptest! {
        /// Runs over ids that sort like the items, and those that sort the other way.
        #[test]
        fn items_of_any_kind_are_fused_like_runs(lists in lists(), mut fusion in fusion()) {
            fusion.weights.truncate(lists.len());
            for falling in [false, true] {
                let key = |item: u32| format!("{:03}", if falling { 999 - item } else { item });
                let runs: Vec<Run> = lists.iter().map(|list| {
                    let mut run = Run::builder("r");
                    run.push_list("q", list.iter().map(|&(item, score)| (key(item), score))).unwrap();
                    run.finish().unwrap()
                }).collect();
                let whole = fuse(&runs.iter().collect::<Vec<_>>(), &fusion);
                let slices: Vec<&[(u32, f32)]> = lists.iter().map(Vec::as_slice).collect();
                let reversed: Vec<Vec<(Reverse<u32>, f32)>> = lists.iter()
                    .map(|list| list.iter().map(|&(item, score)| (Reverse(item), score)).collect())
                    .collect();
                let reversed: Vec<&[(Reverse<u32>, f32)]> =
                    reversed.iter().map(Vec::as_slice).collect();
                let core = if falling {
                    fuse_lists(&reversed, &fusion)
                        .map(|list| list.into_iter().map(|(item, score)| (item.0, score)).collect())
                } else {
                    fuse_lists(&slices, &fusion)
                };
                match (whole, core) {
                    (Ok(whole), Ok(core)) => {
                        let whole: Vec<(String, u32)> = whole.get("q").unwrap().items()
                            .map(|(item, score)| (item.to_owned(), score.to_bits())).collect();
                        let core: Vec<(String, u32)> =
                            bits(&core).into_iter().map(|(item, score)| (key(item), score)).collect();
                        prop_assert_eq!(whole, core);
                    }
                    (Err(whole), Err(core)) => {
                        prop_assert_eq!(whole.to_string(), core.to_string());
                    }
                    (whole, core) => prop_assert!(false, "{whole:?} and {core:?}"),
                }
            }
        }

        #[test]
        fn the_order_within_a_list_changes_nothing(lists in lists(), mut fusion in fusion()) {
            fusion.weights.truncate(lists.len());
            let turned: Lists =
                lists.iter().map(|list| list.iter().rev().copied().collect()).collect();
            let fused = |lists: &Lists| {
                let lists: Vec<&[(u32, f32)]> = lists.iter().map(Vec::as_slice).collect();
                fuse_lists(&lists, &fusion).map(|list| bits(&list)).map_err(|e| e.to_string())
            };
            prop_assert_eq!(fused(&lists), fused(&turned));
        }
    }

    #[test]
    fn what_cannot_be_fused_is_said_with_its_place() {
        let comb = Fusion { method: FusionMethod::CombSum, ..Fusion::default() };
        let good: &[(u32, f32)] = &[(1, 2.0), (2, 1.0)];
        for (list, fusion, part) in [
            (&[(1, 1.0), (1, 0.5)][..], Fusion::default(), "place 2 of list 2: the item stands"),
            (&[(1, f32::INFINITY)], comb, "place 1 of list 2: the score is inf"),
            (&[(1, f32::NAN)], Fusion::default(), "the score is NaN"),
        ] {
            let message = fuse_lists(&[good, list], &fusion).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        let infinite: &[(u32, f32)] = &[(1, f32::INFINITY), (2, f32::NEG_INFINITY)];
        let ranks = fuse_lists(&[good, infinite], &Fusion::default()).unwrap();
        assert_eq!(ranks.iter().map(|one| one.0).collect::<Vec<_>>(), [1, 2]);
        assert!(fuse_lists::<u32>(&[], &Fusion::default()).is_err());
    }
}
