//! Digests that need not be computed again, because the file is as it was when they were.
//!
//! The digest of a file is *known* while its path, size and time of modification (on Unix also its
//! inode and time of change) are those that it had when it was last read. A file that changed less
//! than two seconds before it was read is never known: a further change might leave the same times.
//!
//! So this much is trusted: whoever changes a file changes its size or one of its times. A disk
//! that loses bits on its own, or a program that writes around the file system, goes unnoticed
//! until the file is read again. A file of known digests is no seal either: whoever may write it
//! may write anything into it. Deleting it costs one reading of all files, and nothing else.
//!
//! One process knows what it has read itself, and what [`recall`] found in a file; [`keep`] writes
//! such a file. No result and no key depends on either.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::atomic::write_json;
use super::digest::{Digest, digests};
use crate::error::{Error, Result};

/// Version of a file of known digests; files of other versions are ignored.
const FORMAT: u32 = 1;
/// How long the times of a file must have stood still for them to tell of a change.
const SETTLED: Duration = Duration::from_secs(2);

/// What this process knows.
static KNOWN: Mutex<Files> = Mutex::new(Files::new());

type Files = BTreeMap<PathBuf, Known>;

/// How a file looks from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: i64,
    /// Of the inode, on Unix: nanoseconds since 1970.
    changed: i64,
    /// On Unix.
    inode: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    #[serde(flatten)]
    stamp: Stamp,
    blake3: String,
}

/// A file of known digests.
#[derive(Serialize, Deserialize)]
struct KnownFile {
    format: u32,
    files: Files,
}

impl Stamp {
    fn of(path: &Path) -> std::io::Result<Self> {
        Self::read(&path.metadata()?)
    }

    fn read(file: &Metadata) -> std::io::Result<Self> {
        let modified = file.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let modified = i64::try_from(modified.as_nanos()).unwrap_or(i64::MAX);
        #[cfg(unix)]
        let (changed, inode) = {
            use std::os::unix::fs::MetadataExt;
            (file.ctime().saturating_mul(1_000_000_000) + file.ctime_nsec(), file.ino())
        };
        #[cfg(not(unix))]
        let (changed, inode) = (modified, 0);
        Ok(Self { bytes: file.len(), modified, changed, inode })
    }

    /// Whether the file had stood still long enough at a time.
    fn is_settled(&self, at: SystemTime) -> bool {
        let before = at.checked_sub(SETTLED).unwrap_or(UNIX_EPOCH);
        let before = before.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        i128::from(self.modified.max(self.changed)) < i128::try_from(before).unwrap_or(0)
    }
}

/// The digest of a file, which is read unless it is known.
///
/// # Errors
/// [`Error::Data`] when the file cannot be read.
pub fn known_digest(path: &Path) -> Result<Digest> {
    let mut found = known_digests(&[path.to_owned()])?;
    found.pop().ok_or_else(|| Error::Failed("a file has no digest".into()))
}

/// The digests of files in their order; those that are not known are read side by side, and where
/// all are known no thread is started.
///
/// # Errors
/// [`Error::Data`] naming the first file that cannot be read.
pub fn known_digests(paths: &[PathBuf]) -> Result<Vec<Digest>> {
    let mut found: Vec<Option<Digest>> = paths.iter().map(|path| look_up(path)).collect();
    let missing = paths.iter().zip(&found).filter(|(_, found)| found.is_none());
    let missing: Vec<PathBuf> = missing.map(|(path, _)| path.clone()).collect();
    if missing.is_empty() {
        return Ok(found.into_iter().flatten().collect());
    }
    let mut read = read(&missing).into_iter();
    for digest in found.iter_mut().filter(|found| found.is_none()) {
        *digest = read.next().transpose()?;
    }
    Ok(found.into_iter().flatten().collect())
}

/// The digest of a file where it is known; nothing is read.
pub fn look_up(path: &Path) -> Option<Digest> {
    let path = path.canonicalize().ok()?;
    let stamp = Stamp::of(&path).ok()?;
    let known = known();
    let known = known.get(&path).filter(|known| known.stamp == stamp)?;
    Some(Digest { bytes: stamp.bytes, blake3: known.blake3.clone() })
}

/// Learns what a file of known digests says; one that is missing, damaged or of another version
/// says nothing.
pub fn recall(file: &Path) {
    let read = read_known(file);
    let mut known = known();
    for (path, one) in read {
        // What this process has read itself is newer.
        known.entry(path).or_insert(one);
    }
}

/// Writes what is known into a file, without what has changed since; as far as that is possible,
/// for a folder that cannot be written to can be asked all the same.
pub fn keep(file: &Path) {
    let before = read_known(file);
    let mut files = before.clone();
    // What this process knows is newer.
    files.extend(known().clone());
    if files == before {
        return;
    }
    files.retain(|path, known| Stamp::of(path).is_ok_and(|stamp| stamp == known.stamp));
    // What cannot be kept is read again.
    let _ = write_json(file, &KnownFile { format: FORMAT, files });
}

fn read_known(file: &Path) -> Files {
    let text = std::fs::read(file).unwrap_or_default();
    let read = serde_json::from_slice::<KnownFile>(&text).ok();
    read.filter(|read| read.format == FORMAT).map(|read| read.files).unwrap_or_default()
}

/// Reads files, and remembers those that stood still before and meanwhile.
fn read(paths: &[PathBuf]) -> Vec<Result<Digest>> {
    let now = SystemTime::now();
    let stamp = |path: &PathBuf| {
        let path = path.canonicalize().ok()?;
        let stamp = Stamp::of(&path).ok()?;
        Some((path, stamp))
    };
    let before: Vec<_> = paths.iter().map(stamp).collect();
    let found = digests(paths);
    for (before, digest) in before.into_iter().zip(&found) {
        if let (Some((path, stamp)), Ok(digest)) = (before, digest)
            && stamp.is_settled(now)
            && Stamp::of(&path).is_ok_and(|after| after == stamp)
        {
            known().insert(path, Known { stamp, blake3: digest.blake3.clone() });
        }
    }
    found
}

fn known() -> MutexGuard<'static, Files> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{File, FileTimes};

    use super::*;

    /// A file that was last changed an hour ago, as far as its time of modification tells.
    fn old_file(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let times = FileTimes::new().set_modified(hour_ago);
        File::options().write(true).open(path).unwrap().set_times(times).unwrap();
    }

    fn blake3_of(text: &str) -> String {
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }

    /// Puts a digest that is not the file's among the known ones, so that believing it shows.
    fn pretend(path: &Path, blake3: &str) -> PathBuf {
        let path = path.canonicalize().unwrap();
        let stamp = Stamp::of(&path).unwrap();
        known().insert(path.clone(), Known { stamp, blake3: blake3.into() });
        path
    }

    #[test]
    fn a_known_file_is_not_read_until_its_size_or_a_time_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        old_file(&path, "one");
        pretend(&path, "believed");
        assert_eq!(known_digest(&path).unwrap(), Digest { bytes: 3, blake3: "believed".into() });
        // Of the same size, and as old as before: only the time of change tells.
        old_file(&path, "two");
        if cfg!(unix) {
            assert_eq!(look_up(&path), None);
            assert_eq!(known_digest(&path).unwrap().blake3, blake3_of("two"));
        }
        pretend(&path, "believed");
        old_file(&path, "longer");
        assert_eq!(known_digest(&path).unwrap().blake3, blake3_of("longer"));
        pretend(&path, "believed");
        std::fs::write(&path, "newest").unwrap();
        assert_eq!(known_digest(&path).unwrap().blake3, blake3_of("newest"));
        std::fs::remove_file(&path).unwrap();
        assert!(known_digest(&path).is_err());
    }

    #[test]
    fn a_file_that_changed_just_now_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "one").unwrap();
        assert_eq!(known_digest(&path).unwrap().blake3, blake3_of("one"));
        assert_eq!(look_up(&path), None);
        let (at, second) = (SystemTime::now(), Duration::from_secs(1));
        let stamp = Stamp::of(&path).unwrap();
        assert!(!stamp.is_settled(at) && !stamp.is_settled(at + second));
        assert!(stamp.is_settled(at + 3 * second));
        let ahead = Stamp { modified: i64::MAX, ..stamp };
        assert!(!ahead.is_settled(at + 3 * second), "a clock ahead of ours says nothing");
    }

    #[test]
    fn what_is_kept_is_recalled_and_damage_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, file] = ["a", "b", "known.json"].map(|name| folder.path().join(name));
        old_file(&a, "one");
        old_file(&b, "two");
        let a = pretend(&a, "believed");
        let b = pretend(&b, "outdated");
        old_file(&b, "three");
        keep(&file);
        let forget = || known().remove(&a);
        forget();
        assert_eq!(look_up(&a), None);
        recall(&file);
        assert_eq!(look_up(&a).unwrap().blake3, "believed");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("outdated"), "what has changed since is not kept: {text}");
        forget();
        for damaged in ["", "{", "[]", &text.replace("\"format\": 1", "\"format\": 2")] {
            std::fs::write(&file, damaged).unwrap();
            recall(&file);
            assert_eq!(look_up(&a), None, "{damaged}");
        }
        // A folder that cannot be written to is no fault.
        keep(&folder.path().join("a/below/a/file"));
    }

    #[test]
    fn many_files_come_in_order_known_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |at: usize| folder.path().join(format!("{at}"));
        let paths: Vec<PathBuf> = (0..9).map(path).collect();
        for (at, path) in paths.iter().enumerate() {
            old_file(path, &at.to_string());
        }
        pretend(&paths[4], "believed");
        let found = known_digests(&paths).unwrap();
        for (at, digest) in found.iter().enumerate() {
            let expected = if at == 4 { "believed".into() } else { blake3_of(&at.to_string()) };
            assert_eq!(digest.blake3, expected);
        }
        std::fs::remove_file(&paths[6]).unwrap();
        std::fs::remove_file(&paths[7]).unwrap();
        let error = known_digests(&paths).unwrap_err().to_string();
        assert!(error.contains("6: cannot be read"), "{error}");
    }
}
