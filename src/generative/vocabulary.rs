//! The tokens that a vocabulary holds for the identifiers of a model: the codes of one identifier
//! behind those of another and, where there are several ways to ask for an item, a mode token for
//! each at the end. An identifier of codes is one way, one of spans has a way for each of its views.
//!
//! Tokens tell identifiers apart by their place among those of the model, which enters the keys of
//! steps. Their names do not, so that a vocabulary must not depend on them.

use std::path::Path;

use super::named::Named;
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::model::Tokenizer;
use crate::model::folder::model_files;

/// Mode tokens of a model that can be asked in `n` ways: one needs none.
pub fn n_modes(n: usize) -> usize {
    if n > 1 { n } else { 0 }
}

/// The token that ends a prompt which is answered in the way at a place.
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
fn tokens(all: &[Named]) -> (Vec<String>, Vec<String>) {
    let codes = all.iter().enumerate().flat_map(|(place, one)| {
        let tokens = one.codes().map(Identifiers::tokens).unwrap_or_default();
        tokens.into_iter().map(move |token| spelled(place, &token))
    });
    (codes.collect(), (0..n_modes(all.iter().map(Named::modes).sum())).map(mode).collect())
}

/// Adds them behind all others; the id of the first.
pub(super) fn add(tokenizer: &mut Tokenizer, all: &[Named]) -> Result<u32> {
    let (codes, modes) = tokens(all);
    let first = tokenizer.extend(&codes)?.start;
    tokenizer.extend_special(&modes)?;
    Ok(first)
}

/// The id of the first, where all of them are there already, one behind the other.
pub(super) fn find(tokenizer: &Tokenizer, all: &[Named]) -> Option<u32> {
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
pub(super) fn check_exact(tokenizer: &Tokenizer, all: &[Named], folder: &Path) -> Result<()> {
    let (codes, modes) = tokens(all);
    if codes.iter().chain(&modes).all(|token| tokenizer.token_id(token).is_none()) {
        return Ok(());
    }
    let held: Vec<Vec<u32>> = (0..all.len()).map(|place| held(tokenizer, place)).collect();
    let levels: Vec<Vec<u32>> = all.iter().map(|one| one.levels().to_vec()).collect();
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

/// Where the tokens of each identifier begin, and its mode tokens where it has some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ids {
    /// Of the first code of the first level.
    pub(super) first: u32,
    /// End prompts, one for each way to ask; none where there is one way for all.
    pub(super) modes: Vec<u32>,
}

/// Ids of the identifiers with these codes per level and ways to ask, whose first code has the id `first`.
pub(super) fn ids(all: &[(&[u32], usize)], first: u32) -> Vec<Ids> {
    let codes = |levels: &[u32]| levels.iter().sum::<u32>();
    let mut next_mode = first + all.iter().map(|(levels, _)| codes(levels)).sum::<u32>();
    let has_modes = n_modes(all.iter().map(|(_, modes)| modes).sum()) > 0;
    let mut next = first;
    let each = all.iter().map(|(levels, modes)| {
        let first = next;
        next += codes(levels);
        let n = if has_modes { *modes as u32 } else { 0 };
        let modes = (next_mode..next_mode + n).collect();
        next_mode += n;
        Ids { first, modes }
    });
    each.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::identifier::Made;
    use crate::progress::Context;

    fn random(levels: &[u32], codes: &[u32]) -> Named {
        let made = Made::by("random");
        let codes = Identifiers::new(codes.to_vec(), levels.to_vec(), made, "cafe").unwrap();
        Named::Codes(Box::new(codes))
    }

    fn levels_of(all: &[Named]) -> Vec<(&[u32], usize)> {
        all.iter().map(|one| (one.levels(), one.modes())).collect()
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
        let ids = ids(&levels_of(&all), own);
        let id = |token: &str| tokenizer.token_id(token);
        let first = ids.iter().map(|ids| Some(ids.first)).collect::<Vec<_>>();
        assert_eq!(first, [id("<a_0>"), id("<2:a_0>"), id("<3:a_0>")]);
        let modes = ids.iter().map(|ids| ids.modes.first().copied()).collect::<Vec<_>>();
        assert_eq!(modes, [id("<|as:1|>"), id("<|as:2|>"), id("<|as:3|>")]);
        assert_eq!(id("<b_2>"), Some(ids[0].first + 4));

        let mut alone = Tokenizer::train_bpe(["red"].iter(), 270, &Context::silent()).unwrap();
        let codes = all[0].codes().unwrap().tokens();
        let first = alone.clone().extend(&codes).unwrap().start;
        assert_eq!(add(&mut alone, &all[..1]).unwrap(), first);
        assert_eq!(alone.len() as u32, first + 5);
        let none = Ids { first, modes: Vec::new() };
        assert_eq!(super::ids(&levels_of(&all[..1]), first), [none]);
    }

    #[test]
    fn each_view_of_spans_is_a_way_to_ask() {
        let spans = |title: bool, fields: &[&str]| {
            let text = format!("title = {title}\nfields = {fields:?}");
            Named::Spans(toml::from_str(&text).unwrap())
        };
        let all = [spans(true, &["brand"]), random(&[2, 3], &[0, 2, 1, 0])];
        let mut tokenizer = Tokenizer::train_bpe(["red"].iter(), 270, &Context::silent()).unwrap();
        let own = add(&mut tokenizer, &all).unwrap();
        assert_eq!(find(&tokenizer, &all), Some(own));
        assert_eq!(tokenizer.len() as u32, own + 5 + 4);
        assert_eq!(tokenizer.token_id("<2:a_0>"), Some(own));
        let ids = super::ids(&levels_of(&all), own);
        assert_eq!(ids[0], Ids { first: own, modes: vec![own + 5, own + 6, own + 7] });
        assert_eq!(ids[1], Ids { first: own, modes: vec![own + 8] });

        // One view of one identifier: nothing to tell apart, nothing to add.
        let alone = [spans(false, &[])];
        let before = tokenizer.len() as u32;
        assert_eq!(add(&mut tokenizer, &alone).unwrap(), before);
        assert!(super::ids(&levels_of(&alone), before)[0].modes.is_empty());
    }
}
