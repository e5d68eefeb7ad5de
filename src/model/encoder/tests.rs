//! Encoders against `transformers`, their gradients against finite differences, and refusals.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::model::parameters::Parameter;
use crate::model::parameters::tests::by_decay;

#[derive(Deserialize)]
pub(super) struct Golden {
    pub(super) texts: Vec<String>,
    pub(super) ids: Vec<Vec<u32>>,
    pub(super) vectors: Vec<Vec<f32>>,
    #[serde(default)]
    pub(super) poolings: BTreeMap<String, Vec<Vec<f32>>>,
}

pub(super) fn golden(name: &str) -> (PathBuf, Golden) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/encoders").join(name);
    let text = fs::read(folder.join("vectors.json")).unwrap();
    (folder, serde_json::from_slice(&text).unwrap())
}

fn choices(name: &str) -> FolderChoices {
    let pooling = (name == "bert-mlm").then_some(Pooling::Mean);
    FolderChoices { pooling, ..FolderChoices::default() }
}

fn encoder(name: &str, weights: Weights) -> TextEncoder {
    let (folder, _) = golden(name);
    EncoderFolder::open(&folder, &choices(name)).unwrap().encoder(weights).unwrap()
}

pub(super) fn assert_close(got: &[Vec<f32>], expected: &[Vec<f32>], what: &str) {
    assert_eq!(got.len(), expected.len());
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert_eq!(got.len(), expected.len(), "{what}, text {i}");
        for (a, b) in got.iter().zip(expected) {
            assert!((a - b).abs() < 1e-4, "{what}, text {i}: {a} against {b}");
        }
    }
}

#[test]
fn vectors_equal_those_of_transformers() {
    for name in ["bert", "roberta", "bert-mlm"] {
        let (_, golden) = golden(name);
        for weights in [Weights::Frozen, Weights::Trained] {
            let encoder = encoder(name, weights);
            let tokens: Vec<Vec<u32>> =
                golden.texts.iter().map(|text| encoder.tokens(text).unwrap()).collect();
            assert_eq!(tokens, golden.ids, "{name}");
            let rows: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
            let vectors = encoder.encode(&rows).unwrap().to_vec2::<f32>().unwrap();
            assert_close(&vectors, &golden.vectors, name);
        }
        let encoder = encoder(name, Weights::Frozen);
        let many: Vec<&String> = golden.texts.iter().cycle().take(75).collect();
        let mut heard = 0;
        let flat = encoder.vectors(&many, |n| {
            heard += n;
            Ok(())
        });
        let flat = flat.unwrap();
        assert_eq!((flat.len(), heard), (75 * encoder.dim(), 75));
        let last: Vec<Vec<f32>> = flat.chunks(encoder.dim()).map(<[f32]>::to_vec).collect();
        let expected: Vec<Vec<f32>> = golden.vectors.iter().cycle().take(75).cloned().collect();
        assert_close(&last, &expected, name);
    }
}

#[test]
fn a_saved_folder_gives_the_same_vectors() {
    for name in ["bert", "roberta", "bert-mlm"] {
        let (_, golden) = golden(name);
        let folder = TempDir::new().unwrap();
        encoder(name, Weights::Trained).save(folder.path()).unwrap();
        let again = EncoderFolder::open(folder.path(), &FolderChoices::default()).unwrap();
        let again = again.encoder(Weights::Frozen).unwrap();
        let flat = again.vectors(&golden.texts, |_| Ok(())).unwrap();
        let rows: Vec<Vec<f32>> = flat.chunks(again.dim()).map(<[f32]>::to_vec).collect();
        assert_close(&rows, &golden.vectors, name);
    }
}

/// A scalar that every parameter moves.
fn scalar(encoder: &TextEncoder) -> Tensor {
    let texts: [&[u32]; 3] = [&[2, 4, 6, 3], &[2, 3], &[2, 10, 11, 12, 4, 3]];
    let x = encoder.encode(&texts).unwrap();
    let n = x.elem_count();
    let factors: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin() + 0.5).collect();
    let factors = Tensor::from_vec(factors, x.dims(), &Device::Cpu).unwrap();
    (x * factors).unwrap().sum_all().unwrap()
}

#[test]
fn every_parameter_has_the_gradient_of_finite_differences() {
    for name in ["bert", "roberta", "distilbert"] {
        let encoder = encoder(name, Weights::Trained);
        let store = scalar(&encoder).backward().unwrap();
        for Parameter { name: parameter, var, .. } in encoder.parameters() {
            let gradient = store.get(var.as_tensor()).unwrap_or_else(|| panic!("{parameter}"));
            let gradient = gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            // The entry with the largest slope, so that rounding does not drown it.
            let largest = |a: &usize, b: &usize| gradient[*a].abs().total_cmp(&gradient[*b].abs());
            let entry = (0..gradient.len()).max_by(largest).unwrap();
            let values = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let shifted = |by: f32| {
                let mut values = values.clone();
                values[entry] += by;
                var.set(&Tensor::from_vec(values, var.dims(), &Device::Cpu).unwrap()).unwrap();
                scalar(&encoder).to_scalar::<f32>().unwrap()
            };
            let step = 5e-3;
            let slope = (shifted(step) - shifted(-step)) / (2.0 * step);
            shifted(0.0);
            let got = gradient[entry];
            let bound = 2e-2 * slope.abs() + 2e-3;
            assert!((got - slope).abs() < bound, "{name}, {parameter}: {got}, slope {slope}");
        }
    }
}

#[test]
fn products_decay_and_norms_biases_and_embeddings_do_not() {
    let encoder = encoder("bert", Weights::Trained);
    let of_layers = |parts: &[&str]| -> Vec<String> {
        let layers = (0..2).map(|layer| format!("encoder.layer.{layer}"));
        layers.flat_map(|layer| parts.iter().map(move |part| format!("{layer}.{part}"))).collect()
    };
    let mut decayed = vec!["dense.0.weight".to_owned()];
    decayed.extend(of_layers(&[
        "attention.output.dense.weight",
        "attention.self.key.weight",
        "attention.self.query.weight",
        "attention.self.value.weight",
        "intermediate.dense.weight",
        "output.dense.weight",
    ]));
    let mut others: Vec<String> = [
        "dense.0.bias",
        "embeddings.LayerNorm.bias",
        "embeddings.LayerNorm.weight",
        "embeddings.position_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
        "embeddings.word_embeddings.weight",
    ]
    .map(str::to_owned)
    .to_vec();
    others.extend(of_layers(&[
        "attention.output.LayerNorm.bias",
        "attention.output.LayerNorm.weight",
        "attention.output.dense.bias",
        "attention.self.key.bias",
        "attention.self.query.bias",
        "attention.self.value.bias",
        "intermediate.dense.bias",
        "output.LayerNorm.bias",
        "output.LayerNorm.weight",
        "output.dense.bias",
    ]));
    assert_eq!(by_decay(encoder.parameters()), [decayed, others]);
}

#[test]
fn frozen_weights_build_no_graph() {
    let encoder = encoder("bert", Weights::Frozen);
    assert!(encoder.parameters().is_empty());
    assert!(!encoder.encode(&[&[2, 4, 3]]).unwrap().track_op());
}

#[test]
fn a_fresh_encoder_trains_and_has_unit_length() {
    let (folder, _) = golden("bert");
    let tokenizer = Tokenizer::load(&folder).unwrap();
    let config = EncoderConfig::from_scratch(26, 8, 1, 2, 9);
    let encoder = TextEncoder::init(config, tokenizer, Seed::new(3)).unwrap();
    let tokens = encoder.tokens(&"red ".repeat(20)).unwrap();
    assert_eq!(tokens.len(), 9);
    let rows = encoder.encode(&[&tokens, &[], &[4]]).unwrap();
    let lengths = rows.sqr().unwrap().sum(1).unwrap().to_vec1::<f32>().unwrap();
    assert!(
        (lengths[0] - 1.0).abs() < 1e-5 && lengths[1] == 0.0 && (lengths[2] - 1.0).abs() < 1e-5
    );
    assert_eq!(rows.to_vec2::<f32>().unwrap()[1], vec![0.0; 8]);
    let empty = encoder.encode(&[&[]]).unwrap();
    assert_eq!(empty.to_vec2::<f32>().unwrap(), [vec![0.0; 8]]);
    let too_long = vec![4u32; 10];
    let told = encoder.encode(&[&too_long]).unwrap_err().to_string();
    assert!(told.contains("10 tokens is longer than the 9 positions"), "{told}");
}

/// A copy of the golden BERT folder.
fn copied() -> TempDir {
    copy_of("bert")
}

/// A copy of a golden folder.
pub(super) fn copy_of(name: &str) -> TempDir {
    let (source, _) = golden(name);
    let copy = TempDir::new().unwrap();
    let folders = fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().path());
    for folder in folders.filter(|path| path.is_dir()).chain([source.clone()]) {
        let place = copy.path().join(folder.strip_prefix(&source).unwrap());
        fs::create_dir_all(&place).unwrap();
        for file in fs::read_dir(&folder).unwrap() {
            let file = file.unwrap().path();
            if file.is_file() {
                fs::copy(&file, place.join(file.file_name().unwrap())).unwrap();
            }
        }
    }
    copy
}

/// What opening such a copy says, with one file changed.
fn refusal(change: impl Fn(&Path)) -> String {
    let copy = copied();
    change(copy.path());
    let opened = EncoderFolder::open(copy.path(), &FolderChoices::default());
    let error = opened.err().expect("a refusal");
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

pub(super) fn edit(path: &Path, change: impl Fn(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

#[test]
fn what_cannot_be_run_is_refused_by_name() {
    type Case<'a> = (&'a dyn Fn(&Path), &'a [&'a str]);
    let cases: [Case<'_>; 12] = [
        (
            &|at| {
                let prompts =
                    r#"{"prompts": {"passage": "passage: "}, "default_prompt_name": "passage"}"#;
                fs::write(at.join("config_sentence_transformers.json"), prompts).unwrap();
            },
            &["the prompt `passage` (\"passage: \") stands before every text", "`query_prefix`"],
        ),
        (
            &|at| fs::remove_file(at.join("1_Pooling/config.json")).unwrap(),
            &[
                "does not say how token vectors become one: there is no 1_Pooling/config.json",
                "set `pooling`",
            ],
        ),
        (
            &|at| {
                edit(&at.join("1_Pooling/config.json"), |v| {
                    v["pooling_mode_max_tokens"] = true.into();
                });
            },
            &[
                "pooling is mean_tokens and max_tokens",
                "known are mean_tokens, cls_token, max_tokens",
            ],
        ),
        (
            &|at| edit(&at.join("config.json"), |v| v["model_type"] = "mpnet".into()),
            &["model_type is `mpnet`", "known are bert, roberta, xlm-roberta"],
        ),
        (
            &|at| edit(&at.join("config.json"), |v| v["hidden_act"] = "relu".into()),
            &["hidden_act is `relu`"],
        ),
        (
            &|at| edit(&at.join("config.json"), |v| v["num_hidden_layers"] = 3.into()),
            &["16 tensors missing: encoder.layer.2."],
        ),
        (
            &|at| edit(&at.join("config.json"), |v| v["num_hidden_layers"] = 1.into()),
            &["16 tensors not part of this model: encoder.layer.1."],
        ),
        (
            &|at| fs::rename(at.join("model.safetensors"), at.join("pytorch_model.bin")).unwrap(),
            &["pytorch_model.bin", "pickle"],
        ),
        (
            &|at| edit(&at.join("modules.json"), |v| v[3]["type"] = "x.WordWeights".into()),
            &["module 3 is a `WordWeights`", "known are Transformer"],
        ),
        (
            &|at| edit(&at.join("2_Dense/config.json"), |v| v["in_features"] = 8.into()),
            &["in_features is 8, but what lies before gives 16"],
        ),
        (
            &|at| edit(&at.join("sentence_bert_config.json"), |v| v["max_seq_length"] = 21.into()),
            &["max_seq_length is 21, but the model has 20 positions"],
        ),
        (&|at| fs::write(at.join("model.safetensors"), b"short").unwrap(), &["damaged or cut off"]),
    ];
    for (change, expected) in cases {
        let told = refusal(change);
        for part in expected {
            assert!(told.contains(part), "expected `{part}` in: {told}");
        }
    }
}

pub(super) fn opened(folder: &Path) -> TextEncoder {
    let opened = EncoderFolder::open(folder, &FolderChoices::default()).unwrap();
    opened.encoder(Weights::Frozen).unwrap()
}

#[test]
fn norms_may_have_the_names_that_tensorflow_gave_them() {
    use crate::model::checkpoint::{WEIGHTS, WeightFiles, save_tensors};
    let (source, golden) = golden("bert");
    let files = WeightFiles::open(&source).unwrap();
    let all: Vec<String> = files.names().map(str::to_owned).collect();
    let renamed = |which: usize| {
        let older = |name: &str| {
            name.replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta")
        };
        let name =
            |(i, name): (usize, &String)| if i % which == 0 { older(name) } else { name.clone() };
        let tensor = |name: &String| files.tensor(name, None).unwrap();
        let tensors = all.iter().enumerate().map(|(i, one)| (name((i, one)), tensor(one)));
        tensors.collect::<std::collections::BTreeMap<_, _>>()
    };
    // All of them, and some.
    for which in [1, 2] {
        let copy = copied();
        save_tensors(&copy.path().join(WEIGHTS), &renamed(which), DType::F32).unwrap();
        let flat = opened(copy.path()).vectors(&golden.texts, |_| Ok(())).unwrap();
        let rows: Vec<Vec<f32>> = flat.chunks(6).map(<[f32]>::to_vec).collect();
        assert_close(&rows, &golden.vectors, "renamed");
    }
    let both = refusal(|at| {
        let mut tensors = renamed(1);
        let norm = tensors["embeddings.LayerNorm.gamma"].clone();
        tensors.insert("embeddings.LayerNorm.weight".into(), norm);
        save_tensors(&at.join(WEIGHTS), &tensors, DType::F32).unwrap();
    });
    assert!(both.contains("not part of this model: embeddings.LayerNorm.gamma"), "{both}");
}

#[test]
fn the_longest_text_is_where_sentence_transformers_finds_it() {
    let text = "red sofa lamp red sofa lamp red sofa lamp";
    let usual = "sentence_bert_config.json";
    let tokens = |change: &dyn Fn(&Path)| {
        let copy = copied();
        change(copy.path());
        opened(copy.path()).tokens(text).unwrap().len()
    };
    let tokenizer = |at: &Path, longest: Value| {
        let config =
            serde_json::json!({"tokenizer_class": "BertTokenizer", "model_max_length": longest});
        fs::write(at.join("tokenizer_config.json"), config.to_string()).unwrap();
    };
    let stated = |at: &Path, longest: Value| {
        edit(&at.join(usual), |v| v["max_seq_length"] = longest.clone());
    };
    assert_eq!(tokens(&|at| stated(at, 6.into())), 6);
    // What is stated is not asked of the tokenizer.
    assert_eq!(tokens(&|at| (stated(at, 7.into()), tokenizer(at, 6.into())).1), 7);
    assert_eq!(tokens(&|at| (stated(at, Value::Null), tokenizer(at, 6.into())).1), 6);
    assert_eq!(
        tokens(&|at| (fs::remove_file(at.join(usual)).unwrap(), tokenizer(at, 6.into())).1),
        6
    );
    // 10^30 says that there is no limit.
    assert_eq!(tokens(&|at| (stated(at, Value::Null), tokenizer(at, 1e30.into())).1), 11);
    for name in [
        "sentence_xlm-roberta_config.json",
        "sentence_roberta_config.json",
        "sentence_distilbert_config.json",
    ] {
        assert_eq!(
            tokens(&|at| (
                stated(at, 6.into()),
                fs::rename(at.join(usual), at.join(name)).unwrap()
            )
                .1),
            6
        );
    }
    // The usual name counts where there are two.
    assert_eq!(
        tokens(&|at| (
            stated(at, 6.into()),
            fs::write(at.join("sentence_xlnet_config.json"), r#"{"max_seq_length": 4}"#).unwrap()
        )
            .1),
        6
    );
    let none = refusal(|at| (stated(at, Value::Null), tokenizer(at, 0.into())).1);
    assert!(none.contains("model_max_length is 0, expected at least 1"), "{none}");
}

#[test]
fn texts_of_special_tokens_move_no_vector() {
    let copy = copied();
    let path = copy.path().join("tokenizer.json");
    // Words between blanks: `[PAD]` is one of them, and an entry of the vocabulary.
    edit(&path, |v| v["pre_tokenizer"] = serde_json::json!({"type": "WhitespaceSplit"}));
    edit(&path, |v| v["normalizer"] = Value::Null);
    let encoder = opened(copy.path());
    for text in ["red [PAD] sofa", "[SEP]", "[CLS] [PAD]"] {
        let tokens = encoder.tokens(text).unwrap();
        let inner = &tokens[1..tokens.len() - 1];
        assert!(
            !inner.is_empty() && !inner.iter().any(|id| [0, 2, 3].contains(id)),
            "{text}: {tokens:?}"
        );
    }
}

#[test]
fn every_key_of_an_encoder_is_read_known_or_refused_by_name() {
    type Change<'a> = (&'a str, &'a str, Value);
    let bad: &[Change<'_>] = &[
        ("config.json", "position_embedding_type", "relative_key".into()),
        ("config.json", "is_decoder", true.into()),
        ("config.json", "a_key_of_tomorrow", 1.into()),
        ("config.json", "num_hidden_layers", (-1).into()),
        ("config.json", "num_hidden_layers", 1_000_000.into()),
        ("config.json", "vocab_size", 2.5.into()),
        ("config.json", "num_attention_heads", 3.into()),
        ("config.json", "num_attention_heads", 0.into()),
        ("config.json", "hidden_size", (1u64 << 40).into()),
        ("config.json", "layer_norm_eps", "small".into()),
        ("config.json", "hidden_act", Value::Null),
        ("config.json", "pad_token_id", serde_json::json!([])),
        ("1_Pooling/config.json", "include_prompt", false.into()),
        ("1_Pooling/config.json", "pooling_mode_lasttoken", 1.into()),
        ("1_Pooling/config.json", "word_embedding_dimension", 17.into()),
        ("1_Pooling/config.json", "a_key_of_tomorrow", 1.into()),
        ("2_Dense/config.json", "module_input_name", "token_embeddings".into()),
        ("2_Dense/config.json", "out_features", (-6).into()),
        ("2_Dense/config.json", "use_residual", true.into()),
        ("2_Dense/config.json", "activation_function", "torch.nn.modules.activation.ELU".into()),
        ("sentence_bert_config.json", "max_seq_length", (-1).into()),
        ("sentence_bert_config.json", "model_args", serde_json::json!({"attn": 1})),
        ("sentence_bert_config.json", "a_key_of_tomorrow", 1.into()),
        ("config_sentence_transformers.json", "truncate_dim", 3.into()),
        ("config_sentence_transformers.json", "a_key_of_tomorrow", 1.into()),
    ];
    for (file, key, value) in bad {
        let told = refusal(|at| edit(&at.join(file), |v| v[*key] = value.clone()));
        assert!(told.contains(file) && told.contains(key), "{file} {key}: {told}");
    }
    let module = refusal(|at| {
        edit(&at.join("modules.json"), |v| v[1]["kwargs"] = serde_json::json!(["task"]));
    });
    assert!(module.contains("module 1: kwargs is [\"task\"]"), "{module}");
    let fine: &[Change<'_>] = &[
        ("config.json", "position_embedding_type", "absolute".into()),
        ("config.json", "transformers_version", "4.6.1".into()),
        ("config.json", "gradient_checkpointing", false.into()),
        ("config.json", "id2label", serde_json::json!({"0": "a"})),
        ("1_Pooling/config.json", "include_prompt", true.into()),
        ("1_Pooling/config.json", "pooling_mode_lasttoken", false.into()),
        ("1_Pooling/config.json", "pooling_mode", "mean".into()),
        ("2_Dense/config.json", "module_input_name", Value::Null),
        ("sentence_bert_config.json", "model_args", serde_json::json!({})),
        ("config_sentence_transformers.json", "prompts", serde_json::json!({"query": "q: "})),
        ("config_sentence_transformers.json", "__version__", serde_json::json!({"pytorch": "2"})),
    ];
    for (file, key, value) in fine {
        let copy = copied();
        edit(&copy.path().join(file), |v| v[*key] = value.clone());
        opened(copy.path());
    }
}

#[test]
fn choices_that_contradict_a_folder_are_refused() {
    let (folder, _) = golden("bert");
    let told =
        |choices: FolderChoices| EncoderFolder::open(&folder, &choices).err().unwrap().to_string();
    let pooled = told(FolderChoices { pooling: Some(Pooling::Cls), ..FolderChoices::default() });
    assert!(pooled.contains("and so does `pooling`"), "{pooled}");
    let long = told(FolderChoices { max_tokens: Some(13), ..FolderChoices::default() });
    assert!(long.contains("at most 12 tokens, `max_tokens` is 13"), "{long}");
    let short = told(FolderChoices { max_tokens: Some(2), ..FolderChoices::default() });
    assert!(short.contains("no room beside 2 special ones"), "{short}");
    let cut = FolderChoices { max_tokens: Some(4), ..FolderChoices::default() };
    let cut = EncoderFolder::open(&folder, &cut).unwrap().encoder(Weights::Frozen).unwrap();
    assert_eq!(cut.tokens("red sofa lamp").unwrap(), [2, 4, 6, 3]);
}
