//! What a kind of component says of itself, so that plan, check, estimate and report are loops over kinds.
//!
//! A *family* is what a recipe has a table for: the corpus, vectors, identifiers, models, objectives, systems. A *kind* is
//! one of the ways to have it (`kind = "bm25"`), and lives in a folder of its own. It describes itself by [`Kind`], and
//! does its work by the trait of its family, which extends [`Kind`]. Each family has one file `kinds.rs`, in which a kind
//! is one line of [`kinds!`].
//!
//! - `uses`: references to other components; `needs`: what a kind wants of a corpus; `faults`: what is wrong with its keys
//! - `estimate`: figures before a run; `keyed`: which settings enter a step's key
//!
//! Knows no kind, no recipe and no step.

mod estimate;
mod faults;
mod keyed;
mod needs;
mod uses;

use std::path::PathBuf;

pub use estimate::{Estimate, Sizes};
pub use faults::{Around, Fault, Faults, Key};
pub use keyed::keyed;
pub use needs::{Fact, ItemValue, Lack, Need};
pub use uses::{
    Abilities, Answers, FOLDS, Family, Refusal, Role, TABLE, Use, learner, reaches, starts_from,
};

pub use crate::{keys, kinds};

use crate::error::Result;

/// Whose randomness a part is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draws {
    /// Nothing is drawn: the part is the same for every seed of a recipe.
    Nothing,
    /// All is drawn from the part's own seed, or from the recipe's where it has none.
    Seeded(Option<u64>),
}

impl Draws {
    /// The seed under a recipe's.
    pub fn under(self, recipe: u64) -> Option<u64> {
        match self {
            Self::Nothing => None,
            Self::Seeded(own) => Some(own.unwrap_or(recipe)),
        }
    }
}

/// What a step learned, for the curves of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// What was learned, in a word or two.
    pub objective: &'static str,
    /// Trained values.
    pub parameters: u64,
}

/// A component's description of itself, from its settings alone: nothing is opened, nothing is computed.
pub trait Kind {
    /// Version of what a step of this kind writes: raised whenever the same settings would give other files.
    fn format(&self) -> u32 {
        1
    }

    /// What it draws with.
    fn draws(&self) -> Draws {
        Draws::Nothing
    }

    /// The components it refers to, in the order in which they are made.
    fn uses(&self) -> Vec<Use<'_>> {
        Vec::new()
    }

    /// The training whose table it has, where it has that of one.
    fn table(&self) -> Option<&str> {
        self.uses().into_iter().find(|one| one.is_table).map(|one| one.name)
    }

    /// Keys that it has from the training that it starts from, and not itself.
    fn inherited(&self) -> &'static [&'static str] {
        &[]
    }

    /// Families of which it names one in any case: where it names none, which is its fault, all of them may only look unused.
    fn rests_on(&self) -> &'static [Family] {
        &[]
    }

    /// What others may ask of it.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// Whether a component that exists can be what it is used as; `kind` is its kind as recipes spell it.
    ///
    /// # Errors
    /// What to say where it cannot.
    fn accepts(&self, _used: &Use<'_>, _kind: &str, _other: &Abilities) -> Result<(), Refusal> {
        Ok(())
    }

    /// What it wants of a corpus.
    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    /// Reports what is wrong with its keys.
    fn faults(&self, _faults: &mut Faults<'_>) {}

    /// Whether event files of its training are asked for.
    fn tracks(&self) -> bool {
        false
    }

    /// The outside files it reads, after a look at whether they can be read at all, which must not
    /// read anything large.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when an outside folder cannot be used.
    fn sources(&self) -> Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }

    /// What is wrong with the headers of the outside files: column names, types and shapes, never the rows.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when an outside file cannot be used.
    fn check_headers(&self) -> Result<()> {
        Ok(())
    }

    /// What is wrong with the content of the outside files, however large; before any work, and not
    /// in a dry run.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when an outside file cannot be used.
    fn check_sources(&self) -> Result<()> {
        Ok(())
    }
}

/// The enum of a family's kinds, tagged by `kind`, and the one way from it to a kind's trait.
///
/// ```text
/// kinds! {
///     /// One vector per item.
///     pub enum VectorsSettings: VectorsKind {
///         /// A small two-tower text encoder.
///         "two-tower" => TwoTower(TwoTowerSettings),
///     }
/// }
/// ```
#[macro_export]
macro_rules! kinds {
    (
        $(#[$meta:meta])*
        pub enum $family:ident: $describes:ident {
            $($(#[$doc:meta])* $name:literal => $variant:ident($settings:ty),)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize, ::schemars::JsonSchema)]
        #[serde(tag = "kind", deny_unknown_fields)]
        // A recipe holds few of them.
        #[allow(clippy::large_enum_variant)]
        pub enum $family {
            $($(#[$doc])* #[serde(rename = $name)] $variant($settings),)+
        }

        impl $family {
            /// The `kind` as recipes spell it.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }

            /// What describes and does the kind.
            pub fn it(&self) -> &dyn $describes {
                match self {
                    $(Self::$variant(settings) => settings,)+
                }
            }
        }
    };
}
