//! A corpus as files of a log: items, users, requests with what was shown, and grades, as JSON lines, with
//! the `[corpus]` table that imports them again.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::cell::{Cell, Entity, Holds, OpenColumn};
use super::folder::Corpus;
use super::rows::{ImpressionRow, RequestRow, SessionRow, UserRow};
use super::table::{Row, TableReader};
use super::types::{Impression, Split};
use crate::error::{Error, Result};
use crate::progress::Context;
use crate::store::{create_dir, write_atomic};

const ITEMS: &str = "items.jsonl";
const USERS: &str = "users.jsonl";
const LOG: &str = "log.jsonl";
const GRADES: &str = "grades.jsonl";
/// The table of a recipe.
const TABLE: &str = "corpus.toml";

/// Signals and numbers of impressions, in the order of the fields.
const ALONG: [&str; 9] =
    ["position", "propensity", "click", "cart", "order", "like", "share", "dwell", "grade"];

impl Corpus {
    /// Writes the corpus into `folder`, in which no file of these names may stand.
    ///
    /// # Errors
    /// [`Error::Data`] when a table cannot be read, [`Error::Environment`] when the disk refuses; as
    /// [`check_export`].
    pub fn export(&self, folder: &Path, ctx: &Context) -> Result<Vec<&'static str>> {
        check_export(folder)?;
        create_dir(folder)?;
        let mut files = vec![ITEMS, LOG, TABLE];
        self.write_items(&folder.join(ITEMS))?;
        ctx.check_interrupt()?;
        if self.open_columns(Entity::User).next().is_some() {
            self.write_users(&folder.join(USERS))?;
            files.push(USERS);
        }
        let met = self.write_log(&folder.join(LOG), ctx)?;
        if self.summary().judgements.total() > 0 {
            self.write_grades(&folder.join(GRADES))?;
            files.push(GRADES);
        }
        let path = folder.join(TABLE);
        let table = self.table(&met);
        write_atomic(&path, |out| {
            out.write_all(table.as_bytes()).map_err(|e| Error::unwritable(&path, &e))
        })?;
        Ok(files)
    }

    fn open_columns(&self, of: Entity) -> impl Iterator<Item = &OpenColumn> {
        self.summary().columns.iter().filter(move |one| one.column.of == of)
    }

    /// Rows of open columns of a table, beside those of the fixed ones.
    fn open_rows(&self, of: Entity) -> Result<impl Iterator<Item = Result<Vec<Cell>>>> {
        let names: Vec<&str> = self.open_columns(of).map(|one| one.column.name.as_str()).collect();
        let rows = match names.is_empty() {
            true => None,
            false => Some(self.cells(of, &names)?),
        };
        let mut rows = rows.into_iter().flatten();
        Ok(std::iter::from_fn(move || Some(rows.next().unwrap_or(Ok(Vec::new())))))
    }

    fn write_items(&self, path: &Path) -> Result<()> {
        write_lines(path, |line| {
            let mut open = self.open_rows(Entity::Item)?;
            for row in self.items()? {
                let item = row?;
                let cells = open.next().transpose()?.unwrap_or_default();
                let mut attributes = Map::new();
                for (name, value) in &item.attributes {
                    join(&mut attributes, name, json!(value));
                }
                for (column, cell) in self.open_columns(Entity::Item).zip(cells) {
                    let name = &column.column.name;
                    if !attributes.contains_key(name) && cell != Cell::Absent {
                        attributes.insert(name.clone(), value_of(&cell));
                    }
                }
                line(&json!({
                    "item_id": item.id,
                    "title": item.title,
                    "text": item.text,
                    "category": item.category,
                    "price": item.price.map(digits),
                    "launch_day": item.launch_day,
                    "statistics_day": item.statistics_day,
                    "shown": item.shown,
                    "clicks": item.clicks,
                    "orders": item.orders,
                    "attributes": attributes,
                }))?;
            }
            Ok(())
        })
    }

    fn write_users(&self, path: &Path) -> Result<()> {
        write_lines(path, |line| {
            let mut open = self.open_rows(Entity::User)?;
            for row in TableReader::<UserRow>::open(self.folder())? {
                let mut fields = Map::new();
                fields.insert("user_id".into(), json!(row?.id));
                let cells = open.next().transpose()?.unwrap_or_default();
                for (column, cell) in self.open_columns(Entity::User).zip(cells) {
                    fields.insert(column.column.name.clone(), value_of(&cell));
                }
                line(&Value::Object(fields))?;
            }
            Ok(())
        })
    }

    /// Writes a request a row; returns which of [`ALONG`] any impression has.
    fn write_log(&self, path: &Path, ctx: &Context) -> Result<[bool; ALONG.len()]> {
        let ids = self.names()?;
        let ids = ids.ids();
        let users: Vec<String> = ids_of::<UserRow>(self, |user| user.id)?;
        let sessions: Vec<SessionRow> =
            TableReader::<SessionRow>::open(self.folder())?.collect::<Result<_>>()?;
        let session_cells: Vec<Vec<Cell>> = match self.open_columns(Entity::Session).next() {
            None => Vec::new(),
            Some(_) => {
                self.open_rows(Entity::Session)?.take(sessions.len()).collect::<Result<_>>()?
            }
        };
        let start = self.start()?;
        let mut met = [false; ALONG.len()];
        write_lines(path, |line| {
            let mut open = self.open_rows(Entity::Request)?;
            let mut open_shown = self.open_rows(Entity::Impression)?;
            let mut shown = TableReader::<ImpressionRow>::open(self.folder())?.peekable();
            for (number, row) in (0..).zip(TableReader::<RequestRow>::open(self.folder())?) {
                let request = row?;
                if number % 4_096 == 0 {
                    ctx.check_interrupt()?;
                }
                let mut fields = Map::new();
                let mut put = |name: &str, value: Value| {
                    if !value.is_null() {
                        fields.insert(name.to_owned(), value);
                    }
                };
                let session = request.session.map(|session| session as usize);
                put("request", json!(request.id));
                put("user", json!(request.user.and_then(|user| users.get(user as usize))));
                put("session", json!(session.and_then(|one| sessions.get(one)).map(|one| &one.id)));
                put("time", json!(request.time.map(|time| start + time)));
                put("day", json!(request.day));
                put("split", json!(request.split.name()));
                put("query", json!(request.query));
                let history = request.history.iter().map(|&item| &ids[item as usize]);
                put("history", json!(history.collect::<Vec<_>>()));
                let cells = open.next().transpose()?.unwrap_or_default();
                for (column, cell) in self.open_columns(Entity::Request).zip(&cells) {
                    put(&column.column.to_string(), value_of(cell));
                }
                let cells = session.and_then(|session| session_cells.get(session));
                for (column, cell) in
                    self.open_columns(Entity::Session).zip(cells.into_iter().flatten())
                {
                    put(&column.column.to_string(), value_of(cell));
                }
                let (mut page, mut page_cells) = (Vec::new(), Vec::new());
                while let Some(row) =
                    shown.next_if(|row| !matches!(row, Ok(row) if row.request != number))
                {
                    page.push(row?.impression);
                    page_cells.push(open_shown.next().transpose()?.unwrap_or_default());
                }
                put(
                    "shown",
                    json!(page.iter().map(|one| &ids[one.item as usize]).collect::<Vec<_>>()),
                );
                for (place, name) in ALONG.iter().enumerate() {
                    if let Some(values) = along(&page, name) {
                        met[place] = true;
                        put(name, json!(values));
                    }
                }
                for (place, column) in self.open_columns(Entity::Impression).enumerate() {
                    let values: Vec<Value> =
                        page_cells.iter().map(|cells| value_of(&cells[place])).collect();
                    put(&column.column.to_string(), json!(values));
                }
                line(&Value::Object(fields))?;
            }
            Ok(())
        })?;
        Ok(met)
    }

    fn write_grades(&self, path: &Path) -> Result<()> {
        let names = self.names()?;
        let requests: Vec<String> = ids_of::<RequestRow>(self, |request| request.id)?;
        write_lines(path, |line| {
            for split in Split::ALL {
                for (request, item, grade) in self.judgements(split)? {
                    line(&json!({
                        "request": requests[request as usize],
                        "item_id": names.ids()[item as usize],
                        "grade": digits(grade),
                    }))?;
                }
            }
            Ok(())
        })
    }

    /// Seconds from 1970 to the midnight that times are counted from; 0 where no calendar is known.
    fn start(&self) -> Result<i64> {
        let Some(start) = &self.summary().start else { return Ok(0) };
        let time = super::import::seconds_of(start).ok_or_else(|| {
            let path = super::summary::summary_path(self.folder());
            Error::data(path, format!("the log starts at `{start}`, which is no time"))
        })?;
        Ok(time - time.rem_euclid(86_400))
    }

    /// The `[corpus]` table that imports the files.
    fn table(&self, met: &[bool; ALONG.len()]) -> String {
        let summary = self.summary();
        let seen = if summary.remove_history { "remove" } else { "keep" };
        let mut text = format!(
            "# Of a corpus of kind {}: paste it into a recipe, in place of its [corpus].\n[corpus]\nkind = \"log\"\n\
             path = \".\"\nseen = \"{seen}\"\nhistory = 1000\nunknown_items = \"drop\"\n",
            summary.kind
        );
        let quoted = |name: &str| Value::String(name.to_owned()).to_string();
        let holds = |holds: Holds| match holds {
            Holds::Number => "number",
            Holds::Category => "category",
            Holds::Text => "text",
        };
        let columns = |of: Entity| -> Vec<String> {
            self.open_columns(of)
                .map(|one| {
                    format!(
                        "{{ name = {}, holds = \"{}\" }}",
                        quoted(&one.column.name),
                        holds(one.holds)
                    )
                })
                .collect()
        };
        text.push_str("\n[corpus.split]\nby = \"column\"\n\n[corpus.items]\n");
        text.push_str(&format!(
            "file = \"{ITEMS}\"\nid = \"item_id\"\ntitle = \"title\"\ntext = [\"text\"]\ncategory = [\"category\"]\n\
             price = \"price\"\nlaunch_day = \"launch_day\"\nstatistics_day = \"statistics_day\"\nshown = \"shown\"\n\
             clicks = \"clicks\"\norders = \"orders\"\nattributes = [\"attributes.*\"]\ncolumns = [{}]\n",
            columns(Entity::Item).join(", ")
        ));
        let of_users = columns(Entity::User);
        if !of_users.is_empty() {
            text.push_str(&format!(
                "\n[corpus.users]\nfile = \"{USERS}\"\nid = \"user_id\"\ncolumns = [{}]\n",
                of_users.join(", ")
            ));
        }
        if summary.judgements.total() > 0 {
            text.push_str(&format!(
                "\n[corpus.grades]\nfile = \"{GRADES}\"\nrequest = \"request\"\nitem = \"item_id\"\ngrade = \"grade\"\n"
            ));
        }
        for level in &summary.levels {
            text.push_str(&format!(
                "\n[[corpus.levels]]\nname = {}\nsignal = {}\nfrom = {:?}\n",
                quoted(&level.name),
                quoted(&level.signal),
                level.from
            ));
        }
        text.push_str(&format!(
            "\n[[corpus.log]]\nfile = \"{LOG}\"\nrequest = [\"request\"]\nuser = \"user\"\nsession = \"session\"\n\
             time = \"time\"\ntime_unit = \"seconds\"\nday = \"day\"\nsplit = \"split\"\nquery = \"query\"\n\
             history = \"history\"\nshown = \"shown\"\n"
        ));
        for (name, _) in ALONG.iter().zip(met).filter(|(_, met)| **met) {
            text.push_str(&format!("{name} = \"{name}\"\n"));
        }
        let of_log = [Entity::Request, Entity::Session, Entity::Impression];
        let open = of_log.into_iter().flat_map(|of| self.open_columns(of));
        let open: Vec<String> = open
            .map(|one| {
                format!(
                    "  {{ name = {}, field = {}, of = \"{}\", holds = \"{}\", signal = {} }},\n",
                    quoted(&one.column.name),
                    quoted(&one.column.to_string()),
                    one.column.of.name(),
                    holds(one.holds),
                    one.is_signal
                )
            })
            .collect();
        if !open.is_empty() {
            text.push_str(&format!("columns = [\n{}]\n", open.concat()));
        }
        text
    }
}

/// Whether a corpus can be written into a folder: what stands there may be somebody's only copy of a log.
///
/// # Errors
/// [`Error::Usage`] where a file of a name that an export has is there.
pub fn check_export(folder: &Path) -> Result<()> {
    let is_there = |name: &&str| folder.join(name).symlink_metadata().is_ok();
    match [ITEMS, USERS, LOG, GRADES, TABLE].into_iter().find(is_there) {
        None => Ok(()),
        Some(name) => Err(Error::Usage(format!(
            "{} is there already, and an export replaces nothing: name an empty folder",
            folder.join(name).display()
        ))),
    }
}

/// Adds a value under a name; several become a list.
fn join(fields: &mut Map<String, Value>, name: &str, value: Value) {
    match fields.get_mut(name) {
        None => drop(fields.insert(name.to_owned(), value)),
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

/// What the impressions of a page have in one field; none where no one has anything.
fn along(page: &[Impression], name: &str) -> Option<Vec<Value>> {
    let flag = |set: bool| Some(json!(set));
    let number = |number: Option<f32>| number.map(|number| json!(digits(number)));
    let of = |one: &Impression| match name {
        "position" => Some(json!(one.position)),
        "propensity" => number(one.propensity),
        "click" => flag(one.click),
        "cart" => flag(one.cart),
        "order" => flag(one.order),
        "like" => one.like.and_then(flag),
        "share" => one.share.and_then(flag),
        "dwell" => number(one.dwell),
        "grade" => number(one.grade),
        _ => None,
    };
    let values: Vec<Option<Value>> = page.iter().map(of).collect();
    let is_any = values.iter().any(Option::is_some);
    is_any.then(|| values.into_iter().map(Option::unwrap_or_default).collect())
}

/// A number of the tables by its shortest digits, which give it back: 25.51, not 25.510000228881836.
fn digits(number: f32) -> f64 {
    // What is printed of a number is one.
    number.to_string().parse().unwrap_or(f64::from(number))
}

fn value_of(cell: &Cell) -> Value {
    match cell {
        Cell::Absent => Value::Null,
        Cell::Number(number) => json!(number),
        Cell::Text(text) => json!(text),
        Cell::Texts(texts) => json!(texts),
    }
}

fn ids_of<R: Row + 'static>(corpus: &Corpus, id: impl Fn(R) -> String) -> Result<Vec<String>> {
    TableReader::<R>::open(corpus.folder())?.map(|row| row.map(&id)).collect()
}

/// Writes a file of JSON lines, whole or not at all.
fn write_lines(
    path: &Path,
    write: impl FnOnce(&mut dyn FnMut(&Value) -> Result<()>) -> Result<()>,
) -> Result<()> {
    write_atomic(path, |out| {
        write(&mut |value| {
            let failed = |e: std::io::Error| Error::unwritable(path, &e);
            serde_json::to_writer(&mut *out, value).map_err(|e| failed(e.into()))?;
            out.write_all(b"\n").map_err(failed)
        })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::corpus::testing::Shop;

    #[test]
    fn an_export_replaces_nothing() {
        let shop = Shop::written();
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join(LOG);
        std::fs::write(&log, "the only copy").unwrap();
        let refused = shop.corpus.export(folder.path(), &Context::silent()).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("log.jsonl is there already"), "{refused}");
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "the only copy");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    proptest! {
        #[test]
        fn digits_give_numbers_back(number in proptest::num::f32::NORMAL | proptest::num::f32::ZERO) {
            prop_assert_eq!(digits(number) as f32, number);
            prop_assert_eq!(format!("{}", digits(25.51)), "25.51");
        }
    }
}
