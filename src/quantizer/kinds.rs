//! The kinds of identifiers: one line each.

use std::path::Path;

use super::known::Known;
use super::product::settings::ProductSettings;
use super::rqvae::settings::RqVaeSettings;
use super::settings::{RandomSettings, ResidualKMeansSettings, TableSettings};
use crate::error::Result;
use crate::identifier::Identifiers;
use crate::identifier::settings::NamingSettings;
use crate::identifier::spans::settings::SpanSettings;
use crate::inputs::StepContext;
use crate::kind::{Estimate, Kind, Learned, Sizes};
use crate::text::bytes;

crate::kind::kinds! {
    /// How items get the identifiers that the decoder generates.
    pub enum IdentifierSettings: IdentifierKind {
        /// Semantic IDs by residual k-means over item vectors (RQ-k-means).
        "residual-k-means" => ResidualKMeans(ResidualKMeansSettings),
        /// Semantic IDs by product quantization of item vectors: a code for each part of a vector, after a learned rotation (OPQ).
        "product-quantization" => ProductQuantization(ProductSettings),
        /// Semantic IDs by an RQ-VAE: a network that learns to write item vectors in codes.
        "rq-vae" => RqVae(RqVaeSettings),
        /// Paths of codes dealt to items at random: what an identifier is worth that says nothing of its item.
        "random" => Random(RandomSettings),
        /// Codes from a file, such as published tables of semantic IDs.
        "table" => Table(TableSettings),
        /// Spans of the items' texts: what a model says in words names the items whose titles hold them.
        "spans" => Spans(SpanSettings),
    }
}

/// A way to give every item a path of codes.
pub trait IdentifierKind: Kind {
    /// Codes of each level that the settings fix, 0 of one whose codes the corpus decides; a further level may follow, which tells items apart that share all of
    /// these, and whose codes are known when it is made.
    fn known_levels(&self) -> Vec<u32>;

    /// Whether such a level may follow.
    fn may_collide(&self) -> bool;

    /// Gives every item its codes.
    ///
    /// # Errors
    /// When vectors are missing or the codes do not suffice.
    fn assign(&self, step: &StepContext<'_>, known: &dyn Known) -> Result<Identifiers>;

    /// How items are named by spans of their texts, where they are: they get no codes then.
    fn spans(&self) -> Option<&SpanSettings> {
        None
    }

    /// Ways to ask a model for it.
    fn modes(&self) -> usize {
        1
    }

    /// What is made of the codes before they are identifiers, where that is asked for.
    fn naming(&self) -> Option<&NamingSettings> {
        None
    }

    /// Codes of a level that only tells items apart which no item has yet.
    fn spare(&self) -> u32 {
        self.naming().and_then(|naming| naming.spare).unwrap_or(0)
    }

    /// Tokens that a vocabulary gets for it, about.
    fn tokens(&self) -> u32 {
        self.known_levels().iter().sum::<u32>() + self.spare()
    }

    /// Levels, a further one that tells items apart included.
    fn levels(&self) -> u32 {
        self.known_levels().len() as u32 + u32::from(self.may_collide())
    }

    /// Figures before anything is loaded.
    fn estimate(&self, sizes: &Sizes) -> Estimate {
        of_levels(&self.known_levels(), (self.levels(), self.spare()), sizes)
    }

    /// What the step in `folder` learned; none where nothing is trained.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when its weights are missing or damaged.
    fn learned(&self, _folder: &Path) -> Result<Option<Learned>> {
        Ok(None)
    }
}

/// Figures of codes of given levels, and of their index, which has `levels` of them, the last with `spare` codes at least.
pub(super) fn of_levels(known: &[u32], (levels, spare): (u32, u32), sizes: &Sizes) -> Estimate {
    let widest = known.iter().copied().chain([spare]).max().unwrap_or(1).max(1);
    let per_item = index_bytes_per_item(levels, widest);
    let sizes_of_levels = match known.windows(2).all(|pair| pair[0] == pair[1]) {
        true => format!("{levels} × {}", known.first().copied().unwrap_or(1)),
        false => {
            let codes = |codes: &u32| match codes {
                0 => "values".to_owned(),
                codes => codes.to_string(),
            };
            let codes: Vec<String> = known.iter().map(codes).collect();
            codes.join(" + ")
        }
    };
    let sizes_of_levels = match spare {
        0 => sizes_of_levels,
        spare => format!("{sizes_of_levels}, {spare} spare"),
    };
    let index = sizes.items.map(|items| format!("≈ {}", bytes(items * per_item)));
    Estimate::default()
        .figure("levels × codes", sizes_of_levels)
        .figure("index", index.unwrap_or_else(|| "known after the corpus".into()))
}

/// Codes packed to whole bits, four bytes of item id, and a little for the offsets.
fn index_bytes_per_item(levels: u32, codes: u32) -> u64 {
    let bits = u64::from(u32::BITS - (codes - 1).leading_zeros());
    u64::from(levels) * bits.div_ceil(8) + 4
}
