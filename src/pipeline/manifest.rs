//! The manifest of a finished step: its presence is what "finished" means, and it says what the step was made from and
//! what is in every file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::store::{is_checksum, read_checked, write_checked};

/// Version of the manifest's layout. Those of [`BEFORE`] have no checksum of their own, and are otherwise the same.
const FORMAT: u32 = 3;
const BEFORE: u32 = 2;
/// Written when a step is finished.
pub(super) const MANIFEST_FILE: &str = "step.json";
/// What to do about a manifest that cannot be used.
const HELP: &str = "delete the step's folder and run again: only this step will be redone";

/// What a finished step was made from, and what it wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this layout.
    pub format: u32,
    /// Version of trieval that did the work.
    pub trieval: String,
    /// Name of the step when it was done.
    pub step: String,
    /// Content key: the hash of everything below that goes in.
    pub key: String,
    /// Resolved settings.
    pub settings: Value,
    /// Seed of all that was drawn; none where nothing was.
    pub seed: Option<u64>,
    /// Keys of the steps it reads, by what they are to it.
    pub inputs: BTreeMap<String, String>,
    /// Checksums of the files it reads from outside.
    pub sources: BTreeMap<String, String>,
    /// BLAKE3 checksums of the files it wrote, by path inside the step's folder.
    pub files: BTreeMap<String, String>,
    /// Wall seconds of the process that finished it.
    pub seconds: f64,
}

impl Manifest {
    /// Writes it into its step's folder: from then on the step is finished.
    pub(super) fn write(&mut self, folder: &Path) -> Result<()> {
        self.format = FORMAT;
        self.trieval = env!("CARGO_PKG_VERSION").into();
        write_checked(&folder.join(MANIFEST_FILE), self)
    }

    /// The first member that cannot be what was written.
    fn fault(&self) -> Option<String> {
        let key = ("key", &self.key);
        let of = |name, map: &'_ BTreeMap<String, String>| {
            map.values().map(move |sum| (name, sum.clone())).collect::<Vec<_>>()
        };
        let mut all = vec![(key.0, key.1.clone())];
        all.extend(of("inputs", &self.inputs));
        all.extend(of("sources", &self.sources));
        all.extend(of("files", &self.files));
        let (name, bad) = all.into_iter().find(|(_, sum)| !is_checksum(sum))?;
        Some(format!("{name} holds `{bad}`, which is not a checksum of 64 letters"))
    }
}

/// Manifest in a step's folder, or `None` while the step is not finished.
///
/// # Errors
/// [`Error::Data`] when the manifest is damaged or was altered.
pub(super) fn read_manifest(folder: &Path) -> Result<Option<Manifest>> {
    let path = folder.join(MANIFEST_FILE);
    if path.symlink_metadata().is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let read = read_checked(&path, "a step manifest", HELP)?;
    let fault = |message: String| Error::data(&path, message).with_help(HELP);
    let format = read.value["format"].as_u64();
    let expected = if read.has_checksum { FORMAT } else { BEFORE };
    if format.is_some_and(|format| !(BEFORE..=FORMAT).contains(&(format.min(99) as u32))) {
        return Ok(None);
    }
    if format != Some(expected.into()) {
        return Err(fault("altered since trieval wrote it: its checksum is missing".into()));
    }
    let manifest: Manifest = serde_json::from_value(read.value)
        .map_err(|e| fault(format!("not a step manifest: {e}")))?;
    match manifest.fault() {
        Some(message) => Err(fault(message)),
        None => Ok(Some(manifest)),
    }
}
