//! What users do with what they see: users, utility, examination, clicks, carts, orders.
//!
//! Formulas and constants: `docs/simulator.md`, sections "users", "utility" and "feedback". The
//! page effect, dwell, likes, shares and sessions are not simulated yet; their columns stay empty.

use rand::Rng;

use crate::seed::Seed;

use super::super::settings::WorldSettings;
use super::draw::{logistic, normal};
use super::item::Item;
use super::taxonomy::STYLE;

/// Spread of the log price sensitivity over users.
const SENSITIVITY_SPREAD: f64 = 0.5;

/// Log-odds of a cart given a click: bias, grade above 2, quality, price.
const CART: [f64; 4] = [-1.2, 0.8, 0.4, -0.4];

/// Log-odds of an order given a cart: bias, grade above 2, taste, price.
const ORDER: [f64; 4] = [-0.2, 0.5, 0.3, -0.4];

/// A user's latent truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct User {
    pub(super) taste: [f64; STYLE],
    /// Log-normal with median 1.
    pub(super) price_sensitivity: f64,
}

/// Draws user `index`.
pub(super) fn draw_user(seed: Seed, index: u64) -> User {
    let mut rng = seed.index(index).rng();
    User {
        taste: std::array::from_fn(|_| normal(&mut rng)),
        price_sensitivity: (SENSITIVITY_SPREAD * normal(&mut rng)).exp(),
    }
}

/// Match of taste and style, standard normal over independent users and items.
pub(super) fn taste_match(user: &User, item: &Item) -> f64 {
    let product: f64 = user.taste.iter().zip(item.style).map(|(a, b)| a * f64::from(b)).sum();
    product / (STYLE as f64).sqrt()
}

/// The style that suits a user best: the direction of the largest taste.
pub(super) fn favorite_style(user: &User) -> usize {
    let best = user.taste.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(style, _)| style)
}

/// a · grade + b · taste match + c · quality − d · price sensitivity · relative price.
pub(super) fn utility(world: &WorldSettings, user: &User, item: &Item, grade: u8) -> f64 {
    world.utility_grade * f64::from(grade)
        + world.utility_taste * taste_match(user, item)
        + world.utility_quality * f64::from(item.quality)
        - world.utility_price * user.price_sensitivity * f64::from(item.relative_price)
}

/// Probability that 1-based position `position` is seen: position^−η.
pub(super) fn examination(position: usize, exponent: f64) -> f64 {
    (position as f64).powf(-exponent)
}

/// Probability of a click on a seen item: ν + (1 − ν) · logistic(bias + utility).
pub(super) fn click_probability(world: &WorldSettings, utility: f64) -> f64 {
    world.noise_clicks + (1.0 - world.noise_clicks) * logistic(world.click_bias + utility)
}

/// What happened to one shown item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Feedback {
    pub(super) click: bool,
    pub(super) cart: bool,
    pub(super) order: bool,
}

/// Draws the feedback on an item at a 1-based position.
pub(super) fn draw_feedback(
    world: &WorldSettings,
    user: &User,
    item: &Item,
    grade: u8,
    position: usize,
    rng: &mut impl Rng,
) -> Feedback {
    // All draws are made whatever happens, so that one item's luck does not move another's.
    let [seen, click, cart, order]: [f64; 4] = std::array::from_fn(|_| rng.random());
    let seen = seen < examination(position, world.examination_exponent);
    let utility = utility(world, user, item, grade);
    if !seen || click >= click_probability(world, utility) {
        return Feedback::default();
    }
    let above = f64::from(grade) - 2.0;
    let price = user.price_sensitivity * f64::from(item.relative_price);
    let [bias, by_grade, by_quality, by_price] = CART;
    let odds = bias + by_grade * above + by_quality * f64::from(item.quality) + by_price * price;
    let cart = cart < logistic(odds);
    let [bias, by_grade, by_taste, by_price] = ORDER;
    let odds = bias + by_grade * above + by_taste * taste_match(user, item) + by_price * price;
    Feedback { click: true, cart, order: cart && order < logistic(odds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clicks_fall_with_position_as_stated() {
        let world = WorldSettings { examination_exponent: 0.8, ..WorldSettings::default() };
        let user = User { taste: [0.0; STYLE], price_sensitivity: 1.0 };
        let item = Item {
            values: 0,
            forms: 0,
            leaf: 0,
            noun_form: 0,
            launch_day: 0,
            quality: 0.0,
            relative_price: 0.0,
            popularity: 0.0,
            style: [0.0; STYLE],
        };
        let mut rng = Seed::new(8).rng();
        let draws = 60_000;
        let mut clicks = |position| {
            (0..draws)
                .filter(|_| draw_feedback(&world, &user, &item, 3, position, &mut rng).click)
                .count() as f64
        };
        let first = clicks(1);
        let expected = f64::from(draws) * click_probability(&world, 4.5);
        assert!((first - expected).abs() < 5.0 * expected.sqrt(), "{first} of {expected}");
        for position in [2, 5, 20] {
            let ratio = clicks(position) / first;
            let law = (position as f64).powf(-0.8);
            assert!((ratio - law).abs() < 0.02, "position {position}: {ratio}, law {law}");
        }
    }

    #[test]
    fn orders_need_carts_and_carts_need_clicks() {
        let world = WorldSettings::default();
        let user = draw_user(Seed::new(1), 0);
        let mut item = Item {
            values: 0,
            forms: 0,
            leaf: 0,
            noun_form: 0,
            launch_day: 0,
            quality: 1.0,
            relative_price: -0.5,
            popularity: 0.0,
            style: [0.3; STYLE],
        };
        let mut rng = Seed::new(9).rng();
        let mut orders = 0;
        for round in 0..20_000 {
            item.quality = if round % 2 == 0 { 1.0 } else { -1.0 };
            let feedback = draw_feedback(&world, &user, &item, 3, 1, &mut rng);
            assert!(feedback.click >= feedback.cart && feedback.cart >= feedback.order);
            orders += u32::from(feedback.order);
        }
        assert!(orders > 100, "{orders}");
    }
}
