//! Mutated run and judgment files for the readers: none may panic, and what a reader accepts must be what a plain reader of a
//! few lines reads. TREC, JSON and JSON lines come plain, as gzip and as zstd, changed before or after they are compressed;
//! Parquet comes with every codec and encoding that is read, changed in its rows or in its bytes.

use std::io::{Read, Write};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use trieval_eval::io::{
    parse_json_qrels, parse_json_run, parse_jsonl_qrels, parse_jsonl_run, parse_trec_qrels,
    parse_trec_run, read_parquet_qrels, read_parquet_run,
};

use crate::plain::{Table, plain_qrels, plain_run, qrels_table, run_table, table_of};
use crate::tables;

/// What became of the files.
#[derive(Debug, Default)]
pub struct Tally {
    pub accepted: u64,
    pub refused: u64,
    /// Cases in which a reader panicked or read something else than is written, in words.
    pub faults: Vec<String>,
}

/// A row: request, item, number as it is written.
pub type Row = (String, String, &'static str);

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Trec,
    Json,
    Jsonl,
    Parquet,
}

/// What a text is packed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Package {
    Plain,
    Gzip,
    Zstd,
}

/// Runs the cases of that seed; each is the same whichever others run. Parquet files are written to `folder`.
pub fn mutate(cases: Range<u64>, seed: u64, folder: &Path) -> Tally {
    // A panic that a reader catches is no fault, and one that it does not is counted: neither needs its trace.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut tally = Tally::default();
    for case in cases {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(case);
        match catch_unwind(AssertUnwindSafe(|| one(&mut rng, folder))) {
            Ok(Ok(true)) => tally.accepted += 1,
            Ok(Ok(false)) => tally.refused += 1,
            Ok(Err(what)) => tally.faults.push(format!("case {case}: {what}")),
            Err(_) => tally.faults.push(format!("case {case}: panic")),
        }
    }
    std::panic::set_hook(hook);
    tally
}

/// One case: whether the file was accepted, or what is wrong with the reader.
fn one(rng: &mut ChaCha8Rng, folder: &Path) -> Result<bool, String> {
    let is_run = rng.random_bool(0.5);
    let content =
        [Content::Trec, Content::Json, Content::Jsonl, Content::Parquet][rng.random_range(0..4)];
    let rows = rows(rng);
    if content == Content::Parquet {
        return parquet(&rows, is_run, rng, folder);
    }
    let mut text = text_of(content, is_run, &rows).into_bytes();
    let package =
        [Package::Plain, Package::Plain, Package::Gzip, Package::Zstd][rng.random_range(0..4)];
    // Either what is within is changed, or the compressed bytes are.
    let outside = package != Package::Plain && rng.random_bool(0.5);
    if !outside {
        change(&mut text, rng);
    }
    let mut bytes = packed(package, &text);
    if outside {
        change(&mut bytes, rng);
    }
    let found = parsed(content, is_run, &bytes);
    // The libraries unpack without our reader; what is no longer gzip or zstd is taken for text.
    let within = unpacked(&bytes);
    let expected = within.as_deref().and_then(|text| match (content, is_run) {
        (Content::Trec, true) => plain_run(text),
        (Content::Trec, false) => plain_qrels(text),
        _ => parsed(content, is_run, text),
    });
    agree(found.as_ref(), expected.as_ref(), || {
        format!("{content:?} in {package:?} {:?}, {bytes:02x?}", String::from_utf8_lossy(&text))
    })
}

fn agree(
    found: Option<&Table>,
    expected: Option<&Table>,
    what: impl Fn() -> String,
) -> Result<bool, String> {
    if found == expected {
        return Ok(found.is_some());
    }
    Err(format!("{}: read {found:?}, a plain reader {expected:?}", what()))
}

fn parsed(content: Content, is_run: bool, bytes: &[u8]) -> Option<Table> {
    let path = Path::new("mutated");
    if is_run {
        let run = match content {
            Content::Trec => parse_trec_run(bytes, path),
            Content::Json => parse_json_run(bytes, path),
            _ => parse_jsonl_run(bytes, path),
        };
        return run.ok().map(|run| run_table(&run));
    }
    let qrels = match content {
        Content::Trec => parse_trec_qrels(bytes, path),
        Content::Json => parse_json_qrels(bytes, path),
        _ => parse_jsonl_qrels(bytes, path),
    };
    qrels.ok().map(|qrels| qrels_table(&qrels))
}

/// A Parquet file of the rows: read as they are, or with its bytes changed, which must be survived.
fn parquet(
    rows: &[Row],
    is_run: bool,
    rng: &mut ChaCha8Rng,
    folder: &Path,
) -> Result<bool, String> {
    let layout = tables::Layout::random(rng);
    let mut bytes = tables::bytes(rows, is_run, layout);
    let is_changed = rng.random_bool(0.7);
    if is_changed {
        change(&mut bytes, rng);
    }
    let path = folder.join("mutated.parquet");
    std::fs::write(&path, &bytes).map_err(|error| error.to_string())?;
    let found = if is_run {
        read_parquet_run(&path).ok().map(|run| run_table(&run))
    } else {
        read_parquet_qrels(&path).ok().map(|qrels| qrels_table(&qrels))
    };
    if is_changed {
        return Ok(found.is_some());
    }
    let expected = table_of(rows, is_run);
    agree(found.as_ref(), expected.as_ref(), || format!("Parquet {layout:?} of {rows:?}"))
}

/// Up to five rows, now and then one that no reader may accept.
fn rows(rng: &mut ChaCha8Rng) -> Vec<Row> {
    const NUMBERS: [&str; 8] = ["1", "0.5", "-2", "3e-1", "1e400", "nan", "0x1", "+.5"];
    let row = |rng: &mut ChaCha8Rng| {
        let request = format!("q{}", rng.random_range(0..3));
        let item = format!("i{}", rng.random_range(0..5));
        // Mostly plain numbers, so that many files stay legal.
        let odd = rng.random_bool(0.1);
        (request, item, NUMBERS[rng.random_range(0..if odd { NUMBERS.len() } else { 4 })])
    };
    (0..rng.random_range(0..6)).map(|_| row(rng)).collect()
}

fn text_of(content: Content, is_run: bool, rows: &[Row]) -> String {
    let line = |(rank, (request, item, number)): (usize, &Row)| match (content, is_run) {
        (Content::Trec, true) => format!("{request} Q0 {item} {} {number} tag\n", rank + 1),
        (Content::Trec, false) => format!("{request} 0 {item} {number}\n"),
        (Content::Json, _) => format!("\"{request}\": {{\"{item}\": {number}}}"),
        _ => {
            let key = if is_run { "score" } else { "grade" };
            format!("{{\"request\": \"{request}\", \"item\": \"{item}\", \"{key}\": {number}}}\n")
        }
    };
    let lines: Vec<String> = rows.iter().enumerate().map(line).collect();
    if content == Content::Json { format!("{{{}}}", lines.join(", ")) } else { lines.concat() }
}

fn packed(package: Package, text: &[u8]) -> Vec<u8> {
    match package {
        Package::Plain => text.to_vec(),
        Package::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text).and_then(|()| encoder.finish()).unwrap_or_default()
        }
        Package::Zstd => zstd::encode_all(text, 1).unwrap_or_default(),
    }
}

/// What is within; none where it cannot be unpacked.
fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut text = Vec::new();
        flate2::bufread::MultiGzDecoder::new(bytes).read_to_end(&mut text).ok()?;
        return Some(text);
    }
    if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        // In two pieces: only of a frame that lies before it whole does the library compare the length that the header states,
        // and files come in pieces.
        let (magic, rest) = bytes.split_at(4);
        let mut text = Vec::new();
        zstd::stream::read::Decoder::new(magic.chain(rest)).ok()?.read_to_end(&mut text).ok()?;
        return Some(text);
    }
    Some(bytes.to_vec())
}

/// Up to three changes: a byte overwritten, put in or taken out, an end cut off, a piece repeated.
fn change(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    for _ in 0..rng.random_range(0..4) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] = rng.random(),
            1 => bytes.insert(at, b" \n\t\r\0\"{}:,-.e9\xff"[rng.random_range(0..15)]),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 if rng.random_bool(0.5) => bytes.truncate(at),
            _ => {
                let piece = bytes[at / 2..at].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
}
