//! Files that models and their identifiers are bound by.

use std::path::Path;

use crate::error::{Error, Result};

/// The constraint index inside the folder of identifiers.
pub const INDEX_FILE: &str = "index.bin";

/// Says that a folder belongs to another catalogue, identifier or tokenizer than what it is used with.
pub(super) fn mismatch<T>(at: &Path, what: &str) -> Result<T> {
    Err(Error::data(at, format!("the model was made for another {what}"))
        .with_help("delete the model's step folder and run again"))
}
