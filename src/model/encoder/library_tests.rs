//! Encoders of further families against sentence-transformers, and refusals.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::tests::{Golden, assert_close, copy_of, edit, golden, opened};
use super::*;
use crate::model::checkpoint::{WEIGHTS, WeightFiles, save_tensors};

/// Those that a library runs.
const FROZEN: [&str; 5] = ["t5", "t5-gated", "modernbert", "nomic", "jina"];
const ALL: [&str; 6] = ["distilbert", "t5", "t5-gated", "modernbert", "nomic", "jina"];

fn vectors<S: AsRef<str>>(encoder: &TextEncoder, texts: &[S]) -> Vec<Vec<f32>> {
    let flat = encoder.vectors(texts, |_| Ok(())).unwrap();
    flat.chunks(encoder.dim()).map(<[f32]>::to_vec).collect()
}

/// Whether a folder gives the golden vectors of a family.
fn assert_golden(folder: &Path, golden: &Golden, what: &str) {
    assert_close(&vectors(&opened(folder), &golden.texts), &golden.vectors, what);
}

#[test]
fn vectors_equal_those_of_sentence_transformers() {
    for name in ALL {
        let (folder, golden) = golden(name);
        let encoder = opened(&folder);
        let tokens: Vec<Vec<u32>> =
            golden.texts.iter().map(|text| encoder.tokens(text).unwrap()).collect();
        assert_eq!(tokens, golden.ids, "{name}");
        // Longer than the folder's longest, which is more than T5 tells distances apart, and ModernBERT's window.
        assert!(tokens.iter().any(|tokens| tokens.len() == 80), "{name}");
        assert_golden(&folder, &golden, name);
    }
}

#[test]
fn other_texts_change_no_bit_of_a_vector() {
    for name in FROZEN {
        let (folder, golden) = golden(name);
        let encoder = opened(&folder);
        let together = vectors(&encoder, &golden.texts);
        for (text, row) in golden.texts.iter().zip(together) {
            assert_eq!(vectors(&encoder, &[text]), [row], "{name}: {text}");
        }
    }
}

#[test]
fn a_saved_folder_gives_the_same_vectors() {
    for name in ALL {
        let (folder, golden) = golden(name);
        let copy = TempDir::new().unwrap();
        opened(&folder).save(copy.path()).unwrap();
        assert_golden(copy.path(), &golden, name);
        // Once more, since what was written is read.
        let again = TempDir::new().unwrap();
        opened(copy.path()).save(again.path()).unwrap();
        for file in ["config.json", "1_Pooling/config.json", WEIGHTS] {
            let read = |at: &TempDir| fs::read(at.path().join(file)).unwrap();
            assert_eq!(read(&copy), read(&again), "{name}: {file}");
        }
    }
}

/// A copy whose vectors are what its pooling gives, with this configuration of it.
fn pooled(name: &str, config: &Value) -> TempDir {
    let copy = copy_of(name);
    edit(&copy.path().join("modules.json"), |modules| {
        modules.as_array_mut().unwrap().truncate(2);
    });
    edit(&copy.path().join("config_sentence_transformers.json"), |similarity| {
        similarity["similarity_fn_name"] = "dot".into();
    });
    fs::write(copy.path().join("1_Pooling/config.json"), config.to_string()).unwrap();
    copy
}

#[test]
fn every_pooling_equals_that_of_sentence_transformers() {
    let (_, golden) = golden("distilbert");
    assert_eq!(golden.poolings.len(), 6);
    for (mode, expected) in &golden.poolings {
        let newer = pooled("distilbert", &json!({"embedding_dimension": 16, "pooling_mode": mode}));
        let encoder = opened(newer.path());
        assert_close(&vectors(&encoder, &golden.texts), expected, mode);
        let saved = TempDir::new().unwrap();
        encoder.save(saved.path()).unwrap();
        assert_close(&vectors(&opened(saved.path()), &golden.texts), expected, mode);
        let flag = match mode.as_str() {
            "mean" | "max" | "weightedmean" => format!("pooling_mode_{mode}_tokens"),
            "cls" => "pooling_mode_cls_token".into(),
            _ => format!("pooling_mode_{mode}"),
        };
        let older = pooled("distilbert", &json!({"word_embedding_dimension": 16, flag: true}));
        assert_close(&vectors(&opened(older.path()), &golden.texts), expected, mode);
    }
}

#[test]
fn poolings_of_texts_without_tokens_are_zeros_and_all_have_gradients() {
    use candle_core::{Device, Var};
    let numbers: Vec<f32> = (0..15).map(|i| (i as f32 * 1.7).sin()).collect();
    let x = Var::from_vec(numbers.clone(), (5, 3), &Device::Cpu).unwrap();
    let factors =
        Tensor::new(&[[0.3f32, -1.0, 0.7], [2.0, 2.0, 2.0], [-0.4, 0.9, 1.1]], &Device::Cpu);
    let factors = factors.unwrap();
    let scalar = |x: &Tensor, pooling| {
        let pooled = pool(x, &[2, 0, 3], pooling).unwrap();
        assert_eq!(pooled.get(1).unwrap().to_vec1::<f32>().unwrap(), [0.0; 3]);
        (pooled * &factors).unwrap().sum_all().unwrap()
    };
    for (.., pooling) in modules::POOLINGS {
        let gradient = scalar(x.as_tensor(), pooling).backward().unwrap();
        let gradient = gradient.get(x.as_tensor()).unwrap().flatten_all().unwrap();
        for (i, slope) in gradient.to_vec1::<f32>().unwrap().into_iter().enumerate() {
            let at = |step: f32| {
                let mut numbers = numbers.clone();
                numbers[i] += step;
                let x = Tensor::from_vec(numbers, (5, 3), &Device::Cpu).unwrap();
                scalar(&x, pooling).to_scalar::<f32>().unwrap()
            };
            let measured = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!((measured - slope).abs() < 1e-3, "{pooling:?} {i}: {measured} {slope}");
        }
    }
}

#[test]
fn every_activation_of_a_layer_is_that_of_torch() {
    let (_, golden) = golden("distilbert");
    let values = |class: &str| {
        let copy = copy_of("distilbert");
        edit(&copy.path().join("2_Dense/config.json"), |v| v["activation_function"] = class.into());
        edit(&copy.path().join("modules.json"), |v| v.as_array_mut().unwrap().truncate(3));
        edit(&copy.path().join("config_sentence_transformers.json"), |v| {
            v["similarity_fn_name"] = "dot".into();
        });
        vectors(&opened(copy.path()), &golden.texts).concat()
    };
    let plain = values("torch.nn.modules.linear.Identity");
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    // Of the standard normal, by its series.
    let erf = |x: f64| {
        let terms = (0..60).scan(x, |power, n| {
            let term = *power / f64::from(2 * n + 1);
            *power *= -x * x / f64::from(n + 1);
            Some(term)
        });
        terms.sum::<f64>() * 2.0 / std::f64::consts::PI.sqrt()
    };
    let functions: [(&str, &dyn Fn(f64) -> f64); 5] = [
        ("torch.nn.modules.activation.Tanh", &f64::tanh),
        ("torch.nn.modules.activation.ReLU", &|x| x.max(0.0)),
        ("torch.nn.modules.activation.GELU", &|x| x * (1.0 + erf(x / 2f64.sqrt())) / 2.0),
        ("torch.nn.modules.activation.Sigmoid", &sigmoid),
        ("torch.nn.modules.activation.SiLU", &|x| x * sigmoid(x)),
    ];
    for (class, function) in functions {
        for (x, y) in plain.iter().zip(values(class)) {
            let expected = function(f64::from(*x)) as f32;
            assert!((y - expected).abs() < 1e-5, "{class} of {x}: {y}, expected {expected}");
        }
    }
}

fn rename(folder: &Path, name: impl Fn(&str) -> String) {
    let files = WeightFiles::open(folder).unwrap();
    let renamed = files.names().map(|old| (name(old), files.tensor(old, None).unwrap()));
    let renamed: BTreeMap<String, Tensor> = renamed.collect();
    save_tensors(&folder.join(WEIGHTS), &renamed, candle_core::DType::BF16).unwrap();
}

#[test]
fn the_same_model_may_be_written_in_several_ways() {
    for (name, prefix, head) in [
        ("distilbert", "distilbert.", "vocab_transform.weight"),
        ("modernbert", "model.", "decoder.bias"),
        ("nomic", "nomic_bert.", "cls.predictions.bias"),
        ("jina", "bert.", "cls.predictions.bias"),
    ] {
        let (_, golden) = golden(name);
        let copy = copy_of(name);
        // The last weight of a head, which is left aside.
        let files = WeightFiles::open(copy.path()).unwrap();
        let mut tensors: BTreeMap<String, Tensor> = files
            .names()
            .map(|old| (format!("{prefix}{old}"), files.tensor(old, None).unwrap()))
            .collect();
        tensors.insert(head.into(), Tensor::new(&[1f32], &candle_core::Device::Cpu).unwrap());
        save_tensors(&copy.path().join(WEIGHTS), &tensors, candle_core::DType::BF16).unwrap();
        assert_golden(copy.path(), &golden, name);
    }
    let (_, golden_t5) = golden("t5");
    let copy = copy_of("t5");
    rename(copy.path(), |old| old.replace("shared.weight", "encoder.embed_tokens.weight"));
    assert_golden(copy.path(), &golden_t5, "t5: embed_tokens");
    let (folder, golden_nomic) = golden("nomic");
    let copy = copy_of("nomic");
    fs::copy(folder.join("config_of_transformers.json"), copy.path().join("config.json")).unwrap();
    assert_golden(copy.path(), &golden_nomic, "nomic: keys of transformers");
    let (_, golden_modern) = golden("modernbert");
    let copy = copy_of("modernbert");
    edit(&copy.path().join("config.json"), |v| {
        let object = v.as_object_mut().unwrap();
        object.remove("rope_parameters");
        object.remove("layer_types");
        object.insert("global_rope_theta".into(), 160_000.0.into());
        object.insert("local_rope_theta".into(), 10_000.0.into());
        object.insert("global_attn_every_n_layers".into(), 3.into());
        object.insert("layer_norm_eps".into(), 1e-5.into());
        object.insert("position_embedding_type".into(), "absolute".into());
    });
    assert_golden(copy.path(), &golden_modern, "modernbert: older keys");
}

#[test]
fn an_encoder_that_stays_as_it_is_refuses_to_train() {
    for (name, family) in [
        ("t5", "t5"),
        ("modernbert", "modernbert"),
        ("nomic", "nomic_bert"),
        ("jina", "bert with alibi"),
    ] {
        let folder = EncoderFolder::open(&golden(name).0, &FolderChoices::default()).unwrap();
        for error in
            [folder.check_trains().unwrap_err(), folder.encoder(Weights::Trained).err().unwrap()]
        {
            assert_eq!(error.exit_code(), 2);
            let told = error.to_string();
            let expected =
                format!("the family {family} stays as it is: its weights cannot train here");
            assert!(told.contains(&expected) && told.contains("config.json"), "{told}");
        }
    }
    let folder = EncoderFolder::open(&golden("distilbert").0, &FolderChoices::default()).unwrap();
    folder.check_trains().unwrap();
}

/// What opening a changed copy says.
fn refusal(name: &str, change: impl Fn(&Path)) -> String {
    let copy = copy_of(name);
    change(copy.path());
    let opened = EncoderFolder::open(copy.path(), &FolderChoices::default());
    let error = opened.and_then(|folder| folder.encoder(Weights::Frozen)).err();
    let error = error.unwrap_or_else(|| panic!("{name}: a refusal"));
    assert_eq!(error.exit_code(), 2, "{error}");
    error.to_string()
}

#[test]
fn a_key_of_a_configuration_is_read_known_or_refused_by_name() {
    type Change<'a> = (&'a str, &'a str, Value, &'a str);
    let bad: &[Change<'_>] = &[
        ("distilbert", "activation", "relu".into(), "activation is `relu`, expected `gelu`"),
        ("distilbert", "n_heads", 3.into(), "n_heads = 3 does not divide dim = 16"),
        ("distilbert", "dim", Value::Null, "dim"),
        ("distilbert", "type_vocab_size", 2.into(), "type_vocab_size (2) is not known here"),
        ("t5", "feed_forward_proj", "gated-silu".into(), "expected `relu` or `gated-gelu`"),
        ("t5", "dense_act_fn", "gelu".into(), "dense_act_fn is `gelu`, but feed_forward_proj"),
        (
            "t5",
            "is_gated_act",
            true.into(),
            "is_gated_act is true, but feed_forward_proj is `relu`",
        ),
        ("t5", "relative_attention_num_buckets", 2.into(), "expected an even number from 4 on"),
        ("t5", "relative_attention_num_buckets", 31.into(), "expected an even number from 4 on"),
        ("t5", "relative_attention_max_distance", 8.into(), "expected at least 9 for 32 buckets"),
        ("t5", "layer_norm_epsilon", 0.into(), "layer_norm_epsilon is 0, expected more than 0"),
        ("t5", "num_layers", 0.into(), "num_layers is 0, expected at least 1"),
        ("t5", "is_decoder", true.into(), "is_decoder is true, expected false"),
        ("t5", "a_key_of_tomorrow", 1.into(), "a_key_of_tomorrow (1) is not known here"),
        ("modernbert", "norm_bias", true.into(), "norm_bias is true, expected false"),
        ("modernbert", "hidden_activation", "relu".into(), "hidden_activation is `relu`"),
        ("modernbert", "num_attention_heads", 16.into(), "a head has 1 numbers, expected an even"),
        ("modernbert", "num_attention_heads", 0.into(), "num_attention_heads is 0"),
        ("modernbert", "layer_types", json!(["full_attention"]), "layer_types names 1 layers"),
        ("modernbert", "layer_types", Value::Null, "global_attn_every_n_layers is left out"),
        ("modernbert", "global_rope_theta", 1e4.into(), "say the same twice"),
        ("modernbert", "rope_parameters", Value::Null, "rope_parameters, are missing"),
        (
            "modernbert",
            "rope_parameters",
            json!({"full_attention": {"rope_theta": 1}}),
            "sliding_attention",
        ),
        (
            "modernbert",
            "rope_parameters",
            json!({"full_attention": {"rope_theta": 1.0, "rope_type": "yarn"}, "sliding_attention": {"rope_theta": 1.0}}),
            "yarn",
        ),
        ("modernbert", "local_attention", Value::Null, "local_attention"),
        ("nomic", "rotary_emb_fraction", 0.5.into(), "rotary_emb_fraction is 0.5, expected 1"),
        ("nomic", "qkv_proj_bias", Value::Null, "qkv_proj_bias"),
        ("nomic", "prenorm", true.into(), "prenorm is true, expected false"),
        ("nomic", "rotary_scaling_factor", 2.into(), "rotary_scaling_factor is 2"),
        ("nomic", "num_experts", 8.into(), "num_experts (8) is not known here"),
        ("nomic", "hidden_size", 16.into(), "n_embd and hidden_size are keys of two programs"),
        ("nomic", "rotary_emb_base", 0.into(), "rotary_emb_base is 0, expected more than 0"),
        ("jina", "feed_forward_type", "reglu".into(), "feed_forward_type is `reglu`"),
        ("jina", "feed_forward_type", Value::Null, "feed_forward_type"),
        ("jina", "layer_norm_eps", Value::Null, "layer_norm_eps"),
        ("jina", "num_hidden_layers", (-1).into(), "num_hidden_layers is -1"),
        ("jina", "position_embedding_type", "relative_key".into(), "position_embedding_type"),
        (
            "t5",
            "model_type",
            "umt5".into(),
            "model_type is `umt5`, which is no encoder that can be run",
        ),
    ];
    for (name, key, value, expected) in bad {
        let told = refusal(name, |at| edit(&at.join("config.json"), |v| v[*key] = value.clone()));
        assert!(told.contains(expected) && told.contains("config.json"), "{name} {key}: {told}");
    }
    let fine: &[Change<'_>] = &[
        ("t5", "n_positions", 512.into(), ""),
        ("t5", "relative_attention_max_distance", Value::Null, ""),
        ("t5", "is_encoder_decoder", true.into(), ""),
        ("distilbert", "tie_weights_", true.into(), ""),
        ("nomic", "max_trained_positions", 4096.into(), ""),
        ("modernbert", "classifier_pooling", "mean".into(), ""),
        ("jina", "auto_map", json!({"AutoModel": "x--y.Z"}), ""),
    ];
    for (name, key, value, _) in fine {
        let copy = copy_of(name);
        edit(&copy.path().join("config.json"), |v| v[*key] = value.clone());
        assert_golden(copy.path(), &golden(name).1, name);
    }
}

#[test]
fn folders_that_do_not_fit_are_refused_by_name() {
    type Case<'a> = (&'a str, &'a dyn Fn(&Path), &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (
            "t5",
            &|at| fs::remove_file(at.join("2_Dense/model.safetensors")).unwrap(),
            &["2_Dense", "holds neither model.safetensors"],
        ),
        (
            "t5",
            &|at| edit(&at.join("2_Dense/config.json"), |v| v["out_features"] = 9.into()),
            &["2_Dense", "linear.weight: expected shape [9, 12], got [8, 12]"],
        ),
        (
            "t5",
            &|at| edit(&at.join("2_Dense/config.json"), |v| v["bias"] = true.into()),
            &["2_Dense", "1 tensor missing: linear.bias [8]"],
        ),
        (
            "t5",
            &|at| {
                edit(&at.join("3_Normalize/config.json"), |v| {
                    v["module_input_name"] = "token_embeddings".into();
                });
            },
            &["3_Normalize/config.json", "module_input_name is `token_embeddings`"],
        ),
        (
            "t5",
            &|at| edit(&at.join("config.json"), |v| v["vocab_size"] = 40.into()),
            &["the model has only 40 embedding rows"],
        ),
        (
            "t5",
            &|at| edit(&at.join("config.json"), |v| v["d_kv"] = 4.into()),
            &["SelfAttention.k.weight: expected shape [12, 12], got [15, 12]"],
        ),
        (
            "t5",
            &|at| edit(&at.join("config.json"), |v| v["num_layers"] = 3.into()),
            &["tensors missing: encoder.block.2."],
        ),
        (
            "t5",
            &|at| edit(&at.join("config.json"), |v| v["num_layers"] = 1.into()),
            &["not part of this model: encoder.block.1."],
        ),
        (
            "t5",
            &|at| edit(&at.join("tokenizer_config.json"), |v| v["model_max_length"] = 1e30.into()),
            &["does not say how long texts may be", "set `max_tokens`"],
        ),
        (
            "modernbert",
            &|at| {
                fs::write(at.join("sentence_bert_config.json"), r#"{"max_seq_length": 129}"#)
                    .unwrap();
            },
            &["max_seq_length is 129, but the model has 128 positions"],
        ),
        (
            "modernbert",
            &|at| fs::rename(at.join(WEIGHTS), at.join("pytorch_model.bin")).unwrap(),
            &["pytorch_model.bin", "pickle"],
        ),
        (
            "nomic",
            &|at| {
                let path = at.join(WEIGHTS);
                let mut bytes = fs::read(&path).unwrap();
                // The last number of the file, which is bf16: not a number.
                let last = bytes.len() - 2;
                bytes[last..].copy_from_slice(&[0xc0, 0x7f]);
                fs::write(&path, bytes).unwrap();
            },
            &["holds values that are not finite"],
        ),
        (
            "jina",
            &|at| rename(at, |old| old.replace("mlp.wo", "mlp.other")),
            &[
                "missing: encoder.layer.0.mlp.wo.bias",
                "not part of this model: encoder.layer.0.mlp.other",
            ],
        ),
    ];
    for (name, change, expected) in cases {
        let told = refusal(name, change);
        for part in *expected {
            assert!(told.contains(part), "{name}: expected `{part}` in: {told}");
        }
    }
}

#[test]
fn texts_are_as_long_as_the_folder_or_the_recipe_says() {
    let copy = copy_of("t5");
    edit(&copy.path().join("tokenizer_config.json"), |v| v["model_max_length"] = 1e30.into());
    let text = "red sofa ".repeat(300);
    let open = |tokens: usize| {
        let choices = FolderChoices { max_tokens: Some(tokens), ..FolderChoices::default() };
        EncoderFolder::open(copy.path(), &choices).unwrap().encoder(Weights::Frozen).unwrap()
    };
    for tokens in [2, 20, 400] {
        let encoder = open(tokens);
        assert_eq!(encoder.tokens(&text).unwrap().len(), tokens);
        assert!(encoder.vectors(&[&text], |_| Ok(())).unwrap().iter().all(|x| x.is_finite()));
    }
    let told = open(20).encode(&[&[5; 21]]).unwrap_err().to_string();
    assert!(told.contains("a text of 21 tokens is longer than 20"), "{told}");
    // A special token in a text is text.
    let tokens = open(20).tokens("red </s> <pad> sofa").unwrap();
    assert_eq!(tokens.iter().filter(|id| **id <= 1).count(), 1, "{tokens:?}");
}
