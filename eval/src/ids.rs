//! Strings as dense numbers: item and request ids are stored once and compared as `u32`. Knows nothing of what they name.

use std::collections::HashMap;

/// Table of distinct ids; the number of an id is its order of arrival.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ids {
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Ids {
    /// The number of the id, which is added where it is new.
    pub(crate) fn intern(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        // A table of 2^32 ids would need hundreds of GiB; saturating keeps the arithmetic total.
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let name: Box<str> = name.into();
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    /// The number of the id, if it is known.
    pub(crate) fn get(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The id of a number that this table gave out.
    pub(crate) fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    /// All ids by number.
    pub(crate) fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// Number of ids.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}
