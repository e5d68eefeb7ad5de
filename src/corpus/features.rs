//! What a corpus knows of its requests beside query and history: the open columns of requests, users
//! and sessions.

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
    ) -> Result<Vec<(ColumnName, Cell)>> {
        let mut features = Vec::new();
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
    use crate::corpus::testing::{Shop, text};
    use crate::corpus::{Level, LevelRule, Request, Split, default_levels};

    #[test]
    fn requests_carry_the_open_columns_of_users_sessions_and_their_own() {
        let shop = Shop::written();
        let of = |split| -> Vec<Request> { shop.corpus.requests(split).unwrap() };
        let segment = ColumnName::new(Entity::User, "segment");
        let device = ColumnName::new(Entity::Session, "device");
        let hour = ColumnName::new(Entity::Request, "hour");
        let train = of(Split::Train);
        // What came of the session is not among them.
        assert_eq!(train[0].ask.features.len(), 3);
        assert_eq!(train[0].ask.feature(&segment), Some(&text("new")));
        assert_eq!(train[0].ask.feature(&device), Some(&text("phone")));
        assert_eq!(train[1].ask.features.len(), 1);
        assert_eq!(train[1].ask.feature(&hour), Some(&Cell::Number(1.0)));
        assert_eq!(of(Split::Test)[0].ask.feature(&hour), Some(&Cell::Number(3.0)));
    }

    #[test]
    fn columns_are_read_by_name_fixed_and_open_alike() {
        let Shop { corpus, .. } = &Shop::written();
        let rows = corpus.cells(Entity::Item, &["stock", "price", "category", "stock"]).unwrap();
        let rows: Vec<Vec<Cell>> = rows.collect::<Result<_>>().unwrap();
        let stock = Cell::Number(3.5);
        assert_eq!(rows[0], [stock.clone(), Cell::Absent, Cell::Texts(Vec::new()), stock]);
        assert_eq!(rows[1][0], Cell::Absent);
        let rows = corpus.cells(Entity::Request, &["history", "id", "hour"]).unwrap();
        let rows: Vec<Vec<Cell>> = rows.collect::<Result<_>>().unwrap();
        assert_eq!(rows[2], [Cell::Texts(vec!["0".into()]), text("r2"), Cell::Number(2.0)]);
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
            let pages = Shop::under(rules).corpus.impressions().unwrap();
            let pages: Vec<_> = pages.collect::<Result<_>>().unwrap();
            pages.iter().flat_map(|(_, page)| page).map(|shown| shown.level.0).collect()
        };
        assert_eq!(levels(default_levels()), [0, 0, 1, 1, 0]);
        assert_eq!(levels(vec![rule("saved", "saves", 2.0)]), [1, 0, 0, 0, 0]);
        let both = vec![rule("saved", "saves", 1.0), rule("clicked", "click", 1.0)];
        assert_eq!(levels(both), [1, 1, 2, 2, 0]);
        assert_eq!(Level::default(), Level(0));
    }
}
