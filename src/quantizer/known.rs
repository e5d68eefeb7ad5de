//! What is known of items beside their vectors, for whoever makes codes of them: told by those who know the tables.

use crate::error::Result;
use crate::kind::ItemValue;

/// What a quantiser may look at.
pub trait Known {
    /// How often each item was chosen in training, `[items]`.
    ///
    /// # Errors
    /// When the tables cannot be read.
    fn exposure(&self) -> Result<Vec<u64>>;

    /// Lists of items that one person chose in training, oldest first, some of which hold two different items.
    ///
    /// # Errors
    /// When the tables cannot be read, or none does.
    fn histories(&self) -> Result<Vec<Vec<u32>>>;

    /// The value that each item has of something, `[items]`.
    ///
    /// # Errors
    /// When the tables cannot be read.
    fn values(&self, of: &ItemValue) -> Result<Vec<Option<String>>>;
}
