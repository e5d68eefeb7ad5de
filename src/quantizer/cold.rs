//! Codes that are fitted on some items, and given to the others as to items that come later.

use std::path::Path;

use super::assign;
use super::known::Known;
use super::levels::check;
use super::settings::FitOn;
use crate::error::{Error, Result};
use crate::identifier::{Identifiers, Later, Space};
use crate::inputs::StepContext;
use crate::kind::Role;
use crate::vectors::{VECTORS_FILE, Vectors};

/// Identifiers of all items: `fit` makes those of the items that settings say, whose vectors and hash it is given.
///
/// # Errors
/// When no item is to be fitted on, `fit` fails, or the codes do not suffice for the others.
pub(super) fn fit_on(
    on: FitOn,
    vectors: &Vectors,
    (step, known): (&StepContext<'_>, &dyn Known),
    fit: impl Fn(&Vectors, &str) -> Result<Identifiers>,
) -> Result<Identifiers> {
    let hash = &step.inputs.catalogue()?.hash;
    if on.is_all() {
        return fit(vectors, hash);
    }
    let exposure = known.exposure()?;
    let path = step.inputs.folder(Role::Vectors)?.join(VECTORS_FILE);
    let is_warm = |item: usize| exposure.get(item).is_some_and(|&count| count > 0);
    let all = fit_warm(vectors, is_warm, (&path, step.name), |seen| fit(seen, hash))?;
    let n_warm = all.diagnostics.fitted.unwrap_or_default();
    step.ctx.say(format!(
        "codes were fitted on {n_warm} items that were chosen in training; {} others got the nearest",
        vectors.len() - n_warm
    ));
    Ok(all)
}

/// Identifiers that are fitted on some items, and given to the others.
fn fit_warm(
    vectors: &Vectors,
    is_warm: impl Fn(usize) -> bool,
    (path, name): (&Path, &str),
    fit: impl Fn(&Vectors) -> Result<Identifiers>,
) -> Result<Identifiers> {
    let (warm, cold): (Vec<usize>, Vec<usize>) =
        (0..vectors.len()).partition(|&item| is_warm(item));
    if warm.is_empty() {
        let message = "none of the items was chosen in training: there is nothing to fit codes on";
        let help = format!("set {name}.fit = \"all\"");
        return Err(Error::data(path, message).with_help(help));
    }
    let seen = rows(vectors, &warm)?;
    check(&seen, path).map_err(|error| {
        error.with_help("these are the items that were chosen in training; set fit = \"all\"")
    })?;
    let made = fit(&seen)?;
    let n_warm = warm.len();
    let mut all = match cold.is_empty() {
        true => made,
        false => with_cold(&made, &seen, &rows(vectors, &cold)?, name)?,
    };
    all.diagnostics.fitted = Some(n_warm);
    let order: Vec<usize> = warm.into_iter().chain(cold).collect();
    Ok(all.placed(&order))
}

/// Identifiers with those of further items behind them.
fn with_cold(
    made: &Identifiers,
    seen: &Vectors,
    cold: &Vectors,
    name: &str,
) -> Result<Identifiers> {
    let codes = match made.made() {
        Some(codes) => codes,
        None => assign(made, seen)?,
    };
    let centroids = &made.centroids;
    let met = centroids.meet(&cold.data);
    let space = Space { dim: centroids.dim, vectors: &met, centroids: &centroids.levels };
    let nearest = assign(made, cold)?;
    made.grown(&codes, Later { made: &nearest, space }).map_err(|left| {
        Error::Usage(format!(
            "{left} of {} items that training does not know find no code of the last level free: raise {name}.codes, or set \
             {name}.collisions = \"dedup\"",
            cold.len()
        ))
    })
}

fn rows(vectors: &Vectors, items: &[usize]) -> Result<Vectors> {
    let data = items.iter().flat_map(|&item| vectors.row(item)).copied().collect();
    Vectors::new(vectors.dim, data, "item vectors")
}

#[cfg(test)]
mod tests;
