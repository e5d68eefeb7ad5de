//! Atomic writes: temporary name in the same folder, fsync, rename, fsync of the folder.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};

/// Creates a folder and its parents.
///
/// # Errors
/// [`Error::Environment`] when the folder cannot be created.
pub fn create_dir(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|e| {
        Error::unwritable(path, &e).with_help("choose a folder you may write to with --out DIR")
    })
}

/// Writes a file so that it appears whole or not at all, also after a power cut.
///
/// `fill` receives a buffered writer on a temporary file beside `path`; the file is renamed into
/// place only after `fill` succeeded and the data reached the disk.
///
/// # Errors
/// Whatever `fill` returns, or [`Error::Environment`] when the disk refuses.
pub fn write_atomic<T>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<T>,
) -> Result<T> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_dir(folder)?;
    let unwritable = |e: &std::io::Error| Error::unwritable(path, e);
    let temporary = tempfile::Builder::new()
        .prefix(".partial-")
        .tempfile_in(folder)
        .map_err(|e| unwritable(&e))?;
    let (file, temporary_path) = temporary.into_parts();
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    let value = fill(&mut writer)?;
    writer.flush().map_err(|e| unwritable(&e))?;
    writer.get_ref().sync_all().map_err(|e| unwritable(&e))?;
    temporary_path.persist(path).map_err(|e| unwritable(&e.error))?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| unwritable(&e))?;
    Ok(value)
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
