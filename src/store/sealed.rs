//! Sealed files: a payload behind its kind, format version and checksum, so that truncation and
//! flipped bits are noticed before anything is made of them.
//!
//! Layout, little-endian: 8 bytes magic `trieval\0`, 8 bytes kind (ASCII, zero-padded), `u32`
//! version, `u64` payload length, 32 bytes BLAKE3 of the payload, payload.

use std::io::Write;
use std::path::Path;

use super::write_atomic;
use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"trieval\0";
const HEADER: usize = 8 + 8 + 4 + 8 + 32;

/// What a sealed file holds, and which version of it this program writes.
#[derive(Debug, Clone, Copy)]
pub struct SealKind {
    /// At most eight ASCII bytes, for instance `"ckpt"`.
    pub kind: &'static str,
    /// Version of the payload's layout.
    pub version: u32,
}

impl SealKind {
    fn tag(self) -> [u8; 8] {
        let mut tag = [0; 8];
        for (to, from) in tag.iter_mut().zip(self.kind.bytes()) {
            *to = from;
        }
        tag
    }
}

/// Writes a sealed file, atomically.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses.
pub fn write_sealed(path: &Path, kind: SealKind, payload: &[u8]) -> Result<()> {
    write_atomic(path, |writer| {
        let mut put =
            |bytes: &[u8]| writer.write_all(bytes).map_err(|e| Error::unwritable(path, &e));
        put(MAGIC)?;
        put(&kind.tag())?;
        put(&kind.version.to_le_bytes())?;
        put(&(payload.len() as u64).to_le_bytes())?;
        put(blake3::hash(payload).as_bytes())?;
        put(payload)
    })
}

/// Reads the payload of a sealed file.
///
/// # Errors
/// [`Error::Data`] when the file is missing, of another kind or version, truncated or altered.
pub fn read_sealed(path: &Path, kind: SealKind) -> Result<Vec<u8>> {
    let mut bytes = std::fs::read(path).map_err(|e| Error::unreadable(path, &e))?;
    let fault = |message: String| {
        Error::data(path, message)
            .with_help("delete this file; the step that wrote it will be done again")
    };
    if bytes.len() < HEADER {
        let got = bytes.len();
        return Err(fault(format!(
            "truncated: expected a header of {HEADER} bytes, got {got} bytes"
        )));
    }
    if &bytes[..8] != MAGIC || bytes[8..16] != kind.tag() {
        return Err(fault(format!("is not a {} file of trieval", kind.kind)));
    }
    let version = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
    if version != kind.version {
        let expected = kind.version;
        return Err(fault(format!("has format version {version}, expected {expected}")));
    }
    let mut length = [0; 8];
    length.copy_from_slice(&bytes[20..28]);
    let (expected, got) = (u64::from_le_bytes(length), (bytes.len() - HEADER) as u64);
    if expected != got {
        return Err(fault(format!("truncated: expected {expected} bytes of content, got {got}")));
    }
    if blake3::hash(&bytes[HEADER..]).as_bytes() != &bytes[28..HEADER] {
        return Err(fault("altered: the content does not match its checksum".into()));
    }
    Ok(bytes.split_off(HEADER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: SealKind = SealKind { kind: "test", version: 3 };

    #[test]
    fn round_trips_and_notices_every_flipped_bit_and_cut() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("file");
        write_sealed(&path, KIND, b"payload").expect("write");
        assert_eq!(read_sealed(&path, KIND).expect("read"), b"payload");
        let good = std::fs::read(&path).expect("bytes");
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, bad).expect("write");
            assert!(read_sealed(&path, KIND).is_err(), "bit {bit}");
        }
        for length in 0..good.len() {
            std::fs::write(&path, &good[..length]).expect("write");
            assert!(read_sealed(&path, KIND).is_err(), "cut at {length}");
        }
        std::fs::write(&path, &good).expect("write");
        assert!(read_sealed(&path, SealKind { kind: "other", ..KIND }).is_err());
        assert!(read_sealed(&path, SealKind { version: 4, ..KIND }).is_err());
    }
}
