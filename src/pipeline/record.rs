//! What a run folder says of its report: which recipe and plan it belongs to, and what was written.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::folder::RECIPE_FILE;
use super::plan::PLAN_FILE;
use crate::error::{Error, Result};
use crate::store::{digest, known_digest, read_checked, write_checked};

/// Written last, when the report is complete.
pub const RECORD_FILE: &str = "finished.json";
/// Version of the record.
const FORMAT: u32 = 1;
/// What to do about a damaged record or report.
pub(super) const HELP: &str =
    "run the recipe again: what is finished is kept, and the report is written anew";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u32,
    /// BLAKE3 of the recipe and the plan that the report belongs to, and of its forms, by name.
    files: BTreeMap<String, String>,
    /// Keys of the steps that the report rests on.
    steps: Vec<String>,
}

/// What is known of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It belongs to the recipe and plan that the folder holds.
    Present,
    /// It belongs to what was run before.
    Earlier,
    /// Nothing was written down: it was broken off while it was written, or an earlier version wrote it.
    Unknown,
}

/// Takes the record away before a report is written.
pub(super) fn forget(root: &Path) -> Result<()> {
    let path = root.join(RECORD_FILE);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::unwritable(&path, &e)),
        _ => Ok(()),
    }
}

/// Writes down the recipe and the plan of a run folder, these forms of its report, and the keys of its steps.
pub(super) fn write(root: &Path, forms: &[&str], steps: Vec<String>) -> Result<()> {
    let names = forms.iter().copied().chain([RECIPE_FILE, PLAN_FILE]);
    let files = names.map(|name| Ok((name.to_owned(), digest(&root.join(name))?.blake3)));
    let files = files.collect::<Result<_>>()?;
    write_checked(&root.join(RECORD_FILE), &Record { format: FORMAT, files, steps })
}

/// Checks a form of the report against what was written down, and says what it belongs to.
///
/// # Errors
/// [`Error::Data`] when the form or the record was altered.
pub(super) fn check(root: &Path, form: &str) -> Result<Standing> {
    let Some(record) = read(root)? else { return Ok(Standing::Unknown) };
    let is_as_written = |name: &str| {
        let found = known_digest(&root.join(name))?.blake3;
        Ok::<_, Error>(record.files.get(name) == Some(&found))
    };
    if !is_as_written(form)? {
        let message = "altered since trieval wrote it: it does not match its checksum";
        return Err(Error::data(root.join(form), message).with_help(HELP));
    }
    let is_present = is_as_written(RECIPE_FILE)? && is_as_written(PLAN_FILE)?;
    Ok(if is_present { Standing::Present } else { Standing::Earlier })
}

/// Keys of the steps that the last report rests on, where that was written down.
///
/// # Errors
/// [`Error::Data`] when the record was altered.
pub(super) fn rests_on(root: &Path) -> Result<Option<Vec<String>>> {
    Ok(read(root)?.map(|record| record.steps))
}

/// The record; none where there is none of this version.
fn read(root: &Path) -> Result<Option<Record>> {
    let path = root.join(RECORD_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let read = read_checked(&path, "the record of a report", HELP)?;
    let fault = |message: String| Error::data(&path, message).with_help(HELP);
    if !read.has_checksum {
        return Err(fault("altered since trieval wrote it: its checksum is missing".into()));
    }
    let record: Record = serde_json::from_value(read.value)
        .map_err(|e| fault(format!("not the record of a report: {e}")))?;
    Ok((record.format == FORMAT).then_some(record))
}
