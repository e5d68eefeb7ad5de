//! Codes that are fitted on some items, and given to the others as to items that come later.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use super::assign_from;
use super::known::Known;
use super::levels::check;
use super::settings::FitOn;
use crate::error::{Error, Result};
use crate::identifier::{Identifiers, Later, Space};
use crate::inputs::StepContext;
use crate::kind::Role;
use crate::vectors::{VECTORS_FILE, Vectors};

/// Items that codes are made for.
pub(super) struct Items<'v> {
    /// Their vectors.
    pub(super) vectors: Cow<'v, Vectors>,
    /// The value of each that is its first code, where there is such a code.
    pub(super) values: Option<Vec<Option<String>>>,
    /// Which of them one person chose, oldest first, where that counts.
    pub(super) histories: Option<Vec<Vec<u32>>>,
}

impl<'v> Items<'v> {
    /// Items of which nothing but vectors counts.
    pub(super) fn of(vectors: &'v Vectors) -> Self {
        Self { vectors: Cow::Borrowed(vectors), values: None, histories: None }
    }

    /// Those at some places.
    fn some(&self, places: &[usize]) -> Result<Items<'static>> {
        let Self { vectors, values, histories } = self;
        let data: Vec<f32> = places.iter().flat_map(|&item| vectors.row(item)).copied().collect();
        let values = values.as_ref();
        let values = values.map(|values| places.iter().map(|&item| values[item].clone()).collect());
        let vectors = Vectors::new(vectors.dim, data, "item vectors")?;
        let numbers: HashMap<u32, u32> = places.iter().map(|&item| item as u32).zip(0..).collect();
        let known = |history: &Vec<u32>| {
            history.iter().filter_map(|item| numbers.get(item).copied()).collect()
        };
        let histories = histories.as_ref().map(|all| all.iter().map(known).collect());
        Ok(Items { vectors: Cow::Owned(vectors), values, histories })
    }

    /// The first code of each that is known by its value.
    fn first(&self, identifiers: &Identifiers) -> Vec<Option<u32>> {
        match (&identifiers.centroids.first, &self.values) {
            (Some(first), Some(values)) => {
                values.iter().map(|value| first.code(value.as_deref())).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Identifiers of all items: `fit` makes those of the items that settings say, with the hash of the catalogue.
///
/// # Errors
/// When no item is to be fitted on, `fit` fails, or the codes do not suffice for the others.
pub(super) fn fit_on(
    on: FitOn,
    items: &Items<'_>,
    (step, known): (&StepContext<'_>, &dyn Known),
    fit: impl Fn(&Items<'_>, &str) -> Result<Identifiers>,
) -> Result<Identifiers> {
    let hash = &step.inputs.catalogue()?.hash;
    if on.is_all() {
        return fit(items, hash);
    }
    let exposure = known.exposure()?;
    let path = step.inputs.folder(Role::Vectors)?.join(VECTORS_FILE);
    let is_warm = |item: usize| exposure.get(item).is_some_and(|&count| count > 0);
    let all = fit_warm(items, is_warm, (&path, step.name), |seen| fit(seen, hash))?;
    let n_warm = all.diagnostics.fitted.unwrap_or_default();
    step.ctx.say(format!(
        "codes were fitted on {n_warm} items that were chosen in training; {} others got the nearest",
        items.vectors.len() - n_warm
    ));
    Ok(all)
}

/// Identifiers that are fitted on some items, and given to the others.
fn fit_warm(
    items: &Items<'_>,
    is_warm: impl Fn(usize) -> bool,
    (path, name): (&Path, &str),
    fit: impl Fn(&Items<'_>) -> Result<Identifiers>,
) -> Result<Identifiers> {
    let (warm, cold): (Vec<usize>, Vec<usize>) =
        (0..items.vectors.len()).partition(|&item| is_warm(item));
    if warm.is_empty() {
        let message = "none of the items was chosen in training: there is nothing to fit codes on";
        let help = format!("set {name}.fit = \"all\"");
        return Err(Error::data(path, message).with_help(help));
    }
    let seen = items.some(&warm)?;
    check(&seen.vectors, path).map_err(|error| {
        error.with_help("these are the items that were chosen in training; set fit = \"all\"")
    })?;
    let made = fit(&seen)?;
    let n_warm = warm.len();
    let mut all = match cold.is_empty() {
        true => made,
        false => with_cold(&made, &seen, &items.some(&cold)?, name)?,
    };
    all.diagnostics.fitted = Some(n_warm);
    let order: Vec<usize> = warm.into_iter().chain(cold).collect();
    Ok(all.placed(&order))
}

/// Identifiers with those of further items behind them.
fn with_cold(
    made: &Identifiers,
    seen: &Items<'_>,
    cold: &Items<'_>,
    name: &str,
) -> Result<Identifiers> {
    let codes = super::made(made, || Ok(seen.vectors.clone().into_owned()))?;
    let centroids = &made.centroids;
    let met = centroids.meet(&cold.vectors.data);
    let space = Space { dim: centroids.dim, vectors: &met, centroids: &centroids.levels };
    let nearest = assign_from(made, &cold.vectors, &cold.first(made))?;
    made.grown(&codes, Later { made: &nearest, space }).map_err(|left| {
        Error::Usage(format!(
            "{left} of {} items that training does not know find no code of the last level free: raise {name}.codes, or set \
             {name}.collisions = \"dedup\"",
            cold.vectors.len()
        ))
    })
}

#[cfg(test)]
mod tests;
