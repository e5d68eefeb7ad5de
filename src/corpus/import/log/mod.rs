//! A log: events of a shop, with the items and users they speak of, become a corpus.
//!
//! Rows are collected (`rows` into `collected`), requests divided (`split`) and written (`write`), each in the
//! order of time; rows may come in any order and from several files.

mod collected;
mod fields;
mod grades;
mod headers;
mod items;
mod kind;
mod pages;
mod queries;
mod remarks;
mod repeats;
mod rows;
pub(in crate::corpus) mod settings;
mod split;
pub(in crate::corpus) mod time;
mod users;
mod write;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod as_parquet;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod damaged;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod doubtful;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::path::Path;

use self::collected::{Collected, OpenCells};
use self::fields::Slots;
use self::rows::{Collector, Items};
use self::settings::{LogColumn, LogSettings, LogSplit, UnknownItems};
use super::columns::open_columns as item_columns;
use super::faults::Faults;
use super::items::ItemIds;
use super::records::{Reading, matching, read};
use crate::corpus::build::{CorpusWriter, Facts};
use crate::corpus::cell::{ColumnName, Entity, OpenColumn};
use crate::corpus::settings::{Format, Seen};
use crate::corpus::summary::CorpusSummary;
use crate::error::{Error, Result};
use crate::progress::Context;

/// Builds the corpus folder.
///
/// # Errors
/// [`Error::Data`] with file and line for what cannot be used, [`Error::Environment`] when the
/// disk refuses.
fn import(settings: &LogSettings, out: &Path, ctx: &Context) -> Result<CorpusSummary> {
    let folder = settings.path.path()?;
    let share = settings.malformed_share;
    let mut faults = Faults::default();
    let mut sources = Vec::new();
    let open = open_columns(settings);
    let mut writer = CorpusWriter::create(out, &open)?;
    let mut ids = match &settings.items {
        Some(items) => {
            let (ids, files) =
                items::read_items(items, folder, (&mut faults, share), &mut writer, ctx)?;
            sources.extend(files);
            ids
        }
        None => ItemIds::of(&writer),
    };
    // Without items files, all that the log names are items.
    let unknown = match settings.items {
        Some(_) => settings.unknown_items,
        None => UnknownItems::Add,
    };
    let log_columns = log_columns(settings);
    let to = Collected {
        keys_are_ids: settings.log.iter().all(|files| files.request.len() == 1),
        open: log_columns
            .iter()
            .map(|column| OpenCells { of: column.of, cells: Vec::new() })
            .collect(),
        ..Collected::default()
    };
    let splits = match &settings.split {
        LogSplit::Column { train, validation, test } => {
            vec![train.clone(), validation.clone(), test.clone()]
        }
        _ => Vec::new(),
    };
    let texts = match &settings.queries {
        Some(queries) => {
            let (texts, files) = queries::read_queries(queries, folder, (&mut faults, share), ctx)?;
            sources.extend(files);
            Some(texts)
        }
        None => None,
    };
    let items = Items { ids: &mut ids, writer: &mut writer, unknown };
    let mut collector = Collector::new(items, to, splits, texts);
    for (place, files) in settings.log.iter().enumerate() {
        let place_of = |column: &LogColumn| {
            let is_it = |other: &&LogColumn| other.of == column.of && other.name == column.name;
            log_columns.iter().position(is_it).unwrap_or(0)
        };
        let (slots, wanted) = Slots::of(files, place_of);
        let paths = matching(folder, &files.file)?;
        let reading = reading(files.format, files.delimiter);
        collector.begin(place > 0 || files.event.is_some());
        let mut is_met = vec![false; wanted.fields.len()];
        read(&paths, &reading, &wanted, (&mut faults, share), ctx, &mut |record| {
            for (is_met, value) in is_met.iter_mut().zip(&record.values) {
                *is_met |= !value.is_hollow();
            }
            collector.row(&slots, record)
        })?;
        let unmet = wanted.fields.iter().zip(is_met).filter(|(_, is_met)| !is_met);
        collector.to.unmet.extend(unmet.map(|((field, key), _)| {
            format!("no row of {} has a value of `{field}` ({key})", files.file.display())
        }));
        sources.extend(paths);
    }
    let mut log = collector.to;
    log.join_repeats();
    if let Some(error) = never_shown(folder, &log) {
        return Err(error);
    }
    let users = match &settings.users {
        Some(users) => {
            let (users, files) = users::read_users(users, folder, (&mut faults, share), ctx)?;
            sources.extend(files);
            users
        }
        None => users::Users::default(),
    };
    let grades = match &settings.grades {
        Some(grades) => {
            let read = grades::read_grades(grades, folder, (&mut faults, share), &ids, &log, ctx)?;
            sources.extend(read.files.iter().cloned());
            Some(read)
        }
        None => None,
    };
    ctx.check_interrupt()?;
    if ids.len() == 0 {
        return Err(Error::data(folder, "the log names no items")
            .with_help("name the field of item ids in corpus.log: `item`, or `shown` of lists"));
    }
    if let (UnknownItems::Drop, (named @ 1.., 0)) = (unknown, log.named()) {
        return Err(nothing_known(folder, named, &log, &ids));
    }
    let written = write::write(settings, &log, &users, grades.as_ref(), &mut writer, ctx)?;
    let mut warnings = Vec::new();
    let malformed = faults.finish(&mut warnings);
    ids.remark(&mut warnings);
    remarks::remarks(settings, &log, grades.as_ref(), &written, ids.len(), &mut warnings);
    if written.splits.test == 0 {
        warnings.push(remarks::without_test(settings, &log, &written));
    }
    let facts = Facts {
        kind: "log",
        sequences: false,
        remove_history: settings.seen == Seen::Remove,
        levels: settings.levels.clone(),
        malformed,
        truncated_texts: ids.truncated,
        dropped_requests: written.dropped,
        warnings,
        sources,
        start: written.start,
    };
    writer.finish(facts, ctx)
}

/// Said of a log whose items are all strangers.
fn nothing_known(folder: &Path, named: u64, log: &Collected, ids: &ItemIds) -> Error {
    let message = format!(
        "none of the {named} items that the log names is in the items files: the log has {}, the items files have `{}`",
        log.unknown.examples(),
        ids.first(3).join("`, `")
    );
    Error::data(folder, message).with_help(
        "name the fields that hold the same ids in corpus.items.id and corpus.log (`item`, `shown`, `clicked`); \
         corpus.unknown_items = \"add\" keeps items without text",
    )
}

/// Said of a log of whose chosen items most were never shown: then what is called shown is another page, or other ids, and
/// what was passed over is not known. A few come from anywhere, and count as shown after the others.
fn never_shown(folder: &Path, log: &Collected) -> Option<Error> {
    let (n_chosen, unshown) = (log.chosen, &log.unshown);
    (2 * unshown.count > n_chosen).then(|| {
        let message = format!(
            "{} of {n_chosen} chosen items were never shown, such as {}",
            unshown.count,
            unshown.examples()
        );
        Error::data(folder, message).with_help(
            "name the list of what was shown for the same request in corpus.log.shown, with the same ids as in `clicked`, \
             `carted` and `ordered`",
        )
    })
}

fn reading(format: Option<Format>, delimiter: Option<char>) -> Reading {
    // Other than ASCII is refused when the recipe is checked.
    Reading { format, delimiter: delimiter.and_then(|one| u8::try_from(one).ok()) }
}

/// Columns that fields of events become, each once.
fn log_columns(settings: &LogSettings) -> Vec<&LogColumn> {
    let mut columns: Vec<&LogColumn> = Vec::new();
    for column in settings.log.iter().flat_map(|files| &files.columns) {
        if !columns.iter().any(|other| other.of == column.of && other.name == column.name) {
            columns.push(column);
        }
    }
    columns
}

/// All open columns: of items, of users' files, of the log.
fn open_columns(settings: &LogSettings) -> Vec<OpenColumn> {
    let mut open = settings.items.as_ref().map_or(Vec::new(), |items| item_columns(&items.columns));
    let users = settings.users.iter().flat_map(|users| &users.columns);
    open.extend(users.map(|column| OpenColumn {
        column: ColumnName::new(Entity::User, column.name.clone()),
        holds: column.holds,
        is_signal: false,
    }));
    open.extend(log_columns(settings).into_iter().map(|column| OpenColumn {
        column: ColumnName::new(column.of, column.name.clone()),
        holds: column.holds,
        is_signal: column.signal,
    }));
    open
}
