//! Sequences: users' items in time order become a corpus with leave-one-out.
//!
//! One training request per user holds all but the last two items as its history; validation asks
//! for the item before the last given those, test for the last given all before it.

mod interactions;
mod kind;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::error::{Error, Result};
use crate::progress::Context;

use super::columns::open_columns;
use super::faults::Faults;
use super::items::{ItemFields, ItemIds, for_each_entry, read_csv, read_json, read_lines};
use super::records::{Reading, Value, check_header};
use super::text::{check_id, count_lines, next_line, open};
use crate::corpus::build::{CorpusWriter, Facts};
use crate::corpus::levels::default_levels;
use crate::corpus::rows::{JudgementRow, RequestRow};
use crate::corpus::settings::{Seen, SequencesSettings, default_text_fields};
use crate::corpus::summary::{CorpusSummary, SizeEstimate};
use crate::corpus::types::Split;

/// Fewest items of a user that leave one for training.
const FEWEST_ITEMS: usize = 3;
/// What of a file is looked at to know its format.
const HEAD_BYTES: u64 = 4_096;

/// Builds the corpus folder.
///
/// # Errors
/// [`Error::Data`] with file and line for what cannot be used, [`Error::Environment`] when the
/// disk refuses.
fn import(settings: &SequencesSettings, out: &Path, ctx: &Context) -> Result<CorpusSummary> {
    let folder = settings.path.path()?;
    let path = folder.join(&settings.sequences_file);
    let mut sources = Vec::new();
    let mut faults = Faults::default();
    let mut writer = CorpusWriter::create(out, &open_columns(&settings.item_columns))?;
    let mut items = match &settings.items_file {
        Some(file) => {
            let file = folder.join(file);
            let items = read_items(settings, &file, &mut faults, &mut writer)?;
            sources.push(file);
            items
        }
        None => ItemIds::of(&writer),
    };
    ctx.check_interrupt()?;
    let mut reader = SequenceReader {
        open_catalogue: settings.items_file.is_none(),
        min_items: (settings.min_items as usize).max(FEWEST_ITEMS),
        items: &mut items,
        faults: &mut faults,
        writer: &mut writer,
        sequences: Vec::new(),
        seen_users: std::collections::HashMap::new(),
        short: 0,
        unknown: 0,
    };
    if let Some(fields) = &settings.interactions {
        let share = (&mut *reader.faults, settings.malformed_share);
        let users = interactions::read_interactions(fields, &path, share, ctx)?;
        for (user, (line, items)) in &users {
            reader.faults.row();
            reader.sequence(user, items.iter().map(String::as_str), *line, "row")?;
        }
    } else if is_json(&path) {
        reader.read_json(&path)?;
    } else {
        reader.read_text(&path)?;
    }
    let SequenceReader { sequences, short, unknown, .. } = reader;
    sources.push(path.clone());
    faults.end_file(&path, settings.malformed_share)?;
    if sequences.is_empty() {
        let fewest = settings.min_items.max(FEWEST_ITEMS as u32);
        return Err(Error::data(&path, format!("no user has {fewest} known items or more")));
    }
    write_requests(&sequences, &mut writer)?;
    let mut warnings = vec![
        "leave-one-out splits by place in the sequence, not by time: training sees items that \
         other users chose after the test moment of some user"
            .to_owned(),
    ];
    let malformed = faults.finish(&mut warnings);
    items.remark(&mut warnings);
    if short > 0 {
        warnings.push(format!(
            "{short} users with fewer than {} items were left out",
            settings.min_items.max(FEWEST_ITEMS as u32)
        ));
    }
    let facts = Facts {
        kind: "sequences",
        sequences: true,
        remove_history: settings.seen == Seen::Remove,
        levels: default_levels(),
        malformed,
        truncated_texts: items.truncated,
        dropped_requests: unknown,
        warnings,
        sources,
        start: None,
    };
    writer.finish(facts, ctx)
}

/// Row counts of the files, where they are lines, exist and are small enough to count.
fn estimate(settings: &SequencesSettings) -> SizeEstimate {
    let lines = |file: &Path, header| {
        let path = settings.path.path().ok()?.join(file);
        if is_json(&path) { None } else { count_lines(&path, header) }
    };
    let users = lines(&settings.sequences_file, 0);
    SizeEstimate {
        items: settings
            .items_file
            .as_deref()
            .and_then(|file| lines(file, u64::from(!is_lines(file)))),
        train_requests: users,
        validation_requests: users,
        test_requests: users,
        impressions: Some(0),
        clicks: Some(0),
    }
}

/// Whether a file holds JSON, by its first character; an empty or missing one by its name.
fn is_json(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&head).trim_ascii_start();
    match (read, head.first()) {
        (Ok(_), Some(first)) => b"{[".contains(first),
        _ => path.extension().is_some_and(|extension| extension == "json"),
    }
}

/// Whether an items file holds lines `id text …` instead of columns.
fn is_lines(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "txt")
}

fn read_items(
    settings: &SequencesSettings,
    file: &Path,
    faults: &mut Faults,
    writer: &mut CorpusWriter,
) -> Result<ItemIds> {
    if settings.text_fields.is_empty() {
        return Err(Error::Usage("corpus.text_fields is empty; name at least the title".into()));
    }
    let share = settings.malformed_share;
    if is_json(file) {
        return read_json(file, &settings.text_fields, share, faults, writer);
    }
    if is_lines(file) {
        if settings.text_fields != default_text_fields() {
            let message =
                "corpus.text_fields names fields, but lines `id text …` have none; leave it out";
            return Err(Error::Usage(message.into()));
        }
        return read_lines(file, share, faults, writer);
    }
    read_csv(file, &item_fields(settings), share, faults, writer)
}

/// The columns of a CSV file of items that are read by name.
fn item_fields(settings: &SequencesSettings) -> ItemFields<'_> {
    ItemFields {
        id: (&settings.item_column, "corpus.item_column"),
        text: settings.text_fields.iter().map(|f| (f.as_str(), "corpus.text_fields")).collect(),
    }
}

/// Whether the files have the columns that are read by name; no row is looked at, and only CSV, interactions and Parquet
/// have a header.
fn check_headers(settings: &SequencesSettings) -> Result<()> {
    let folder = settings.path.path()?;
    let items = settings.items_file.as_ref().map(|file| folder.join(file));
    if let Some(items) = items.filter(|items| !is_json(items) && !is_lines(items)) {
        item_fields(settings).check_header(&items)?;
    }
    let Some(fields) = &settings.interactions else { return Ok(()) };
    let path = folder.join(&settings.sequences_file);
    check_header(&path, &Reading::default(), &interactions::wanted(fields))
}

/// Collects users' sequences and, without an items file, the items they name.
struct SequenceReader<'a> {
    /// Whether new ids become items.
    open_catalogue: bool,
    min_items: usize,
    items: &'a mut ItemIds,
    faults: &'a mut Faults,
    writer: &'a mut CorpusWriter,
    sequences: Vec<(String, Vec<u32>)>,
    /// Line (or entry) of each user.
    seen_users: std::collections::HashMap<String, u64>,
    short: u64,
    unknown: u64,
}

impl SequenceReader<'_> {
    fn read_text(&mut self, path: &Path) -> Result<()> {
        let mut reader = BufReader::with_capacity(1 << 18, open(path)?);
        let (mut bytes, mut line) = (Vec::new(), 0);
        while next_line(&mut reader, &mut bytes, path, &mut line)? {
            let text = match std::str::from_utf8(&bytes) {
                Ok(text) => text.trim_start_matches('\u{feff}'),
                Err(e) => {
                    self.faults.row();
                    self.faults.fault(line, format!("not UTF-8 from byte {}", e.valid_up_to()));
                    continue;
                }
            };
            let mut words = text.split_whitespace();
            if let Some(user) = words.next() {
                self.faults.row();
                self.sequence(user, words, line, "line")?;
            }
        }
        if line == 0 {
            return Err(Error::data(path, "the file is empty; expected lines `user item item …`"));
        }
        Ok(())
    }

    fn read_json(&mut self, path: &Path) -> Result<()> {
        let mut entry = 0;
        for_each_entry(path, &mut |user, value| {
            entry += 1;
            self.faults.row();
            let Value::List(values) = value else {
                let message = format!("user `{user}` has {}; expected a list", value.kind());
                self.faults.fault(entry, message);
                return Ok(());
            };
            if let Err(message) = check_id(&user) {
                self.faults.fault(entry, format!("the user id is {message}"));
                return Ok(());
            }
            let ids: std::result::Result<Vec<_>, String> = values
                .into_iter()
                .map(|value| {
                    let said = |message| format!("the list of user `{user}` holds {message}");
                    let id = value.into_id().map_err(said)?;
                    id.ok_or_else(|| said("nothing; expected item ids".into()))
                })
                .collect();
            match ids {
                Ok(ids) => self.sequence(&user, ids.iter().map(AsRef::as_ref), entry, "entry"),
                Err(message) => {
                    self.faults.fault(entry, message);
                    Ok(())
                }
            }
        })
    }

    /// Takes one user's items. Unknown items are a fault of the row; the known ones stay.
    fn sequence<'b>(
        &mut self,
        user: &str,
        ids: impl Iterator<Item = &'b str>,
        line: u64,
        unit: &str,
    ) -> Result<()> {
        if let Some(first) = self.seen_users.insert(user.to_owned(), line) {
            self.faults.fault(line, format!("user `{user}` again; first in {unit} {first}"));
            return Ok(());
        }
        let mut sequence = Vec::new();
        let mut unknown: Option<(String, u64)> = None;
        for id in ids {
            if self.open_catalogue {
                sequence.push(self.items.get_or_add(id, self.writer)?);
            } else if let Some(item) = self.items.get(id) {
                sequence.push(item);
            } else {
                let (_, count) = unknown.get_or_insert_with(|| (id.to_owned(), 0));
                *count += 1;
            }
        }
        if let Some((id, count)) = unknown {
            let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            let message = format!("item `{id}`{more} of user `{user}` not in the items file");
            self.faults.fault(line, message);
            self.unknown += u64::from(sequence.is_empty());
        }
        if sequence.len() < self.min_items {
            self.short += 1;
        } else {
            self.sequences.push((user.to_owned(), sequence));
        }
        Ok(())
    }
}

fn write_requests(sequences: &[(String, Vec<u32>)], writer: &mut CorpusWriter) -> Result<()> {
    for (user, _) in sequences {
        writer.user(user.clone(), Vec::new())?;
    }
    for split in Split::ALL {
        for (user, (id, sequence)) in (0_u32..).zip(sequences) {
            // Every sequence has at least FEWEST_ITEMS items.
            let (shown, target) = match split {
                Split::Train => (sequence.len() - 2, None),
                Split::Validation => (sequence.len() - 2, Some(sequence[sequence.len() - 2])),
                Split::Test => (sequence.len() - 1, Some(sequence[sequence.len() - 1])),
            };
            let row = RequestRow {
                id: format!("{id}-{}", split.name()),
                user: Some(user),
                session: None,
                time: None,
                day: 0,
                query: None,
                history: sequence[..shown].to_vec(),
                split,
            };
            let request = writer.request(row, Vec::new())?;
            if let Some(item) = target {
                writer.judgement(JudgementRow { request, item, grade: 1.0 })?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::Corpus;

    /// A file's name and content.
    type Named = (&'static str, &'static [u8]);

    struct Source(tempfile::TempDir, SequencesSettings);

    impl Source {
        fn new(sequences: (&str, &[u8]), items: Option<(&str, &[u8])>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for (name, content) in items.into_iter().chain([sequences]) {
                std::fs::write(folder.path().join(name), content).unwrap();
            }
            let settings = SequencesSettings {
                path: folder.path().into(),
                interactions: None,
                sequences_file: sequences.0.into(),
                items_file: items.map(|(name, _)| name.into()),
                text_fields: vec!["title".into(), "description".into()],
                item_column: "id".into(),
                seen: Seen::Remove,
                min_items: 3,
                item_columns: Vec::new(),
                malformed_share: 0.0,
            };
            Self(folder, settings)
        }

        fn import(&self) -> Result<(Corpus, CorpusSummary)> {
            let out = self.0.path().join("out");
            let summary = import(&self.1, &out, &Context::silent())?;
            Ok((Corpus::open(&out)?, summary))
        }

        fn error(&self) -> String {
            self.import().unwrap_err().to_string()
        }
    }

    const JSON: &[u8] = br#"{
        "7": {"title": "red", "description": "soft", "brand": "oak", "categories": "A, B > C"},
        "8": {"title": "blue"}, "9": {"title": "green", "description": null}
    }"#;

    #[test]
    fn leave_one_out_by_hand() {
        let source = Source::new(("s.txt", b"u1 a b c d\nu2 c a b\nu3 a b\n"), None);
        let (corpus, summary) = source.import().unwrap();
        assert_eq!(corpus.catalogue().unwrap().ids, ["a", "b", "c", "d"]);
        let histories = |split| -> Vec<Vec<u32>> {
            corpus.requests(split).unwrap().into_iter().map(|r| r.ask.history).collect()
        };
        assert_eq!(histories(Split::Train), [vec![0, 1], vec![2]]);
        assert_eq!(histories(Split::Validation), [vec![0, 1], vec![2]]);
        assert_eq!(histories(Split::Test), [vec![0, 1, 2], vec![2, 0]]);
        assert_eq!(corpus.judgements(Split::Validation).unwrap(), [(2, 2, 1.0), (3, 0, 1.0)]);
        assert_eq!(corpus.judgements(Split::Test).unwrap(), [(4, 3, 1.0), (5, 1, 1.0)]);
        assert!(corpus.has_sequences() && summary.remove_history);
        assert_eq!(corpus.requests(Split::Test).unwrap()[0].ask.user.as_deref(), Some("u1"));
        assert!(corpus.impressions().unwrap().next().is_none());
        let warnings = summary.warnings.join("\n");
        assert!(warnings.contains("leave-one-out") && warnings.contains("1 users with fewer"));
    }

    #[test]
    fn json_items_and_sequences_are_read() {
        let source = Source::new(
            ("s.json", br#"{"0": [7, 8, 9], "1": ["9", "8", "7"]}"#),
            Some(("items.json", JSON)),
        );
        let (corpus, summary) = source.import().unwrap();
        assert_eq!(summary.requests.test, 2);
        let catalogue = corpus.catalogue().unwrap();
        assert_eq!(catalogue.text(0), "red soft");
        assert_eq!(catalogue.text(2), "green");
        let item = corpus.items().unwrap().next().unwrap().unwrap();
        assert_eq!(item.category, ["A, B", "C"]);
        assert_eq!(item.attributes, [("brand".to_owned(), "oak".to_owned())]);
    }

    #[test]
    fn interactions_become_sequences_in_time_order() {
        let inter = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n\
            u\t7\t5\t30\nv\t9\t4\t1\nu\t8\t4\t10\nu\t9\t5\t20\nv\t8\t5\t2\nu\t8\t1\t40\nv\t7\t3\t3\n";
        let mut source = Source::new(("x.inter", inter), Some(("items.json", JSON)));
        source.1.interactions = Some(crate::corpus::settings::InteractionFields {
            user: "user_id".into(),
            item: "item_id".into(),
            time: Some("timestamp".into()),
            signal: Some("rating".into()),
            from: 3.0,
        });
        let (corpus, _) = source.import().unwrap();
        let test = corpus.requests(Split::Test).unwrap();
        let asked: Vec<_> =
            test.iter().map(|one| (one.id.as_str(), one.ask.history.clone())).collect();
        assert_eq!(asked, [("u-test", vec![1, 2]), ("v-test", vec![2, 1])]);
        source.1.interactions.as_mut().unwrap().item = "item".into();
        assert!(source.error().contains("did you mean `item_id`"));
    }

    #[test]
    fn the_content_decides_the_format_of_sequences() {
        let text = Source::new(("s.data", b"\n 1 7 8 9\n2 9 8 7\n"), Some(("i.data", JSON)));
        let json = Source::new(("s", b"\xef\xbb\xbf {\"1\": [7, 8, 9], \"2\": [9, 8, 7]}"), None);
        for source in [text, json] {
            let (corpus, _) = source.import().unwrap();
            let test = corpus.requests(Split::Test).unwrap();
            assert_eq!(test.len(), 2);
            assert_eq!((test[0].id.as_str(), &test[0].ask.history), ("1-test", &vec![0, 1]));
        }
    }

    #[test]
    fn items_as_lines_of_an_id_and_its_text() {
        let mut source = Source::new(
            ("s.txt", b"u 7 8 9\n"),
            Some(("items.txt", b"7 red oak  table\n\n8\r\n9 lamp\n")),
        );
        assert!(source.error().contains("corpus.text_fields"));
        source.1.text_fields = default_text_fields();
        let (corpus, _) = source.import().unwrap();
        let catalogue = corpus.catalogue().unwrap();
        assert_eq!(catalogue.ids, ["7", "8", "9"]);
        assert_eq!((catalogue.title(0), catalogue.title(1)), ("red oak table", ""));
        let cases: [(&[u8], &str); 3] = [
            (b"7 a\n8 b\n7 c\n", "items.txt:3: item id `7` again; it was first in line 1"),
            (b"7 a\n8 \xff\n", "items.txt:2: not UTF-8 from byte 2"),
            (b"\n", "holds no items"),
        ];
        for (content, fault) in cases {
            std::fs::write(source.0.path().join("items.txt"), content).unwrap();
            let text = source.error();
            assert!(text.contains(fault), "`{fault}` is not in: {text}");
        }
    }

    #[test]
    fn faults_are_named() {
        let items = Some(("items.json", JSON));
        let cases: [(Named, Option<Named>, &str); 9] = [
            (("s.txt", b""), None, "the file is empty"),
            (("s.txt", b"u a b c\n\xff a b c\n"), None, "s.txt:2: not UTF-8"),
            (("s.txt", b"u a b c\nu a b c\n"), None, "s.txt:2: user `u` again; first in line 1"),
            (("s.txt", b"u a b\n"), None, "no user has 3 known items"),
            (("s.txt", b"u 7 8 1 2\n"), items, "s.txt:1: item `1` and 1 more of user `u`"),
            (("s.json", b"[1]"), None, "is not a JSON object"),
            (("s.json", br#"{"u": 3}"#), None, "user `u` has a number; expected a list"),
            (
                ("s.txt", b"u 7 8 9\n"),
                Some(("i.json", b"{\n\"7\": {\xff")),
                "i.json:2: is not UTF-8",
            ),
            (
                ("s.txt", b"u 7 8 9\n"),
                Some(("i.json", br#"{"7": {"title": "x"}, "7": {"title": "y"}}"#)),
                "item id `7` again; it was first in entry 1",
            ),
        ];
        for (sequences, items, fault) in cases {
            let text = Source::new(sequences, items).error();
            assert!(text.contains(fault), "`{fault}` is not in: {text}");
        }
    }

    #[test]
    fn ids_in_json_are_kept_in_all_their_digits_or_refused() {
        let long = br#"{"a": [184467440737095516161, 184467440737095516162, 3], "b": [184467440737095516163, 3, "007"]}"#;
        let source = Source::new(("s.json", long), None);
        let (corpus, _) = source.import().unwrap();
        let ids =
            ["184467440737095516161", "184467440737095516162", "3", "184467440737095516163", "007"];
        assert_eq!(corpus.catalogue().unwrap().ids, ids);
        let cases: [(&[u8], &str); 4] = [
            (
                br#"{"a": [1, 2, 3], "b": [1.0, 2, 3]}"#,
                "s.json:2: the list of user `b` holds `1.0`; an id is text or a whole",
            ),
            (br#"{"a": [1, 2, 3e2]}"#, "holds `3e2`"),
            (
                br#"{"a": ["set 1", "b", "c"]}"#,
                "s.json:1: the list of user `a` holds `set 1`; an id holds no blanks",
            ),
            (br#"{"user 1": ["a", "b", "c"]}"#, "s.json:1: the user id is `user 1`"),
        ];
        for (json, fault) in cases {
            let text = Source::new(("s.json", json), None).error();
            assert!(text.contains(fault), "`{fault}` is not in: {text}");
        }
        let items = Some(("items.csv", b"id,title,description\nset 1,x,\n".as_slice()));
        let text = Source::new(("s.txt", b"u a b c\n"), items).error();
        assert!(text.contains("items.csv:2: the item id is `set 1`"), "{text}");
    }

    #[test]
    fn wanted_items_of_the_history_are_counted_and_may_be_answered() {
        let mut source = Source::new(("s.txt", b"u a b c a b\nv c b a c b\nw a b c d e\n"), None);
        let warnings = source.import().unwrap().1.warnings.join("\n");
        let said =
            "of 3 judged test requests, 2 want an item of their own history, and 2 nothing else";
        assert!(warnings.contains(said), "{warnings}");
        assert_eq!(source.import().unwrap().1.overlap.history, Some(2.0 / 3.0));
        source.1.seen = Seen::Keep;
        let (_, summary) = source.import().unwrap();
        assert!(!summary.remove_history && !summary.warnings.join("\n").contains("not found"));
    }

    #[test]
    fn items_with_tabs_semicolons_and_stray_quotes() {
        let import = |name, items: &'static str| {
            let mut source = Source::new(("s.txt", b"u 7 8 9\n"), Some((name, items.as_bytes())));
            source.1.text_fields = default_text_fields();
            source
        };
        for (name, items) in [
            ("items.csv", "id\ttitle\n7\tred, oak\n8\tblue\n9\tgreen\n"),
            ("items.csv", "id;title\n7;red, oak\n8;blue\n9;green\n"),
            ("items.csv", "sep=;\r\nid;title\r\n7;red, oak\r\n8;blue\r\n9;green\r\n"),
        ] {
            let source = import(name, items);
            let (corpus, _) = source.import().unwrap();
            assert_eq!(corpus.catalogue().unwrap().title(0), "red, oak", "{items}");
        }
        let stray = "id\ttitle\n7\t\"Best\" sofa\n8\tblue\n9\tgreen\n";
        let text = import("items.tsv", stray).error();
        let said = "items.tsv:2: a quotation mark is followed by more text";
        assert!(text.contains(said), "{text}");
        let open = "id\ttitle\n7\t\"Best sofa\n8\tblue\n9\tgreen\n";
        let text = import("items.tsv", open).error();
        assert!(text.contains("items.tsv:2: a quotation mark is never closed"), "{text}");
        // Each swallowed line is a row that is lost.
        assert!(text.contains("items.tsv:4: inside the quotation mark of line 2"), "{text}");
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let long = format!("u a b c\nv {}", "a ".repeat(9 << 20));
        let text = Source::new(("s.txt", long.as_bytes()), None).error();
        assert!(text.contains("s.txt:2: the line is longer than 16 MiB"), "{text}");
    }

    #[test]
    fn a_text_field_that_no_item_has_is_refused() {
        let mut source = Source::new(("s.txt", b"u 7 8 9\n"), Some(("items.json", JSON)));
        source.1.text_fields = vec!["name".into()];
        assert!(source.error().contains("no item has a field `name`"));
    }

    #[test]
    fn fields_of_items_become_columns_of_their_kind() {
        use crate::corpus::settings::ItemColumn;
        use crate::corpus::{Cell, Entity, Holds};

        let items: &[u8] =
            b"id,title,brand,weight\r\na,red,oak,1.5\r\nb,blue,,\r\nc,green,elm,3\r\n";
        let sequences: &[u8] = b"u a b c a\n";
        let column = |name: &str, holds| ItemColumn { name: name.into(), holds };
        let mut source = Source::new(("s.txt", sequences), Some(("items.csv", items)));
        source.1.text_fields = vec!["title".into()];
        source.1.item_columns =
            vec![column("brand", Holds::Category), column("weight", Holds::Number)];
        let (corpus, summary) = source.import().unwrap();
        assert_eq!(summary.columns.len(), 2);
        let rows = corpus.cells(Entity::Item, &["weight", "brand"]).unwrap();
        let rows: Vec<Vec<Cell>> = rows.collect::<Result<_>>().unwrap();
        let text = |text: &str| Cell::Text(text.into());
        assert_eq!(rows[0], [Cell::Number(1.5), text("oak")]);
        assert_eq!(rows[1], [Cell::Absent, Cell::Absent]);
        // A brand is no number; lines end in a carriage return, and are counted all the same.
        source.1.item_columns = vec![column("brand", Holds::Number)];
        let message = source.error();
        assert!(message.contains("items.csv:2"), "{message}");
        assert!(message.contains("`brand` of item `a` is `oak`, no number"), "{message}");
        source.1.item_columns = vec![column("size", Holds::Text)];
        let message = source.error();
        assert!(message.contains("no item has a value of `size`"), "{message}");
    }
}
