//! What is known of items beside their vectors, for whoever makes codes of them: told by those who know the tables.

use crate::error::Result;

/// What a quantiser may look at.
pub trait Known {
    /// How often each item was chosen in training, `[items]`.
    ///
    /// # Errors
    /// When the tables cannot be read.
    fn exposure(&self) -> Result<Vec<u64>>;
}
