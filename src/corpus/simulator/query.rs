//! Queries: an intent put into words, chosen independently of any title.
//!
//! Each concept (the noun and every required value) is named by the form that no title uses with
//! probability γ, else by one of the sellers' forms; then word order and typing errors.

use rand::Rng;

use super::draw::shuffle;
use super::intent::Intent;
use super::taxonomy::{Concept, Taxonomy};

/// Probability that the noun does not stand last.
const FREE_ORDER: f64 = 0.3;

/// Shortest word that is mistyped.
const TYPO_LENGTH: usize = 4;

/// An intent in a shopper's words.
pub(super) struct Query {
    /// As typed.
    pub(super) text: String,
    /// Form of the noun.
    pub(super) noun_form: u8,
    /// Slot and form of each required value.
    pub(super) forms: Vec<(u8, u8)>,
}

/// Puts an intent into words.
pub(super) fn draw_query(
    taxonomy: &Taxonomy,
    intent: &Intent,
    gap: f64,
    typo_rate: f64,
    rng: &mut impl Rng,
) -> Query {
    let leaf = &taxonomy.leaves[usize::from(intent.leaf)];
    let noun_form = draw_form(&leaf.noun, gap, rng);
    let forms: Vec<(u8, u8)> = intent
        .slots
        .iter()
        .map(|&slot| {
            let concept = taxonomy.value(leaf, usize::from(slot), intent.value(slot));
            (slot, draw_form(concept, gap, rng))
        })
        .collect();
    let mut phrases: Vec<&str> = forms
        .iter()
        .map(|&(slot, form)| taxonomy.value(leaf, usize::from(slot), intent.value(slot)).form(form))
        .collect();
    shuffle(&mut phrases, rng);
    phrases.push(leaf.noun.form(noun_form));
    if rng.random::<f64>() < FREE_ORDER {
        shuffle(&mut phrases, rng);
    }
    let mut text = String::new();
    for word in phrases.iter().flat_map(|phrase| phrase.split(' ')) {
        if !text.is_empty() {
            text.push(' ');
        }
        if word.len() >= TYPO_LENGTH && rng.random::<f64>() < typo_rate {
            text.push_str(&mistype(word, rng));
        } else {
            text.push_str(word);
        }
    }
    Query { text, noun_form, forms }
}

fn draw_form(concept: &Concept, gap: f64, rng: &mut impl Rng) -> u8 {
    if rng.random::<f64>() < gap { concept.hidden() } else { concept.seller_form(rng) }
}

/// Swaps two neighbors, drops, doubles or replaces a letter behind the first one.
fn mistype(word: &str, rng: &mut impl Rng) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let place = rng.random_range(1..letters.len());
    match rng.random_range(0..4_u8) {
        0 if place + 1 < letters.len() => letters.swap(place, place + 1),
        1 => {
            letters.remove(place);
        }
        2 => letters.insert(place, letters[place]),
        _ => letters[place] = char::from(b'a' + rng.random_range(0..26_u8)),
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn mistyped_words_differ_by_little() {
        let mut rng = Seed::new(1).rng();
        for _ in 0..500 {
            let typed = mistype("curtain", &mut rng);
            assert!(typed.starts_with('c'));
            assert!((6..=8).contains(&typed.len()), "{typed}");
        }
    }
}
