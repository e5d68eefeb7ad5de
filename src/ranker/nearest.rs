//! Nearest items by inner product, exactly: any encoder of requests over the vectors of all items.

use trieval_kernels::ops::dot;

use super::harness::{Candidates, Output, Rank, Retrieve, Scored};
use super::top::top;
use crate::corpus::Request;
use crate::error::Result;
use crate::store::Vectors;

/// Turns requests into vectors of the space that item vectors lie in.
pub trait RequestEncoder: Send + Sync {
    /// The vector of a request, `[dim]`; `items` are the vectors it is to be compared with.
    ///
    /// # Errors
    /// When the model behind it fails.
    fn vector(&self, request: &Request, items: &Vectors) -> Result<Vec<f32>>;
}

/// Exact nearest neighbors of a request's vector.
pub struct Nearest {
    encoder: Box<dyn RequestEncoder>,
    /// `[items, dim]`.
    vectors: Vectors,
}

impl Nearest {
    /// Searches `vectors`, one per item, with what `encoder` makes of a request.
    pub fn new(encoder: impl RequestEncoder + 'static, vectors: Vectors) -> Self {
        Self { encoder: Box::new(encoder), vectors }
    }
}

impl Retrieve for Nearest {
    fn retrieve(&self, request: &Request, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let query = self.encoder.vector(request, &self.vectors)?;
        let scores = self.vectors.rows().map(|row| dot(row, &query));
        Ok(top((0..).zip(scores), depth, exclude))
    }

    fn as_rank(&self) -> Option<&dyn Rank> {
        Some(self)
    }
}

impl Rank for Nearest {
    fn outputs(&self, request: &Request, candidates: &Candidates) -> Result<Vec<Output>> {
        let query = self.encoder.vector(request, &self.vectors)?;
        let score = |&item: &u32| dot(self.vectors.row(item as usize), &query);
        Ok(vec![Output::score(candidates.items.iter().map(score).collect())])
    }
}

/// The newest items of a history that stand for a request without text, oldest first.
pub(super) fn newest(history: &[u32], items: u32) -> &[u32] {
    &history[history.len().saturating_sub(items as usize)..]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::Split;

    struct Fixed(Vec<f32>);

    impl RequestEncoder for Fixed {
        fn vector(&self, _request: &Request, _items: &Vectors) -> Result<Vec<f32>> {
            Ok(self.0.clone())
        }
    }

    #[test]
    fn items_are_ranked_by_inner_product() {
        let vectors =
            Vectors::new(2, vec![1.0, 0.0, 0.0, 2.0, -1.0, -1.0, 3.0, 3.0], "test").unwrap();
        let nearest = Nearest::new(Fixed(vec![1.0, -0.5]), vectors);
        let request = Request {
            idx: 0,
            id: "r".into(),
            user: None,
            day: 0,
            query: Some("q".into()),
            history: Vec::new(),
            split: Split::Test,
        };
        let all = nearest.retrieve(&request, 9, &[]).unwrap();
        assert_eq!(all, [(3, 1.5), (0, 1.0), (2, -0.5), (1, -1.0)]);
        assert_eq!(nearest.retrieve(&request, 1, &[3]).unwrap(), [(0, 1.0)]);
        let outputs = nearest.outputs(&request, &Candidates::of(vec![1, 3])).unwrap();
        assert_eq!(outputs, [Output::score(vec![-1.0, 1.5])]);
        assert_eq!(newest(&[1, 2, 3], 2), [2, 3]);
        assert_eq!(newest(&[1], 5), [1]);
    }
}
