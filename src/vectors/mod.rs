//! Item vectors: one per item, of text or feedback, made here or elsewhere, and what encodes requests into their space.
//!
//! A kind of vectors is a folder or a file: `two_tower` and `mmse` are trained here, `encoder` takes a pretrained text
//! encoder or decoder as it is, `contrastive` one that a `[[train]]` made an encoder, `collaborative` counts feedback, `simulated` draws by
//! a law, `joined` sets vectors beside each other, `import` reads
//! those that somebody else made. `kinds` lists them. `file` and `table` are their formats, `provenance` says what they
//! were made from, `numbers` where their numbers lie, `request` is what a kind offers for requests, `exact` the search over all. Who searches them, and what identifiers are made of them,
//! is not known here.

pub mod collaborative;
pub mod contrastive;
pub mod encoder;
mod exact;
mod file;
mod import;
pub mod joined;
pub mod kinds;
pub mod mmse;
mod numbers;
mod provenance;
mod request;
pub mod settings;
pub mod simulated;
mod table;
pub mod two_tower;
mod validation;

pub use exact::{exact, exact_all};
pub use file::{Vectors, norm};
pub use numbers::Numbers;
pub use provenance::{Provenance, fingerprint};
pub use request::{Encoded, RequestEncoder};
pub use table::{TABLE_EXTENSION, TableColumns, read_table};
pub use validation::validation;

use std::path::Path;

use crate::corpus::Catalogue;
use crate::error::Result;

/// Item vectors `[items, dim]` inside a vectors step's folder.
pub const VECTORS_FILE: &str = "vectors.safetensors";

/// The vectors in the folder of a finished step, which must be of the items of this catalogue.
///
/// # Errors
/// [`crate::Error::Data`] when they cannot be read, or belong to other items.
pub fn read_of(folder: &Path, catalogue: &Catalogue) -> Result<Vectors> {
    let (hash, items) = catalogue.of_run();
    let made_from = Provenance::of_catalogue(hash);
    Vectors::read_made_from(&folder.join(VECTORS_FILE), items, &made_from)
}

/// The same where the numbers stay in their file: memory does not grow with items.
///
/// # Errors
/// As [`read_of`].
pub fn mapped_of(folder: &Path, catalogue: &Catalogue) -> Result<Vectors> {
    let (hash, items) = catalogue.of_run();
    let made_from = Provenance::of_catalogue(hash);
    Vectors::map_made_from(&folder.join(VECTORS_FILE), items, &made_from)
}

/// The same as [`read_of`], made by the encoder in `files` of the folder.
///
/// # Errors
/// As [`read_of`], or [`crate::Error::Data`] when another encoder made them.
fn read_encoded(folder: &Path, catalogue: &Catalogue, files: &[&str]) -> Result<Vectors> {
    let (hash, items) = catalogue.of_run();
    let made_from = Provenance::of_encoder(hash, folder, files)?;
    Vectors::read_made_from(&folder.join(VECTORS_FILE), items, &made_from)
}
