//! Identifiers that somebody else made: a file that names each item's codes.
//!
//! `file` reads it. Where vectors of the items are named, what the codes stand for is the mean of what the levels before
//! leave over of them.

mod file;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::kinds::IdentifierKind;
use super::known::Known;
use super::naming::{level_faults, naming_faults, needs_vectors};
use super::settings::TableSettings;
use crate::error::{Error, Result};
use crate::identifier::settings::NamingSettings;
use crate::identifier::{Centroids, Identifiers, Made};
use crate::inputs::StepContext;
use crate::kind::{Abilities, Family, Faults, Kind, Role, Use, keys};
use crate::quantizer::levels::vectors as checked_vectors;
use crate::vectors::Vectors;
use file::Row;

/// Items that a message names.
const NAMED: usize = 3;

impl Kind for TableSettings {
    fn abilities(&self) -> Abilities {
        Abilities {
            has_centroids: self.vectors.is_some(),
            varies_in_length: self.naming.varies_in_length(),
            ..Abilities::default()
        }
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let vectors = self.vectors.iter();
        vectors.map(|name| Use::new(Family::Vectors, name, Role::Vectors, "vectors")).collect()
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        level_faults(self.codes_of_levels.as_deref(), faults);
        naming_faults(&self.naming, &self.level_codes(), faults);
        if self.vectors.is_none() && needs_vectors(&self.naming) {
            let how = self.naming.collisions().name();
            let message =
                format!("collisions = \"{how}\" moves items to near codes, which takes vectors");
            let help = "name them: vectors = \"...\", or set collisions = \"dedup\" or \"shared\"";
            faults.value(keys!["collisions"], message, "no `vectors`", help);
        }
        let Ok(path) = self.path.path() else {
            return faults.source(keys!["path"], &self.path);
        };
        if file::Form::of(path).is_none() {
            let message =
                format!("identifiers cannot be read from a file called \"{}\"", path.display());
            let help = "convert the file, or correct its name";
            faults.value(keys!["path"], message, "expected a .json or .jsonl file", help);
        }
    }

    fn sources(&self) -> Result<Vec<PathBuf>> {
        Ok(vec![self.path.path()?.to_owned()])
    }

    fn check_sources(&self) -> Result<()> {
        file::read(self.path.path()?, &self.level_codes()).map(drop)
    }
}

impl IdentifierKind for TableSettings {
    fn known_levels(&self) -> Vec<u32> {
        self.naming.spelled(self.level_codes())
    }

    fn naming(&self) -> Option<&NamingSettings> {
        Some(&self.naming)
    }

    fn may_collide(&self) -> bool {
        self.naming.may_number()
    }

    fn assign(&self, step: &StepContext<'_>, _known: &dyn Known) -> Result<Identifiers> {
        let catalogue = step.inputs.catalogue()?;
        let levels = self.level_codes();
        let codes = in_order(self, &file::read(self.path.path()?, &levels)?, &catalogue.ids)?;
        let vectors = match &self.vectors {
            Some(_) => Some(checked_vectors(step)?),
            None => None,
        };
        let (centroids, residuals) =
            vectors.as_ref().map(|vectors| means(vectors, &codes, &levels)).unwrap_or_default();
        let made = Made { kind: "table".into(), centroids, residuals };
        let naming = (&self.naming, vectors.as_ref().map(|vectors| &*vectors.data));
        Identifiers::named(codes, levels, made, &catalogue.hash, naming)
    }
}

/// Codes `[items, levels]` in the order of the items with these ids.
fn in_order(settings: &TableSettings, rows: &[Row], ids: &[String]) -> Result<Vec<u32>> {
    let path = settings.path.path()?;
    let by_id: HashMap<&str, &Row> = rows.iter().map(|row| (row.item.as_str(), row)).collect();
    let told = |all: &[&str]| {
        let names: Vec<String> = all.iter().take(NAMED).map(|id| format!("{id:?}")).collect();
        let more = if all.len() > NAMED { ", …" } else { "" };
        format!("{}{more}", names.join(", "))
    };
    let n_items = ids.len();
    let ids = ids.iter().map(String::as_str);
    let missing: Vec<&str> = ids.clone().filter(|id| !by_id.contains_key(id)).collect();
    if !missing.is_empty() {
        let message = format!(
            "{} of {} items of the corpus have no codes here: {}",
            missing.len(),
            n_items,
            told(&missing)
        );
        return Err(Error::data(path, message)
            .with_help("the table must name every item by its id in the corpus"));
    }
    let known: HashSet<&str> = ids.clone().collect();
    let named = rows.iter().map(|row| row.item.as_str());
    let unknown: Vec<&str> = named.filter(|id| !known.contains(id)).collect();
    if !unknown.is_empty() {
        let message = format!(
            "{} of {} items here are not in the corpus: {}",
            unknown.len(),
            rows.len(),
            told(&unknown)
        );
        return Err(Error::data(path, message)
            .with_help("take the table of this corpus, or remove these rows from it"));
    }
    Ok(ids.filter_map(|id| by_id.get(id)).flat_map(|row| row.codes.iter().copied()).collect())
}

/// The mean of what is left of the vectors of each code's items, level by level, and the mean squared length of what each
/// level leaves. A code of no item stands for nothing, which is a vector of zeros.
fn means(vectors: &Vectors, codes: &[u32], levels: &[u32]) -> (Centroids, Vec<f64>) {
    let dim = vectors.dim;
    let mut left: Vec<f64> = vectors.data.iter().map(|&x| f64::from(x)).collect();
    let mut centroids = Centroids { dim, ..Centroids::default() };
    let mut residuals = Vec::new();
    for (level, &n_codes) in levels.iter().enumerate() {
        let column = codes.chunks_exact(levels.len()).map(|path| path[level] as usize);
        let mut sums = vec![0.0; n_codes as usize * dim];
        let mut counts = vec![0.0f64; n_codes as usize];
        for (row, code) in left.chunks_exact(dim).zip(column.clone()) {
            counts[code] += 1.0;
            let sum = &mut sums[code * dim..][..dim];
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        for (mean, count) in sums.chunks_exact_mut(dim).zip(&counts) {
            mean.iter_mut().for_each(|x| *x /= count.max(1.0));
        }
        for (row, code) in left.chunks_exact_mut(dim).zip(column) {
            let mean = &sums[code * dim..][..dim];
            row.iter_mut().zip(mean).for_each(|(x, mean)| *x -= mean);
        }
        let squares: f64 = left.iter().map(|x| x * x).sum();
        residuals.push(squares / vectors.len().max(1) as f64);
        centroids.levels.push(sums.into_iter().map(|x| x as f32).collect());
    }
    (centroids, residuals)
}

#[cfg(test)]
mod tests;
