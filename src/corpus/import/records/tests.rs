//! Damaged files against plain reference readers: what is accepted is what they read, and nothing panics.
//! `TRIEVAL_MUTATIONS` sets the number of files of each kind.

use super::*;

/// Files of each kind.
fn mutations() -> usize {
    std::env::var("TRIEVAL_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(6_000)
}

/// Draws numbers below a bound.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// A text with some of its bytes replaced, taken out, or put in.
fn damaged(text: &[u8], pieces: &[&[u8]], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + dice.below(3)).min(bytes.len());
        let piece = pieces[dice.below(pieces.len())];
        bytes.splice(at..end, piece.iter().copied());
    }
    bytes
}

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

/// RFC 4180, read byte by byte: sound records of two fields. A record with text behind a closing mark, or a mark that
/// never closes, is left out whole.
fn reference_csv(bytes: &[u8]) -> Vec<[String; 2]> {
    let mut records: Vec<(Vec<Vec<u8>>, bool)> = Vec::new();
    let (mut fields, mut field, mut sound) = (Vec::new(), Vec::new(), true);
    let mut at = 0;
    let mut is_empty = true;
    while at < bytes.len() {
        let byte = bytes[at];
        if field.is_empty()
            && byte == b'"'
            && (at == 0 || matches!(bytes[at - 1], b',' | b'\n' | b'\r'))
        {
            is_empty = false;
            at += 1;
            loop {
                match (bytes.get(at), bytes.get(at + 1)) {
                    (None, _) => {
                        sound = false;
                        break;
                    }
                    (Some(b'"'), Some(b'"')) => {
                        field.push(b'"');
                        at += 2;
                    }
                    (Some(b'"'), next) => {
                        at += 1;
                        sound &= matches!(next, None | Some(b',' | b'\n' | b'\r'));
                        break;
                    }
                    (Some(&byte), _) => {
                        field.push(byte);
                        at += 1;
                    }
                }
            }
            continue;
        }
        match byte {
            b',' => {
                is_empty = false;
                fields.push(std::mem::take(&mut field));
            }
            b'\n' | b'\r' => {
                if !is_empty {
                    fields.push(std::mem::take(&mut field));
                    records.push((std::mem::take(&mut fields), sound));
                }
                (sound, is_empty) = (true, true);
            }
            byte => {
                is_empty = false;
                field.push(byte);
            }
        }
        at += 1;
    }
    if !is_empty {
        fields.push(field);
        records.push((fields, sound));
    }
    let text = |field: &Vec<u8>| Some(std::str::from_utf8(field).ok()?.trim().to_owned());
    let row = |(fields, sound): &(Vec<Vec<u8>>, bool)| match (fields.as_slice(), sound) {
        ([a, b], true) => Some([text(a)?, text(b)?]),
        _ => None,
    };
    // The first record is the header.
    records.iter().skip(1).filter_map(row).collect()
}

#[test]
fn damaged_csv_gives_what_a_plain_reader_gives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    let good = b"1,one\n2,\"two, \"\"2\"\"\"\n3,\"a\nb\"\r\n\n4,gr\xc3\xbcn\n5,5\" pipe\n";
    let pieces: [&[u8]; 10] =
        [b"\"", b",", b"\n", b"\r\n", b"x", b"\"\"", b" ", b"\xff", b"\xc3\xa9", b""];
    let mut dice = Dice(1);
    for case in 0..mutations() {
        let bytes = [b"a,b\n".as_slice(), &damaged(good, &pieces, &mut dice)].concat();
        std::fs::write(&path, &bytes).unwrap();
        let found = accepted(&path, Format::Csv);
        // A file whose every row is malformed is still read to its end.
        let found = found.unwrap_or_else(|e| panic!("case {case}: {e}"));
        assert_eq!(
            found,
            reference_csv(&bytes),
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
    for case in 0..mutations() {
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
        for _ in 0..mutations() / 4 {
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
