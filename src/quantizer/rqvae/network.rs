//! The network: an encoder into the space of codes, the codes of each level, and a decoder back.

use candle_core::{Device, Tensor};
use trieval_kernels::ops::linear_bias;

use crate::error::Result;
use crate::identifier::{Encoder, Layer};
use crate::model::decoder::normal;
use crate::model::{Parameter, ParameterSpec, Parameters};
use crate::seed::Seed;

/// What vectors are shifted and scaled by before they are encoded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standard {
    /// Mean of the vectors, `[width]`.
    mean: Vec<f64>,
    /// Root of the mean square of a number about its mean. One for all numbers, so that distances stay what they are.
    scale: f64,
}

impl Standard {
    /// Of vectors `[n, width]`, not all of them equal.
    pub(super) fn of(vectors: &[f32], width: usize) -> Self {
        let n = (vectors.len() / width).max(1) as f64;
        let mut mean = vec![0.0; width];
        for row in vectors.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x) / n);
        }
        let squares = vectors.chunks_exact(width).map(|row| {
            row.iter().zip(&mean).map(|(x, mean)| (f64::from(*x) - mean).powi(2)).sum::<f64>()
        });
        let scale = (squares.sum::<f64>() / (n * width as f64)).sqrt();
        Self { mean, scale }
    }

    /// Vectors `[n, width]`, shifted and scaled.
    pub(super) fn apply(&self, vectors: &[f32]) -> Vec<f32> {
        let of = |(x, mean): (&f32, &f64)| ((f64::from(*x) - mean) / self.scale) as f32;
        let width = self.mean.len();
        vectors.chunks_exact(width).flat_map(|row| row.iter().zip(&self.mean).map(of)).collect()
    }
}

/// All that trains.
pub(super) struct Network {
    pub(super) parameters: Parameters,
    /// Numbers of a code's vector.
    pub(super) dim: usize,
    pub(super) levels: usize,
    layers: usize,
}

/// Which way a network leads.
#[derive(Debug, Clone, Copy)]
enum Side {
    Encoder,
    Decoder,
}

impl Side {
    fn names(self, layer: usize) -> [String; 2] {
        let side = match self {
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
        };
        ["weight", "bias"].map(|what| format!("{side}.{layer}.{what}"))
    }
}

fn codes_name(level: usize) -> String {
    format!("codes.{level}.weight")
}

impl Network {
    /// Random weights; `widths` lead from a vector to a code's vector, `codes` are those of each level.
    pub(super) fn new(widths: &[usize], codes: &[usize], seed: Seed) -> Result<Self> {
        let layers = widths.len() - 1;
        let dim = widths[layers];
        let back: Vec<usize> = widths.iter().rev().copied().collect();
        let mut parameters = Vec::new();
        for (side, widths) in [(Side::Encoder, widths), (Side::Decoder, &back)] {
            for (layer, pair) in widths.windows(2).enumerate() {
                let [weight, bias] = side.names(layer);
                // ReLU lets half of the variance through.
                let gain: f64 = if layer + 1 < layers { 2.0 } else { 1.0 };
                let deviation = (gain / pair[0] as f64).sqrt();
                parameters.push(drawn(
                    ParameterSpec::matrix(weight, [pair[1], pair[0]]),
                    deviation,
                    seed,
                )?);
                parameters.push(drawn(ParameterSpec::vector(bias, pair[1]), 0.0, seed)?);
            }
        }
        for (level, &n) in codes.iter().enumerate() {
            parameters.push(drawn(ParameterSpec::table(codes_name(level), [n, dim]), 1.0, seed)?);
        }
        let parameters = parameters.into_iter().collect();
        Ok(Self { parameters, dim, levels: codes.len(), layers })
    }

    /// Standardised vectors `[n, width]` in the space of codes, `[n, dim]`.
    pub(super) fn encode(&self, x: &Tensor) -> Result<Tensor> {
        self.through(Side::Encoder, x)
    }

    /// Sums of codes `[n, dim]` as standardised vectors, `[n, width]`.
    pub(super) fn decode(&self, x: &Tensor) -> Result<Tensor> {
        self.through(Side::Decoder, x)
    }

    fn through(&self, side: Side, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for layer in 0..self.layers {
            let [weight, bias] = side.names(layer);
            x = linear_bias(&x, self.parameters.var(&weight)?, self.parameters.var(&bias)?)?;
            if layer + 1 < self.layers {
                x = x.relu()?;
            }
        }
        Ok(x)
    }

    /// The codes of a level, `[codes, dim]`.
    pub(super) fn codes(&self, level: usize) -> Result<&candle_core::Var> {
        self.parameters.var(&codes_name(level))
    }

    /// The numbers of the codes of a level.
    pub(super) fn code_values(&self, level: usize) -> Result<Vec<f32>> {
        Ok(self.codes(level)?.as_tensor().flatten_all()?.to_vec1()?)
    }

    /// Replaces the codes of a level.
    pub(super) fn set_codes(&self, level: usize, values: Vec<f32>) -> Result<()> {
        let var = self.codes(level)?;
        Ok(var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu)?)?)
    }

    /// The encoder as it is, for vectors as they are: what standardises them is part of its first layer.
    pub(super) fn frozen(&self, standard: &Standard) -> Result<Encoder> {
        let mut layers = Vec::with_capacity(self.layers);
        for layer in 0..self.layers {
            let [weight, bias] = Side::Encoder.names(layer);
            let values = |name: &str| -> Result<Vec<f32>> {
                Ok(self.parameters.var(name)?.as_tensor().flatten_all()?.to_vec1()?)
            };
            let (mut weight, mut bias) = (values(&weight)?, values(&bias)?);
            if layer == 0 {
                for (row, b) in weight.chunks_exact_mut(standard.mean.len()).zip(&mut bias) {
                    let mut shift = f64::from(*b);
                    for (w, mean) in row.iter_mut().zip(&standard.mean) {
                        let scaled = f64::from(*w) / standard.scale;
                        shift -= scaled * mean;
                        *w = scaled as f32;
                    }
                    *b = shift as f32;
                }
            }
            layers.push(Layer { weight, bias });
        }
        Ok(Encoder { layers })
    }
}

fn drawn(spec: ParameterSpec, deviation: f64, seed: Seed) -> Result<Parameter> {
    let values = normal(spec.n_values(), deviation, seed.purpose(&spec.name));
    let values = Tensor::from_vec(values, spec.shape.as_slice(), &Device::Cpu)?;
    spec.filled(&values)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::parameters::tests::by_decay;
    use crate::quantizer::levels::random;

    #[test]
    fn the_frozen_encoder_reads_vectors_as_they_are() {
        let network = Network::new(&[5, 7, 3], &[4, 4], Seed::new(1)).unwrap();
        let mut vectors = random(20, 5).data.into_vec();
        vectors.iter_mut().for_each(|x| *x = 40.0 * *x + 300.0);
        let standard = Standard::of(&vectors, 5);
        let rows = standard.apply(&vectors);
        let mean = rows.iter().map(|&x| f64::from(x)).sum::<f64>() / 100.0;
        let square = rows.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 100.0;
        assert!(mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-5);
        let rows = Tensor::from_vec(rows, (20, 5), &Device::Cpu).unwrap();
        let trained: Vec<f32> =
            network.encode(&rows).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let frozen = network.frozen(&standard).unwrap();
        assert_eq!(frozen.widths(), [5, 7, 3]);
        for (a, b) in frozen.encode(&vectors).iter().zip(&trained) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn products_decay_and_codes_and_biases_do_not() {
        let network = Network::new(&[5, 3], &[4], Seed::new(1)).unwrap();
        let still = vec!["codes.0.weight", "decoder.0.bias", "encoder.0.bias"];
        let decaying = vec!["decoder.0.weight", "encoder.0.weight"];
        assert_eq!(by_decay(&network.parameters), [decaying, still]);
    }
}
