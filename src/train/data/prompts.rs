//! Prompts of the training requests as token ids: rendered once, mapped by everything that learns from them.
//!
//! Layout, little-endian: 8 bytes magic `trprompt`, `u64` version; the tokens, `u32` each; per request where its
//! prompt begins (`u64`, in tokens) and its length (`u64`), for both forms; `u64` number of tokens, `u64` number of
//! requests. What a token means is the tokenizer's business.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};
use crate::store::{Map, map, write_atomic};

const MAGIC: &[u8; 8] = b"trprompt";
const VERSION: u64 = 1;
const HEADER: usize = 16;
/// Begin and length, twice.
const ENTRY: usize = 4 * 8;
const FOOTER: usize = 16;

/// What is asked with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The request itself.
    Asked,
    /// A request without query is a sequence and asks for its last item; any other asks itself.
    BeforeLast,
}

/// A request, rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// As [`Form::Asked`].
    pub asked: Vec<u32>,
    /// As [`Form::BeforeLast`], where that differs.
    pub before_last: Option<Vec<u32>>,
}

/// Tokens of the prompts, by number.
#[derive(Debug)]
pub enum Prompts {
    /// In memory.
    Held(Vec<Vec<u32>>),
    /// In a file.
    Mapped(PromptFile),
}

/// A file of prompts, of which one form is read.
#[derive(Debug)]
pub struct PromptFile {
    map: Map,
    n_tokens: usize,
    n_requests: usize,
    form: Form,
}

/// Writes the prompts of all requests, chunk by chunk.
///
/// # Errors
/// The error of a chunk, or [`Error::Environment`] when the disk refuses; no file appears then.
pub fn write_prompts(
    path: &Path,
    chunks: impl IntoIterator<Item = Result<Vec<Rendered>>>,
) -> Result<()> {
    write_atomic(path, |writer| {
        let mut put =
            |bytes: &[u8]| writer.write_all(bytes).map_err(|e| Error::unwritable(path, &e));
        put(MAGIC)?;
        put(&VERSION.to_le_bytes())?;
        let (mut n_tokens, mut entries) = (0u64, Vec::<[u64; 4]>::new());
        let mut put_tokens = |tokens: &[u32]| -> Result<[u64; 2]> {
            for token in tokens {
                put(&token.to_le_bytes())?;
            }
            let begin = n_tokens;
            n_tokens += tokens.len() as u64;
            Ok([begin, tokens.len() as u64])
        };
        for chunk in chunks {
            for rendered in chunk? {
                let asked = put_tokens(&rendered.asked)?;
                let before = match &rendered.before_last {
                    Some(tokens) => put_tokens(tokens)?,
                    None => asked,
                };
                entries.push([asked[0], asked[1], before[0], before[1]]);
            }
        }
        for number in entries.iter().flatten().chain(&[n_tokens, entries.len() as u64]) {
            put(&number.to_le_bytes())?;
        }
        Ok(())
    })
}

impl Prompts {
    /// Maps a file of prompts.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is missing, of another version, cut, or points outside of itself.
    pub fn open(path: &Path, form: Form) -> Result<Self> {
        PromptFile::open(path, form).map(Self::Mapped)
    }

    /// Number of prompts.
    pub fn len(&self) -> usize {
        match self {
            Self::Held(prompts) => prompts.len(),
            Self::Mapped(file) => file.n_requests,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens of prompt `number`, which must be below [`Prompts::len`].
    pub fn tokens(&self, number: u32) -> Cow<'_, [u32]> {
        match self {
            Self::Held(prompts) => Cow::Borrowed(&prompts[number as usize]),
            Self::Mapped(file) => Cow::Owned(file.tokens(number as usize)),
        }
    }

    /// Number of tokens of prompt `number`, which must be below [`Prompts::len`].
    pub fn length(&self, number: u32) -> u32 {
        match self {
            Self::Held(prompts) => prompts[number as usize].len() as u32,
            Self::Mapped(file) => file.entry(number as usize).1 as u32,
        }
    }
}

impl From<Vec<Vec<u32>>> for Prompts {
    fn from(prompts: Vec<Vec<u32>>) -> Self {
        Self::Held(prompts)
    }
}

impl PromptFile {
    fn open(path: &Path, form: Form) -> Result<Self> {
        let fault = |message: &str| {
            Error::data(path, message)
                .with_help("delete this file; the step that wrote it will be done again")
        };
        let map = map(path)?;
        if map.len() < HEADER + FOOTER || &map[..8] != MAGIC {
            return Err(fault("is not a prompts file of trieval"));
        }
        let version = number(&map, 8);
        if version != VERSION {
            return Err(fault(&format!("has format version {version}, expected {VERSION}")));
        }
        let footer = map.len() - FOOTER;
        let (n_tokens, n_requests) = (number(&map, footer), number(&map, footer + 8));
        let table = n_requests.checked_mul(ENTRY as u64);
        let expected = n_tokens.checked_mul(4).zip(table).and_then(|(a, b)| a.checked_add(b));
        if expected != Some((footer - HEADER) as u64) {
            return Err(fault("is cut or altered: its parts do not add up to its length"));
        }
        // Both are smaller than the file's length now.
        let (n_tokens, n_requests) = (n_tokens as usize, n_requests as usize);
        let file = Self { map, n_tokens, n_requests, form };
        let fits = |(begin, length): (usize, usize)| {
            begin.checked_add(length).is_some_and(|end| end <= n_tokens)
        };
        if !(0..n_requests).all(|request| fits(file.entry(request))) {
            return Err(fault("is altered: a prompt lies outside of the file"));
        }
        Ok(file)
    }

    /// First token and number of tokens.
    fn entry(&self, request: usize) -> (usize, usize) {
        let form = match self.form {
            Form::Asked => 0,
            Form::BeforeLast => 16,
        };
        let at = HEADER + self.n_tokens * 4 + request * ENTRY + form;
        (number(&self.map, at) as usize, number(&self.map, at + 8) as usize)
    }

    fn tokens(&self, request: usize) -> Vec<u32> {
        let (begin, length) = self.entry(request);
        let bytes = &self.map[HEADER + begin * 4..][..length * 4];
        bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }
}

/// The number whose eight bytes begin at `at`.
fn number(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rendered() -> Vec<Rendered> {
        vec![
            Rendered { asked: vec![7, 8, 9], before_last: None },
            Rendered { asked: vec![1, u32::MAX], before_last: Some(vec![1]) },
            Rendered { asked: vec![5], before_last: Some(Vec::new()) },
        ]
    }

    fn written(path: &Path) {
        let (first, rest) = (rendered()[..1].to_vec(), rendered()[1..].to_vec());
        write_prompts(path, [Ok(first), Ok(Vec::new()), Ok(rest)]).unwrap();
    }

    #[test]
    fn both_forms_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prompts.bin");
        written(&path);
        let all = |form| -> Vec<Vec<u32>> {
            let prompts = Prompts::open(&path, form).unwrap();
            let read = |number| {
                let tokens = prompts.tokens(number).into_owned();
                assert_eq!(prompts.length(number) as usize, tokens.len());
                tokens
            };
            (0..prompts.len() as u32).map(read).collect()
        };
        assert_eq!(all(Form::Asked), [vec![7, 8, 9], vec![1, u32::MAX], vec![5]]);
        assert_eq!(all(Form::BeforeLast), [vec![7, 8, 9], vec![1], vec![]]);
        write_prompts(&path, []).unwrap();
        assert!(Prompts::open(&path, Form::Asked).unwrap().is_empty());
    }

    #[test]
    fn a_chunk_that_fails_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prompts.bin");
        let error = write_prompts(&path, [Ok(rendered()), Err(Error::Interrupted)]).unwrap_err();
        assert_eq!(error.exit_code(), 130);
        assert!(!path.exists());
    }

    #[test]
    fn cut_files_and_wrong_numbers_are_refused_and_never_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prompts.bin");
        written(&path);
        let good = std::fs::read(&path).unwrap();
        for length in 0..good.len() {
            std::fs::write(&path, &good[..length]).unwrap();
            assert!(Prompts::open(&path, Form::Asked).is_err(), "cut at {length}");
        }
        // Every number beside the tokens, made huge: tokens fill 7 · 4 bytes behind the header.
        let tokens = HEADER..HEADER + 7 * 4;
        for at in (0..HEADER).chain(tokens.end..good.len()).step_by(8) {
            let mut bad = good.clone();
            bad[at..at + 8].fill(0xff);
            std::fs::write(&path, bad).unwrap();
            let refused = [Form::Asked, Form::BeforeLast].map(|f| Prompts::open(&path, f).is_err());
            assert!(refused.contains(&true), "number at {at}");
        }
    }
}
