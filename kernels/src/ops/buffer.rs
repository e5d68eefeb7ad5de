//! New `f32` buffers that are filled block by block, in parallel.
//!
//! `vec![0.0; n]` would write, and have the system map, a whole tensor on one thread before the
//! operation writes it again. Here a block is cleared by the task that fills it, right before, while it
//! lies in that core's cache.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// Entries below which a loop stays on the calling thread.
const SERIAL_BELOW: usize = 1 << 14;

/// `N` new buffers of `entries` entries each. `work(first_entry, blocks)` fills blocks of `block` entries
/// (the last may be shorter), which hold zeros before; its results are returned in the order of blocks.
pub(super) fn new_blocks<const N: usize, T: Send>(
    entries: usize,
    block: usize,
    work: impl Fn(usize, [&mut [f32]; N]) -> T + Sync,
) -> ([Vec<f32>; N], Vec<T>) {
    let block = block.max(1);
    let sizes: Vec<[usize; N]> =
        (0..entries).step_by(block).map(|first| [block.min(entries - first); N]).collect();
    new_pieces(&sizes, |i, parts| work(i * block, parts))
}

/// `N` new buffers, cut into pieces: `sizes[i]` are the entries of piece `i` of each buffer. `work(i, pieces)`
/// fills them, zeros before; its results are returned in order.
pub(super) fn new_pieces<const N: usize, T: Send>(
    sizes: &[[usize; N]],
    work: impl Fn(usize, [&mut [f32]; N]) -> T + Sync,
) -> ([Vec<f32>; N], Vec<T>) {
    let entries: [usize; N] = std::array::from_fn(|n| sizes.iter().map(|size| size[n]).sum());
    let mut buffers = entries.map(Vec::with_capacity);
    let mut pieces: Vec<[&mut [MaybeUninit<f32>]; N]> =
        sizes.iter().map(|_| std::array::from_fn(|_| Default::default())).collect();
    for (n, buffer) in buffers.iter_mut().enumerate() {
        let mut rest = &mut buffer.spare_capacity_mut()[..entries[n]];
        for (pieces, size) in pieces.iter_mut().zip(sizes) {
            (pieces[n], rest) = rest.split_at_mut(size[n]);
        }
    }
    let one = |(i, parts): (usize, [&mut [MaybeUninit<f32>]; N])| work(i, parts.map(clear));
    let results = if entries.iter().sum::<usize>() < SERIAL_BELOW {
        pieces.into_iter().enumerate().map(one).collect()
    } else {
        pieces.into_par_iter().enumerate().map(one).collect()
    };
    for (buffer, entries) in buffers.iter_mut().zip(entries) {
        // SAFETY: the pieces cover the first `entries` entries of the capacity, and `clear` has
        // initialized each of them.
        unsafe { buffer.set_len(entries) };
    }
    (buffers, results)
}

/// One new buffer, filled by `work(first_row, rows)` in blocks of `rows` rows of `width` entries.
pub(super) fn new_rows(
    entries: usize,
    width: usize,
    rows: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let width = width.max(1);
    let fill = |first: usize, [out]: [&mut [f32]; 1]| work(first / width, out);
    let ([buffer], _) = new_blocks(entries, rows.max(1) * width, fill);
    buffer
}

/// Sets entries to 0.
fn clear(part: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    part.fill(MaybeUninit::new(0.0));
    // SAFETY: the line above has initialized every entry.
    unsafe { part.assume_init_mut() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_cleared_and_filled_once() {
        for (entries, block) in [(0, 4), (1, 4), (10, 4), (40_000, 1_000), (40_001, 1_000)] {
            let ([a, b], firsts) = new_blocks(entries, block, |first, [a, b]| {
                assert!(a.iter().chain(&*b).all(|entry| *entry == 0.0));
                a.iter_mut().enumerate().for_each(|(i, a)| *a += (first + i) as f32);
                b.iter_mut().enumerate().for_each(|(i, b)| *b -= (first + i) as f32);
                first
            });
            assert!(a.iter().enumerate().all(|(i, a)| *a == i as f32) && a.len() == entries);
            assert!(b.iter().enumerate().all(|(i, b)| *b == -(i as f32)) && b.len() == entries);
            assert_eq!(firsts, (0..entries).step_by(block).collect::<Vec<_>>());
        }
        let sizes = [[2, 0], [0, 3], [1, 1]];
        let ([a, b], results) = new_pieces(&sizes, |i, [a, b]: [&mut [f32]; 2]| {
            a.fill(i as f32);
            b.fill(-(i as f32));
            i
        });
        assert_eq!(results, [0, 1, 2]);
        assert_eq!((a, b), (vec![0.0, 0.0, 2.0], vec![-1.0, -1.0, -1.0, -2.0]));
        let rows = new_rows(6, 2, 2, |first, rows| rows.fill(first as f32));
        assert_eq!(rows, [0.0, 0.0, 0.0, 0.0, 2.0, 2.0]);
    }
}
