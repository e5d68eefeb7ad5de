//! Where an outside file or folder is: on this machine, or on a hub.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How a reference begins.
const HUB: &str = "hf:";
/// How one begins that may name a path inside the repository.
const HUB_URL: &str = "hf://";
/// The tables of a hub, as they stand before OWNER/NAME.
const DATASETS: &str = "datasets/";
const MODELS: &str = "models/";

/// An outside file or folder, as a recipe names it.
///
/// ```text
/// hf:OWNER/NAME  hf:OWNER/NAME@REVISION  hf:datasets/OWNER/NAME@REVISION
/// hf://models/OWNER/NAME@REVISION/PATH   hf://datasets/OWNER/NAME/PATH
/// ```
///
/// Anything else is a path; one that looks like a reference is written `./hf:…`. A reference is
/// understood and refused, for nothing fetches yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Source {
    /// A file or folder of this machine.
    Path(PathBuf),
    /// A repository of a hub, or something in it.
    Hub {
        /// `OWNER/NAME`, and `datasets/` before it where it is one of data.
        repo: String,
        /// Branch, tag or commit; none for the newest.
        revision: Option<String>,
        /// What of it; none for all.
        path: Option<String>,
    },
}

impl Source {
    /// The path, where it is one.
    ///
    /// # Errors
    /// [`Error::Usage`] for a reference to a hub.
    pub fn path(&self) -> Result<&Path> {
        match self {
            Self::Path(path) => Ok(path),
            Self::Hub { .. } => {
                let help = self.refusal().unwrap_or_default();
                Err(Error::Usage(format!("{self} refers to a hub: {help}")))
            }
        }
    }

    /// What to do about a reference to a hub; none for a path.
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Path(_) => None,
            Self::Hub { repo, path, .. } => {
                let what = if path.is_some() { "file" } else { "folder" };
                Some(format!("download {repo} and give the {what} in its place"))
            }
        }
    }

    fn reference(text: &str) -> Option<Self> {
        let may_have_path = text.starts_with(HUB_URL);
        let rest = match text.strip_prefix(HUB_URL) {
            Some(rest) => rest,
            None => text.strip_prefix(HUB)?,
        };
        let (table, rest) = match rest.strip_prefix(DATASETS) {
            Some(rest) => (DATASETS, rest),
            None => ("", rest.strip_prefix(MODELS).unwrap_or(rest)),
        };
        let (owner, rest) = rest.split_once('/')?;
        let end = if may_have_path { rest.find(['@', '/']) } else { rest.find('@') };
        let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let (revision, path) = match rest.strip_prefix('@') {
            None => (None, rest.strip_prefix('/')),
            Some(rest) if may_have_path => match rest.split_once('/') {
                Some((revision, path)) => (Some(revision), Some(path)),
                None => (Some(rest), None),
            },
            Some(rest) => (Some(rest), None),
        };
        let is_word = |word: &str| !word.is_empty() && !word.contains(['/', '@', ':']);
        let is_table = [DATASETS, MODELS].iter().any(|table| table.trim_end_matches('/') == owner);
        let is_given = |part: Option<&str>| part.is_none_or(|part| !part.is_empty());
        if is_table || !is_word(owner) || !is_word(name) || !is_given(revision) || !is_given(path) {
            return None;
        }
        Some(Self::Hub {
            repo: format!("{table}{owner}/{name}"),
            revision: revision.map(str::to_owned),
            path: path.map(str::to_owned),
        })
    }
}

impl From<&str> for Source {
    fn from(text: &str) -> Self {
        Self::reference(text).unwrap_or_else(|| Self::Path(text.into()))
    }
}

impl From<String> for Source {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Hub { repo, revision, path } => {
                let has_table = repo.starts_with(DATASETS);
                match path {
                    Some(_) if has_table => write!(f, "{HUB_URL}{repo}")?,
                    Some(_) => write!(f, "{HUB_URL}{MODELS}{repo}")?,
                    None => write!(f, "{HUB}{repo}")?,
                }
                if let Some(revision) = revision {
                    write!(f, "@{revision}")?;
                }
                path.as_ref().map_or(Ok(()), |path| write!(f, "/{path}"))
            }
        }
    }
}

impl JsonSchema for Source {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Source".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = PathBuf::json_schema(generator);
        schema.insert("format".into(), "path".into());
        schema
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn hub(repo: &str, revision: Option<&str>, path: Option<&str>) -> Source {
        let [revision, path] = [revision, path].map(|part| part.map(str::to_owned));
        Source::Hub { repo: repo.into(), revision, path }
    }

    #[test]
    fn references_are_told_from_paths() {
        for (text, expected) in [
            ("hf:a/b", hub("a/b", None, None)),
            ("hf:a/b@refs/pr/1", hub("a/b", Some("refs/pr/1"), None)),
            ("hf:datasets/a/b", hub("datasets/a/b", None, None)),
            ("hf:models/a/b@v1.0", hub("a/b", Some("v1.0"), None)),
            ("hf://models/a/b", hub("a/b", None, None)),
            ("hf://models/a/b@main/x/y.npy", hub("a/b", Some("main"), Some("x/y.npy"))),
            ("hf://a/b/x", hub("a/b", None, Some("x"))),
            ("hf://datasets/a/b@r/x@1", hub("datasets/a/b", Some("r"), Some("x@1"))),
        ] {
            assert_eq!(Source::from(text), expected, "{text}");
        }
        for text in [
            "data",
            "/a/b",
            "./hf:a/b",
            "hf:",
            "hf:a",
            "hf:a/",
            "hf:/b",
            "hf:a/b/c",
            "hf:a/b@",
            "hf://a/b@/c",
            "hf://a/b/",
            "hf:datasets/a",
            "HF:a/b",
            "s3://a/b",
            "",
            "hf://models/datasets/a",
        ] {
            assert_eq!(Source::from(text), Source::Path(text.into()), "{text}");
        }
    }

    #[test]
    fn a_reference_is_refused_with_what_to_do() {
        let path = Source::from(Path::new("a/b"));
        assert_eq!((path.path().unwrap(), path.refusal()), (Path::new("a/b"), None));
        let error = hub("a/b", Some("v1"), None).path().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let said = "hf:a/b@v1 refers to a hub: download a/b and give the folder in its place";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn it_is_a_string_for_serde_and_in_the_schema() {
        let text = "\"hf:datasets/a/b@v1\"";
        let source: Source = serde_json::from_str(text).unwrap();
        assert_eq!(source, hub("datasets/a/b", Some("v1"), None));
        assert_eq!(serde_json::to_string(&source).unwrap(), text);
        let schema = schemars::schema_for!(Source).to_value();
        assert_eq!(schema["type"], "string");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(
            table in prop_oneof![Just(""), Just("datasets/")],
            owner in "[a-zA-Z0-9._-]{1,9}",
            name in "[a-zA-Z0-9._-]{1,9}",
            revision in option::of("[a-zA-Z0-9._-]{1,9}"),
            path in option::of("[a-zA-Z0-9._@/-]{1,20}"),
        ) {
            prop_assume!(!["datasets", "models"].contains(&owner.as_str()));
            let repo = format!("{table}{owner}/{name}");
            let source = hub(&repo, revision.as_deref(), path.as_deref());
            prop_assert_eq!(Source::from(source.to_string()), source);
        }

        #[test]
        fn what_is_read_from_any_text_is_printed_and_read_again(
            text in "(hf:|hf://)?(models/|datasets/)?[a-c@:/.]{0,12}"
        ) {
            let source = Source::from(text.as_str());
            prop_assert_eq!(Source::from(source.to_string()), source.clone());
            if let Source::Path(path) = source {
                prop_assert_eq!(path, PathBuf::from(text));
            }
        }
    }
}
