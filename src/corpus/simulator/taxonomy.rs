//! Leaves, attributes and surface forms as the world's seed arranges them.
//!
//! Nothing here depends on the number of items. Laws and constants: `docs/simulator.md`, sections
//! "categories" and "attributes".

use rand::Rng;

use crate::seed::Seed;

use super::draw::{Discrete, normal, permutation, shuffle, zipf_weight};
use super::vocabulary::{ATTRIBUTES, BRAND_HEADS, BRAND_TAILS, DEPARTMENTS};

/// Dimensions of style and taste.
pub(super) const STYLE: usize = 8;

/// Most attributes of a leaf, brand included: what fits the packed item.
pub(super) const MAX_SLOTS: usize = 8;

/// Attributes of a leaf beside the brand: between 3 and 6.
const OTHER_ATTRIBUTES: std::ops::RangeInclusive<usize> = 3..=6;

/// Zipf exponent of an attribute's values within a leaf.
const VALUE_ZIPF: f64 = 1.0;

/// How strongly style moves the choice of values (κ).
const STYLE_STRENGTH: f64 = 1.0;

/// Mean and standard deviation over leaves of the log price.
const LEAF_PRICE: (f64, f64) = (3.5, 0.9);

/// Something that can be named: a noun or the value of an attribute.
pub(super) struct Concept {
    /// Surface forms.
    forms: Vec<String>,
    /// The form that no title uses.
    hidden: usize,
    /// Per form: whether the shop's synonym dictionary knows it.
    known: Vec<bool>,
    /// Forms that titles use, likelier first.
    seller: Vec<usize>,
    seller_draw: Discrete,
}

impl Concept {
    fn new(
        forms: Vec<String>,
        hidden: Option<usize>,
        known_share: f64,
        rng: &mut impl Rng,
    ) -> Self {
        let hidden = hidden.unwrap_or_else(|| rng.random_range(0..forms.len()));
        let known = forms.iter().map(|_| rng.random_bool(known_share)).collect();
        let mut seller: Vec<usize> = (0..forms.len()).filter(|&form| form != hidden).collect();
        shuffle(&mut seller, rng);
        let seller_draw = Discrete::zipf(seller.len(), 1.0, 0.0);
        Self { forms, hidden, known, seller, seller_draw }
    }

    /// The words of a form.
    pub(super) fn form(&self, form: u8) -> &str {
        self.forms.get(usize::from(form)).map_or("", String::as_str)
    }

    /// The form that no title uses.
    pub(super) fn hidden(&self) -> u8 {
        self.hidden as u8
    }

    /// Whether the shop's synonym dictionary knows a form.
    pub(super) fn is_known(&self, form: u8) -> bool {
        self.known.get(usize::from(form)).copied().unwrap_or(false)
    }

    /// Draws a form that titles use.
    pub(super) fn seller_form(&self, rng: &mut impl Rng) -> u8 {
        self.seller[self.seller_draw.draw(rng)] as u8
    }
}

/// An attribute of the shared pool.
pub(super) struct Attribute {
    pub(super) name: &'static str,
    pub(super) values: Vec<Concept>,
    /// Direction of each value in style space.
    directions: Vec<[f64; STYLE]>,
}

/// A leaf of the category tree.
pub(super) struct Leaf {
    pub(super) department: &'static str,
    pub(super) shelf: &'static str,
    pub(super) noun: Concept,
    /// Indices into [`Taxonomy::attributes`]; slot 0 is the brand.
    pub(super) slots: Vec<usize>,
    /// Per slot: log weight of each value before style.
    log_weights: Vec<Vec<f64>>,
    /// Mean of the log price.
    pub(super) log_price: f64,
}

/// All leaves and attributes.
pub(super) struct Taxonomy {
    pub(super) attributes: Vec<Attribute>,
    pub(super) leaves: Vec<Leaf>,
    leaf_draw: Discrete,
    leaf_order: Vec<usize>,
}

impl Taxonomy {
    /// Arranges the vocabulary by a seed.
    pub(super) fn new(leaf_zipf: f64, known_synonyms: f64, seed: Seed) -> Self {
        let known = known_synonyms.clamp(0.0, 1.0);
        let mut rng = seed.purpose("attributes").rng();
        let mut attributes = vec![brands(known, &mut rng)];
        for words in ATTRIBUTES {
            let values: Vec<Concept> = words
                .values
                .iter()
                .map(|value| Concept::new(split(value), None, known, &mut rng))
                .collect();
            let directions = values.iter().map(|_| direction(&mut rng)).collect();
            attributes.push(Attribute { name: words.name, values, directions });
        }
        let mut leaves = Vec::new();
        for department in DEPARTMENTS {
            for (shelf, nouns) in department.shelves {
                for noun in *nouns {
                    let mut rng = seed.purpose("leaf").index(leaves.len() as u64).rng();
                    let concept = Concept::new(split(noun), None, known, &mut rng);
                    leaves.push(leaf(
                        department.name,
                        shelf,
                        concept,
                        department.attributes,
                        &attributes,
                        &mut rng,
                    ));
                }
            }
        }
        let leaf_order = permutation(leaves.len(), &mut seed.purpose("leaf-order").rng());
        let leaf_draw = Discrete::zipf(leaves.len(), leaf_zipf, 0.0);
        Self { attributes, leaves, leaf_draw, leaf_order }
    }

    /// Draws a leaf by its Zipf weight.
    pub(super) fn draw_leaf(&self, rng: &mut impl Rng) -> usize {
        self.leaf_order[self.leaf_draw.draw(rng)]
    }

    /// Leaves from the largest expected size to the smallest.
    #[cfg(test)]
    pub(super) fn leaves_by_size(&self) -> &[usize] {
        &self.leaf_order
    }

    /// Draws the value of a slot: p(v) ∝ rank^−1 · e^(κ ⟨z, direction⟩).
    pub(super) fn draw_value(
        &self,
        leaf: &Leaf,
        slot: usize,
        style: &[f64; STYLE],
        rng: &mut impl Rng,
    ) -> u8 {
        let attribute = &self.attributes[leaf.slots[slot]];
        let weights = leaf.log_weights[slot].iter().zip(&attribute.directions).map(|(log, e)| {
            let match_: f64 = e.iter().zip(style).map(|(a, b)| a * b).sum();
            (log + STYLE_STRENGTH * match_).exp()
        });
        Discrete::new(weights).draw(rng) as u8
    }

    /// The value of a slot of a leaf.
    pub(super) fn value(&self, leaf: &Leaf, slot: usize, value: u8) -> &Concept {
        &self.attributes[leaf.slots[slot]].values[usize::from(value)]
    }
}

fn split(forms: &str) -> Vec<String> {
    forms.split('/').map(str::to_owned).collect()
}

/// A unit vector, uniform over directions.
fn direction(rng: &mut impl Rng) -> [f64; STYLE] {
    let mut vector = [0.0; STYLE];
    for coordinate in &mut vector {
        *coordinate = normal(rng);
    }
    let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
    vector.map(|x| x / length)
}

/// Brands are one word in titles (`northpeak`) and two words in the mouth of a shopper (`north peak`).
fn brands(known: f64, rng: &mut impl Rng) -> Attribute {
    let values: Vec<Concept> = BRAND_HEADS
        .iter()
        .map(|head| {
            let tail = BRAND_TAILS[rng.random_range(0..BRAND_TAILS.len())];
            let forms = vec![format!("{head}{tail}"), format!("{head} {tail}")];
            Concept::new(forms, Some(1), known, rng)
        })
        .collect();
    let directions = values.iter().map(|_| direction(rng)).collect();
    Attribute { name: "brand", values, directions }
}

fn leaf(
    department: &'static str,
    shelf: &'static str,
    noun: Concept,
    allowed: &[&str],
    attributes: &[Attribute],
    rng: &mut impl Rng,
) -> Leaf {
    let mut others: Vec<usize> =
        (1..attributes.len()).filter(|&index| allowed.contains(&attributes[index].name)).collect();
    shuffle(&mut others, rng);
    others.truncate(rng.random_range(OTHER_ATTRIBUTES).min(MAX_SLOTS - 1));
    let slots: Vec<usize> = std::iter::once(0).chain(others).collect();
    let log_weights = slots
        .iter()
        .map(|&attribute| {
            let ranks = permutation(attributes[attribute].values.len(), rng);
            ranks.into_iter().map(|rank| zipf_weight(rank, VALUE_ZIPF, 0.0).ln()).collect()
        })
        .collect();
    let log_price = LEAF_PRICE.0 + LEAF_PRICE.1 * normal(rng);
    Leaf { department, shelf, noun, slots, log_weights, log_price }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_have_four_to_eight_attributes_and_titles_never_use_the_hidden_form() {
        let taxonomy = Taxonomy::new(1.1, 0.5, Seed::new(1));
        let mut rng = Seed::new(2).rng();
        assert!(taxonomy.leaves.len() > 100);
        for leaf in &taxonomy.leaves {
            assert!((4..=MAX_SLOTS).contains(&leaf.slots.len()));
            for _ in 0..20 {
                assert_ne!(leaf.noun.seller_form(&mut rng), leaf.noun.hidden());
            }
        }
    }
}
