//! The folder of items that came after a run: their identifiers beside all others, and whether the run that they were added
//! to is still what it was.
//!
//! `codes.safetensors`, `identifier.json` and `index.bin` are of all items, as in the step of identifiers; `items.jsonl` says
//! what new items are called, `vectors.NAME.safetensors` which vectors they have. `added.json`, written last, names the run
//! and holds the checksum of every file.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::folder::RECIPE_FILE;
use super::plan::Plan;
use super::step::step_name;
use crate::corpus::ItemTextRow;
use crate::error::{Error, Result};
use crate::generative::INDEX_FILE;
use crate::identifier::Identifiers;
use crate::kind::Family;
use crate::store::{create_dir, digest, known_digests, read_checked, write_atomic, write_checked};
use crate::vectors::Vectors;

/// Version of the folder.
const FORMAT: u32 = 1;
const DESCRIPTION_FILE: &str = "added.json";
/// Ids, titles and texts of new items.
const ITEMS_FILE: &str = "items.jsonl";
/// What any folder of identifiers has.
const IDENTIFIER_FILE: &str = "identifier.json";
const AGAIN: &str = "write the folder again: trieval ids RUN --assign FILE --out FOLDER";

#[derive(Serialize, Deserialize)]
struct Description {
    format: u32,
    /// The run, by its path from the root.
    run: PathBuf,
    /// Which replicate of it.
    seed: u64,
    /// Name of the identifier.
    identifier: String,
    /// Key of its step.
    key: String,
    /// Names of vectors that new items have, with the keys of their steps.
    vectors: BTreeMap<String, String>,
    /// BLAKE3 of all other files, by name.
    files: BTreeMap<String, String>,
}

/// A line of the file of items.
#[derive(Deserialize)]
struct ItemLine {
    item_id: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    text: String,
}

/// A run, and the items that were added to it.
pub struct Added {
    root: PathBuf,
    description: Description,
    /// The items, in the order of their numbers.
    pub items: Vec<ItemTextRow>,
}

/// What is added to which run.
pub(super) struct Addition<'a> {
    /// The run folder, and the plan of the replicate.
    pub(super) run: (&'a Path, &'a Plan, u64),
    /// Name of the identifier, and the identifiers of all items.
    pub(super) identifiers: (&'a str, &'a Identifiers),
    /// All new items.
    pub(super) items: &'a [ItemTextRow],
    /// Their vectors, by the names of those of the run.
    pub(super) vectors: &'a BTreeMap<String, Vectors>,
}

impl Addition<'_> {
    /// Writes the folder.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub(super) fn write(&self, out: &Path) -> Result<()> {
        let Self { run: (run, plan, seed), identifiers: (name, identifiers), items, vectors } =
            self;
        let index = identifiers.index()?;
        create_dir(out)?;
        let first = identifiers.n_items() - items.len();
        let path = out.join(ITEMS_FILE);
        write_atomic(&path, |writer| {
            for (item, ItemTextRow { id, title, text }) in (first..).zip(*items) {
                let (codes, tokens) = (identifiers.codes_of(item), identifiers.spell(item as u32));
                let line = json!({
                    "item_id": id, "title": title, "text": text, "codes": codes, "tokens": tokens,
                });
                writeln!(writer, "{line}").map_err(|e| Error::unwritable(&path, &e))?;
            }
            Ok(())
        })?;
        let path = out.join(INDEX_FILE);
        write_atomic(&path, |writer| {
            index.write(writer).map_err(|e| Error::unwritable(&path, &e))
        })?;
        for (name, vectors) in *vectors {
            vectors.write(&out.join(vectors_file(name)))?;
        }
        identifiers.save(out)?;
        let key = |step: &str| plan.expect(step, run).map(|step| step.key.clone());
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(out).map_err(|e| Error::unreadable(out, &e))? {
            let entry = entry.map_err(|e| Error::unreadable(out, &e))?;
            let file = entry.file_name().to_string_lossy().into_owned();
            files.insert(file, digest(&entry.path())?.blake3);
        }
        let keys =
            vectors.keys().map(|name| Ok((name.clone(), key(&step_name(Family::Vectors, name))?)));
        let description = Description {
            format: FORMAT,
            run: run.canonicalize().map_err(|e| Error::unreadable(run, &e))?,
            seed: *seed,
            identifier: (*name).to_owned(),
            key: key(&step_name(Family::Identifier, name))?,
            vectors: keys.collect::<Result<_>>()?,
            files,
        };
        write_checked(&out.join(DESCRIPTION_FILE), &description)
    }
}

fn vectors_file(name: &str) -> String {
    format!("vectors.{name}.safetensors")
}

impl Added {
    /// What a folder adds to which run; none where it is no such folder.
    ///
    /// # Errors
    /// [`Error::Data`] when it was not written to its end, or a file of it is missing or altered.
    pub fn find(root: &Path) -> Result<Option<Self>> {
        let path = root.join(DESCRIPTION_FILE);
        if root.join(RECIPE_FILE).is_file()
            || !root.join(IDENTIFIER_FILE).is_file() && !path.is_file()
        {
            return Ok(None);
        }
        if !path.is_file() {
            let message = format!(
                "holds identifiers, but no {DESCRIPTION_FILE}: it is no run, or was not written to its end"
            );
            return Err(Error::data(root, message).with_help(AGAIN));
        }
        let read = read_checked(&path, "a description of new items", AGAIN)?;
        let fault = |message: String| Error::data(&path, message).with_help(AGAIN);
        if !read.has_checksum {
            return Err(fault("altered since trieval wrote it: its checksum is missing".into()));
        }
        let value = read.value;
        if let Some(format) = value["format"].as_u64().filter(|one| *one != u64::from(FORMAT)) {
            return Err(fault(format!("has format version {format}, expected {FORMAT}")));
        }
        let description: Description = serde_json::from_value(value)
            .map_err(|e| fault(format!("not a description of new items: {e}")))?;
        let paths: Vec<PathBuf> = description.files.keys().map(|name| root.join(name)).collect();
        let found = known_digests(&paths).map_err(|error| error.with_help(AGAIN))?;
        for ((path, expected), found) in paths.iter().zip(description.files.values()).zip(found) {
            if found.blake3 != *expected {
                let message = "the content is not what was written (checksum differs)";
                return Err(Error::data(path, message).with_help(AGAIN));
            }
        }
        let items = read_items(&root.join(ITEMS_FILE))?;
        Ok(Some(Self { root: root.to_owned(), description, items }))
    }

    /// Refuses such a folder where a run is wanted.
    ///
    /// # Errors
    /// [`Error::Data`] naming the run.
    pub(super) fn refuse(root: &Path) -> Result<()> {
        let Some(added) = Self::find(root)? else { return Ok(()) };
        let run = added.run().0.display();
        let message = format!("holds items that were added to the run in {run}");
        let help = format!("`trieval search` and `trieval ids` read it; name {run} here");
        Err(Error::data(root, message).with_help(help))
    }

    /// The run that items were added to.
    pub fn run(&self) -> (&Path, u64) {
        (&self.description.run, self.description.seed)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Name of the identifier.
    pub fn identifier(&self) -> &str {
        &self.description.identifier
    }

    /// The file of the vectors of new items by these vectors of the run, where they have some.
    pub fn vectors(&self, name: &str) -> Option<PathBuf> {
        let is_there = self.description.vectors.contains_key(name);
        is_there.then(|| self.root.join(vectors_file(name)))
    }

    /// Names of the vectors that new items have.
    pub fn vector_names(&self) -> impl Iterator<Item = &str> {
        self.description.vectors.keys().map(String::as_str)
    }

    /// Refuses a run whose identifiers or vectors are no longer those that items were added to.
    ///
    /// # Errors
    /// [`Error::Data`] naming the step that was done anew.
    pub(super) fn check(&self, plan: &Plan) -> Result<()> {
        let Description { run, identifier, key, vectors, .. } = &self.description;
        let own = (step_name(Family::Identifier, identifier), key);
        let vectors = vectors.iter().map(|(name, key)| (step_name(Family::Vectors, name), key));
        for (step, key) in std::iter::once(own).chain(vectors) {
            if plan.step(&step).is_none_or(|step| step.key != *key) {
                let message = format!(
                    "items were added to the run in {}, whose step {step} is another since then",
                    run.display()
                );
                let help = "assign the new items again, or run the recipe that was run when they were assigned";
                return Err(Error::data(&self.root, message).with_help(help));
            }
        }
        Ok(())
    }
}

fn read_items(path: &Path) -> Result<Vec<ItemTextRow>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::unreadable(path, &e))?;
    let row = |(line, text): (u64, &str)| {
        let ItemLine { item_id, title, text } = serde_json::from_str(text).map_err(|e| {
            Error::data_at(path, line, format!("not an item: {e}")).with_help(AGAIN)
        })?;
        Ok(ItemTextRow { id: item_id, title, text })
    };
    (1..).zip(text.lines()).map(row).collect()
}
