//! A sparse item-to-item matrix: filled row by row, in parallel and always in the same order; read by weighted
//! sums of rows. Knows no formula.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::Result;
use crate::store::{Packer, SealKind, Unpacker};

const MATRIX: SealKind = SealKind { kind: "similar", version: 1 };
/// The matrix inside the folder of its step.
const MATRIX_FILE: &str = "similarity.bin";

/// Where each item was chosen: `(list, place in it)`, by item.
pub(super) struct Occurrences {
    offsets: Vec<usize>,
    places: Vec<(u32, u32)>,
}

impl Occurrences {
    /// Inverts lists of items below `n_items`.
    pub(super) fn of(lists: &[Vec<u32>], n_items: usize) -> Self {
        let mut offsets = vec![0; n_items + 1];
        for &item in lists.iter().flatten() {
            offsets[item as usize + 1] += 1;
        }
        for item in 0..n_items {
            offsets[item + 1] += offsets[item];
        }
        let mut next = offsets.clone();
        let mut places = vec![(0, 0); offsets[n_items]];
        for (list, items) in (0..).zip(lists) {
            for (place, &item) in (0..).zip(items) {
                places[next[item as usize]] = (list, place);
                next[item as usize] += 1;
            }
        }
        Self { offsets, places }
    }

    /// Lists and places of an item, in the order of the lists.
    pub(super) fn of_item(&self, item: u32) -> &[(u32, u32)] {
        &self.places[self.offsets[item as usize]..self.offsets[item as usize + 1]]
    }

    /// `[items]`: lists that hold the item, each counted once.
    pub(super) fn popularity(&self) -> Vec<u32> {
        let n_items = self.offsets.len() as u32 - 1;
        let count = |item: u32| {
            let places = self.of_item(item);
            let again = places.windows(2).filter(|two| two[0].0 == two[1].0).count();
            (places.len() - again) as u32
        };
        (0..n_items).map(count).collect()
    }
}

/// A dense row of sums that remembers which of them were touched.
pub(super) struct Sums {
    sums: Vec<f64>,
    touched: Vec<u32>,
}

impl Sums {
    pub(super) fn new(n_items: usize) -> Self {
        Self { sums: vec![0.0; n_items], touched: Vec::new() }
    }

    /// Adds a weight, which must not be negative; 0 leaves no trace.
    pub(super) fn add(&mut self, item: u32, weight: f64) {
        if weight <= 0.0 {
            return;
        }
        let sum = &mut self.sums[item as usize];
        if *sum == 0.0 {
            self.touched.push(item);
        }
        *sum += weight;
    }

    /// All sums above 0, by item, and an empty row again.
    pub(super) fn take(&mut self) -> Vec<(u32, f64)> {
        self.touched.sort_unstable();
        let sums = &mut self.sums;
        self.touched
            .drain(..)
            .map(|item| (item, std::mem::take(&mut sums[item as usize])))
            .collect()
    }
}

/// The matrix: for each item, others with a similarity above 0, by item.
pub(super) struct Similarity {
    offsets: Vec<usize>,
    entries: Vec<(u32, f32)>,
}

impl Similarity {
    /// Fills the rows of all items. `row` gets an empty [`Sums`] and must leave it empty; rows do not depend on
    /// the number of threads.
    pub(super) fn build(
        n_items: usize,
        row: impl Fn(u32, &mut Sums) -> Vec<(u32, f32)> + Sync,
    ) -> Self {
        let rows: Vec<Vec<(u32, f32)>> = (0..n_items as u32)
            .into_par_iter()
            .map_init(|| Sums::new(n_items), |sums, item| row(item, sums))
            .collect();
        Self::from_rows(&rows)
    }

    fn from_rows(rows: &[Vec<(u32, f32)>]) -> Self {
        let mut offsets = Vec::with_capacity(rows.len() + 1);
        let mut entries = Vec::with_capacity(rows.iter().map(Vec::len).sum());
        offsets.push(0);
        for row in rows {
            entries.extend_from_slice(row);
            offsets.push(entries.len());
        }
        Self { offsets, entries }
    }

    /// The matrix with rows and columns exchanged.
    pub(super) fn transposed(&self) -> Self {
        let mut rows = vec![Vec::new(); self.n_items()];
        for item in 0..self.n_items() as u32 {
            for &(other, similarity) in self.row(item) {
                rows[other as usize].push((item, similarity));
            }
        }
        Self::from_rows(&rows)
    }

    /// The file of a matrix in a folder.
    pub(super) fn file(folder: &Path) -> PathBuf {
        folder.join(MATRIX_FILE)
    }

    /// Writes the matrix: items, the similar items of each, all similarities.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let mut table = Packer::default();
        table.number(self.n_items() as u64);
        for item in 0..self.n_items() as u32 {
            table.rising(self.row(item).iter().map(|one| one.0));
        }
        table.floats(self.entries.iter().map(|one| one.1));
        table.write(&Self::file(folder), MATRIX)
    }

    /// Reads the matrix of so many items.
    pub(super) fn open(folder: &Path, n_items: usize) -> Result<Self> {
        let mut table = Unpacker::open(&Self::file(folder), MATRIX)?;
        table.expect(n_items as u64, "items")?;
        let (mut items, mut offsets) = (Vec::new(), vec![0]);
        for _ in 0..n_items {
            table.rising(n_items as u64, &mut items)?;
            offsets.push(items.len());
        }
        let similarities = table.floats()?;
        if similarities.len() != items.len() {
            return Err(table.fault("not every pair of items has a similarity"));
        }
        table.finish()?;
        Ok(Self { offsets, entries: items.into_iter().zip(similarities).collect() })
    }

    pub(super) fn n_items(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Similar items of an item, by item.
    pub(super) fn row(&self, item: u32) -> &[(u32, f32)] {
        &self.entries[self.offsets[item as usize]..self.offsets[item as usize + 1]]
    }

    /// Weighted sum of the rows of some items, by item.
    pub(super) fn sum(&self, items: impl Iterator<Item = (u32, f64)>) -> Vec<(u32, f32)> {
        let mut sums = Sums::new(self.n_items());
        for (item, weight) in items {
            for &(other, similarity) in self.row(item) {
                sums.add(other, weight * f64::from(similarity));
            }
        }
        sums.take().into_iter().map(|(item, sum)| (item, sum as f32)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_reads_back_bit_by_bit() {
        let folder = tempfile::tempdir().unwrap();
        let rows = [vec![(1, 0.1), (3, f32::MIN_POSITIVE)], vec![], vec![(0, 1.0 / 3.0)], vec![]];
        let matrix = Similarity::from_rows(&rows);
        matrix.write(folder.path()).unwrap();
        let read = Similarity::open(folder.path(), 4).unwrap();
        assert_eq!((read.offsets, read.entries), (matrix.offsets, matrix.entries));
        let refused = Similarity::open(folder.path(), 5).err().unwrap().to_string();
        assert!(refused.contains("expected 5 items, got 4"), "{refused}");
    }
}
