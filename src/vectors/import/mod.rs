//! Vectors that somebody else made: a file whose rows belong to the items in order, or a table joined by id.

use std::path::PathBuf;

use super::kinds::VectorsKind;
use super::settings::VectorFileSettings;
use super::{Provenance, TABLE_EXTENSION, TableColumns, VECTORS_FILE, Vectors, read_table};
use crate::corpus::Catalogue;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{Faults, Kind};
use crate::train::held_out::Judge;

/// Endings of files that can be read; the last one brings ids and has columns.
const FILE_TYPES: [&str; 3] = ["npy", "safetensors", TABLE_EXTENSION];

impl Kind for VectorFileSettings {
    fn format(&self) -> u32 {
        4
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        let Ok(path) = self.path.path() else {
            return faults.source(keys!["path"], &self.path);
        };
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if !FILE_TYPES.contains(&ending) {
            let message =
                format!("vectors cannot be read from a file called \"{}\"", path.display());
            let label = "expected a .npy, .safetensors or .parquet file";
            let help = "convert the file, or correct its name";
            faults.value(keys!["path"], message, label, help);
            return;
        }
        for (key, given) in [("id_column", &self.id_column), ("vector_column", &self.vector_column)]
        {
            match given.as_deref() {
                Some(_) if ending != TABLE_EXTENSION => {
                    let message = format!("a .{ending} file does not read `{key}`");
                    let help = format!("remove `{key}`: row i of such a file belongs to item i");
                    faults.key(keys![key], message, "only .parquet files have columns", help);
                }
                Some("") => {
                    let help = format!("name a column, or leave `{key}` out");
                    faults.value(keys![key], format!("`{key}` is empty"), "no name", help);
                }
                _ => {}
            }
        }
    }

    fn sources(&self) -> Result<Vec<PathBuf>> {
        Ok(vec![self.path.path()?.to_owned()])
    }

    fn check_headers(&self) -> Result<()> {
        let path = self.path.path()?;
        match path.extension().and_then(|ending| ending.to_str()) {
            // Its footer is read with its columns.
            Some("parquet") => Ok(()),
            _ => Vectors::check_header(path),
        }
    }
}

impl VectorsKind for VectorFileSettings {
    fn make(&self, step: &StepContext<'_>, _judge: &dyn Judge) -> Result<()> {
        let catalogue = step.inputs.catalogue()?;
        let made_from = Provenance::of_catalogue(&catalogue.hash);
        read(self, catalogue)?.write_made_from(&step.out.join(VECTORS_FILE), &made_from)
    }
}

fn read(settings: &VectorFileSettings, catalogue: &Catalogue) -> Result<Vectors> {
    let path = settings.path.path()?;
    if path.extension().is_some_and(|extension| extension == TABLE_EXTENSION) {
        let default = TableColumns::default();
        let columns = TableColumns {
            id: settings.id_column.as_deref().unwrap_or(default.id),
            vector: settings.vector_column.as_deref().unwrap_or(default.vector),
        };
        return read_table(path, &columns, &catalogue.ids);
    }
    let made_from = Provenance::of_catalogue(&catalogue.hash);
    Vectors::read_made_from(path, catalogue.len(), &made_from)
}
