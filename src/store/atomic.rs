//! Atomic writes: temporary name in the same folder, fsync, rename, fsync of the folder.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};

/// How the names of unfinished files begin.
const PARTIAL: &str = ".partial-";

/// Unfinished files of this process.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes the unfinished files of this process, which is about to end in the middle of its work.
pub fn abandon_writes() {
    for path in unfinished().drain(..) {
        let _ = std::fs::remove_file(path);
    }
}

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While it lives, a file is known as unfinished.
struct Unfinished(PathBuf);

impl Unfinished {
    fn new(path: &Path) -> Self {
        unfinished().push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        unfinished().retain(|path| *path != self.0);
    }
}

/// Creates a folder and its parents.
///
/// # Errors
/// [`Error::Environment`] when the folder cannot be created.
pub fn create_dir(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path)
        .map_err(|e| Error::unwritable(path, &e).with_help("choose a folder that you may write to"))
}

/// Refuses to put a file in the place of what is none: a folder, a device, a pipe, a socket.
///
/// # Errors
/// [`Error::Data`] where such a thing is there, or a link that leads to one.
pub fn refuse_irregular(path: &Path) -> Result<()> {
    match path.metadata() {
        Ok(there) if there.is_dir() => {
            let refused = Error::data(path, "is a folder, and a file is to be written");
            Err(refused.with_help("name a file, for instance one in this folder"))
        }
        Ok(there) if !there.is_file() => {
            let what = "is a device, a pipe or a socket, which is neither written to nor replaced";
            Err(Error::data(path, what).with_help("name a file that is there, or a new one"))
        }
        _ => Ok(()),
    }
}

/// Writes a file so that it appears whole or not at all, also after a power cut.
///
/// `fill` receives a buffered writer on a temporary file beside `path`; the file is renamed into
/// place only after `fill` succeeded and the data reached the disk.
///
/// # Errors
/// Whatever `fill` returns, [`Error::Data`] where something is there that is no file, or [`Error::Environment`] when the disk
/// refuses.
pub fn write_atomic<T>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<T>,
) -> Result<T> {
    refuse_irregular(path)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_dir(folder)?;
    let unwritable = |e: &std::io::Error| Error::unwritable(path, e);
    let temporary = partial_file(folder).map_err(|e| unwritable(&e))?;
    let (file, temporary_path) = temporary.into_parts();
    let _unfinished = Unfinished::new(&temporary_path);
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    let value = fill(&mut writer)?;
    writer.flush().map_err(|e| unwritable(&e))?;
    writer.get_ref().sync_all().map_err(|e| unwritable(&e))?;
    temporary_path.persist(path).map_err(|e| unwritable(&e.error))?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| unwritable(&e))?;
    Ok(value)
}

/// A temporary file with the permissions of an ordinary one: what the process's umask allows.
fn partial_file(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Removes what killed processes left of unfinished writes in `folder` (not below it), as far as
/// that is possible. Call it only where no other process writes.
pub fn sweep_partial(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|e| e.file_name().to_string_lossy().starts_with(PARTIAL)) {
        // A leftover costs space and nothing else.
        let _ = std::fs::remove_file(entry.path());
    }
}

/// Writes a value as indented JSON with a final line break, atomically.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    write_atomic(path, |writer| {
        serde_json::to_writer_pretty(&mut *writer, value)
            .map_err(|e| Error::unwritable(path, &e.into()))?;
        writer.write_all(b"\n").map_err(|e| Error::unwritable(path, &e))
    })
}

/// Reads the description that a step wrote of its folder: JSON with a whole number `format`, which is looked at first. `what`
/// says what it describes.
///
/// # Errors
/// [`Error::Data`] when the file is missing, not such a description, or of another format.
pub fn read_description<T: DeserializeOwned>(path: &Path, what: &str, format: u32) -> Result<T> {
    let text = std::fs::read(path).map_err(|e| Error::unreadable(path, &e))?;
    let odd =
        |e: serde_json::Error| Error::data(path, format!("not the description of {what}: {e}"));
    let value: Value = serde_json::from_slice(&text).map_err(odd)?;
    if let Some(got) = value["format"].as_u64()
        && got != u64::from(format)
    {
        return Err(Error::data(path, format!("has format version {got}, expected {format}"))
            .with_help("it was written by another version of trieval: run the recipe again"));
    }
    serde_json::from_value(value).map_err(odd)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_description_of_another_version_is_told_by_its_version() {
        #[derive(serde::Deserialize)]
        struct Shelf {
            format: u32,
            books: u32,
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shelf.json");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_description::<Shelf>(&path, "a shelf", 2)
        };
        let shelf = read(r#"{"format": 2, "books": 7}"#).unwrap();
        assert_eq!((shelf.format, shelf.books), (2, 7));
        for (text, says) in [
            (r#"{"format": 3, "volumes": 7}"#, "has format version 3, expected 2"),
            (
                r#"{"format": 2, "volumes": 7}"#,
                "not the description of a shelf: missing field `books`",
            ),
            (r#"{"books": 7}"#, "missing field `format`"),
            ("[", "not the description of a shelf"),
        ] {
            let error = read(text).err().unwrap();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(says), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(read_description::<Shelf>(&path, "a shelf", 2).is_err());
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"old").unwrap();
        let refused = write_atomic(&path, |writer| {
            writer.write_all(b"new").unwrap();
            Err::<(), _>(Error::Failed("no".into()))
        });
        assert!(refused.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn what_is_no_file_is_neither_written_nor_replaced() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        symlink(path("socket"), path("link")).unwrap();
        for (name, says) in
            [("socket", "a socket"), ("link", "a socket"), ("folder", "is a folder")]
        {
            let refused = write_json(&path(name), &1).unwrap_err();
            assert_eq!(refused.exit_code(), 2);
            assert!(refused.to_string().contains(says), "{refused}");
        }
        assert!(path("socket").symlink_metadata().unwrap().file_type().is_socket());
        assert!(path("link").symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
        drop(socket);
    }

    #[test]
    fn what_is_unfinished_is_removed_when_the_process_ends() {
        let folder = tempfile::tempdir().unwrap();
        let done = folder.path().join("done");
        std::fs::write(&done, b"done").unwrap();
        let path = folder.path().join("begun");
        std::fs::write(&path, b"half").unwrap();
        let one = Unfinished::new(&path);
        assert!(unfinished().contains(&path));
        // As `abandon_writes` does, for this file alone: other tests write meanwhile.
        let _ = std::fs::remove_file(&one.0);
        drop(one);
        assert!(!unfinished().contains(&path) && done.exists());
        write_json(&path, &1).unwrap();
        assert!(!unfinished().iter().any(|one| one.starts_with(folder.path())));
    }

    #[test]
    #[cfg(unix)]
    fn written_files_can_be_read_by_whom_the_umask_allows() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write_json(&ours, &1).unwrap();
        std::fs::write(&plain, "1").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn leftovers_of_killed_writes_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".partial-abc", "checkpoint.bin", "partial-x"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        sweep_partial(folder.path());
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["checkpoint.bin", "partial-x"]);
        sweep_partial(&folder.path().join("missing"));
    }
}
