//! Every key of the files of an encoder's folder: the transformer's, and those of sentence-transformers.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::model::keys::{COMMON, Is, Key, Keys, only, read, read_object};

/// Reads a JSON file with these keys; none where there is no such file.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path, keys: &Keys) -> Result<Option<T>> {
    if !path.is_file() {
        return Ok(None);
    }
    let object = read_object(path, "a description of an encoder")?;
    keys.read(object).map(Some).map_err(|faults| Error::data(path, faults.join("; ")))
}

pub(super) const NO_QUANTIZATION: Key =
    only("quantization_config", &["{}"], "quantized weights are not read");
pub(super) const NO_PROGRAMS: Key =
    only("auto_map", &["{}"], "programs that come with a model are not run");
/// Keys of any transformer here that change nothing.
pub(super) const OF_WEIGHTS: (&str, &[&str]) = (
    "since they are of heads and of types of weights",
    &[
        "architectures",
        "tie_word_embeddings",
        "torch_dtype",
        "dtype",
        "initializer_range",
        "bos_token_id",
        "eos_token_id",
        "adapters",
    ],
);

/// `config.json` of the transformer.
pub(super) const ENCODER_KEYS: Keys = Keys {
    keys: &[
        read("model_type", Is::Text, "`bert`, `roberta` or `xlm-roberta`"),
        read("vocab_size", Is::Count, "rows of the embedding"),
        read("hidden_size", Is::Count, "width"),
        read("intermediate_size", Is::Count, "width of the feed-forward"),
        read("num_hidden_layers", Is::Count, "layers; the weights must hold them"),
        read("num_attention_heads", Is::Count, "divides the width"),
        read("max_position_embeddings", Is::Count, "rows of the table of positions"),
        read("type_vocab_size", Is::Count, "kinds of text; the first is used"),
        read("layer_norm_eps", Is::Number, "of the norms"),
        read("pad_token_id", Is::Id, "positions of `roberta` begin behind it"),
        only("hidden_act", &["\"gelu\""], "no other activation is computed"),
        only("position_embedding_type", &["\"absolute\""], "positions have a table"),
        only("is_decoder", &["false"], "a token sees all others"),
        only("is_encoder_decoder", &["false"], "there is no decoder"),
        only("add_cross_attention", &["false"], "there is no decoder"),
        only("cross_attention_hidden_size", &["null"], "there is no decoder"),
        only("tie_encoder_decoder", &["false"], "there is no decoder"),
        only("pruned_heads", &["{}"], "all heads of all layers are computed"),
        only("directionality", &["\"bidi\""], "a token sees all others"),
        NO_QUANTIZATION,
        NO_PROGRAMS,
    ],
    harmless: &[COMMON[0], COMMON[1], COMMON[2], COMMON[3], COMMON[4], OF_WEIGHTS],
    others_are_harmless: false,
};

/// `config.json` of DistilBERT.
pub(super) const DISTILBERT_KEYS: Keys = Keys {
    keys: &[
        read("model_type", Is::Text, "`distilbert`"),
        read("vocab_size", Is::Count, "rows of the embedding"),
        read("dim", Is::Count, "width"),
        read("hidden_dim", Is::Count, "width of the feed-forward"),
        read("n_layers", Is::Count, "layers; the weights must hold them"),
        read("n_heads", Is::Count, "divides the width"),
        read("max_position_embeddings", Is::Count, "rows of the table of positions"),
        only("activation", &["\"gelu\""], "no other activation is computed"),
        only("pruned_heads", &["{}"], "all heads of all layers are computed"),
        NO_QUANTIZATION,
        NO_PROGRAMS,
    ],
    harmless: &[
        COMMON[0],
        COMMON[1],
        COMMON[2],
        COMMON[3],
        COMMON[4],
        OF_WEIGHTS,
        (
            "since they are of training",
            &[
                "dropout",
                "qa_dropout",
                "seq_classif_dropout",
                "sinusoidal_pos_embds",
                "tie_weights_",
            ],
        ),
        ("since nothing is padded", &["pad_token_id"]),
    ],
    others_are_harmless: false,
};

/// An entry of `modules.json`.
pub(super) const MODULE_KEYS: Keys = Keys {
    keys: &[
        read(
            "type",
            Is::Text,
            "Transformer, then Pooling, then any number of Dense, then Normalize",
        ),
        read("path", Is::Text, "a folder inside"),
        only("kwargs", &["[]"], "modules are given nothing else"),
    ],
    harmless: &[("since modules stand in order", &["idx", "name"])],
    others_are_harmless: false,
};

/// `sentence_bert_config.json`, and its older names.
pub(super) const TEXT_KEYS: Keys = Keys {
    keys: &[
        read("max_seq_length", Is::Count, "longest text in tokens"),
        read("do_lower_case", Is::Flag, "whether texts are lower-cased first"),
        only("model_args", &["{}"], "the transformer is given nothing else"),
        only("tokenizer_args", &["{}"], "the tokenizer is given nothing else"),
        only("config_args", &["{}"], "the transformer is given nothing else"),
        only("processor_kwargs", &["{}"], "the tokenizer is given nothing else"),
        only("tokenizer_name_or_path", &["\"\""], "the tokenizer lies beside the transformer"),
        only("transformer_task", &["\"feature-extraction\""], "a text becomes token vectors"),
        only("module_output_name", &["\"token_embeddings\""], "a text becomes token vectors"),
        only(
            "modality_config",
            &["{}", r#"{"text":{"method":"forward","method_output_name":"last_hidden_state"}}"#],
            "texts alone are read",
        ),
    ],
    harmless: &[("since texts are never padded here", &["unpad_inputs"])],
    others_are_harmless: false,
};

/// `config.json` of the pooling.
pub(super) const POOLING_KEYS: Keys = Keys {
    keys: &[
        read("word_embedding_dimension", Is::Count, "the transformer's width"),
        read("embedding_dimension", Is::Count, "its newer name"),
        read("pooling_mode", Is::Text, "how token vectors become one, in newer files"),
        read("pooling_mode_mean_tokens", Is::Flag, "one of these is true"),
        read("pooling_mode_cls_token", Is::Flag, "one of these is true"),
        read("pooling_mode_max_tokens", Is::Flag, "one of these is true"),
        read("pooling_mode_mean_sqrt_len_tokens", Is::Flag, "one of these is true"),
        read("pooling_mode_weightedmean_tokens", Is::Flag, "one of these is true"),
        read("pooling_mode_lasttoken", Is::Flag, "one of these is true"),
        only("include_prompt", &["true"], "what is put before a text counts in its mean"),
    ],
    harmless: &[],
    others_are_harmless: false,
};

/// `config.json` of a dense layer.
pub(super) const DENSE_KEYS: Keys = Keys {
    keys: &[
        read("in_features", Is::Count, "what lies before gives as many"),
        read("out_features", Is::Count, "width"),
        read("bias", Is::Flag, "left out, true"),
        read(
            "activation_function",
            Is::Text,
            "`Tanh`, `Identity`, `ReLU`, `GELU`, `Sigmoid` or `SiLU`; left out, `Tanh`",
        ),
        only("module_input_name", &["\"sentence_embedding\""], "it reads the pooled vector"),
        only("module_output_name", &["\"sentence_embedding\""], "it writes the pooled vector"),
        only("use_residual", &["false"], "nothing is added to what it gives"),
    ],
    harmless: &[],
    others_are_harmless: false,
};

/// `config.json` of the scaling to unit length, where there is one.
pub(super) const NORMALIZE_KEYS: Keys = Keys {
    keys: &[
        only("module_input_name", &["\"sentence_embedding\""], "it reads the pooled vector"),
        only("module_output_name", &["\"sentence_embedding\""], "it writes the pooled vector"),
    ],
    harmless: &[],
    others_are_harmless: false,
};

/// `config_sentence_transformers.json`.
pub(super) const SIMILARITY_KEYS: Keys = Keys {
    keys: &[
        read("similarity_fn_name", Is::Text, "`cosine` or `dot`; left out, `cosine`"),
        read(
            "default_prompt_name",
            Is::Text,
            "refused unless `query_prefix` or `item_prefix` is set",
        ),
        read("prompts", Is::Object, "the text of the default prompt"),
        only("model_type", &["\"SentenceTransformer\""], "one text becomes one vector"),
        only("truncate_dim", &["null"], "vectors are used whole"),
    ],
    harmless: &[("since it says what wrote the folder", &["__version__"])],
    others_are_harmless: false,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::encoder::library::{JINA_KEYS, MODERNBERT_KEYS, NOMIC_KEYS, T5_KEYS};
    use crate::model::keys::tests::assert_documented;

    #[test]
    fn the_document_lists_all_keys() {
        for (name, keys) in [
            ("config.json", &ENCODER_KEYS),
            ("config.json of distilbert", &DISTILBERT_KEYS),
            ("config.json of t5", &T5_KEYS),
            ("config.json of modernbert", &MODERNBERT_KEYS),
            ("config.json of nomic_bert", &NOMIC_KEYS),
            ("config.json of bert with alibi", &JINA_KEYS),
            ("modules.json", &MODULE_KEYS),
            ("sentence_bert_config.json", &TEXT_KEYS),
            ("pooling", &POOLING_KEYS),
            ("dense", &DENSE_KEYS),
            ("normalize", &NORMALIZE_KEYS),
            ("config_sentence_transformers.json", &SIMILARITY_KEYS),
        ] {
            assert_documented("encoders.md", name, keys);
        }
    }
}
