//! Decoders from a folder: an adapter trains, is merged and is searched with; folders that cannot be used are refused.

use std::path::{Path, PathBuf};

use trieval::model::config::Family;
use trieval::model::settings::WeightType;
use trieval::model::{Decoder, DecoderConfig, ModelFolder, Tokenizer};
use trieval::seed::Seed;

use crate::support::{Answer, json, run, step_folder, trieval};

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pretrained.toml");

/// A folder of a small random decoder with the tokenizer of `tests/golden/tokenizers/{tokenizer}`.
pub(crate) fn model_folder(root: &Path, family: Family, tokenizer: &str, tied: bool) -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tokenizers");
    let tokenizer = Tokenizer::load(&golden.join(tokenizer)).unwrap();
    let text = format!(
        r#"{{"model_type":"{}","vocab_size":{},"hidden_size":32,"intermediate_size":48,"num_hidden_layers":2,
        "num_attention_heads":4,"num_key_value_heads":2,"head_dim":8,"max_position_embeddings":256,
        "hidden_act":"silu","tie_word_embeddings":{tied},"torch_dtype":"bfloat16"}}"#,
        family.model_type(),
        // Padded beyond the tokenizer, as Qwen's is: the first identifier tokens take those rows.
        tokenizer.len() + 5,
    );
    std::fs::create_dir_all(root).unwrap();
    std::fs::write(root.join("config.json"), text).unwrap();
    let config = DecoderConfig::read(&root.join("config.json")).unwrap();
    assert_eq!(config.dtype, WeightType::Bf16);
    let folder = root.join("model");
    let decoder = Decoder::init(config, Seed::new(1)).unwrap();
    ModelFolder::save(&folder, &decoder, &tokenizer).unwrap();
    std::fs::write(folder.join("generation_config.json"), r#"{"temperature":0.6}"#).unwrap();
    folder
}

fn run_with(model: &Path, out: &Path, more: &[&str]) -> Answer {
    let path = format!("model.decoder.path={}", model.display());
    let mut all = vec!["--set", &path];
    all.extend(more.iter().flat_map(|set| ["--set", set]));
    run(RECIPE, out, &all)
}

#[test]
fn an_adapter_is_trained_merged_and_searched_with() {
    let root = tempfile::tempdir().unwrap();
    let model = model_folder(root.path(), Family::Qwen2, "qwen", false);
    let out = root.path().join("run");
    let answer = run_with(&model, &out, &[]).expect(0).says(&[
        "generation_config.json is not used (temperature 0.6)",
        "train.supervised: the adapter is merged; log-probabilities of",
        "train.aligned: the adapter is merged",
    ]);
    assert!(!answer.err.contains("panicked"));
    // Only the adapter and the new rows trained: the merged model equals its base elsewhere.
    let base = ModelFolder::open(&step_folder(&out, "model.decoder").unwrap()).unwrap();
    let trained = step_folder(&out, "train.supervised").unwrap();
    let merged = ModelFolder::open(&trained.join("model")).unwrap();
    assert_eq!(base.config(), merged.config());
    let (base, merged) = (base.tensors().unwrap(), merged.tensors().unwrap());
    let values = |t: &candle_core::Tensor| {
        t.to_dtype(candle_core::DType::F32).unwrap().to_vec2::<f32>().unwrap()
    };
    let adapter = json(&trained.join("adapter/adapter_config.json"));
    let rows = adapter["trainable_token_indices"]["lm_head"].as_array().unwrap();
    let first_new = rows[0].as_u64().unwrap() as usize;
    let tokenizer = ModelFolder::open(&model).unwrap().tokenizer().len();
    assert_eq!(first_new, tokenizer, "rows that were padding are taken first");
    for name in ["model.embed_tokens.weight", "lm_head.weight"] {
        let (a, b) = (values(&base[name]), values(&merged[name]));
        assert!(a[..first_new] == b[..first_new], "{name}: an old row moved");
        assert!(a[first_new..] != b[first_new..], "{name}: no new row moved");
    }
    let norm = |all: &std::collections::BTreeMap<String, candle_core::Tensor>| {
        let norm = all["model.norm.weight"].to_dtype(candle_core::DType::F32).unwrap();
        norm.to_vec1::<f32>().unwrap()
    };
    assert!(norm(&base) == norm(&merged));
    assert_eq!(adapter["peft_type"], "LORA");
    assert_eq!(adapter["r"], 4);
    assert!(json(&out.join("report.json"))["systems"].as_array().unwrap().len() == 3);
    let search = trieval(&["search".as_ref(), out.as_os_str(), "red chair".as_ref()]).expect(0);
    assert!(!search.out.is_empty());
    // The adapter belongs to the extended model, and to no other.
    let second = root.path().join("second");
    let of = format!("model.decoder.adapter={}", trained.join("adapter").display());
    let answer = run_with(&model, &second, &[&of]).expect(2);
    answer.says(&["the adapter was made for other weights"]);
    let extended = step_folder(&out, "model.decoder").unwrap();
    let planned =
        ["--set", &of, "--set", &format!("model.decoder.path={}", extended.display()), "--dry-run"]
            .map(str::to_owned);
    let planned: Vec<&str> = planned.iter().map(String::as_str).collect();
    run(RECIPE, &second, &planned).expect(0);
}

#[test]
fn all_parameters_of_a_llama_train_with_plain_prompts() {
    let root = tempfile::tempdir().unwrap();
    let model = model_folder(root.path(), Family::Llama, "llama2", true);
    let recipe = root.path().join("full.toml");
    let text = std::fs::read_to_string(RECIPE).unwrap();
    let text = text
        .replace("lora = { rank = 4, alpha = 8, dropout = 0.1 }\n", "")
        .replace("prompt_tokens = 24", "prompt_tokens = 24\nprompt = \"plain\"\ndtype = \"f32\"");
    std::fs::write(&recipe, text).unwrap();
    let out = root.path().join("run");
    let path = format!("model.decoder.path={}", model.display());
    run(recipe.to_str().unwrap(), &out, &["--set", &path]).expect(0);
    let trained = step_folder(&out, "train.supervised").unwrap();
    assert!(!trained.join("adapter").exists());
    let merged = ModelFolder::open(&trained.join("model")).unwrap();
    assert_eq!(merged.config().dtype, WeightType::F32);
}

#[test]
fn folders_that_cannot_be_used_are_refused_before_any_work() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("run");
    let spoil = |name: &str, says: &[&str], change: &dyn Fn(&Path)| {
        let root = root.path().join(name);
        let model = model_folder(&root, Family::Qwen3, "qwen", true);
        change(&model);
        run_with(&model, &out, &[]).expect(2).says(says);
        assert!(!out.join("steps").exists(), "{name}: work was done");
    };
    let remove =
        |file: &'static str| move |model: &Path| std::fs::remove_file(model.join(file)).unwrap();
    spoil("tokenizer", &["has no tokenizer"], &remove("tokenizer.json"));
    spoil("weights", &["holds neither model.safetensors nor"], &remove("model.safetensors"));
    spoil("config", &["config.json: cannot be read"], &remove("config.json"));
    let edit = |from: &'static str, to: &'static str| {
        move |model: &Path| {
            let path = model.join("config.json");
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{text}");
            std::fs::write(&path, text.replace(from, to)).unwrap();
        }
    };
    spoil(
        "architecture",
        &["model_type is `mamba`", "supported are `qwen3`, `qwen2`, `llama`"],
        &edit("\"qwen3\"", "\"mamba\""),
    );
    spoil(
        "layers",
        &["11 tensors missing", "model.layers.2.", "do not describe the same model"],
        &edit("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
    );
    spoil("pickle", &["can run any program when it is read"], &|model| {
        std::fs::rename(model.join("model.safetensors"), model.join("pytorch_model.bin")).unwrap();
    });
    spoil("torn", &["damaged or cut off"], &|model| {
        let path = model.join("model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    });
    spoil("vocabulary", &["embedding rows"], &|model| {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tokenizers/qwen");
        let mut larger = Tokenizer::load(&golden).unwrap();
        let names: Vec<String> = (0..50).map(|i| format!("<extra_{i}>")).collect();
        larger.extend(&names).unwrap();
        larger.save(model, 64).unwrap();
    });
    spoil("template", &["has no chat template; set prompt = \"plain\""], &|model| {
        let path = model.join("tokenizer_config.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"chat_template\"", "\"other_template\"")).unwrap();
    });
    let absent = root.path().join("absent");
    run_with(&absent, &out, &[]).expect(2).says(&["is not a folder"]);
}
