//! Damaged logs and items files through whole imports: what comes in is what plain readers read, and nothing panics.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::settings::LogSettings;
use crate::corpus::import::damage::{Dice, damaged, mutations, reference_csv};
use crate::corpus::{Corpus, Split};
use crate::error::Result;
use crate::progress::Context;
use crate::store::Source;

/// Items by id, and requests with what was shown for them and whether it was clicked.
type Came = (Vec<(String, String)>, BTreeMap<String, BTreeMap<String, bool>>);

const ITEMS: &[u8] =
    b"{\"id\": \"a\", \"title\": \"Tee\"}\n{\"id\": \"b\", \"title\": \"So\\\"fa\"}\n{\"title\": \"Lamp\", \"id\": \"007\"}\n";
const LOG: &[u8] =
    b"q1,a,1,train\nq1,b,0,train\n\"q2\",b,true,train\nq3,007,,validation\nq4,a,2.5,test\n";
/// Sound requests of every split, so that what is damaged decides nothing else.
const SOUND: &str = "request,item,click,split\ns1,a,1,train\ns2,b,1,validation\ns3,a,1,test\n";

fn import(folder: &Path) -> Result<Came> {
    let text = "path = \"x\"\nmalformed_share = 1.0\nunknown_items = \"drop\"\n\
        items = { file = \"items.jsonl\", id = \"id\", title = \"title\", text = [] }\n\
        split = { by = \"column\" }\n\
        log = [{ file = \"*.csv\", request = [\"request\"], item = \"item\", click = \"click\", split = \"split\" }]\n";
    let mut settings: LogSettings = toml::from_str(text).unwrap();
    settings.path = Source::from(folder);
    let out = folder.join("out");
    super::import(&settings, &out, &Context::silent())?;
    let corpus = Corpus::open(&out).unwrap();
    let items: Vec<(String, String)> =
        corpus.items().unwrap().map(|row| row.map(|row| (row.id, row.title)).unwrap()).collect();
    let mut requests: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
    for split in Split::ALL {
        let ids: BTreeMap<u32, String> =
            corpus.requests(split).unwrap().into_iter().map(|one| (one.idx, one.id)).collect();
        for page in corpus.impressions_of(split).unwrap() {
            let (request, page) = page.unwrap();
            let own: &mut BTreeMap<String, bool> =
                requests.entry(ids[&request].clone()).or_default();
            for one in page {
                *own.entry(items[one.item as usize].0.clone()).or_default() |= one.click;
            }
        }
    }
    Ok((items, requests))
}

/// Whether a run file could hold it.
fn is_id(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// What a plain reader makes of an items file: the first of two equal ids is the item.
fn reference_items(bytes: &[u8]) -> Vec<(String, String)> {
    let mut ids = BTreeSet::new();
    let mut items = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(serde_json::Value::Object(row)) = serde_json::from_slice(line.trim_ascii()) else {
            continue;
        };
        let text = |name: &str| match row.get(name) {
            None | Some(serde_json::Value::Null) => Some(String::new()),
            Some(serde_json::Value::String(text)) => Some(text.trim().to_owned()),
            Some(serde_json::Value::Number(number)) => Some(number.to_string()),
            Some(_) => None,
        };
        let Some((id, title)) = text("id").zip(text("title")) else { continue };
        // A control character in a title is a blank, and makes an id none.
        if is_id(&id) && ids.insert(id.clone()) {
            let title = title.replace(|c: char| c.is_control(), " ");
            items.push((id, title.trim().to_owned()));
        }
    }
    items
}

/// What a plain reader makes of a log.
fn reference_log(
    bytes: &[u8],
    items: &[(String, String)],
) -> BTreeMap<String, BTreeMap<String, bool>> {
    let mut requests: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
    let mut splits: BTreeMap<String, String> = BTreeMap::new();
    for row in reference_csv(bytes, 4) {
        let [request, item, click, split] = row.as_slice() else { continue };
        let click = match click.to_ascii_lowercase().as_str() {
            "" | "false" | "f" | "no" | "n" => false,
            "true" | "t" | "yes" | "y" => true,
            number => match number.parse::<f64>() {
                Ok(number) if number.is_finite() && number >= 0.0 => number > 0.0,
                _ => continue,
            },
        };
        let is_split = ["train", "validation", "test"].contains(&split.as_str());
        if !is_id(request) || !is_id(item) || !is_split {
            continue;
        }
        // A request stays in the split of its first row.
        let of_first = splits.entry(request.clone()).or_insert_with(|| split.clone());
        if of_first != split || !items.iter().any(|(id, _)| id == item) {
            continue;
        }
        *requests.entry(request.clone()).or_default().entry(item.clone()).or_default() |= click;
    }
    requests
}

fn write(folder: &Path, items: &[u8], log: &[u8]) {
    std::fs::write(folder.join("items.jsonl"), items).unwrap();
    std::fs::write(folder.join("log.csv"), log).unwrap();
    std::fs::write(folder.join("sound.csv"), SOUND).unwrap();
}

#[test]
fn damaged_logs_come_in_as_a_plain_reader_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let pieces: [&[u8]; 12] =
        [b"\"", b",", b"\n", b"\r\n", b"x", b"\"\"", b" ", b"\xff", b"a", b"q1", b"1", b""];
    let mut dice = Dice(4);
    let mut came = 0;
    for case in 0..mutations(60) {
        let log =
            [b"request,item,click,split\n".as_slice(), &damaged(LOG, &pieces, &mut dice)].concat();
        write(folder.path(), ITEMS, &log);
        let Ok((items, requests)) = import(folder.path()) else { continue };
        let mut expected = reference_log(&log, &items);
        for (request, page) in reference_log(SOUND.as_bytes(), &items) {
            let own = expected.entry(request).or_default();
            page.into_iter().for_each(|(item, click)| *own.entry(item).or_default() |= click);
        }
        assert_eq!(requests, expected, "case {case}: {:?}", String::from_utf8_lossy(&log));
        came += 1;
    }
    assert!(came > 0);
}

#[test]
fn damaged_items_come_in_as_a_plain_reader_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let pieces: [&[u8]; 11] =
        [b"\"", b",", b"\n", b"{", b"}", b"[", b"]", b"\\", b"1", b"\xff", b"a"];
    let mut dice = Dice(5);
    let mut came = 0;
    for case in 0..mutations(60) {
        let bytes = damaged(ITEMS, &pieces, &mut dice);
        let log = [b"request,item,click,split\n".as_slice(), LOG].concat();
        write(folder.path(), &bytes, &log);
        let Ok((items, _)) = import(folder.path()) else { continue };
        assert_eq!(
            items,
            reference_items(&bytes),
            "case {case}: {}",
            String::from_utf8_lossy(&bytes)
        );
        came += 1;
    }
    assert!(came > 0);
}
