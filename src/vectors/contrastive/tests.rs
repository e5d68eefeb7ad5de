//! A decoder trained to encode: what trains is what serves, and what is saved is what was trained.

#![allow(clippy::unwrap_used)]

use candle_core::Tensor;

use super::*;
use crate::corpus::Ask;
use crate::corpus::testing::Shop;
use crate::model::config::DecoderConfig;
use crate::model::settings::ModelSettings;
use crate::model::{Decoder, ModelFolder, Special, Tokenizer};
use crate::seed::Seed;

/// A model that only encodes.
fn settings() -> ModelSettings {
    let text = "kind = \"scratch\"\nidentifiers = []\nvocabulary = 300\nlayers = 2\nhidden = 16\nheads = 2\nprompt_tokens = 12";
    toml::from_str(text).unwrap()
}

/// What a training would have left, with random weights.
fn trained(folder: &Path, dim: Option<u32>, catalogue: &Catalogue) -> Vec<Vec<f32>> {
    let ModelSettings::Scratch(scratch) = settings() else { panic!() };
    let texts = (0..catalogue.len() as u32).map(|item| catalogue.text(item));
    let tokenizer = Tokenizer::train_bpe(texts, 300, &Context::silent()).unwrap();
    let special = |special| tokenizer.special(special).unwrap();
    let (pad, end) = (special(Special::Pad), special(Special::End));
    let config = DecoderConfig::from_scratch(&scratch, 0, tokenizer.len(), pad, end).unwrap();
    let decoder = Decoder::init(config, Seed::new(3)).unwrap();
    ModelFolder::save(&folder.join(MODEL_DIR), &decoder, &tokenizer).unwrap();
    let dense = Dense::new(&settings(), 3, 0.07, dim.is_some());
    let prompts = dense.prompts(&tokenizer).unwrap();
    let tower = Tower::new(&decoder, &prompts, dim, Seed::new(4)).unwrap();
    dense.save(folder, tower.projection()).unwrap();
    let readings = read(&tower, &["red oak", "lamp"], catalogue).unwrap();
    let queries: Vec<&Vec<u32>> = readings.queries.iter().collect();
    // Alone or with others, a text has one vector.
    let together = tower.queries(&queries).unwrap().to_vec2::<f32>().unwrap();
    let alone = tower.queries(&queries[1..]).unwrap().to_vec2::<f32>().unwrap();
    close(&together[1], &alone[0]);
    together
}

fn close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn what_serves_gives_the_vectors_of_what_trained() {
    for dim in [None, Some(5)] {
        let root = tempfile::tempdir().unwrap();
        let catalogue = Shop::written().corpus.catalogue().unwrap();
        let from = root.path().join("train");
        std::fs::create_dir_all(&from).unwrap();
        let queries = trained(&from, dim, &catalogue);
        let out = root.path().join("vectors");
        std::fs::create_dir_all(&out).unwrap();
        fit(&from, &catalogue, &out, &Context::silent()).unwrap();
        let encoded = load(&out, &catalogue).unwrap();
        assert_eq!(encoded.vectors.dim, dim.map_or(16, |dim| dim as usize));
        for (query, expected) in ["red oak", "lamp"].into_iter().zip(&queries) {
            let ask = Ask { query: Some(query.into()), ..Ask::default() };
            close(&encoded.encoder.vector(&ask, &encoded.vectors).unwrap(), expected);
        }
        // An item asked for by its own text has its own vector.
        let ask = Ask { query: Some(catalogue.text(1).to_owned()), ..Ask::default() };
        close(&encoded.encoder.vector(&ask, &encoded.vectors).unwrap(), encoded.vectors.row(1));

        // Items that come later are encoded as those of the catalogue were.
        let later = encode(&out, &catalogue, &Context::silent()).unwrap();
        assert!(later == encoded.vectors);

        // Another decoder beside these vectors is found out.
        let weights = out.join(MODEL_DIR).join("model.safetensors");
        let mut bytes = std::fs::read(&weights).unwrap();
        let last = bytes.len() - 4;
        bytes[last] ^= 1;
        std::fs::write(&weights, bytes).unwrap();
        let told = load(&out, &catalogue).err().unwrap().to_string();
        assert!(told.contains("the vectors were built by another encoder"), "{told}");
        std::fs::remove_file(from.join("dense.json")).unwrap();
        let told = fit(&from, &catalogue, &out, &Context::silent()).unwrap_err();
        assert_eq!(told.exit_code(), 2, "{told}");
    }
}

#[test]
fn every_parameter_but_a_head_of_its_own_gets_a_gradient() {
    let root = tempfile::tempdir().unwrap();
    let catalogue = Shop::written().corpus.catalogue().unwrap();
    trained(root.path(), Some(5), &catalogue);
    let (dense, folder) = (Dense::open(root.path()).unwrap(), Dense::decoder(root.path()).unwrap());
    let mut tensors = folder.tensors().unwrap();
    let mut config = folder.config().clone();
    let embedding = tensors["model.embed_tokens.weight"].clone();
    tensors.insert("lm_head.weight".into(), embedding);
    config.tie_word_embeddings = false;
    let decoder = Decoder::from_tensors(config, tensors).unwrap();
    let prompts = dense.prompts(folder.tokenizer()).unwrap();
    let tower = Tower::new(&decoder, &prompts, Some(5), Seed::new(4)).unwrap();
    let parameters = tower.parameters();
    assert!(parameters.get("lm_head.weight").is_none());
    let readings = read(&tower, &["red oak lamp", "blue"], &catalogue).unwrap();
    let readings: Vec<&Vec<u32>> = readings.queries.iter().collect();
    let weights = Tensor::arange(0f32, 10.0, &candle_core::Device::Cpu).unwrap();
    let weights = weights.reshape((2, 5)).unwrap();
    let loss = (tower.queries(&readings).unwrap() * weights).unwrap().sum_all().unwrap();
    let store = loss.backward().unwrap();
    for one in &parameters {
        let gradient = store.get(&one.var).unwrap_or_else(|| panic!("{}", one.name));
        let largest = gradient.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(largest > 0.0, "{}", one.name);
    }
}

#[test]
fn a_training_step_drops_by_the_key_of_a_text_and_encoding_never_does() {
    let root = tempfile::tempdir().unwrap();
    let catalogue = Shop::written().corpus.catalogue().unwrap();
    let plain = trained(root.path(), None, &catalogue);
    let (dense, folder) = (Dense::open(root.path()).unwrap(), Dense::decoder(root.path()).unwrap());
    let decoder = folder.decoder().unwrap().dropping(0.3);
    let prompts = dense.prompts(folder.tokenizer()).unwrap();
    let tower = Tower::new(&decoder, &prompts, None, Seed::new(4)).unwrap();
    assert!(tower.drops());
    let readings = read(&tower, &["red oak", "lamp"], &catalogue).unwrap().queries;
    let readings: Vec<&Vec<u32>> = readings.iter().collect();
    for (row, expected) in tower.queries(&readings).unwrap().to_vec2().unwrap().iter().zip(&plain) {
        close(row, expected);
    }
    let rows = |readings: &[&Vec<u32>], keys: &[u64]| {
        let queries = tower.queries_in_training(readings, keys).unwrap();
        let items = tower.items_in_training(readings, &[], keys).unwrap();
        assert_eq!(queries.to_vec2::<f32>().unwrap(), items.to_vec2::<f32>().unwrap());
        queries.to_vec2::<f32>().unwrap()
    };
    let (together, alone) = (rows(&readings, &[70, 900]), rows(&readings[1..], &[900]));
    close(&together[1], &alone[0]);
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>();
    assert!(distance(&together[1], &plain[1]) > 1e-2);
    assert!(distance(&together[1], &rows(&readings[1..], &[901])[0]) > 1e-2);
}
