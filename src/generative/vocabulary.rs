//! The tokens that a vocabulary holds for the identifiers of a model: the codes of one identifier
//! behind those of another and, where there are several, a mode token for each at the end.
//!
//! Tokens tell identifiers apart by their place among those of the model, which enters the keys of
//! steps. Their names do not, so that a vocabulary must not depend on them.

use crate::error::Result;
use crate::identifier::Identifiers;
use crate::model::Tokenizer;

/// Mode tokens of a model of `n` identifiers: one needs none.
pub fn n_modes(n: usize) -> usize {
    if n > 1 { n } else { 0 }
}

/// The token that ends a prompt which is answered in the identifier at a place.
fn mode(place: usize) -> String {
    format!("<|as:{}|>", place + 1)
}

/// The token of a code, where several identifiers share a vocabulary: `<a_12>` of the first,
/// `<2:a_12>` of the second.
fn spelled(place: usize, token: &str) -> String {
    match (place, token.strip_prefix('<')) {
        (1.., Some(rest)) => format!("<{}:{rest}", place + 1),
        _ => token.to_owned(),
    }
}

/// All tokens of codes, and all mode tokens.
fn tokens(all: &[Identifiers]) -> (Vec<String>, Vec<String>) {
    let codes = all.iter().enumerate().flat_map(|(place, identifiers)| {
        identifiers.tokens().into_iter().map(move |token| spelled(place, &token))
    });
    (codes.collect(), (0..n_modes(all.len())).map(mode).collect())
}

/// Adds them behind all others; the id of the first.
pub(super) fn add(tokenizer: &mut Tokenizer, all: &[Identifiers]) -> Result<u32> {
    let (codes, modes) = tokens(all);
    let first = tokenizer.extend(&codes)?.start;
    tokenizer.extend_special(&modes)?;
    Ok(first)
}

/// The id of the first, where all of them are there already, one behind the other.
pub(super) fn find(tokenizer: &Tokenizer, all: &[Identifiers]) -> Option<u32> {
    let (codes, modes) = tokens(all);
    tokenizer.find(&[codes, modes].concat()).map(|ids| ids.start)
}

/// Where the tokens of each identifier begin, and its mode token where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ids {
    /// Of the first code of the first level.
    pub(super) first: u32,
    /// Ends prompts.
    pub(super) mode: Option<u32>,
}

/// Ids of the identifiers with these codes per level, whose first code has the id `first`.
pub(super) fn ids(levels: &[&[u32]], first: u32) -> Vec<Ids> {
    let sizes = || levels.iter().map(|levels| levels.iter().sum::<u32>());
    let modes = first + sizes().sum::<u32>();
    let mut next = first;
    (0..)
        .zip(sizes())
        .map(|(place, size)| {
            let has_mode = n_modes(levels.len()) > 0;
            let ids = Ids { first: next, mode: has_mode.then_some(modes + place) };
            next += size;
            ids
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::identifier::Made;
    use crate::progress::Context;

    fn random(levels: &[u32], codes: &[u32]) -> Identifiers {
        Identifiers::new(codes.to_vec(), levels.to_vec(), Made::by("random"), "cafe").unwrap()
    }

    #[test]
    fn every_identifier_has_tokens_of_its_own_and_one_alone_has_no_mode() {
        let all = [random(&[2, 3], &[0, 2, 1, 0]), random(&[4], &[3, 1]), random(&[2], &[0, 1])];
        let mut tokenizer = Tokenizer::train_bpe(["red"].iter(), 270, &Context::silent()).unwrap();
        let own = tokenizer.len() as u32;
        assert_eq!(find(&tokenizer, &all), None);
        assert_eq!(add(&mut tokenizer, &all).unwrap(), own);
        assert_eq!(find(&tokenizer, &all), Some(own));
        assert_eq!(tokenizer.len() as u32, own + 5 + 4 + 2 + 3);
        let levels: Vec<&[u32]> = all.iter().map(|one| one.levels.as_slice()).collect();
        let ids = ids(&levels, own);
        let id = |token: &str| tokenizer.token_id(token);
        let first = ids.iter().map(|ids| Some(ids.first)).collect::<Vec<_>>();
        assert_eq!(first, [id("<a_0>"), id("<2:a_0>"), id("<3:a_0>")]);
        let modes = ids.iter().map(|ids| ids.mode).collect::<Vec<_>>();
        assert_eq!(modes, [id("<|as:1|>"), id("<|as:2|>"), id("<|as:3|>")]);
        assert_eq!(id("<b_2>"), Some(ids[0].first + 4));

        let mut alone = Tokenizer::train_bpe(["red"].iter(), 270, &Context::silent()).unwrap();
        let first = alone.clone().extend(&all[0].tokens()).unwrap().start;
        assert_eq!(add(&mut alone, &all[..1]).unwrap(), first);
        assert_eq!(alone.len() as u32, first + 5);
        assert_eq!(super::ids(&levels[..1], first), [Ids { first, mode: None }]);
    }
}
