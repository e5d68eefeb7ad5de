//! Texts of queries that the log names by ids.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::settings::QueryFiles;
use crate::corpus::import::faults::Faults;
use crate::corpus::import::records::{FieldPath, Wanted, matching, read};
use crate::corpus::import::text::plain;
use crate::error::Result;
use crate::progress::Context;

/// Texts by the ids of queries.
pub(super) type Texts = HashMap<String, String>;

/// The fields that are read.
pub(super) fn wanted(settings: &QueryFiles) -> Wanted {
    let field = |name: &str, key: &str| (FieldPath::new(name), format!("corpus.queries.{key}"));
    Wanted { fields: vec![field(&settings.id, "id"), field(&settings.text, "text")], rest: false }
}

/// Reads the files of queries.
///
/// # Errors
/// [`crate::Error::Data`] for what cannot be read and too many malformed rows.
pub(super) fn read_queries(
    settings: &QueryFiles,
    folder: &Path,
    (faults, share): (&mut Faults, f64),
    ctx: &Context,
) -> Result<(Texts, Vec<PathBuf>)> {
    let files = matching(folder, &settings.file)?;
    let wanted = wanted(settings);
    let reading = super::reading(settings.format, settings.delimiter);
    let mut texts = Texts::new();
    read(&files, &reading, &wanted, (faults, share), ctx, &mut |record| {
        let row = (|| {
            let id = record.values[0].text().map_err(|m| format!("`{}` holds {m}", settings.id))?;
            let id = id.ok_or_else(|| format!("`{}` is empty", settings.id))?;
            let text = record.values[1].text();
            let text = text.map_err(|m| format!("`{}` holds {m}", settings.text))?;
            let text = plain(text.unwrap_or_default());
            if text.is_empty() {
                return Err(format!("`{}` is empty", settings.text));
            }
            match texts.get(id) {
                Some(before) if *before != text => {
                    Err(format!("query `{id}` has the text `{text}` here and `{before}` before"))
                }
                Some(_) => Ok(()),
                None => {
                    texts.insert(id.to_owned(), text);
                    Ok(())
                }
            }
        })();
        Ok(row)
    })?;
    Ok((texts, files))
}
