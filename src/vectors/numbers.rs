//! The numbers of vectors, in memory or in a mapped file: whoever looks at them need not know which.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::store::Map;

/// Numbers that are read as a slice.
#[derive(Clone)]
pub struct Numbers(Source);

#[derive(Clone)]
enum Source {
    Owned(Vec<f32>),
    /// Bytes of a file that are numbers, as [`Numbers::mapped`] saw.
    Mapped(Arc<Map>, Range<usize>),
}

impl Numbers {
    /// The numbers in a range of a mapped file, which stay there where they can be looked at there.
    pub(super) fn mapped(file: Map, range: Range<usize>) -> Self {
        if file.f32s(range.clone()).is_some() {
            return Self(Source::Mapped(Arc::new(file), range));
        }
        Self(Source::Owned(f32s(file.get(range).unwrap_or_default())))
    }

    /// The numbers to change; from then on they lie in memory.
    pub fn to_mut(&mut self) -> &mut Vec<f32> {
        if let Source::Mapped(..) = self.0 {
            self.0 = Source::Owned(self.to_vec());
        }
        match &mut self.0 {
            Source::Owned(numbers) => numbers,
            Source::Mapped(..) => unreachable!("they lie in memory since the line above"),
        }
    }

    /// The numbers in memory.
    pub fn into_vec(self) -> Vec<f32> {
        match self.0 {
            Source::Owned(numbers) => numbers,
            Source::Mapped(..) => self.to_vec(),
        }
    }
}

impl Deref for Numbers {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.0 {
            Source::Owned(numbers) => numbers,
            Source::Mapped(file, range) => file.f32s(range.clone()).unwrap_or_default(),
        }
    }
}

impl From<Vec<f32>> for Numbers {
    fn from(numbers: Vec<f32>) -> Self {
        Self(Source::Owned(numbers))
    }
}

impl PartialEq for Numbers {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl PartialEq<Vec<f32>> for Numbers {
    fn eq(&self, other: &Vec<f32>) -> bool {
        **self == **other
    }
}

impl<const N: usize> PartialEq<[f32; N]> for Numbers {
    fn eq(&self, other: &[f32; N]) -> bool {
        **self == *other
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Numbers of little-endian bytes.
fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
