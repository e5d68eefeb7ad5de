//! Which spans of their titles speak for the items of requests that a report shows: `evidence.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::store::write_json;

/// The file inside the step's folder.
const EVIDENCE_FILE: &str = "evidence.json";
const FORMAT: u32 = 1;

/// First byte in a title, one past the last, and what the span adds to the item's score.
pub type TitleSpan = (u64, u64, f64);

/// Spans of titles, the strongest first, by request and item.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ShownEvidence {
    format: u32,
    requests: BTreeMap<String, BTreeMap<String, Vec<TitleSpan>>>,
}

impl ShownEvidence {
    /// Of ids of requests, and of items that something speaks for.
    pub fn new(requests: BTreeMap<String, BTreeMap<String, Vec<TitleSpan>>>) -> Self {
        Self { format: FORMAT, requests }
    }

    /// What speaks for an item of a request, the strongest first; empty where nothing is known.
    pub fn of(&self, request: &str, item: &str) -> &[TitleSpan] {
        let spans = self.requests.get(request).and_then(|items| items.get(item));
        spans.map_or(&[], Vec::as_slice)
    }

    /// Writes it into a step's folder.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_json(&folder.join(EVIDENCE_FILE), self)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is missing, damaged, or of another version.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(EVIDENCE_FILE);
        let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
        let help = "delete the step's folder; it will be done again";
        let read: Self = serde_json::from_slice(&text)
            .map_err(|e| Error::data(&path, e.to_string()).with_help(help))?;
        if read.format != FORMAT {
            let message = format!("has format {}, expected {FORMAT}", read.format);
            return Err(Error::data(&path, message).with_help(help));
        }
        Ok(read)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let spans = vec![(4, 10, 12.25), (0, 3, 1.5)];
        let items: BTreeMap<String, Vec<TitleSpan>> = [("i1".to_owned(), spans.clone())].into();
        let told = ShownEvidence::new([("r1".to_owned(), items)].into());
        told.write(folder.path()).unwrap();
        let back = ShownEvidence::read(folder.path()).unwrap();
        assert_eq!(back, told);
        assert_eq!(back.of("r1", "i1"), spans);
        assert!(back.of("r1", "i2").is_empty() && back.of("r2", "i1").is_empty());
        let path = folder.path().join(EVIDENCE_FILE);
        std::fs::write(&path, r#"{"format":9,"requests":{}}"#).unwrap();
        let message = ShownEvidence::read(folder.path()).unwrap_err().to_string();
        assert!(message.contains("format 9, expected 1"), "{message}");
        std::fs::write(&path, "{").unwrap();
        assert!(ShownEvidence::read(folder.path()).is_err());
    }
}
