//! Damaged files against plain reference readers: what is accepted is what they read, and nothing panics.

use super::*;
use crate::corpus::import::damage::{Dice, damaged, mutations, reference_csv};

/// Rows that are accepted of a file, as text, by the fields `a` and `b`.
fn accepted(path: &std::path::Path, format: Format) -> Result<Vec<[String; 2]>> {
    let field = |name: &str| (FieldPath::new(name), name.to_owned());
    let wanted = Wanted { fields: vec![field("a"), field("b")], rest: false };
    let reading = Reading { format: Some(format), delimiter: Some(b',') };
    let mut rows = Vec::new();
    let mut faults = Faults::default();
    let files = [path.to_owned()];
    let sink = (&mut faults, 1.0);
    read(&files, &reading, &wanted, sink, &Context::silent(), &mut |record| {
        let text =
            |place: usize| record.values[place].text().map(|text| text.unwrap_or("").to_owned());
        match (text(0), text(1)) {
            (Ok(a), Ok(b)) => rows.push([a, b]),
            _ => return Ok(Err("no text".into())),
        }
        Ok(Ok(()))
    })?;
    Ok(rows)
}

#[test]
fn damaged_csv_gives_what_a_plain_reader_gives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    let good = b"1,one\n2,\"two, \"\"2\"\"\"\n3,\"a\nb\"\r\n\n4,gr\xc3\xbcn\n5,5\" pipe\n";
    let pieces: [&[u8]; 10] =
        [b"\"", b",", b"\n", b"\r\n", b"x", b"\"\"", b" ", b"\xff", b"\xc3\xa9", b""];
    let mut dice = Dice(1);
    for case in 0..mutations(6_000) {
        let bytes = [b"a,b\n".as_slice(), &damaged(good, &pieces, &mut dice)].concat();
        std::fs::write(&path, &bytes).unwrap();
        let found = accepted(&path, Format::Csv);
        // A file whose every row is malformed is still read to its end.
        let found = found.unwrap_or_else(|e| panic!("case {case}: {e}"));
        let found: Vec<Vec<String>> = found.into_iter().map(Vec::from).collect();
        assert_eq!(
            found,
            reference_csv(&bytes, 2),
            "case {case}: {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

#[test]
fn damaged_json_lines_give_what_a_plain_reader_gives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    let good = b"{\"a\": \"x\", \"b\": 12}\n{\"b\": \"y\\n\\u00e9\", \"a\": true, \"c\": [1, {\"a\": 2}]}\n{\"a\": null, \"b\": -1.50}\n";
    let pieces: [&[u8]; 11] =
        [b"\"", b",", b"\n", b"{", b"}", b"[", b"]", b"\\", b"1", b"\xff", b"null"];
    let mut dice = Dice(2);
    for case in 0..mutations(6_000) {
        let bytes = damaged(good, &pieces, &mut dice);
        std::fs::write(&path, &bytes).unwrap();
        // An empty file, and one that is UTF-16 by its first bytes, are refused as a whole.
        let Ok(found) = accepted(&path, Format::JsonLines) else { continue };
        let mut expected = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            let Ok(text) = std::str::from_utf8(line) else { continue };
            let Ok(serde_json::Value::Object(row)) = serde_json::from_str(text.trim()) else {
                continue;
            };
            // Which of two equal names is meant, a plain reader does not ask.
            let n_names = |name: &str| text.matches(&format!("\"{name}\":")).count();
            let of = |name: &str| match row.get(name) {
                None | Some(serde_json::Value::Null) => Some(String::new()),
                Some(serde_json::Value::String(text)) => Some(text.trim().to_owned()),
                Some(serde_json::Value::Bool(flag)) => Some(flag.to_string()),
                Some(serde_json::Value::Number(number)) => Some(number.to_string()),
                Some(_) => None,
            };
            if n_names("a") > 2 || n_names("b") > 1 {
                continue;
            }
            expected.extend(of("a").zip(of("b")).map(|(a, b)| [a, b]));
        }
        let plain = |rows: Vec<[String; 2]>| -> Vec<[String; 2]> {
            // Digits are kept here and parsed there.
            let digits = |text: String| match text.parse::<f64>() {
                Ok(number) if number.is_finite() => number.to_string(),
                _ => text,
            };
            rows.into_iter().map(|row| row.map(digits)).collect()
        };
        assert_eq!(
            plain(found),
            plain(expected),
            "case {case}: {}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

/// A Parquet file of a few rows: text, numbers, lists, a dictionary.
fn parquet_file(compression: ::parquet::basic::Compression) -> Vec<u8> {
    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    let a: ArrayRef =
        std::sync::Arc::new(StringArray::from(vec![Some("x"), None, Some("grün"), Some("x")]));
    let b: ArrayRef =
        std::sync::Arc::new(Int64Array::from(vec![Some(1), Some(-2), None, Some(1 << 40)]));
    let batch = RecordBatch::try_from_iter([("a", a), ("b", b)]).unwrap();
    let settings = ::parquet::file::properties::WriterProperties::builder()
        .set_compression(compression)
        .build();
    let mut bytes = Vec::new();
    let mut writer =
        ::parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), Some(settings)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// A page has no checksum: what is damaged may be read as other values. It is never a panic.
#[test]
fn damaged_parquet_is_refused_or_read() {
    use ::parquet::basic::{Compression, GzipLevel, ZstdLevel};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let mut dice = Dice(3);
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(GzipLevel::default()),
    ] {
        let good = parquet_file(compression);
        std::fs::write(&path, &good).unwrap();
        assert_eq!(accepted(&path, Format::Parquet).unwrap().len(), 4);
        for _ in 0..mutations(6_000) / 4 {
            let mut bytes = good.clone();
            for _ in 0..=dice.below(3) {
                let at = dice.below(bytes.len());
                match dice.below(4) {
                    0 => bytes.truncate(at.max(1)),
                    1 => bytes[at] = [0, 0xff, 0x7f, 0x80][dice.below(4)],
                    2 => bytes[at] ^= 1 << dice.below(8),
                    _ => bytes[at] = dice.below(256) as u8,
                }
            }
            std::fs::write(&path, &bytes).unwrap();
            let _ = accepted(&path, Format::Parquet);
        }
    }
}
