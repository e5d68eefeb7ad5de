//! A decoder as both towers: `v = P h / |P h|`, `h` the final hidden state behind a prompt's last token, which predicts the
//! first code of an answer. An item is asked for by its own text.

use candle_core::{Device, Tensor};
use trieval_kernels::ops::{Packing, linear};

use super::file::PROJECTION;
use crate::decode::prompt::PromptBuilder;
use crate::error::Result;
use crate::model::config::HEAD;
use crate::model::decoder::normal;
use crate::model::encoder::unit_length;
use crate::model::{Decoder, Parameter, ParameterSpec, Parameters, token_keys};
use crate::seed::Seed;
use crate::train::objective::contrastive::Towers;

/// A decoder that learns to encode.
pub struct Tower<'a> {
    decoder: &'a Decoder,
    prompts: &'a PromptBuilder,
    /// `[dim, hidden]`.
    projection: Option<Parameter>,
}

impl<'a> Tower<'a> {
    /// A decoder with a fresh projection to vectors of `dim` numbers, where it is given.
    ///
    /// # Errors
    /// When memory refuses.
    pub fn new(
        decoder: &'a Decoder,
        prompts: &'a PromptBuilder,
        dim: Option<u32>,
        seed: Seed,
    ) -> Result<Self> {
        let hidden = decoder.config().hidden_size;
        let fresh = |dim: u32| {
            let spec = ParameterSpec::matrix(PROJECTION, [dim as usize, hidden]);
            let scale = 1.0 / (hidden as f64).sqrt();
            let values = normal(spec.n_values(), scale, seed.purpose(PROJECTION));
            let values = Tensor::from_vec(values, spec.shape.as_slice(), &Device::Cpu)?;
            spec.filled(&values)
        };
        Ok(Self { decoder, prompts, projection: dim.map(fresh).transpose()? })
    }

    /// The same with a projection `[dim, hidden]` that was trained.
    ///
    /// # Errors
    /// When memory refuses.
    pub fn trained(
        decoder: &'a Decoder,
        prompts: &'a PromptBuilder,
        projection: Option<&Tensor>,
    ) -> Result<Self> {
        let filled = |values: &Tensor| {
            let (dim, hidden) = values.dims2()?;
            ParameterSpec::matrix(PROJECTION, [dim, hidden]).filled(values)
        };
        Ok(Self { decoder, prompts, projection: projection.map(filled).transpose()? })
    }

    /// What trains: all of the decoder but a head of its own, which nothing reads, and the projection.
    pub fn parameters(&self) -> Parameters {
        let own = self.decoder.trained().iter().filter(|one| one.name != HEAD);
        own.chain(&self.projection).cloned().collect()
    }

    /// The projection as it is now.
    pub fn projection(&self) -> Option<&Tensor> {
        self.projection.as_ref().map(|one| one.var.as_tensor())
    }

    /// Numbers per vector.
    ///
    /// # Errors
    /// When the projection is no matrix.
    pub fn dim(&self) -> Result<usize> {
        Ok(match self.projection() {
            Some(projection) => projection.dim(0)?,
            None => self.decoder.config().hidden_size,
        })
    }

    /// Vectors of prompts, `[prompts, dim]`, on the CPU; `keys`, one per prompt, where a training step drops something.
    fn encode(&self, prompts: &[&Vec<u32>], keys: Option<&[u64]>) -> Result<Tensor> {
        let ids: Vec<u32> = prompts.iter().flat_map(|one| one.iter().copied()).collect();
        let mut rows = Vec::with_capacity(prompts.len());
        let mut end = 0;
        for prompt in prompts {
            end += prompt.len() as u32;
            rows.push(end - 1);
        }
        let packing = Packing::sequences(prompts.iter().map(|one| one.len()));
        let ids = Tensor::new(ids, &Device::Cpu)?;
        let hidden = match keys {
            Some(keys) => {
                let lengths = prompts.iter().map(|one| one.len());
                let keys = token_keys(keys.iter().copied().zip(lengths));
                self.decoder.hidden_rows_in_training(&ids, &packing, &rows, &keys)?
            }
            None => self.decoder.hidden_rows(&ids, &packing, &rows)?,
        };
        // Losses are small: they are computed on the CPU whatever computed the hidden states.
        let hidden = hidden.to_device(&Device::Cpu)?.to_dtype(candle_core::DType::F32)?;
        match self.projection() {
            Some(projection) => unit_length(&linear(&hidden, projection)?),
            None => unit_length(&hidden),
        }
    }
}

impl Towers for Tower<'_> {
    type Reading = Vec<u32>;

    fn read_query(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.prompts.build(Some(text), &[])?.tokens)
    }

    fn tokens(reading: &Vec<u32>) -> u64 {
        reading.len() as u64
    }

    fn queries(&self, readings: &[&Vec<u32>]) -> Result<Tensor> {
        self.encode(readings, None)
    }

    fn items(&self, readings: &[&Vec<u32>], _items: &[u32]) -> Result<Tensor> {
        self.encode(readings, None)
    }

    fn drops(&self) -> bool {
        self.decoder.drops()
    }

    fn queries_in_training(&self, readings: &[&Vec<u32>], keys: &[u64]) -> Result<Tensor> {
        self.encode(readings, Some(keys))
    }

    fn items_in_training(
        &self,
        readings: &[&Vec<u32>],
        _items: &[u32],
        keys: &[u64],
    ) -> Result<Tensor> {
        self.encode(readings, Some(keys))
    }
}
