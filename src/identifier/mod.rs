//! Identifiers: the code paths that stand for items in the decoder's language.
//!
//! `artifact` is what is stored, `naming` makes identifiers of codes (by `dedup`, a level that numbers items on one path, or
//! otherwise), `extend` names items that come later, `diagnostics` measures the use of codes, `together` what they know of choices, `encoder` leads vectors to codes
//! of a learned space, `spelling` is how people read and type them. `spans` are identifiers of another sort: words of the items' own
//! texts. Who gives items their codes is not known here.

pub mod artifact;
pub mod dedup;
pub mod diagnostics;
mod encoder;
mod extend;
mod naming;
mod paths;
pub mod settings;
pub mod spans;
mod spelling;
mod together;

pub use artifact::{Centroids, Compared, First, Identifiers, Known, Made};
pub use diagnostics::{Diagnostics, LevelDiagnostics};
pub use encoder::{Encoder, Layer};
pub use extend::{Extension, Later};
pub use naming::{Outcome, Removed, Space};
pub use together::Together;
