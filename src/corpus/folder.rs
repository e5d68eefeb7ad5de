//! A corpus folder: opened and checked, then streamed. Knows nothing of where it came from.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::{Digest, known_digests};

use super::catalogue::{Catalogue, Names};
use super::cell::{Cell, ColumnName, Entity};
use super::cells::{Cells, column_names};
use super::features::Features;
use super::impressions::{Pages, levelled};
use super::levels::Levels;
use super::rows::{
    ImpressionRow, ItemName, ItemRow, JudgementRow, RequestRow, SessionRow, UserRow,
};
use super::summary::{CorpusSummary, FORMAT, summary_path};
use super::table::{TableReader, count_rows, table_path};
use super::types::{Ask, Impression, ItemIdx, Request, RequestIdx, Split};

/// An opened corpus folder.
#[derive(Debug, Clone)]
pub struct Corpus {
    folder: PathBuf,
    summary: CorpusSummary,
}

impl Corpus {
    /// Opens a folder and checks its format, and every table against size, hash and row count.
    /// Tables whose digests are known are not read to be hashed.
    ///
    /// # Errors
    /// [`Error::Data`] when the folder is not a complete, undamaged corpus of this format.
    pub fn open(folder: &Path) -> Result<Self> {
        let summary = Self::read_summary(folder)?;
        let paths: Vec<PathBuf> =
            summary.tables.iter().map(|table| folder.join(&table.file)).collect();
        let digests = known_digests(&paths)?;
        for ((table, path), found) in summary.tables.iter().zip(&paths).zip(digests) {
            let Digest { bytes, blake3 } = found;
            if bytes != table.bytes || blake3 != table.blake3 {
                let message = format!(
                    "differs from what corpus.json says: {bytes} bytes with BLAKE3 {blake3}, \
                     expected {} bytes with {}",
                    table.bytes, table.blake3
                );
                return Err(Error::data(path, message)
                    .with_help("the file is damaged or was changed; build the corpus again"));
            }
        }
        let corpus = Self { folder: folder.to_owned(), summary };
        corpus.check_rows::<ItemRow>(corpus.summary.items)?;
        corpus.check_rows::<UserRow>(corpus.summary.users)?;
        corpus.check_rows::<SessionRow>(corpus.summary.sessions)?;
        corpus.check_rows::<RequestRow>(corpus.summary.requests.total())?;
        corpus.check_rows::<ImpressionRow>(corpus.summary.impressions)?;
        corpus.check_rows::<JudgementRow>(corpus.summary.judgements.total())?;
        Ok(corpus)
    }

    /// What a folder says that it holds; its tables are not looked at.
    ///
    /// # Errors
    /// [`Error::Data`] when the folder is not a corpus of this format.
    pub fn read_summary(folder: &Path) -> Result<CorpusSummary> {
        let path = summary_path(folder);
        let text = std::fs::read(&path).map_err(|e| {
            Error::unreadable(&path, &e).with_help("is this the folder of a built corpus?")
        })?;
        let format = serde_json::from_slice::<serde_json::Value>(&text)
            .ok()
            .and_then(|value| value.get("format").and_then(serde_json::Value::as_u64))
            .ok_or_else(|| Error::data(&path, "is not the summary of a corpus"))?;
        if format != u64::from(FORMAT) {
            return Err(Error::data(
                &path,
                format!("format {format}; this version reads {FORMAT}"),
            )
            .with_help("build the corpus again"));
        }
        serde_json::from_slice(&text)
            .map_err(|e| Error::data(&path, format!("is not the summary of a corpus: {e}")))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the folder holds.
    pub fn summary(&self) -> &CorpusSummary {
        &self.summary
    }

    /// Whether training requests are users' sequences (history only, no impressions).
    pub fn has_sequences(&self) -> bool {
        self.summary.sequences
    }

    /// Ids and texts of all items, in memory.
    ///
    /// # Errors
    /// [`Error::Data`] when the items table cannot be read or is not that of `corpus.json`.
    pub fn catalogue(&self) -> Result<Catalogue> {
        let catalogue = Catalogue::read(&self.folder)?;
        self.check_ids(&catalogue.hash)?;
        Ok(catalogue)
    }

    /// Ids and titles of all items, in memory.
    ///
    /// # Errors
    /// [`Error::Data`] when the items table cannot be read or is not that of `corpus.json`.
    pub fn names(&self) -> Result<Names> {
        let names = Names::read(&self.folder)?;
        self.check_ids(names.hash())?;
        Ok(names)
    }

    /// Ids and titles of some items, in the order of `items`: for a few a fraction of the time of all.
    ///
    /// # Errors
    /// As [`Names::some`].
    pub fn some_names(&self, items: &[ItemIdx]) -> Result<Vec<ItemName>> {
        Names::some(&self.folder, items)
    }

    /// Refuses items other than those that `corpus.json` names.
    fn check_ids(&self, hash: &str) -> Result<()> {
        if hash == self.summary.catalogue {
            return Ok(());
        }
        let path = table_path::<ItemRow>(&self.folder);
        Err(Error::data(path, "holds other items than corpus.json says")
            .with_help("build the corpus again"))
    }

    /// Rows of the items table with categories, attributes and statistics, streamed.
    ///
    /// # Errors
    /// [`Error::Data`] when the table cannot be opened; each row may fail likewise.
    pub fn items(&self) -> Result<TableReader<ItemRow>> {
        TableReader::open(&self.folder)
    }

    /// Whether a table has a column of that name.
    ///
    /// # Errors
    /// [`Error::Data`] when the table cannot be read.
    pub fn has_column(&self, column: &ColumnName) -> Result<bool> {
        Ok(column_names(&self.folder, column.of)?.contains(&column.name))
    }

    /// Rows of some columns of one table in its order, streamed: `[rows, columns]`.
    ///
    /// # Errors
    /// [`Error::Data`] when the table lacks a column or cannot be read; each row may fail likewise.
    pub fn cells(
        &self,
        of: Entity,
        names: &[&str],
    ) -> Result<impl Iterator<Item = Result<Vec<Cell>>> + use<>> {
        Cells::open(&self.folder, of, names, 0, None)
    }

    /// Row numbers of a split's requests.
    pub fn request_range(&self, split: Split) -> std::ops::Range<RequestIdx> {
        // Builders refuse more requests than u32 holds.
        let counts = &self.summary.requests;
        let start = match split {
            Split::Train => 0,
            Split::Validation => counts.train,
            Split::Test => counts.train + counts.validation,
        };
        start as u32..(start + counts.of(split)) as u32
    }

    /// All requests of a split, in order.
    ///
    /// # Errors
    /// [`Error::Data`] when the table cannot be read.
    pub fn requests(&self, split: Split) -> Result<Vec<Request>> {
        self.request_iter(split)?.collect()
    }

    /// Requests of a split in order, streamed.
    ///
    /// # Errors
    /// [`Error::Data`] when the table cannot be opened; each request may fail likewise.
    pub fn request_iter(
        &self,
        split: Split,
    ) -> Result<impl Iterator<Item = Result<Request>> + use<>> {
        let range = self.request_range(split);
        let users: Vec<String> = TableReader::<UserRow>::open(&self.folder)?
            .map(|row| row.map(|user| user.id))
            .collect::<Result<_>>()?;
        let path = table_path::<RequestRow>(&self.folder);
        let n_items = self.summary.items;
        let rows = TableReader::<RequestRow>::open_range(
            &self.folder,
            u64::from(range.start),
            Some(self.summary.requests.of(split)),
        )?;
        let mut features = Features::open(&self.folder, &self.summary, &range)?;
        Ok(rows.zip(range).map(move |(row, idx)| {
            let row = row?;
            let features = features.next(row.user, row.session)?;
            let user = match row.user {
                None => None,
                Some(user) => Some(users.get(user as usize).cloned().ok_or_else(|| {
                    Error::data(
                        &path,
                        format!("request {idx} names user {user}, which does not exist"),
                    )
                })?),
            };
            if row.split != split {
                let found = row.split.name();
                let message = format!("request {idx} is {found}, expected {}", split.name());
                return Err(Error::data(&path, message));
            }
            if let Some(item) = row.history.iter().find(|&&item| u64::from(item) >= n_items) {
                let message = format!("request {idx} names item {item}, which does not exist");
                return Err(Error::data(&path, message));
            }
            let RequestRow { id, day, query, history, .. } = row;
            let ask = Ask { query, history, user, features, row: Some(idx) };
            Ok(Request { idx, id, day, split, ask })
        }))
    }

    /// Feedback of the **training** requests, streamed: `(request, items shown)` in request order;
    /// requests without impressions are left out. What happened on validation and test pages is
    /// for [`Corpus::impressions_of`], so that nothing is learnt from it by accident.
    ///
    /// # Errors
    /// [`Error::Data`] when the table cannot be opened; each page may fail likewise.
    pub fn impressions(
        &self,
    ) -> Result<impl Iterator<Item = Result<(RequestIdx, Vec<Impression>)>> + use<>> {
        self.impressions_of(Split::Train)
    }

    /// Feedback of the requests of any split, as [`Corpus::impressions`].
    ///
    /// # Errors
    /// [`Error::Data`] when the table cannot be opened; each page may fail likewise.
    pub fn impressions_of(
        &self,
        split: Split,
    ) -> Result<impl Iterator<Item = Result<(RequestIdx, Vec<Impression>)>> + use<>> {
        let levels = Levels::new(&self.summary.levels);
        let rows = levelled(&self.folder, &levels)?.peekable();
        Ok(Pages { rows, range: self.request_range(split) })
    }

    /// Judgements of a split's requests, in request order: `(request, item, grade)`.
    ///
    /// # Errors
    /// [`Error::Data`] when the table cannot be read.
    pub fn judgements(&self, split: Split) -> Result<Vec<(RequestIdx, ItemIdx, f32)>> {
        let range = self.request_range(split);
        let mut judgements = Vec::new();
        for row in TableReader::<JudgementRow>::open(&self.folder)? {
            let JudgementRow { request, item, grade } = row?;
            if request >= range.end {
                break;
            }
            if range.contains(&request) {
                judgements.push((request, item, grade));
            }
        }
        Ok(judgements)
    }

    fn check_rows<R: super::table::Row>(&self, expected: u64) -> Result<()> {
        let found = count_rows::<R>(&self.folder)?;
        if found == expected {
            return Ok(());
        }
        let path = table_path::<R>(&self.folder);
        Err(Error::data(path, format!("{found} rows, but corpus.json says {expected}"))
            .with_help("build the corpus again"))
    }
}
