//! Vectors as sums of centroids, one of each level: what every quantizer of vectors shares.
//!
//! Each level takes the centroid nearest to what the levels before it left over, `r_(l+1) = r_l - centroid_l[c_l]`. Where a
//! level's centroids lie in a space of their own, this is to quantise each space by itself.

use std::path::Path;

use super::kmeans::{directions, nearest, squared_norm};
use crate::error::{Error, Result};
use crate::identifier::{Centroids, Compared, Identifiers};
use crate::inputs::StepContext;
use crate::kind::Role;
use crate::progress::Context;
use crate::vectors::{VECTORS_FILE, Vectors, mapped_of};

/// Squares of numbers within these bounds, and their sums, are numbers that an `f32` can tell apart.
pub const LONGEST: f64 = 1e17;
const SHORTEST: f64 = 1e-15;

/// The vectors that the codes of a step are made from.
///
/// # Errors
/// [`Error::Data`] when they cannot be read, all are equal, or they are too long or too short to compute with.
pub(super) fn vectors(step: &StepContext<'_>) -> Result<Vectors> {
    let folder = step.inputs.folder(Role::Vectors)?;
    let vectors = mapped_of(folder, step.inputs.catalogue()?)?;
    check(&vectors, &folder.join(VECTORS_FILE))?;
    Ok(vectors)
}

/// Refuses vectors of a file that no codes can be made from.
///
/// # Errors
/// [`Error::Data`] when all are equal, or they are too long or too short to compute with.
pub(super) fn check(vectors: &Vectors, path: &Path) -> Result<()> {
    match fault(vectors) {
        Some((message, help)) => Err(Error::data(path, message).with_help(help)),
        None => Ok(()),
    }
}

/// Why no codes can be made from vectors, and what to do about it.
fn fault(vectors: &Vectors) -> Option<(String, &'static str)> {
    let first = vectors.row(0);
    if vectors.len() > 1 && vectors.rows().all(|row| row == first) {
        let message =
            format!("all {} vectors are equal: no code can tell items apart", vectors.len());
        return Some((message, "look at what the vectors are made from, or use kind = \"random\""));
    }
    let lengths = || vectors.rows().map(|row| squared_norm(row).sqrt());
    let scaled = "scale the vectors: codes do not depend on their unit";
    if let Some((row, length)) = lengths().enumerate().find(|(_, length)| *length > LONGEST) {
        let message = format!(
            "the vector of row {row} (from 0) has length {length:.1e}, expected at most {LONGEST:e}"
        );
        return Some((message, scaled));
    }
    let longest = lengths().fold(0.0, f64::max);
    (longest < SHORTEST).then(|| {
        (
            format!("the longest vector has length {longest:.1e}, expected {SHORTEST:e} or more"),
            scaled,
        )
    })
}

/// Warns where a level (or a part, or whatever `what` is) has more codes than there are items.
pub(super) fn warn_of_few(items: usize, codes: usize, what: &str, ctx: &Context) {
    if codes > items {
        ctx.warn(format!(
            "{codes} codes of a {what} for {items} items: most codes will stay unused; lower `codes`"
        ));
    }
}

/// Nearest codes `[n, levels without dedup]` of vectors, for instance of new items, as they were assigned when the codes were
/// made; where levels are balanced, an item may have got another code than its nearest then.
///
/// # Errors
/// [`Error::Failed`] when the codes are not made from vectors, or from vectors of another length.
pub fn assign(identifiers: &Identifiers, vectors: &Vectors) -> Result<Vec<u32>> {
    assign_from(identifiers, vectors, &[])
}

/// The same where the first codes of some items are known, `[n]`; those of the others are the nearest.
///
/// # Errors
/// As [`assign`].
pub fn assign_from(
    identifiers: &Identifiers,
    vectors: &Vectors,
    first: &[Option<u32>],
) -> Result<Vec<u32>> {
    let centroids = &identifiers.centroids;
    if centroids.levels.is_empty() {
        let message = "these codes are not made from vectors: none can be assigned by one";
        return Err(Error::Failed(message.into()));
    }
    if vectors.dim != centroids.reads() {
        return Err(Error::Failed(format!(
            "vectors of {} numbers cannot be assigned to codes made from vectors of {}",
            vectors.dim,
            centroids.reads()
        )));
    }
    let mut residuals = centroids.meet(&vectors.data).into_owned();
    let columns: Vec<Vec<u32>> = (0..centroids.levels.len())
        .map(|level| {
            let mut codes = nearest_of(centroids, level, &residuals);
            if level == 0 {
                let known = codes.iter_mut().zip(first);
                known.for_each(|(code, known)| *code = known.unwrap_or(*code));
            }
            subtract(&mut residuals, centroids.dim, &centroids.levels[level], &codes);
            codes
        })
        .collect();
    Ok(rows(&columns))
}

/// Codes `[items, levels without dedup]` of the items of identifiers as they were made, as far as that is known: those nearest
/// to their vectors where items were moved to other codes, or tokens removed.
///
/// # Errors
/// As [`assign`], or when the vectors cannot be had.
pub fn made(
    identifiers: &Identifiers,
    vectors: impl FnOnce() -> Result<Vectors>,
) -> Result<Vec<u32>> {
    if let Some(codes) = identifiers.made() {
        return Ok(codes);
    }
    let rows = identifiers.codes.chunks_exact(identifiers.n_levels());
    let first: Vec<Option<u32>> = match identifiers.centroids.first {
        Some(_) => rows.map(|path| path.first().copied()).collect(),
        None => Vec::new(),
    };
    assign_from(identifiers, &vectors()?, &first)
}

/// Codes `[n]` of one level for what the levels before it left over.
pub(super) fn nearest_of(centroids: &Centroids, level: usize, residuals: &[f32]) -> Vec<u32> {
    nearest_by(centroids.compared, centroids.dim, &centroids.levels[level], residuals)
}

/// The same of centroids `[codes, dim]` and residuals that are compared in some way.
pub(super) fn nearest_by(
    compared: Compared,
    dim: usize,
    level: &[f32],
    residuals: &[f32],
) -> Vec<u32> {
    match compared {
        Compared::Distance => nearest(residuals, dim, level),
        Compared::Direction => nearest(&directions(residuals, dim), dim, &directions(level, dim)),
    }
}

/// Subtracts the centroids of codes `[n]` from the residuals.
pub(super) fn subtract(residuals: &mut [f32], dim: usize, centroids: &[f32], codes: &[u32]) {
    for (residual, &code) in residuals.chunks_exact_mut(dim).zip(codes) {
        let at = code as usize * dim;
        for (x, c) in residual.iter_mut().zip(&centroids[at..at + dim]) {
            *x -= c;
        }
    }
}

/// Codes `[n, levels]` from those of each level, `[n]`.
pub(super) fn rows(columns: &[Vec<u32>]) -> Vec<u32> {
    let n = columns.first().map_or(0, Vec::len);
    (0..n).flat_map(|item| columns.iter().map(move |column| column[item])).collect()
}

/// Mean squared length of vectors `[n, dim]`.
pub(super) fn mean_squared_length(vectors: &[f32], dim: usize) -> f64 {
    vectors.chunks_exact(dim).map(squared_norm).sum::<f64>() / (vectors.len() / dim).max(1) as f64
}

/// Vectors `[n, dim]` drawn uniformly, for tests.
#[cfg(test)]
pub(super) fn random(items: usize, dim: usize) -> Vectors {
    use rand::Rng;
    let mut rng = crate::seed::Seed::new(9).rng();
    let data: Vec<f32> = (0..items * dim).map(|_| rng.random_range(-1.0f32..1.0)).collect();
    Vectors { dim, data: data.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_that_say_nothing_are_refused() {
        let fault = |dim: usize, data: &[f32]| {
            fault(&Vectors { dim, data: data.to_vec().into() }).map(|(message, _)| message)
        };
        let told = |dim, data: &[f32]| fault(dim, data).unwrap_or_default();
        assert!(told(2, &[1.0, 2.0, 1.0, 2.0]).contains("all 2 vectors are equal"));
        assert!(told(2, &[0.0; 6]).contains("all 3 vectors are equal"));
        assert_eq!(fault(2, &[1.0, 2.0]), None, "one item needs no code to be told apart");
        assert_eq!(fault(2, &[1.0, 2.0, 2.0, 1.0]), None);
        let long = told(1, &[1.0, 3e17]);
        assert!(long.contains("row 1 (from 0) has length 3.0e17, expected at most 1e17"), "{long}");
        assert!(told(1, &[1e-20, 3e-20]).contains("the longest vector has length"));
    }

    #[test]
    fn codes_of_no_vectors_cannot_be_assigned() {
        let made = crate::identifier::Made::by("random");
        let random = Identifiers::new(vec![0, 1], vec![2], made, "c").expect("identifiers");
        let vectors = Vectors { dim: 1, data: vec![1.0].into() };
        let told = assign(&random, &vectors).expect_err("refused").to_string();
        assert!(told.contains("not made from vectors"), "{told}");
    }
}
