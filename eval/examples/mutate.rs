//! Feeds mutated run and judgment files to the readers: none may panic, and what a TREC reader accepts must be what a plain
//! reader of a few lines reads. `cargo run --release -p trieval-eval --example mutate -- 1000000`, seed as second argument.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use trieval_eval::io::{
    parse_json_qrels, parse_json_run, parse_jsonl_qrels, parse_jsonl_run, parse_trec_qrels,
    parse_trec_run,
};

/// request → item → bits of the number.
type Table = BTreeMap<String, BTreeMap<String, u64>>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let n_cases = arguments.next().and_then(Result::ok).unwrap_or(100_000);
    let seed = arguments.next().and_then(Result::ok).unwrap_or(1);
    let (mut accepted, mut refused, mut faults) = (0_u64, 0_u64, 0_u64);
    for case in 0..n_cases {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(case);
        let kind = rng.random_range(0..6);
        let bytes = mutated(kind, &mut rng);
        let path = Path::new("mutated");
        let outcome = catch_unwind(AssertUnwindSafe(|| match kind {
            0 => same(
                parse_trec_run(&bytes, path).ok().map(|run| run_table(&run)).as_ref(),
                &bytes,
                plain_run,
            ),
            1 => same(
                parse_trec_qrels(&bytes, path).ok().map(|qrels| qrels_table(&qrels)).as_ref(),
                &bytes,
                plain_qrels,
            ),
            2 => Ok(parse_json_run(&bytes, path).is_ok()),
            3 => Ok(parse_json_qrels(&bytes, path).is_ok()),
            4 => Ok(parse_jsonl_run(&bytes, path).is_ok()),
            _ => Ok(parse_jsonl_qrels(&bytes, path).is_ok()),
        }));
        match outcome {
            Ok(Ok(true)) => accepted += 1,
            Ok(Ok(false)) => refused += 1,
            Ok(Err(what)) => {
                faults += 1;
                eprintln!("case {case}: {what}: {:?}", String::from_utf8_lossy(&bytes));
            }
            Err(_) => {
                faults += 1;
                eprintln!("case {case}: panic: {:?}", String::from_utf8_lossy(&bytes));
            }
        }
    }
    println!("{n_cases} files: {accepted} accepted, {refused} refused, {faults} faults");
    if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A small valid file with a few random changes.
fn mutated(kind: u32, rng: &mut ChaCha8Rng) -> Vec<u8> {
    const NUMBERS: [&str; 8] = ["1", "0.5", "-2", "3e-1", "1e400", "nan", "0x1", "+.5"];
    let mut text = String::new();
    let n_rows = rng.random_range(0..6);
    let mut rows = Vec::new();
    for _ in 0..n_rows {
        let request = format!("q{}", rng.random_range(0..3));
        let item = format!("i{}", rng.random_range(0..5));
        // Mostly plain numbers, so that many files stay legal.
        let odd = rng.random_bool(0.1);
        let number = NUMBERS[rng.random_range(0..if odd { NUMBERS.len() } else { 4 })];
        rows.push((request, item, number));
    }
    match kind {
        0 => {
            for (rank, (request, item, number)) in rows.iter().enumerate() {
                text += &format!("{request} Q0 {item} {} {number} tag\n", rank + 1);
            }
        }
        1 => {
            for (request, item, number) in &rows {
                text += &format!("{request} 0 {item} {number}\n");
            }
        }
        2 | 3 => {
            let one = |(request, item, number): &(String, String, &str)| {
                format!("\"{request}\": {{\"{item}\": {number}}}")
            };
            text = format!("{{{}}}", rows.iter().map(one).collect::<Vec<_>>().join(", "));
        }
        _ => {
            let key = if kind == 4 { "score" } else { "grade" };
            for (request, item, number) in &rows {
                text += &format!(
                    "{{\"request\": \"{request}\", \"item\": \"{item}\", \"{key}\": {number}}}\n"
                );
            }
        }
    }
    let mut bytes = text.into_bytes();
    for _ in 0..rng.random_range(0..4) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] = rng.random(),
            1 => bytes.insert(at, b" \n\t\r\0\"{}:,-.e9\xff"[rng.random_range(0..15)]),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => bytes.truncate(at),
            _ => {
                let piece = bytes[at / 2..at].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// Whether a reader that must agree with `plain` accepted the file.
fn same(
    found: Option<&Table>,
    bytes: &[u8],
    plain: fn(&[u8]) -> Option<Table>,
) -> Result<bool, String> {
    let expected = plain(bytes);
    if found == expected.as_ref() {
        return Ok(found.is_some());
    }
    Err(format!("read {found:?}, a plain reader {expected:?}"))
}

fn run_table(run: &trieval_eval::Run) -> Table {
    let one = |ranking: trieval_eval::Ranking<'_>| {
        let items = ranking.items().map(|(item, score)| (item.to_owned(), bits(f64::from(score))));
        (ranking.request().to_owned(), items.collect())
    };
    run.rankings().map(one).collect()
}

fn qrels_table(qrels: &trieval_eval::Qrels) -> Table {
    let one = |judgments: trieval_eval::Judgments<'_>| {
        let items = judgments.grades().map(|(item, grade)| (item.to_owned(), bits(grade)));
        (judgments.request().to_owned(), items.collect())
    };
    qrels.judgments().map(one).collect()
}

/// Bits of a number, both zeros alike.
fn bits(value: f64) -> u64 {
    if value == 0.0 { 0 } else { value.to_bits() }
}

fn plain_run(bytes: &[u8]) -> Option<Table> {
    plain(bytes, 6, 4, |text| {
        text.parse::<f64>()
            .ok()
            .filter(|value| !value.is_nan())
            .map(|value| f64::from(value as f32))
    })
}

fn plain_qrels(bytes: &[u8]) -> Option<Table> {
    plain(bytes, 4, 3, |text| text.parse::<f64>().ok().filter(|value| value.is_finite()))
}

/// Lines of `n_fields`; request first, item third, the number at `place`; no pair twice.
fn plain(
    bytes: &[u8],
    n_fields: usize,
    place: usize,
    number: impl Fn(&str) -> Option<f64>,
) -> Option<Table> {
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).ok()?;
    let mut table = Table::new();
    for line in text.split('\n') {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        if fields.is_empty() {
            continue;
        }
        if fields.len() != n_fields {
            return None;
        }
        let value = bits(number(fields[place])?);
        let items = table.entry(fields[0].to_owned()).or_default();
        if items.insert(fields[2].to_owned(), value).is_some() {
            return None;
        }
    }
    Some(table)
}
