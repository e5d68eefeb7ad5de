//! A proposal for a log that nobody described: which field is what, by names and by what stands in them.

mod fields;
mod ids;
mod log;
mod names;
mod picker;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::path::{Path, PathBuf};

pub use fields::{Field, Holding, Looked};
pub use picker::Found;

use self::ids::{item_ids, n_repeats};
use self::log::{OfLog, log_of};
use self::names::*;
use self::picker::{Picker, is_single, oddly, seen};
use crate::error::{Error, Result};
use crate::progress::Context;

/// What is proposed for a corpus of kind `log`.
pub struct Proposal {
    /// The items file.
    pub items: Looked,
    /// The log.
    pub log: Looked,
    /// The file of query texts.
    pub queries: Option<Looked>,
    /// Of `[corpus.items]`.
    pub of_items: Vec<Found>,
    /// Of `[[corpus.log]]`.
    pub of_log: Vec<Found>,
    /// Of `[corpus.queries]`.
    pub of_queries: Vec<Found>,
    /// Words of events by their meaning: shown, clicked, carted, ordered, not known.
    pub events: Option<[Vec<String>; 5]>,
    /// The least label that means a click.
    pub label: Option<f64>,
    /// What should be known of the files and the guesses, a sentence each.
    pub remarks: Vec<String>,
    /// Share of the log's items that are in the items file.
    pub known: f64,
    /// Number of items, at most a million.
    pub n_items: usize,
}

impl Proposal {
    /// Looks at the files.
    ///
    /// # Errors
    /// [`Error::Data`] when a file cannot be read, or holds nothing that could be items or a log.
    pub fn of(items: &Path, log: &Path, queries: Option<&Path>, ctx: &Context) -> Result<Self> {
        let items = Looked::at(items, ctx)?;
        let log = Looked::at(log, ctx)?;
        let queries = queries.map(|path| Looked::at(path, ctx)).transpose()?;
        let found = item_ids(&items, &log, ctx)?;
        let of_items = items_of(&items, found.field);
        let (ids, mut remarks) = (found.ids, remarks_of(&items, found.field));
        let OfLog { found: of_log, events, label, known, remarks: of_its } = log_of(&log, &ids)?;
        let of_queries = queries.as_ref().map_or(Ok(Vec::new()), queries_of)?;
        let looked = [Some(&items), Some(&log), queries.as_ref()];
        remarks.extend(looked.into_iter().flatten().flat_map(|looked| looked.remarks.clone()));
        remarks.extend(of_its);
        Ok(Self {
            n_items: ids.len(),
            items,
            log,
            queries,
            of_items,
            of_log,
            of_queries,
            events,
            label,
            remarks,
            known,
        })
    }

    /// Whether a key was found for the log.
    pub fn has(&self, key: &str) -> bool {
        self.of_log.iter().any(|found| found.key == key)
    }

    /// Whether items have text.
    pub fn has_text(&self) -> bool {
        self.of_items.iter().any(|found| ["title", "text"].contains(&found.key))
    }

    /// The folder of all files, and the name of each below it.
    pub fn folder(&self) -> (PathBuf, Vec<PathBuf>) {
        let mut files: Vec<&Path> = vec![&self.items.path, &self.log.path];
        files.extend(self.queries.iter().map(|looked| looked.path.as_path()));
        let mut folder = files[0].parent().unwrap_or(Path::new("")).to_owned();
        let is_pattern = |folder: &Path| folder.to_string_lossy().contains(['*', '?', '[']);
        while is_pattern(&folder) && !folder.exists()
            || !files.iter().all(|file| file.starts_with(&folder))
        {
            folder = match folder.parent() {
                Some(parent) => parent.to_owned(),
                None => break,
            };
        }
        let below = |file: &&Path| file.strip_prefix(&folder).unwrap_or(file).to_owned();
        (folder.clone(), files.iter().map(below).collect())
    }
}

/// What should be known of the items file.
fn remarks_of(looked: &Looked, id: &Field) -> Vec<String> {
    let mut remarks = Vec::new();
    let (name, n_repeats, n_rows) = (&id.name, n_repeats(id), looked.rows);
    if n_repeats > 0 {
        remarks.push(format!(
            "`{name}` repeats in {n_repeats} of the first {n_rows} rows of the items: rows that repeat an id are malformed; \
             take them out, or raise corpus.malformed_share"
        ));
    }
    if id.empty > 0.0 {
        remarks.push(format!("`{name}` is empty in some of the first {n_rows} rows of the items"));
    }
    let is_price = |field: &&Field| fit(&field.name, PRICE).is_some();
    remarks.extend(looked.fields.iter().filter(is_price).filter_map(oddly));
    remarks
}

fn items_of(looked: &Looked, id: &Field) -> Vec<Found> {
    let mut picker = Picker::new(looked);
    let why = match fit(&id.name, ITEM) {
        Some(_) => seen(id),
        None => format!("its values stand in the log; {}", seen(id)),
    };
    if let Some(id) = looked.fields.iter().find(|field| field.name == id.name) {
        picker.take("id", &[id], why);
    }
    picker.pick("title", TITLE, |field| field.holds == Holding::Texts);
    // Levels of a path are numbered, and their ids stand beside their names.
    let is_text = |field: &&Field| matches!(field.holds, Holding::Texts | Holding::Lists);
    let mut levels: Vec<&Field> = picker
        .left()
        .filter(is_text)
        .filter(|field| {
            let words = words(&field.name);
            words.contains("cat") && words.chars().any(|c| c.is_ascii_digit())
        })
        .collect();
    levels.sort_by_key(|field| words(&field.name));
    match levels.is_empty() {
        true => {
            picker.pick("category", CATEGORY, |field| is_text(&field));
        }
        false => picker.take("category", &levels, format!("levels; {}", seen(levels[0]))),
    }
    let mut texts: Vec<(usize, &Field)> = picker
        .left()
        .filter(is_text)
        .filter_map(|field| Some((fit(&field.name, TEXT)?, field)))
        .collect();
    texts.sort_by_key(|(fit, _)| *fit);
    let texts: Vec<&Field> = texts.into_iter().map(|(_, field)| field).collect();
    let category: Vec<String> = picker
        .found
        .iter()
        .filter(|found| found.key == "category")
        .flat_map(|found| found.fields.clone())
        .collect();
    let why = match texts.first() {
        Some(first) => seen(first),
        None => "names of categories".into(),
    };
    picker.pick("price", PRICE, |field| field.holds == Holding::Numbers);
    let all: Vec<String> = texts.iter().map(|field| field.name.clone()).chain(category).collect();
    if !all.is_empty() {
        picker.found.push(Found { key: "text", fields: all, why });
    }
    picker.found
}

fn queries_of(looked: &Looked) -> Result<Vec<Found>> {
    let mut picker = Picker::new(looked);
    picker.pick("text", &["query", "query text", "text", "search query", "title"], |field| {
        field.holds == Holding::Texts
    });
    picker.pick("id", &["query id", "id", "qid"], is_single);
    if picker.found.len() < 2 {
        return Err(Error::data(&looked.path, "needs a field of query ids and one of texts")
            .with_help("call them `query_id` and `query`"));
    }
    Ok(picker.found)
}
