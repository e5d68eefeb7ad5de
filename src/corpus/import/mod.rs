//! Importers: files of others into corpus folders. Format faults become errors with file and line.
//!
//! - `text`: CSV with named columns, UTF-8 checked per field; `faults`: malformed rows
//! - `items`: items files (CSV or JSON); `judged_pairs`, `clicks`, `sequences`: the sources

mod clicks;
mod faults;
mod items;
mod judged_pairs;
mod sequences;
mod text;

pub(super) use judged_pairs::{estimate as estimate_judged_pairs, import as judged_pairs};
pub(super) use sequences::{estimate as estimate_sequences, import as sequences};
