//! From texts to the image of an [`FmIndex`].
//!
//! At its peak a build holds the stream of all texts (4 bytes per token and per text), the rows as
//! they are sorted (4, or 8 from 2^32 rows on) and either a copy of a part of them or the image: 9
//! to 13 bytes per token for texts of a dozen tokens. The same bytes for any number of threads.

use rayon::prelude::*;

use super::bits::Bits;
use super::fm_index::FmIndex;
use super::layout::{Build, Counts, Layout, MOST_TOKENS, STRIDE};
use super::packed::width_of;
use super::sort::{self, Limits, SEPARATOR};
use super::wavelet::{Wavelet, reversed};
use super::word::Word;
use crate::index::error::IndexError;
use crate::map::Bytes;

/// Collects texts, any number per item and in any order.
///
/// ```
/// # use trieval_kernels::index::{IndexError, fm::{Build, FmBuilder}};
/// # fn main() -> Result<(), IndexError> {
/// let mut builder = FmBuilder::new(100, 2)?;
/// builder.push(0, &[7, 8, 9])?;
/// builder.push(1, &[8, 9])?;
/// let index = builder.build(Build::Compact)?;
/// let rows = index.find(&[8, 9]).expect("both have it");
/// assert_eq!(rows.count(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FmBuilder {
    alphabet: u32,
    n_items: u32,
    /// Texts one after another, each behind a separator; tokens are counted from 1.
    stream: Vec<u32>,
    /// Where each text's separator lies, `[texts]`.
    starts: Vec<u64>,
    /// Item of each text, `[texts]`.
    items: Vec<u32>,
}

impl FmBuilder {
    /// No text yet. Tokens are below `alphabet`, items below `n_items`; an item may have no text,
    /// and then no span finds it.
    ///
    /// # Errors
    /// An alphabet of no token or of more than 2^20, or no items.
    pub fn new(alphabet: u32, n_items: u32) -> Result<Self, IndexError> {
        if !(1..=MOST_TOKENS).contains(&alphabet) {
            return Err(IndexError::Alphabet { got: alphabet, most: MOST_TOKENS });
        }
        if n_items == 0 {
            return Err(IndexError::Empty);
        }
        let (stream, starts, items) = Default::default();
        Ok(Self { alphabet, n_items, stream, starts, items })
    }

    /// Adds a text of an item. An empty text has no span and adds nothing.
    ///
    /// # Errors
    /// A token or an item that is not below its bound; the builder stays as it was.
    pub fn push(&mut self, item: u32, tokens: &[u32]) -> Result<(), IndexError> {
        let (alphabet, items) = (self.alphabet, self.n_items);
        if item >= items {
            return Err(IndexError::ItemOutOfRange { item, items });
        }
        if let Some(at) = tokens.iter().position(|&token| token >= alphabet) {
            return Err(IndexError::TokenOutOfRange { item, at, token: tokens[at], alphabet });
        }
        if tokens.is_empty() {
            return Ok(());
        }
        self.starts.push(self.stream.len() as u64);
        self.items.push(item);
        self.stream.push(SEPARATOR);
        self.stream.extend(tokens.iter().map(|token| token + 1));
        Ok(())
    }

    /// Number of tokens so far.
    pub fn n_tokens(&self) -> u64 {
        (self.stream.len() - self.starts.len()) as u64
    }

    /// Builds the index.
    ///
    /// # Errors
    /// No text has a token.
    pub fn build(self, build: Build) -> Result<FmIndex, IndexError> {
        if u32::try_from(self.stream.len()).is_ok() {
            self.build_as::<u32>(build, Limits::default())
        } else {
            self.build_as::<u64>(build, Limits::default())
        }
    }

    /// The same with rows of a given width, and limits of the sort.
    pub(super) fn build_as<W: Word>(
        mut self,
        build: Build,
        limits: Limits,
    ) -> Result<FmIndex, IndexError> {
        if self.stream.is_empty() {
            return Err(IndexError::NoTokens);
        }
        self.order_by_item();
        self.stream.shrink_to_fit();
        let symbols = Symbols::of(&self.stream, self.alphabet);
        let Self { alphabet, n_items, mut stream, starts, items } = self;
        stream.par_iter_mut().for_each(|token| *token = symbols.of_token[*token as usize]);
        let texts = Texts::new(&stream, &starts, &items);

        let mut rows: Vec<W> = sort::sorted(&stream, symbols.bits, limits);

        let stride = match build {
            Build::Compact if texts.longest() > u64::from(STRIDE) => STRIDE,
            _ => 0,
        };
        let n_texts = starts.len() as u64;
        let counts = Counts {
            build,
            alphabet,
            n_items,
            n_texts,
            n_tokens: stream.len() as u64 - n_texts,
            n_stored: match build {
                Build::Compact => texts.n_stored(stride),
                Build::Fast => stream.len() as u64,
            },
            n_levels: symbols.n_levels,
            stride,
        };
        let overflow = || IndexError::corrupt("the sizes of the index overflow");
        let layout = Layout::new(counts).ok_or_else(overflow)?;
        let mut image = vec![0u8; layout.end];
        layout.write_header(&mut image);
        layout.used.fill(&mut image, |token| symbols.of_token[token as usize + 1] != SEPARATOR);

        let row = |at: u64| rows[at as usize].get();
        match (build, &layout.marks) {
            (Build::Fast, _) => layout.items.fill(&mut image, |at| texts.item(row(at))),
            (Build::Compact, marks) => {
                if let Some(marks) = marks {
                    marks.fill(&mut image, |at| texts.is_stored(row(at), stride));
                }
                let of =
                    |&row: &W| texts.is_stored(row.get(), stride).then(|| texts.item(row.get()));
                let stored: Vec<u32> = rows.par_iter().filter_map(of).collect();
                layout.items.fill(&mut image, |at| stored[at as usize]);
            }
        }
        // What stands behind a row takes its place; behind a text's end there is a separator.
        let next = |row: W| stream.get(row.get() + 1).copied().unwrap_or(SEPARATOR);
        rows.par_iter_mut().for_each(|row| *row = W::of(next(*row) as usize));
        drop(texts);
        drop((stream, starts, items));
        layout.ends.fill(&mut image, |at| rows[at as usize].get() == SEPARATOR as usize);
        rows.retain(|symbol| symbol.get() != SEPARATOR as usize);
        rows.par_iter_mut().for_each(|symbol| *symbol = W::of(symbol.get() - 1));
        Wavelet::fill(&mut image, &layout.levels, rows);
        Ok(FmIndex::from_parts(Bytes::from(image), layout))
    }

    /// Puts the texts into the order of their items, those of one item as they came.
    fn order_by_item(&mut self) {
        if self.items.is_sorted() {
            return;
        }
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        order.sort_by_key(|&text| self.items[text]);
        let mut stream = Vec::with_capacity(self.stream.len());
        let mut starts = Vec::with_capacity(order.len());
        for &text in &order {
            let start = self.starts[text] as usize;
            let end = self.starts.get(text + 1).map_or(self.stream.len(), |&end| end as usize);
            starts.push(stream.len() as u64);
            stream.extend_from_slice(&self.stream[start..end]);
        }
        self.items = order.iter().map(|&text| self.items[text]).collect();
        (self.stream, self.starts) = (stream, starts);
    }
}

/// The symbols that tokens are sorted by.
struct Symbols {
    /// By token counted from 1, so that a separator stays one; 0 for a token that does not occur.
    of_token: Vec<u32>,
    /// Bits of the largest.
    bits: u32,
    /// Bits of the number of a token among those that occur.
    n_levels: u32,
}

impl Symbols {
    fn of(stream: &[u32], alphabet: u32) -> Self {
        let mut of_token = vec![0u32; alphabet as usize + 1];
        stream.iter().for_each(|&token| of_token[token as usize] = 1);
        of_token[SEPARATOR as usize] = 0;
        let n_used: u32 = of_token.iter().sum();
        let n_levels = width_of(n_used.into());
        let (mut number, mut largest) = (0, 0);
        for symbol in of_token.iter_mut().filter(|symbol| **symbol > 0) {
            // The order of rows is that of bits from the lowest up: see `wavelet`.
            *symbol = reversed(number, n_levels) + 1;
            largest = largest.max(*symbol);
            number += 1;
        }
        Self { of_token, bits: width_of(u64::from(largest) + 1), n_levels }
    }
}

/// Which text a place of the stream is in.
struct Texts<'a> {
    starts: &'a [u64],
    items: &'a [u32],
    n: u64,
    /// Separators of the stream.
    separators: Bits,
    image: Vec<u8>,
}

impl<'a> Texts<'a> {
    fn new(stream: &[u32], starts: &'a [u64], items: &'a [u32]) -> Self {
        let n = stream.len() as u64;
        let (separators, end) = Bits::at(0, n).unwrap_or_else(|| unreachable!("it is in memory"));
        let mut image = vec![0; end];
        separators.fill(&mut image, |at| stream[at as usize] == SEPARATOR);
        Self { starts, items, n, separators, image }
    }

    fn text(&self, place: usize) -> usize {
        self.separators.ones(&self.image, place as u64 + 1) as usize - 1
    }

    fn item(&self, place: usize) -> u32 {
        self.items[self.text(place)]
    }

    /// The place of a text's last token.
    fn last(&self, text: usize) -> u64 {
        self.starts.get(text + 1).copied().unwrap_or(self.n) - 1
    }

    fn lengths(&self) -> impl Iterator<Item = u64> + '_ {
        self.starts.iter().enumerate().map(|(text, start)| self.last(text) - start)
    }

    fn longest(&self) -> u64 {
        self.lengths().max().unwrap_or(0)
    }

    /// Whether the item of a row is stored in a compact build.
    fn is_stored(&self, place: usize, stride: u32) -> bool {
        if stride == 0 {
            return place as u64 + 1 == self.n
                || self.separators.bit(&self.image, place as u64 + 1);
        }
        (self.last(self.text(place)) - place as u64).is_multiple_of(stride.into())
    }

    fn n_stored(&self, stride: u32) -> u64 {
        let of = |length: u64| length.checked_div(stride.into()).unwrap_or(0) + 1;
        self.lengths().map(of).sum()
    }
}
