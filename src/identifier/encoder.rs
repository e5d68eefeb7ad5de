//! A frozen network that leads vectors into the space in which codes were learned.

use rayon::prelude::*;
use trieval_kernels::ops::{MatRef, Threads, matmul_new};

/// Vectors that pass the network together.
const BLOCK: usize = 256;

/// Products and biases, with ReLU between them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Encoder {
    /// From the vectors on.
    pub layers: Vec<Layer>,
}

/// `W x + b`.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// `[out, in]`.
    pub weight: Vec<f32>,
    /// `[out]`.
    pub bias: Vec<f32>,
}

impl Layer {
    /// Numbers that it reads.
    pub fn width(&self) -> usize {
        self.weight.len() / self.bias.len().max(1)
    }
}

impl Encoder {
    /// Numbers of a vector, of what is between the layers, and of what comes out; empty without layers.
    pub fn widths(&self) -> Vec<usize> {
        let first = self.layers.first().map(Layer::width);
        first.into_iter().chain(self.layers.iter().map(|layer| layer.bias.len())).collect()
    }

    /// Vectors `[n, in]` in the space of codes, `[n, out]`.
    pub fn encode(&self, vectors: &[f32]) -> Vec<f32> {
        let Some(dim) = self.layers.first().map(Layer::width) else { return vectors.to_vec() };
        let blocks: Vec<Vec<f32>> =
            vectors.par_chunks(BLOCK * dim).map(|block| self.block(block)).collect();
        blocks.concat()
    }

    fn block(&self, vectors: &[f32]) -> Vec<f32> {
        let mut at = vectors.to_vec();
        for (number, Layer { weight, bias }) in self.layers.iter().enumerate() {
            let (out, width) = (bias.len(), weight.len() / bias.len());
            let rows = MatRef::new(&at, at.len() / width, width);
            at = matmul_new(rows, MatRef::new(weight, out, width).t(), Threads::One);
            let is_last = number + 1 == self.layers.len();
            for row in at.chunks_exact_mut(out) {
                for (x, b) in row.iter_mut().zip(bias) {
                    *x += b;
                    *x = if is_last { *x } else { x.max(0.0) };
                }
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_applied_in_order_with_relu_between() {
        let encoder = Encoder {
            layers: vec![
                Layer { weight: vec![1.0, 0.0, -1.0, 0.0, 0.0, 2.0], bias: vec![0.5, 0.0, -1.0] },
                Layer { weight: vec![1.0, 10.0, 100.0], bias: vec![-7.0] },
            ],
        };
        assert_eq!(encoder.widths(), [2, 3, 1]);
        // [1.5, -1, 3] becomes [1.5, 0, 3]; [-1.5, 2, -1] becomes [0, 2, 0].
        assert_eq!(encoder.encode(&[1.0, 2.0, -2.0, 0.0]), [294.5, 13.0]);
        assert_eq!(Encoder::default().encode(&[1.0]), [1.0]);
    }
}
