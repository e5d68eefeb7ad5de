//! Every key of PEFT's `adapter_config.json`. A plain adapter is read; what makes another one of it is refused by name.

use crate::model::keys::{Is, Keys, only, read};

pub(super) const ADAPTER_KEYS: Keys = Keys {
    keys: &[
        read("r", Is::Count, "rank"),
        read("lora_alpha", Is::Number, "the product is scaled by `lora_alpha / r`"),
        read("use_rslora", Is::Flag, "by `lora_alpha / sqrt(r)` instead"),
        read("lora_dropout", Is::Number, "merged weights drop nothing"),
        read("target_modules", Is::Any, "a list of names of projections"),
        read("trainable_token_indices", Is::Any, "the last rows of the vocabulary"),
        read("base_model_name_or_path", Is::Text, "for messages"),
        only("peft_type", &["\"LORA\""], "other adapters are not read"),
        only(
            "task_type",
            &["\"CAUSAL_LM\""],
            "names of tensors are those of a decoder with its head",
        ),
        only("use_dora", &["false"], "magnitudes are not read"),
        only("use_qalora", &["false"], "groups are not read"),
        only("use_bdlora", &["null", "false"], "blocks are not read"),
        only("bias", &["\"none\""], "biases are not read"),
        only("lora_bias", &["false"], "biases are not read"),
        only("fan_in_fan_out", &["false"], "weights are stored as outputs × inputs"),
        only("modules_to_save", &["[]"], "whole modules are not read"),
        only("rank_pattern", &["{}"], "all targets have one rank"),
        only("alpha_pattern", &["{}"], "all targets have one scale"),
        only("layers_to_transform", &["[]"], "all layers are adapted"),
        only("layers_pattern", &["[]", "\"\""], "all layers are adapted"),
        only("exclude_modules", &["[]", "\"\""], "all targets are adapted"),
        only("target_parameters", &["[]"], "projections alone are adapted"),
        only("layer_replication", &["[]"], "layers are not repeated"),
        only(
            "init_lora_weights",
            &["true", "false", "\"gaussian\"", "\"orthogonal\"", "\"eva\""],
            "other starts move the base, which a folder of the base does not know",
        ),
        only("loftq_config", &["{}"], "its start moves the base"),
        only("corda_config", &["{}"], "its start moves the base"),
        only("lora_ga_config", &["{}"], "its start moves the base"),
        only("arrow_config", &["{}"], "adapters are not mixed"),
        only("alora_invocation_tokens", &["[]"], "all tokens are adapted"),
        only("megatron_config", &["{}"], "layers of Megatron are not read"),
        only("ensure_weight_tying", &["false"], "tied rows are trained together in any case"),
    ],
    harmless: &[(
        "since they say how an adapter began or is run, and not what it is",
        &[
            "inference_mode",
            "revision",
            "peft_version",
            "eva_config",
            "megatron_core",
            "qalora_group_size",
            "runtime_config",
            "auto_mapping",
            "unsloth_*",
        ],
    )],
    others_are_harmless: false,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::keys::tests::assert_documented;

    #[test]
    fn the_document_lists_all_keys() {
        assert_documented("models.md", "adapter_config.json", &ADAPTER_KEYS);
    }
}
