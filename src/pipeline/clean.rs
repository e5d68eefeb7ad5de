//! What a run folder holds that neither the last report nor the present plan rests on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::folder::{BOARD_DIR, BOARD_LETTERS, RunFolder, SHORT_KEY, STEPS_DIR};
use super::manifest::MANIFEST_FILE;
use super::plan::{PLAN_FILE, Plan};
use super::record;
use super::report::REPORT_JSON;
use crate::error::{Error, Result};

/// The folder of a step under a key that nothing rests on, or its event files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its path inside the run folder.
    pub inner: PathBuf,
    /// What it takes.
    pub bytes: u64,
    /// Whether the step was finished.
    pub is_finished: bool,
}

/// What is left of earlier recipes, by path.
///
/// # Errors
/// [`Error::Data`] when plan or record are damaged, or nothing says what the last report rests on; where a folder cannot
/// be read.
pub fn leftovers(folder: &RunFolder) -> Result<Vec<Leftover>> {
    let root = folder.root();
    let plan = Plan::read(root)?;
    let mut kept: BTreeSet<String> = plan.steps.iter().map(|step| step.key.clone()).collect();
    match record::rests_on(root)? {
        Some(keys) => kept.extend(keys),
        None if root.join(REPORT_JSON).exists() && !is_finished(&plan, folder)? => {
            return Err(Error::data(
                root.join(PLAN_FILE),
                "the run is not finished, and nothing says what its last report rests on",
            )
            .with_help("run the recipe to its end first, or delete report.json"));
        }
        None => {}
    }
    let mut found = below(root, STEPS_DIR, SHORT_KEY, &kept)?;
    found.extend(below(root, BOARD_DIR, BOARD_LETTERS, &kept)?);
    found.sort_by(|a, b| a.inner.cmp(&b.inner));
    Ok(found)
}

/// Deletes one, its manifest first: what is half gone is not finished.
///
/// # Errors
/// [`Error::Data`] when a link is on the way, [`Error::Environment`] when the disk refuses.
pub fn remove(folder: &RunFolder, one: &Leftover) -> Result<()> {
    folder.refuse_links_to(&one.inner)?;
    let path = folder.root().join(&one.inner);
    let manifest = path.join(MANIFEST_FILE);
    for removed in [std::fs::remove_file(&manifest), std::fs::remove_dir_all(&path)] {
        match removed {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::unwritable(&path, &e));
            }
            _ => {}
        }
    }
    // The folder of the step's name goes with its last key.
    if let Some(named) = path.parent() {
        let _ = std::fs::remove_dir(named);
    }
    Ok(())
}

fn is_finished(plan: &Plan, folder: &RunFolder) -> Result<bool> {
    for step in &plan.steps {
        if folder.manifest(&step.name, &step.key)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Folders `NAME/KEY` below a folder of the run whose key, of so many letters, none of `kept` begins with.
fn below(
    root: &Path,
    inner: &str,
    letters: usize,
    kept: &BTreeSet<String>,
) -> Result<Vec<Leftover>> {
    let mut found = Vec::new();
    for named in folders(&root.join(inner))? {
        for path in folders(&named)? {
            let key = path.file_name().unwrap_or_default().to_string_lossy();
            let is_key = key.len() == letters && key.bytes().all(|b| b.is_ascii_hexdigit());
            if is_key && !kept.iter().any(|one| one.starts_with(&*key)) {
                found.push(Leftover {
                    inner: path.strip_prefix(root).unwrap_or(&path).to_owned(),
                    bytes: size(&path)?,
                    is_finished: inner != STEPS_DIR || path.join(MANIFEST_FILE).exists(),
                });
            }
        }
    }
    Ok(found)
}

/// Folders in a folder, which may not exist; links are none.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::unreadable(folder, &e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Error::unreadable(folder, &e))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Bytes of all files below a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    let entries = std::fs::read_dir(folder).map_err(|e| Error::unreadable(folder, &e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Error::unreadable(folder, &e))?;
        // Links are not followed.
        let kind = entry.metadata().map_err(|e| Error::unreadable(entry.path(), &e))?;
        bytes += if kind.is_dir() { size(&entry.path())? } else { kind.len() };
    }
    Ok(bytes)
}
