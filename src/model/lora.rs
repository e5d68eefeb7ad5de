//! Low-rank adapters (LoRA, arXiv:2106.09685): which parameters they add, how they begin, how they merge.
//!
//! Names are PEFT's without its prefix: `model.layers.0.self_attn.q_proj.lora_A.weight`. Rows of tokens
//! that were added to the vocabulary train beside the adapter, as PEFT's "trainable tokens".

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use rand::Rng;

use crate::error::{Error, Result};
use crate::model::config::{DecoderConfig, EMBEDDING, HEAD};
use crate::model::parameters::ParameterSpec;
use crate::model::settings::LoraSettings;
use crate::seed::Seed;

/// End of the names of trained rows.
const NEW_ROWS: &str = ".token_adapter.trainable_tokens_delta";

/// What an adapter adds to a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterSpec {
    /// Rank, scale, dropout, targets.
    pub settings: LoraSettings,
    /// First token whose embedding row trains; none trains where it is the size of the vocabulary.
    pub first_new_token: usize,
}

impl AdapterSpec {
    /// Factor of the low-rank product.
    pub fn scale(&self) -> f64 {
        self.settings.scale()
    }

    /// Whether the rows of added tokens train.
    pub fn trains_rows(&self, config: &DecoderConfig) -> bool {
        self.settings.train_new_tokens && self.first_new_token < config.vocab_size
    }

    /// Names of the two matrices that adapt `module` (such as `model.layers.0.self_attn.q_proj`), where it
    /// is a target.
    pub fn names(&self, module: &str) -> Option<[String; 2]> {
        let part = module.rsplit('.').next().unwrap_or(module);
        let is_target = self.settings.targets.iter().any(|target| target.module() == part);
        is_target.then(|| ["A", "B"].map(|side| format!("{module}.lora_{side}.weight")))
    }

    /// Every parameter that the adapter adds, sorted by name.
    pub fn parameters(&self, config: &DecoderConfig) -> Vec<ParameterSpec> {
        let rank = self.settings.rank as usize;
        let mut all = Vec::new();
        for ParameterSpec { name, shape, .. } in config.parameters() {
            let Some(module) = name.strip_suffix(".weight") else { continue };
            if let ([outer, inner], Some([a, b])) = (shape.as_slice(), self.names(module)) {
                all.push(ParameterSpec::matrix(a, [rank, *inner]));
                all.push(ParameterSpec::matrix(b, [*outer, rank]));
            }
            if (name == EMBEDDING || name == HEAD) && self.trains_rows(config) {
                let added = config.vocab_size - self.first_new_token;
                all.push(ParameterSpec::table(new_rows(&name), [added, config.hidden_size]));
            }
        }
        all.sort();
        all
    }

    /// The parameters at their start: `A` uniform as PEFT draws it (bound `1 / sqrt(in)`), `B` zero, so that the
    /// adapter changes nothing; rows as they are in `base`.
    ///
    /// # Errors
    /// [`Error::Tensor`] when a tensor cannot be made.
    pub fn init(
        &self,
        config: &DecoderConfig,
        base: &BTreeMap<String, Tensor>,
        seed: Seed,
    ) -> Result<BTreeMap<String, Tensor>> {
        let start = |ParameterSpec { name, shape, .. }| {
            let tensor = if let Some(table) = name.strip_suffix(NEW_ROWS) {
                let table = base.get(&format!("{table}.weight")).ok_or_else(|| missing(table))?;
                table.narrow(0, self.first_new_token, shape[0])?.to_dtype(DType::F32)?.copy()?
            } else if name.contains(".lora_A.") {
                let bound = 1.0 / (shape[1] as f64).sqrt();
                let mut rng = seed.purpose(&name).rng();
                let n = shape[0] * shape[1];
                let values: Vec<f32> =
                    (0..n).map(|_| ((2.0 * rng.random::<f64>() - 1.0) * bound) as f32).collect();
                Tensor::from_vec(values, shape, &Device::Cpu)?
            } else {
                Tensor::zeros(shape, DType::F32, &Device::Cpu)?
            };
            Ok((name, tensor))
        };
        self.parameters(config).into_iter().map(start).collect()
    }

    /// The weight `name` of the base with the adapter merged into it, in `f32`.
    ///
    /// # Errors
    /// [`Error::Tensor`] when shapes do not fit, [`Error::Failed`] when a parameter of the adapter is missing.
    pub fn merge(
        &self,
        name: &str,
        base: &Tensor,
        adapter: &BTreeMap<String, Tensor>,
    ) -> Result<Tensor> {
        let base = base.to_dtype(DType::F32)?;
        if let Some(rows) = adapter.get(&new_rows(name)) {
            let before = base.narrow(0, 0, base.dim(0)? - rows.dim(0)?)?;
            return Ok(Tensor::cat(&[&before, rows], 0)?);
        }
        let Some([a, b]) = name.strip_suffix(".weight").and_then(|module| self.names(module))
        else {
            return Ok(base);
        };
        let get = |name: &String| adapter.get(name).ok_or_else(|| missing(name));
        let product = (get(&b)?.matmul(get(&a)?)? * self.scale())?;
        Ok((base + product)?)
    }
}

/// Name of the trained rows of a table.
pub fn new_rows(table: &str) -> String {
    format!("{}{NEW_ROWS}", table.strip_suffix(".weight").unwrap_or(table))
}

fn missing(name: &str) -> Error {
    Error::Failed(format!("parameter {name} is missing"))
}

impl LoraSettings {
    /// `alpha / rank`, or `alpha / sqrt(rank)` where rank-stabilized (arXiv:2312.03732).
    pub fn scale(&self) -> f64 {
        let rank = f64::from(self.rank);
        self.alpha / if self.rank_stabilized { rank.sqrt() } else { rank }
    }
}
