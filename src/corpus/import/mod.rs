//! Importers: files of others into corpus folders. Format faults become errors with file and line.
//!
//! - `records`: rows of files of any format; `text`: CSV with named columns, UTF-8 checked per field
//! - `faults`: malformed rows; `quotes`: stray quotation marks; `items`: items files (CSV or JSON); `hashed`: splits by a hash
//! - `propose`: which fields of files that nobody described are what
//! - `judged_pairs` with `clicks`, `sequences`, `log`: the sources

mod clicks;
mod columns;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod damage;
mod faults;
mod hashed;
mod items;
mod judged_pairs;
pub(super) mod log;
pub mod propose;
mod quotes;
mod records;
mod sequences;
mod text;

use hashed::split_by_hash;

/// Seconds since 1970 of a time as `corpus.json` spells it.
pub(super) fn seconds_of(text: &str) -> Option<i64> {
    log::time::dated(text).map(|time| time.seconds)
}
