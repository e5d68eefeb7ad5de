//! The metric of an index: the very product that exact search takes. Both give an item the same score, and the graph is
//! the same whatever the C++ compiler makes of a loop.
#![allow(unsafe_code)]

use std::slice::from_raw_parts;

use trieval_kernels::ops::dot;
use usearch::Index;

/// Makes `index`, whose vectors and queries are `dim` f32 numbers each, order by inner product, highest first. To be called
/// once per index: the library keeps the metric until the index is dropped.
pub(super) fn by_inner_product(index: &mut Index, dim: usize) {
    index.change_metric::<f32>(Box::new(move |a, b| {
        // SAFETY: the library asks for the distance of two stored vectors, or of a stored one and a query. Stored vectors
        // have the dimension and number type that the index was opened with, which is `dim` and f32 (a new index is
        // made with both; of a file, dimension and checksum are compared first); the length of a query is checked by the library
        // before. Stored vectors begin at multiples of 4 bytes: in memory by their allocator, in a file because
        // 8 bytes and whole rows of f32 precede them in a map, which begins at a page. They live as long as the index,
        // which no call outlives, and are not written while it is searched.
        let (a, b) = unsafe { (from_raw_parts(a, dim), from_raw_parts(b, dim)) };
        -dot(a, b)
    }));
}
