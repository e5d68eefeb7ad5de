//! Sequences: users' items in time order become a corpus with leave-one-out.
//!
//! One training request per user holds all but the last two items as its history; validation asks
//! for the item before the last given those, test for the last given all before it.

mod kind;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::progress::Context;

use super::columns::open_columns;
use super::faults::Faults;
use super::items::{
    ItemFields, ItemIds, for_each_entry, json_id, kind_of, read_csv, read_json, read_lines,
};
use super::text::{count_lines, id_fault, next_line, open};
use crate::corpus::build::{CorpusWriter, Facts};
use crate::corpus::levels::default_levels;
use crate::corpus::rows::{JudgementRow, RequestRow};
use crate::corpus::settings::{SequencesSettings, default_text_fields};
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
    if is_json(&path) {
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
        remove_history: true,
        levels: default_levels(),
        malformed,
        truncated_texts: items.truncated,
        dropped_requests: unknown,
        warnings,
        sources,
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
    let fields = ItemFields {
        id: (&settings.item_column, "corpus.item_column"),
        text: settings.text_fields.iter().map(|f| (f.as_str(), "corpus.text_fields")).collect(),
    };
    read_csv(file, &fields, share, faults, writer)
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
            let Value::Array(values) = value else {
                let message = format!("user `{user}` has {}; expected a list", kind_of(&value));
                self.faults.fault(entry, message);
                return Ok(());
            };
            let ids: std::result::Result<Vec<String>, String> = values
                .into_iter()
                .map(json_id)
                .collect::<std::result::Result<_, _>>()
                .map_err(|what| format!("the list of user `{user}` holds {what}"));
            match ids {
                Ok(ids) => self.sequence(&user, ids.iter().map(String::as_str), entry, "entry"),
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
        let ids: Vec<&str> = ids.collect();
        let new = |id: &&&str| self.open_catalogue && self.items.get(id).is_none();
        let fault = id_fault("user", user);
        let fault = fault.or_else(|| ids.iter().filter(new).find_map(|id| id_fault("item", id)));
        if let Some(message) = fault {
            self.faults.fault(line, message);
            return Ok(());
        }
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
                sequences_file: sequences.0.into(),
                items_file: items.map(|(name, _)| name.into()),
                text_fields: vec!["title".into(), "description".into()],
                item_column: "id".into(),
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
    fn ids_are_kept_exactly_or_refused_with_their_entry() {
        let kept = br#"{"u": ["007", "123456789012345678901", 18446744073709551615, -3]}"#;
        let (corpus, _) = Source::new(("s.json", kept), None).import().unwrap();
        let ids = ["007", "123456789012345678901", "18446744073709551615", "-3"];
        assert_eq!(corpus.catalogue().unwrap().ids, ids);
        let cases: [(&[u8], &str); 5] = [
            (
                br#"{"t": [1, 2, 3], "u": [184467440737095516150, 2, 3]}"#,
                "s.json:2: the list of user `u`",
            ),
            (br#"{"u": [1.0, 2, 3]}"#, "ids are text or whole numbers"),
            (br#"{"u": ["set 1", 2, 3]}"#, "s.json:1: item id `set 1` holds a blank"),
            (br#"{"u 1": [1, 2, 3]}"#, "s.json:1: user id `u 1` holds a blank"),
            (br#"{"u": ["", 2, 3]}"#, "s.json:1: the item id is empty"),
        ];
        for (sequences, fault) in cases {
            let text = Source::new(("s.json", sequences), None).error();
            assert!(text.contains(fault), "`{fault}` is not in: {text}");
        }
        let spaced = br#"{"7": {"title": "x", "description": ""}, "set 1": {"title": "y"}}"#;
        let text = Source::new(("s.txt", b"u 7 7 7\n"), Some(("i.json", spaced))).error();
        assert!(text.contains("i.json:2: item id `set 1` holds a blank"), "{text}");
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let long = "a ".repeat(9 << 20);
        let text = Source::new(("s.txt", format!("u a b c\nv {long}").as_bytes()), None).error();
        assert!(text.contains("s.txt:2: the line is longer than"), "{text}");
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
