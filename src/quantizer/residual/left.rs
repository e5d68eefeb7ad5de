//! What levels leave over of the vectors of a catalogue, made anew wherever it is looked at: only codes grow with items.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use crate::error::Result;
use crate::progress::Context;
use crate::quantizer::kmeans::{Points, squared_norm, unit};
use crate::vectors::Vectors;

/// Numbers that are looked at together, at most, in whole blocks of rows.
const NUMBERS: usize = 1 << 22;
/// Rows of such a block; fixed, as results must depend on neither memory nor threads.
const ROWS: usize = 256;

/// Vectors less the centroids of the codes that their items have so far.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    pub(super) vectors: &'a Vectors,
    /// Per level `[codes, dim]`.
    pub(super) levels: &'a [Vec<f32>],
    /// Per level `[items]`.
    pub(super) columns: &'a [Vec<u32>],
}

impl Left<'_> {
    /// What is left of some rows, `[rows, dim]`.
    fn of(&self, rows: impl IndexedParallelIterator<Item = usize>) -> Vec<f32> {
        let dim = self.vectors.dim;
        let mut left = vec![0.0; rows.len() * dim];
        left.par_chunks_exact_mut(dim).zip(rows).with_min_len(64).for_each(|(left, row)| {
            left.copy_from_slice(self.vectors.row(row));
            for (level, column) in self.levels.iter().zip(self.columns) {
                let centroid = &level[column[row] as usize * dim..][..dim];
                left.iter_mut().zip(centroid).for_each(|(x, c)| *x -= c);
            }
        });
        left
    }

    /// Looks at what is left of all rows in their order, some at a time.
    ///
    /// # Errors
    /// An interrupt.
    pub(super) fn each(
        &self,
        ctx: &Context,
        mut look: impl FnMut(Range<usize>, &[f32]),
    ) -> Result<()> {
        let n = self.vectors.len();
        let step = (NUMBERS / self.vectors.dim / ROWS).max(1) * ROWS;
        for first in (0..n).step_by(step) {
            ctx.check_interrupt()?;
            let rows = first..n.min(first + step);
            let left = self.of(rows.clone().into_par_iter());
            look(rows, &left);
        }
        Ok(())
    }

    /// The codes `[items]` that `choose` gives to what is left.
    ///
    /// # Errors
    /// An interrupt.
    pub(super) fn codes(
        &self,
        ctx: &Context,
        choose: impl Fn(&[f32]) -> Vec<u32>,
    ) -> Result<Vec<u32>> {
        let mut codes = Vec::with_capacity(self.vectors.len());
        self.each(ctx, |_, left| codes.extend(choose(left)))?;
        Ok(codes)
    }

    /// Mean squared length of what is left.
    ///
    /// # Errors
    /// An interrupt.
    pub(super) fn mean_squared_length(&self, ctx: &Context) -> Result<f64> {
        let dim = self.vectors.dim;
        let mut sum = 0.0;
        self.each(ctx, |_, left| {
            let squares: Vec<f64> = left.par_chunks_exact(dim).map(squared_norm).collect();
            // One after the other: the same sum on any number of threads.
            squares.iter().for_each(|square| sum += square);
        })?;
        Ok(sum / self.vectors.len().max(1) as f64)
    }
}

/// What is left as points to cluster.
pub(super) struct LeftPoints<'a> {
    pub(super) left: Left<'a>,
    /// Whether their directions are clustered.
    pub(super) directions: bool,
}

impl LeftPoints<'_> {
    fn settled(&self, mut points: Vec<f32>) -> Vec<f32> {
        if self.directions {
            unit(&mut points, self.left.vectors.dim);
        }
        points
    }
}

impl Points for LeftPoints<'_> {
    fn count(&self) -> usize {
        self.left.vectors.len()
    }

    fn some(&self, rows: &[usize]) -> Vec<f32> {
        self.settled(self.left.of(rows.par_iter().copied()))
    }

    fn all(&self) -> Cow<'_, [f32]> {
        Cow::Owned(self.settled(self.left.of((0..self.count()).into_par_iter())))
    }
}
