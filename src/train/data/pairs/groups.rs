//! Pairs gathered into groups, which are the examples of an alignment, and the files of groups and of what the
//! reference thinks of them.

use std::collections::HashMap;
use std::path::Path;

use super::Pair;
use super::settings::PairSettings;
use crate::error::{Error, Result};
use crate::store::{SealKind, read_sealed, write_sealed};
use crate::train::objective::preference::{Group, Weighed};

const PAIRS: SealKind = SealKind { kind: "pairs", version: 3 };
const SPANS: SealKind = SealKind { kind: "pairspan", version: 1 };
const REFERENCE: SealKind = SealKind { kind: "refscore", version: 2 };

/// Gathers pairs into groups of at most `group_chosen` chosen and `group_negatives` rejected items (1 where left out).
///
/// With one of each, every pair is a group, in the order of the pairs. Else the pairs of one request are gathered: those
/// of each chosen item by themselves, or, where a group may hold several, all of them, so that every chosen item of the
/// request is set against every rejected one. What does not fit into one group is dealt evenly to several; nothing is
/// dropped. An item that several pairs name counts once on its side, with its largest weight.
pub fn group_pairs(pairs: &[Pair], settings: &PairSettings) -> Vec<Group> {
    let most_chosen = settings.group_chosen.unwrap_or(1).max(1) as usize;
    let most_rejected = settings.group_negatives.unwrap_or(1).max(1) as usize;
    if most_chosen == 1 && most_rejected == 1 {
        return pairs.iter().map(single).collect();
    }
    let mut positions: HashMap<(u32, Option<u32>), usize> = HashMap::new();
    let mut gathered: Vec<Group> = Vec::new();
    for pair in pairs {
        let key = (pair.prompt, (most_chosen == 1).then_some(pair.chosen.item));
        let position = *positions.entry(key).or_insert(gathered.len());
        let Some(group) = gathered.get_mut(position) else {
            gathered.push(single(pair));
            continue;
        };
        join(&mut group.chosen, pair.chosen.item, pair.chosen.weight);
        join(&mut group.rejected, pair.rejected, pair.weight);
    }
    let mut groups = Vec::with_capacity(gathered.len());
    for Group { prompt, chosen, rejected, .. } in gathered {
        for chosen in dealt(&chosen, most_chosen) {
            for rejected in dealt(&rejected, most_rejected) {
                groups.push(Group::of(prompt, chosen.to_vec(), rejected.to_vec()));
            }
        }
    }
    groups
}

fn join(side: &mut Vec<Weighed>, answer: u32, weight: f32) {
    match side.iter_mut().find(|known| known.answer == answer) {
        Some(known) => known.weight = known.weight.max(weight),
        None => side.push(Weighed { answer, weight }),
    }
}

fn single(pair: &Pair) -> Group {
    let chosen = Weighed { answer: pair.chosen.item, weight: pair.chosen.weight };
    Group::of(
        pair.prompt,
        vec![chosen],
        vec![Weighed { answer: pair.rejected, weight: pair.weight }],
    )
}

/// As few parts of at most `most` as there must be, of lengths that differ by at most one.
fn dealt<T>(all: &[T], most: usize) -> impl Iterator<Item = &[T]> {
    let parts = all.len().div_ceil(most);
    (0..parts).map(move |part| &all[part * all.len() / parts..(part + 1) * all.len() / parts])
}

/// Writes groups.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses.
pub fn write_groups(path: &Path, groups: &[Group]) -> Result<()> {
    let mut payload = Vec::with_capacity(groups.len() * 32);
    let mut push = |word: u32| payload.extend(word.to_le_bytes());
    for group in groups {
        push(group.prompt);
        push(group.chosen.len() as u32);
        push(group.rejected.len() as u32);
        push(u32::from(!group.alike.is_empty()));
        for one in group.chosen.iter().chain(&group.rejected) {
            push(one.answer);
            push(one.weight.to_bits());
        }
        group.alike.iter().for_each(|factor| push(factor.to_bits()));
    }
    write_sealed(path, PAIRS, &payload)
}

/// Reads groups over `n_prompts` prompts and `n_answers` answers.
///
/// # Errors
/// [`Error::Data`] when the file is missing, damaged, or speaks of other prompts or answers.
pub fn read_groups(path: &Path, n_prompts: usize, n_answers: usize) -> Result<Vec<Group>> {
    let payload = read_sealed(path, PAIRS)?;
    let words = words(&payload);
    let mut rest = words.as_slice();
    let mut groups = Vec::new();
    while !rest.is_empty() {
        let group = next_group(&mut rest).filter(|group| {
            (group.prompt as usize) < n_prompts
                && !group.chosen.is_empty()
                && !group.rejected.is_empty()
                && group.answers().all(|answer| (answer as usize) < n_answers)
        });
        groups.push(group.ok_or_else(|| {
            Error::data(path, format!("group {} does not fit the corpus", groups.len() + 1))
                .with_help("delete the step's folder and run again")
        })?);
    }
    Ok(groups)
}

/// Takes one group off the front.
fn next_group(rest: &mut &[u32]) -> Option<Group> {
    let (&[prompt, n_chosen, n_rejected, looks_alike], after) = rest.split_first_chunk::<4>()?;
    let (chosen, after) = after.split_at_checked((n_chosen as usize).checked_mul(2)?)?;
    let (rejected, after) = after.split_at_checked((n_rejected as usize).checked_mul(2)?)?;
    let n_alike = match looks_alike {
        0 => 0,
        _ => (n_chosen as usize).checked_mul(n_rejected as usize)?,
    };
    let (alike, after) = after.split_at_checked(n_alike)?;
    *rest = after;
    let side = |words: &[u32]| {
        let pairs = words.chunks_exact(2);
        pairs.map(|pair| Weighed { answer: pair[0], weight: f32::from_bits(pair[1]) }).collect()
    };
    let alike = alike.iter().map(|&word| f32::from_bits(word)).collect();
    Some(Group { prompt, chosen: side(chosen), rejected: side(rejected), alike })
}

/// Writes the spans that groups compare.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses.
pub fn write_spans(path: &Path, spans: &[Vec<u32>]) -> Result<()> {
    let mut payload = Vec::new();
    for span in spans {
        payload.extend((span.len() as u32).to_le_bytes());
        span.iter().for_each(|token| payload.extend(token.to_le_bytes()));
    }
    write_sealed(path, SPANS, &payload)
}

/// Reads them back.
///
/// # Errors
/// [`Error::Data`] when the file is missing or damaged.
pub fn read_spans(path: &Path) -> Result<Vec<Vec<u32>>> {
    let payload = read_sealed(path, SPANS)?;
    let words = words(&payload);
    let mut rest = words.as_slice();
    let mut spans = Vec::new();
    while let Some((&length, after)) = rest.split_first() {
        let split = after.split_at_checked(length as usize).filter(|_| length > 0);
        let Some((span, after)) = split else {
            return Err(Error::data(path, format!("span {} is cut", spans.len() + 1))
                .with_help("delete the step's folder and run again"));
        };
        spans.push(span.to_vec());
        rest = after;
    }
    Ok(spans)
}

/// Writes reference scores, one per answer of the groups.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses.
pub fn write_reference(path: &Path, scores: &[f32]) -> Result<()> {
    let payload: Vec<u8> = scores.iter().copied().flat_map(f32::to_le_bytes).collect();
    write_sealed(path, REFERENCE, &payload)
}

/// Reads reference scores of `n_answers` answers.
///
/// # Errors
/// [`Error::Data`] when the file is missing, damaged, or belongs to other groups.
pub fn read_reference(path: &Path, n_answers: usize) -> Result<Vec<f32>> {
    let payload = read_sealed(path, REFERENCE)?;
    let scores: Vec<f32> = words(&payload).into_iter().map(f32::from_bits).collect();
    if scores.len() != n_answers {
        let got = scores.len();
        let message = format!("expected scores of {n_answers} answers, got {got}");
        return Err(Error::data(path, message).with_help("delete the step's folder and run again"));
    }
    Ok(scores)
}

fn words(payload: &[u8]) -> Vec<u32> {
    payload.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
