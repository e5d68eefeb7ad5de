//! Terms, postings and exact lengths of the items' fields: all that BM25 counts, before any constant.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::settings::Bm25Field;
use super::words::words;
use crate::corpus::{Catalogue, Corpus, ItemRow};
use crate::error::{Error, Result};
use crate::store::{Packer, SealKind, Unpacker};

const INDEX: SealKind = SealKind { kind: "postings", version: 1 };
/// The index inside the folder of its step.
const INDEX_FILE: &str = "postings.bin";

/// What is counted of a catalogue's texts, field by field.
pub struct Index {
    pub(super) terms: HashMap<String, u32>,
    /// Where each term's postings begin, `[terms + 1]`.
    pub(super) offsets: Vec<usize>,
    /// Items that hold a term in any field, by term, then item.
    pub(super) items: Vec<u32>,
    /// `[postings, fields]`: how often.
    pub(super) frequencies: Vec<u32>,
    /// `[items, fields]`: words.
    pub(super) lengths: Vec<u32>,
    pub(super) n_fields: usize,
    /// Terms of each item's fields, repeats included: what a history is asked with.
    pub(super) item_terms: Vec<Vec<u32>>,
    stem: bool,
}

impl Index {
    /// Indexes the fields of all items; without fields, title and further text as one.
    ///
    /// # Errors
    /// [`Error::Data`] when no item has a word in a field, or the corpus cannot be read.
    pub fn build(
        corpus: &Corpus,
        catalogue: &Catalogue,
        fields: &[Bm25Field],
        stem: bool,
    ) -> Result<Self> {
        let refuse =
            |what: String, help: String| Err(Error::data(corpus.folder(), what).with_help(help));
        if fields.is_empty() {
            let texts: Vec<&str> =
                (0..catalogue.len() as u32).map(|item| catalogue.text(item)).collect();
            let index = Self::of_texts(&texts, 1, stem);
            if index.terms.is_empty() {
                let help = "a system of kind bm25 needs the items' text: name the fields that hold it in [corpus]";
                return refuse("no item has a word of text".into(), help.into());
            }
            return Ok(index);
        }
        let mut texts: Vec<String> = Vec::with_capacity(catalogue.len() * fields.len());
        let mut found = vec![false; fields.len()];
        let mut known = vec!["title".to_owned(), "text".to_owned(), "category".to_owned()];
        for item in corpus.items()? {
            let item = item?;
            for (name, _) in &item.attributes {
                if !known.contains(name) {
                    known.push(name.clone());
                }
            }
            for (field, found) in fields.iter().zip(&mut found) {
                let text = text_of(&item, &field.field);
                *found |= text.chars().any(char::is_alphanumeric);
                texts.push(text);
            }
        }
        if let Some(place) = found.iter().position(|found| !found) {
            let field = &fields[place].field;
            let help = format!("fields of this corpus: {}", known.join(", "));
            return refuse(format!("no item has a word in the field `{field}`"), help);
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        Ok(Self::of_texts(&texts, fields.len(), stem))
    }

    /// Indexes `[items, fields]` texts.
    pub(super) fn of_texts(texts: &[&str], n_fields: usize, stem: bool) -> Self {
        let tokenized: Vec<Vec<String>> = texts.par_iter().map(|text| words(text, stem)).collect();
        let lengths = tokenized.iter().map(|tokens| tokens.len() as u32).collect();
        let n_items = texts.len() / n_fields.max(1);
        let mut terms: HashMap<String, u32> = HashMap::new();
        // By term: items, and `[items, fields]` frequencies.
        let mut postings: Vec<(Vec<u32>, Vec<u32>)> = Vec::new();
        let mut item_terms: Vec<Vec<u32>> = vec![Vec::new(); n_items];
        for (place, tokens) in tokenized.into_iter().enumerate() {
            let (item, field) = (place / n_fields, place % n_fields);
            for token in tokens {
                let next = terms.len() as u32;
                let term = *terms.entry(token).or_insert(next);
                item_terms[item].push(term);
                if term as usize == postings.len() {
                    postings.push(Default::default());
                }
                let (items, frequencies) = &mut postings[term as usize];
                if items.last() != Some(&(item as u32)) {
                    items.push(item as u32);
                    frequencies.resize(frequencies.len() + n_fields, 0);
                }
                let row = frequencies.len() - n_fields;
                frequencies[row + field] += 1;
            }
        }
        let mut index = Self {
            terms,
            offsets: vec![0],
            items: Vec::new(),
            frequencies: Vec::new(),
            lengths,
            n_fields,
            item_terms,
            stem,
        };
        for (items, frequencies) in postings {
            index.items.extend(items);
            index.frequencies.extend(frequencies);
            index.offsets.push(index.items.len());
        }
        index
    }

    /// The file of an index in a folder.
    pub fn file(folder: &Path) -> PathBuf {
        folder.join(INDEX_FILE)
    }

    /// Writes the index: fields, stemming and items; per term its text and its items; frequencies
    /// and lengths; per item its terms.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut terms: Vec<(&str, u32)> =
            self.terms.iter().map(|(text, &term)| (text.as_str(), term)).collect();
        terms.sort_unstable_by_key(|one| one.1);
        let mut table = Packer::default();
        table.number(self.n_fields as u64);
        table.number(u64::from(self.stem));
        table.number(self.n_items() as u64);
        table.number(terms.len() as u64);
        for ((text, _), range) in terms.into_iter().zip(self.offsets.windows(2)) {
            table.text(text);
            table.rising(self.items[range[0]..range[1]].iter().copied());
        }
        table.numbers(&self.frequencies);
        table.numbers(&self.lengths);
        self.item_terms.iter().for_each(|terms| table.numbers(terms));
        table.write(&Self::file(folder), INDEX)
    }

    /// Reads the index of so many fields and items.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is missing, damaged, or of other fields or items.
    pub fn open(folder: &Path, n_fields: usize, n_items: usize) -> Result<Self> {
        let mut table = Unpacker::open(&Self::file(folder), INDEX)?;
        table.expect(n_fields as u64, "fields")?;
        let stem = table.number()? != 0;
        table.expect(n_items as u64, "items")?;
        let n_terms = table.number()?;
        let (mut terms, mut offsets, mut items) = (HashMap::new(), vec![0], Vec::new());
        for term in 0..n_terms {
            terms.insert(table.text()?, term as u32);
            table.rising(n_items as u64, &mut items)?;
            offsets.push(items.len());
        }
        let any = u64::from(u32::MAX) + 1;
        let (frequencies, lengths) = (table.numbers(any)?, table.numbers(any)?);
        if frequencies.len() != items.len() * n_fields || lengths.len() != n_items * n_fields {
            return Err(table.fault("frequencies or lengths do not fit the postings"));
        }
        let item_terms = (0..n_items).map(|_| table.numbers(n_terms)).collect::<Result<_>>()?;
        table.finish()?;
        Ok(Self { terms, offsets, items, frequencies, lengths, n_fields, item_terms, stem })
    }

    pub(super) fn n_items(&self) -> usize {
        self.item_terms.len()
    }

    /// `[fields]`: mean number of words over all items; 1 for a field without any.
    pub(super) fn mean_lengths(&self) -> Vec<f64> {
        let mut totals = vec![0u64; self.n_fields];
        for row in self.lengths.chunks(self.n_fields) {
            for (total, &length) in totals.iter_mut().zip(row) {
                *total += u64::from(length);
            }
        }
        let mean = |total: u64| match total {
            0 => 1.0,
            total => total as f64 / self.n_items() as f64,
        };
        totals.into_iter().map(mean).collect()
    }

    /// Terms of a query that occur in the catalogue.
    pub(super) fn query_terms(&self, query: &str) -> Vec<u32> {
        words(query, self.stem).iter().filter_map(|word| self.terms.get(word).copied()).collect()
    }
}

/// The text of a field of an item; attributes of one name are joined.
fn text_of(item: &ItemRow, field: &str) -> String {
    match field {
        "title" => item.title.clone(),
        "text" => item.text.clone(),
        "category" => item.category.join(" "),
        name => {
            let values = item.attributes.iter().filter(|one| one.0 == name);
            values.map(|one| one.1.as_str()).collect::<Vec<_>>().join(" ")
        }
    }
}
