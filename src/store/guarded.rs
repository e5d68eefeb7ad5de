//! Reading strangers' files with a library that may panic over damaged bytes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::error::{Error, Result};

/// Runs a library's reader; its panic becomes a fault of the file. Only the library's own work belongs in `read`: a panic of
/// ours is no fault of a file.
///
/// # Errors
/// What `read` fails with; [`Error::Data`] where it panics.
pub fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(Error::data(path, "the file is damaged").with_help("copy or write it again"))
    })
}
