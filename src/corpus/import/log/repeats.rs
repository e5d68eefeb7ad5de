//! An item that a log names twice at one position of one request was shown once: rows that were written or sent twice.

use super::collected::{Asked, Collected, Signals};
use crate::corpus::cell::{Cell, Entity};

impl Collected {
    /// Joins repeats into the first of them, and counts them.
    pub(super) fn join_repeats(&mut self) {
        let key = |row: u32| {
            let shown = &self.shown[row as usize];
            (shown.request, shown.item, shown.position)
        };
        let is_own = |row: &u32| self.shown[*row as usize].signals.has(Signals::OWN);
        let mut rows: Vec<u32> = (0..self.shown.len() as u32).filter(|row| !is_own(row)).collect();
        rows.sort_unstable_by_key(|&row| (key(row), row));
        // Of each row, the one that it is joined into.
        let mut into: Vec<(u32, u32)> = Vec::new();
        for group in rows.chunk_by(|&left, &right| key(left) == key(right)) {
            into.extend(group[1..].iter().map(|&row| (row, group[0])));
        }
        drop(rows);
        if into.is_empty() {
            return;
        }
        into.sort_unstable();
        let mut is_repeat = vec![false; self.shown.len()];
        for &(row, first) in &into {
            is_repeat[row as usize] = true;
            let again = self.shown[row as usize];
            self.shown[first as usize].join(&again);
            let key = &self.keys;
            self.repeated.one(|| key.text(again.request).replace('\u{1f}', " · "));
            for open in self.open.iter_mut().filter(|open| open.of == Entity::Impression) {
                let cell = open.of(row);
                open.keep(first, cell);
            }
        }
        keep_others(&mut self.shown, &is_repeat);
        for open in self.open.iter_mut().filter(|open| open.of == Entity::Impression) {
            keep_others::<Cell>(&mut open.cells, &is_repeat);
        }
    }

    /// Items that rows named, in number; none of them are known where nothing else is.
    pub(super) fn named(&self) -> (u64, u64) {
        let sum = |of: fn(&Asked) -> u32| self.asked.iter().map(|asked| u64::from(of(asked))).sum();
        (sum(|asked| asked.named), sum(|asked| asked.known))
    }
}

/// Leaves repeats out.
fn keep_others<T>(all: &mut Vec<T>, is_repeat: &[bool]) {
    let mut place = 0;
    all.retain(|_| {
        place += 1;
        !is_repeat[place - 1]
    });
}
