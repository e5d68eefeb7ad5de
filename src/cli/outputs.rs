//! What a command is about to write: never one of its inputs, never something that is no file. Looked at before any work.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::refuse_irregular;

/// A file that a command writes, by the flag that names it, and the files that it reads.
pub(super) fn check_output<'a>(
    flag: &str,
    path: &Path,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<()> {
    refuse_irregular(path)?;
    match inputs.into_iter().find(|input| is_same(path, input)) {
        Some(input) => Err(Error::Usage(format!(
            "{flag} {}: this is {}, which the same command reads; name another file",
            path.display(),
            input.display()
        ))),
        None => Ok(()),
    }
}

/// As [`check_output`], where what is read are folders with all that is in them.
pub(super) fn check_outside<'a>(
    flag: &str,
    path: &Path,
    folders: impl IntoIterator<Item = &'a Path>,
) -> Result<()> {
    refuse_irregular(path)?;
    let Some(place) = place(path) else { return Ok(()) };
    let holds =
        |folder: &&Path| folder.canonicalize().is_ok_and(|folder| place.starts_with(folder));
    match folders.into_iter().find(holds) {
        Some(folder) => Err(Error::Usage(format!(
            "{flag} {}: this is in {}, which the same command reads; name a file elsewhere",
            path.display(),
            folder.display()
        ))),
        None => Ok(()),
    }
}

/// A folder that a command fills: not a file.
pub(super) fn check_folder(flag: &str, folder: &Path) -> Result<()> {
    if folder.exists() && !folder.is_dir() {
        let folder = folder.display();
        return Err(Error::Usage(format!("{flag} {folder}: this is no folder; name a folder")));
    }
    Ok(())
}

/// The folder of a file, which must be there: a new file is no reason for new folders.
pub(super) fn check_parent(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match parent {
        Some(parent) if !parent.is_dir() => Err(Error::Usage(format!(
            "{}: there is no folder {}; create it, or name a file in one that is there",
            path.display(),
            parent.display()
        ))),
        _ => Ok(()),
    }
}

/// Where a file stands or would stand, without links in its folder.
fn place(path: &Path) -> Option<PathBuf> {
    if let Ok(there) = path.canonicalize() {
        return Some(there);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Some(folder.unwrap_or(Path::new(".")).canonicalize().ok()?.join(path.file_name()?))
}

/// Whether two paths lead to one file, by whatever links.
fn is_same(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    if let (Ok(one), Ok(other)) = (one.metadata(), other.metadata()) {
        use std::os::unix::fs::MetadataExt;
        return (one.dev(), one.ino()) == (other.dev(), other.ino());
    }
    place(one).is_some_and(|one| place(other) == Some(one))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_known_by_all_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a", "b"] {
            std::fs::write(path(name), name).unwrap();
        }
        std::fs::create_dir(path("sub")).unwrap();
        assert!(is_same(&path("a"), &path("sub/../a")) && !is_same(&path("a"), &path("b")));
        assert!(!is_same(&path("new"), &path("a")) && is_same(&path("new"), &path("sub/../new")));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(path("a"), path("link")).unwrap();
            std::fs::hard_link(path("a"), path("hard")).unwrap();
            assert!(is_same(&path("link"), &path("a")) && is_same(&path("a"), &path("hard")));
        }
        let inputs = [path("a"), path("b")];
        let inputs = || inputs.iter().map(PathBuf::as_path);
        check_output("--html", &path("new"), inputs()).unwrap();
        let refused = check_output("--html", &path("sub/../b"), inputs()).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().starts_with("--html "), "{refused}");
        check_folder("--out", &path("sub")).unwrap();
        assert!(check_folder("--out", &path("a")).unwrap_err().to_string().contains("no folder"));
        assert!(check_outside("--html", &path("sub/x"), [folder.path()]).is_err());
        check_outside("--html", &path("x"), [path("sub").as_path()]).unwrap();
        check_parent(&path("sub/x")).unwrap();
        check_parent(Path::new("x")).unwrap();
        assert_eq!(check_parent(&path("none/x")).unwrap_err().exit_code(), 2);
    }
}
