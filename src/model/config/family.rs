//! The families of decoders that this program runs, and what tells them apart.

/// An architecture of `transformers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Qwen3 (arXiv:2505.09388): queries and keys are normalized per head.
    Qwen3,
    /// Qwen2 and Qwen2.5 (arXiv:2407.10671): queries, keys and values carry a bias.
    Qwen2,
    /// Llama 2 and 3 (arXiv:2307.09288, arXiv:2407.21783): neither, unless the configuration says so.
    Llama,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Qwen3, Self::Qwen2, Self::Llama];

    /// `model_type` of `config.json`.
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Qwen3 => "qwen3",
            Self::Qwen2 => "qwen2",
            Self::Llama => "llama",
        }
    }

    /// The class that `transformers` builds.
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Qwen3 => "Qwen3ForCausalLM",
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Llama => "LlamaForCausalLM",
        }
    }

    /// The family of a `model_type`.
    pub fn of(model_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.model_type() == model_type)
    }

    /// Whether queries and keys are normalized per head.
    pub fn has_head_norms(self) -> bool {
        self == Self::Qwen3
    }
}
