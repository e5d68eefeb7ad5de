//! Files on disk: written whole or not at all, checked when read. Knows nothing of what is in them.

mod atomic;
mod map;
mod vectors;

pub use atomic::{create_dir, write_atomic, write_json};
pub use map::map;
pub use vectors::Vectors;
