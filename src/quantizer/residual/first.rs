//! First codes that are given: the value that each item has of something, such as its category.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::identifier::First;
use crate::kind::ItemValue;
use crate::vectors::Vectors;

/// Most codes of a level.
const MOST: usize = 65_536;

/// Codes of items by their values.
pub(super) struct Given {
    /// The value of each code.
    pub(super) first: First,
    /// The code of each item.
    pub(super) codes: Vec<u32>,
}

/// Numbers values, the most frequent first and equally frequent ones by name; items without a value share the last code.
///
/// # Errors
/// [`Error::Usage`] when a level cannot have so many codes.
pub(super) fn codes(of: ItemValue, values: &[Option<String>]) -> Result<Given> {
    let mut counts: HashMap<&Option<String>, u64> = HashMap::new();
    values.iter().for_each(|value| *counts.entry(value).or_default() += 1);
    let mut order: Vec<(&Option<String>, u64)> = counts.into_iter().collect();
    order.sort_by_key(|&(value, count)| (value.is_none(), Reverse(count), value));
    if order.len() > MOST {
        let message = format!(
            "items have {} different values of {of}, and a level has {MOST} codes at most: name another attribute, or a broader \
             level of categories",
            order.len()
        );
        return Err(Error::Usage(message));
    }
    let numbers: HashMap<&Option<String>, u32> =
        order.iter().zip(0..).map(|(&(value, _), code)| (value, code)).collect();
    let codes = values.iter().map(|value| numbers[value]).collect();
    let values = order.into_iter().map(|(value, _)| value.clone()).collect();
    Ok(Given { first: First { of, values }, codes })
}

/// The mean of the vectors of each code's items, `[n_codes, dim]`; each code has some.
pub(super) fn means(codes: &[u32], n_codes: usize, vectors: &Vectors) -> Vec<f32> {
    let dim = vectors.dim;
    let (mut sums, mut counts) = (vec![0_f64; n_codes * dim], vec![0_u32; n_codes]);
    for (row, &code) in vectors.rows().zip(codes) {
        counts[code as usize] += 1;
        let sum = &mut sums[code as usize * dim..][..dim];
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let mean = |(sum, count): (&[f64], u32)| {
        sum.iter().map(move |x| (x / f64::from(count)) as f32).collect::<Vec<_>>()
    };
    sums.chunks_exact(dim).zip(counts).flat_map(mean).collect()
}
