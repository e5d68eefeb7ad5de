//! Items that come after a run: their vectors, made as those of the run were, and the folder that they are written to.

use std::collections::BTreeMap;
use std::path::Path;

use super::added::Addition;
use super::finished::FinishedRun;
use super::step::step_name;
use crate::corpus::{Catalogue, ItemTextRow};
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::kind::Family;
use crate::progress::Context;
use crate::vectors::kinds::VectorsSettings;
use crate::vectors::{Vectors, read_of};

/// New items, and what is known of them.
pub struct NewItems {
    /// Their ids, titles and texts.
    pub items: Vec<ItemTextRow>,
    /// Their vectors, by the names of those of the run.
    pub vectors: BTreeMap<String, Vectors>,
}

impl FinishedRun {
    fn vectors_settings(&self, name: &str) -> Result<&VectorsSettings> {
        let settings = self.recipe().vectors.get(name);
        settings.ok_or_else(|| Error::Failed(format!("the recipe has no vectors {name}")))
    }

    /// The vectors that an identifier is made from.
    ///
    /// # Errors
    /// [`Error::Usage`] when it is made from none.
    pub fn vectors_of(&self, identifier: &str) -> Result<&str> {
        let settings = self.recipe().identifier.get(identifier);
        let uses = settings.map(|settings| settings.it().uses()).unwrap_or_default();
        let vectors = uses.iter().find(|one| one.family == Family::Vectors);
        vectors.map(|one| one.name).ok_or_else(|| {
            let kind = settings.map_or("none", |settings| settings.kind());
            Error::Usage(format!(
                "identifiers of kind {kind} were not made from vectors: no vector says which codes a new item has"
            ))
        })
    }

    /// Those of the vectors `name`, or of their parts, that the text of an item does not say, with their kind.
    ///
    /// # Errors
    /// When the recipe does not have them.
    pub fn unsaid<'r>(&'r self, name: &'r str) -> Result<Option<(&'r str, &'static str)>> {
        let settings = self.vectors_settings(name)?;
        if !settings.it().encodes_items() {
            return Ok(Some((name, settings.kind())));
        }
        for part in parts(settings) {
            if let Some(unsaid) = self.unsaid(part)? {
                return Ok(Some(unsaid));
            }
        }
        Ok(None)
    }

    /// The vectors `name` of new items, by what their texts say.
    ///
    /// # Errors
    /// When a model is missing or damaged, or no text says what they are.
    pub fn encode(&self, name: &str, items: &Catalogue, ctx: &Context) -> Result<Vectors> {
        let settings = self.vectors_settings(name)?;
        let parts = parts(settings).into_iter().map(|part| self.encode(part, items, ctx));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let folder = self.intact(&step_name(Family::Vectors, name))?;
        settings.it().encode(&folder, items, &parts, ctx)
    }

    /// The vectors `name` of all items that the run knows, and of those that were added to it.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn known_vectors(&self, name: &str) -> Result<Vectors> {
        let folder = self.intact(&step_name(Family::Vectors, name))?;
        let mut vectors = read_of(&folder, self.catalogue()?)?;
        if let Some(file) = self.added().and_then(|added| added.vectors(name)) {
            vectors.data.to_mut().extend_from_slice(&Vectors::read(&file, None)?.data);
        }
        Ok(vectors)
    }

    /// Writes a folder with the identifiers of all items, those that were added before included.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn write_added(
        &self,
        out: &Path,
        identifiers: (&str, &Identifiers),
        new: NewItems,
    ) -> Result<()> {
        let NewItems { mut items, mut vectors } = new;
        if let Some(added) = self.added() {
            items.splice(0..0, added.items.iter().cloned());
            let mut all = BTreeMap::new();
            for (name, new) in vectors {
                // What items of before lack, a search for all cannot have.
                let Some(file) = added.vectors(&name) else { continue };
                let mut both = Vectors::read(&file, None)?;
                both.data.to_mut().extend_from_slice(&new.data);
                all.insert(name, both);
            }
            vectors = all;
        }
        let run = self.replicate();
        Addition { run, identifiers, items: &items, vectors: &vectors }.write(out)
    }
}

/// The vectors that vectors are made of, in the order of their uses.
fn parts(settings: &VectorsSettings) -> Vec<&str> {
    let uses = settings.it().uses();
    uses.into_iter().filter(|one| one.family == Family::Vectors).map(|one| one.name).collect()
}
