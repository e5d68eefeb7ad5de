//! Importers: files of others into corpus folders. Format faults become errors with file and line.
//!
//! - `text`: CSV with named columns, UTF-8 checked per field; `quotes`: stray quotation marks; `faults`: malformed rows
//! - `items`: items files (CSV or JSON); `judged_pairs` with `clicks`, `sequences`: the sources

mod clicks;
mod columns;
mod faults;
mod items;
mod judged_pairs;
mod quotes;
mod sequences;
mod text;
