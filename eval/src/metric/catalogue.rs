//! What metrics beyond accuracy know of the items: which there are, how often training showed them, where their vectors lie.
//! Knows no request and no run.

use crate::error::{Error, Result};
use crate::ids::Ids;

/// All items that could have been returned.
#[derive(Debug, Clone)]
pub struct Catalogue {
    items: Ids,
    exposures: Option<Vec<u64>>,
    vectors: Option<Vectors>,
}

/// `[items, dim]` vectors of length 1, or 0 where the given one was 0.
#[derive(Debug, Clone)]
struct Vectors {
    values: Vec<f32>,
    dim: usize,
}

/// What of a catalogue a metric needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Nothing: judgments are enough.
    Nothing,
    /// Ids of all items.
    Items,
    /// Ids, and how often each item was seen in training.
    Exposures,
    /// Ids, and a vector per item.
    Vectors,
}

impl Catalogue {
    /// A catalogue of these item ids. Refused where there is none, or the same twice.
    pub fn new<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Result<Self> {
        let mut ids = Ids::default();
        for (number, item) in items.into_iter().enumerate() {
            let item = item.as_ref();
            if ids.intern(item) as usize != number {
                return fault(format!("item {item} appears twice; give every item once"));
            }
        }
        if ids.len() == 0 {
            return fault("there is no item; give all items that could be returned".to_owned());
        }
        Ok(Self { items: ids, exposures: None, vectors: None })
    }

    /// Adds how often each item was seen in training, `[items]`, in the order of the ids.
    pub fn with_exposures(mut self, counts: Vec<u64>) -> Result<Self> {
        if counts.len() != self.len() {
            return fault(format!(
                "{} training counts were given for {} items; give one per item, in the order of the ids",
                counts.len(),
                self.len()
            ));
        }
        if counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count)).is_none() {
            return fault("the training counts add up to more than 2^64".to_owned());
        }
        self.exposures = Some(counts);
        Ok(self)
    }

    /// Adds a vector per item, `[items, dim]`, in the order of the ids. Only directions matter.
    pub fn with_vectors(mut self, mut values: Vec<f32>, dim: usize) -> Result<Self> {
        if dim == 0 || self.len().checked_mul(dim) != Some(values.len()) {
            return fault(format!(
                "{} numbers are not {} vectors of {dim} dimensions",
                values.len(),
                self.len()
            ));
        }
        for (number, vector) in values.chunks_exact_mut(dim).enumerate() {
            let squares: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            if !squares.is_finite() {
                let item = self.items.name(number as u32);
                return fault(format!(
                    "the vector of item {item} holds a number that is not finite"
                ));
            }
            let norm = squares.sqrt();
            if norm > 0.0 {
                vector.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
            }
        }
        self.vectors = Some(Vectors { values, dim });
        Ok(self)
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no item; never so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a metric that needs this can be computed.
    pub fn holds(&self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing | Needs::Items => true,
            Needs::Exposures => self.exposures.is_some(),
            Needs::Vectors => self.vectors.is_some(),
        }
    }

    /// The number of an item.
    pub(crate) fn number(&self, item: &str) -> Option<u32> {
        self.items.get(item)
    }

    /// `[items]` training counts; empty where none were given.
    pub(super) fn exposures(&self) -> &[u64] {
        self.exposures.as_deref().unwrap_or_default()
    }

    /// Item numbers, most exposed first, ties in byte order of the ids.
    pub(super) fn by_exposure(&self) -> Vec<u32> {
        let counts = self.exposures();
        let mut order: Vec<u32> = (0..counts.len() as u32).collect();
        order.sort_unstable_by(|&left, &right| {
            counts[right as usize]
                .cmp(&counts[left as usize])
                .then_with(|| self.items.name(left).cmp(self.items.name(right)))
        });
        order
    }

    /// `[dim]`, of length 1 or 0; empty where no vectors were given.
    pub(super) fn vector(&self, item: u32) -> &[f32] {
        self.vectors.as_ref().map_or(&[], |vectors| {
            let start = item as usize * vectors.dim;
            &vectors.values[start..start + vectors.dim]
        })
    }
}

impl Needs {
    /// What to give, for messages.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Items => "a catalogue of all item ids",
            Self::Exposures => "a catalogue of all item ids with their training counts",
            Self::Vectors => "a catalogue of all item ids with a vector per item",
        }
    }
}

fn fault<T>(what: String) -> Result<T> {
    Err(Error::Catalogue { what })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named() {
        let two = || Catalogue::new(["a", "b"]).unwrap();
        for (error, expected) in [
            (Catalogue::new(["a", "b", "a"]).unwrap_err(), "item a appears twice"),
            (Catalogue::new::<&str>([]).unwrap_err(), "there is no item"),
            (
                two().with_exposures(vec![1]).unwrap_err(),
                "1 training counts were given for 2 items",
            ),
            (two().with_exposures(vec![u64::MAX, 1]).unwrap_err(), "more than 2^64"),
            (two().with_vectors(vec![0.0; 3], 2).unwrap_err(), "3 numbers are not 2 vectors of 2"),
            (two().with_vectors(vec![0.0; 2], 0).unwrap_err(), "of 0 dimensions"),
            (two().with_vectors(vec![1.0, f32::NAN], 1).unwrap_err(), "the vector of item b"),
        ] {
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert!(two().holds(Needs::Items) && !two().holds(Needs::Vectors));
    }
}
