//! Weighted sums of many columns under many draws of weights at once: the work that the bootstrap and the randomization test
//! share. Every sum runs over the requests in their order, one product at a time, so that no blocking and no number of
//! threads changes a bit. Knows nothing of what the weights stand for.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Columns that are read together.
const LANES: usize = 4;

/// Draws that share one reading of the columns, which may be larger than the caches. 8 × 4 sums are in flight at once, in half
/// of the 16 vector registers of AVX2.
const BLOCK: usize = 8;

/// Requests that are worked through at a time: their weights and one strip of their values fit the nearest cache.
const TILE: usize = 256;

/// Columns of equal length, cut into strips of [`LANES`] that are read from end to end.
pub(super) struct Packed {
    n_requests: usize,
    n_columns: usize,
    /// `[strip][request]`, missing columns of the last strip are 0.
    strips: Vec<Vec<[f64; LANES]>>,
}

/// `[draw][lane]` sums of one strip over one block of draws.
type Sums = [[f64; LANES]; BLOCK];

impl Packed {
    /// Packs `[column][request]`.
    pub(super) fn new(columns: &[&[f64]]) -> Self {
        let n_requests = columns.iter().map(|column| column.len()).min().unwrap_or(0);
        let pack = |strip: &[&[f64]]| {
            let mut rows = vec![[0.0; LANES]; n_requests];
            for (lane, column) in strip.iter().enumerate() {
                for (row, &value) in rows.iter_mut().zip(*column) {
                    row[lane] = value;
                }
            }
            rows
        };
        let strips = columns.chunks(LANES).map(pack).collect();
        Self { n_requests, n_columns: columns.len(), strips }
    }

    /// `[column][draw]` sums over `n_draws` draws. `fill` writes the weights of one draw, `[request]`; `also` may take
    /// further figures from them, which are appended as columns.
    pub(super) fn draws<W: Copy + Default + Into<f64>>(
        &self,
        n_draws: usize,
        n_also: usize,
        fill: impl Fn(usize, &mut [W]) + Sync,
        also: impl Fn(usize, &[W]) -> f64 + Sync,
    ) -> Vec<Vec<f64>> {
        // `[block][draw][column]`.
        let drawn: Vec<Vec<Vec<f64>>> = (0..n_draws.div_ceil(BLOCK))
            .into_par_iter()
            .map_init(
                || [(); BLOCK].map(|()| vec![W::default(); self.n_requests]),
                |weights, block| {
                    let draws = (block * BLOCK..n_draws).take(BLOCK);
                    draws.clone().zip(&mut *weights).for_each(|(draw, one)| fill(draw, one));
                    let sums = Arch::new().dispatch(Products { strips: &self.strips, weights });
                    let columns = weights.iter().enumerate().map(|(at, weights)| {
                        let sums = sums.iter().flat_map(|strip| strip[at]).take(self.n_columns);
                        sums.chain((0..n_also).map(|index| also(index, weights))).collect()
                    });
                    columns.take(draws.len()).collect()
                },
            )
            .collect();
        let column = |column: usize| drawn.iter().flatten().map(|one| one[column]).collect();
        (0..self.n_columns + n_also).map(column).collect()
    }
}

/// Products of values and weights, summed with the widest vectors that the processor has. They change no bit: no product is
/// contracted with its sum.
struct Products<'a, W> {
    /// `[strip][request]`.
    strips: &'a [Vec<[f64; LANES]>],
    /// `[draw][request]`.
    weights: &'a [Vec<W>; BLOCK],
}

impl<W: Copy + Into<f64>> WithSimd for Products<'_, W> {
    /// `[strip]`.
    type Output = Vec<Sums>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<Sums> {
        let mut all = vec![Sums::default(); self.strips.len()];
        let mut tile = [[0.0; BLOCK]; TILE];
        let n_requests = self.weights[0].len();
        for start in (0..n_requests).step_by(TILE) {
            let end = n_requests.min(start + TILE);
            for (draw, weights) in self.weights.iter().enumerate() {
                for (row, &weight) in tile.iter_mut().zip(&weights[start..end]) {
                    row[draw] = weight.into();
                }
            }
            for (sums, strip) in all.iter_mut().zip(self.strips) {
                add(sums, &strip[start..end], &tile);
            }
        }
        all
    }
}

/// Adds the products of some requests, one request after the other.
#[inline(always)]
fn add(sums: &mut Sums, values: &[[f64; LANES]], weights: &[[f64; BLOCK]]) {
    let mut all = *sums;
    for (row, weights) in values.iter().zip(weights) {
        for (sums, weight) in all.iter_mut().zip(weights) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += weight * value;
            }
        }
    }
    *sums = all;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_equal_the_plain_loop_bit_for_bit() {
        let columns: Vec<Vec<f64>> = (0..6)
            .map(|column| (0..600).map(|i| f64::from(i * (column + 3) % 17) / 7.0).collect())
            .collect();
        let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let weight = |draw: usize, request: usize| ((draw * 5 + request) % 3) as f64 - 0.5;
        let fill = |draw: usize, weights: &mut [f64]| {
            for (request, one) in weights.iter_mut().enumerate() {
                *one = weight(draw, request);
            }
        };
        let got = Packed::new(&slices).draws(19, 2, fill, |index, weights| weights[index] * 10.0);
        assert_eq!(got.len(), 8);
        for (column, values) in columns.iter().enumerate() {
            for (draw, sum) in got[column].iter().enumerate() {
                let mut expected = 0.0;
                for (request, value) in values.iter().enumerate() {
                    expected += weight(draw, request) * value;
                }
                assert_eq!(sum.to_bits(), expected.to_bits());
            }
        }
        for (index, also) in got[6..].iter().enumerate() {
            let expected: Vec<f64> = (0..19).map(|draw| weight(draw, index) * 10.0).collect();
            assert_eq!(*also, expected);
        }
    }

    #[test]
    fn nothing_in_gives_nothing_out() {
        assert!(Packed::new(&[]).draws(3, 0, |_, _: &mut [f64]| {}, |_, _| 0.0).is_empty());
        let empty: &[f64] = &[];
        let sums = Packed::new(&[empty]).draws(2, 0, |_, _: &mut [f64]| {}, |_, _| 0.0);
        assert_eq!(sums, [[0.0, 0.0]]);
    }
}
