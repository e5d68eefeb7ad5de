//! A bonus per state: what is known of the items below a sequence, before the sequence gets there.

use super::constraint::{Constraint, Places};

/// Adds a bonus to the score of every sequence before the beam is pruned.
///
/// A sequence competes with its score plus the bonus of its own state. A parent's bonus is not
/// handed on: it looked ahead, and the child's takes its place. In the end the bonus of the leaf is
/// part of the score, or it is taken off again and the hits are ordered without it: see
/// [`Guide::stays`].
pub trait Guide<C: Constraint> {
    /// Whether there is any bonus; `false` costs nothing. `true` asks the constraint for the state
    /// of every candidate, not only of those kept, and so turns off the search by rows.
    const ACTIVE: bool = true;

    /// Bonus of a state; negative infinity excludes it, what is not a number stops the search.
    fn bonus(&self, constraint: &C, request: usize, state: C::State) -> f32;

    /// No bonus of a request is larger: spares the state of a candidate that is too bad even so.
    fn most(&self, _request: usize) -> f32 {
        f32::INFINITY
    }

    /// Whether the bonus of a leaf stays in the score of its items.
    fn stays(&self) -> bool {
        true
    }
}

/// No guide.
impl<C: Constraint> Guide<C> for () {
    const ACTIVE: bool = false;

    fn bonus(&self, _: &C, _: usize, _: C::State) -> f32 {
        0.0
    }
}

/// Guides by a few scored items per request: a state's bonus is the best score of those below it.
///
/// Another retriever's few hundred items can steer a search this way before a code of theirs is
/// spelled, as planning ahead does (arXiv 2404.14600). Their places lie sorted, so that those below
/// a state are a range, and a table of maxima over powers of two answers any range by two look-ups.
#[derive(Debug, Clone)]
pub struct BestBelow {
    requests: Vec<Scored>,
    /// Bonus of a state above no scored item.
    pub otherwise: f32,
    /// Whether the bonus of a leaf stays in the score of its items.
    pub stays: bool,
}

/// The scored places of one request.
#[derive(Debug, Clone)]
struct Scored {
    /// Ascending.
    places: Vec<u32>,
    /// Row `r` holds at `i` the best score of the `2^r` places from `i` on.
    best: Vec<Vec<f32>>,
}

impl BestBelow {
    /// A guide over the scored items of each request, `(item, score)`, each item once; requests
    /// beyond the list have none. `otherwise` is the bonus of a state above none of them: negative
    /// infinity keeps the search to what was scored. An item that a filter keeps out must be left
    /// out here too, else it attracts beams that cannot reach it.
    pub fn new<C: Places>(constraint: &C, scored: &[&[(u32, f32)]], otherwise: f32) -> Self {
        let requests = scored.iter().map(|items| Scored::new(constraint, items)).collect();
        Self { requests, otherwise, stays: true }
    }
}

impl<C: Places> Guide<C> for BestBelow {
    fn bonus(&self, constraint: &C, request: usize, state: C::State) -> f32 {
        let Some(scored) = self.requests.get(request) else { return self.otherwise };
        let below = constraint.below(state);
        let lo = scored.places.partition_point(|&place| place < below.start);
        let n = scored.places[lo..].partition_point(|&place| place < below.end);
        scored.best_of(lo, n).unwrap_or(self.otherwise)
    }

    fn most(&self, request: usize) -> f32 {
        let scored = self.requests.get(request);
        let best = scored.and_then(|scored| scored.best_of(0, scored.places.len()));
        best.map_or(self.otherwise, |best| larger(best, self.otherwise))
    }

    fn stays(&self) -> bool {
        self.stays
    }
}

impl Scored {
    fn new<C: Places>(constraint: &C, items: &[(u32, f32)]) -> Self {
        let (mut placed, mut places) = (Vec::with_capacity(items.len()), Vec::new());
        for &(item, score) in items {
            places.clear();
            constraint.places_of(item, &mut places);
            placed.extend(places.iter().map(|&place| (place, score)));
        }
        placed.sort_unstable_by_key(|&(place, _)| place);
        let places = placed.iter().map(|&(place, _)| place).collect();
        let mut best = vec![placed.iter().map(|&(_, score)| score).collect::<Vec<f32>>()];
        let mut span = 1;
        while 2 * span <= placed.len() {
            let half = &best[best.len() - 1];
            let row = half.iter().zip(&half[span..]).map(|(&a, &b)| larger(a, b)).collect();
            best.push(row);
            span *= 2;
        }
        Self { places, best }
    }

    /// The best score of the `n` places from `lo` on, if there are any.
    fn best_of(&self, lo: usize, n: usize) -> Option<f32> {
        let power = n.checked_ilog2()?;
        let row = &self.best[power as usize];
        Some(larger(row[lo], row[lo + n - (1 << power)]))
    }
}

/// The larger of two scores, or the one that is not a number.
fn larger(a: f32, b: f32) -> f32 {
    if a > b || a.is_nan() { a } else { b }
}
