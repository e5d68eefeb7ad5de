//! Requests in the space of item vectors.

use std::path::Path;

use super::Vectors;
use crate::corpus::Ask;
use crate::error::{Error, Result};

/// Turns requests into vectors of the space that item vectors lie in.
pub trait RequestEncoder: Send + Sync {
    /// The vector of what is asked, `[dim]`; `items` are the vectors it is to be compared with.
    ///
    /// # Errors
    /// When the model behind it fails.
    fn vector(&self, ask: &Ask, items: &Vectors) -> Result<Vec<f32>>;
}

/// The vectors of all items with what encodes requests into their space.
pub struct Encoded {
    /// Encodes requests.
    pub encoder: Box<dyn RequestEncoder>,
    /// `[items, dim]`.
    pub vectors: Vectors,
}

impl Encoded {
    /// Item vectors and the encoder that belongs to them.
    pub fn new(encoder: impl RequestEncoder + 'static, vectors: Vectors) -> Self {
        Self { encoder: Box::new(encoder), vectors }
    }

    /// The same with the vectors of further items behind all others; `origin` names them in the error.
    ///
    /// # Errors
    /// [`Error::Data`] when they have more or fewer numbers.
    pub fn with(mut self, more: &Vectors, origin: &Path) -> Result<Self> {
        let (expected, found) = (self.vectors.dim, more.dim);
        if found != expected {
            let message =
                format!("vectors of {found} numbers, but those of the run have {expected}");
            return Err(Error::data(origin, message));
        }
        self.vectors.data.to_mut().extend_from_slice(&more.data);
        Ok(self)
    }

    /// All items by their inner product with a request, best first: what any search is to find.
    ///
    /// # Errors
    /// When the encoder fails.
    #[cfg(test)]
    pub(crate) fn nearest(&self, ask: &Ask) -> Result<Vec<(u32, f32)>> {
        let query = self.encoder.vector(ask, &self.vectors)?;
        let score = |row: &[f32]| row.iter().zip(&query).map(|(a, b)| a * b).sum::<f32>();
        let mut items: Vec<(u32, f32)> = (0..).zip(self.vectors.rows().map(score)).collect();
        items.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Ok(items)
    }
}
