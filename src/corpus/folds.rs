//! Training requests held out of a corpus, so that what is trained on the rest can be asked them.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::build::{CorpusWriter, Facts, HELD_OUT};
use super::cell::{Cell, Entity};
use super::folder::Corpus;
use super::rows::{ImpressionRow, ItemRow, JudgementRow, RequestRow, SessionRow, UserRow};
use super::summary::{CorpusSummary, Malformed};
use super::table::TableReader;
use super::types::Split;
use crate::error::{Error, Result};
use crate::progress::Context;

/// A request that a fold's corpus does not have.
const LEFT_OUT: u32 = u32::MAX;
/// Kept, validation and held-out requests, each written by a pass of its own.
const PASSES: u8 = 3;

/// One of so many parts of the training requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fold {
    /// Which, from 0.
    pub place: u32,
    /// Of how many; of one, all are held out.
    pub of: u32,
}

/// Which requests are held out together: those of a user, for what one of them chose may stand in the history of the
/// next; of a session where no user is known; and of a query text where neither is, for its clicks say what it asks.
fn group(row: &RequestRow) -> [u8; 16] {
    let key = match (row.user, row.session, &row.query) {
        (Some(user), _, _) => format!("user {user}"),
        (None, Some(session), _) => format!("session {session}"),
        (None, None, Some(query)) => {
            let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
            format!("query {}", words.join(" "))
        }
        (None, None, None) => format!("request {}", row.id),
    };
    let mut hash = [0; 16];
    hash.copy_from_slice(&blake3::hash(key.as_bytes()).as_bytes()[..16]);
    hash
}

impl Fold {
    /// The groups that are in the fold. The largest are dealt first, each to the fold that has the fewest requests, so that
    /// folds are alike in size whatever corpus is divided.
    ///
    /// # Errors
    /// [`Error::Data`] where there are fewer groups than folds.
    fn groups(self, corpus: &Corpus) -> Result<HashSet<[u8; 16]>> {
        let mut sizes: HashMap<[u8; 16], u64> = HashMap::new();
        for row in TableReader::<RequestRow>::open(corpus.folder())? {
            let row = row?;
            if row.split == Split::Train {
                *sizes.entry(group(&row)).or_default() += 1;
            }
        }
        if sizes.len() < self.of as usize {
            let message = format!(
                "the training requests are of {} users (or sessions, or query texts, where no user is known), and a teacher \
                 that learns from them needs {} parts of such",
                sizes.len(),
                self.of
            );
            return Err(Error::data(corpus.folder(), message).with_help(
                "lower `folds` of the teacher, or name one that learns nothing, such as bm25",
            ));
        }
        let mut groups: Vec<([u8; 16], u64)> = sizes.into_iter().collect();
        groups.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut loads = vec![0; self.of as usize];
        let mut own = HashSet::new();
        for (group, size) in groups {
            let least = (0..loads.len()).min_by_key(|&place| loads[place]).unwrap_or_default();
            loads[least] += size;
            if least == self.place as usize {
                own.insert(group);
            }
        }
        Ok(own)
    }
}

impl Corpus {
    /// Writes a corpus of the same items whose test requests are the training requests of a fold, and
    /// whose training requests are the others. The test requests are left out, the validation requests
    /// stay.
    ///
    /// # Errors
    /// [`Error::Data`] when a table cannot be read or the requests cannot be divided so,
    /// [`Error::Environment`] when the disk refuses.
    pub fn hold_out(&self, fold: Fold, out: &Path, ctx: &Context) -> Result<CorpusSummary> {
        let summary = self.summary();
        let held_out = fold.groups(self)?;
        let mut writer = CorpusWriter::create(out, &summary.columns)?;
        for (row, cells) in
            self.rows_of(Entity::Item, TableReader::<ItemRow>::open(self.folder())?)?
        {
            writer.item(row?, cells?)?;
        }
        for (row, cells) in
            self.rows_of(Entity::User, TableReader::<UserRow>::open(self.folder())?)?
        {
            writer.user(row?.id, cells?)?;
        }
        let sessions = TableReader::<SessionRow>::open(self.folder())?;
        for (row, cells) in self.rows_of(Entity::Session, sessions)? {
            writer.session(row?, cells?)?;
        }

        // Requests stand by split: kept, validation, held out.
        let mut numbers = vec![LEFT_OUT; summary.requests.total() as usize];
        let mut passes = vec![0; numbers.len()];
        for pass in 0..PASSES {
            ctx.check_interrupt()?;
            let requests = TableReader::<RequestRow>::open(self.folder())?;
            for (at, (row, cells)) in self.rows_of(Entity::Request, requests)?.enumerate() {
                let row = row?;
                let (its, split) = match row.split {
                    Split::Train if held_out.contains(&group(&row)) => (2, Split::Test),
                    Split::Train => (0, Split::Train),
                    Split::Validation => (1, Split::Validation),
                    Split::Test => continue,
                };
                if its == pass {
                    numbers[at] = writer.request(RequestRow { split, ..row }, cells?)?;
                    passes[at] = pass;
                }
            }
        }
        // The number that a request of a pass has now.
        let number = |request: u32, pass: u8| {
            let (number, its) = (numbers.get(request as usize)?, passes.get(request as usize)?);
            (*number != LEFT_OUT && *its == pass).then_some(*number)
        };
        for pass in 0..PASSES {
            ctx.check_interrupt()?;
            let shown = TableReader::<ImpressionRow>::open(self.folder())?;
            for (row, cells) in self.rows_of(Entity::Impression, shown)? {
                let row = row?;
                if let Some(request) = number(row.request, pass) {
                    writer.impression(ImpressionRow { request, ..row }, cells?)?;
                }
            }
            for row in TableReader::<JudgementRow>::open(self.folder())? {
                let row = row?;
                if let Some(request) = number(row.request, pass) {
                    writer.judgement(JudgementRow { request, ..row })?;
                }
            }
        }
        let facts = Facts {
            kind: HELD_OUT,
            sequences: summary.sequences,
            remove_history: summary.remove_history,
            levels: summary.levels.clone(),
            malformed: Malformed::default(),
            truncated_texts: 0,
            dropped_requests: 0,
            warnings: Vec::new(),
            sources: Vec::new(),
            start: None,
        };
        writer.finish(facts, ctx)
    }

    /// Rows of a table with their open cells.
    fn rows_of<R>(
        &self,
        of: Entity,
        rows: impl Iterator<Item = Result<R>>,
    ) -> Result<impl Iterator<Item = (Result<R>, Result<Vec<Cell>>)>> {
        let columns = &self.summary().columns;
        let columns = columns.iter().filter(|one| one.column.of == of);
        let names: Vec<&str> = columns.map(|one| one.column.name.as_str()).collect();
        let mut cells = match names.is_empty() {
            true => None,
            false => Some(self.cells(of, &names)?),
        };
        Ok(rows.map(move |row| {
            let cells = match &mut cells {
                Some(cells) => cells.next().unwrap_or_else(|| Ok(Vec::new())),
                None => Ok(Vec::new()),
            };
            (row, cells)
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::corpus::build;
    use crate::corpus::kinds::CorpusSettings;
    use crate::corpus::settings::SimulatorSettings;
    use crate::corpus::testing::Shop;
    use crate::seed::Seed;

    /// What is known of the requests of a split: id, shown items with clicks, judged items.
    fn known(corpus: &Corpus, split: Split) -> BTreeSet<String> {
        let requests = corpus.requests(split).unwrap();
        let first = corpus.request_range(split).start;
        let mut texts: Vec<String> = requests
            .iter()
            .map(|one| {
                format!("{} {:?} {:?} {:?}", one.id, one.day, one.ask.query, one.ask.features)
            })
            .collect();
        for page in corpus.impressions_of(split).unwrap() {
            let (request, shown) = page.unwrap();
            texts[(request - first) as usize] += &format!(" {shown:?}");
        }
        for (request, item, grade) in corpus.judgements(split).unwrap() {
            texts[(request - first) as usize] += &format!(" {item} {grade}");
        }
        texts.into_iter().collect()
    }

    #[test]
    fn folds_hold_every_training_request_out_once_and_show_it_nowhere_else() {
        let place = tempfile::tempdir().unwrap();
        let settings = CorpusSettings::Simulator(SimulatorSettings {
            items: 40,
            users: 120,
            requests: 400,
            days: 8,
            ..SimulatorSettings::default()
        });
        build(&settings, Seed::new(3), place.path(), &Context::silent()).unwrap();
        let corpus = Corpus::open(place.path()).unwrap();
        let all = known(&corpus, Split::Train);
        let users = |corpus: &Corpus, split| -> BTreeSet<Option<String>> {
            corpus.requests(split).unwrap().into_iter().map(|one| one.ask.user).collect()
        };
        let mut held_out = BTreeSet::new();
        for place in 0..3 {
            let folder = tempfile::tempdir().unwrap();
            let fold = Fold { place, of: 3 };
            corpus.hold_out(fold, folder.path(), &Context::silent()).unwrap();
            let own = Corpus::open(folder.path()).unwrap();
            let (kept, held) = (known(&own, Split::Train), known(&own, Split::Test));
            // Parts are alike in size.
            assert!(
                (held.len() as f64 / all.len() as f64 - 1.0 / 3.0).abs() < 0.05,
                "{}",
                held.len()
            );
            assert!(kept.is_disjoint(&held) && kept.union(&held).eq(&all));
            assert!(users(&own, Split::Train).is_disjoint(&users(&own, Split::Test)));
            assert_eq!(known(&own, Split::Validation), known(&corpus, Split::Validation));
            assert_eq!(own.catalogue().unwrap().hash, corpus.catalogue().unwrap().hash);
            assert!(held.is_disjoint(&held_out));
            held_out.extend(held);
        }
        assert_eq!(held_out, all);
        // What is left of one fold can be divided again, and again.
        let [outer, inner] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let half = Fold { place: 0, of: 2 };
        corpus.hold_out(half, outer.path(), &Context::silent()).unwrap();
        let kept = Corpus::open(outer.path()).unwrap();
        let summary = kept.hold_out(half, inner.path(), &Context::silent()).unwrap();
        let (a, b) = (summary.requests.train as f64, summary.requests.test as f64);
        assert!((a / b - 1.0).abs() < 0.2, "{a} and {b}");
        // One user cannot be divided.
        let many = Fold { place: 0, of: 4_000 };
        let text = corpus.hold_out(many, inner.path(), &Context::silent()).unwrap_err().to_string();
        assert!(text.contains("needs 4000 parts"), "{text}");
    }

    #[test]
    fn repeats_of_a_query_are_held_out_together_where_no_user_is_known() {
        let row = |id: &str, user, session, query: Option<&str>| RequestRow {
            id: id.into(),
            user,
            session,
            time: None,
            day: 0,
            query: query.map(str::to_owned),
            history: Vec::new(),
            split: Split::Train,
        };
        let same = |a: RequestRow, b: RequestRow| group(&a) == group(&b);
        assert!(same(
            row("a", None, None, Some("Red  sofa")),
            row("b", None, None, Some("red sofa"))
        ));
        assert!(!same(row("a", None, None, Some("red")), row("b", None, None, Some("sofa"))));
        assert!(!same(row("a", None, None, None), row("b", None, None, None)));
        assert!(same(row("a", Some(1), Some(2), Some("x")), row("b", Some(1), Some(3), Some("y"))));
        assert!(!same(row("a", Some(1), None, Some("x")), row("b", Some(2), None, Some("x"))));
        assert!(same(row("a", None, Some(2), Some("x")), row("b", None, Some(2), Some("y"))));
    }

    #[test]
    fn one_fold_holds_all_and_open_columns_come_along() {
        let shop = Shop::written();
        let folder = tempfile::tempdir().unwrap();
        shop.corpus.hold_out(Fold { place: 0, of: 1 }, folder.path(), &Context::silent()).unwrap();
        let own = Corpus::open(folder.path()).unwrap();
        assert!(known(&own, Split::Train).is_empty());
        assert_eq!(known(&own, Split::Test), known(&shop.corpus, Split::Train));
        let cells = |corpus: &Corpus, of, name| -> Vec<Cell> {
            let rows = corpus.cells(of, &[name]).unwrap();
            rows.map(|row| row.unwrap().remove(0)).collect()
        };
        for (of, name) in [
            (Entity::Item, "stock"),
            (Entity::User, "segment"),
            (Entity::Session, "device"),
            (Entity::Session, "bought"),
        ] {
            assert_eq!(cells(&own, of, name), cells(&shop.corpus, of, name));
        }
        let all = cells(&shop.corpus, Entity::Impression, "saves");
        // The page of the validation request comes first, that of the test request is left out.
        let expected = [&all[5..6], &all[..5]].concat();
        assert_eq!(cells(&own, Entity::Impression, "saves"), expected);
    }
}
