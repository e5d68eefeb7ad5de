//! Building a corpus folder from whatever source the recipe names, and knowing its size beforehand.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::progress::Context;
use crate::seed::Seed;
use crate::store::{Digest, digest, known_digest, write_json};

use super::catalogue::CatalogueHash;
use super::cell::{Cell, Entity, Holds, OpenColumn};
use super::impressions::levelled;
use super::kinds::CorpusSettings;
use super::levels::{LevelRule, Levels, default_levels};
use super::rows::{ImpressionRow, ItemRow, JudgementRow, RequestRow, SessionRow, UserRow};
use super::summary::{
    CorpusSummary, FORMAT, Malformed, Overlap, SourceFile, SplitCounts, TableFile, summary_path,
};
use super::table::{Row, TableReader, TableWriter, table_path};
use super::types::Split;

/// Builds a corpus folder: six tables and `corpus.json`, which appears last.
///
/// # Errors
/// As [`CorpusKind::write`](super::kinds::CorpusKind::write).
pub fn build(
    settings: &CorpusSettings,
    seed: Seed,
    out: &Path,
    ctx: &Context,
) -> Result<CorpusSummary> {
    settings.it().write(world_seed(seed), out, ctx)
}

/// The same from the seed of a step, which is the purpose already.
///
/// # Errors
/// As [`build`].
pub fn build_seeded(
    settings: &CorpusSettings,
    seed: Seed,
    out: &Path,
    ctx: &Context,
) -> Result<CorpusSummary> {
    settings.it().write(seed, out, ctx)
}

/// The seed of [`simulator::World::new`](super::simulator::World::new) for a recipe's seed: the one [`build`] derives.
pub fn world_seed(seed: Seed) -> Seed {
    seed.purpose("corpus")
}

/// The kind of a corpus whose test requests were training requests.
pub(super) const HELD_OUT: &str = "held-out";

/// What a source knows about itself beside its rows.
pub(super) struct Facts {
    pub(super) kind: &'static str,
    pub(super) sequences: bool,
    pub(super) remove_history: bool,
    /// What lifts a shown item to which level.
    pub(super) levels: Vec<LevelRule>,
    pub(super) malformed: Malformed,
    pub(super) truncated_texts: u64,
    pub(super) dropped_requests: u64,
    pub(super) warnings: Vec<String>,
    pub(super) sources: Vec<PathBuf>,
    /// The first moment, where the source has times of a calendar.
    pub(super) start: Option<String>,
}

/// The six tables under construction.
pub(super) struct CorpusWriter {
    folder: PathBuf,
    columns: Vec<OpenColumn>,
    items: TableWriter<ItemRow>,
    users: TableWriter<UserRow>,
    sessions: TableWriter<SessionRow>,
    requests: TableWriter<RequestRow>,
    impressions: TableWriter<ImpressionRow>,
    judgements: TableWriter<JudgementRow>,
    splits: SplitCounts,
    last_split: Split,
    catalogue: CatalogueHash,
    signals: [u64; 3],
}

impl CorpusWriter {
    /// Starts a folder, whose tables have these open columns; an older summary is removed, so that a
    /// half-written folder never opens.
    pub(super) fn create(folder: &Path, columns: &[OpenColumn]) -> Result<Self> {
        let summary = summary_path(folder);
        match std::fs::remove_file(&summary) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::unwritable(&summary, &e));
            }
            _ => {}
        }
        let of = |entity| -> Vec<(&str, Holds)> {
            let columns = columns.iter().filter(|one| one.column.of == entity);
            columns.map(|one| (one.column.name.as_str(), one.holds)).collect()
        };
        Ok(Self {
            folder: folder.to_owned(),
            items: TableWriter::create_open(folder, &of(Entity::Item))?,
            users: TableWriter::create_open(folder, &of(Entity::User))?,
            sessions: TableWriter::create_open(folder, &of(Entity::Session))?,
            requests: TableWriter::create_open(folder, &of(Entity::Request))?,
            impressions: TableWriter::create_open(folder, &of(Entity::Impression))?,
            judgements: TableWriter::create(folder)?,
            splits: SplitCounts::default(),
            last_split: Split::Train,
            catalogue: CatalogueHash::default(),
            signals: [0; 3],
            columns: columns.to_vec(),
        })
    }

    /// Appends an item with a cell for each open column of items.
    pub(super) fn item(&mut self, row: ItemRow, cells: Vec<Cell>) -> Result<u32> {
        let idx = self.next_index(self.items.len(), "items")?;
        self.catalogue.push(&row.id);
        self.items.push_open(row, cells)?;
        Ok(idx)
    }

    /// Open columns of items, in the order of their cells.
    pub(super) fn item_columns(&self) -> Vec<OpenColumn> {
        let columns = self.columns.iter().filter(|one| one.column.of == Entity::Item);
        columns.cloned().collect()
    }

    /// Appends a user with a cell for each open column of users.
    pub(super) fn user(&mut self, id: String, cells: Vec<Cell>) -> Result<u32> {
        let idx = self.next_index(self.users.len(), "users")?;
        self.users.push_open(UserRow { id }, cells)?;
        Ok(idx)
    }

    /// Appends a session with a cell for each open column of sessions.
    pub(super) fn session(&mut self, row: SessionRow, cells: Vec<Cell>) -> Result<u32> {
        let idx = self.next_index(self.sessions.len(), "sessions")?;
        self.sessions.push_open(row, cells)?;
        Ok(idx)
    }

    /// Appends a request with a cell for each open column of requests; splits must come in the order
    /// train, validation, test.
    pub(super) fn request(&mut self, row: RequestRow, cells: Vec<Cell>) -> Result<u32> {
        let idx = self.next_index(self.requests.len(), "requests")?;
        debug_assert!(row.split >= self.last_split, "requests are stored by split");
        self.last_split = row.split;
        self.splits.add(row.split);
        self.requests.push_open(row, cells)?;
        Ok(idx)
    }

    /// Appends an impression with a cell for each open column of impressions; requests must come in
    /// order.
    pub(super) fn impression(&mut self, row: ImpressionRow, cells: Vec<Cell>) -> Result<()> {
        let shown = &row.impression;
        for (count, signal) in self.signals.iter_mut().zip([shown.click, shown.cart, shown.order]) {
            *count += u64::from(signal);
        }
        self.impressions.push_open(row, cells)
    }

    /// Appends a judgement; requests must come in order.
    pub(super) fn judgement(&mut self, row: JudgementRow) -> Result<()> {
        self.judgements.push(row)
    }

    /// Completes the tables, looks at them once for overlap, and writes `corpus.json`.
    pub(super) fn finish(self, facts: Facts, ctx: &Context) -> Result<CorpusSummary> {
        let folder = self.folder;
        let (users, sessions) = (self.users.finish()?, self.sessions.finish()?);
        let items = self.items.finish()?;
        let impressions = self.impressions.finish()?;
        self.requests.finish()?;
        self.judgements.finish()?;
        let levels = Levels::new(&facts.levels);
        let Looked { overlap, judgements, highest, repeats } =
            look(&folder, &self.splits, items, &levels)?;
        let [clicks, carts, orders] = self.signals;
        let mut warnings = facts.warnings;
        if items == 0 {
            return Err(Error::data(&folder, "the corpus has no items"));
        }
        // What held-out requests leave behind is no news.
        let is_source = facts.kind != HELD_OUT;
        if self.splits.train == 0 && is_source {
            warnings.push("there are no training requests; only untrained systems can work".into());
        }
        if self.splits.test == 0 && is_source {
            warnings.push("there are no test requests; nothing can be evaluated".into());
        }
        warnings.extend(repeats.remark(facts.remove_history).filter(|_| is_source));
        // Levels that a recipe does not name may stay empty: not every source has carts.
        if facts.levels != default_levels() {
            let unreached = facts.levels.iter().zip(highest).filter(|(_, n)| *n == 0);
            warnings.extend(unreached.map(|(level, _)| {
                format!("no training impression has `{}` as its highest level", level.name)
            }));
        }
        let sources = facts.sources.iter().map(|path| source_file(path)).collect::<Result<_>>()?;
        let tables = vec![
            table_file::<ItemRow>(&folder, items)?,
            table_file::<UserRow>(&folder, users)?,
            table_file::<SessionRow>(&folder, sessions)?,
            table_file::<RequestRow>(&folder, self.splits.total())?,
            table_file::<ImpressionRow>(&folder, impressions)?,
            table_file::<JudgementRow>(&folder, judgements.total())?,
        ];
        for warning in &warnings {
            ctx.warn(warning);
        }
        let summary = CorpusSummary {
            format: FORMAT,
            kind: facts.kind.into(),
            items,
            users,
            sessions,
            requests: self.splits,
            judgements,
            impressions,
            clicks,
            carts,
            orders,
            columns: self.columns,
            levels: facts.levels,
            sequences: facts.sequences,
            remove_history: facts.remove_history,
            catalogue: self.catalogue.finish(),
            overlap,
            malformed: facts.malformed,
            truncated_texts: facts.truncated_texts,
            dropped_requests: facts.dropped_requests,
            start: facts.start,
            warnings,
            sources,
            tables,
        };
        write_json(&summary_path(&folder), &summary)?;
        Ok(summary)
    }

    fn next_index(&self, len: u64, what: &str) -> Result<u32> {
        u32::try_from(len).ok().filter(|&idx| idx < u32::MAX).ok_or_else(|| {
            Error::data(&self.folder, format!("more than 4,294,967,295 {what} do not fit a corpus"))
        })
    }
}

fn source_file(path: &Path) -> Result<SourceFile> {
    let Digest { bytes, blake3 } = known_digest(path)?;
    Ok(SourceFile { path: path.to_owned(), bytes, blake3 })
}

fn table_file<R: Row>(folder: &Path, rows: u64) -> Result<TableFile> {
    let Digest { bytes, blake3 } = digest(&table_path::<R>(folder))?;
    Ok(TableFile { file: format!("{}.parquet", R::NAME), rows, bytes, blake3 })
}

/// What a look at the finished tables shows.
struct Looked {
    /// What of the test split was seen in training.
    overlap: Overlap,
    /// Judgements per split.
    judgements: SplitCounts,
    /// `[level]`: training impressions of which it is the highest.
    highest: Vec<u64>,
    repeats: Repeats,
}

/// Test requests whose wanted items stand in their history. Judgements come request by request.
#[derive(Default)]
struct Repeats {
    last: Option<(u32, u64, u64)>,
    /// Requests with judged items.
    requests: u64,
    /// Requests with a judged item in the history.
    some: u64,
    /// Requests all of whose judged items are in it.
    all: u64,
}

impl Repeats {
    fn count(&mut self, request: u32, is_repeat: bool) {
        if self.last.is_none_or(|last| last.0 != request) {
            self.close();
            self.last = Some((request, 0, 0));
        }
        if let Some((_, judged, repeats)) = &mut self.last {
            *judged += 1;
            *repeats += u64::from(is_repeat);
        }
    }

    fn close(&mut self) {
        if let Some((_, judged, repeats)) = self.last.take() {
            self.requests += 1;
            self.some += u64::from(repeats > 0);
            self.all += u64::from(repeats == judged);
        }
    }

    fn finish(mut self) -> Self {
        self.close();
        self
    }

    /// What a reader should know, where systems `remove` what was met before or not.
    fn remark(&self, remove: bool) -> Option<String> {
        let Self { some, all, requests, .. } = self;
        match (some, remove) {
            (0, _) => None,
            (_, true) => Some(format!(
                "of {requests} judged test requests, {some} want an item of their own history, and {all} nothing else: it \
                 counts as not found, because systems leave out what was met before; corpus.seen = \"keep\" lets them answer it"
            )),
            (_, false) => Some(format!(
                "of {requests} judged test requests, {some} want an item of their own history"
            )),
        }
    }
}

fn look(folder: &Path, splits: &SplitCounts, n_items: u64, levels: &Levels) -> Result<Looked> {
    let mut highest = vec![0; levels.len()];
    let mut seen_items = vec![false; n_items as usize];
    let mut seen_queries: HashSet<[u8; 16]> = HashSet::new();
    let mut seen_users: HashSet<u32> = HashSet::new();
    let [mut queries, mut users, mut items, mut history] = [Share::default(); 4];
    let mut histories: HashMap<u32, Vec<u32>> = HashMap::new();
    for (request, row) in (0..).zip(TableReader::<RequestRow>::open(folder)?) {
        let row = row?;
        let query = row.query.as_deref().map(query_key);
        match row.split {
            Split::Train => {
                seen_queries.extend(query);
                seen_users.extend(row.user);
                for item in row.history {
                    seen_items[item as usize] = true;
                }
            }
            Split::Validation => {}
            Split::Test => {
                queries.count(query.map(|key| seen_queries.contains(&key)));
                users.count(row.user.map(|user| seen_users.contains(&user)));
                if !row.history.is_empty() {
                    histories.insert(request, row.history);
                }
            }
        }
    }
    for row in levelled(folder, levels)? {
        let row = row?;
        if u64::from(row.request) >= splits.train {
            break;
        }
        let level = row.impression.level;
        if let Some(place) = usize::from(level.0).checked_sub(1) {
            highest[place] += 1;
        }
        seen_items[row.impression.item as usize] |= level.is_chosen();
    }
    let mut judgements = SplitCounts::default();
    // `[requests with a repeat]`: judged items in all, and those in the history.
    let mut repeats = Repeats::default();
    for row in TableReader::<JudgementRow>::open(folder)? {
        let row = row?;
        let request = u64::from(row.request);
        if request < splits.train {
            judgements.train += 1;
        } else if request < splits.train + splits.validation {
            judgements.validation += 1;
        } else {
            judgements.test += 1;
            items.count(Some(seen_items[row.item as usize]));
            let of = histories.get(&row.request);
            let is_repeat = of.is_some_and(|history| history.contains(&row.item));
            history.count(Some(is_repeat));
            repeats.count(row.request, is_repeat);
        }
    }
    let overlap = Overlap {
        queries: queries.value(),
        users: users.value(),
        items: items.value(),
        history: history.value().filter(|_| !histories.is_empty()),
    };
    Ok(Looked { overlap, judgements, highest, repeats: repeats.finish() })
}

/// Sixteen bytes of the hash of a query in lower case with single spaces.
fn query_key(query: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for word in query.split_whitespace() {
        hasher.update(word.to_lowercase().as_bytes());
        hasher.update(b" ");
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    key
}

#[derive(Clone, Copy, Default)]
struct Share {
    hits: u64,
    of: u64,
}

impl Share {
    fn count(&mut self, hit: Option<bool>) {
        if let Some(hit) = hit {
            self.hits += u64::from(hit);
            self.of += 1;
        }
    }

    fn value(self) -> Option<f64> {
        (self.of > 0).then(|| self.hits as f64 / self.of as f64)
    }
}
