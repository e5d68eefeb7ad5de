//! Strings as dense numbers: item and request ids are stored once, in one arena, and compared as `u32`. Knows nothing of
//! what they name.
//!
//! Reading a run is mostly looking up ids at random in a table larger than the caches, so that a look-up should touch memory
//! once: ids of up to 11 bytes stand in the table itself, and those that share a place stand in one line of the cache. With a
//! table of the numbers alone (hashbrown), which had to go through the arena for every comparison, reading 10^7 lines over
//! 10^6 items took three times as long.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use rayon::prelude::*;

/// Longest id that stands in the table, in bytes.
const SHORT: usize = 11;
/// Ids that are looked up together: enough to keep memory busy, few enough to stay in the nearest cache.
pub(crate) const BATCH: usize = 64;
/// No id has this number.
pub(crate) const NONE: u32 = u32::MAX;
/// Slots in a line of the cache.
const LINE: usize = 4;

/// Table of distinct ids; the number of an id is its order of arrival.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ids {
    /// All ids, one behind the other.
    text: String,
    /// `[number]` → where the id ends in `text`; it starts where the one before ends.
    ends: Vec<usize>,
    /// Open addressing, line by line; a power of two, at most three quarters full.
    lines: Vec<Line>,
}

/// Slots that come into the cache together.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([Slot; LINE]);

/// One place of the table, empty where the number is [`NONE`].
#[derive(Debug, Clone, Copy)]
struct Slot {
    key: Key,
    number: u32,
}

/// A short id with its length, or what is most likely different for different long ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key([u8; SHORT + 1]);

#[cfg(test)]
impl Ids {
    /// Bytes that the table takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.text.capacity()
            + self.ends.capacity() * size_of::<usize>()
            + self.lines.capacity() * size_of::<Line>()
    }
}

impl Ids {
    /// The number of the id, which is added where it is new. A table holds 2^31 ids; more than memory does.
    pub(crate) fn intern(&mut self, name: &str) -> u32 {
        self.intern_hashed(name, hash(name.as_bytes()))
    }

    /// The numbers of many ids, those that are new added in their order.
    pub(crate) fn intern_all(&mut self, names: &Ids) -> Vec<u32> {
        let mut numbers = Vec::with_capacity(names.len());
        let mut hashes = Vec::with_capacity(BATCH);
        for start in (0..names.len()).step_by(BATCH) {
            let batch = start as u32..names.len().min(start + BATCH) as u32;
            hashes.clear();
            hashes.extend(batch.clone().map(|number| hash(names.name(number).as_bytes())));
            std::hint::black_box(self.touch(&hashes));
            let interned = batch
                .zip(&hashes)
                .map(|(number, &hash)| self.intern_hashed(names.name(number), hash));
            numbers.extend(interned);
        }
        numbers
    }

    /// For each id of another table its number here, [`NONE`] where it is not known.
    pub(crate) fn numbers_of(&self, names: &Ids) -> Vec<u32> {
        let batches = names.len().div_ceil(BATCH);
        let numbers: Vec<[u32; BATCH]> = (0..batches)
            .into_par_iter()
            .map(|batch| {
                let start = batch * BATCH;
                let length = BATCH.min(names.len() - start);
                let name = |at: usize| names.name((start + at) as u32);
                let mut hashes = [0; BATCH];
                for (at, slot) in hashes[..length].iter_mut().enumerate() {
                    *slot = hash(name(at).as_bytes());
                }
                std::hint::black_box(self.touch(&hashes[..length]));
                let mut numbers = [NONE; BATCH];
                for (at, slot) in numbers[..length].iter_mut().enumerate() {
                    *slot = self.get_hashed(name(at), hashes[at]).unwrap_or(NONE);
                }
                numbers
            })
            .collect();
        let mut numbers = numbers.concat();
        numbers.truncate(names.len());
        numbers
    }

    /// The number of the id with this hash, which is added where it is new.
    pub(crate) fn intern_hashed(&mut self, name: &str, hash: u64) -> u32 {
        if (self.ends.len() + 1) * 4 > self.lines.len() * LINE * 3 {
            self.grow();
        }
        let key = Key::new(name, hash);
        match self.find(name, key, hash) {
            Ok(number) => number,
            Err((line, place)) => {
                let number = self.ends.len() as u32;
                self.lines[line].0[place] = Slot { key, number };
                self.text.push_str(name);
                self.ends.push(self.text.len());
                number
            }
        }
    }

    /// The number of the id, if it is known.
    pub(crate) fn get(&self, name: &str) -> Option<u32> {
        self.get_hashed(name, hash(name.as_bytes()))
    }

    /// Brings the places where ids with these hashes would stand into the cache, all at once: look-ups one by one would each
    /// wait for memory. The sum keeps the reads from being dropped.
    pub(crate) fn touch(&self, hashes: &[u64]) -> u32 {
        let mask = self.lines.len().wrapping_sub(1);
        let lines = hashes.iter().filter_map(|&hash| self.lines.get((hash as usize / LINE) & mask));
        lines.fold(0, |sum: u32, line| sum.wrapping_add(line.0[0].number))
    }

    /// The number of the id with this hash, if it is known.
    pub(crate) fn get_hashed(&self, name: &str, hash: u64) -> Option<u32> {
        if self.lines.is_empty() {
            return None;
        }
        self.find(name, Key::new(name, hash), hash).ok()
    }

    /// The id of a number that this table gave out.
    pub(crate) fn name(&self, number: u32) -> &str {
        let number = number as usize;
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.text[start..self.ends[number]]
    }

    /// All ids by number.
    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|number| self.name(number as u32))
    }

    /// Number of ids.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of the id, or the line and the empty place in it where it belongs.
    fn find(&self, name: &str, key: Key, hash: u64) -> Result<u32, (usize, usize)> {
        let is_it =
            |slot: &Slot| slot.key == key && (key.is_whole() || self.name(slot.number) == name);
        probe(&self.lines, hash, |slot| is_it(slot).then_some(slot.number))
    }

    /// Doubles the table. Slots go to their old line or to one as far behind it as the table was long, so that lines are
    /// read and written in their order.
    fn grow(&mut self) {
        let size = (self.lines.len() * 2).max(4);
        let empty = Slot { key: Key([0; SHORT + 1]), number: NONE };
        let old = std::mem::replace(&mut self.lines, vec![Line([empty; LINE]); size]);
        for slot in old.iter().flat_map(|line| line.0).filter(|slot| slot.number != NONE) {
            if let Err((line, place)) = probe(&self.lines, slot.key.hash(), |_| None::<()>) {
                self.lines[line].0[place] = slot;
            }
        }
    }
}

/// Looks at the slots where an id with that hash may stand, first come first served: what `is_it` says of one of them, or the
/// line and the place in it that is free. There is one: the table is never full.
fn probe<T>(
    lines: &[Line],
    hash: u64,
    is_it: impl Fn(&Slot) -> Option<T>,
) -> Result<T, (usize, usize)> {
    let hash = hash as usize;
    let mask = lines.len() - 1;
    let mut at = (hash / LINE) & mask;
    loop {
        let line = &lines[at].0;
        for step in 0..LINE {
            let place = (hash + step) % LINE;
            let slot = &line[place];
            if slot.number == NONE {
                return Err((at, place));
            }
            if let Some(found) = is_it(slot) {
                return Ok(found);
            }
        }
        at = (at + 1) & mask;
    }
}

impl Key {
    fn new(name: &str, hash: u64) -> Self {
        let mut bytes = [0; SHORT + 1];
        if name.len() <= SHORT {
            bytes[..name.len()].copy_from_slice(name.as_bytes());
            bytes[SHORT] = name.len() as u8;
        } else {
            bytes[..8].copy_from_slice(&hash.to_le_bytes());
            bytes[SHORT] = u8::MAX;
        }
        Self(bytes)
    }

    /// The hash that the key was made with.
    fn hash(self) -> u64 {
        let length = usize::from(self.0[SHORT]);
        match self.0 {
            [a, b, c, d, e, f, g, h, ..] if length > SHORT => {
                u64::from_le_bytes([a, b, c, d, e, f, g, h])
            }
            bytes => hash(&bytes[..length]),
        }
    }

    /// Whether equal keys are equal ids.
    fn is_whole(self) -> bool {
        usize::from(self.0[SHORT]) <= SHORT
    }
}

/// The same on every machine and in every run, though no result depends on it.
pub(crate) fn hash(name: &[u8]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(name);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_follow_the_order_of_arrival(names in prop::collection::vec("[a-cé]{0,3}|[ab]{9,14}|x{0,40}", 0..200)) {
            let mut ids = Ids::default();
            let mut known = HashMap::new();
            for name in &names {
                let next = known.len() as u32;
                let expected = *known.entry(name.clone()).or_insert(next);
                prop_assert_eq!(ids.intern(name), expected);
            }
            prop_assert_eq!(ids.len(), known.len());
            for (name, &number) in &known {
                prop_assert_eq!(ids.get(name), Some(number));
                prop_assert_eq!(ids.name(number), name);
            }
            prop_assert_eq!(ids.get("zz"), None);
            let mut others = Ids::default();
            others.intern("zz");
            names.iter().step_by(2).for_each(|name| { others.intern(name); });
            let expected: Vec<u32> = others.names().map(|name| ids.get(name).unwrap_or(NONE)).collect();
            prop_assert_eq!(ids.numbers_of(&others), expected);
            let mut both = ids.clone();
            let numbers = both.intern_all(&others);
            prop_assert!(others.names().zip(numbers).all(|(name, number)| both.name(number) == name));
            prop_assert!(ids.names().enumerate().all(|(at, name)| ids.get(name) == Some(at as u32)));
        }
    }
}
