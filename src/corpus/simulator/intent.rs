//! Intents: what a shopper wants (a leaf and required values), and which items grant it.
//!
//! Relevance is computed for any pair and never stored: grade 3 has the leaf and all required
//! values, 2 all but one of them (and at least one), 1 the leaf only, 0 neither.

use rand::Rng;

use crate::seed::Seed;

use super::draw::{mix, shuffle};
use super::item::Item;
use super::taxonomy::Taxonomy;

/// An intent wants so few items, between these (log-uniform), as 3 values can single out.
const WANTED_ITEMS: (f64, f64) = (3.0, 40.0);

/// Required values beside the brand, at most.
const MAX_VALUES: usize = 3;

/// Probability that an intent names a brand although it is narrow enough.
const BRAND: f64 = 0.15;

/// What a shopper wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The leaf.
    pub(super) leaf: u16,
    /// Slots with a required value, in the order in which they came to mind.
    pub(super) slots: Vec<u8>,
    /// Required values, 8 bits per slot; zero elsewhere.
    wanted: u64,
    /// All ones in required slots.
    mask: u64,
}

impl Intent {
    /// Grade of an item with these packed values, in the intent's leaf.
    pub(super) fn grade_in_leaf(&self, values: u64) -> u8 {
        let differing = (values ^ self.wanted) & self.mask;
        if differing == 0 {
            return 3;
        }
        let required = self.slots.len();
        let missed =
            self.slots.iter().filter(|&&slot| (differing >> (8 * slot)) as u8 != 0).count();
        if missed == 1 && required >= 2 { 2 } else { 1 }
    }

    /// Grade of an item.
    pub(super) fn grade(&self, item: &Item) -> u8 {
        if item.leaf == self.leaf { self.grade_in_leaf(item.values) } else { 0 }
    }

    /// Required value of a slot.
    pub(super) fn value(&self, slot: u8) -> u8 {
        (self.wanted >> (8 * slot)) as u8
    }

    fn require(&mut self, slot: usize, values: u64) {
        let mask = 0xFF << (8 * slot);
        self.mask |= mask;
        self.wanted |= values & mask;
        self.slots.push(slot as u8);
    }
}

/// Items grouped by leaf, with their values beside them for fast scans.
pub(super) struct Shelves {
    offsets: Vec<u32>,
    items: Vec<u32>,
    values: Vec<u64>,
}

impl Shelves {
    /// Groups items by leaf; within a leaf in order of row number.
    pub(super) fn new(items: &[Item], n_leaves: usize) -> Self {
        let mut offsets = vec![0_u32; n_leaves + 1];
        for item in items {
            offsets[usize::from(item.leaf) + 1] += 1;
        }
        for leaf in 0..n_leaves {
            offsets[leaf + 1] += offsets[leaf];
        }
        let mut next = offsets.clone();
        let mut order = vec![0_u32; items.len()];
        let mut values = vec![0_u64; items.len()];
        for (index, item) in items.iter().enumerate() {
            let place = &mut next[usize::from(item.leaf)];
            order[*place as usize] = index as u32;
            values[*place as usize] = item.values;
            *place += 1;
        }
        Self { offsets, items: order, values }
    }

    /// Row numbers and values of a leaf's items.
    pub(super) fn leaf(&self, leaf: u16) -> impl Iterator<Item = (u32, u64)> + '_ {
        let leaf = usize::from(leaf);
        let range = self.offsets[leaf] as usize..self.offsets[leaf + 1] as usize;
        self.items[range.clone()].iter().copied().zip(self.values[range].iter().copied())
    }

    /// As [`Shelves::leaf`], from the item at `start` (modulo the leaf's size) on and round.
    fn leaf_from(&self, leaf: u16, start: u64) -> impl Iterator<Item = (u32, u64)> + '_ {
        let leaf = usize::from(leaf);
        let range = self.offsets[leaf] as usize..self.offsets[leaf + 1] as usize;
        let middle = range.start + (start % range.len().max(1) as u64) as usize;
        let part = |range: std::ops::Range<usize>| {
            self.items[range.clone()].iter().copied().zip(self.values[range].iter().copied())
        };
        part(middle..range.end).chain(part(range.start..middle))
    }

    fn count(&self, intent: &Intent) -> usize {
        let leaf = usize::from(intent.leaf);
        let range = self.offsets[leaf] as usize..self.offsets[leaf + 1] as usize;
        self.values[range].iter().filter(|&&v| (v ^ intent.wanted) & intent.mask == 0).count()
    }
}

/// Draws intent `index`: an item comes to mind, and as many of its values as make it special.
pub(super) fn draw_intent(
    taxonomy: &Taxonomy,
    items: &[Item],
    shelves: &Shelves,
    seed: Seed,
    index: u64,
) -> Intent {
    let mut rng = seed.index(index).rng();
    let model = &items[rng.random_range(0..items.len())];
    let leaf = &taxonomy.leaves[usize::from(model.leaf)];
    let mut intent = Intent { leaf: model.leaf, slots: Vec::new(), wanted: 0, mask: 0 };
    let (fewest, most) = WANTED_ITEMS;
    let wanted = (rng.random_range(fewest.ln()..most.ln())).exp();
    let mut slots: Vec<usize> = (1..leaf.slots.len()).collect();
    shuffle(&mut slots, &mut rng);
    let brand = rng.random::<f64>() < BRAND;
    if brand {
        intent.require(0, model.values);
    }
    for slot in slots.into_iter().take(MAX_VALUES) {
        if shelves.count(&intent) as f64 <= wanted {
            return intent;
        }
        intent.require(slot, model.values);
    }
    if !brand && shelves.count(&intent) as f64 > wanted {
        intent.require(0, model.values);
    }
    intent
}

/// Items of an intent's leaf that `accept` lets through, by grade: `[grade 1, grade 2, grade 3]`,
/// each in order of row number and cut to its cap: the first ones from a row that a hash of the
/// intent chooses, going round. Rows are independent draws, so that is a fair sample, and a scan
/// whose lower grades are full only compares values.
pub(super) fn graded_items(
    shelves: &Shelves,
    intent: &Intent,
    caps: [usize; 3],
    accept: impl Fn(u32) -> bool,
) -> [Vec<u32>; 3] {
    let mut graded: [Vec<u32>; 3] = Default::default();
    let mut open = caps.map(|cap| cap > 0);
    for (item, values) in shelves.leaf_from(intent.leaf, mix(intent.wanted, intent.mask)) {
        if !open[0] && !open[1] && (values ^ intent.wanted) & intent.mask != 0 {
            continue;
        }
        let place = usize::from(intent.grade_in_leaf(values)) - 1;
        if open[place] && accept(item) {
            graded[place].push(item);
            open[place] = graded[place].len() < caps[place];
        }
    }
    for items in &mut graded {
        items.sort_unstable();
    }
    graded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades_by_hand() {
        let mut intent = Intent { leaf: 0, slots: Vec::new(), wanted: 0, mask: 0 };
        assert_eq!(
            intent.grade_in_leaf(0x0504_0302),
            3,
            "a bare leaf is granted by any item of it"
        );
        intent.require(1, 0x0504_0302);
        assert_eq!(intent.value(1), 3);
        assert_eq!(intent.grade_in_leaf(0x0000_0300), 3);
        assert_eq!(intent.grade_in_leaf(0x0000_0400), 1, "the only value is missing");
        intent.require(3, 0x0504_0302);
        assert_eq!(intent.grade_in_leaf(0x0599_0399), 3);
        assert_eq!(intent.grade_in_leaf(0x0699_0399), 2, "one of two is missing");
        assert_eq!(intent.grade_in_leaf(0x0699_0499), 1, "both are missing");
        intent.require(0, 0x0504_0302);
        assert_eq!(intent.grade_in_leaf(0x0504_0303), 2, "one of three is missing");
        assert_eq!(intent.grade_in_leaf(0x0604_0303), 1, "two of three are missing");
    }
}
