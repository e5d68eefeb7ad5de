//! An index of every span of every text: which token may follow, how often, and in whose text.
//!
//! [`FmIndex`] is the index, [`FmBuilder`] makes it, [`Spans`] shows it to the beam search. A *text*
//! is a list of tokens of an item, such as a title, a brand or a category; an item may have any
//! number of them. A *span* is any run of tokens of a text.
//!
//! | idea | source |
//! |---|---|
//! | backward search over the Burrows-Wheeler transform | Ferragina and Manzini, 2000 |
//! | wavelet matrix | Claude and Navarro, 2012 |
//! | sampled suffix array; document array | Ferragina and Manzini, 2000; Muthukrishnan, 2002 |
//! | one transform of many texts, whose ends are ordered | Mantaci and others, 2007 |
//! | a range kept in step in the other direction ([`Placed`]) | Lam and others, 2009 |
//! | spans as identifiers of what holds them | SEAL (Bevilacqua and others, 2022) |

mod bits;
mod builder;
mod file;
mod fm_index;
mod layout;
mod occurrences;
mod packed;
mod places;
mod sort;
mod spans;
#[cfg(test)]
mod tests;
mod wavelet;
mod word;

pub use builder::FmBuilder;
pub use fm_index::{Continuation, FmIndex, Rows};
pub use layout::Build;
pub use occurrences::Occurrences;
pub use places::Placed;
pub use spans::{SpanState, Spans};
