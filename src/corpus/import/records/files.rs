//! Which files a name means: one, or all that a pattern with `*` matches.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The files of a name relative to a folder, in the order of their names.
///
/// # Errors
/// [`Error::Data`] when a pattern matches none; a plain name is not looked at here.
pub(in crate::corpus::import) fn matching(folder: &Path, name: &Path) -> Result<Vec<PathBuf>> {
    let text = name.to_string_lossy();
    if !text.contains(['*', '?', '[']) {
        return Ok(vec![folder.join(name)]);
    }
    let base = glob::Pattern::escape(&folder.to_string_lossy());
    let pattern = Path::new(&base).join(name);
    let found = glob::glob(&pattern.to_string_lossy())
        .map_err(|e| Error::Usage(format!("`{text}` is no pattern of files: {e}")))?;
    let mut files = Vec::new();
    for file in found {
        let file = file.map_err(|e| Error::unreadable(e.path(), e.error()))?;
        if file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        let message = format!("no file matches `{text}`");
        return Err(Error::data(folder, message).with_help("patterns are relative to corpus.path"));
    }
    Ok(files)
}
