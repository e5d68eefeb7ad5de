//! TensorBoard's event files: records framed as in TFRecord, each a protocol buffer of type `Event`.
//!
//! Format: `tensorflow/core/lib/io/record_writer.h` (length, masked CRC-32C of the length, data, masked CRC-32C
//! of the data; little-endian) and `tensorboard/compat/proto/{event,summary}.proto`. Of these only the fields
//! that scalars need are written. Nothing here reads them but the tests.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::StepRecord;
use super::sink::{Entry, Fault, Outcome, Sink, now_millis};
use crate::error::{Error, Result};

/// Version that readers know this layout by.
const FILE_VERSION: &str = "brain.Event:2";
/// `SessionLog.SessionStatus.START`: events of this step and later ones are void.
const SESSION_START: u64 = 1;

/// Writes event files into a folder: one per process that worked on the training.
pub(super) struct TensorBoard {
    folder: PathBuf,
    file: Option<File>,
    next_step: u64,
}

impl TensorBoard {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, file: None, next_step: 1 }
    }

    fn open(&mut self) -> std::io::Result<File> {
        std::fs::create_dir_all(&self.folder)?;
        let millis = now_millis();
        // Readers take the files of a folder in the order of their names.
        let (seconds, rest, process) = (millis / 1000, millis % 1000, std::process::id());
        let name = format!("events.out.tfevents.{seconds:010}.{rest:03}.{process}");
        let mut file = File::options().append(true).create(true).open(self.folder.join(name))?;
        let mut bytes = Vec::new();
        let mut version = event(millis, 0);
        put_bytes(&mut version, 3, FILE_VERSION.as_bytes());
        put_record(&mut bytes, &version);
        let mut start = event(millis, self.next_step);
        let mut session = Vec::new();
        put_varint_field(&mut session, 1, SESSION_START);
        put_bytes(&mut start, 7, &session);
        put_record(&mut bytes, &start);
        file.write_all(&bytes)?;
        Ok(file)
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.open()?,
        };
        // A file whose last record may be half written is left behind.
        file.write_all(bytes)?;
        self.file = Some(file);
        Ok(())
    }

    fn fault(&self, error: &std::io::Error) -> Fault {
        Fault {
            message: format!("cannot write event files in {}: {error}", self.folder.display()),
            passing: true,
        }
    }
}

impl Sink for TensorBoard {
    fn name(&self) -> &'static str {
        "tensorboard"
    }

    fn begin(&mut self, done: u64) -> std::result::Result<(), Fault> {
        self.next_step = done + 1;
        self.append(&[]).map_err(|e| self.fault(&e))
    }

    fn write(&mut self, entries: &[Entry]) -> std::result::Result<(), Fault> {
        let mut bytes = Vec::new();
        for entry in entries {
            put_record(&mut bytes, &scalars(entry));
        }
        self.append(&bytes).map_err(|e| self.fault(&e))?;
        self.next_step = entries.last().map_or(self.next_step, |entry| entry.record.step + 1);
        Ok(())
    }

    fn end(&mut self, _outcome: Outcome) -> std::result::Result<(), Fault> {
        Ok(())
    }
}

/// Writes the event file of a training that is finished already, whose steps were done at `millis`.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses.
pub fn write_finished(folder: &Path, records: Vec<StepRecord>, millis: u64) -> Result<()> {
    let mut board = TensorBoard::new(folder.to_owned());
    let entries: Vec<Entry> = records.into_iter().map(|record| Entry { millis, record }).collect();
    let written = board.begin(0).and_then(|()| board.write(&entries));
    written.map_err(|fault| Error::Environment {
        path: folder.to_owned(),
        message: fault.message,
        help: "free space, or set train.log.tensorboard = false".into(),
    })
}

/// `Event { wall_time, step, summary: [Value { tag, simple_value }] }`.
fn scalars(entry: &Entry) -> Vec<u8> {
    let mut summary = Vec::new();
    for (name, value) in entry.values() {
        let mut scalar = Vec::new();
        put_bytes(&mut scalar, 1, name.as_bytes());
        put_key(&mut scalar, 2, 5);
        scalar.extend_from_slice(&(value as f32).to_le_bytes());
        put_bytes(&mut summary, 1, &scalar);
    }
    let mut bytes = event(entry.millis, entry.record.step);
    put_bytes(&mut bytes, 5, &summary);
    bytes
}

/// `Event { wall_time, step }`, to which a field is added.
fn event(millis: u64, step: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_key(&mut bytes, 1, 1);
    bytes.extend_from_slice(&(millis as f64 / 1000.0).to_le_bytes());
    put_varint_field(&mut bytes, 2, step);
    bytes
}

fn put_key(to: &mut Vec<u8>, field: u64, wire: u64) {
    put_varint(to, (field << 3) | wire);
}

fn put_varint_field(to: &mut Vec<u8>, field: u64, value: u64) {
    put_key(to, field, 0);
    put_varint(to, value);
}

fn put_bytes(to: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_key(to, field, 2);
    put_varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// Frames one record.
fn put_record(to: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    to.extend_from_slice(&length);
    to.extend_from_slice(&masked_crc(&length).to_le_bytes());
    to.extend_from_slice(data);
    to.extend_from_slice(&masked_crc(data).to_le_bytes());
}

/// A checksum of data that may hold checksums, as TFRecord masks it.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli, reflected polynomial `0x82f63b78`), bit by bit: a few hundred bytes per step.
fn crc32c(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::queue::tests::record;
    use super::*;

    /// An event as a reader meets it.
    #[derive(Debug, Default, PartialEq)]
    struct Read {
        wall_time: f64,
        step: u64,
        version: Option<String>,
        session: Option<u64>,
        scalars: BTreeMap<String, f32>,
    }

    /// The records of a file; every checksum is held against one computed by a table.
    fn records(mut bytes: &[u8]) -> Vec<&[u8]> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_at(8);
            let (length_crc, rest) = rest.split_at(4);
            assert_eq!(length_crc, unmask(length).to_le_bytes());
            let n = u64::from_le_bytes(length.try_into().unwrap()) as usize;
            let (data, rest) = rest.split_at(n);
            let (data_crc, rest) = rest.split_at(4);
            assert_eq!(data_crc, unmask(data).to_le_bytes());
            found.push(data);
            bytes = rest;
        }
        found
    }

    fn unmask(data: &[u8]) -> u32 {
        let table: Vec<u32> = (0..256u32)
            .map(|n| {
                (0..8).fold(n, |c, _| if c & 1 == 1 { 0x82f6_3b78 ^ (c >> 1) } else { c >> 1 })
            })
            .collect();
        let step = |crc: u32, byte: &u8| table[(crc as u8 ^ byte) as usize] ^ (crc >> 8);
        let crc = !data.iter().fold(!0, step);
        crc.rotate_right(15).wrapping_add(0xa282_ead8)
    }

    enum Field<'a> {
        Number(u64),
        Fixed(&'a [u8]),
        Bytes(&'a [u8]),
    }

    fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let (first, rest) = bytes.split_first().unwrap();
                *bytes = rest;
                value |= u64::from(first & 0x7f) << shift;
                if first & 0x80 == 0 {
                    break;
                }
            }
            value
        }
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let n = match key & 7 {
                0 => {
                    found.push((key >> 3, Field::Number(varint(&mut bytes))));
                    continue;
                }
                1 => 8,
                2 => varint(&mut bytes) as usize,
                5 => 4,
                other => panic!("wire type {other}"),
            };
            let (taken, rest) = bytes.split_at(n);
            bytes = rest;
            let field = if key & 7 == 2 { Field::Bytes(taken) } else { Field::Fixed(taken) };
            found.push((key >> 3, field));
        }
        found
    }

    fn decode(data: &[u8]) -> Read {
        let mut read = Read::default();
        for (number, field) in fields(data) {
            match (number, field) {
                (1, Field::Fixed(bytes)) => {
                    read.wall_time = f64::from_le_bytes(bytes.try_into().unwrap());
                }
                (2, Field::Number(step)) => read.step = step,
                (3, Field::Bytes(text)) => {
                    read.version = Some(String::from_utf8(text.to_vec()).unwrap());
                }
                (5, Field::Bytes(summary)) => {
                    for (_, value) in fields(summary) {
                        let Field::Bytes(value) = value else { panic!("not a message") };
                        let mut scalar = fields(value).into_iter();
                        let Some((1, Field::Bytes(tag))) = scalar.next() else { panic!("no tag") };
                        let Some((2, Field::Fixed(number))) = scalar.next() else {
                            panic!("no value")
                        };
                        let tag = String::from_utf8(tag.to_vec()).unwrap();
                        read.scalars.insert(tag, f32::from_le_bytes(number.try_into().unwrap()));
                    }
                }
                (7, Field::Bytes(session)) => {
                    let Some((1, Field::Number(status))) = fields(session).into_iter().next()
                    else {
                        panic!("no status")
                    };
                    read.session = Some(status);
                }
                (number, _) => panic!("field {number}"),
            }
        }
        read
    }

    fn events(folder: &Path) -> Vec<Vec<Read>> {
        let mut paths: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let read = |path: &PathBuf| std::fs::read(path).unwrap();
        paths.iter().map(|path| records(&read(path)).into_iter().map(decode).collect()).collect()
    }

    #[test]
    fn checksums_are_those_of_rfc_3720() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn event_files_hold_every_figure_and_a_resumed_training_voids_what_it_does_again() {
        let folder = tempfile::tempdir().unwrap();
        let entry = |step| Entry { millis: 1_700_000_000_500 + step, record: record(step) };
        let mut first = TensorBoard::new(folder.path().join("train.a"));
        first.begin(0).unwrap();
        first.write(&[entry(1), entry(2), entry(300)]).unwrap();
        first.end(Outcome::Interrupted).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(3));
        let mut second = TensorBoard::new(folder.path().join("train.a"));
        second.begin(2).unwrap();
        second.write(&[entry(3)]).unwrap();

        let files = events(&folder.path().join("train.a"));
        assert_eq!(files.len(), 2);
        for (file, next) in files.iter().zip([1, 3]) {
            assert_eq!(file[0].version.as_deref(), Some("brain.Event:2"));
            assert_eq!((file[1].session, file[1].step), (Some(1), next));
        }
        let steps: Vec<u64> = files[0][2..].iter().map(|event| event.step).collect();
        assert_eq!(steps, [1, 2, 300]);
        let last = &files[1][2];
        assert_eq!((last.step, last.wall_time), (3, 1_700_000_000.503));
        let expected = [
            ("loss", 1.0 / 3.0),
            ("learning_rate", 0.1),
            ("grad_norm", 2.0),
            ("tokens_per_s", 9.0),
            ("rewards/margins", 0.75),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value as f32));
        assert_eq!(last.scalars, BTreeMap::from(expected));
    }

    #[test]
    fn a_finished_training_is_written_at_once_and_a_folder_that_cannot_be_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("board");
        write_finished(&to, (1..=4).map(record).collect(), 1_000).unwrap();
        let files = events(&to);
        assert_eq!(files[0].len(), 6);
        assert_eq!((files[0][5].step, files[0][5].wall_time), (4, 1.0));
        let blocked = folder.path().join("file");
        std::fs::write(&blocked, "in the way").unwrap();
        let error = write_finished(&blocked, vec![record(1)], 0).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("cannot write event files"), "{error}");
    }
}
