//! Folders of adapters in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! What is written loads with `PeftModel.from_pretrained` over the base that it names. A file of our own
//! beside it, `base.json`, holds a checksum of that base, so that an adapter of another one is refused.

mod keys;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::model::checkpoint::{WeightFiles, save_tensors};
use crate::model::config::{DecoderConfig, EMBEDDING, HEAD};
use crate::model::decoder::Decoder;
use crate::model::keys::read_object;
use crate::model::lora::AdapterSpec;
use crate::model::parameters::ParameterSpec;
use crate::model::settings::{LoraSettings, LoraTarget};
use crate::store::{create_dir, write_json};
use keys::ADAPTER_KEYS;

/// Name of the adapter's description.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// Name of the adapter's weights.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";
/// Name of what ties an adapter to its base.
pub const ADAPTER_BASE: &str = "base.json";
/// What PEFT puts before every name.
const PREFIX: &str = "base_model.model.";

#[derive(Debug, Serialize, Deserialize)]
struct Base {
    /// BLAKE3 of the base's weight files.
    weights: String,
}

/// The fields of `adapter_config.json` that are read.
#[derive(Debug, Deserialize)]
struct ConfigFile {
    r: u32,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    target_modules: Value,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    trainable_token_indices: Option<Value>,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
}

/// Writes the adapter of `decoder`, whose base lies in the folder `base`.
///
/// # Errors
/// [`Error::Failed`] when the decoder has no adapter, [`Error::Environment`] when the disk refuses,
/// [`Error::Data`] when the base cannot be read.
pub fn save(folder: &Path, decoder: &Decoder, base: &Path) -> Result<()> {
    let Some(spec) = decoder.adapter() else {
        return Err(Error::Failed("the decoder has no adapter to save".into()));
    };
    let config = decoder.config();
    create_dir(folder)?;
    let tensors = decoder.trained().tensors().into_iter();
    let tensors = tensors.map(|(name, tensor)| (format!("{PREFIX}{name}"), tensor));
    save_tensors(&folder.join(ADAPTER_WEIGHTS), &tensors.collect(), DType::F32)?;
    let weights = WeightFiles::open(base)?.digest()?;
    write_json(&folder.join(ADAPTER_BASE), &Base { weights })?;
    let rows: Vec<usize> = (spec.first_new_token..config.vocab_size).collect();
    let rows = match (spec.trains_rows(config), config.tie_word_embeddings) {
        (false, _) => Value::Null,
        (true, true) => json!({ "embed_tokens": rows }),
        (true, false) => json!({ "embed_tokens": rows, "lm_head": rows }),
    };
    let targets: Vec<&str> = spec.settings.targets.iter().map(|target| target.module()).collect();
    let description = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": spec.settings.rank,
        "lora_alpha": spec.settings.alpha,
        "lora_dropout": spec.settings.dropout,
        "target_modules": targets,
        "use_rslora": spec.settings.rank_stabilized,
        "trainable_token_indices": rows,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "modules_to_save": Value::Null,
    });
    write_json(&folder.join(ADAPTER_CONFIG), &description)
}

/// Reads an adapter for the decoder of configuration `config` in the folder `base`.
///
/// # Errors
/// [`Error::Data`] when a file is missing or damaged, the adapter is of a kind that is not supported, or it
/// was made for another base.
pub fn load(
    folder: &Path,
    config: &DecoderConfig,
    base: &Path,
) -> Result<(AdapterSpec, BTreeMap<String, Tensor>)> {
    check_base(folder, base)?;
    let (spec, weights) = check(folder, config, base)?;
    let read = |ParameterSpec { name, .. }| {
        let tensor = weights.tensor(&format!("{PREFIX}{name}"), Some(DType::F32))?;
        Ok((name, tensor))
    };
    let tensors = spec.parameters(config).into_iter().map(read).collect::<Result<_>>()?;
    Ok((spec, tensors))
}

/// Looks at an adapter's description and at the shapes of its weights, and reads no weight.
///
/// # Errors
/// As [`load`], but for an adapter that was made for another base of the same shape.
pub fn check(
    folder: &Path,
    config: &DecoderConfig,
    base: &Path,
) -> Result<(AdapterSpec, WeightFiles)> {
    let path = folder.join(ADAPTER_CONFIG);
    let object = read_object(&path, "an adapter of PEFT")?;
    // PEFT knows adapters that are not LoRA, of which nothing else is worth telling.
    if object.get("peft_type").is_none_or(Value::is_null) {
        return Err(Error::data(&path, "names no peft_type, expected `LORA`"));
    }
    let file: ConfigFile = ADAPTER_KEYS
        .read(object)
        .map_err(|faults| Error::data(&path, faults.join("; ")).with_help(MERGE))?;
    let spec = file.spec(&path, config)?;
    let mut expected = spec.parameters(config);
    expected.iter_mut().for_each(|spec| spec.name.insert_str(0, PREFIX));
    let weights = WeightFiles::open_file(&folder.join(ADAPTER_WEIGHTS))?;
    refuse_others(&folder.join(ADAPTER_WEIGHTS), &weights, &expected)?;
    weights.check(&expected, |_| false).map_err(|error| {
        let of = file.base_model_name_or_path.as_deref().unwrap_or("an unnamed base");
        error.with_help(format!(
            "the adapter was made for another base: it names {of}, the model is {}",
            base.display()
        ))
    })?;
    Ok((spec, weights))
}

/// What to do with an adapter that is not plain.
const MERGE: &str = "merge it in Python (model.merge_and_unload(), then save_pretrained) and give the merged folder as `path`";

/// Tensors that no plain adapter has, by a part of their names.
const OTHERS: [(&str, &str); 7] = [
    (".lora_magnitude_vector", "a magnitude of DoRA"),
    (".lora_embedding_", "an adapter of the embedding"),
    (".modules_to_save.", "a module stored as a whole"),
    (".lora_B.bias", "a bias of the adapter"),
    (".embed_tokens.", EMBEDDING_BESIDE),
    ("lm_head.", EMBEDDING_BESIDE),
    (".bias", "a bias of the base"),
];
const EMBEDDING_BESIDE: &str = "an embedding stored beside the adapter, as PEFT does where the vocabulary was resized or trained";

/// Refuses tensors that make another adapter of it than its configuration says.
fn refuse_others(path: &Path, weights: &WeightFiles, expected: &[ParameterSpec]) -> Result<()> {
    let is_known = |name: &str| expected.iter().any(|spec| spec.name == name);
    for name in weights.names().filter(|name| !is_known(name)) {
        if let Some((_, what)) = OTHERS.iter().find(|(part, _)| name.contains(part)) {
            return Err(Error::data(path, format!("holds {name}: {what}, which is not supported"))
                .with_help(MERGE));
        }
    }
    Ok(())
}

/// An adapter that says which weights it was made for must be given those.
///
/// # Errors
/// [`Error::Data`] when the base is another, or cannot be read.
pub fn check_base(folder: &Path, base: &Path) -> Result<()> {
    let path = folder.join(ADAPTER_BASE);
    if !path.is_file() {
        return Ok(());
    }
    let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
    let stated: Base = serde_json::from_slice(&text)
        .map_err(|e| Error::data(&path, format!("not the checksum of a base: {e}")))?;
    if stated.weights == WeightFiles::open(base)?.digest()? {
        return Ok(());
    }
    Err(Error::data(
        &path,
        format!("the adapter was made for other weights than those in {}", base.display()),
    )
    .with_help("give the folder that adapter_config.json names as its base"))
}

impl ConfigFile {
    fn spec(&self, path: &Path, config: &DecoderConfig) -> Result<AdapterSpec> {
        let fault = |message: String| Error::data(path, message);
        let modules: Vec<String> =
            serde_json::from_value(self.target_modules.clone()).map_err(|_| {
                fault(format!(
                    "target_modules is {}, expected a list of module names",
                    self.target_modules
                ))
            })?;
        let mut targets = Vec::new();
        for module in &modules {
            let target = LoraTarget::ALL.into_iter().find(|target| target.module() == module);
            let target = target.ok_or_else(|| {
                let known = LoraTarget::ALL.map(LoraTarget::module).join(", ");
                fault(format!("target_modules: `{module}` is not one of {known}"))
            })?;
            // A set, whatever its order in the file.
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        if targets.is_empty() {
            return Err(fault("target_modules is empty: nothing is adapted".into()));
        }
        let first_new_token = self.first_new_token(config).map_err(fault)?;
        let settings = LoraSettings {
            rank: self.r,
            alpha: self.lora_alpha,
            dropout: self.lora_dropout,
            targets,
            rank_stabilized: self.use_rslora,
            train_new_tokens: first_new_token < config.vocab_size,
        };
        if settings.rank == 0 || !(settings.alpha.is_finite() && settings.alpha > 0.0) {
            return Err(fault("r and lora_alpha must be above 0".into()));
        }
        Ok(AdapterSpec { settings, first_new_token })
    }

    /// Where the trained rows begin; they must be the last of the vocabulary, in every table there is.
    fn first_new_token(&self, config: &DecoderConfig) -> std::result::Result<usize, String> {
        let stated = match &self.trainable_token_indices {
            None | Some(Value::Null) => return Ok(config.vocab_size),
            Some(stated) => stated,
        };
        let tables: BTreeMap<String, Vec<usize>> = match stated {
            Value::Array(_) => serde_json::from_value(stated.clone())
                .map(|rows| BTreeMap::from([("embed_tokens".to_owned(), rows)])),
            other => serde_json::from_value(other.clone()),
        }
        .map_err(|e| format!("trainable_token_indices: {e}"))?;
        let wanted: Vec<&str> = [EMBEDDING, HEAD]
            .into_iter()
            .filter(|name| *name == EMBEDDING || !config.tie_word_embeddings)
            .map(|name| if name == HEAD { "lm_head" } else { "embed_tokens" })
            .collect();
        if !tables.keys().map(String::as_str).eq(wanted.iter().copied()) {
            return Err(format!(
                "trainable_token_indices: expected rows of {}",
                wanted.join(" and ")
            ));
        }
        let first = tables["embed_tokens"].first().copied().unwrap_or(config.vocab_size);
        let is_tail = |rows: &Vec<usize>| rows.iter().copied().eq(first..config.vocab_size);
        if tables.values().all(is_tail) {
            return Ok(first);
        }
        Err(format!(
            "trainable_token_indices: expected the last rows of a vocabulary of {}",
            config.vocab_size
        ))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::model::config::tests::small;
    use crate::model::decoder::tests::lively;
    use crate::model::lora::new_rows;
    use crate::model::parameters::Parameter;
    use crate::seed::Seed;

    fn prefixed(table: &str) -> String {
        format!("{PREFIX}{}", new_rows(table))
    }

    struct Fixture {
        _folder: tempfile::TempDir,
        base: std::path::PathBuf,
        adapter: std::path::PathBuf,
        decoder: Decoder,
    }

    fn fixture(tied: bool) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let config = DecoderConfig { tie_word_embeddings: tied, ..small(50) };
        let weights = lively(config.clone()).weights().unwrap();
        let (base, adapter) = (folder.path().join("base"), folder.path().join("adapter"));
        create_dir(&base).unwrap();
        save_tensors(&base.join("model.safetensors"), &weights, DType::F32).unwrap();
        let settings = LoraSettings { rank: 2, alpha: 3.0, ..LoraSettings::default() };
        let spec = AdapterSpec { settings, first_new_token: 44 };
        let decoder = Decoder::adapted(config, weights, spec, Seed::new(2)).unwrap();
        for (i, var) in decoder.trained().vars().enumerate() {
            let value = Tensor::full(0.01 * i as f32, var.shape(), &Device::Cpu).unwrap();
            var.set(&value).unwrap();
        }
        save(&adapter, &decoder, &base).unwrap();
        Fixture { _folder: folder, base, adapter, decoder }
    }

    fn edited(fixture: &Fixture, from: &str, to: &str) -> String {
        let path = fixture.adapter.join(ADAPTER_CONFIG);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let loaded = load(&fixture.adapter, fixture.decoder.config(), &fixture.base);
        std::fs::write(&path, text).unwrap();
        loaded.err().unwrap().to_string()
    }

    #[test]
    fn an_adapter_returns_as_it_was() {
        for tied in [true, false] {
            let fixture = fixture(tied);
            let (spec, tensors) =
                load(&fixture.adapter, fixture.decoder.config(), &fixture.base).unwrap();
            assert_eq!(Some(&spec), fixture.decoder.adapter());
            assert_eq!(tensors.len(), fixture.decoder.trained().len());
            for Parameter { name, var, .. } in fixture.decoder.trained() {
                let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert_eq!(flat(var), flat(&tensors[name]));
            }
            let file = WeightFiles::open_file(&fixture.adapter.join(ADAPTER_WEIGHTS)).unwrap();
            assert!(file.names().any(|name| name == prefixed(EMBEDDING)));
            assert_eq!(file.names().any(|name| name == prefixed(HEAD)), !tied);
        }
    }

    /// What is told of an adapter whose description says something else of a key; empty where it is read.
    fn told(fixture: &Fixture, key: &str, value: Value) -> String {
        let path = fixture.adapter.join(ADAPTER_CONFIG);
        let text = std::fs::read_to_string(&path).unwrap();
        let mut object: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
        object.insert(key.into(), value);
        std::fs::write(&path, Value::Object(object).to_string()).unwrap();
        let loaded = load(&fixture.adapter, fixture.decoder.config(), &fixture.base);
        std::fs::write(&path, text).unwrap();
        loaded.err().map(|e| (assert_eq!(e.exit_code(), 2), e.to_string()).1).unwrap_or_default()
    }

    #[test]
    fn what_makes_another_adapter_is_refused_by_name_and_what_is_empty_is_read() {
        let fixture = fixture(true);
        for (key, value) in [
            ("layers_to_transform", json!([0])),
            ("layers_to_transform", json!(0)),
            ("layers_pattern", json!("layers")),
            ("layer_replication", json!([[0, 1], [0, 2]])),
            ("modules_to_save", json!(["lm_head"])),
            ("rank_pattern", json!({"q_proj": 3})),
            ("alpha_pattern", json!({"q_proj": 3})),
            ("exclude_modules", json!(["k_proj"])),
            ("target_parameters", json!(["mlp.experts"])),
            ("bias", json!("lora_only")),
            ("lora_bias", json!(true)),
            ("use_dora", json!(true)),
            ("use_qalora", json!(true)),
            ("fan_in_fan_out", json!(true)),
            ("init_lora_weights", json!("pissa")),
            ("init_lora_weights", json!("pissa_niter_16")),
            ("init_lora_weights", json!("olora")),
            ("init_lora_weights", json!("loftq")),
            ("init_lora_weights", json!("corda")),
            ("loftq_config", json!({"loftq_bits": 4})),
            ("task_type", json!("FEATURE_EXTRACTION")),
            ("alora_invocation_tokens", json!([1])),
            ("a_key_of_tomorrow", json!(1)),
            ("r", json!(2.5)),
            ("r", json!(-2)),
            ("lora_alpha", json!("3")),
        ] {
            let told = told(&fixture, key, value);
            assert!(told.contains("adapter_config.json") && told.contains(key), "{key}: {told}");
            assert!(!told.contains("another base"), "{told}");
        }
        for (key, value) in [
            ("layers_to_transform", json!([])),
            ("layers_pattern", Value::Null),
            ("layer_replication", json!([])),
            ("modules_to_save", json!([])),
            ("rank_pattern", json!({})),
            ("alpha_pattern", Value::Null),
            ("exclude_modules", json!([])),
            ("init_lora_weights", json!("gaussian")),
            ("init_lora_weights", json!(false)),
            ("loftq_config", json!({})),
            ("use_dora", json!(false)),
            ("use_rslora", Value::Null),
            ("peft_version", json!("0.18.0")),
            ("a_key_of_tomorrow", Value::Null),
        ] {
            assert_eq!(told(&fixture, key, value), "", "{key}");
        }
        let twice = json!([
            "v_proj",
            "q_proj",
            "q_proj",
            "k_proj",
            "o_proj",
            "gate_proj",
            "up_proj",
            "down_proj"
        ]);
        assert_eq!(told(&fixture, "target_modules", twice), "");
        assert!(told(&fixture, "target_modules", json!([])).contains("target_modules is empty"));
        let regex = told(&fixture, "target_modules", json!(".*q_proj"));
        assert!(regex.contains("target_modules is \".*q_proj\", expected a list"), "{regex}");
    }

    #[test]
    fn tensors_that_no_plain_adapter_has_are_named() {
        let fixture = fixture(true);
        let path = fixture.adapter.join(ADAPTER_WEIGHTS);
        let file = WeightFiles::open_file(&path).unwrap();
        let names: Vec<String> = file.names().map(str::to_owned).collect();
        let read = |name: &String| (name.clone(), file.tensor(name, None).unwrap());
        let tensors: BTreeMap<String, Tensor> = names.iter().map(read).collect();
        for (name, what) in [
            ("base_model.model.model.embed_tokens.weight", "an embedding stored beside"),
            ("base_model.model.lm_head.weight", "an embedding stored beside"),
            ("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", "DoRA"),
            (
                "base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias",
                "a bias of the adapter",
            ),
            ("base_model.model.model.layers.0.self_attn.q_proj.bias", "a bias of the base"),
        ] {
            let mut more = tensors.clone();
            more.insert(name.into(), Tensor::ones((2, 2), DType::F32, &Device::Cpu).unwrap());
            save_tensors(&path, &more, DType::F32).unwrap();
            let told = check(&fixture.adapter, fixture.decoder.config(), &fixture.base);
            let told = told.err().unwrap().to_string();
            let named = told.contains(name) && told.contains(what);
            assert!(named && told.contains("merge_and_unload"), "{told}");
            assert!(!told.contains("another base"), "{told}");
        }
    }

    #[test]
    fn adapters_of_another_base_or_kind_are_refused() {
        let fixture = fixture(true);
        assert!(edited(&fixture, "\"LORA\"", "\"IA3\"").contains("peft_type is `IA3`"));
        assert!(edited(&fixture, "\"none\"", "\"all\"").contains("bias is `all`"));
        assert!(edited(&fixture, "\"q_proj\"", "\"qkv\"").contains("`qkv` is not one of q_proj"));
        let told = edited(&fixture, "\"r\": 2", "\"r\": 4");
        assert!(told.contains("of another shape") && told.contains("another base"), "{told}");
        assert!(edited(&fixture, "44,", "40,").contains("last rows of a vocabulary of 50"));
        let other = lively(DecoderConfig { hidden_size: 32, ..small(50) });
        let path = fixture.base.join("model.safetensors");
        save_tensors(&path, &other.weights().unwrap(), DType::F32).unwrap();
        let told = load(&fixture.adapter, fixture.decoder.config(), &fixture.base);
        let told = told.err().unwrap().to_string();
        assert!(told.contains("made for other weights"), "{told}");
    }
}
