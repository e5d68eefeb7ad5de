//! The logging policy: what the shop showed, and with which propensity.
//!
//! Candidates come from a stage that knows the category; their order is a noisy mixture of a
//! lexical score, popularity and recency. A share of the positions is permuted at random, so that
//! every propensity is known in closed form (`docs/simulator.md`, section "logging policy").

use rand::Rng;

use super::super::settings::WorldSettings;
use super::draw::{mix, normal};
use super::intent::{Intent, graded_items};
use super::item::{Item, NOT_IN_TITLE};
use super::query::Query;
use super::taxonomy::Taxonomy;
use super::world::World;

/// Most candidates of an intent by grade 1, 2 and 3.
const CANDIDATES: [usize; 3] = [100, 200, 300];

/// Candidates from anywhere in the shop, beside as many as a page shows.
const STRAY: usize = 10;

/// Credit of a word that only the shop's synonym dictionary connects with an item.
const SYNONYM_CREDIT: f64 = 0.7;

/// Days after which the recency of an item has fallen to 1/e.
const RECENCY_DAYS: f64 = 30.0;

/// Candidates of an intent, launched or not, in order of row number.
pub(super) fn candidates(world: &World, intent_index: usize, intent: &Intent) -> Vec<u32> {
    let graded = graded_items(world.shelves(), intent, CANDIDATES, |_| true);
    let mut items = graded.concat();
    let n_items = world.n_requested() as u64;
    let strays = STRAY + world.settings().world.shown as usize;
    for stray in 0..strays as u64 {
        items.push((mix(stray, intent_index as u64 + 1) % n_items) as u32);
    }
    items.sort_unstable();
    items.dedup();
    items
}

/// An item at its place on a page.
pub(super) struct Placed {
    pub(super) item: u32,
    pub(super) propensity: f64,
}

/// The page for a query: at most `shown` launched candidates, best first, then swapped.
pub(super) fn draw_page(
    world: &World,
    candidates: &[u32],
    intent: &Intent,
    query: &Query,
    day: i32,
    rng: &mut impl Rng,
) -> Vec<Placed> {
    let settings = &world.settings().world;
    let mut scored: Vec<(f64, u32)> = Vec::with_capacity(candidates.len());
    for &index in candidates {
        let item = &world.items()[index as usize];
        if item.launch_day <= day {
            let noise = settings.policy_noise * normal(rng);
            let lexical = lexical_score(world.taxonomy(), intent, query, item);
            scored.push((policy_score(settings, item, lexical, day) + noise, index));
        }
    }
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.truncate(settings.shown as usize);
    let mut items: Vec<u32> = scored.into_iter().map(|(_, item)| item).collect();
    let (stay, move_) = swap_propensities(items.len(), settings.swap_rate);
    let marked: Vec<usize> =
        (0..items.len()).filter(|_| rng.random::<f64>() < settings.swap_rate).collect();
    let mut sources = marked.clone();
    super::draw::shuffle(&mut sources, rng);
    let before = items.clone();
    let mut moved = vec![false; items.len()];
    for (&to, &from) in marked.iter().zip(&sources) {
        items[to] = before[from];
        moved[to] = to != from;
    }
    items
        .into_iter()
        .zip(moved)
        .map(|(item, moved)| Placed { item, propensity: if moved { move_ } else { stay } })
        .collect()
}

/// Probabilities that an item keeps its position, and that it comes to one given other position,
/// when each of `n` positions is marked with probability ρ and the marked ones are permuted
/// uniformly: stay = 1 − ρ + (1 − (1 − ρ)^n) / n, since E\[1/(1+B)\] of a binomial B(n−1, ρ) is
/// (1 − (1 − ρ)^n) / (nρ); the rest is shared equally.
fn swap_propensities(n: usize, rate: f64) -> (f64, f64) {
    if n < 2 {
        return (1.0, 0.0);
    }
    let n = n as f64;
    let stay = 1.0 - rate + (1.0 - (1.0 - rate).powf(n)) / n;
    (stay, (1.0 - stay) / (n - 1.0))
}

/// Share of the query's concepts that the title names in the same form, or in a form that the
/// shop's dictionary connects (less credit). Typing errors are corrected by the shop.
fn lexical_score(taxonomy: &Taxonomy, intent: &Intent, query: &Query, item: &Item) -> f64 {
    if item.leaf != intent.leaf {
        return 0.0;
    }
    let leaf = &taxonomy.leaves[usize::from(intent.leaf)];
    let credit = |asked: u8, printed: u8, known: bool| {
        if printed == NOT_IN_TITLE {
            0.0
        } else if printed == asked {
            1.0
        } else if known {
            SYNONYM_CREDIT
        } else {
            0.0
        }
    };
    let mut sum = credit(query.noun_form, item.noun_form, leaf.noun.is_known(query.noun_form));
    for &(slot, form) in &query.forms {
        let wanted = intent.value(slot);
        if item.value(usize::from(slot)) == wanted {
            let concept = taxonomy.value(leaf, usize::from(slot), wanted);
            sum += credit(form, item.form(usize::from(slot)), concept.is_known(form));
        }
    }
    sum / (1 + query.forms.len()) as f64
}

fn policy_score(settings: &WorldSettings, item: &Item, lexical: f64, day: i32) -> f64 {
    let age = f64::from(day - item.launch_day);
    settings.policy_lexical * lexical
        + settings.policy_popularity * f64::from(item.popularity)
        + settings.policy_recency * (-age / RECENCY_DAYS).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn propensities_are_those_of_the_swaps() {
        let (n, rate, rounds) = (5, 0.4, 100_000);
        let (stay, move_) = swap_propensities(n, rate);
        assert!((stay + (n - 1) as f64 * move_ - 1.0).abs() < 1e-12);
        let mut rng = Seed::new(2).rng();
        let mut kept = 0;
        for _ in 0..rounds {
            let marked: Vec<usize> = (0..n).filter(|_| rng.random::<f64>() < rate).collect();
            let mut sources = marked.clone();
            super::super::draw::shuffle(&mut sources, &mut rng);
            let place = marked.iter().position(|&m| m == 0);
            kept += u32::from(place.is_none_or(|p| sources[p] == 0));
        }
        let measured = f64::from(kept) / f64::from(rounds);
        assert!((measured - stay).abs() < 0.006, "{measured}, law {stay}");
    }
}
