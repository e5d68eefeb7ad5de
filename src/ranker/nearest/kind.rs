//! What a search for the nearest items says of itself.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::Nearest;
use super::hnsw::{self, settings::IndexSettings};
use super::settings::NearestSettings;
use crate::error::{Error, Result};
use crate::inputs::{Inputs, StepContext};
use crate::kind::keys;
use crate::kind::{Abilities, Draws, Estimate, Family, Faults, Kind, Refusal, Role, Sizes, Use};
use crate::ranker::Retrieve;
use crate::ranker::kinds::{Prepared, System, SystemKind};
use crate::train::held_out::Judge;
use crate::vectors::{VECTORS_FILE, Vectors};

impl Kind for NearestSettings {
    fn format(&self) -> u32 {
        4
    }

    /// An index is built in an order that is drawn, and compared with exact search on requests that are.
    fn draws(&self) -> Draws {
        match &self.index {
            Some(IndexSettings::Hnsw(settings)) => Draws::Seeded(settings.seed),
            None => Draws::Nothing,
        }
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let vectors = Use::new(Family::Vectors, &self.vectors, Role::Vectors, "vectors");
        vec![vectors.hint(" with kind = \"two-tower\"")]
    }

    fn abilities(&self) -> Abilities {
        Abilities { ranks: true, ..Abilities::default() }
    }

    fn accepts(&self, used: &Use<'_>, kind: &str, other: &Abilities) -> Result<(), Refusal> {
        if other.encodes_requests {
            return Ok(());
        }
        let what = if kind == "file" { "a file holds" } else { "these are" };
        Err(Refusal {
            message: format!("system of kind two-tower cannot use [vectors.{}]", used.name),
            label: format!("these vectors are of kind = \"{kind}\""),
            help: format!(
                "{what} item vectors but no encoder for requests: use vectors of another kind"
            ),
        })
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        let Some(IndexSettings::Hnsw(settings)) = &self.index else { return };
        let (candidates, neighbors) = (settings.expansion_add, settings.connectivity);
        if candidates < neighbors {
            let dotted = faults.dotted(&keys!["index"]);
            let message =
                format!("`{dotted}` finds too few candidates for the neighbors of an item");
            let label = format!("expansion_add = {candidates} < connectivity = {neighbors}");
            let help = "raise `expansion_add` to several times `connectivity`";
            faults.value(keys!["index"], message, label, help);
        }
    }
}

impl SystemKind for NearestSettings {
    fn name(&self) -> &str {
        &self.name
    }

    /// An index depends on the vectors and on how it is built; how it is searched is the system's.
    fn prepared(&self) -> Option<Prepared> {
        let Some(IndexSettings::Hnsw(settings)) = &self.index else { return None };
        let settings = json!({
            "kind": "hnsw",
            "connectivity": settings.connectivity,
            "expansion_add": settings.expansion_add,
        });
        Some(Prepared { step: "index", settings, is_judged: false })
    }

    fn prepare(&self, _: &System, step: &StepContext<'_>, _: &dyn Judge) -> Result<()> {
        let Some(IndexSettings::Hnsw(settings)) = &self.index else { return Ok(()) };
        let path = step.inputs.folder(Role::Vectors)?.join(VECTORS_FILE);
        let vectors = Vectors::read(&path, None)?;
        hnsw::build(&vectors, settings, step.seed, step.out, step.ctx).map(drop)
    }

    fn open(&self, system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        let Some(vectors) = &system.vectors else {
            return Err(Error::Failed(format!("system {} has no vectors", self.name)));
        };
        let folder = inputs.folder(Role::Vectors)?;
        let nearest = Nearest::new(vectors.it().open(folder, inputs.catalogue()?)?);
        Ok(Box::new(match &self.index {
            Some(IndexSettings::Hnsw(settings)) => {
                nearest.with_index(inputs.folder(Role::Opened)?, settings.expansion_search)?
            }
            None => nearest,
        }))
    }

    fn files(&self, inputs: &Inputs) -> Result<Vec<PathBuf>> {
        let mut files = vector_files(inputs.folder(Role::Vectors)?)?;
        if self.index.is_some() {
            files.extend(hnsw::files(inputs.folder(Role::Opened)?));
        }
        Ok(files)
    }

    fn estimate_preparing(&self, sizes: &Sizes) -> Estimate {
        Estimate::default().count("items", "", sizes.items)
    }
}

/// Weights of the encoder and vectors of the items, at any depth of a folder.
pub fn vector_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let unreadable = |e: std::io::Error| Error::unreadable(&folder, &e);
        for file in std::fs::read_dir(&folder).map_err(unreadable)? {
            let path = file.map_err(unreadable)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "safetensors") {
                files.push(path);
            }
        }
    }
    Ok(files)
}
