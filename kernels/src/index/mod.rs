//! Constraint indexes: which tokens may follow a prefix so that it stays the prefix of an item.
//!
//! [`SidIndex`] holds semantic IDs as sorted, bit-packed rows; a prefix is a range of rows. [`Spelled`] shows them as
//! sequences of different lengths. [`fm`] holds texts: a prefix is a span, which may lie anywhere in
//! them.

mod build;
mod error;
pub mod fm;
mod format;
mod layout;
mod sealed;
mod sid;
mod spelled;

pub use error::IndexError;
pub use sid::{SidIndex, SidState};
pub use spelled::Spelled;
