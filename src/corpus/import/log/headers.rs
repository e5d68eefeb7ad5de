//! Whether the files of a log have the fields that a recipe names, by their headers.

use std::path::Path;

use super::fields::Slots;
use super::settings::LogSettings;
use super::{grades, items, queries, reading, users};
use crate::corpus::import::records::{Wanted, check_header, matching};
use crate::corpus::settings::Format;
use crate::error::Result;

/// Looks at the header of every file. Rows of JSON say their fields themselves: there is nothing to look at.
///
/// # Errors
/// [`crate::Error::Data`] for a file that cannot be read, is empty, or lacks a column.
pub(super) fn check_headers(settings: &LogSettings) -> Result<()> {
    let folder = settings.path.path()?;
    let check = |file: &Path, format: Option<Format>, delimiter: Option<char>, wanted: &Wanted| {
        let reading = reading(format, delimiter);
        matching(folder, file)?.iter().try_for_each(|path| check_header(path, &reading, wanted))
    };
    if let Some(one) = &settings.items {
        check(&one.file, one.format, one.delimiter, &items::wanted(one))?;
    }
    if let Some(one) = &settings.queries {
        check(&one.file, one.format, one.delimiter, &queries::wanted(one))?;
    }
    for one in &settings.log {
        check(&one.file, one.format, one.delimiter, &Slots::of(one, |_| 0).1)?;
    }
    if let Some(one) = &settings.users {
        check(&one.file, one.format, one.delimiter, &users::wanted(one))?;
    }
    if let Some(one) = &settings.grades {
        check(&one.file, one.format, one.delimiter, &grades::wanted(one).1)?;
    }
    Ok(())
}
