//! Identifiers: the code paths that stand for items in the decoder's language.
//!
//! `artifact` is what is stored, `dedup` tells items on one path apart, `diagnostics` measures the use of codes,
//! `encoder` leads vectors to codes of a learned space, `spelling` is how people read and type them. Who gives items their codes is not known here.

pub mod artifact;
pub mod dedup;
pub mod diagnostics;
mod encoder;
mod spelling;

pub use artifact::{Centroids, Compared, Identifiers, Made};
pub use diagnostics::{Diagnostics, LevelDiagnostics};
pub use encoder::{Encoder, Layer};
