//! What is clustered: points that are looked at some at a time, so that not all of them need to lie in memory.

use std::borrow::Cow;

/// Points of one width in a fixed order.
pub(in crate::quantizer) trait Points {
    /// How many they are.
    fn count(&self) -> usize;

    /// Those of some rows, `[rows, dim]`.
    fn some(&self, rows: &[usize]) -> Vec<f32>;

    /// All of them, `[n, dim]`.
    fn all(&self) -> Cow<'_, [f32]>;
}

/// Points `[n, dim]` in memory.
#[derive(Debug, Clone, Copy)]
pub(in crate::quantizer) struct Table<'a> {
    pub(in crate::quantizer) points: &'a [f32],
    pub(in crate::quantizer) dim: usize,
}

impl Points for Table<'_> {
    fn count(&self) -> usize {
        self.points.len() / self.dim
    }

    fn some(&self, rows: &[usize]) -> Vec<f32> {
        rows.iter().flat_map(|&row| &self.points[row * self.dim..][..self.dim]).copied().collect()
    }

    fn all(&self) -> Cow<'_, [f32]> {
        Cow::Borrowed(self.points)
    }
}
