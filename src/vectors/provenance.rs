//! What vectors were made from, told in their file, so that vectors and encoders that do not belong together are refused.
//!
//! The note is one entry of the metadata of a `.safetensors` file. Files without it are somebody's own: nothing is
//! known of them, and they are accepted. Knows catalogues and encoders by their hashes alone.

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::file::Vectors;
use crate::error::{Error, Result};
use crate::store::{hash_content, map};

/// The entry; one, because the format keeps entries in no order and equal vectors are to be equal files.
const NOTE: &str = "trieval";
/// Digits of a hash that a message shows.
const SHOWN_DIGITS: usize = 12;

/// What item vectors were made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Hash of the item ids in order, hexadecimal.
    pub catalogue: String,
    /// [`fingerprint`] of what encodes requests into the same space; none where nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
}

impl Provenance {
    /// Vectors of the items of a catalogue, by its hash, without an encoder.
    pub fn of_catalogue(catalogue: &str) -> Self {
        Self { catalogue: catalogue.to_owned(), encoder: None }
    }

    /// Vectors of the items of a catalogue, by its hash, from the encoder in `names` of `folder`.
    ///
    /// # Errors
    /// As [`fingerprint`].
    pub fn of_encoder(catalogue: &str, folder: &Path, names: &[&str]) -> Result<Self> {
        let encoder = Some(fingerprint(folder, names)?);
        Ok(Self { catalogue: catalogue.to_owned(), encoder })
    }

    /// Refuses a file that says of itself that it was made from something else; an encoder is compared where `self`
    /// names one.
    ///
    /// # Errors
    /// [`Error::Data`] with what was expected and found.
    fn check(&self, path: &Path) -> Result<()> {
        let Some(found) = Self::read(path)? else { return Ok(()) };
        let differs = |what: &str, expected: &str, found: &str, advice: &str| {
            let (expected, found) = (shown(expected), shown(found));
            let message =
                format!("the vectors were built {what}: expected {expected}, found {found}");
            Err(Error::data(path, message).with_help(advice))
        };
        if found.catalogue != self.catalogue {
            let advice = "use vectors of these very items in this order: run the recipe that makes them again";
            return differs("for another catalogue", &self.catalogue, &found.catalogue, advice);
        }
        match (&self.encoder, &found.encoder) {
            (Some(expected), found) if Some(expected) != found.as_ref() => {
                let found = found.as_deref().unwrap_or("none");
                differs(
                    "by another encoder",
                    expected,
                    found,
                    "delete the folder of this step and run the recipe again",
                )
            }
            _ => Ok(()),
        }
    }

    /// What a file says of itself; none where it says nothing.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is damaged or its note cannot be understood.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        if path.extension().and_then(|extension| extension.to_str()) != Some("safetensors") {
            return Ok(None);
        }
        let bytes = map(path)?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes)
            .map_err(|e| Error::data(path, format!("not a whole .safetensors file: {e}")))?;
        let note = metadata.metadata().as_ref().and_then(|notes| notes.get(NOTE));
        let read = |note: &String| {
            serde_json::from_str(note).map_err(|e| {
                Error::data(
                    path,
                    format!("says what it was made from in words not known here: {e}"),
                )
                .with_help("run the recipe that makes the vectors again")
            })
        };
        note.map(read).transpose()
    }
}

impl Vectors {
    /// Writes a `.safetensors` file with a note of what the vectors were made from, atomically.
    ///
    /// # Errors
    /// As [`Vectors::write`].
    pub fn write_made_from(&self, path: &Path, made_from: &Provenance) -> Result<()> {
        let note = serde_json::to_string(made_from)
            .map_err(|e| Error::Failed(format!("provenance cannot be written: {e}")))?;
        self.write_noted(path, Some(HashMap::from([(NOTE.to_owned(), note)])))
    }

    /// Reads a file with one row per item, which must not say that it was made from something else.
    ///
    /// # Errors
    /// As [`Vectors::read`], or [`Error::Data`] when the vectors were made for another catalogue or by another encoder.
    pub fn read_made_from(path: &Path, items: usize, made_from: &Provenance) -> Result<Self> {
        let vectors = Self::read(path, Some(items))?;
        made_from.check(path)?;
        Ok(vectors)
    }

    /// The same as [`Vectors::map`] does it: the numbers stay in the file.
    ///
    /// # Errors
    /// As [`Vectors::read_made_from`].
    pub fn map_made_from(path: &Path, items: usize, made_from: &Provenance) -> Result<Self> {
        let vectors = Self::map(path, Some(items))?;
        made_from.check(path)?;
        Ok(vectors)
    }
}

/// BLAKE3 over names and contents of files of `folder`, in the order given; folders among them stand for all that is in
/// them, sorted by name, hidden files apart. Hexadecimal.
///
/// # Errors
/// [`Error::Data`] when one cannot be read.
pub fn fingerprint(folder: &Path, names: &[&str]) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    for name in names {
        add(&mut hasher, &folder.join(name), name)?;
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn add(hasher: &mut blake3::Hasher, path: &Path, name: &str) -> Result<()> {
    let unreadable = |e: std::io::Error| Error::unreadable(path, &e);
    if path.is_dir() {
        let mut inner = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            inner.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
        }
        inner.retain(|name| !name.starts_with('.'));
        inner.sort();
        return inner
            .iter()
            .try_for_each(|own| add(hasher, &path.join(own), &format!("{name}/{own}")));
    }
    let length = path.metadata().map_err(unreadable)?.len();
    // Lengths go first, so that no two lists of files look alike.
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.update(&length.to_le_bytes());
    hash_content(hasher, path).map(drop)
}

fn shown(hash: &str) -> &str {
    hash.get(..SHOWN_DIGITS).unwrap_or(hash)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn vectors() -> Vectors {
        Vectors::new(2, vec![1.0, 2.0, 3.0, 4.0], "test").unwrap()
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.safetensors");
        let made = |catalogue: &str, encoder: Option<&str>| Provenance {
            catalogue: catalogue.into(),
            encoder: encoder.map(str::to_owned),
        };
        let own = made("cafe", Some("0123456789abcdef"));
        vectors().write_made_from(&path, &own).unwrap();
        assert_eq!(Provenance::read(&path).unwrap(), Some(own.clone()));
        let read = |expected: &Provenance| Vectors::read_made_from(&path, 2, expected);
        assert_eq!(read(&own).unwrap(), vectors());
        assert_eq!(read(&made("cafe", None)).unwrap(), vectors());
        let told = |expected: &Provenance| read(expected).unwrap_err().to_string();
        let text = told(&made("beef", Some("0123456789abcdef")));
        assert!(text.contains("for another catalogue: expected beef, found cafe"), "{text}");
        let text = told(&made("cafe", Some("fedcba9876543210")));
        assert!(
            text.contains("by another encoder: expected fedcba987654, found 0123456789ab")
                && text.contains("run the recipe again"),
            "{text}"
        );
        vectors().write_made_from(&path, &made("cafe", None)).unwrap();
        assert!(told(&own).contains("by another encoder: expected 0123456789ab, found none"));
    }

    #[test]
    fn files_that_say_nothing_are_accepted_and_equal_vectors_are_equal_files() {
        let folder = tempfile::tempdir().unwrap();
        let own = Provenance::of_catalogue("cafe");
        for name in ["v.npy", "v.safetensors"] {
            let path = folder.path().join(name);
            vectors().write(&path).unwrap();
            assert_eq!(Provenance::read(&path).unwrap(), None);
            assert_eq!(Vectors::read_made_from(&path, 2, &own).unwrap(), vectors());
        }
        let [a, b] = ["a.safetensors", "b.safetensors"].map(|name| folder.path().join(name));
        vectors().write_made_from(&a, &own).unwrap();
        vectors().write_made_from(&b, &own).unwrap();
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
        vectors().write_noted(&a, Some(HashMap::from([(NOTE.into(), "{}".into())]))).unwrap();
        let text = Vectors::read_made_from(&a, 2, &own).unwrap_err().to_string();
        assert!(text.contains("in words not known here"), "{text}");
    }

    #[test]
    fn a_fingerprint_changes_with_every_name_and_byte() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("model/inner")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
        write("weights", "abc");
        write("model/inner/a", "1");
        write("model/b", "2");
        write("beside", "x");
        let print = || fingerprint(root, &["weights", "model"]).unwrap();
        let first = print();
        assert_eq!((first.len(), &print()), (64, &first));
        write("beside", "y");
        write("model/.partial-1", "left over");
        assert_eq!(print(), first);
        write("model/inner/a", "3");
        let second = print();
        assert_ne!(second, first);
        write("model/inner/a", "1");
        std::fs::rename(root.join("model/b"), root.join("model/c")).unwrap();
        assert!(print() != first && print() != second);
        assert!(fingerprint(root, &["absent"]).is_err());
    }
}
