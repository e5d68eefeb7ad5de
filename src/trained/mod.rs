//! What `[[train]]` trains: decoders, and whatever else is trained, by the table that its part would spell inline.

pub mod kinds;
