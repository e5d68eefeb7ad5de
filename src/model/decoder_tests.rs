//! Every family against what `transformers` computes; packing, adapters and gradients against definitions.

#![allow(clippy::unwrap_used)]

use trieval_kernels::ops::{linear, swiglu};

use super::*;
use crate::model::checkpoint::{WeightFiles, is_redundant};
use crate::model::config::Family;
use crate::model::config::tests::small;
use crate::model::parameters::tests::by_decay;
use crate::model::recompute::gradients;
use crate::model::settings::{LoraSettings, LoraTarget};

fn ids(n: usize, vocab: u32) -> Vec<u32> {
    (0..n as u32).map(|i| (i * 7 + i * i) % vocab).collect()
}

pub(crate) fn max_difference(a: &Tensor, b: &Tensor) -> f32 {
    (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

/// Weights far from the initial ones, so that every term of the network matters.
pub(crate) fn lively(config: DecoderConfig) -> Decoder {
    let decoder = Decoder::init(config, Seed::new(3)).unwrap();
    shake(&decoder);
    decoder
}

fn shake(decoder: &Decoder) {
    for Parameter { name, var, .. } in decoder.trained() {
        let n = var.elem_count();
        let is_vector = var.rank() == 1;
        let mut data = normal(n, if is_vector { 0.2 } else { 0.25 }, Seed::new(9).purpose(name));
        if is_vector && !name.ends_with(".bias") {
            data.iter_mut().for_each(|v| *v += 1.0);
        }
        var.set(&Tensor::from_vec(data, var.shape(), &Device::Cpu).unwrap()).unwrap();
    }
}

/// Configurations that between them have every part a decoder may have.
pub(crate) fn all_shapes() -> Vec<DecoderConfig> {
    let base = small(50);
    vec![
        base.clone(),
        DecoderConfig { tie_word_embeddings: false, ..base.clone() },
        DecoderConfig { family: Family::Qwen2, qkv_bias: true, ..base.clone() },
        DecoderConfig {
            family: Family::Llama,
            qkv_bias: true,
            out_bias: true,
            mlp_bias: true,
            tie_word_embeddings: false,
            ..base
        },
    ]
}

fn spec(vocab: usize, dropout: f64) -> AdapterSpec {
    let settings = LoraSettings { rank: 3, alpha: 6.0, dropout, ..LoraSettings::default() };
    AdapterSpec { settings, first_new_token: vocab - 9 }
}

/// An adapter with lively values beside the weights of `config`'s lively decoder.
fn adapted(config: &DecoderConfig, dropout: f64) -> Decoder {
    let weights = lively(config.clone()).weights().unwrap();
    let spec = spec(config.vocab_size, dropout);
    Decoder::adapted(config.clone(), weights, spec, Seed::new(5)).unwrap()
}

/// Log-probabilities of some targets, over two packed sequences.
fn score(decoder: &Decoder, keys: Option<&TokenKeys>) -> Tensor {
    let vocab = decoder.config().vocab_size as u32;
    let input = Tensor::from_vec(ids(18, vocab), 18, &Device::Cpu).unwrap();
    let packing = Packing::sequences([7, 11]);
    let rows = [4u32, 5, 6, 14, 15, 16, 17];
    let hidden = match keys {
        Some(keys) => decoder.hidden_rows_in_training(&input, &packing, &rows, keys).unwrap(),
        None => decoder.hidden_rows(&input, &packing, &rows).unwrap(),
    };
    let targets: Vec<u32> = (vocab - 7..vocab).collect();
    decoder.log_probs_at(&hidden, &[0, 1, 2, 3, 4, 5, 6], &targets).unwrap()
}

fn assert_all_trained_receive_gradients(decoder: &Decoder, but: fn(&str) -> bool) {
    let gradients = score(decoder, None).sum_all().unwrap().backward().unwrap();
    for Parameter { name, var, .. } in decoder.trained() {
        let gradient = gradients.get(var).unwrap_or_else(|| panic!("{name}: none"));
        let largest = gradient.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(largest > 0.0 || but(name), "{name}: zero");
    }
}

#[test]
fn every_parameter_receives_a_gradient() {
    for config in all_shapes() {
        assert_all_trained_receive_gradients(&lively(config.clone()), |_| false);
        // Fresh adapters: A has none while B is zero.
        assert_all_trained_receive_gradients(&adapted(&config, 0.0), |name| {
            name.contains("lora_A")
        });
        let moved = adapted(&config, 0.0);
        shake(&moved);
        assert_all_trained_receive_gradients(&moved, |_| false);
    }
}

#[test]
fn logits_equal_those_of_transformers() {
    for family in ["qwen3", "qwen2", "llama"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = folder.join("tests/golden/decoders").join(family);
        let config = DecoderConfig::read(&folder.join("config.json")).unwrap();
        let files = WeightFiles::open(&folder).unwrap();
        files.check(&config.parameters(), |name| is_redundant(&config, name)).unwrap();
        let read = |spec: ParameterSpec| {
            let tensor = files.tensor(&spec.name, None).unwrap();
            (spec.name, tensor)
        };
        let tensors: BTreeMap<String, Tensor> = config.parameters().into_iter().map(read).collect();
        let text = std::fs::read_to_string(folder.join("logits.json")).unwrap();
        let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected: Vec<Vec<Vec<f32>>> =
            serde_json::from_value(golden["logits"].clone()).unwrap();
        let input: Vec<Vec<u32>> = serde_json::from_value(golden["ids"].clone()).unwrap();
        // As the weights are stored (beside an adapter that does nothing yet), and widened.
        let decoders = [
            Decoder::from_tensors(config.clone(), tensors.clone()).unwrap(),
            Decoder::adapted(config.clone(), tensors, spec(48, 0.0), Seed::new(1)).unwrap(),
        ];
        for decoder in decoders {
            let hidden = decoder.hidden(&Tensor::new(input.clone(), &Device::Cpu).unwrap());
            let head = if config.tie_word_embeddings { EMBEDDING } else { HEAD };
            let head = decoder.weight(head).unwrap().t().unwrap();
            let logits = hidden.unwrap().broadcast_matmul(&head).unwrap();
            let difference =
                max_difference(&logits, &Tensor::new(expected.clone(), &Device::Cpu).unwrap());
            assert!(difference < 1e-4, "{family}: {difference}");
        }
    }
}

#[test]
fn packing_and_rows_change_nothing() {
    for config in all_shapes() {
        let decoder = lively(config);
        let all = ids(18, 50);
        let input = Tensor::from_slice(&all, 18, &Device::Cpu).unwrap();
        let packing = Packing::sequences([7, 11]);
        let every: Vec<u32> = (0..18).collect();
        let packed = decoder.hidden_rows(&input, &packing, &every).unwrap();
        for range in [0..7, 7..18] {
            let part = Tensor::from_slice(&all[range.clone()], (1, range.len()), &Device::Cpu);
            let alone = decoder.hidden(&part.unwrap()).unwrap().squeeze(0).unwrap();
            let together = packed.narrow(0, range.start, range.len()).unwrap();
            assert!(max_difference(&alone, &together) < 1e-5);
        }
        let rows = [4u32, 5, 6, 14, 17];
        let some = decoder.hidden_rows(&input, &packing, &rows).unwrap();
        let index = Tensor::from_slice(&rows, 5, &Device::Cpu).unwrap();
        let expected = packed.index_select(&index, 0).unwrap();
        assert!(max_difference(&some, &expected) < 1e-5);
        for rows in [&[18u32][..], &[5, 4], &[4, 4]] {
            assert!(decoder.hidden_rows(&input, &packing, rows).is_err());
        }
    }
}

#[test]
fn branches_equal_separate_sequences() {
    for config in all_shapes() {
        let decoder = lively(config);
        // One prompt of five tokens with three answers, one of them empty, and a second prompt.
        let (prompt, other) = (ids(5, 50), vec![9u32, 8]);
        let answers = [vec![3u32, 1], vec![], vec![3, 7, 40]];
        let tokens = [&prompt[..], &answers[0], &answers[2], &other].concat();
        let packing = Packing::trees([(5, vec![2, 0, 3]), (2, vec![])]);
        let input = Tensor::from_slice(&tokens, tokens.len(), &Device::Cpu).unwrap();
        let every: Vec<u32> = (0..tokens.len() as u32).collect();
        let tree = decoder.hidden_rows(&input, &packing, &every).unwrap();
        let alone = |ids: &[u32]| {
            let ids = Tensor::from_slice(ids, (1, ids.len()), &Device::Cpu).unwrap();
            decoder.hidden(&ids).unwrap().squeeze(0).unwrap()
        };
        for (at, answer) in [(5, &answers[0]), (7, &answers[2])] {
            let whole = alone(&[&prompt[..], answer].concat());
            let branch = tree.narrow(0, at, answer.len()).unwrap();
            let expected = whole.narrow(0, 5, answer.len()).unwrap();
            assert!(max_difference(&branch, &expected) < 1e-5);
            let shared = tree.narrow(0, 0, 5).unwrap();
            assert!(max_difference(&shared, &whole.narrow(0, 0, 5).unwrap()) < 1e-5);
        }
        let last = tree.narrow(0, 10, 2).unwrap();
        assert!(max_difference(&last, &alone(&other)) < 1e-5);
    }
}

#[test]
fn a_fresh_adapter_changes_nothing_and_a_merged_one_is_the_adapted_model() {
    for config in all_shapes() {
        let base = lively(config.clone());
        let adapter = adapted(&config, 0.5);
        assert!(max_difference(&score(&base, None), &score(&adapter, None)) < 1e-6);
        shake(&adapter);
        let merged = Decoder::from_tensors(config.clone(), adapter.weights().unwrap()).unwrap();
        let (a, b) = (score(&adapter, None), score(&merged, None));
        assert!(max_difference(&a, &b) < 1e-4, "{a} {b}");
        assert!(max_difference(&a, &score(&base, None)) > 1e-2);
    }
}

#[test]
fn only_targets_and_new_rows_train() {
    let config = DecoderConfig { tie_word_embeddings: false, ..small(50) };
    let weights = lively(config.clone()).weights().unwrap();
    let settings =
        LoraSettings { targets: vec![LoraTarget::Q, LoraTarget::Down], ..LoraSettings::default() };
    let names = |settings: LoraSettings| {
        let spec = AdapterSpec { settings, first_new_token: 41 };
        let decoder =
            Decoder::adapted(config.clone(), weights.clone(), spec, Seed::new(1)).unwrap();
        decoder.trained().iter().map(|one| one.name.clone()).collect::<Vec<_>>()
    };
    let all = names(settings.clone());
    assert_eq!(all.len(), 2 * 2 * 2 + 2, "{all:?}");
    assert!(all.contains(&"lm_head.token_adapter.trainable_tokens_delta".to_owned()));
    assert!(all.contains(&"model.layers.1.mlp.down_proj.lora_B.weight".to_owned()));
    let without = names(LoraSettings { train_new_tokens: false, ..settings });
    assert_eq!(without.len(), 8);
}

#[test]
fn matrices_decay_and_norms_biases_and_rows_of_tokens_do_not() {
    const PRODUCTS: [&str; 7] = [
        "mlp.down_proj",
        "mlp.gate_proj",
        "mlp.up_proj",
        "self_attn.k_proj",
        "self_attn.o_proj",
        "self_attn.q_proj",
        "self_attn.v_proj",
    ];
    const NORMS: [&str; 2] = ["input_layernorm.weight", "post_attention_layernorm.weight"];
    const HEAD_NORMS: [&str; 2] = ["self_attn.k_norm.weight", "self_attn.q_norm.weight"];
    let layer = |part: &str| format!("model.layers.0.{part}");
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    for config in all_shapes() {
        let config = DecoderConfig { num_hidden_layers: 1, ..config };
        let is_untied = !config.tie_word_embeddings;
        let mut decayed: Vec<String> =
            PRODUCTS.map(|part| layer(&format!("{part}.weight"))).to_vec();
        let mut others = [NORMS.map(layer).to_vec(), vec![EMBEDDING.into(), FINAL_NORM.into()]];
        if config.family.has_head_norms() {
            others[0].extend(HEAD_NORMS.map(layer));
        }
        for part in PRODUCTS {
            let is_qkv = part.starts_with("self_attn") && !part.contains(".o_");
            let has_bias = if is_qkv { config.qkv_bias } else { config.mlp_bias };
            others[1].extend(has_bias.then(|| layer(&format!("{part}.bias"))));
        }
        decayed.extend(is_untied.then(|| HEAD.to_owned()));
        let expected = [sorted(decayed), sorted(others.concat())];
        assert_eq!(by_decay(lively(config.clone()).trained()), expected);

        let low_rank = PRODUCTS
            .into_iter()
            .flat_map(|part| ["A", "B"].map(|side| layer(&format!("{part}.lora_{side}.weight"))));
        let rows = [Some(EMBEDDING), is_untied.then_some(HEAD)].into_iter().flatten();
        let expected = [low_rank.collect(), sorted(rows.map(new_rows).collect())];
        assert_eq!(by_decay(adapted(&config, 0.0).trained()), expected);
    }
}

#[test]
fn dropout_acts_in_training_alone_and_by_token() {
    let decoder = adapted(&small(50), 0.5);
    shake(&decoder);
    let keys: TokenKeys = (0..18).collect();
    let (plain, dropped) = (score(&decoder, None), score(&decoder, Some(&keys)));
    assert!(max_difference(&plain, &dropped) > 1e-3);
    assert_eq!(max_difference(&dropped, &score(&decoder, Some(&keys))), 0.0);
    let other: TokenKeys = (100..118).collect();
    assert!(max_difference(&dropped, &score(&decoder, Some(&other))) > 1e-3);
}

#[test]
fn what_a_training_step_drops_is_the_embedding_and_what_each_half_of_a_layer_adds() {
    let config = DecoderConfig { num_hidden_layers: 1, ..small(50) };
    let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
    let decoder = lively(config.clone()).dropping(0.4);
    let weight = |part: &str| decoder.weight(part).unwrap();
    let layer = |part: &str| weight(&format!("model.layers.0.{part}.weight"));
    // Sequences of one token: whatever it looks for, attention finds that token's own value.
    let input = Tensor::new(&[3u32, 11, 27, 40], &Device::Cpu).unwrap();
    let (packing, rows) = (Packing::sequences([1; 4]), [0u32, 1, 2, 3]);
    let keys: TokenKeys = [5, 900, 17, 80_000].into();
    let drop = |x: &Tensor, part: &str| dropout(x, 0.4, &keys, stream(part)).unwrap();
    let norm = |x: &Tensor, weight: &Tensor| rms_norm(x, weight, config.rms_norm_eps).unwrap();

    let x = drop(&embedding(&input, &weight(EMBEDDING)).unwrap(), EMBEDDING);
    let value = linear(&norm(&x, &layer("input_layernorm")), &layer("self_attn.v_proj")).unwrap();
    let value = value.reshape((4, kv_heads, 1, config.head_dim)).unwrap();
    let seen = value.repeat((1, 1, heads / kv_heads, 1)).unwrap().reshape((4, ())).unwrap();
    let seen = linear(&seen, &layer("self_attn.o_proj")).unwrap();
    let x = (x + drop(&seen, "model.layers.0.self_attn")).unwrap();
    let normed = norm(&x, &layer("post_attention_layernorm"));
    let [gate, up] =
        ["gate", "up"].map(|part| linear(&normed, &layer(&format!("mlp.{part}_proj"))));
    let inner = swiglu(&gate.unwrap(), &up.unwrap()).unwrap();
    let inner = linear(&inner, &layer("mlp.down_proj")).unwrap();
    let x = (x + drop(&inner, "model.layers.0.mlp")).unwrap();
    let expected = norm(&x, &weight(FINAL_NORM));

    let hidden = decoder.hidden_rows_in_training(&input, &packing, &rows, &keys).unwrap();
    assert!(max_difference(&hidden, &expected) < 1e-5);
    // The last layer is computed for some rows only, and drops of them what it drops of all.
    let some = decoder.hidden_rows_in_training(&input, &packing, &rows[1..3], &keys).unwrap();
    assert!(max_difference(&some, &expected.narrow(0, 1, 2).unwrap()) < 1e-5);
    let plain = decoder.hidden_rows(&input, &packing, &rows).unwrap();
    assert!(max_difference(&plain, &expected) > 1e-2);
}

#[test]
fn a_decoder_that_drops_nothing_is_the_plain_one_bit_for_bit() {
    let keys: TokenKeys = (0..18).collect();
    for config in all_shapes() {
        let bits = |decoder: &Decoder, keys| score(decoder, keys).to_vec1::<f32>().unwrap();
        let plain = bits(&lively(config.clone()), None);
        let decoder = lively(config.clone()).dropping(0.0);
        assert!(!decoder.drops() && bits(&decoder, Some(&keys)) == plain);
        // What drops in a training step is the same decoder otherwise.
        let decoder = lively(config).dropping(0.5).on(&Device::Cpu, DType::F32).unwrap();
        assert!(decoder.drops() && bits(&decoder, None) == plain);
        assert!(bits(&decoder, Some(&keys)) != plain);
        assert!(bits(&decoder, Some(&keys)) == bits(&decoder, Some(&keys)));
        let other: TokenKeys = (100..118).collect();
        assert!(bits(&decoder, Some(&keys)) != bits(&decoder, Some(&other)));
    }
}

#[test]
fn gradients_under_dropout_are_those_of_finite_differences() {
    let decoder = lively(small(50)).dropping(0.3);
    let keys: TokenKeys = (0..18).collect();
    let loss = || score(&decoder, Some(&keys)).sum_all().unwrap();
    let store = loss().backward().unwrap();
    for part in
        [EMBEDDING, "model.layers.0.self_attn.o_proj.weight", "model.layers.1.mlp.down_proj.weight"]
    {
        let var = decoder.trained().var(part).unwrap();
        let gradient = store.get(var).unwrap();
        // Along the gradient, where a difference is larger than the rounding of a sum.
        let length = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
        let before = var.as_tensor().copy().unwrap();
        let at = |way: f64| {
            let moved = (gradient * (way / f64::from(length))).unwrap();
            var.set(&(&before + moved).unwrap()).unwrap();
            f64::from(loss().to_scalar::<f32>().unwrap())
        };
        let slope = (at(5e-3) - at(-5e-3)) / 1e-2;
        var.set(&before).unwrap();
        assert!((slope - f64::from(length)).abs() < 0.02 * slope, "{part}: {slope} {length}");
    }
}

/// `h · (w − w̄)` against logits computed as a whole, for a table that trains, one of which some rows do, and one that does not.
#[test]
fn margins_are_logits_less_the_mean_logit_of_their_range() {
    let ranges = [3..5u32, 41..46, 46..50];
    let (rows, targets) = ([0u32, 1, 1, 0, 2], [4u32, 41, 49, 45, 47]);
    let frozen = |config: &DecoderConfig| {
        let settings = LoraSettings { train_new_tokens: false, ..LoraSettings::default() };
        let spec = AdapterSpec { settings, first_new_token: 41 };
        let weights = lively(config.clone()).weights().unwrap();
        Decoder::adapted(config.clone(), weights, spec, Seed::new(5)).unwrap()
    };
    for config in all_shapes() {
        let head = if config.tie_word_embeddings { EMBEDDING } else { HEAD };
        let hidden = normal(3 * config.hidden_size, 1.0, Seed::new(8));
        let hidden = Var::from_vec(hidden, (3, config.hidden_size), &Device::Cpu).unwrap();
        for decoder in [lively(config.clone()), adapted(&config, 0.0), frozen(&config)] {
            let table = decoder.weight(head).unwrap();
            let logits = hidden.as_tensor().matmul(&table.t().unwrap()).unwrap();
            let logits = logits.to_vec2::<f32>().unwrap();
            let margins = decoder.margins_at(&hidden, &rows, &targets, &ranges).unwrap();
            for (i, margin) in margins.to_vec1::<f32>().unwrap().into_iter().enumerate() {
                let (logits, target) = (&logits[rows[i] as usize], targets[i]);
                let range = ranges.iter().find(|range| range.contains(&target)).unwrap();
                let sum: f32 = range.clone().map(|token| logits[token as usize]).sum();
                let expected = logits[target as usize] - sum / range.len() as f32;
                assert!((margin - expected).abs() < 1e-4, "{margin} {expected}");
            }
            let store = margins.sum_all().unwrap().backward().unwrap();
            assert!(store.get(&hidden).is_some());
        }
    }
    let decoder = lively(small(50));
    let hidden = Tensor::zeros((1, 24), DType::F32, &Device::Cpu).unwrap();
    let told = decoder.margins_at(&hidden, &[0], &[7], &ranges).unwrap_err().to_string();
    assert!(told.contains("target 7 lies in none of 3 ranges"), "{told}");
}

#[test]
fn recomputed_gradients_are_those_of_the_plain_decoder_bit_for_bit() {
    let keys: TokenKeys = (0..18).collect();
    let all = |decoder: &Decoder| -> (Vec<f32>, Vec<Vec<f32>>) {
        let scores = score(decoder, Some(&keys));
        let mut gradients = gradients(&scores.sum_all().unwrap()).unwrap();
        let mut bits = |var: &Var| -> Vec<f32> {
            gradients.take(var).unwrap().unwrap().flatten_all().unwrap().to_vec1().unwrap()
        };
        (scores.to_vec1().unwrap(), decoder.trained().vars().map(&mut bits).collect())
    };
    for config in all_shapes() {
        let low_rank = adapted(&config, 0.3);
        shake(&low_rank);
        let settings = LoraSettings { train_new_tokens: false, ..LoraSettings::default() };
        let spec = AdapterSpec { settings, first_new_token: 41 };
        let weights = low_rank.weights().unwrap();
        // Nothing before the first layer has a gradient.
        let alone = Decoder::adapted(config.clone(), weights, spec, Seed::new(5)).unwrap();
        let dropping = lively(config.clone()).dropping(0.3);
        for decoder in [lively(config), low_rank, alone, dropping] {
            let plain = all(&decoder);
            let decoder = decoder.recomputing(true);
            assert!(plain == all(&decoder), "{}", decoder.trained().len());
            // Without `gradients`, nothing silently lacks its gradient.
            assert!(score(&decoder, None).sum_all().unwrap().backward().is_err());
        }
    }
}

#[test]
fn initial_weights_depend_on_the_seed_alone() {
    let values = |seed| {
        let decoder = Decoder::init(small(50), Seed::new(seed)).unwrap();
        let all = decoder.trained().vars();
        all.map(|v| v.flatten_all().unwrap().to_vec1().unwrap()).collect::<Vec<Vec<f32>>>()
    };
    assert!(values(1) == values(1));
    assert!(values(1) != values(2));
    let values = normal(100_000, 0.5, Seed::new(1));
    let mean: f32 = values.iter().sum::<f32>() / 1e5;
    let variance: f32 = values.iter().map(|v| v * v).sum::<f32>() / 1e5;
    assert!(mean.abs() < 0.01 && (variance - 0.25).abs() < 0.01);
}
