//! A table of item vectors and its files: `.npy` (NumPy's format 1-3) and `.safetensors`.
//!
//! Reads only what can be meant: little-endian f32, two axes, C order, finite numbers. Knows nothing
//! of where the vectors come from.

use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::numbers::Numbers;
use crate::error::{Error, Result};
use crate::store::{map, write_atomic};

/// Name of the tensor in a `.safetensors` file that holds several.
const TENSOR: &str = "vectors";

/// One vector per item, finite, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    /// Numbers per vector.
    pub dim: usize,
    /// All numbers, `[items, dim]`.
    pub data: Numbers,
}

/// Length of a vector, for numbers of any size.
pub fn norm(vector: &[f32]) -> f64 {
    vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

impl Vectors {
    /// Vectors `[items, dim]` made by this program; `origin` names them in the error.
    ///
    /// # Errors
    /// [`Error::Data`] when the numbers do not form rows or one is not finite (row and column named).
    pub fn new(dim: usize, data: impl Into<Numbers>, origin: impl AsRef<Path>) -> Result<Self> {
        let (origin, data) = (origin.as_ref(), data.into());
        if dim == 0 || data.is_empty() || !data.len().is_multiple_of(dim) {
            let message = match (dim, data.len()) {
                (0, _) => "expected vectors of at least one number, found none in a vector".into(),
                (_, 0) => "expected at least one vector, found none".into(),
                (dim, n) => format!("{n} numbers do not form vectors of {dim} numbers"),
            };
            return Err(Error::data(origin, message));
        }
        if let Some(at) = data.iter().position(|x| !x.is_finite()) {
            let (row, column, value) = (at / dim, at % dim, data[at]);
            let message = format!(
                "row {row}, column {column} (from 0) is {value}, not a number to compute with"
            );
            return Err(Error::data(origin, message)
                .with_help("items without a vector must be left out or given a vector of zeros"));
        }
        Ok(Self { dim, data })
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    /// Whether there are no vectors; never true of a table that was checked.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The vector of one row, `[dim]`.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.dim..(row + 1) * self.dim]
    }

    /// The vectors one by one, `[dim]` each.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.data.chunks_exact(self.dim)
    }

    /// BLAKE3 of the content: dimension as `u64` and all numbers, little-endian, in hexadecimal digits. Equal hashes mean
    /// equal vectors in equal order, whatever file they came from.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(self.dim as u64).to_le_bytes());
        // In pieces, so that no second copy of all numbers is made.
        for numbers in self.data.chunks(1 << 14) {
            hasher.update(&f32_bytes(numbers));
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Reads a `.npy` or `.safetensors` file, which must hold one row per item where `items` is
    /// given.
    ///
    /// # Errors
    /// [`Error::Data`] naming what was expected and found: file type, number type, axes, order,
    /// number of rows, or a number that is not finite.
    pub fn read(path: &Path, items: Option<usize>) -> Result<Self> {
        let Self { dim, data } = Self::map(path, items)?;
        Ok(Self { dim, data: data.into_vec().into() })
    }

    /// The same where the numbers stay in the file, which must not change as long as they are looked at: memory does not
    /// grow with them.
    ///
    /// # Errors
    /// As [`Vectors::read`].
    pub fn map(path: &Path, items: Option<usize>) -> Result<Self> {
        let bytes = map(path)?;
        let (dim, numbers) = parsed(path, &bytes)?;
        let vectors = Self::new(dim, Numbers::mapped(bytes, numbers), path)?;
        match items {
            Some(items) if items != vectors.len() => {
                Err(Error::data(path, format!("{} vectors for {items} items", vectors.len()))
                    .with_help("the file needs one row per item, in the order of the items table"))
            }
            _ => Ok(vectors),
        }
    }

    /// Checks all that [`Vectors::read`] checks but the numbers, which are not read.
    ///
    /// # Errors
    /// As [`Vectors::read`].
    pub fn check_header(path: &Path) -> Result<()> {
        parsed(path, &map(path)?).map(drop)
    }

    /// Writes a `.npy` or `.safetensors` file, by its name, atomically.
    ///
    /// # Errors
    /// [`Error::Data`] for another file name, [`Error::Environment`] when the disk refuses.
    pub fn write(&self, path: &Path) -> Result<()> {
        self.write_noted(path, None)
    }

    /// As [`Vectors::write`], with notes in the metadata of a `.safetensors` file; a `.npy` file has no room for any.
    pub(super) fn write_noted(
        &self,
        path: &Path,
        notes: Option<HashMap<String, String>>,
    ) -> Result<()> {
        match extension(path) {
            "npy" => write_atomic(path, |out| {
                self.write_npy(out).map_err(|e| Error::unwritable(path, &e))
            }),
            "safetensors" => {
                let bytes = f32_bytes(&self.data);
                let view = TensorView::new(Dtype::F32, vec![self.len(), self.dim], &bytes)
                    .map_err(|e| Error::data(path, format!("vectors cannot be stored: {e}")))?;
                let file = safetensors::serialize([(TENSOR, view)], notes)
                    .map_err(|e| Error::data(path, format!("vectors cannot be stored: {e}")))?;
                write_atomic(path, |out| {
                    out.write_all(&file).map_err(|e| Error::unwritable(path, &e))
                })
            }
            _ => Err(unknown_type(path)),
        }
    }

    fn write_npy(&self, out: &mut impl Write) -> std::io::Result<()> {
        let (items, dim) = (self.len(), self.dim);
        let mut header =
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({items}, {dim}), }}");
        // Magic, version and length take 10 bytes; the data must start at a multiple of 64.
        while !(10 + header.len() + 1).is_multiple_of(64) {
            header.push(' ');
        }
        header.push('\n');
        out.write_all(b"\x93NUMPY\x01\x00")?;
        // Under 128 bytes: two numbers of at most 20 digits and fixed words.
        out.write_all(&(header.len() as u16).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        out.write_all(&f32_bytes(&self.data))
    }
}

/// Numbers per vector, and the bytes of a file that are the numbers of all.
fn parsed(path: &Path, bytes: &[u8]) -> Result<(usize, Range<usize>)> {
    let (dim, numbers) = match extension(path) {
        "npy" => npy(path, bytes)?,
        "safetensors" => safetensors(path, bytes)?,
        _ => return Err(unknown_type(path)),
    };
    // They are a part of the bytes, which ends where the file does unless there are other tensors.
    let first = numbers.as_ptr().addr() - bytes.as_ptr().addr();
    Ok((dim, first..first + numbers.len()))
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default()
}

fn unknown_type(path: &Path) -> Error {
    Error::data(path, "vectors must be a .npy or .safetensors file")
}

fn wrong_type(path: &Path, found: &str) -> Error {
    Error::data(path, format!("expected little-endian f32 numbers, found {found}"))
        .with_help("convert them, in NumPy: np.save(path, vectors.astype('<f4'))")
}

fn wrong_shape(path: &Path, found: &str) -> Error {
    Error::data(path, format!("expected two axes [items, dim], found {found}"))
}

/// `[items, dim]` of a `.npy` file: magic, version, header length, a Python literal, raw numbers.
fn npy<'b>(path: &Path, bytes: &'b [u8]) -> Result<(usize, &'b [u8])> {
    let damaged = |what: &str| Error::data(path, format!("not a whole .npy file: {what}"));
    if !bytes.starts_with(b"\x93NUMPY") || bytes.len() < 12 {
        return Err(damaged("no NumPy header"));
    }
    let (at, length): (usize, usize) = match bytes[6] {
        1 => (10, usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))),
        2 | 3 => (12, u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize),
        version => return Err(damaged(&format!("format version {version} is unknown"))),
    };
    let header = at.checked_add(length).and_then(|end| bytes.get(at..end));
    let header = header.ok_or_else(|| damaged("the header is cut off"))?;
    let numbers = &bytes[at + length..];
    let header = String::from_utf8_lossy(header);
    let field = |name: &str| {
        let after = header.split_once(&format!("'{name}'"))?.1;
        Some(after.trim_start().strip_prefix(':')?.trim_start())
    };
    let missing = |name: &str| damaged(&format!("the header has no {name}"));
    let descr = field("descr").ok_or_else(|| missing("descr"))?;
    if !descr.starts_with("'<f4'") {
        let found = descr.split([',', '}']).next().unwrap_or_default();
        return Err(wrong_type(path, found.trim_matches(['\'', ' '])));
    }
    if !field("fortran_order").ok_or_else(|| missing("fortran_order"))?.starts_with("False") {
        return Err(Error::data(path, "expected C order, found Fortran order")
            .with_help("in NumPy: np.save(path, np.ascontiguousarray(vectors))"));
    }
    let shape = field("shape")
        .and_then(|shape| shape.strip_prefix('(')?.split_once(')').map(|(inside, _)| inside))
        .ok_or_else(|| missing("shape"))?;
    let axes: Option<Vec<usize>> = shape
        .split(',')
        .map(str::trim)
        .filter(|axis| !axis.is_empty())
        .map(|axis| axis.parse().ok())
        .collect();
    let Some([items, dim]) = axes.as_deref() else {
        return Err(wrong_shape(path, &format!("({})", shape.trim())));
    };
    let expected = items.checked_mul(*dim).and_then(|n| n.checked_mul(4));
    if expected != Some(numbers.len()) {
        let found = numbers.len();
        return Err(damaged(&format!(
            "shape ({items}, {dim}) does not fit {found} bytes of numbers"
        )));
    }
    Ok((*dim, numbers))
}

/// `[items, dim]` of the tensor called `vectors`, or of the only tensor.
fn safetensors<'b>(path: &Path, bytes: &'b [u8]) -> Result<(usize, &'b [u8])> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|e| Error::data(path, format!("not a whole .safetensors file: {e}")))?;
    let names = file.names();
    let name = match names.as_slice() {
        [only] => *only,
        _ if names.contains(&TENSOR) => TENSOR,
        _ => {
            let message =
                format!("expected one tensor or one called {TENSOR}, found {}", names.len());
            return Err(Error::data(path, message));
        }
    };
    let tensor = file.tensor(name).map_err(|e| Error::data(path, e.to_string()))?;
    if tensor.dtype() != Dtype::F32 {
        return Err(wrong_type(path, &tensor.dtype().to_string()));
    }
    let &[_, dim] = tensor.shape() else {
        let axes: Vec<String> = tensor.shape().iter().map(usize::to_string).collect();
        return Err(wrong_shape(path, &format!("[{}]", axes.join(", "))));
    };
    Ok((dim, tensor.data()))
}

fn f32_bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn message(path: &Path, bytes: &[u8], items: Option<usize>) -> String {
        std::fs::write(path, bytes).unwrap();
        Vectors::read(path, items).unwrap_err().to_string()
    }

    /// A version-1 file as NumPy writes it, from the text of its header.
    fn npy(header: &str, numbers: &[f32]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        bytes
    }

    #[test]
    fn both_formats_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let vectors = Vectors::new(3, vec![1.0, -2.5, 0.0, 4.0, 5.0, 1e-30], "test").unwrap();
        for name in ["v.npy", "v.safetensors"] {
            let path = folder.path().join(name);
            vectors.write(&path).unwrap();
            assert_eq!(Vectors::read(&path, Some(2)).unwrap(), vectors);
            let mut mapped = Vectors::map(&path, Some(2)).unwrap();
            assert_eq!((&mapped, mapped.hash()), (&vectors, vectors.hash()));
            mapped.data.to_mut().push(1.0);
            assert_eq!((mapped.data.len(), mapped.clone().data.into_vec()[6]), (7, 1.0));
            let text = Vectors::read(&path, Some(3)).unwrap_err().to_string();
            assert!(text.contains("2 vectors for 3 items"), "{text}");
            let whole = std::fs::read(&path).unwrap();
            let cut = &whole[..whole.len() - 1];
            assert!(message(&path, cut, None).contains("not a whole"));
        }
        assert!(vectors.write(&folder.path().join("v.bin")).is_err());
    }

    #[test]
    fn a_header_of_numpy_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.npy");
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }   \n";
        std::fs::write(&path, npy(header, &[1.5, 2.0])).unwrap();
        assert_eq!(*Vectors::read(&path, None).unwrap().data, [1.5, 2.0]);
        assert_eq!(*Vectors::map(&path, None).unwrap().data, [1.5, 2.0]);
        let say = |header: &str| message(&path, &npy(header, &[1.5, 2.0]), None);
        let odd = say("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1), }");
        assert!(odd.contains("found <f8") && odd.contains("astype"), "{odd}");
        assert!(
            say("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }").contains("Fortran")
        );
        assert!(
            say("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }").contains("found (2,)")
        );
        assert!(
            say("{'descr': '<f4', 'fortran_order': False, 'shape': (9, 9), }").contains("(9, 9)")
        );
        assert!(say("{'descr': '<f4'}").contains("no fortran_order"));
        assert!(message(&path, b"hello, this is text", None).contains("no NumPy header"));
        assert!(message(&path, b"", None).contains("empty"));
    }

    #[test]
    fn the_hash_is_that_of_dimension_and_numbers() {
        let numbers: Vec<f32> = (0..40_000u16).map(f32::from).collect();
        let vectors = Vectors::new(4, numbers.clone(), "test").unwrap();
        let mut bytes = 4u64.to_le_bytes().to_vec();
        bytes.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        assert_eq!(vectors.hash(), blake3::hash(&bytes).to_hex().to_string());
        let reshaped = Vectors::new(5, numbers.clone(), "other").unwrap();
        assert_ne!(vectors.hash(), reshaped.hash());
        let mut other = numbers;
        other[39_999] = 0.5;
        assert_ne!(vectors.hash(), Vectors::new(4, other, "test").unwrap().hash());
    }

    #[test]
    fn what_is_not_finite_is_named_by_row_and_column() {
        for bad in [f32::NAN, f32::INFINITY] {
            let error = Vectors::new(2, vec![0.0, 1.0, 2.0, bad], "vectors.npy").unwrap_err();
            assert!(error.to_string().contains("vectors.npy: row 1, column 1 (from 0)"), "{error}");
        }
        assert!(Vectors::new(2, vec![0.0; 3], "x").is_err());
        assert!(Vectors::new(0, Vec::new(), "x").is_err());
    }
}
