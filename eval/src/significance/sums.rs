//! Weighted sums of many columns under many draws of weights at once: the work that the bootstrap and the randomization test
//! share. Every sum runs over the requests in their order, one product at a time, so that no blocking and no number of
//! threads changes a bit. Knows nothing of what the weights stand for.

use rayon::prelude::*;

/// Columns that are read together.
const LANES: usize = 4;

/// Draws that share one reading of the columns. 4 × 4 sums fit the 16 vector registers of SSE2.
pub(super) const BLOCK: usize = 4;

/// Columns of equal length, cut into strips of [`LANES`] that are read from end to end.
pub(super) struct Packed {
    n_requests: usize,
    n_columns: usize,
    /// `[strip][request]`, missing columns of the last strip are 0.
    strips: Vec<Vec<[f64; LANES]>>,
}

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

    /// `[column]` sums of `weight × value` for each of the draws of a block; `weights` is `[request][draw]`.
    fn sums(&self, weights: &[[f64; BLOCK]]) -> [Vec<f64>; BLOCK] {
        let mut all = [(); BLOCK].map(|()| Vec::with_capacity(self.strips.len() * LANES));
        for strip in &self.strips {
            let mut sums = [[0.0_f64; LANES]; BLOCK];
            for (row, weights) in strip.iter().zip(weights) {
                for (sums, weight) in sums.iter_mut().zip(weights) {
                    for (sum, value) in sums.iter_mut().zip(row) {
                        *sum += weight * value;
                    }
                }
            }
            for (all, sums) in all.iter_mut().zip(&sums) {
                all.extend_from_slice(sums);
            }
        }
        all.map(|mut sums| {
            sums.truncate(self.n_columns);
            sums
        })
    }

    /// `[column][draw]` sums over `n_draws` draws. `fill` writes the weights of one draw, `[request]`; `also` may take
    /// further figures from them, which are appended as columns.
    pub(super) fn draws(
        &self,
        n_draws: usize,
        n_also: usize,
        fill: impl Fn(usize, &mut [u32], &mut [f64]) + Sync,
        also: impl Fn(usize, &[u32]) -> f64 + Sync,
    ) -> Vec<Vec<f64>> {
        let blocks: Vec<[Vec<f64>; BLOCK]> = (0..n_draws.div_ceil(BLOCK))
            .into_par_iter()
            .map_init(
                || Buffers::new(self.n_requests),
                |buffers, block| {
                    let mut others = [(); BLOCK].map(|()| Vec::with_capacity(n_also));
                    let draws = (block * BLOCK..n_draws).take(BLOCK);
                    for (slot, draw) in draws.enumerate() {
                        fill(draw, &mut buffers.times, &mut buffers.weights);
                        for (row, weight) in buffers.block.iter_mut().zip(&buffers.weights) {
                            row[slot] = *weight;
                        }
                        others[slot].extend((0..n_also).map(|index| also(index, &buffers.times)));
                    }
                    let mut sums = self.sums(&buffers.block);
                    for (sums, others) in sums.iter_mut().zip(&mut others) {
                        sums.append(others);
                    }
                    sums
                },
            )
            .collect();
        (0..self.n_columns + n_also)
            .map(|column| {
                let one = |draw: usize| blocks[draw / BLOCK][draw % BLOCK][column];
                (0..n_draws).map(one).collect()
            })
            .collect()
    }
}

/// Scratch memory of one thread.
struct Buffers {
    times: Vec<u32>,
    weights: Vec<f64>,
    block: Vec<[f64; BLOCK]>,
}

impl Buffers {
    fn new(n_requests: usize) -> Self {
        Self {
            times: vec![0; n_requests],
            weights: vec![0.0; n_requests],
            block: vec![[0.0; BLOCK]; n_requests],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_equal_the_plain_loop_bit_for_bit() {
        let columns: Vec<Vec<f64>> = (0..6)
            .map(|column| (0..37).map(|i| f64::from(i * (column + 3) % 17) / 7.0).collect())
            .collect();
        let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let weight = |draw: usize, request: usize| ((draw * 5 + request) % 3) as f64 - 0.5;
        let fill = |draw: usize, times: &mut [u32], weights: &mut [f64]| {
            times.fill(draw as u32);
            for (request, one) in weights.iter_mut().enumerate() {
                *one = weight(draw, request);
            }
        };
        let got = Packed::new(&slices)
            .draws(7, 2, fill, |index, times| f64::from(times[0]) + index as f64 / 10.0);
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
        assert_eq!(got[7], [0.1, 1.1, 2.1, 3.1, 4.1, 5.1, 6.1]);
    }

    #[test]
    fn nothing_in_gives_nothing_out() {
        assert!(Packed::new(&[]).draws(3, 0, |_, _, _| {}, |_, _| 0.0).is_empty());
        let empty: &[f64] = &[];
        assert_eq!(Packed::new(&[empty]).draws(2, 0, |_, _, _| {}, |_, _| 0.0), [[0.0, 0.0]]);
    }
}
