//! JSON that notices when it was altered: an object with the checksum of all its other members.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use super::atomic::write_json;
use crate::error::{Error, Result};

/// The member that holds the checksum.
const CHECKSUM: &str = "checksum";
/// Letters of a checksum.
const LETTERS: usize = 64;

/// Content of a file of checked JSON.
pub struct Checked {
    /// The object without its checksum.
    pub value: Value,
    /// Whether it had one; files of earlier versions have none.
    pub has_checksum: bool,
}

/// Writes an object with its checksum, atomically.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses, [`Error::Failed`] for what is no object.
pub fn write_checked(path: &Path, value: &impl Serialize) -> Result<()> {
    let value = serde_json::to_value(value).map_err(|e| Error::Failed(e.to_string()))?;
    let Value::Object(mut object) = value else {
        return Err(Error::Failed(format!("{}: only objects are checked", path.display())));
    };
    let sum = checksum(&object);
    object.insert(CHECKSUM.into(), sum.into());
    write_json(path, &object)
}

/// Reads an object and compares it with its checksum, where it has one. `what` says what the file is, `help` what to do
/// about one that is not.
///
/// # Errors
/// [`Error::Data`] when the file cannot be read, is no JSON object, or was altered.
pub fn read_checked(path: &Path, what: &str, help: &str) -> Result<Checked> {
    let text = std::fs::read(path).map_err(|e| Error::unreadable(path, &e).with_help(help))?;
    let fault = |message: String| Error::data(path, message).with_help(help);
    let mut object: Map<String, Value> =
        serde_json::from_slice(&text).map_err(|e| fault(format!("not {what}: {e}")))?;
    let Some(expected) = object.shift_remove(CHECKSUM) else {
        return Ok(Checked { value: Value::Object(object), has_checksum: false });
    };
    if expected != checksum(&object).as_str() {
        return Err(fault(format!(
            "altered since trieval wrote it: {what} does not match its checksum"
        )));
    }
    Ok(Checked { value: Value::Object(object), has_checksum: true })
}

/// Whether a text is a checksum in hexadecimal, as keys of steps are too.
pub fn is_checksum(text: &str) -> bool {
    text.len() == LETTERS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Of the values, not of how they are laid out.
fn checksum(object: &Map<String, Value>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (key, value) in object {
        hasher.update(format!("{}:{value},", Value::from(key.as_str())).as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_written_is_read_and_every_alteration_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.json");
        let value = json!({ "a": [1, 0.1, -3e-300, null], "b": { "c": "ä\n" }, "d": u64::MAX });
        write_checked(&path, &value).unwrap();
        let read = read_checked(&path, "a file", "delete it").unwrap();
        assert!(read.has_checksum);
        assert_eq!(read.value, value);
        let good = std::fs::read(&path).unwrap();
        let end = good.len() - 3;
        for at in 0..end {
            let mut bad = good.clone();
            bad[at] ^= 1;
            // Blanks between values are no content; a checksum of another name is no checksum.
            std::fs::write(&path, bad).unwrap();
            let same = read_checked(&path, "a file", "delete it");
            let same = same.is_ok_and(|one| one.has_checksum);
            assert!(!same || good[at].is_ascii_whitespace(), "at {at}");
            std::fs::write(&path, &good[..at]).unwrap();
            let error = read_checked(&path, "a file", "delete it").err().unwrap();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains("delete it"), "{error}");
        }
        write_json(&path, &json!({ "a": 1 })).unwrap();
        assert!(!read_checked(&path, "a file", "").unwrap().has_checksum);
        for text in ["[]", "1", "", "\"checksum\""] {
            std::fs::write(&path, text).unwrap();
            assert!(read_checked(&path, "a file", "").is_err(), "{text}");
        }
        assert!(write_checked(&path, &1).is_err());
        assert!(
            is_checksum(&"0f".repeat(32)) && !is_checksum("0f") && !is_checksum(&"0F".repeat(32))
        );
    }
}
