//! Judged pairs: a CSV file of items and one of (query, item, grade) become a corpus.
//!
//! Items are streamed; queries and their judgements are held in memory until all pairs are read,
//! since a query's rows may stand anywhere.

mod kind;

pub(super) use kind::no_truth;

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::progress::Context;
use crate::seed::Seed;

use super::clicks::draw_page;
use super::columns::open_columns;
use super::faults::Faults;
use super::items::{ItemFields, ItemIds, read_csv};
use super::records::open_csv;
use super::split_by_hash;
use super::text::{CsvFile, CsvRow, check_id, count_lines};
use crate::corpus::build::{CorpusWriter, Facts};
use crate::corpus::levels::default_levels;
use crate::corpus::rows::{ImpressionRow, JudgementRow, RequestRow};
use crate::corpus::settings::{JudgedPairsSettings, PairSplit};
use crate::corpus::summary::{CorpusSummary, SizeEstimate};
use crate::corpus::types::Split;

/// Builds the corpus folder.
///
/// # Errors
/// [`Error::Data`] with file and line for what cannot be used, [`Error::Environment`] when the
/// disk refuses.
fn import(
    settings: &JudgedPairsSettings,
    seed: Seed,
    out: &Path,
    ctx: &Context,
) -> Result<CorpusSummary> {
    if let PairSplit::QueryHash { validation, test } = settings.split
        && validation + test >= 1.0
    {
        return Err(Error::Usage(format!(
            "corpus.split gives {validation} to validation and {test} to test; leave some for training"
        )));
    }
    let folder = settings.path.path()?;
    let items_path = folder.join(&settings.items_file);
    let pairs_path = folder.join(&settings.pairs_file);
    let mut faults = Faults::default();
    let mut writer = CorpusWriter::create(out, &open_columns(&settings.item_columns))?;
    let fields = item_fields(settings);
    let share = settings.malformed_share;
    let items = read_csv(&items_path, &fields, share, &mut faults, &mut writer)?;
    ctx.check_interrupt()?;
    let queries = read_pairs(settings, &pairs_path, &items, &mut faults)?;
    ctx.check_interrupt()?;
    let dropped = write_queries(settings, &queries, &items, seed, &mut writer)?;
    let mut warnings = Vec::new();
    let malformed = faults.finish(&mut warnings);
    items.remark(&mut warnings);
    if dropped > 0 {
        warnings.push(format!(
            "{dropped} queries were left out because none of their items is in the items file"
        ));
    }
    if settings.clicks.is_some() {
        warnings.push(
            "impressions and clicks are simulated from grades; they are not those of real users"
                .into(),
        );
    }
    let facts = Facts {
        kind: "judged-pairs",
        sequences: false,
        remove_history: false,
        levels: default_levels(),
        malformed,
        truncated_texts: items.truncated,
        dropped_requests: dropped,
        warnings,
        sources: vec![items_path, pairs_path],
        start: None,
    };
    writer.finish(facts, ctx)
}

/// The columns of the items file that are read by name.
fn item_fields(settings: &JudgedPairsSettings) -> ItemFields<'_> {
    let columns = &settings.columns;
    ItemFields {
        id: (&columns.item_id, "corpus.columns.item_id"),
        text: std::iter::once((columns.title.as_str(), "corpus.columns.title"))
            .chain(columns.text.iter().map(|name| (name.as_str(), "corpus.columns.text")))
            .collect(),
    }
}

/// Whether both files have the columns that are read by name; no row is looked at.
fn check_headers(settings: &JudgedPairsSettings) -> Result<()> {
    let folder = settings.path.path()?;
    item_fields(settings).check_header(&folder.join(&settings.items_file))?;
    let pairs = open_csv(&folder.join(&settings.pairs_file))?;
    PairColumns::of(&pairs, settings).map(drop)
}

/// Row counts of the files, where they exist and are small enough to count; splits are unknown.
fn estimate(settings: &JudgedPairsSettings) -> SizeEstimate {
    let items = settings.path.path().ok();
    let items = items.and_then(|folder| count_lines(&folder.join(&settings.items_file), 1));
    SizeEstimate { items, ..SizeEstimate::default() }
}

/// A query with the items it was judged with.
struct Query {
    id: String,
    text: String,
    split: Split,
    /// Line at which it was first seen.
    line: u64,
    judged: Vec<(u32, f32)>,
}

/// Places of the columns of the pairs file.
struct PairColumns {
    item: usize,
    query: usize,
    query_id: Option<usize>,
    grade: usize,
    split: Option<usize>,
}

impl PairColumns {
    fn of(file: &CsvFile, settings: &JudgedPairsSettings) -> Result<Self> {
        let names = &settings.columns;
        Ok(Self {
            item: file.column(&names.item_id, "corpus.columns.item_id")?,
            query: file.column(&names.query, "corpus.columns.query")?,
            query_id: match &names.query_id {
                Some(name) => Some(file.column(name, "corpus.columns.query_id")?),
                None => None,
            },
            grade: file.column(&names.grade, "corpus.columns.grade")?,
            split: match &settings.split {
                PairSplit::Column { column, .. } => {
                    Some(file.column(column, "corpus.split.column")?)
                }
                PairSplit::QueryHash { .. } => None,
            },
        })
    }
}

/// One usable row of the pairs file.
struct Pair<'a> {
    key: &'a str,
    text: &'a str,
    split: Split,
    item: Option<u32>,
    item_id: &'a str,
    grade: f32,
}

fn read_pairs(
    settings: &JudgedPairsSettings,
    path: &Path,
    items: &ItemIds,
    faults: &mut Faults,
) -> Result<Vec<Query>> {
    let mut file = open_csv(path)?;
    let names = &settings.columns;
    let columns = PairColumns::of(&file, settings)?;
    let mut queries: Vec<Query> = Vec::new();
    let mut by_key: HashMap<String, usize> = HashMap::new();
    let mut seen: HashMap<(usize, u32), u64> = HashMap::new();
    while let Some(row) = file.next(faults)? {
        let pair = match parse_pair(settings, &columns, &row, items) {
            Ok(pair) => pair,
            Err(message) => {
                faults.fault(row.line, message);
                continue;
            }
        };
        let place = match by_key.get(pair.key) {
            Some(&place) => place,
            None => {
                let n_queries = queries.len();
                queries.push(Query {
                    id: names
                        .query_id
                        .as_ref()
                        .map_or_else(|| format!("q{n_queries}"), |_| pair.key.to_owned()),
                    text: pair.text.to_owned(),
                    split: pair.split,
                    line: row.line,
                    judged: Vec::new(),
                });
                by_key.insert(pair.key.to_owned(), n_queries);
                n_queries
            }
        };
        let query = &mut queries[place];
        if query.text != pair.text {
            let (key, before, now) = (pair.key, &query.text, pair.text);
            let line = query.line;
            let message = format!("query id `{key}` is `{now}` here and `{before}` in line {line}");
            faults.fault(row.line, message);
            continue;
        }
        let Some(item) = pair.item else {
            let id = pair.item_id;
            faults.fault(row.line, format!("item id `{id}` is not in the items file"));
            continue;
        };
        if query.split != pair.split {
            faults.fault(
                row.line,
                format!(
                    "query `{}` is {} here and {} in line {}",
                    query.text,
                    pair.split.name(),
                    query.split.name(),
                    query.line
                ),
            );
            continue;
        }
        if let Some(line) = seen.insert((place, item), row.line) {
            let (text, id) = (&query.text, pair.item_id);
            let message =
                format!("query `{text}` and item `{id}` were judged before, in line {line}");
            faults.fault(row.line, message);
            continue;
        }
        query.judged.push((item, pair.grade));
    }
    faults.end_file(path, settings.malformed_share)?;
    if queries.is_empty() {
        return Err(Error::data(path, "holds no judged pairs"));
    }
    Ok(queries)
}

fn parse_pair<'a>(
    settings: &JudgedPairsSettings,
    columns: &PairColumns,
    row: &'a CsvRow,
    items: &ItemIds,
) -> std::result::Result<Pair<'a>, String> {
    let text = row.field(columns.query)?;
    if text.is_empty() {
        return Err("the query is empty".into());
    }
    let key = match columns.query_id {
        Some(column) => {
            let id = row.field(column)?;
            check_id(id).map_err(|message| format!("the query id is {message}"))?;
            id
        }
        None => text,
    };
    let grade_text = row.field(columns.grade)?;
    let grade: f32 = grade_text
        .parse()
        .ok()
        .filter(|grade: &f32| grade.is_finite())
        .ok_or_else(|| format!("grade `{grade_text}` is not a number"))?;
    let split = match (&settings.split, columns.split) {
        (PairSplit::Column { train, validation, test, .. }, Some(column)) => {
            let found = row.field(column)?;
            if found == train {
                Split::Train
            } else if found == validation {
                Split::Validation
            } else if found == test {
                Split::Test
            } else {
                return Err(format!(
                    "split `{found}`; expected `{train}`, `{validation}` or `{test}`"
                ));
            }
        }
        (PairSplit::QueryHash { validation, test }, _) => split_by_hash(text, *validation, *test),
        (PairSplit::Column { .. }, None) => return Err("the split column is missing".into()),
    };
    let item_id = row.field(columns.item)?;
    Ok(Pair { key, text, split, item: items.get(item_id), item_id, grade })
}

/// Writes requests split by split; returns how many queries had no known item.
fn write_queries(
    settings: &JudgedPairsSettings,
    queries: &[Query],
    items: &ItemIds,
    seed: Seed,
    writer: &mut CorpusWriter,
) -> Result<u64> {
    let lowest = queries
        .iter()
        .flat_map(|query| query.judged.iter().map(|&(_, grade)| grade))
        .fold(f32::INFINITY, f32::min);
    let dropped = queries.iter().filter(|query| query.judged.is_empty()).count();
    let page_seed = seed.purpose("clicks");
    let n_items = items.len() as u32; // the writer refuses more
    for split in Split::ALL {
        for (number, query) in queries.iter().enumerate() {
            if query.split != split || query.judged.is_empty() {
                continue;
            }
            let clicks = settings.clicks.as_ref().filter(|_| split == Split::Train);
            for session in 0..clicks.map_or(1, |clicks| clicks.sessions_per_query.max(1)) {
                let id = match clicks {
                    Some(_) => format!("{}-{session}", query.id),
                    None => query.id.clone(),
                };
                let row = RequestRow {
                    id,
                    user: None,
                    session: None,
                    time: None,
                    day: 0,
                    query: Some(query.text.clone()),
                    history: Vec::new(),
                    split,
                };
                let request = writer.request(row, Vec::new())?;
                if let Some(clicks) = clicks {
                    let seed = page_seed.index(number as u64).index(u64::from(session));
                    for impression in draw_page(clicks, &query.judged, lowest, n_items, seed) {
                        writer.impression(ImpressionRow { request, impression }, Vec::new())?;
                    }
                }
                for &(item, grade) in &query.judged {
                    writer.judgement(JudgementRow { request, item, grade })?;
                }
            }
        }
    }
    Ok(dropped as u64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::Corpus;
    use crate::corpus::settings::SimulatedClicks;

    const ITEMS: &str = "item_id,title,brand\na,red sofa,oak\nb,\"blue\nlamp, tall\",\nc,desk,\n";
    const PAIRS: &str = "query,item_id,grade,split\nsofa,a,3,train\nlamp,b,2.5,test\n\
                         desk,c,3,valid\nsofa,c,1,train\n";

    struct Source(tempfile::TempDir, JudgedPairsSettings);

    impl Source {
        fn new(items: &[u8], pairs: &[u8]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("items.csv"), items).unwrap();
            std::fs::write(folder.path().join("pairs.csv"), pairs).unwrap();
            let settings = JudgedPairsSettings {
                path: folder.path().into(),
                items_file: "items.csv".into(),
                pairs_file: "pairs.csv".into(),
                columns: Default::default(),
                split: PairSplit::Column {
                    column: "split".into(),
                    train: "train".into(),
                    validation: "valid".into(),
                    test: "test".into(),
                },
                clicks: None,
                item_columns: Vec::new(),
                malformed_share: 0.0,
            };
            Self(folder, settings)
        }

        fn import(&self) -> Result<(Corpus, CorpusSummary)> {
            let out = self.0.path().join("out");
            let summary = import(&self.1, Seed::new(1), &out, &Context::silent())?;
            Ok((Corpus::open(&out)?, summary))
        }

        fn error(&self) -> String {
            self.import().unwrap_err().to_string()
        }
    }

    #[track_caller]
    fn assert_says(text: &str, parts: &[&str]) {
        for part in parts {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
    }

    #[test]
    fn a_good_source_comes_out_as_it_went_in() {
        let source = Source::new(ITEMS.as_bytes(), PAIRS.as_bytes());
        let (corpus, summary) = source.import().unwrap();
        let catalogue = corpus.catalogue().unwrap();
        assert_eq!(catalogue.ids, ["a", "b", "c"]);
        assert_eq!(catalogue.title(1), "blue\nlamp, tall");
        let items: Vec<_> = corpus.items().unwrap().map(|row| row.unwrap()).collect();
        assert_eq!(items[0].attributes, [("brand".to_owned(), "oak".to_owned())]);
        let query = |split| {
            let requests = corpus.requests(split).unwrap();
            (requests[0].idx, requests[0].ask.query.clone().unwrap(), requests.len())
        };
        assert_eq!(query(Split::Train), (0, "sofa".into(), 1));
        assert_eq!(query(Split::Validation), (1, "desk".into(), 1));
        assert_eq!(query(Split::Test), (2, "lamp".into(), 1));
        assert_eq!(corpus.judgements(Split::Train).unwrap(), [(0, 0, 3.0), (0, 2, 1.0)]);
        assert_eq!(corpus.judgements(Split::Test).unwrap(), [(2, 1, 2.5)]);
        assert_eq!(summary.overlap.queries, Some(0.0));
        assert!(!corpus.has_sequences());
    }

    #[test]
    fn clicks_come_with_pages_of_their_own() {
        let mut source = Source::new(ITEMS.as_bytes(), PAIRS.as_bytes());
        source.1.clicks = Some(SimulatedClicks { sessions_per_query: 5, ..Default::default() });
        let (corpus, summary) = source.import().unwrap();
        assert_eq!(summary.requests.train, 5);
        let pages: Vec<_> = corpus.impressions().unwrap().map(|page| page.unwrap()).collect();
        assert_eq!(pages.iter().map(|page| page.0).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert!(pages.iter().all(|page| page.1.len() == 3));
        assert_eq!(source.import().unwrap().1, summary, "the same seed gives the same folder");
    }

    #[test]
    fn missing_and_empty_files_are_named() {
        let source = Source::new(ITEMS.as_bytes(), b"");
        assert_says(&source.error(), &["pairs.csv: the file is empty"]);
        assert_says(&Source::new(b"", b"").error(), &["items.csv: the file is empty"]);
        let header = Source::new(b"item_id,title\n", PAIRS.as_bytes());
        assert_says(&header.error(), &["items.csv: holds no items"]);
        std::fs::remove_file(source.0.path().join("items.csv")).unwrap();
        assert_says(&source.error(), &["items.csv: cannot be read", "corpus.path"]);
    }

    #[test]
    fn a_wrong_column_offers_the_nearest() {
        let source = Source::new(b"item_id,titel\na,x\n", PAIRS.as_bytes());
        assert_says(
            &source.error(),
            &["no column `title`", "did you mean `titel`", "corpus.columns.title = \"titel\""],
        );
    }

    #[test]
    fn broken_utf8_is_reported_with_its_line() {
        let source = Source::new(b"item_id,title\na,x\nb,\xff\xfe\nc,y\n", PAIRS.as_bytes());
        assert_says(&source.error(), &["items.csv:3:", "not UTF-8", "1 of 3 rows"]);
    }

    #[test]
    fn a_file_may_be_longer_than_a_row_may() {
        let text = "x".repeat(1 << 20);
        let mut items = "item_id,title\na,x\nb,y\nc,z\n".to_owned();
        (0..20).for_each(|row| items += &format!("i{row},{text}\n"));
        let source = Source::new(items.as_bytes(), PAIRS.as_bytes());
        assert_eq!(source.import().unwrap().0.catalogue().unwrap().ids.len(), 23);
        let endless = format!("item_id,title\na,\"{}", "x\n".repeat(9 << 20));
        let source = Source::new(endless.as_bytes(), PAIRS.as_bytes());
        assert_says(&source.error(), &["items.csv", "a row of more than 16 MiB"]);
    }

    #[test]
    fn duplicate_item_ids_name_both_lines() {
        let source = Source::new(b"item_id,title\na,x\nb,y\na,z\n", PAIRS.as_bytes());
        assert_says(&source.error(), &["items.csv:4:", "`a` again", "line 2"]);
    }

    #[test]
    fn unknown_items_are_counted_and_refused_above_the_share() {
        let pairs = format!("{PAIRS}chair,zz,3,test\n");
        let mut source = Source::new(ITEMS.as_bytes(), pairs.as_bytes());
        assert_says(&source.error(), &["pairs.csv:6:", "`zz` is not in the items file", "1 of 5"]);
        source.1.malformed_share = 0.2;
        let (_, summary) = source.import().unwrap();
        assert_eq!((summary.malformed.rows, summary.malformed.of), (1, 8));
        assert_eq!(summary.dropped_requests, 1);
        assert_eq!(summary.requests.test, 1);
        assert_says(&summary.warnings.join("\n"), &["1 queries were left out", "pairs.csv:6"]);
    }

    #[test]
    fn faulty_rows_say_what_was_expected() {
        let cases = [
            ("sofa,a,x,train\n", "grade `x` is not a number"),
            ("sofa,a,NaN,train\n", "grade `NaN` is not a number"),
            ("sofa,a,3\n", "3 fields; the header has 4"),
            ("sofa,a,3,dev\n", "split `dev`; expected `train`, `valid` or `test`"),
            (" ,a,3,train\n", "the query is empty"),
            ("sofa,a,3,train\nsofa,b,3,test\n", "`sofa` is test here and train in line 2"),
            ("sofa,a,3,train\nsofa,a,1,train\n", "were judged before, in line 2"),
            (
                "\"best\" sofa,a,3,train\nsofa,b,3,test\n",
                "pairs.csv:2: a quotation mark is followed",
            ),
            (
                "\"best sofa,a,3,train\nsofa,b,3,test\n",
                "pairs.csv:2: a quotation mark is never closed",
            ),
        ];
        for (rows, fault) in cases {
            let pairs = format!("query,item_id,grade,split\n{rows}");
            assert_says(&Source::new(ITEMS.as_bytes(), pairs.as_bytes()).error(), &[fault]);
        }
    }

    #[test]
    fn one_query_id_has_one_text_and_ids_have_no_blanks() {
        let of = |pairs: &str, items: &str| {
            let mut source = Source::new(items.as_bytes(), pairs.as_bytes());
            source.1.columns.query_id = Some("qid".into());
            source.error()
        };
        let header = "qid,query,item_id,grade,split\n";
        let two = format!("{header}1,sofa,a,3,train\n1,couch,b,3,train\n");
        assert_says(
            &of(&two, ITEMS),
            &["pairs.csv:3:", "query id `1` is `couch` here and `sofa` in line 2"],
        );
        let blank = format!("{header}1 a,sofa,a,3,train\n");
        assert_says(
            &of(&blank, ITEMS),
            &["pairs.csv:2:", "the query id is `1 a`; an id holds no blanks"],
        );
        let items = ITEMS.replace("a,red", "set 1,red");
        assert_says(&of(&two, &items), &["items.csv:2:", "the item id is `set 1`"]);
        let twice = "qid,query,item_id,grade,query\n1,sofa,a,3,train\n";
        assert_says(
            &of(twice, ITEMS),
            &["pairs.csv:1:", "the header names the column `query` twice"],
        );
    }

    #[test]
    fn a_huge_title_is_cut_at_a_character_and_counted() {
        let items = format!("item_id,title\na,x{}\nb,y\nc,z\n", "é".repeat(1_000_000));
        let source = Source::new(items.as_bytes(), PAIRS.as_bytes());
        let (corpus, summary) = source.import().unwrap();
        assert_eq!(summary.truncated_texts, 1);
        assert_eq!(corpus.catalogue().unwrap().title(0).len(), super::super::text::MAX_TEXT - 1);
        assert_says(&summary.warnings.join("\n"), &["more than 32768 bytes"]);
    }

    #[test]
    fn hashed_splits_take_their_shares_and_stay() {
        let split = |query: usize| split_by_hash(&format!("query {query}"), 0.1, 0.2);
        let count = |wanted| (0..10_000).filter(|&query| split(query) == wanted).count();
        assert!(count(Split::Validation).abs_diff(1_000) < 150);
        assert!(count(Split::Test).abs_diff(2_000) < 200);
        assert_eq!(split_by_hash("Sofa", 0.1, 0.2), split_by_hash("sofa", 0.1, 0.2));
    }
}
