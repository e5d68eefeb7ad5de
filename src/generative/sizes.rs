//! What a decoder takes before it is there: parameters, tokens of a row, memory of a training and of a search.

use crate::kind::Sizes;
use crate::model::config::DecoderConfig;
use crate::model::lora::AdapterSpec;
use crate::train::settings::TrainSettings;

/// `f32` values kept per token, layer and unit of width between forward and backward: what the fused
/// operations store (measured on the decoder of this project, rounded up).
const ACTIVATIONS_PER_WIDTH: u64 = 18;

/// Further ones where a step drops: what attention and feed-forward add, before and after it is dropped.
const ACTIVATIONS_OF_DROPOUT: u64 = 4;

/// A decoder and the rows it reads.
#[derive(Debug, Clone)]
pub struct DecoderSizes {
    /// The decoder.
    pub config: DecoderConfig,
    /// Tokens of one item, in the longest of its identifiers.
    pub answer: u64,
    /// Identifiers that it answers in.
    pub identifiers: usize,
    /// Most items of a history in a prompt.
    pub history_items: u32,
}

/// Bytes of a training by what they are for.
pub struct TrainingMemory {
    /// Weights as they are held.
    pub weights: u64,
    /// Gradients of what trains.
    pub gradients: u64,
    /// Moments of the optimizer.
    pub moments: u64,
    /// The average of what trains, and a copy of what trains while the average is validated.
    pub average: u64,
    /// What is kept for the backward pass.
    pub activations: u64,
}

impl TrainingMemory {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.weights + self.gradients + self.moments + self.average + self.activations
    }
}

impl DecoderSizes {
    /// Tokens of a row with one answer.
    pub fn row(&self, sizes: &Sizes) -> u64 {
        sizes.prompt_tokens(self.history_items, self.answer) + self.answer
    }

    /// Tokens of an example: its prompt is encoded once, however many answers it has.
    pub fn example(&self, sizes: &Sizes, answers: u64) -> u64 {
        self.row(sizes) + answers.saturating_sub(1) * self.answer
    }

    /// Trained values.
    pub fn parameters(&self) -> u64 {
        self.config.parameter_count() as u64
    }

    /// Bytes of weights held as `f32`.
    pub fn weights(&self) -> u64 {
        4 * self.parameters()
    }

    /// Bytes kept for the backward pass of `tokens` tokens.
    pub fn activations(&self, tokens: u64) -> u64 {
        let (width, layers) =
            (self.config.hidden_size as u64, self.config.num_hidden_layers as u64);
        tokens * layers * width * ACTIVATIONS_PER_WIDTH * 4
    }

    /// Bytes held while `tokens` tokens are scored: what one layer is given, and what it gives.
    pub fn forward(&self, tokens: u64) -> u64 {
        2 * self.activations(tokens) / (self.config.num_hidden_layers as u64).max(1)
    }

    /// Weights, read and packed; keys and values of so many prompts `at_once` and of their beams; and
    /// per thread the beams' logits.
    pub fn search_memory(&self, sizes: &Sizes, beam: u32, at_once: u64) -> u64 {
        let config = &self.config;
        let per_token =
            2 * (config.num_hidden_layers * config.num_key_value_heads * config.head_dim) as u64;
        let prompt = sizes.prompt_tokens(self.history_items, self.answer);
        let tokens = prompt + u64::from(beam) * self.answer;
        let logits = threads() * u64::from(beam) * config.vocab_size as u64;
        2 * self.weights() + 4 * (at_once * tokens * per_token + logits)
    }

    /// What is held throughout a training, and what a step of `tokens` tokens adds.
    pub fn training_memory(&self, training: &TrainSettings, tokens: u64) -> TrainingMemory {
        let config = &self.config;
        let parameters = self.parameters();
        let stored = config.dtype.bytes() as u64;
        let (weights, trained) = match &training.lora {
            None => (parameters * 4, parameters),
            Some(lora) => {
                let spec =
                    AdapterSpec { settings: lora.clone(), first_new_token: config.vocab_size };
                let all = spec.parameters(config);
                let added = all.iter().map(|spec| spec.n_values() as u64).sum();
                (parameters * stored + added * 4, added)
            }
        };
        let layers = config.num_hidden_layers as u64;
        let wide = tokens * layers * config.hidden_size as u64 * 4;
        let dropped = if training.dropout() > 0.0 { wide * ACTIVATIONS_OF_DROPOUT } else { 0 };
        let all = self.activations(tokens) + dropped;
        // Recomputed: one layer at a time, and the input of every one.
        let activations = if training.course.recompute { all / layers.max(1) + wide } else { all };
        let average = training.course.average().map_or(0, |_| trained * 8);
        let (gradients, moments) = (trained * 4, trained * 8);
        TrainingMemory { weights, gradients, moments, average, activations }
    }
}

/// Threads that search at once.
pub fn threads() -> u64 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u64)
}
