//! What spans are to name items: `spans.json`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::settings::SpanSettings;
use crate::error::{Error, Result};
use crate::store::write_json;

/// The file, beside the texts and the index where these are made.
pub const SPANS_FILE: &str = "spans.json";
const FORMAT: u32 = 1;

/// Spans as a recipe asks for them, and, in the tokens of a model, what there is of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Declared {
    format: u32,
    /// BLAKE3 of the catalogue's item ids.
    pub catalogue: String,
    /// How they are made.
    pub settings: SpanSettings,
    /// What there is; none before a model has tokens for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
}

/// Spans in the tokens of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// BLAKE3 of the model's `tokenizer.json`.
    pub tokenizer: String,
    /// Items of which a text has a token.
    pub items: u64,
    /// Items of which none has: no span finds them.
    pub silent: u64,
    /// Texts with a token.
    pub texts: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
}

impl Declared {
    /// Spans over the items of a catalogue.
    pub fn new(catalogue: &str, settings: &SpanSettings) -> Self {
        let (catalogue, settings) = (catalogue.to_owned(), settings.clone());
        Self { format: FORMAT, catalogue, settings, counts: None }
    }

    /// The same, in the tokens of a model.
    #[must_use]
    pub fn counting(&self, counts: Counts) -> Self {
        Self { counts: Some(counts), ..self.clone() }
    }

    /// Writes them into a step's folder.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_json(&folder.join(SPANS_FILE), self)
    }

    /// Reads them back.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is missing, damaged, or of another version.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(SPANS_FILE);
        let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
        let help = "delete the step's folder; it will be done again";
        let declared: Self = serde_json::from_slice(&text).map_err(|e| {
            Error::data(&path, format!("not a description of spans: {e}")).with_help(help)
        })?;
        if declared.format != FORMAT {
            let message = format!("has format {}, expected {FORMAT}", declared.format);
            return Err(Error::data(&path, message).with_help(help));
        }
        Ok(declared)
    }
}
