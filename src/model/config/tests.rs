//! Configurations in both spellings, and what is refused of them.

#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

/// A small decoder with shared key-value heads, for tests of this folder.
pub(crate) fn small(vocab: usize) -> DecoderConfig {
    let settings = ScratchSettings {
        identifier: Some("sid".into()),
        identifiers: None,
        init: None,
        rows: None,
        vocabulary: 300,
        layers: 2,
        hidden: 24,
        heads: 4,
        kv_heads: Some(2),
        head_dim: Some(8),
        ffn: Some(40),
        prompt_tokens: 16,
        history_items: 1,
        seed: None,
    };
    DecoderConfig::from_scratch(&settings, 4, vocab, 0, 1).unwrap()
}

#[test]
fn parameters_are_counted_by_hand() {
    let config = small(50);
    let layer = 24 * 2 + 8 * 2 + 24 * 32 * 2 + 24 * 16 * 2 + 24 * 40 * 3;
    assert_eq!(config.parameter_count(), 50 * 24 + 24 + 2 * layer);
    let untied = DecoderConfig { tie_word_embeddings: false, ..config };
    assert_eq!(untied.parameter_count(), 2 * 50 * 24 + 24 + 2 * layer);
    assert!(untied.parameters().is_sorted());
}

#[test]
fn impossible_shapes_are_named() {
    let text = serde_json::to_string(&small(50)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let message = |text: &str| {
        std::fs::write(&path, text).unwrap();
        DecoderConfig::read(&path).unwrap_err().to_string()
    };
    let odd = text.replace("\"head_dim\":8", "\"head_dim\":7");
    assert!(message(&odd).contains("head_dim is 7, expected an even number"));
    let gpt = text.replace("\"qwen3\"", "\"gpt2\"");
    let told = message(&gpt);
    assert!(
        told.contains("`gpt2`, which is not supported; supported are `qwen3`, `qwen2`, `llama`"),
        "{told}"
    );
    let windowed = text
        .replace("\"use_cache\"", "\"use_sliding_window\":true,\"sliding_window\":4,\"use_cache\"");
    let both = windowed.replace("\"silu\"", "\"gelu\"").replace("\"float32\"", "\"int8\"");
    let told = message(&both);
    for fault in ["windowed attention", "hidden_act is `gelu`", "torch_dtype is `int8`"] {
        assert!(told.contains(fault), "{told}");
    }
    let yarn = text
        .replace("\"rope_scaling\":null", "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0}");
    assert!(message(&yarn).contains("rope_scaling of type `yarn` is not supported"));
    assert!(message("{").contains("config.json:1: not a decoder configuration"));
    std::fs::write(&path, &text).unwrap();
    assert_eq!(DecoderConfig::read(&path).unwrap(), small(50));
}

#[test]
fn both_spellings_of_a_file_give_the_same_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let common = r#""vocab_size":50,"hidden_size":24,"intermediate_size":40,"num_hidden_layers":2,
        "num_attention_heads":4,"num_key_value_heads":2,"max_position_embeddings":64,"hidden_act":"silu",
        "eos_token_id":[1,2],"pretraining_tp":1"#;
    let read = |rest: &str| {
        std::fs::write(&path, format!("{{{common},{rest}}}")).unwrap();
        DecoderConfig::read(&path).unwrap()
    };
    let scaling = r#""rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
        "original_max_position_embeddings":32"#;
    let four = read(&format!(
        r#""model_type":"llama","rope_theta":500000.0,"rope_scaling":{{{scaling}}},"torch_dtype":"bfloat16""#
    ));
    let five = read(&format!(
        r#""model_type":"llama","rope_parameters":{{"rope_theta":500000.0,{scaling}}},"dtype":"bfloat16""#
    ));
    assert_eq!(four, five);
    assert_eq!((four.head_dim, four.eos_token_ids.as_slice()), (6, [1, 2].as_slice()));
    assert_eq!(four.dtype, WeightType::Bf16);
    assert!(matches!(four.rope_scaling, Some(RopeScaling::Llama3 { .. })));
    // What is written reads back equal, fields we do not know included.
    let text = serde_json::to_string(&four).unwrap();
    assert!(text.contains("pretraining_tp"));
    std::fs::write(&path, text).unwrap();
    assert_eq!(DecoderConfig::read(&path).unwrap(), four);
    let qwen2 = read(r#""model_type":"qwen2","tie_word_embeddings":true"#);
    assert!(qwen2.qkv_bias && !qwen2.out_bias && !qwen2.family.has_head_norms());
    let names: Vec<String> = qwen2.parameters().into_iter().map(|spec| spec.name).collect();
    assert!(names.contains(&"model.layers.1.self_attn.k_proj.bias".to_owned()));
    assert!(!names.iter().any(|name| name.contains("o_proj.bias") || name.contains("q_norm")));
}

/// What is told of the configuration of a small decoder with some keys changed; empty where it is read.
fn told(changes: &[(&str, serde_json::Value)]) -> String {
    let mut object = serde_json::to_value(small(50)).unwrap();
    for (key, value) in changes {
        object[*key] = value.clone();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, object.to_string()).unwrap();
    match DecoderConfig::read(&path) {
        Ok(config) => {
            // Whatever is accepted can be listed.
            assert!(config.parameter_count() > 0);
            String::new()
        }
        Err(error) => {
            assert_eq!(error.exit_code(), 2);
            error.to_string()
        }
    }
}

#[test]
fn a_type_of_stretching_may_be_spelt_twice_and_must_agree() {
    let rope = |value| told(&[("rope_scaling", value)]);
    let twice = json!({"type": "linear", "rope_type": "linear", "factor": 2.0});
    assert_eq!(rope(twice.clone()), "");
    assert_eq!(rope(json!({"type": "default", "rope_type": "default"})), "");
    assert_eq!(rope(json!({"type": "linear", "factor": 2.0})), "");
    let differ = rope(json!({"type": "dynamic", "rope_type": "linear", "factor": 2.0}));
    assert!(differ.contains("rope_type is `linear`, but type is `dynamic`"), "{differ}");
    let other = rope(json!({"type": "linear", "factor": 2.0, "mrope_section": [1]}));
    assert!(other.contains("rope_scaling: mrope_section ([1]) is not known here"), "{other}");
    assert!(
        rope(json!({"type": "linear", "factor": "2"})).contains("factor is `2`, expected a number")
    );
    assert!(
        rope(json!({"type": "linear", "factor": -2})).contains("factor is -2, expected a positive")
    );
    assert!(rope(json!([])).contains("rope_scaling is [], expected an object"));
    let flat = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32});
    assert!(rope(flat).contains("high_freq_factor must be above low_freq_factor"));
    assert_eq!(told(&[("rope_scaling", twice.clone()), ("rope_parameters", twice.clone())]), "");
    let both =
        told(&[("rope_scaling", twice), ("rope_parameters", json!({"rope_type": "default"}))]);
    assert!(both.contains("rope_scaling and rope_parameters differ"), "{both}");
    let theta =
        told(&[("rope_theta", json!(1e4)), ("rope_parameters", json!({"rope_theta": 1e6}))]);
    assert!(theta.contains("rope_theta is stated twice"), "{theta}");
}

#[test]
fn numbers_are_checked_before_anything_is_made_of_them() {
    for key in [
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "max_position_embeddings",
    ] {
        let bad = [
            json!(-1),
            json!(0),
            json!(2.5),
            json!("2"),
            json!(1u64 << 40),
            json!(1e30),
            json!([1]),
        ];
        for value in bad {
            let told = told(&[(key, value.clone())]);
            assert!(told.contains(&format!("{key} is ")), "{key} {value}: {told}");
        }
    }
    for (key, value) in [
        ("num_hidden_layers", json!(1_000_000)),
        ("vocab_size", json!(2_000_000_000)),
        ("hidden_size", json!(2_000_000)),
        ("num_attention_heads", json!(20_000)),
    ] {
        let told = told(&[(key, value)]);
        assert!(told.contains(key) && told.contains("expected at most"), "{told}");
    }
    assert!(
        told(&[("num_attention_heads", json!(16_384)), ("head_dim", json!(16_384))])
            .contains("wider than any")
    );
    assert!(
        told(&[("num_key_value_heads", json!(3))])
            .contains("3 key-value heads do not divide 4 heads")
    );
    let uneven = told(&[
        ("model_type", json!("llama")),
        ("architectures", json!(null)),
        ("head_dim", json!(null)),
        ("num_attention_heads", json!(5)),
        ("num_key_value_heads", json!(5)),
    ]);
    assert!(
        uneven.contains("num_attention_heads is 5, which does not divide hidden_size = 24"),
        "{uneven}"
    );
    assert!(told(&[("rms_norm_eps", json!(-1))]).contains("rms_norm_eps is -1"));
    // A claim of more positions than tables are worth for costs nothing.
    assert_eq!(told(&[("max_position_embeddings", json!(2_000_000_000))]), "");
    let config = DecoderConfig { max_position_embeddings: 2_000_000_000, ..small(50) };
    assert_eq!(config.positions(), 262_144);
}

#[test]
fn every_key_is_read_known_or_refused_by_name() {
    for (key, value, part) in [
        ("is_causal", json!(false), "is_causal is false, expected true"),
        ("partial_rotary_factor", json!(0.5), "partial_rotary_factor is 0.5, expected 1"),
        ("quantization_config", json!({"bits": 4}), "quantized weights are not read"),
        ("auto_map", json!({"AutoModel": "m.M"}), "programs that come with a model are not run"),
        ("logits_scaling", json!(8), "logits_scaling (8) is not known here"),
        ("architectures", json!(["Qwen3ForSequenceClassification"]), "architectures has `Qwen3For"),
        ("architectures", json!(["LlamaForCausalLM"]), "expected `Qwen3ForCausalLM`"),
        ("pruned_heads", json!({"0": [1]}), "pruned_heads is {\"0\":[1]}"),
        (
            "tie_word_embeddings",
            json!("yes"),
            "tie_word_embeddings is `yes`, expected true or false",
        ),
        ("eos_token_id", json!("x"), "eos_token_id is `x`"),
    ] {
        let told = told(&[(key, value)]);
        assert!(told.contains(part), "{told}");
    }
    for (key, value) in [
        ("architectures", json!(["Qwen3Model"])),
        ("transformers_version", json!("4.51.0")),
        ("id2label", json!({"0": "a"})),
        ("max_window_layers", json!(28)),
        ("attention_dropout", json!(0.1)),
        ("pretraining_tp", json!(1)),
        ("partial_rotary_factor", json!(1.0)),
        ("quantization_config", json!(null)),
        ("unsloth_version", json!("2025")),
        ("a_key_of_tomorrow", json!(null)),
        ("pad_token_id", json!(-1)),
        ("rope_scaling", json!(null)),
        ("num_key_value_heads", json!(null)),
    ] {
        assert_eq!(told(&[(key, value)]), "", "{key}");
    }
}
