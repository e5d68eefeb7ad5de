//! Every key of a decoder's `config.json`, and of what stretches its rotary embedding.

use crate::model::keys::{COMMON, Is, Keys, only, read};

/// The keys of `config.json`.
pub(super) const DECODER_KEYS: Keys = Keys {
    keys: &[
        read("model_type", Is::Text, "`qwen3`, `qwen2` or `llama`"),
        read("architectures", Is::Texts, "the family's class, with its head or without"),
        read("vocab_size", Is::Count, "rows of the embedding"),
        read("hidden_size", Is::Count, "width"),
        read("intermediate_size", Is::Count, "width of the feed-forward"),
        read("num_hidden_layers", Is::Count, "layers; the weights must hold them"),
        read("num_attention_heads", Is::Count, "heads"),
        read("num_key_value_heads", Is::Count, "divides the heads; left out, as many"),
        read("head_dim", Is::Count, "even; left out, 128 for `qwen3`, else width / heads"),
        read("max_position_embeddings", Is::Count, "longest text; 262,144 are used at most"),
        read("rms_norm_eps", Is::Number, "of the norms"),
        read("rope_theta", Is::Number, "base of the rotary embedding"),
        read("rope_scaling", Is::Object, "its stretching, see below"),
        read("rope_parameters", Is::Object, "both of these in files of transformers 5"),
        read("tie_word_embeddings", Is::Flag, "whether the head is the embedding"),
        read("attention_bias", Is::Flag, "biases of attention; `qwen2` has its own in any case"),
        read("mlp_bias", Is::Flag, "biases of the feed-forward, of `llama` alone"),
        read("use_sliding_window", Is::Flag, "refused where a `sliding_window` is given"),
        read("sliding_window", Is::Count, "width of the window, unused"),
        read("layer_types", Is::Texts, "all `full_attention`"),
        read("torch_dtype", Is::Text, "`float32`, `bfloat16` or `float16`"),
        read("dtype", Is::Text, "the same in files of transformers 5"),
        read("initializer_range", Is::Number, "of fresh weights"),
        read("bos_token_id", Is::Ids, "begins a text"),
        read("eos_token_id", Is::Ids, "ends an answer"),
        read("pad_token_id", Is::Ids, "fills short rows"),
        only("hidden_act", &["\"silu\""], "no other activation is computed"),
        only("partial_rotary_factor", &["1"], "all of a head is turned"),
        only("is_causal", &["true"], "a token sees those before it"),
        only("is_encoder_decoder", &["false"], "there is no encoder"),
        only("add_cross_attention", &["false"], "there is no encoder"),
        only("cross_attention_hidden_size", &["null"], "there is no encoder"),
        only("tie_encoder_decoder", &["false"], "there is no encoder"),
        only("pruned_heads", &["{}"], "all heads of all layers are computed"),
        only("use_qk_norm", &["false"], "`qwen3` alone normalizes queries and keys"),
        only("use_mrope", &["false"], "positions are those of texts"),
        only("rope_interleaved", &["false"], "the halves of a head are turned, not its neighbours"),
        only(
            "quantization_config",
            &["{}"],
            "quantized weights are not read; use the folder with f32, bf16 or f16 weights",
        ),
        only("auto_map", &["{}"], "programs that come with a model are not run"),
    ],
    harmless: &[
        COMMON[0],
        COMMON[1],
        COMMON[2],
        COMMON[3],
        COMMON[4],
        ("since it would only matter to sliding windows", &["max_window_layers"]),
        (
            "since they say again what other keys say",
            &["is_decoder", "is_llama_config", "max_sequence_length", "transformers.js_config"],
        ),
    ],
    others_are_harmless: false,
};

/// The keys of `rope_scaling` and `rope_parameters`.
pub(super) const ROPE_KEYS: Keys = Keys {
    keys: &[
        read("rope_type", Is::Text, "`default`, `linear` or `llama3`"),
        read("type", Is::Text, "the older name; where both stand, they must agree"),
        read("rope_theta", Is::Number, "base of the rotary embedding"),
        read("factor", Is::Number, "of `linear` and `llama3`"),
        read("low_freq_factor", Is::Number, "of `llama3`"),
        read("high_freq_factor", Is::Number, "of `llama3`, above `low_freq_factor`"),
        read("original_max_position_embeddings", Is::Count, "of `llama3`"),
        only("partial_rotary_factor", &["1"], "all of a head is turned"),
    ],
    harmless: &[],
    others_are_harmless: false,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::keys::tests::assert_documented;

    #[test]
    fn the_document_lists_all_keys() {
        assert_documented("models.md", "config.json", &DECODER_KEYS);
        assert_documented("models.md", "rope_scaling", &ROPE_KEYS);
    }
}
