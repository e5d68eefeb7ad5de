//! The catalogue in memory: ids and texts of all items, by dense row number.
//!
//! Texts lie in one buffer, so that a million items cost their bytes and little more.

use std::path::Path;

use crate::error::{Error, Result};

use super::rows::{ItemName, ItemRow, ItemTextRow};
use super::table::{TableReader, table_path};
use super::types::ItemIdx;

/// Ids and texts of all items.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// Item ids by row number.
    pub ids: Vec<String>,
    /// BLAKE3 of the ids in order, hexadecimal; the same as in `corpus.json`.
    pub hash: String,
    texts: String,
    /// Per item: where its text starts and where its title ends in `texts`.
    spans: Vec<(usize, usize)>,
    /// Row numbers in the order of ids.
    by_id: Vec<u32>,
    /// Where items came after a run: hash and number of those that it knows.
    of_run: Option<(String, usize)>,
}

impl Catalogue {
    /// Reads the items table of a corpus folder.
    ///
    /// # Errors
    /// [`Error::Data`] when the table is missing, damaged, too long or holds an id twice.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut builder = CatalogueBuilder::default();
        for row in TableReader::<ItemTextRow>::open(folder)? {
            let row = row?;
            builder.push(row.id, &row.title, &row.text);
        }
        builder.finish(&table_path::<ItemRow>(folder))
    }

    /// A catalogue of (id, title, further text), for tests and small tools.
    ///
    /// # Errors
    /// [`Error::Data`] when an id occurs twice.
    pub fn from_items<'a>(
        items: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
    ) -> Result<Self> {
        let mut builder = CatalogueBuilder::default();
        for (id, title, text) in items {
            builder.push(id.to_owned(), title, text);
        }
        builder.finish(Path::new("catalogue"))
    }

    /// These items of a run, and behind them others that came after it.
    ///
    /// # Errors
    /// [`Error::Data`] when an id occurs twice.
    pub fn with(self, more: &[ItemTextRow]) -> Result<Self> {
        let Self { ids, hash, texts, spans, .. } = self;
        let of_run = Some((hash, ids.len()));
        let mut hash = CatalogueHash::default();
        ids.iter().for_each(|id| hash.push(id));
        let mut builder = CatalogueBuilder { ids, texts, spans, hash };
        for ItemTextRow { id, title, text } in more {
            builder.push(id.clone(), title, text);
        }
        Ok(Self { of_run, ..builder.finish(Path::new("new items"))? })
    }

    /// Hash and number of the items that the results of a run are of: all but those that came after it.
    pub fn of_run(&self) -> (&str, usize) {
        let all = || (self.hash.as_str(), self.len());
        self.of_run.as_ref().map_or_else(all, |(hash, items)| (hash, *items))
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Title of an item; empty for a row number that does not exist.
    pub fn title(&self, item: ItemIdx) -> &str {
        self.spans.get(item as usize).map_or("", |&(start, end)| &self.texts[start..end])
    }

    /// Refuses a catalogue without a word of text, on behalf of `who` reads it; `folder` is that of the corpus.
    ///
    /// # Errors
    /// [`Error::Data`] when no item has a title or further text.
    pub fn check_text(&self, folder: &Path, who: &str) -> Result<()> {
        let mut items = 0..self.len() as ItemIdx;
        if items.any(|item| !self.text(item).trim().is_empty()) {
            return Ok(());
        }
        Err(Error::data(folder, format!("items have no text, which {who} needs"))
            .with_help("give corpus.items_file, or item vectors made elsewhere (kind = \"file\")"))
    }

    /// Items whose title has a word.
    pub fn titled(&self) -> impl Iterator<Item = ItemIdx> {
        let items = 0..self.len() as ItemIdx;
        items.filter(|&item| !self.title(item).trim().is_empty())
    }

    /// Title and further text of an item, separated by a space.
    pub fn text(&self, item: ItemIdx) -> &str {
        let item = item as usize;
        let end = self.spans.get(item + 1).map_or(self.texts.len(), |span| span.0);
        self.spans.get(item).map_or("", |&(start, _)| &self.texts[start..end])
    }

    /// Row number of an id.
    pub fn index_of(&self, id: &str) -> Option<ItemIdx> {
        self.by_id
            .binary_search_by(|&item| self.ids[item as usize].as_str().cmp(id))
            .ok()
            .map(|place| self.by_id[place])
    }
}

/// Ids and titles of all items: what answers are shown with, for a fraction of the catalogue's time.
#[derive(Debug, Clone)]
pub struct Names(Catalogue);

impl Names {
    /// Reads the items table of a corpus folder without its further texts.
    ///
    /// # Errors
    /// [`Error::Data`] when the table is missing, damaged, too long or holds an id twice.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut builder = CatalogueBuilder::default();
        for row in TableReader::<ItemName>::open(folder)? {
            let row = row?;
            builder.push(row.id, &row.title, "");
        }
        builder.finish(&table_path::<ItemRow>(folder)).map(Self)
    }

    /// These names, and behind them those of items that came later.
    ///
    /// # Errors
    /// [`Error::Data`] when an id occurs twice.
    pub fn with(self, more: &[ItemTextRow]) -> Result<Self> {
        self.0.with(more).map(Self)
    }

    /// Those of some items, in the order of `items`; of the table only their rows are decoded.
    ///
    /// # Errors
    /// [`Error::Data`] when the table is missing or damaged, or has no such rows.
    pub fn some(folder: &Path, items: &[ItemIdx]) -> Result<Vec<ItemName>> {
        let mut rows = items.to_vec();
        rows.sort_unstable();
        rows.dedup();
        let read = TableReader::<ItemName>::open_rows(folder, &rows)?;
        let read = read.collect::<Result<Vec<ItemName>>>()?;
        if read.len() != rows.len() {
            let message = format!("lacks items: {} of {} are there", read.len(), rows.len());
            return Err(Error::data(table_path::<ItemRow>(folder), message));
        }
        // Each is in the sorted list.
        let place = |item: &ItemIdx| rows.binary_search(item).unwrap_or(0);
        Ok(items.iter().map(|item| read[place(item)].clone()).collect())
    }

    /// Id and title of an item that exists.
    pub fn name(&self, item: ItemIdx) -> ItemName {
        ItemName { id: self.ids()[item as usize].clone(), title: self.title(item).to_owned() }
    }

    /// Ids by row number.
    pub fn ids(&self) -> &[String] {
        &self.0.ids
    }

    /// BLAKE3 of the ids in order, hexadecimal; the same as in `corpus.json`.
    pub fn hash(&self) -> &str {
        &self.0.hash
    }

    /// What the hash would be with more items behind these.
    pub fn hash_with(&self, more: &[String]) -> String {
        let mut hash = CatalogueHash::default();
        self.ids().iter().chain(more).for_each(|id| hash.push(id));
        hash.finish()
    }

    /// Title of an item; empty for a row number that does not exist.
    pub fn title(&self, item: ItemIdx) -> &str {
        self.0.title(item)
    }

    /// Row number of an id.
    pub fn index_of(&self, id: &str) -> Option<ItemIdx> {
        self.0.index_of(id)
    }
}

#[derive(Default)]
struct CatalogueBuilder {
    ids: Vec<String>,
    texts: String,
    spans: Vec<(usize, usize)>,
    hash: CatalogueHash,
}

impl CatalogueBuilder {
    fn push(&mut self, id: String, title: &str, text: &str) {
        let start = self.texts.len();
        self.texts.push_str(title);
        self.spans.push((start, self.texts.len()));
        if !text.is_empty() {
            self.texts.push(' ');
            self.texts.push_str(text);
        }
        self.hash.push(&id);
        self.ids.push(id);
    }

    fn finish(self, path: &Path) -> Result<Catalogue> {
        let Self { ids, texts, spans, hash } = self;
        let n_items = u32::try_from(ids.len())
            .map_err(|_| Error::data(path, "more than 4,294,967,295 items"))?;
        let mut by_id: Vec<u32> = (0..n_items).collect();
        by_id.sort_unstable_by(|&a, &b| ids[a as usize].cmp(&ids[b as usize]));
        if let Some(pair) = by_id.windows(2).find(|p| ids[p[0] as usize] == ids[p[1] as usize]) {
            let (a, b) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
            let id = &ids[a as usize];
            return Err(Error::data(
                path,
                format!("item id `{id}` in row {a} and again in row {b}"),
            ));
        }
        Ok(Catalogue { ids, hash: hash.finish(), texts, spans, by_id, of_run: None })
    }
}

/// BLAKE3 over item ids in order.
#[derive(Default)]
pub(super) struct CatalogueHash(blake3::Hasher);

impl CatalogueHash {
    /// Takes the next id.
    pub(super) fn push(&mut self, id: &str) {
        // The length goes first, so that ("ab", "c") and ("a", "bc") differ.
        self.0.update(&(id.len() as u32).to_le_bytes());
        self.0.update(id.as_bytes());
    }

    /// The hash, hexadecimal.
    pub(super) fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::table::TableWriter;

    #[test]
    fn texts_and_ids_return() {
        let catalogue = Catalogue::from_items([
            ("b", "red sofa", "soft"),
            ("a", "", "only text"),
            ("c", "x", ""),
        ])
        .unwrap();
        assert_eq!(catalogue.len(), 3);
        assert_eq!((catalogue.title(0), catalogue.text(0)), ("red sofa", "red sofa soft"));
        assert_eq!((catalogue.title(1), catalogue.text(1)), ("", " only text"));
        assert_eq!((catalogue.title(2), catalogue.text(2)), ("x", "x"));
        assert_eq!(catalogue.title(3), "");
        assert_eq!(catalogue.text(3), "");
        assert_eq!(catalogue.index_of("a"), Some(1));
        assert_eq!(catalogue.index_of("zz"), None);
    }

    #[test]
    fn a_repeated_id_names_both_rows() {
        let error =
            Catalogue::from_items([("a", "", ""), ("b", "", ""), ("a", "", "")]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`a` in row 0 and again in row 2"), "{text}");
    }

    #[test]
    fn names_of_some_items_are_those_of_all_in_the_order_asked() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = TableWriter::<ItemRow>::create(folder.path()).unwrap();
        for row in 0..70_000 {
            let (id, title) = (format!("i{row}"), format!("title of {row}"));
            writer.push(ItemRow { id, title, ..ItemRow::default() }).unwrap();
        }
        writer.finish().unwrap();
        let all = Names::read(folder.path()).unwrap();
        for items in [&[69_999, 0, 32_767, 32_768, 0, 41_000][..], &[5], &[]] {
            let expected: Vec<ItemName> = items.iter().map(|item| all.name(*item)).collect();
            assert_eq!(Names::some(folder.path(), items).unwrap(), expected, "{items:?}");
        }
        let told = Names::some(folder.path(), &[1, 70_000]).unwrap_err().to_string();
        assert!(told.contains("items.parquet: lacks items: 1 of 2 are there"), "{told}");
    }

    #[test]
    fn hash_separates_ids() {
        let hash =
            |ids: &[&str]| Catalogue::from_items(ids.iter().map(|&id| (id, "", ""))).unwrap().hash;
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["a", "b"]), hash(&["b", "a"]));
    }
}
