//! What a corpus knows of its requests beside query and history: the open columns of requests, users
//! and sessions.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::cell::{Cell, ColumnName, Entity};
use super::cells::Cells;
use super::summary::CorpusSummary;
use super::types::RequestIdx;
use crate::error::{Error, Result};

/// Open columns of consecutive requests.
pub(super) struct Features {
    /// Users and sessions: `[rows, columns]`, in memory.
    tables: [Table; 2],
    /// Columns of requests, streamed.
    columns: Vec<ColumnName>,
    rows: Option<Cells>,
}

/// Open columns of one table.
struct Table {
    of: Entity,
    columns: Vec<ColumnName>,
    rows: Vec<Vec<Cell>>,
}

impl Features {
    /// Those of a range of requests.
    ///
    /// # Errors
    /// [`Error::Data`] when a table cannot be read.
    pub(super) fn open(
        folder: &Path,
        summary: &CorpusSummary,
        range: &Range<RequestIdx>,
    ) -> Result<Self> {
        let open = |of| -> Vec<ColumnName> {
            let columns = summary.columns.iter().filter(|one| one.column.of == of);
            // What came of a session is not known when something is asked in it.
            columns.filter(|one| !one.is_signal).map(|one| one.column.clone()).collect()
        };
        let cells = |columns: &[ColumnName], of, offset, limit| -> Result<Option<Cells>> {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            let is_any = !names.is_empty();
            is_any.then(|| Cells::open(folder, of, &names, offset, limit)).transpose()
        };
        let table = |of| -> Result<Table> {
            let columns = open(of);
            let rows = cells(&columns, of, 0, None)?.into_iter().flatten();
            Ok(Table { of, rows: rows.collect::<Result<_>>()?, columns })
        };
        let tables = [table(Entity::User)?, table(Entity::Session)?];
        let columns = open(Entity::Request);
        let n_requests = u64::from(range.end - range.start);
        let rows = cells(&columns, Entity::Request, u64::from(range.start), Some(n_requests))?;
        Ok(Self { tables, columns, rows })
    }

    /// Those of the next request.
    ///
    /// # Errors
    /// [`Error::Data`] when a table is damaged, or the request names a user or session that is none.
    pub(super) fn next(
        &mut self,
        user: Option<u32>,
        session: Option<u32>,
    ) -> Result<BTreeMap<ColumnName, Cell>> {
        let mut features = BTreeMap::new();
        let mut keep = |columns: &[ColumnName], cells: &[Cell]| {
            let present = columns.iter().zip(cells).filter(|(_, cell)| **cell != Cell::Absent);
            features.extend(present.map(|(column, cell)| (column.clone(), cell.clone())));
        };
        for (table, row) in self.tables.iter().zip([user, session]) {
            let Some(row) = row.filter(|_| !table.columns.is_empty()) else { continue };
            let cells = table.rows.get(row as usize).ok_or_else(|| {
                let of = table.of.name();
                Error::Failed(format!("a request names {of} {row}, which does not exist"))
            })?;
            keep(&table.columns, cells);
        }
        if let Some(cells) = self.rows.as_mut().and_then(Iterator::next).transpose()? {
            keep(&self.columns, &cells);
        }
        Ok(features)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::build::{CorpusWriter, Facts};
    use crate::corpus::cell::{Holds, OpenColumn};
    use crate::corpus::levels::{LevelRule, default_levels};
    use crate::corpus::rows::{ImpressionRow, ItemRow, RequestRow};
    use crate::corpus::summary::Malformed;
    use crate::corpus::types::{Impression, Level, Split};
    use crate::corpus::{Corpus, Request};
    use crate::progress::Context;

    fn column(of: Entity, name: &str, holds: Holds, is_signal: bool) -> OpenColumn {
        OpenColumn { column: ColumnName::new(of, name), holds, is_signal }
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.into())
    }

    /// Two users, three requests, a page each; what is asked of the corpus in `levels`.
    fn corpus(folder: &Path, levels: Vec<LevelRule>) -> Corpus {
        let columns = [
            column(Entity::Item, "stock", Holds::Number, false),
            column(Entity::User, "segment", Holds::Category, false),
            column(Entity::Request, "device", Holds::Category, false),
            column(Entity::Request, "hour", Holds::Number, false),
            column(Entity::Impression, "saves", Holds::Number, true),
        ];
        let mut writer = CorpusWriter::create(folder, &columns).unwrap();
        for stock in [Cell::Number(3.5), Cell::Absent] {
            let row = ItemRow { id: format!("{stock:?}"), ..ItemRow::default() };
            writer.item(row, vec![stock]).unwrap();
        }
        writer.user("a".into(), vec![text("new")]).unwrap();
        writer.user("b".into(), vec![Cell::Absent]).unwrap();
        for (idx, split) in Split::ALL.into_iter().enumerate() {
            let row = RequestRow {
                id: idx.to_string(),
                user: (idx < 2).then_some(idx as u32),
                session: None,
                time: None,
                day: 0,
                query: None,
                history: vec![0],
                split,
            };
            let hour = Cell::Number(idx as f64);
            let request = writer.request(row, vec![text("phone"), hour]).unwrap();
            let impression = Impression { item: 1, click: idx == 1, ..Impression::default() };
            let saves = vec![Cell::Number(f64::from(3 - request))];
            writer.impression(ImpressionRow { request, impression }, saves).unwrap();
        }
        let facts = Facts {
            kind: "test",
            sequences: false,
            remove_history: false,
            levels,
            malformed: Malformed::default(),
            truncated_texts: 0,
            dropped_requests: 0,
            warnings: Vec::new(),
            sources: Vec::new(),
        };
        writer.finish(facts, &Context::silent()).unwrap();
        Corpus::open(folder).unwrap()
    }

    #[test]
    fn requests_carry_the_open_columns_of_users_and_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), default_levels());
        let of = |split| -> Request { corpus.requests(split).unwrap().remove(0) };
        let segment = ColumnName::new(Entity::User, "segment");
        let hour = ColumnName::new(Entity::Request, "hour");
        let device = ColumnName::new(Entity::Request, "device");
        let [train, validation, test] = Split::ALL.map(of);
        assert_eq!(train.ask.features[&segment], text("new"));
        assert_eq!(train.ask.features.len(), 3);
        assert_eq!(validation.ask.features[&hour], Cell::Number(1.0));
        assert_eq!(validation.ask.features.len(), 2);
        assert_eq!(test.ask.features[&hour], Cell::Number(2.0));
        assert_eq!(test.ask.features[&device], text("phone"));
    }

    #[test]
    fn columns_are_read_by_name_fixed_and_open_alike() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), default_levels());
        let rows = corpus.cells(Entity::Item, &["stock", "price", "category", "stock"]).unwrap();
        let rows: Vec<Vec<Cell>> = rows.collect::<Result<_>>().unwrap();
        let stock = Cell::Number(3.5);
        assert_eq!(rows[0], [stock.clone(), Cell::Absent, Cell::Texts(Vec::new()), stock]);
        assert_eq!(rows[1][0], Cell::Absent);
        let rows = corpus.cells(Entity::Request, &["history", "id", "hour"]).unwrap();
        let rows: Vec<Vec<Cell>> = rows.collect::<Result<_>>().unwrap();
        assert_eq!(rows[2], [Cell::Texts(vec!["0".into()]), text("2"), Cell::Number(2.0)]);
        let missing = corpus.cells(Entity::Item, &["color"]).err().unwrap().to_string();
        assert!(missing.contains("items.parquet: there is no column `color`"), "{missing}");
        assert!(corpus.has_column(&ColumnName::new(Entity::User, "segment")).unwrap());
        assert!(!corpus.has_column(&ColumnName::new(Entity::User, "stock")).unwrap());
    }

    #[test]
    fn levels_come_from_the_signals_that_a_recipe_names() {
        let rule = |name: &str, signal: &str, from| LevelRule {
            name: name.into(),
            signal: signal.into(),
            from,
        };
        let levels = |rules: Vec<LevelRule>| -> Vec<u8> {
            let folder = tempfile::tempdir().unwrap();
            let corpus = corpus(folder.path(), rules);
            let page = |split| corpus.impressions_of(split).unwrap().next().unwrap().unwrap();
            Split::ALL.map(|split| page(split).1[0].level).map(|Level(level)| level).to_vec()
        };
        assert_eq!(levels(default_levels()), [0, 1, 0]);
        assert_eq!(levels(vec![rule("saved", "saves", 2.0)]), [1, 1, 0]);
        let both = vec![rule("saved", "saves", 1.0), rule("clicked", "click", 1.0)];
        assert_eq!(levels(both), [1, 2, 1]);
    }
}
