//! Small data sets, written to a folder: what the importers are fed with.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

/// The recipe of judged pairs.
pub(crate) const PAIRS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pairs.toml");
/// The recipe of sequences.
pub(crate) const SEQUENCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/sequences.toml");

const COLORS: [&str; 4] = ["red", "blue", "green", "black"];
const THINGS: [&str; 5] = ["table", "sofa", "lamp", "chair", "shelf"];
/// Items of both data sets.
pub(crate) const ITEMS: usize = 40;
/// The recipe of a model of sequences alone.
pub(crate) const SASREC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/sasrec.toml");

/// Users of the sequences.
pub(crate) const USERS: usize = 40;

fn title(item: usize) -> String {
    format!("{} {} number {item}", COLORS[item % 4], THINGS[item % 5])
}

/// `items.csv` and `pairs.csv`: a query names a color and a thing, a grade counts the matches.
pub(crate) fn write_pairs(folder: &Path) {
    let mut items = String::from("item_id,title\n");
    let mut pairs = String::from("query,item_id,grade,split\n");
    for item in 0..ITEMS {
        writeln!(items, "p{item},{}", title(item)).unwrap();
    }
    for query in 0..20 {
        let split = ["train", "train", "train", "valid", "test"][query % 5];
        for item in 0..ITEMS {
            let matches = u32::from(item % 4 == query % 4) + u32::from(item % 5 == query / 4);
            if matches > 0 || (item + query) % 7 == 0 {
                let text = format!("{} {}", COLORS[query % 4], THINGS[query / 4]);
                writeln!(pairs, "{text},p{item},{},{split}", matches + 1).unwrap();
            }
        }
    }
    std::fs::write(folder.join("items.csv"), items).unwrap();
    std::fs::write(folder.join("pairs.csv"), pairs).unwrap();
}

/// Items of a user, oldest first.
pub(crate) fn sequence(user: usize) -> Vec<String> {
    (0..4 + user % 5).map(|k| format!("p{}", (user * 3 + k * (1 + user % 3)) % ITEMS)).collect()
}

/// `users.json` and `items.json`.
pub(crate) fn write_sequences(folder: &Path) {
    let items: serde_json::Map<_, _> = (0..ITEMS)
        .map(|item| (format!("p{item}"), json!({ "title": title(item), "brand": "acme" })))
        .collect();
    let users: serde_json::Map<_, _> =
        (0..USERS).map(|user| (format!("u{user}"), json!(sequence(user)))).collect();
    std::fs::write(folder.join("items.json"), json!(items).to_string()).unwrap();
    std::fs::write(folder.join("users.json"), json!(users).to_string()).unwrap();
}

/// A `.npy` file `[rows, 4]` as NumPy writes it; `bad` puts a NaN into row 3, column 1.
pub(crate) fn write_npy(path: &Path, rows: usize, bad: bool) {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 4), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    for place in 0..rows * 4 {
        let value = ((place * 37 % 101) as f32) / 50.0 - 1.0;
        let value = if bad && place == 13 { f32::NAN } else { value };
        bytes.extend(value.to_le_bytes());
    }
    std::fs::write(path, bytes).unwrap();
}
