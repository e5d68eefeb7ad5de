//! The outside files of a recipe: which there are, and what is in them.
//!
//! Each component lists its files once per plan, and each file is read at most once: all that are
//! not known yet (`store::known`) are read side by side. A key needs the content of every file, so
//! a run reads what it does not know. A dry run reads no more than `DRY_BYTES`: where more is not
//! known, it reads nothing, and says of the steps that rest on those files that their state is not
//! known.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use super::step::{CORPUS, step_name};
use crate::error::{Error, Result};
use crate::kind::{Family, Kind};
use crate::recipe::Recipe;
use crate::store::{known_digests, look_up};

/// Most bytes of outside files that a dry run reads.
pub(super) const DRY_BYTES: u64 = 64 << 20;

/// Outside files by the step of the component that reads them, and their digests.
pub(super) struct Outside {
    files: BTreeMap<String, Vec<PathBuf>>,
    digests: BTreeMap<PathBuf, String>,
}

impl Outside {
    /// Looks at the files of all components, and reads those that are not known: at most `most`
    /// bytes, where that is given.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when a file or folder cannot be used.
    pub(super) fn of(recipe: &Recipe, most: Option<u64>) -> Result<Self> {
        let mut files = BTreeMap::new();
        for (name, kind) in components(recipe) {
            if most.is_none() {
                kind.check_sources()?;
            }
            files.insert(name, kind.sources()?);
        }
        for settings in recipe.model.values() {
            let spoken = settings.identifiers().into_iter();
            let known = |name| Some(recipe.identifier.get(name)?.it().known_levels());
            settings.it().check_vocabulary(&spoken.filter_map(known).collect::<Vec<_>>())?;
        }
        let all: BTreeSet<&PathBuf> = files.values().flatten().collect();
        let (known, new): (Vec<&PathBuf>, Vec<&PathBuf>) =
            all.into_iter().partition(|path| look_up(path).is_some());
        let size = |path: &&PathBuf| path.metadata().map_or(0, |file| file.len());
        let reads_all = most.is_none_or(|most| new.iter().map(size).sum::<u64>() <= most);
        let read = if reads_all { new.into_iter().chain(known).collect() } else { known };
        let read: Vec<PathBuf> = read.into_iter().cloned().collect();
        let found = known_digests(&read).map_err(|error| {
            error.with_help("check the path; data is given with --set corpus.path=DIR")
        })?;
        let digests = read.into_iter().zip(found.into_iter().map(|digest| digest.blake3));
        let digests = digests.collect();
        Ok(Self { files, digests })
    }

    /// The files that the component of a step reads.
    pub(super) fn files(&self, step: &str) -> &[PathBuf] {
        self.files.get(step).map_or(&[], Vec::as_slice)
    }

    /// BLAKE3 of a file; none where it was not read.
    pub(super) fn digest(&self, path: &Path) -> Option<&str> {
        self.digests.get(path).map(String::as_str)
    }
}

/// Looks at the outside files of a recipe without reading what is large: whether folders are what they must be, files
/// can be opened, and headers fit. All that is wrong, one error for each component.
pub fn faults(recipe: &Recipe) -> Vec<Error> {
    let look = |kind: &dyn Kind| {
        for path in kind.sources()? {
            let file = File::open(&path).map_err(|e| Error::unreadable(&path, &e));
            let kind = file?.metadata().map_err(|e| Error::unreadable(&path, &e))?;
            if kind.is_dir() {
                return Err(Error::data(&path, "is a folder, expected a file"));
            }
        }
        kind.check_headers()
    };
    let each = components(recipe).into_iter();
    each.filter_map(|(_, kind)| look(kind).err()).collect()
}

/// All components of a recipe that may read files, by the name of their step.
fn components(recipe: &Recipe) -> Vec<(String, &dyn Kind)> {
    let mut all: Vec<(String, &dyn Kind)> = vec![(CORPUS.into(), recipe.corpus.it())];
    for (name, settings) in &recipe.vectors {
        all.push((step_name(Family::Vectors, name), settings.it()));
    }
    for (name, settings) in &recipe.identifier {
        all.push((step_name(Family::Identifier, name), settings.it()));
    }
    for (name, settings) in &recipe.model {
        all.push((step_name(Family::Model, name), settings.it()));
    }
    for training in &recipe.train {
        all.push((step_name(Family::Train, training.name()), training.it()));
    }
    for system in &recipe.system {
        all.push((step_name(Family::System, system.name()), system.it()));
    }
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;

    #[test]
    fn every_file_is_listed_once_and_large_ones_are_left_alone_where_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors.npy");
        std::fs::write(&path, [7; 100]).unwrap();
        let text = include_str!("../../tests/it/tiny.toml");
        let own = format!("[vectors.own]\nkind = \"file\"\npath = \"{}\"\n", path.display());
        let text = text.replacen("vectors = \"text\"", "vectors = \"own\"", 1) + &own;
        let recipe = Recipe::parse(&text, "tiny.toml", &[]).unwrap().recipe;
        let read = Outside::of(&recipe, None).unwrap();
        assert_eq!(read.files("vectors.own"), std::slice::from_ref(&path));
        assert!(read.files("corpus").is_empty() && read.files("evaluation").is_empty());
        let expected = blake3::hash(&[7; 100]).to_hex().to_string();
        assert_eq!(read.digest(&path), Some(expected.as_str()));
        let limited = |most| Outside::of(&recipe, Some(most)).unwrap();
        assert_eq!(limited(100).digest(&path), Some(expected.as_str()));
        assert_eq!(limited(99).digest(&path), None);
        assert_eq!(limited(99).files("vectors.own"), std::slice::from_ref(&path));
        std::fs::remove_file(&path).unwrap();
        let error = Outside::of(&recipe, None).err().unwrap().to_string();
        assert!(
            error.contains("vectors.npy: cannot be read") && error.contains("--set"),
            "{error}"
        );
    }
}
