//! Item vectors: one per item, of text or feedback, made here or elsewhere, and what encodes requests into their space.
//!
//! A kind of vectors is a folder or a file: `two_tower` and `mmse` are trained here, `encoder` takes a pretrained text
//! encoder or decoder as it is, `collaborative` counts feedback, `joined` sets vectors beside each other. `file` and
//! `table` are their formats, `provenance` says what they were made from, `request` is what a kind offers for requests.
//! Who searches them, and what identifiers are made of them, is not known here.

pub mod collaborative;
pub mod encoder;
mod file;
pub mod joined;
pub mod mmse;
mod provenance;
mod request;
pub mod settings;
mod table;
pub mod two_tower;

pub use file::{Vectors, norm};
pub use provenance::{Provenance, fingerprint};
pub use request::{Encoded, RequestEncoder};
pub use table::{TABLE_EXTENSION, TableColumns, read_table};

/// Item vectors `[items, dim]` inside a vectors step's folder.
pub const VECTORS_FILE: &str = "vectors.safetensors";
