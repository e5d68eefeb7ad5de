//! The run folder: who works in it, which steps are finished, and whether their files are intact.
//!
//! ```text
//! runs/quickstart/
//!   lock                       held by the process that works here
//!   recipe.toml                the resolved recipe of the last run
//!   report.{html,md,json}      the latest report
//!   finished.json              written last: which recipe and plan it belongs to, and its checksums
//!   fingerprints.json          digests by path, size and time; may be deleted
//!   steps/train.supervised/3f2a…/   one folder per step and key; a renamed part keeps the folder it has
//!     step.json                written last: settings, inputs, checksums of every file
//! ```

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::manifest::{MANIFEST_FILE, Manifest, read_manifest};
use crate::error::{Error, Result};
use crate::store::{create_dir, digest, keep, known_digests, recall, sweep_partial};

/// The resolved recipe inside a run folder.
pub const RECIPE_FILE: &str = "recipe.toml";
/// Digests of files that were read: of results, and of what lies outside.
const KNOWN_FILE: &str = "fingerprints.json";
/// Letters of a step's key in the name of its folder.
pub(super) const SHORT_KEY: usize = 16;
/// Folders of steps inside a run folder.
pub(super) const STEPS_DIR: &str = "steps";
/// Event files inside a run folder: outside of the steps, for they are views of the steps' logs.
pub(super) const BOARD_DIR: &str = "tensorboard";
/// Letters of a step's key that tell its event files apart.
pub(super) const BOARD_LETTERS: usize = 12;
/// Letters of a checksum in messages.
const SHORT_SUM: usize = 12;
/// Folder inside a step's folder for state that only an unfinished step needs.
pub const WORK_DIR: &str = "work";

/// A run folder on disk.
pub struct RunFolder {
    root: PathBuf,
    _lock: Option<File>,
}

impl RunFolder {
    /// Opens a run folder for work, creating it where needed, and locks it.
    ///
    /// # Errors
    /// [`Error::Environment`] when it cannot be written or another process works in it, [`Error::Data`] when its lock is a
    /// symbolic link.
    pub fn lock(root: &Path) -> Result<Self> {
        create_dir(root)?;
        refuse_links(root, Path::new("lock"))?;
        let path = root.join("lock");
        let lock = File::create(&path).map_err(|e| {
            Error::unwritable(&path, &e)
                .with_help("choose a folder you may write to with --out DIR")
        })?;
        match lock.try_lock() {
            Ok(()) => {
                sweep_partial(root);
                Ok(Self { root: root.to_owned(), _lock: Some(lock) })
            }
            Err(TryLockError::WouldBlock) => Err(Error::Environment {
                path: root.to_owned(),
                message: "another trieval process is working in this run folder".into(),
                help: "wait for it, or give this run a folder of its own with --out DIR".into(),
            }),
            Err(TryLockError::Error(e)) => Err(Error::unwritable(&path, &e)),
        }
    }

    /// Opens a finished run folder for reading.
    ///
    /// # Errors
    /// [`Error::Data`] when there is no run.
    pub fn open(root: &Path) -> Result<Self> {
        if root.join(RECIPE_FILE).is_file() {
            recall_digests(root);
            return Ok(Self { root: root.to_owned(), _lock: None });
        }
        Err(Error::data(root, "is not a run folder: it holds no recipe.toml")
            .with_help("make one with `trieval run RECIPE --out DIR`"))
    }

    /// Writes down what is known of files that were read, for the next process.
    pub fn keep_digests(&self) {
        keep(&self.root.join(KNOWN_FILE));
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of one step with one key.
    pub fn step_dir(&self, step: &str, key: &str) -> PathBuf {
        step_dir(&self.root, step, key)
    }

    /// Manifest of a finished step, or `None` while it is not finished.
    ///
    /// # Errors
    /// [`Error::Data`] when the manifest is damaged or was altered.
    pub fn manifest(&self, step: &str, key: &str) -> Result<Option<Manifest>> {
        manifest_of(&self.root, step, key)
    }

    /// Checks every file of a finished step against its recorded checksum. What is known of a file
    /// whose size and times are as they were is believed, as `store::known` says.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file that is missing or altered.
    pub fn verify(&self, manifest: &Manifest) -> Result<()> {
        let folder = self.step_dir(&manifest.step, &manifest.key);
        let paths: Vec<PathBuf> = manifest.files.keys().map(|name| folder.join(name)).collect();
        let redo =
            format!("delete {} and run again: only this step will be redone", folder.display());
        let found = known_digests(&paths).map_err(|error| error.with_help(redo.as_str()))?;
        for ((path, expected), found) in paths.iter().zip(manifest.files.values()).zip(found) {
            let found = found.blake3;
            if &found != expected {
                return Err(Error::data(
                    path,
                    format!(
                        "altered since step {} wrote it: expected checksum {}…, found {}…",
                        manifest.step,
                        short(expected),
                        short(&found)
                    ),
                )
                .with_help(redo));
            }
        }
        Ok(())
    }

    /// Declares a step finished: hashes what it wrote and writes the manifest, last of all.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn finish(&self, mut manifest: Manifest) -> Result<()> {
        let folder = self.step_dir(&manifest.step, &manifest.key);
        manifest.files = list_files(&folder)?
            .into_iter()
            .map(|name| Ok((name.clone(), digest(&folder.join(&name))?.blake3)))
            .collect::<Result<_>>()?;
        manifest.write(&folder)?;
        // Only now: a kill before the manifest was on disk must still find the checkpoint.
        self.clear_work(&manifest.step, &manifest.key)
    }

    /// Removes the working state of a finished step, which a kill may have left.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn clear_work(&self, step: &str, key: &str) -> Result<()> {
        let work = self.step_dir(step, key).join(WORK_DIR);
        match std::fs::remove_dir_all(&work) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::unwritable(&work, &e)),
            _ => Ok(()),
        }
    }

    /// Makes sure that nothing of a step is written or removed through a symbolic link: neither a folder on the way to it
    /// nor anything in it may be one.
    ///
    /// # Errors
    /// [`Error::Data`] naming the link.
    pub fn refuse_step_links(&self, step: &str, key: &str) -> Result<()> {
        let folder = self.step_dir(step, key);
        refuse_links(&self.root, folder.strip_prefix(&self.root).unwrap_or(&folder))
    }

    /// As [`Self::refuse_step_links`], for a file or folder by its path inside the run folder.
    ///
    /// # Errors
    /// [`Error::Data`] naming the link.
    pub fn refuse_links(&self, inner: &Path) -> Result<()> {
        refuse_links(&self.root, inner)
    }

    /// Makes sure that no folder on the way to something in the run folder is a symbolic link, nor that itself.
    ///
    /// # Errors
    /// [`Error::Data`] naming the link.
    pub fn refuse_links_to(&self, inner: &Path) -> Result<()> {
        refuse_links_to(&self.root, inner).map(drop)
    }

    /// Whether no step was ever finished here.
    pub fn is_empty(&self) -> bool {
        let finished =
            |step: &Path| subfolders(step).iter().any(|key| key.join(MANIFEST_FILE).exists());
        !subfolders(&self.root.join(STEPS_DIR)).iter().any(|step| finished(step))
    }
}

/// Learns what an earlier process knew of files that it read for a run folder, which may not exist.
pub fn recall_digests(root: &Path) {
    recall(&root.join(KNOWN_FILE));
}

/// Folder of one step with one key under a run folder that may not exist yet: where it was done under another name, the
/// folder of that name.
pub fn step_dir(root: &Path, step: &str, key: &str) -> PathBuf {
    let (steps, short) = (root.join(STEPS_DIR), key.get(..SHORT_KEY).unwrap_or(key));
    let own = steps.join(step).join(short);
    if own.exists() {
        return own;
    }
    let mut others: Vec<PathBuf> =
        subfolders(&steps).into_iter().map(|name| name.join(short)).collect();
    others.sort();
    others.into_iter().find(|folder| folder.exists()).unwrap_or(own)
}

/// The most recently finished manifest of a step under a key that is not wanted now.
pub fn previous(root: &Path, step: &str, is_current: impl Fn(&str) -> bool) -> Option<Manifest> {
    let mut found: Vec<(std::time::SystemTime, Manifest)> =
        subfolders(&root.join(STEPS_DIR).join(step))
            .into_iter()
            .filter_map(|folder| {
                let manifest = read_manifest(&folder).ok()??;
                let modified = folder.join(MANIFEST_FILE).metadata().ok()?.modified().ok()?;
                (!is_current(&manifest.key)).then_some((modified, manifest))
            })
            .collect();
    found.sort_by_key(|(modified, _)| *modified);
    found.pop().map(|(_, manifest)| manifest)
}

/// Manifest of a finished step under a run folder that may not exist, or `None` while it is not finished.
///
/// # Errors
/// [`Error::Data`] when the manifest is damaged, was altered, or is another step's.
pub fn manifest_of(root: &Path, step: &str, key: &str) -> Result<Option<Manifest>> {
    let folder = step_dir(root, step, key);
    let found = read_manifest(&folder)?;
    if let Some(other) = found.as_ref().filter(|found| found.key != key) {
        let name = &other.step;
        let message = format!("is of another step, {name} with key {}…", short(&other.key));
        return Err(Error::data(folder.join(MANIFEST_FILE), message)
            .with_help("delete the step's folder and run again: only this step will be redone"));
    }
    Ok(found)
}

fn short(sum: &str) -> &str {
    sum.get(..SHORT_SUM).unwrap_or(sum)
}

/// Refuses symbolic links on the way from a run folder to something in it, and below that.
fn refuse_links(root: &Path, inner: &Path) -> Result<()> {
    let mut pending = vec![refuse_links_to(root, inner)?];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            refuse_link(&path)?;
            if path.is_dir() {
                pending.push(path);
            }
        }
    }
    Ok(())
}

/// Refuses symbolic links on the way from a run folder to something in it; gives its path.
fn refuse_links_to(root: &Path, inner: &Path) -> Result<PathBuf> {
    let mut path = root.to_owned();
    for part in inner {
        path.push(part);
        refuse_link(&path)?;
    }
    Ok(path)
}

fn refuse_link(path: &Path) -> Result<()> {
    if !path.symlink_metadata().is_ok_and(|it| it.is_symlink()) {
        return Ok(());
    }
    let message = "is a symbolic link, and nothing is written through links in a run folder";
    Err(Error::data(path, message).with_help(
        "put what it leads to in its place, or give this run another folder with --out DIR",
    ))
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Paths of all files under `folder`, relative, sorted, manifest excluded.
fn list_files(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(current) = pending.pop() {
        let entries = std::fs::read_dir(&current).map_err(|e| Error::unreadable(&current, &e))?;
        for entry in entries {
            let path = entry.map_err(|e| Error::unreadable(&current, &e))?.path();
            if path.is_dir() {
                if path.strip_prefix(folder) != Ok(Path::new(WORK_DIR)) {
                    pending.push(path);
                }
            } else if let Ok(name) = path.strip_prefix(folder) {
                let name = name.to_string_lossy().replace('\\', "/");
                if name != MANIFEST_FILE {
                    names.push(name);
                }
            }
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    fn manifest(key: &str) -> Manifest {
        Manifest {
            format: 0,
            trieval: String::new(),
            step: "corpus".into(),
            key: key.into(),
            settings: Value::Null,
            seed: None,
            inputs: BTreeMap::new(),
            sources: BTreeMap::new(),
            files: BTreeMap::new(),
            seconds: 1.0,
        }
    }

    #[test]
    fn a_step_is_finished_by_its_manifest_and_damage_is_noticed() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let run = RunFolder::lock(folder.path()).expect("lock");
        let key = "0123456789abcdef".repeat(4);
        let key = key.as_str();
        let step = run.step_dir("corpus", key);
        create_dir(&step.join("sub")).expect("dir");
        create_dir(&step.join(WORK_DIR)).expect("dir");
        std::fs::write(step.join("sub/a"), b"one").expect("write");
        std::fs::write(step.join(WORK_DIR).join("b"), b"gone").expect("write");
        assert!(run.is_empty());
        assert!(run.manifest("corpus", key).expect("read").is_none());
        run.finish(manifest(key)).expect("finish");
        let written = run.manifest("corpus", key).expect("read").expect("finished");
        assert_eq!(written.files.keys().collect::<Vec<_>>(), ["sub/a"]);
        run.verify(&written).expect("intact");
        assert!(!run.is_empty());
        std::fs::write(step.join("sub/a"), b"two").expect("write");
        let message = run.verify(&written).expect_err("altered").to_string();
        assert!(message.contains("sub/a: altered since step corpus wrote it"), "{message}");
        assert_eq!(run.step_dir("renamed", key), step, "a renamed step keeps its folder");
        let before = previous(run.root(), "corpus", |one| one == "ffffffffffffffffff");
        assert_eq!(before.expect("previous").key, key);
        assert!(previous(run.root(), "corpus", |one| one == key).is_none());
    }

    #[test]
    fn a_second_process_is_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let first = RunFolder::lock(folder.path()).expect("lock");
        let error = RunFolder::lock(folder.path()).err().expect("refused");
        assert_eq!(error.exit_code(), 3);
        drop(first);
        RunFolder::lock(folder.path()).expect("free again");
    }
}
