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

/// Name of a parameter of DistilBERT (arXiv:1910.01108) in its own files: BERT's layers have other names there.
pub(super) fn distilled(name: &str) -> String {
    let parts = || {
        let (layer, rest) = name.strip_prefix("encoder.layer.")?.split_once('.')?;
        let (part, end) = rest.rsplit_once('.')?;
        Some((layer, part, end))
    };
    let Some((layer, part, end)) = parts() else { return name.to_owned() };
    let part = match part {
        QUERY => "attention.q_lin",
        KEY => "attention.k_lin",
        VALUE => "attention.v_lin",
        MIXED => "attention.out_lin",
        MIXED_NORM => "sa_layer_norm",
        WIDEN => "ffn.lin1",
        NARROW => "ffn.lin2",
        NARROW_NORM => "output_layer_norm",
        other => other,
    };
    format!("transformer.layer.{layer}.{part}.{end}")
}
