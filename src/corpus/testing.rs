//! A corpus of a few rows with open columns in every table, for tests.

use tempfile::TempDir;

use super::build::{CorpusWriter, Facts};
use super::cell::{Cell, ColumnName, Entity, Holds, OpenColumn};
use super::folder::Corpus;
use super::levels::{LevelRule, default_levels};
use super::rows::{ImpressionRow, ItemRow, RequestRow, SessionRow};
use super::summary::Malformed;
use super::types::{Impression, Split};
use crate::progress::Context;

/// Two items, two users, a session, four requests.
pub(crate) struct Shop {
    pub(crate) corpus: Corpus,
    _folder: TempDir,
}

fn column(of: Entity, name: &str, holds: Holds, is_signal: bool) -> OpenColumn {
    OpenColumn { column: ColumnName::new(of, name), holds, is_signal }
}

/// A cell of text.
pub(crate) fn text(text: &str) -> Cell {
    Cell::Text(text.into())
}

impl Shop {
    /// With the levels that every corpus has.
    pub(crate) fn written() -> Self {
        Self::under(default_levels())
    }

    /// With levels of its own.
    #[allow(clippy::unwrap_used)]
    pub(crate) fn under(levels: Vec<LevelRule>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let columns = [
            column(Entity::Item, "stock", Holds::Number, false),
            column(Entity::User, "segment", Holds::Category, false),
            column(Entity::Session, "device", Holds::Category, false),
            column(Entity::Session, "bought", Holds::Number, true),
            column(Entity::Request, "hour", Holds::Number, false),
            column(Entity::Impression, "badge", Holds::Category, false),
            column(Entity::Impression, "saves", Holds::Number, true),
        ];
        let mut writer = CorpusWriter::create(folder.path(), &columns).unwrap();
        for (id, stock) in [("i0", Cell::Number(3.5)), ("i1", Cell::Absent)] {
            let title = format!("title of {id}");
            writer
                .item(ItemRow { id: id.into(), title, ..ItemRow::default() }, vec![stock])
                .unwrap();
        }
        writer.user("a".into(), vec![text("new")]).unwrap();
        writer.user("b".into(), vec![Cell::Absent]).unwrap();
        let session = SessionRow { id: "s".into(), user: Some(0), day: 0 };
        writer.session(session, vec![text("phone"), Cell::Number(1.0)]).unwrap();
        let splits = [Split::Train, Split::Train, Split::Validation, Split::Test];
        for (idx, split) in (0u32..).zip(splits) {
            let row = RequestRow {
                id: format!("r{idx}"),
                user: (idx < 2).then_some(idx),
                session: (idx == 0).then_some(0),
                time: None,
                day: idx as i32,
                query: None,
                history: vec![0],
                split,
            };
            writer.request(row, vec![Cell::Number(f64::from(idx))]).unwrap();
            // (item, clicked, saves)
            let page: &[(u32, bool, Option<f64>)] = match idx {
                0 => &[(1, false, Some(2.0)), (0, false, Some(1.0)), (1, true, Some(0.0))],
                1 => &[(0, true, Some(0.0)), (1, false, None)],
                _ => &[(1, false, Some(1.0))],
            };
            for (position, &(item, click, saves)) in (1..).zip(page) {
                let impression = Impression { item, position, click, ..Impression::default() };
                let cells = vec![text("new"), saves.map_or(Cell::Absent, Cell::Number)];
                writer.impression(ImpressionRow { request: idx, impression }, cells).unwrap();
            }
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
            start: None,
        };
        writer.finish(facts, &Context::silent()).unwrap();
        let corpus = Corpus::open(folder.path()).unwrap();
        Self { corpus, _folder: folder }
    }
}
