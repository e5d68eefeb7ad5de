//! A proposal for a log that nobody described: which field is what, by names and by what stands in them.

mod fields;
mod names;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

pub use fields::{Field, Holding, Looked};

use self::names::*;
use crate::corpus::import::faults::Faults;
use crate::corpus::import::records::{FieldPath, Reading, Wanted, read};
use crate::error::{Error, Result};
use crate::progress::Context;

/// Item ids that a log's fields are compared with.
const COMPARED_IDS: usize = 1_000_000;

/// A field that was found, under the key that it is proposed for.
#[derive(Debug, Clone)]
pub struct Found {
    /// Key of the table, such as `title`.
    pub key: &'static str,
    /// Names of fields: one, or several where the key takes a list.
    pub fields: Vec<String>,
    /// Why, in a few words.
    pub why: String,
}

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
        let of_items = items_of(&items)?;
        let id = of_items.first().map(|found| found.fields[0].clone()).unwrap_or_default();
        let ids = ids(&items.path, &id, ctx)?;
        let (of_log, events, known) = log_of(&log, &ids)?;
        let of_queries = queries.as_ref().map_or(Ok(Vec::new()), queries_of)?;
        Ok(Self {
            n_items: ids.len(),
            items,
            log,
            queries,
            of_items,
            of_log,
            of_queries,
            events,
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
        while !files.iter().all(|file| file.starts_with(&folder)) {
            folder = match folder.parent() {
                Some(parent) => parent.to_owned(),
                None => break,
            };
        }
        let below = |file: &&Path| file.strip_prefix(&folder).unwrap_or(file).to_owned();
        (folder.clone(), files.iter().map(below).collect())
    }
}

/// All ids of the items file.
fn ids(path: &Path, field: &str, ctx: &Context) -> Result<HashSet<String>> {
    let wanted =
        Wanted { fields: vec![(FieldPath::new(field), "corpus.items.id".into())], rest: false };
    let mut ids = HashSet::new();
    let mut faults = Faults::default();
    let files = [path.to_owned()];
    let outcome =
        read(&files, &Reading::default(), &wanted, (&mut faults, 1.0), ctx, &mut |record| {
            if let Ok(Some(id)) = record.values[0].id() {
                ids.insert(id.to_owned());
            }
            if ids.len() < COMPARED_IDS { Ok(Ok(())) } else { Err(Error::Broken) }
        });
    if ids.len() < COMPARED_IDS {
        outcome?;
    }
    Ok(ids)
}

/// Takes fields away as they find their place.
struct Picker<'l> {
    looked: &'l Looked,
    taken: Vec<&'l str>,
    found: Vec<Found>,
}

impl<'l> Picker<'l> {
    fn new(looked: &'l Looked) -> Self {
        Self { looked, taken: Vec::new(), found: Vec::new() }
    }

    fn left(&self) -> impl Iterator<Item = &'l Field> {
        let taken = self.taken.clone();
        self.looked.fields.iter().filter(move |field| !taken.contains(&field.name.as_str()))
    }

    fn take(&mut self, key: &'static str, fields: &[&'l Field], why: String) {
        if fields.is_empty() {
            return;
        }
        self.taken.extend(fields.iter().map(|field| field.name.as_str()));
        let fields = fields.iter().map(|field| field.name.clone()).collect();
        self.found.push(Found { key, fields, why });
    }

    /// The field whose name fits best, of those that hold what is wanted.
    fn pick(
        &mut self,
        key: &'static str,
        usual: &[&str],
        holds: impl Fn(&Field) -> bool,
    ) -> Option<&'l Field> {
        let fitting = self.left().filter(|field| holds(field));
        let best = fitting
            .filter_map(|field| Some((fit(&field.name, usual)?, field)))
            .min_by_key(|(fit, _)| *fit)?
            .1;
        self.take(key, &[best], seen(best));
        Some(best)
    }
}

/// What was seen of a field, for a comment.
fn seen(field: &Field) -> String {
    let Field { holds, empty, example, .. } = field;
    let empty = match *empty {
        empty if empty > 0.0 => format!(", {:.1} % empty", 100.0 * empty),
        _ => String::new(),
    };
    format!("{}{empty}, such as {example}", holds.name())
}

fn is_single(field: &Field) -> bool {
    !matches!(field.holds, Holding::Lists | Holding::Nothing)
}

fn items_of(looked: &Looked) -> Result<Vec<Found>> {
    let mut picker = Picker::new(looked);
    // An id is different in every row.
    let is_id = |field: &Field| {
        let different: HashSet<&String> = field.entries.iter().collect();
        is_single(field) && field.empty == 0.0 && different.len() == field.entries.len()
    };
    if picker.pick("id", ITEM, is_id).is_none() {
        let first = picker.left().find(|field| is_id(field));
        let Some(first) = first else {
            return Err(Error::data(&looked.path, "no field has a value of its own in every row")
                .with_help("items need an id: a field that is different in every row"));
        };
        picker.take("id", &[first], format!("different in every row; {}", seen(first)));
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
    Ok(picker.found)
}

type OfLog = (Vec<Found>, Option<[Vec<String>; 5]>, f64);

fn log_of(looked: &Looked, ids: &HashSet<String>) -> Result<OfLog> {
    let mut picker = Picker::new(looked);
    let known = |field: &Field| {
        let n_known = field.entries.iter().filter(|entry| ids.contains(*entry)).count();
        n_known as f64 / field.entries.len().max(1) as f64
    };
    picker.pick("user", USER, is_single);
    picker.pick("session", SESSION, is_single);
    picker.pick("request", REQUEST, is_single);
    picker.pick("time", TIME, |field| matches!(field.holds, Holding::Numbers | Holding::Times));
    picker.pick("query", QUERY, is_single);
    // Lists of items, where there are any, and else an item a row: what holds ids of items is one.
    let is_lists = picker.left().any(|field| {
        field.holds == Holding::Lists && (fit(&field.name, SHOWN).is_some() || known(field) > 0.5)
    });
    let mut share = 0.0;
    if is_lists {
        let is_list = |field: &Field| field.holds == Holding::Lists;
        picker.pick("history", HISTORY, is_list);
        picker.pick("clicked", CLICKED, |field| is_list(field) && !is_flags(field, ids));
        picker.pick("carted", CARTED, |field| is_list(field) && !is_flags(field, ids));
        picker.pick("ordered", ORDERED, |field| is_list(field) && !is_flags(field, ids));
        let best = picker
            .left()
            .filter(|field| is_list(field))
            .max_by(|a, b| known(a).total_cmp(&known(b)).then(b.name.cmp(&a.name)));
        let by_name = picker
            .left()
            .filter(|field| is_list(field))
            .filter_map(|field| Some((fit(&field.name, SHOWN)?, field)))
            .min_by_key(|(fit, _)| *fit)
            .map(|(_, field)| field);
        let shown = best.filter(|field| known(field) > 0.0).or(by_name);
        if let Some(shown) = shown {
            share = known(shown);
            picker.take("shown", &[shown], with_known(shown, share));
        }
    } else {
        let best = picker
            .left()
            .filter(|field| is_single(field))
            .max_by(|a, b| known(a).total_cmp(&known(b)).then(b.name.cmp(&a.name)));
        let by_name = picker
            .left()
            .filter(|field| is_single(field))
            .filter_map(|field| Some((fit(&field.name, ITEM)?, field)))
            .min_by_key(|(fit, _)| *fit)
            .map(|(_, field)| field);
        let item = by_name.filter(|field| known(field) > 0.0).or(best.filter(|f| known(f) > 0.0));
        let Some(item) = item.or(by_name) else {
            return Err(Error::data(&looked.path, "no field holds ids of the items file")
                .with_help(
                    "is it the log of these items? name the field in a recipe of your own",
                ));
        };
        share = known(item).max(share);
        picker.take("item", &[item], with_known(item, known(item)));
    }
    let fits = |field: &Field| match is_lists {
        true => field.holds == Holding::Lists && is_flags(field, ids),
        false => matches!(field.holds, Holding::Flags | Holding::Numbers),
    };
    let numbers = |field: &Field| {
        field.holds == Holding::Numbers || field.holds == Holding::Flags || is_lists && fits(field)
    };
    picker.pick("position", POSITION, numbers);
    picker.pick("propensity", PROPENSITY, numbers);
    picker.pick("click", CLICK, fits);
    picker.pick("cart", CART, fits);
    picker.pick("order", ORDER, fits);
    picker.pick("dwell", DWELL, numbers);
    let mut events = None;
    let has_signal = |picker: &Picker<'_>| {
        let signals = ["click", "cart", "order", "clicked", "carted", "ordered"];
        picker.found.iter().any(|found| signals.contains(&found.key))
    };
    if !is_lists && !has_signal(&picker) {
        let meaning = |value: &String| {
            let word = words(value);
            EVENTS.iter().position(|known| known.contains(&word.as_str()))
        };
        let event = picker
            .left()
            .filter(|field| field.holds == Holding::Texts)
            .filter(|field| field.values.iter().any(|value| meaning(value).is_some()))
            .min_by_key(|field| fit(&field.name, EVENT).unwrap_or(usize::MAX));
        if let Some(event) = event {
            let mut by_meaning: [Vec<String>; 5] = Default::default();
            for value in &event.values {
                by_meaning[meaning(value).unwrap_or(4)].push(value.clone());
            }
            events = Some(by_meaning);
            picker.take("event", &[event], seen(event));
        }
    }
    if !has_signal(&picker) && events.is_none() {
        let names: Vec<&str> = looked.fields.iter().map(|field| field.name.as_str()).collect();
        return Err(Error::data(&looked.path, "no field says what was clicked, carted or ordered")
            .with_help(format!(
                "its fields are {}; name the one that does in a recipe of your own (docs/your-own-shop.md)",
                names.join(", ")
            )));
    }
    Ok((picker.found, events, share))
}

fn with_known(field: &Field, known: f64) -> String {
    format!("{}; {:.1} % are in the items file", seen(field), 100.0 * known)
}

/// Whether a list holds flags or numbers and no ids.
fn is_flags(field: &Field, ids: &HashSet<String>) -> bool {
    let is_number =
        |entry: &String| entry.parse::<f64>().is_ok() || entry == "true" || entry == "false";
    let n_ids = field.entries.iter().filter(|entry| ids.contains(*entry)).count();
    !field.entries.is_empty()
        && field.entries.iter().all(is_number)
        && 2 * n_ids < field.entries.len()
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
