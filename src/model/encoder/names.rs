//! Names of the weights of BERT's encoder in files of Hugging Face; `.weight` and `.bias` follow those of layers and norms.

pub(super) const WORDS: &str = "embeddings.word_embeddings.weight";
pub(super) const POSITIONS: &str = "embeddings.position_embeddings.weight";
pub(super) const TYPES: &str = "embeddings.token_type_embeddings.weight";
pub(super) const NORM: &str = "embeddings.LayerNorm";
pub(super) const QUERY: &str = "attention.self.query";
pub(super) const KEY: &str = "attention.self.key";
pub(super) const VALUE: &str = "attention.self.value";
pub(super) const MIXED: &str = "attention.output.dense";
pub(super) const MIXED_NORM: &str = "attention.output.LayerNorm";
pub(super) const WIDEN: &str = "intermediate.dense";
pub(super) const NARROW: &str = "output.dense";
pub(super) const NARROW_NORM: &str = "output.LayerNorm";

/// Name of a part of a layer.
pub(super) fn name_in_layer(layer: usize, name: &str) -> String {
    format!("encoder.layer.{layer}.{name}")
}
