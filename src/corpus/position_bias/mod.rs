//! How likely each position of a page is looked at, told from a log of clicks.
//!
//! Model: an item is clicked if it is examined and wanted, `P(click) = theta(position) · r(query, item)`.
//! Only ratios of `theta` can be told, so that of the first position is 1. What tells them is a pair
//! of query and item that was shown at several positions: what is wanted of it stays, where it stood
//! changes. Two ways, over the same patterns of positions and clicks (`patterns`):
//!
//! - `swaps`: the log says with which probability an item stood where it stood, so that the change of
//!   position was drawn (harvested interventions, arXiv 1812.05161);
//! - `em`: no probability is recorded; a click model, in which each pair is of one of a few classes of
//!   relevance, by expectation maximisation (after Wang et al., WSDM 2018).
//!
//! Both give an examination probability per position, and `theta = position^-eta` with its exponent.
//! Nothing depends on the order of requests, nor on threads.

mod em;
mod patterns;
mod swaps;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::types::{Impression, Request};
use patterns::Patterns;

/// Clicks that weigh as much as the fitted law where the examination of a position is told.
const PRIOR_CLICKS: f64 = 50.0;

/// Fewest clicks on pairs shown at several positions that tell anything.
const FEWEST_CLICKS: u64 = 20;

/// What tells how likely a position is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// Swaps where the log records propensities, else the click model.
    #[default]
    Log,
    /// Items whose position was drawn: impressions with a recorded propensity below 1.
    Swaps,
    /// A click model over all impressions, by expectation maximisation.
    Em,
}

/// How likely each position is examined, and what that rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PositionBias {
    /// Exponent `eta` of the law `position^-eta`.
    pub exponent: f64,
    /// Standard error of the exponent; 0 where it was given.
    #[serde(default)]
    pub error: f64,
    /// Examination probability of positions 1, 2, … divided by that of position 1; the law holds for
    /// further ones.
    pub examined: Vec<f64>,
    /// What told it: swaps or em; none where the exponent was given.
    pub told: Option<Told>,
    /// Pairs of query and item that were shown at several positions.
    pub pairs: u64,
    /// How often they were shown.
    pub shown: u64,
    /// How often they were clicked.
    pub clicks: u64,
}

/// Why a log does not tell how positions are looked at: a whole sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold(pub String);

impl PositionBias {
    /// `position^-exponent`, which nobody estimated.
    pub fn fixed(exponent: f64) -> Self {
        Self {
            exponent,
            error: 0.0,
            examined: vec![1.0],
            told: None,
            pairs: 0,
            shown: 0,
            clicks: 0,
        }
    }

    /// From requests and what was shown for each: `pages[i]` are the impressions of `requests[i]`.
    /// Requests without a query tell nothing: what is wanted of an item is another thing for each.
    ///
    /// # Errors
    /// [`Untold`] when the log cannot tell it, with the reason.
    pub fn of(requests: &[Request], pages: &[Vec<Impression>], by: Told) -> Result<Self, Untold> {
        let all = Patterns::of(requests, pages, |_| true);
        let drawn = |shown: &Impression| shown.propensity.is_some_and(|p| p > 0.0 && p < 1.0);
        let drawn = Patterns::of(requests, pages, drawn);
        match by {
            Told::Swaps => Self::by_swaps(&drawn),
            Told::Em => Self::by_em(&all),
            Told::Log if drawn.clicks() >= FEWEST_CLICKS => Self::by_swaps(&drawn),
            Told::Log => Self::by_em(&all),
        }
    }

    fn by_swaps(drawn: &Patterns) -> Result<Self, Untold> {
        if drawn.shown_at_all() == 0 {
            return Err(Untold(
                "the log records no propensities between 0 and 1, so that nobody knows which positions were drawn".into(),
            ));
        }
        enough(drawn)?;
        let law = swaps::law(drawn).ok_or_else(one_position)?;
        let free = swaps::free(drawn, law.exponent);
        Ok(Self::joined(drawn, law, &free, &swaps::components(drawn), Told::Swaps))
    }

    fn by_em(all: &Patterns) -> Result<Self, Untold> {
        enough(all)?;
        let spread = swaps::law(all).ok_or_else(one_position)?;
        let free = em::free(all, spread.exponent);
        let law = swaps::Law { exponent: em::exponent(all, &free), ..spread };
        // Classes of relevance join all positions.
        let one = vec![0; free.len()];
        Ok(Self::joined(all, law, &free, &one, Told::Em))
    }

    /// Positions of few clicks lean on the law: `log theta = (c · log free + m · log law) / (c + m)`, with
    /// `c` the clicks at the position and `m` = 50. Positions that nothing joins are told relative to one
    /// another only (`component`), and lie around the law.
    fn joined(
        patterns: &Patterns,
        law: swaps::Law,
        free: &[f64],
        component: &[usize],
        told: Told,
    ) -> Self {
        let clicks = patterns.clicks_by_position();
        let lawful = |place: usize| -law.exponent * ((place + 1) as f64).ln();
        let mut offset = vec![(0.0, 0.0); component.iter().max().map_or(0, |most| most + 1)];
        for (place, &free) in free.iter().enumerate().filter(|(place, _)| clicks[*place] > 0.0) {
            let (sum, weight) = &mut offset[component[place]];
            *sum += clicks[place] * (free.ln() - lawful(place));
            *weight += clicks[place];
        }
        let log = |place: usize| {
            let c = clicks[place];
            let own = match offset[component[place]] {
                (sum, weight) if c > 0.0 => free[place].ln() - sum / weight,
                _ => 0.0,
            };
            (c * own + PRIOR_CLICKS * lawful(place)) / (c + PRIOR_CLICKS)
        };
        let first = log(0);
        Self {
            exponent: law.exponent,
            error: law.error,
            examined: (0..free.len()).map(|place| (log(place) - first).exp()).collect(),
            told: Some(told),
            pairs: patterns.pairs(),
            shown: patterns.shown(),
            clicks: patterns.clicks(),
        }
    }

    /// Probability that a 1-based position is examined, relative to the first.
    pub fn at(&self, position: u16) -> f64 {
        let place = usize::from(position.max(1)) - 1;
        let law = || ((place + 1) as f64).powf(-self.exponent);
        self.examined.get(place).copied().unwrap_or_else(law)
    }
}

fn enough(patterns: &Patterns) -> Result<(), Untold> {
    let clicks = patterns.clicks();
    if clicks >= FEWEST_CLICKS {
        return Ok(());
    }
    Err(Untold(match (patterns.clicks_at_all(), patterns.pairs()) {
        (0, _) => "nothing that was shown for a query was clicked".into(),
        (_, 0) => "no item was shown at two positions for the same query".into(),
        (_, pairs) => format!(
            "of the items shown at several positions for the same query ({pairs} of them), {clicks} were clicked; expected {FEWEST_CLICKS} clicks or more"
        ),
    }))
}

fn one_position() -> Untold {
    Untold("clicks on items shown at several positions do not tell the positions apart".into())
}
