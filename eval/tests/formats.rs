//! Files in every format: what is written reads back equal, damaged files are read or refused, never a panic, and messages say
//! where the fault is.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, UInt8Array,
};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use trieval_eval::io::{
    Format, RequestValues, read_qrels, read_run, read_values, write_qrels, write_run, write_values,
};
use trieval_eval::{Qrels, Run};

const FORMATS: [(Format, &str); 4] = [
    (Format::Trec, "a.run"),
    (Format::Json, "a.json"),
    (Format::Jsonl, "a.jsonl"),
    (Format::Parquet, "a.parquet"),
];

fn run_of(lists: &[BTreeMap<String, f32>], finite: bool) -> Run {
    let mut builder = Run::builder("a");
    for (request, list) in lists.iter().enumerate() {
        let legal = |score: f32| {
            if score.is_nan() || (finite && score.is_infinite()) { 0.5 } else { score }
        };
        builder
            .push_list(
                &format!("q{request}"),
                list.iter().map(|(item, &score)| (item, legal(score))),
            )
            .unwrap();
    }
    builder.finish().unwrap()
}

fn qrels_of(lists: &[BTreeMap<String, f64>]) -> Qrels {
    let mut builder = Qrels::builder();
    for (request, list) in lists.iter().enumerate() {
        for (item, &grade) in list {
            builder.push(&format!("q{request}"), item, grade).unwrap();
        }
    }
    builder.finish().unwrap()
}

fn bytes_of_run(run: &Run, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    write_run(run, format, &mut out).unwrap();
    out
}

fn bytes_of_qrels(qrels: &Qrels, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    write_qrels(qrels, format, &mut out).unwrap();
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_format_reads_back_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let lists = prop::collection::vec(
        prop::collection::btree_map("[a-z0-9_é\"\\\\]{1,4}", prop::num::f32::ANY, 1..12),
        1..8,
    );
    let grades = prop::collection::vec(
        prop::collection::btree_map("[a-z0-9_é\"\\\\]{1,4}", -1e9_f64..1e9, 1..12),
        1..8,
    );
    let mut runner = TestRunner::new(ProptestConfig::with_cases(64));
    runner
        .run(&(lists, grades), |(lists, grades)| {
            let qrels = qrels_of(&grades);
            for (format, name) in FORMATS {
                let run = run_of(&lists, matches!(format, Format::Json | Format::Jsonl));
                let path = folder.path().join(name);
                let bytes = bytes_of_run(&run, format);
                std::fs::write(&path, &bytes).unwrap();
                prop_assert_eq!(Format::of(&path), format);
                prop_assert!(read_run(&path).unwrap() == run, "{}", name);
                std::fs::write(&path, bytes_of_qrels(&qrels, format)).unwrap();
                prop_assert!(read_qrels(&path).unwrap() == qrels, "{}", name);
                if format != Format::Parquet {
                    let path = folder.path().join(format!("{name}.gz"));
                    std::fs::write(&path, gzip(&bytes)).unwrap();
                    prop_assert!(read_run(&path).unwrap() == run, "{}.gz", name);
                    let path = folder.path().join(format!("{name}.zst"));
                    std::fs::write(&path, zstd::encode_all(&bytes[..], 1).unwrap()).unwrap();
                    prop_assert!(read_run(&path).unwrap() == run, "{}.zst", name);
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn row_groups_are_read_side_by_side() {
    // More rows than one row group takes, so that several threads read one file.
    let mut builder = Run::builder("large");
    for request in 0..6_000_u32 {
        let scored = (0..100_u32).map(|rank| {
            let item = request.wrapping_mul(7_919).wrapping_add(rank * 31) % 10_007;
            (format!("item-with-a-long-name-{item}"), 100.0 - rank as f32)
        });
        builder.push_list(&request.to_string(), scored).unwrap();
    }
    let run = builder.finish().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.parquet");
    std::fs::write(&path, bytes_of_run(&run, Format::Parquet)).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    for _ in 0..5 {
        assert!(pool.install(|| read_run(&path)).unwrap() == run);
    }
}

/// A small generator for places and bytes to change.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

fn mutated(bytes: &[u8], draw: &mut Draw) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=draw.below(3) {
        let at = draw.below(bytes.len());
        match draw.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, draw.below(256) as u8),
            2 if !bytes.is_empty() => bytes[at] ^= 1 << draw.below(8),
            _ if !bytes.is_empty() => bytes[at] = draw.below(256) as u8,
            _ => {}
        }
    }
    bytes
}

#[test]
fn damaged_files_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lists: Vec<BTreeMap<String, f32>> = (0..6_u8)
        .map(|request| {
            (0..8_u8).map(|item| (format!("i{item}"), f32::from(item ^ request))).collect()
        })
        .collect();
    let run = run_of(&lists, true);
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for (format, name) in FORMATS {
        let bytes = bytes_of_run(&run, format);
        if format != Format::Parquet {
            files.push((format!("{name}.gz"), gzip(&bytes)));
            files.push((format!("{name}.zst"), zstd::encode_all(&bytes[..], 1).unwrap()));
        }
        files.push((name.to_owned(), bytes));
    }
    let values = RequestValues {
        system: "a".to_owned(),
        metrics: vec!["mrr".to_owned()],
        requests: vec!["q".to_owned(); 50],
        values: vec![vec![0.25; 50]],
    };
    let mut bytes = Vec::new();
    write_values(&values, &mut bytes).unwrap();
    files.push(("values.parquet".to_owned(), bytes));
    let mut draw = Draw(20_240_607);
    let (mut n_read, mut n_refused) = (0, 0);
    for (name, bytes) in &files {
        let path = folder.path().join(name);
        for _ in 0..1_000 {
            std::fs::write(&path, mutated(bytes, &mut draw)).unwrap();
            let mut results = vec![read_run(&path).err(), read_qrels(&path).err()];
            if name.ends_with(".parquet") {
                results.push(read_values(&path).err());
            }
            for error in results {
                match error {
                    None => n_read += 1,
                    Some(error) => {
                        n_refused += 1;
                        let message = error.to_string();
                        assert!(message.contains(name.as_str()), "{message}");
                        assert!(!message.contains('\n'), "{message}");
                    }
                }
            }
        }
    }
    assert!(n_read > 500 && n_refused > 5_000, "{n_read} read, {n_refused} refused");
}

fn write_table(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn tables_of_other_tools_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.parquet");
    write_table(
        &path,
        vec![
            ("score", Arc::new(Float64Array::from(vec![0.5, 2.0, 1.0])) as ArrayRef),
            ("doc_id", Arc::new(Int64Array::from(vec![7, -8, 7]))),
            ("unused", Arc::new(BooleanArray::from(vec![true, false, true]))),
            ("q_id", Arc::new(StringArray::from(vec!["a", "a", "b"]))),
        ],
    );
    let run = read_run(&path).unwrap();
    assert_eq!((run.name(), run.len()), ("other", 2));
    let items: Vec<_> = run.get("a").unwrap().items().collect();
    assert_eq!(items, [("-8", 2.0), ("7", 0.5)]);
    write_table(
        &path,
        vec![
            ("query_id", Arc::new(UInt8Array::from(vec![1, 2])) as ArrayRef),
            ("item_id", Arc::new(StringArray::from(vec!["x", "y"]))),
            ("relevance", Arc::new(Int32Array::from(vec![-1, 3]))),
        ],
    );
    let qrels = read_qrels(&path).unwrap();
    assert_eq!((qrels.grade("1", "x"), qrels.grade("2", "y")), (Some(-1.0), Some(3.0)));
}

#[test]
fn tables_that_cannot_be_used_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let text = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
    let requests = || text(vec![Some("q"), Some("q")]);
    let items = || text(vec![Some("a"), Some("b")]);
    let scores = |values: Vec<Option<f32>>| Arc::new(Float32Array::from(values)) as ArrayRef;
    let good = || scores(vec![Some(1.0), Some(2.0)]);
    for (columns, expected) in [
        (
            vec![("request", requests()), ("doc", items()), ("score", good())],
            "no column is called `item` (or `doc_id`, `item_id`, `docno`); the columns are request, doc, score",
        ),
        (
            vec![("request", good()), ("item", items()), ("score", good())],
            "row 1: column `request` holds Float32; ids are text or whole numbers",
        ),
        (
            vec![("request", requests()), ("item", items()), ("score", items())],
            "row 1: column `score` holds Utf8; numbers are expected",
        ),
        (
            vec![
                ("request", requests()),
                ("item", items()),
                ("score", scores(vec![Some(1.0), None])),
            ],
            "row 2: the score must be a number (request q, item b)",
        ),
        (
            vec![
                ("request", requests()),
                ("item", items()),
                ("score", scores(vec![Some(1.0), Some(f32::NAN)])),
            ],
            "row 2: the score must be a number (request q, item b)",
        ),
        (
            vec![("request", requests()), ("item", text(vec![Some("a"), None])), ("score", good())],
            "row 2: the id is null; give one",
        ),
        (
            vec![
                ("request", requests()),
                ("item", text(vec![Some("a"), Some("a")])),
                ("score", good()),
            ],
            "item a appears twice for request q; keep one line per request and item",
        ),
    ] {
        write_table(&path, columns);
        let message = read_run(&path).unwrap_err().to_string();
        assert_eq!(message, format!("{}: {expected}", path.display()));
    }
    assert!(
        read_run(Path::new("/no/such/file.json")).unwrap_err().to_string().contains("cannot read")
    );
}

#[test]
fn truncated_compressed_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = "q Q0 a 1 0.5 s\n".to_owned() + &"q2 Q0 b 1 0.5 s\n".replace('b', "a-long-id");
    for (name, bytes) in
        [("r.gz", gzip(text.as_bytes())), ("r.zst", zstd::encode_all(text.as_bytes(), 3).unwrap())]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes[..bytes.len() - 2]).unwrap();
        let message = read_run(&path).unwrap_err().to_string();
        assert!(message.contains("breaks off before its end"), "{message}");
    }
}
