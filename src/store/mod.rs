//! Files on disk: written whole or not at all, checked when read. Knows nothing of what is in them.

mod atomic;
mod digest;
mod journal;
mod map;
mod packed;
mod sealed;

pub use atomic::{create_dir, read_description, sweep_partial, write_atomic, write_json};
pub use digest::hash_file;
pub use journal::Journal;
pub use map::{Map, map};
pub use packed::{Packer, Unpacker};
pub use sealed::{SealKind, read_sealed, write_sealed};
