//! Clicks simulated on judged training queries with a position-based model.
//!
//! A page holds the query's judged items and random others; its order is noisy; position k is seen
//! with probability k^−η and a seen item is clicked with probability logistic(s · (grade − g)).

use rand::Rng;

use crate::corpus::settings::SimulatedClicks;
use crate::corpus::types::Impression;
use crate::seed::Seed;

/// Grade of the random items that fill a page up, for the click law: one below the lowest judged.
const FILLER_BELOW: f64 = 1.0;

/// Standard deviation, in grades, of the noise by which a page is ordered.
const ORDER_NOISE: f64 = 1.0;

/// Draws the page of one session: at most `shown` distinct items, with clicks.
///
/// `judged` holds `(item, grade)` of the query; `lowest` is the lowest grade of the whole source.
pub(super) fn draw_page(
    settings: &SimulatedClicks,
    judged: &[(u32, f32)],
    lowest: f32,
    n_items: u32,
    seed: Seed,
) -> Vec<Impression> {
    let mut rng = seed.rng();
    let shown = (settings.shown as usize).min(n_items as usize);
    let filler = f64::from(lowest) - FILLER_BELOW;
    let mut page: Vec<(f64, u32, f64, Option<f32>)> = judged
        .iter()
        .map(|&(item, grade)| (noise(&mut rng), item, f64::from(grade), Some(grade)))
        .collect();
    while page.len() < shown {
        let item = rng.random_range(0..n_items);
        if page.iter().all(|entry| entry.1 != item) {
            page.push((noise(&mut rng), item, filler, None));
        }
    }
    page.sort_by(|a, b| (b.2 + b.0).total_cmp(&(a.2 + a.0)).then(a.1.cmp(&b.1)));
    page.truncate(shown);
    (1_u16..)
        .zip(page)
        .map(|(position, (_, item, grade, judged))| {
            let seen = f64::from(position).powf(-settings.examination_exponent);
            let odds = settings.click_slope * (grade - settings.click_grade);
            let clicked = 1.0 / (1.0 + (-odds).exp());
            let [see, click]: [f64; 2] = std::array::from_fn(|_| rng.random());
            Impression {
                item,
                position,
                click: see < seen && click < clicked,
                grade: judged,
                ..Impression::default()
            }
        })
        .collect()
}

/// Noise of one item's place: normal, by the sum of twelve uniform numbers.
fn noise(rng: &mut impl Rng) -> f64 {
    let sum: f64 = (0..12).map(|_| rng.random::<f64>()).sum();
    ORDER_NOISE * (sum - 6.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clicks_follow_grade_and_position() {
        let settings = SimulatedClicks { examination_exponent: 1.0, ..Default::default() };
        let judged = [(7, 3.0), (8, 1.0)];
        let (mut good, mut bad, mut seen_good) = (0.0, 0.0, 0.0);
        let rounds = 20_000;
        for round in 0..rounds {
            let page = draw_page(&settings, &judged, 1.0, 1_000, Seed::new(1).index(round));
            assert_eq!(page.len(), 10);
            let mut items: Vec<u32> = page.iter().map(|i| i.item).collect();
            items.sort_unstable();
            items.dedup();
            assert_eq!(items.len(), 10, "an item twice on a page");
            for shown in page.iter().filter(|shown| shown.item == 7) {
                seen_good += 1.0 / f64::from(shown.position);
                good += f64::from(u8::from(shown.click));
            }
            bad += page.iter().filter(|i| i.item != 7 && i.click).count() as f64;
        }
        // Grade 3 is clicked with logistic(4 · 0.7) = .943 once it is seen.
        let rate = good / seen_good;
        assert!((rate - 0.943).abs() < 0.01, "{rate}");
        assert!(bad < 0.02 * good, "{bad} of {good}");
    }

    #[test]
    fn a_catalogue_smaller_than_a_page_is_shown_whole() {
        let settings = SimulatedClicks::default();
        let page = draw_page(&settings, &[(1, 3.0)], 1.0, 3, Seed::new(2));
        assert_eq!(page.len(), 3);
    }
}
