//! From unordered rows of codes to the sorted, packed image of a [`SidIndex`].
//!
//! A counting sort over the head prefix puts every row into its bucket, buckets are sorted side by
//! side, then packed: linear in the items for codes that spread, whatever the number of threads,
//! and the same bytes for any number of them.

use rayon::prelude::*;

use super::error::IndexError;
use super::layout::{Layout, SHARED};
use super::sid::SidIndex;
use crate::map::Bytes;

/// Rows per unit of parallel work: large enough to hide the hand-over, small enough to balance.
const ROWS_PER_TASK: usize = 1 << 14;

/// Buckets above this many rows are themselves sorted in parallel.
const LARGE_BUCKET: usize = 1 << 16;

impl SidIndex {
    /// Builds the index of `codes` `[items, levels]` (row `i` belongs to item `i`), where level `l`
    /// has `codes_per_level[l]` codes.
    ///
    /// # Errors
    /// No items, ragged rows, codes out of range, or two items with the same path (both are named).
    pub fn build<C>(codes: &[C], codes_per_level: &[u32]) -> Result<Self, IndexError>
    where
        C: Copy + Ord + Into<u32> + Sync,
    {
        Self::build_in_order(codes, codes_per_level, None)
    }

    /// As [`SidIndex::build`], where items may share a path: its leaf names all of them, those with the smaller number in
    /// `order` `[items]` first, then the smaller item.
    ///
    /// # Errors
    /// No items, ragged rows, or codes out of range.
    pub fn build_shared<C>(
        codes: &[C],
        codes_per_level: &[u32],
        order: &[u32],
    ) -> Result<Self, IndexError>
    where
        C: Copy + Ord + Into<u32> + Sync,
    {
        Self::build_in_order(codes, codes_per_level, Some(order))
    }

    fn build_in_order<C>(
        codes: &[C],
        codes_per_level: &[u32],
        order: Option<&[u32]>,
    ) -> Result<Self, IndexError>
    where
        C: Copy + Ord + Into<u32> + Sync,
    {
        let n_levels = codes_per_level.len();
        if n_levels == 0 {
            return Err(IndexError::Levels("[]".into()));
        }
        let n_items = codes.len() / n_levels;
        if !codes.len().is_multiple_of(n_levels) || order.is_some_and(|o| o.len() != n_items) {
            return Err(IndexError::Ragged { n_codes: codes.len(), n_levels });
        }
        let mut layout = Layout::for_items(codes_per_level, n_items)?;
        if order.is_some() {
            layout.version = SHARED;
        }
        check_range(codes, codes_per_level)?;
        let (offsets, mut items) = bucket(codes, &layout);
        sort_buckets(codes, &layout, &offsets, &mut items, order)?;
        let image = pack(codes, &layout, &offsets, &items);
        Ok(Self::from_parts(Bytes::from(image), layout))
    }
}

fn check_range<C>(codes: &[C], codes_per_level: &[u32]) -> Result<(), IndexError>
where
    C: Copy + Into<u32> + Sync,
{
    let n_levels = codes_per_level.len();
    let fault =
        codes.par_chunks(n_levels * ROWS_PER_TASK).enumerate().find_map_first(|(task, chunk)| {
            chunk.chunks_exact(n_levels).enumerate().find_map(|(row, path)| {
                path.iter().zip(codes_per_level).enumerate().find_map(|(level, (&code, &codes))| {
                    let code = code.into();
                    (code >= codes).then_some(IndexError::CodeOutOfRange {
                        item: task * ROWS_PER_TASK + row,
                        level,
                        code,
                        codes,
                    })
                })
            })
        });
    fault.map_or(Ok(()), Err)
}

/// Head table and items grouped by head prefix, in item order inside a group.
fn bucket<C: Copy + Into<u32> + Sync>(codes: &[C], layout: &Layout) -> (Vec<u32>, Vec<u32>) {
    let n_levels = layout.codes.len();
    let slot = |path: &[C]| -> usize {
        path.iter().zip(&layout.strides).map(|(&code, stride)| code.into() as usize * stride).sum()
    };
    let mut offsets = vec![0u32; layout.n_slots + 1];
    for path in codes.chunks_exact(n_levels) {
        offsets[slot(path) + 1] += 1;
    }
    for i in 1..offsets.len() {
        offsets[i] += offsets[i - 1];
    }
    let mut next = offsets.clone();
    let mut items = vec![0u32; layout.n_items];
    for (item, path) in codes.chunks_exact(n_levels).enumerate() {
        let cursor = &mut next[slot(path)];
        // The layout refused more items than a u32 can count.
        items[*cursor as usize] = item as u32;
        *cursor += 1;
    }
    (offsets, items)
}

fn sort_buckets<C: Copy + Ord + Sync>(
    codes: &[C],
    layout: &Layout,
    offsets: &[u32],
    items: &mut [u32],
    in_leaf: Option<&[u32]>,
) -> Result<(), IndexError> {
    let n_levels = layout.codes.len();
    let tail = |item: u32| {
        let at = item as usize * n_levels;
        &codes[at + layout.head_depth..at + n_levels]
    };
    let rank = |item: u32| in_leaf.map(|ranks| ranks[item as usize]);
    // Where no leaf is shared, ties go by item number so that the duplicate reported is always the same.
    let order =
        |a: &u32, b: &u32| tail(*a).cmp(tail(*b)).then(rank(*a).cmp(&rank(*b))).then(a.cmp(b));

    let mut tasks: Vec<(&[u32], &mut [u32])> = Vec::new();
    let mut rest = items;
    let mut first = 0;
    for slot in 1..offsets.len() {
        let rows = (offsets[slot] - offsets[first]) as usize;
        if rows >= ROWS_PER_TASK || slot + 1 == offsets.len() {
            let (task, after) = rest.split_at_mut(rows);
            tasks.push((&offsets[first..=slot], task));
            rest = after;
            first = slot;
        }
    }
    let duplicate = tasks
        .into_par_iter()
        .map(|(bounds, mut rows)| {
            let mut found = None;
            for pair in bounds.windows(2) {
                let (bucket, after) = rows.split_at_mut((pair[1] - pair[0]) as usize);
                rows = after;
                if bucket.len() > LARGE_BUCKET {
                    bucket.par_sort_unstable_by(order);
                } else {
                    bucket.sort_unstable_by(order);
                }
                if in_leaf.is_some() {
                    continue;
                }
                found = found.or_else(|| {
                    bucket.windows(2).find(|w| tail(w[0]) == tail(w[1])).map(|w| (w[0], w[1]))
                });
            }
            found
        })
        .collect::<Vec<_>>()
        .into_iter()
        .flatten()
        .next();
    match duplicate {
        Some((first, second)) => Err(IndexError::Duplicate { first, second }),
        None => Ok(()),
    }
}

fn pack<C: Copy + Into<u32> + Sync>(
    codes: &[C],
    layout: &Layout,
    offsets: &[u32],
    items: &[u32],
) -> Vec<u8> {
    let n_levels = layout.codes.len();
    let mut image = vec![0u8; layout.end];
    let header = layout.header();
    image[..header.len()].copy_from_slice(&header);
    write_u32s(&mut image[layout.head_at..layout.items_at], offsets);
    write_u32s(&mut image[layout.items_at..layout.rows_at], items);
    let row_bytes = layout.row_bytes;
    if row_bytes == 0 {
        return image;
    }
    let widths: Vec<u32> = layout.fields.iter().map(|field| field.mask.count_ones()).collect();
    let rows = &mut image[layout.rows_at..layout.rows_at + layout.n_items * row_bytes];
    rows.par_chunks_mut(row_bytes * ROWS_PER_TASK).zip(items.par_chunks(ROWS_PER_TASK)).for_each(
        |(rows, items)| {
            for (row, &item) in rows.chunks_exact_mut(row_bytes).zip(items) {
                let path = &codes[item as usize * n_levels..(item as usize + 1) * n_levels];
                let (mut word, mut filled, mut at) = (0u64, 0u32, 0);
                for (&code, &width) in path.iter().zip(&widths).skip(layout.head_depth) {
                    word |= u64::from(code.into()) << filled;
                    filled += width;
                    while filled >= 8 {
                        row[at] = word as u8;
                        at += 1;
                        word >>= 8;
                        filled -= 8;
                    }
                }
                if filled > 0 {
                    row[at] = word as u8;
                }
            }
        },
    );
    image
}

fn write_u32s(bytes: &mut [u8], numbers: &[u32]) {
    for (bytes, number) in bytes.chunks_exact_mut(4).zip(numbers) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
}
