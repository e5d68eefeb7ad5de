//! Which encoder a `config.json` describes: one of ours, whose weights may train, or one that a library runs as it is.

use std::path::Path;

use serde_json::Value;

use super::config::{EncoderConfig, Family};
use super::library::{LibraryConfig, LibraryFamily};
use crate::error::{Error, Result};
use crate::model::keys::read_object;
use crate::model::parameters::ParameterSpec;

/// What a `config.json` describes.
pub(super) enum Shape {
    /// Of the BERT family.
    Own(EncoderConfig),
    /// Of another family.
    Library(Box<LibraryConfig>),
}

impl Shape {
    /// Reads a file and checks that this program can run what it describes.
    ///
    /// # Errors
    /// [`Error::Data`] when it cannot be read, names another architecture (the known ones are listed) or sizes that
    /// do not fit each other.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let object = read_object(path, "the configuration of an encoder")?;
        // Told first: other architectures have other fields.
        let kind = object.get("model_type").and_then(Value::as_str).unwrap_or("none");
        let own = Family::ALL.into_iter().find(|family| family.model_type() == kind);
        let shape = match (LibraryFamily::of(&object), own) {
            (Some(family), _) => {
                LibraryConfig::read(family, object).map(|config| Self::Library(Box::new(config)))
            }
            (None, Some(family)) => EncoderConfig::read(family, object).map(Self::Own),
            (None, None) => {
                let own = Family::ALL.map(Family::model_type);
                let known = [&own[..], &LibraryFamily::MODEL_TYPES].concat().join(", ");
                let message =
                    format!("model_type is `{kind}`, which is no encoder that can be run");
                return Err(Error::data(path, message).with_help(format!("known are {known}")));
            }
        };
        shape.map_err(|faults| Error::data(path, faults.join("; ")))
    }

    /// Its name for `transformers`.
    pub(super) fn model_type(&self) -> &'static str {
        match self {
            Self::Own(config) => config.family.model_type(),
            Self::Library(config) => config.family.name(),
        }
    }

    /// Rows of the embedding.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Own(config) => config.vocab_size,
            Self::Library(config) => config.rows,
        }
    }

    /// Numbers per token vector.
    pub(super) fn hidden(&self) -> usize {
        match self {
            Self::Own(config) => config.hidden,
            Self::Library(config) => config.hidden,
        }
    }

    /// Longest text in tokens, where positions set a limit.
    pub(super) fn positions(&self) -> Option<usize> {
        match self {
            Self::Own(config) => Some(config.max_tokens()),
            Self::Library(config) => config.positions,
        }
    }

    /// Every parameter, sorted by the name that the network calls it.
    pub(super) fn parameters(&self) -> Vec<ParameterSpec> {
        match self {
            Self::Own(config) => config.parameters(),
            Self::Library(config) => config.parameters.clone(),
        }
    }

    /// The name of a parameter in the files of its family.
    pub(super) fn file_name(&self, name: &str) -> String {
        match self {
            Self::Own(config) => config.family.file_name(name),
            Self::Library(_) => name.to_owned(),
        }
    }

    /// Another name that files may have for it.
    pub(super) fn other_name(&self, name: &str) -> Option<&'static str> {
        match self {
            Self::Own(_) => None,
            Self::Library(config) => config.family.other_name(name),
        }
    }

    /// What names of tensors may begin with, where the encoder was part of another model.
    pub(super) fn prefix(&self) -> &'static str {
        match self {
            Self::Own(config) => config.family.prefix(),
            Self::Library(config) => config.family.prefix(),
        }
    }

    /// What names of tensors begin with that turn no text into a vector.
    pub(super) fn heads(&self) -> &'static [&'static str] {
        match self {
            Self::Own(config) => config.family.heads(),
            Self::Library(config) => config.family.heads(),
        }
    }
}
