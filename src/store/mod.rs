//! Files on disk: written whole or not at all, checked when read. Knows nothing of what is in them.

mod atomic;
mod sealed;

pub use atomic::{create_dir, write_atomic, write_json};
pub use sealed::{SealKind, read_sealed, write_sealed};
