//! Grades from a file: for requests by their ids, or for all requests of a query text.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::collected::{Collected, Met, NONE};
use super::settings::GradeFiles;
use crate::corpus::import::faults::Faults;
use crate::corpus::import::items::ItemIds;
use crate::corpus::import::records::{FieldPath, Wanted, matching, read};
use crate::corpus::import::text::plain;
use crate::error::Result;
use crate::progress::Context;

/// Graded items.
#[derive(Default)]
pub(super) struct Grades {
    /// Of requests, or of queries.
    of: HashMap<u32, Vec<(u32, f32)>>,
    by_query: bool,
    pub(super) files: Vec<PathBuf>,
    /// Rows of requests or queries that the log does not have.
    pub(super) unasked: Met,
    /// Rows of items that are none.
    pub(super) unknown: Met,
}

impl Grades {
    /// Graded items of a request, in the order of the file.
    pub(super) fn of(&self, log: &Collected, request: u32) -> &[(u32, f32)] {
        let key = match self.by_query {
            true => log.asked[request as usize].query,
            false => request,
        };
        self.of.get(&key).filter(|_| key != NONE).map_or(&[], Vec::as_slice)
    }
}

/// The field of what is graded for, and all that are read.
pub(super) fn wanted(settings: &GradeFiles) -> (&str, Wanted) {
    let key = if settings.request.is_none() { "query" } else { "request" };
    let asked = settings.request.as_ref().or(settings.query.as_ref());
    let asked = asked.map_or("", String::as_str);
    let field = |name: &str, key: &str| (FieldPath::new(name), format!("corpus.grades.{key}"));
    let fields =
        vec![field(asked, key), field(&settings.item, "item"), field(&settings.grade, "grade")];
    (asked, Wanted { fields, rest: false })
}

/// Reads the files of grades.
///
/// # Errors
/// [`crate::Error::Data`] for what cannot be read and too many malformed rows.
pub(super) fn read_grades(
    settings: &GradeFiles,
    folder: &Path,
    (faults, share): (&mut Faults, f64),
    items: &ItemIds,
    log: &Collected,
    ctx: &Context,
) -> Result<Grades> {
    let files = matching(folder, &settings.file)?;
    let by_query = settings.request.is_none();
    let (asked, wanted) = wanted(settings);
    let reading = super::reading(settings.format, settings.delimiter);
    let mut grades = Grades { by_query, files: files.clone(), ..Grades::default() };
    let mut seen: HashMap<(u32, u32), u64> = HashMap::new();
    read(&files, &reading, &wanted, (faults, share), ctx, &mut |record| {
        let row = (|| {
            let [of_what, item, grade] = &record.values[..] else {
                return Err("not three fields".to_owned());
            };
            let text = match by_query {
                true => of_what.text(),
                false => of_what.id(),
            };
            let text = text.map_err(|message| format!("`{asked}` holds {message}"))?;
            let text = plain(text.ok_or_else(|| format!("`{asked}` is empty"))?);
            let item = item.id().map_err(|m| format!("`{}` holds {m}", settings.item))?;
            let item = item.ok_or_else(|| format!("`{}` is empty", settings.item))?;
            let grade = grade.number().map_err(|m| format!("`{}` holds {m}", settings.grade))?;
            let grade = grade.ok_or_else(|| format!("`{}` is empty", settings.grade))?;
            let number = match by_query {
                true => log.queries.find(&text),
                false => log.keys.find(&text),
            };
            let Some(number) = number else {
                grades.unasked.one(|| text);
                return Ok(());
            };
            let Some(row) = items.get(item) else {
                grades.unknown.one(|| item.to_owned());
                return Ok(());
            };
            if let Some(line) = seen.insert((number, row), record.line) {
                return Err(format!(
                    "`{text}` and item `{item}` were graded before, in row {line}"
                ));
            }
            grades.of.entry(number).or_default().push((row, grade as f32));
            Ok(())
        })();
        Ok(row)
    })?;
    Ok(grades)
}
