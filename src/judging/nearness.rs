//! Scores of a search through codes of a learned space: how near the sum of a path's centroids is to the request.
//!
//! Networks that learn codes learn distances, and their space has no inner product that means anything: what is nearest to
//! the encoded request is found, not what points the same way.

use trieval_kernels::beam::{Frontier, Scorer};
use trieval_kernels::ops::dot;

use crate::error::{Error, Result};
use crate::identifier::Centroids;

/// Gives a path `|q|² - |q - Σ c|²`, level by level.
pub(super) struct Nearness<'a> {
    centroids: &'a Centroids,
    /// Per level, the squared length of each centroid.
    lengths: Vec<Vec<f32>>,
    /// What each beam of the level leaves over of its request.
    left: Vec<Vec<f32>>,
}

impl<'a> Nearness<'a> {
    pub(super) fn new(centroids: &'a Centroids) -> Self {
        let of = |level: &Vec<f32>| level.chunks_exact(centroids.dim).map(|c| dot(c, c)).collect();
        let lengths = centroids.levels.iter().map(of).collect();
        Self { centroids, lengths, left: Vec::new() }
    }

    fn centroid(&self, level: usize, code: u32) -> &[f32] {
        let dim = self.centroids.dim;
        &self.centroids.levels[level][code as usize * dim..][..dim]
    }
}

impl Scorer<&[f32]> for Nearness<'_> {
    type Error = Error;

    fn start(&mut self, queries: &[&[f32]]) -> Result<()> {
        self.left = queries.iter().map(|query| query.to_vec()).collect();
        Ok(())
    }

    fn score(&mut self, frontier: &Frontier, scores: &mut [f32]) -> Result<()> {
        let level = frontier.level();
        let Some(lengths) = self.lengths.get(level) else {
            // A level that only tells items apart says nothing of them.
            scores.fill(0.0);
            return Ok(());
        };
        let mut left = Vec::with_capacity(frontier.beams().len());
        for (slot, beam) in frontier.beams().iter().enumerate() {
            // At the first level the parent is the request.
            let mut rest = self.left[beam.parent as usize].clone();
            if let Some(before) = level.checked_sub(1) {
                let centroid = self.centroid(before, beam.token);
                rest.iter_mut().zip(centroid).for_each(|(x, c)| *x -= c);
            }
            let children = frontier.children(slot);
            for (score, &code) in
                scores[children.clone()].iter_mut().zip(&frontier.tokens()[children])
            {
                *score = 2.0 * dot(self.centroid(level, code), &rest) - lengths[code as usize];
            }
            left.push(rest);
        }
        self.left = left;
        Ok(())
    }
}
