//! What the sides of a pair weigh: where they stood, and how far the chosen one got.

use super::Chosen;
use crate::corpus::{Impression, PositionBias};

/// Weights of positions and levels; all 1 by default.
///
/// With `theta(k)` the probability that position `k` is examined, relative to the first, a pair of a
/// clicked item at `k` and one that was passed over at `j` counts
///
/// `level · min(most, 1 / theta(k)) · min(1, theta(j))`.
///
/// The first factor is that of unbiased learning to rank (arXiv 1608.04468): a relevant item is
/// clicked where it is examined, so that clicks weighted by one over that count relevance, wherever
/// it stood. The second is how likely the other was seen and refused, and not just never looked at.
#[derive(Debug, Clone, Default)]
pub struct Weights {
    /// How positions are looked at, and the most that a click counts for its own.
    pub bias: Option<(PositionBias, f64)>,
    /// What a chosen item counts by its level, `[levels + 1]`, from what is shown and no more; 1 where there is none.
    pub levels: Vec<f64>,
}

impl Weights {
    /// What a chosen impression counts.
    pub(super) fn chosen(&self, shown: &Impression) -> Chosen {
        let level = self.levels.get(usize::from(shown.level.0)).copied().unwrap_or(1.0);
        let (position, clipped) = match &self.bias {
            None => (1.0, false),
            Some((bias, most)) => {
                let rarity = bias.at(shown.position).recip();
                (rarity.min(*most), rarity > *most)
            }
        };
        Chosen {
            item: shown.item,
            weight: (level * position) as f32,
            clipped,
            shown: Some((shown.position, shown.level)),
        }
    }

    /// How likely what stands at a position is looked at, at most 1.
    pub(super) fn examined(&self, position: u16) -> f64 {
        self.bias.as_ref().map_or(1.0, |(bias, _)| bias.at(position).min(1.0))
    }
}
