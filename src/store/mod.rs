//! Files on disk: written whole or not at all, checked when read. Knows nothing of what is in them.

mod atomic;
mod checked;
mod digest;
mod guarded;
mod journal;
mod known;
mod map;
mod packed;
mod sealed;
mod source;

pub use atomic::{
    abandon_writes, create_dir, read_description, refuse_irregular, sweep_partial, write_atomic,
    write_json,
};
pub use checked::{is_checksum, read_checked, write_checked};
pub use digest::{Digest, digest, hash_content};
pub use guarded::guarded;
pub use journal::Journal;
pub use known::{keep, known_digest, known_digests, look_up, recall};
pub use map::{Map, map};
pub use packed::{Packer, Unpacker};
pub use sealed::{SealKind, read_sealed, write_sealed};
pub use source::Source;
