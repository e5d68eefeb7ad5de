//! Items of the simulated shop: what is drawn for item i, and its title.
//!
//! Item i depends on the world's seed and on i, never on how many items there are. The packed form
//! costs 72 bytes; titles are made again from it when they are written.

use rand::Rng;

use crate::seed::Seed;

use super::draw::{normal, shuffle};
use super::taxonomy::{MAX_SLOTS, STYLE, Taxonomy};
use super::vocabulary::STUFFING;

/// Marks a form that the title leaves out.
pub(super) const NOT_IN_TITLE: u8 = 0xF;

/// Attributes that a title names beside the brand.
const TITLE_ATTRIBUTES: std::ops::RangeInclusive<usize> = 3..=6;

/// Probability that a title leaves out its noun, and its brand.
const DROP_NOUN: f64 = 0.03;
const DROP_BRAND: f64 = 0.1;

/// Probability of each of up to two meaningless words.
const STUFF: f64 = 0.3;

/// Probability that all words of a title but the brand stand in free order.
const FREE_ORDER: f64 = 0.25;

/// Spread of the log price around its leaf, and how much quality moves it.
const PRICE_SPREAD: f64 = 0.4;
const PRICE_QUALITY: f64 = 0.25;

/// Popularity is this much quality plus this much that nothing explains.
const POPULARITY: (f64, f64) = (0.5, 0.8);

/// Share of warm items that were there before the log starts, and for how many days at most.
const OLD_SHARE: f64 = 0.7;
const OLD_DAYS: i32 = 365;

/// The latent truth of an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Item {
    /// Value per slot of the leaf, 8 bits each; unused slots are zero.
    pub(super) values: u64,
    /// Form per slot used in the title, 4 bits each, or [`NOT_IN_TITLE`].
    pub(super) forms: u32,
    pub(super) leaf: u16,
    pub(super) noun_form: u8,
    pub(super) launch_day: i32,
    pub(super) quality: f32,
    /// Log price relative to the leaf's mean, in standard deviations.
    pub(super) relative_price: f32,
    pub(super) popularity: f32,
    pub(super) style: [f32; STYLE],
}

impl Item {
    /// Value of a slot.
    pub(super) fn value(&self, slot: usize) -> u8 {
        (self.values >> (8 * slot)) as u8
    }

    /// Form of a slot in the title, or [`NOT_IN_TITLE`].
    pub(super) fn form(&self, slot: usize) -> u8 {
        (self.forms >> (4 * slot)) as u8 & 0xF
    }
}

/// When items may launch.
#[derive(Debug, Clone, Copy)]
pub(super) struct LaunchLaw {
    /// Share of items that launch on the first test day.
    pub(super) cold_share: f64,
    /// Days of training; other items launch before they end.
    pub(super) train_days: i32,
    /// First test day.
    pub(super) test_day: i32,
}

/// Draws item `index`.
pub(super) fn draw_item(taxonomy: &Taxonomy, launch: LaunchLaw, seed: Seed, index: u64) -> Item {
    let mut rng = seed.index(index).rng();
    let leaf_index = taxonomy.draw_leaf(&mut rng);
    let leaf = &taxonomy.leaves[leaf_index];
    let style: [f64; STYLE] = std::array::from_fn(|_| normal(&mut rng));
    let n_slots = leaf.slots.len();
    let mut values = 0;
    for slot in 0..n_slots {
        values |= u64::from(taxonomy.draw_value(leaf, slot, &style, &mut rng)) << (8 * slot);
    }
    let quality = normal(&mut rng);
    let relative_price = (PRICE_QUALITY * quality + PRICE_SPREAD * normal(&mut rng))
        / PRICE_SPREAD.hypot(PRICE_QUALITY);
    let popularity = POPULARITY.0 * quality + POPULARITY.1 * normal(&mut rng);
    let launch_day = if rng.random::<f64>() < launch.cold_share {
        launch.test_day
    } else if rng.random::<f64>() < OLD_SHARE {
        -rng.random_range(1..=OLD_DAYS)
    } else {
        rng.random_range(0..launch.train_days.max(1))
    };
    let noun_form = if rng.random::<f64>() < DROP_NOUN {
        NOT_IN_TITLE
    } else {
        leaf.noun.seller_form(&mut rng)
    };
    let mut slots: Vec<usize> = (1..n_slots).collect();
    shuffle(&mut slots, &mut rng);
    slots.truncate(rng.random_range(TITLE_ATTRIBUTES));
    if rng.random::<f64>() >= DROP_BRAND {
        slots.push(0);
    }
    let mut forms = u32::MAX;
    for slot in slots {
        let value = (values >> (8 * slot)) as u8;
        let form = taxonomy.value(leaf, slot, value).seller_form(&mut rng);
        forms &= !(0xF << (4 * slot));
        forms |= u32::from(form & 0xF) << (4 * slot);
    }
    Item {
        values,
        forms,
        leaf: leaf_index as u16,
        noun_form,
        launch_day,
        quality: quality as f32,
        relative_price: relative_price as f32,
        popularity: popularity as f32,
        style: style.map(|x| x as f32),
    }
}

/// The title of an item: brand first, then attributes, noun and model number in weak order.
pub(super) fn title(taxonomy: &Taxonomy, item: &Item, seed: Seed, index: u64) -> String {
    let mut rng = seed.index(index).rng();
    let leaf = &taxonomy.leaves[usize::from(item.leaf)];
    let mut words: Vec<&str> = (1..leaf.slots.len().min(MAX_SLOTS))
        .filter(|&slot| item.form(slot) != NOT_IN_TITLE)
        .map(|slot| taxonomy.value(leaf, slot, item.value(slot)).form(item.form(slot)))
        .collect();
    shuffle(&mut words, &mut rng);
    if item.noun_form != NOT_IN_TITLE {
        words.push(leaf.noun.form(item.noun_form));
    }
    for _ in 0..2 {
        if rng.random::<f64>() < STUFF {
            words.push(STUFFING[rng.random_range(0..STUFFING.len())]);
        }
    }
    if rng.random::<f64>() < FREE_ORDER {
        shuffle(&mut words, &mut rng);
    }
    let mut title = String::new();
    if item.form(0) != NOT_IN_TITLE {
        title.push_str(taxonomy.value(leaf, 0, item.value(0)).form(item.form(0)));
    }
    for word in words {
        if !title.is_empty() {
            title.push(' ');
        }
        title.push_str(word);
    }
    if !title.is_empty() {
        title.push(' ');
    }
    let mut letter = || char::from(b'a' + rng.random_range(0..26_u8));
    let letters = [letter(), letter()];
    title.extend(letters);
    title.push_str(&rng.random_range(100..10_000_u32).to_string());
    title
}

/// Price of an item in the shop's currency, rounded to cents.
pub(super) fn price(taxonomy: &Taxonomy, item: &Item) -> f32 {
    let leaf = &taxonomy.leaves[usize::from(item.leaf)];
    let spread = PRICE_SPREAD.hypot(PRICE_QUALITY);
    let price = (leaf.log_price + spread * f64::from(item.relative_price)).exp();
    ((price * 100.0).round() / 100.0) as f32
}
