//! Systems that answer requests: everything that is judged beside the generative model, and the
//! seat that the generative model itself takes among them.
//!
//! A ranker turns a request into ranked items with scores and nothing else; who judges it, how
//! often it is asked and how long it took are not its business.

pub mod bm25;
pub mod collaborative;
pub mod encoder;
pub mod generative;
pub mod joined;
pub mod mmse;
pub mod nearest;
pub mod popularity;
pub mod sasrec;
pub mod settings;
pub mod top;
pub mod two_tower;

use crate::corpus::Request;
use crate::error::Result;

/// Answers requests.
pub trait Ranker: Sync {
    /// At most `depth` distinct items with scores, best first; none of `exclude` (ascending).
    ///
    /// # Errors
    /// When the model behind it fails.
    fn rank(&self, request: &Request, depth: usize, exclude: &[u32]) -> Result<Vec<(u32, f32)>>;
}
