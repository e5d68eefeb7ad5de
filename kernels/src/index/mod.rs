//! Constraint indexes: which tokens may follow a prefix so that it stays the prefix of an item.
//!
//! [`SidIndex`] holds semantic IDs as sorted, bit-packed rows; a prefix is a range of rows. [`Spelled`] shows them as
//! sequences of different lengths.

mod build;
mod error;
mod format;
mod layout;
mod sid;
mod spelled;

pub use error::IndexError;
pub use sid::{SidIndex, SidState};
pub use spelled::Spelled;
