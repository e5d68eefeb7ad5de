//! What files of users say of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::settings::UserFiles;
use crate::corpus::cell::Cell;
use crate::corpus::import::faults::Faults;
use crate::corpus::import::records::{FieldPath, Wanted, matching, read};
use crate::corpus::import::text::plain;
use crate::error::Result;
use crate::progress::Context;

/// Cells of users by their ids.
#[derive(Default)]
pub(super) struct Users(HashMap<String, Vec<Cell>>);

impl Users {
    /// The cells of a user, in the order of the columns; none where the files do not have it.
    pub(super) fn cells(&self, id: &str) -> Option<&[Cell]> {
        self.0.get(id).map(Vec::as_slice)
    }
}

/// Reads the files of users.
///
/// # Errors
/// [`crate::Error::Data`] for what cannot be read and too many malformed rows.
pub(super) fn read_users(
    settings: &UserFiles,
    folder: &Path,
    (faults, share): (&mut Faults, f64),
    ctx: &Context,
) -> Result<(Users, Vec<PathBuf>)> {
    let files = matching(folder, &settings.file)?;
    let wanted = wanted(settings);
    let reading = super::reading(settings.format, settings.delimiter);
    let mut users = Users::default();
    read(&files, &reading, &wanted, (faults, share), ctx, &mut |record| {
        let row = (|| {
            let id = record.values[0].id().map_err(|message| of(&settings.id, &message))?;
            let id = id.ok_or_else(|| of(&settings.id, "nothing; expected an id"))?;
            let mut cells = Vec::new();
            for (column, value) in settings.columns.iter().zip(&record.values[1..]) {
                let text = value.text().map_err(|message| of(&column.name, &message))?;
                let text = plain(text.unwrap_or_default());
                let cell = column.holds.parse(&text);
                cells.push(cell.ok_or_else(|| of(&column.name, &format!("`{text}`, no number")))?);
            }
            if users.0.contains_key(id) {
                return Err(format!("user `{id}` again"));
            }
            users.0.insert(id.to_owned(), cells);
            Ok(())
        })();
        Ok(row)
    })?;
    Ok((users, files))
}

/// The fields that are read.
pub(super) fn wanted(settings: &UserFiles) -> Wanted {
    let field = |name: &str, key: &str| (FieldPath::new(name), format!("corpus.users.{key}"));
    let mut fields = vec![field(&settings.id, "id")];
    fields.extend(settings.columns.iter().map(|column| field(&column.name, "columns")));
    Wanted { fields, rest: false }
}

fn of(name: &str, message: &str) -> String {
    format!("`{name}` holds {message}")
}
