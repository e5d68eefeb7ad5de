//! The kinds of identifiers: one line each.

use super::settings::{RandomSettings, ResidualKMeansSettings};
use crate::error::Result;
use crate::identifier::Identifiers;
use crate::inputs::StepContext;
use crate::kind::{Estimate, Kind, Sizes};
use crate::text::bytes;

crate::kind::kinds! {
    /// How items get the identifiers that the decoder generates.
    pub enum IdentifierSettings: IdentifierKind {
        /// Semantic IDs by residual k-means over item vectors (RQ-k-means).
        "residual-k-means" => ResidualKMeans(ResidualKMeansSettings),
        /// Paths of codes dealt to items at random: what an identifier is worth that says nothing of its item.
        "random" => Random(RandomSettings),
    }
}

/// A way to give every item a path of codes.
pub trait IdentifierKind: Kind {
    /// Levels, a further one that tells items apart included.
    fn levels(&self) -> u32;

    /// Codes per level.
    fn codes(&self) -> u32;

    /// Gives every item its codes.
    ///
    /// # Errors
    /// When vectors are missing or the codes do not suffice.
    fn assign(&self, step: &StepContext<'_>) -> Result<Identifiers>;

    /// Tokens that a vocabulary gets for it, about.
    fn tokens(&self) -> u32 {
        self.levels() * self.codes()
    }

    /// Codes of each level that the settings fix; a further level may follow, whose codes are known when it is made.
    fn known_levels(&self) -> Vec<u32> {
        vec![self.codes(); self.tokens().checked_div(self.codes()).unwrap_or(0) as usize]
    }

    /// Figures before anything is loaded.
    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let per_item = index_bytes_per_item(self.levels(), self.codes());
        let index = sizes.items.map(|items| format!("≈ {}", bytes(items * per_item)));
        Estimate::default()
            .figure("levels × codes", format!("{} × {}", self.levels(), self.codes()))
            .figure("index", index.unwrap_or_else(|| "known after the corpus".into()))
    }
}

/// Codes packed to whole bits, four bytes of item id, and a little for the offsets.
fn index_bytes_per_item(levels: u32, codes: u32) -> u64 {
    let bits = u64::from(u32::BITS - (codes - 1).leading_zeros());
    u64::from(levels) * bits.div_ceil(8) + 4
}
