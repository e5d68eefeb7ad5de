//! The tokens that a vocabulary holds for the identifiers of a model: the codes of one identifier
//! behind those of another and, where there are several, a mode token for each at the end.
//!
//! Tokens tell identifiers apart by their place among those of the model, which enters the keys of
//! steps. Their names do not, so that a vocabulary must not depend on them.

use std::path::Path;

use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::model::Tokenizer;
use crate::model::folder::model_files;

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

/// Whether a folder's files name the first token of an identifier, or a mode: most name none, which their text tells
/// without building a vocabulary.
pub(super) fn may_hold_identifiers(folder: &Path, n: usize) -> bool {
    let first = Identifiers::token(0, 0);
    let names: Vec<String> =
        (0..n).map(|place| spelled(place, &first)).chain((0..n_modes(n)).map(mode)).collect();
    let texts = model_files(folder).unwrap_or_default().into_iter();
    let texts = texts.filter(|path| path.extension().is_some_and(|e| e == "json"));
    texts
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .any(|text| names.iter().any(|name| text.contains(name.as_str())))
}

/// Codes of each level, as far as a vocabulary has tokens of the identifier at a place.
fn held(tokenizer: &Tokenizer, place: usize) -> Vec<u32> {
    let has = |level, code| tokenizer.token_id(&spelled(place, &Identifiers::token(level, code)));
    let codes = |level| (0..).take_while(|code| has(level, *code).is_some()).count() as u32;
    (0..).map(codes).take_while(|codes| *codes > 0).collect()
}

/// Refuses a vocabulary with tokens of identifiers that are not those of `levels`, whose last level may be unknown, as may be
/// the codes of one that has 0.
pub(super) fn check_known(tokenizer: &Tokenizer, levels: &[Vec<u32>], folder: &Path) -> Result<()> {
    let held: Vec<Vec<u32>> = (0..levels.len()).map(|place| held(tokenizer, place)).collect();
    let fits = |(held, known): (&Vec<u32>, &Vec<u32>)| {
        let is_same = |(held, known): (&u32, &u32)| *known == 0 || held == known;
        let is_long = held.len() >= known.len() && held.len() <= known.len() + 1;
        is_long && held.iter().zip(known.iter()).all(is_same)
    };
    if held.iter().all(Vec::is_empty) || held.iter().zip(levels).all(fits) {
        return Ok(());
    }
    Err(clash(&held, levels, folder))
}

/// Refuses a vocabulary that has some of the identifiers' tokens and not all of them.
pub(super) fn check_exact(tokenizer: &Tokenizer, all: &[Identifiers], folder: &Path) -> Result<()> {
    let (codes, modes) = tokens(all);
    if codes.iter().chain(&modes).all(|token| tokenizer.token_id(token).is_none()) {
        return Ok(());
    }
    let held: Vec<Vec<u32>> = (0..all.len()).map(|place| held(tokenizer, place)).collect();
    let levels: Vec<Vec<u32>> = all.iter().map(|one| one.levels.clone()).collect();
    Err(clash(&held, &levels, folder))
}

fn clash(held: &[Vec<u32>], wanted: &[Vec<u32>], folder: &Path) -> Error {
    let told = |all: &[Vec<u32>]| {
        let levels = all.iter().enumerate().flat_map(|(place, levels)| {
            levels.iter().enumerate().map(move |(level, codes)| {
                let token = |code| spelled(place, &Identifiers::token(level, code));
                format!("{} to {}", token(0), token(codes.saturating_sub(1)))
            })
        });
        let levels: Vec<String> = levels.collect();
        if levels.is_empty() { "none of codes".to_owned() } else { levels.join(", ") }
    };
    let message = format!(
        "its vocabulary has identifier tokens already ({}), but the identifier needs {}",
        told(held),
        told(wanted)
    );
    Error::data(folder, message).with_help(
        "give the identifier the levels and codes of the folder, or begin from the base model that it was made of",
    )
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
    fn a_vocabulary_with_tokens_of_another_identifier_is_refused() {
        let mut tokenizer = Tokenizer::train_bpe(["red"].iter(), 270, &Context::silent()).unwrap();
        let folder = Path::new("model");
        let known = |tokenizer: &Tokenizer, levels: &[&[u32]]| {
            let levels: Vec<Vec<u32>> = levels.iter().map(|levels| levels.to_vec()).collect();
            let told = check_known(tokenizer, &levels, folder).err();
            told.map(|error| (assert_eq!(error.exit_code(), 2), error.to_string()).1)
                .unwrap_or_default()
        };
        assert_eq!(known(&tokenizer, &[&[8, 8]]), "");
        add(&mut tokenizer, &[random(&[4, 4], &[0, 1])]).unwrap();
        assert_eq!(known(&tokenizer, &[&[4, 4]]), "");
        // A level that tells items apart may follow.
        assert_eq!(known(&tokenizer, &[&[4]]), "");
        for other in [&[8u32, 8] as &[u32], &[4, 8], &[2, 4], &[4, 4, 4], &[3]] {
            let told = known(&tokenizer, &[other]);
            let held = "has identifier tokens already (<a_0> to <a_3>, <b_0> to <b_3>)";
            assert!(told.contains("model: its vocabulary") && told.contains(held), "{told}");
        }
        assert!(known(&tokenizer, &[&[8, 8]]).contains("needs <a_0> to <a_7>, <b_0> to <b_7>"));
        let second = known(&tokenizer, &[&[4, 4], &[4, 4]]);
        assert!(second.contains("<2:b_0> to <2:b_3>"), "{second}");
        let exact = |levels: &[u32], codes: &[u32]| {
            let all = [random(levels, codes)];
            check_exact(&tokenizer, &all, folder).err().map_or(0, |error| error.exit_code())
        };
        assert_eq!(exact(&[4, 4, 2], &[0, 1, 1]), 2);
        assert_eq!(
            check_exact(
                &Tokenizer::train_bpe(["a"].iter(), 270, &Context::silent()).unwrap(),
                &[random(&[8], &[0])],
                folder
            )
            .err()
            .map(|e| e.to_string()),
            None
        );
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
