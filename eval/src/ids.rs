//! Strings as dense numbers: item and request ids are stored once, in one arena, and compared as `u32`. Knows nothing of
//! what they name.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Table of distinct ids; the number of an id is its order of arrival.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ids {
    /// All ids, one behind the other.
    text: String,
    /// `[number]` → where the id ends in `text`; it starts where the one before ends.
    ends: Vec<usize>,
    numbers: HashTable<u32>,
}

impl Ids {
    /// The number of the id, which is added where it is new.
    pub(crate) fn intern(&mut self, name: &str) -> u32 {
        let Self { text, ends, numbers } = self;
        let entry = numbers.entry(
            hash(name),
            |&number| slice(text, ends, number) == name,
            |&number| hash(slice(text, ends, number)),
        );
        match entry {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                // A table of 2^32 ids would need hundreds of GiB; saturating keeps the arithmetic total.
                let number = u32::try_from(ends.len()).unwrap_or(u32::MAX);
                entry.insert(number);
                text.push_str(name);
                ends.push(text.len());
                number
            }
        }
    }

    /// The number of the id, if it is known.
    pub(crate) fn get(&self, name: &str) -> Option<u32> {
        self.numbers.find(hash(name), |&number| self.name(number) == name).copied()
    }

    /// The id of a number that this table gave out.
    pub(crate) fn name(&self, number: u32) -> &str {
        slice(&self.text, &self.ends, number)
    }

    /// All ids by number.
    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|number| self.name(number as u32))
    }

    /// Number of ids.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }
}

/// The same on every machine and in every run, though no result depends on it.
fn hash(name: &str) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(name.as_bytes());
    hasher.finish()
}

fn slice<'a>(text: &'a str, ends: &[usize], number: u32) -> &'a str {
    let number = number as usize;
    let start = if number == 0 { 0 } else { ends[number - 1] };
    &text[start..ends[number]]
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_follow_the_order_of_arrival(names in prop::collection::vec("[a-cé]{0,3}", 0..200)) {
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
            prop_assert!(ids.names().enumerate().all(|(at, name)| ids.get(name) == Some(at as u32)));
        }
    }
}
