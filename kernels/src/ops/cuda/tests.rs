//! Every operation on the GPU against the same operation on the CPU, values and gradients. Needs a GPU: without one each
//! test says so and ends.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, Var};

use crate::gpu;
use crate::ops::operation::operation;
use crate::ops::testing::random;
use crate::ops::{self, Packing, RopeTable};

fn device() -> Option<Device> {
    match gpu::open() {
        Ok(device) => Some(device),
        Err(error) => {
            eprintln!("SKIPPED: no GPU ({error})");
            None
        }
    }
}

fn flat(t: &Tensor) -> Vec<f32> {
    t.to_device(&Device::Cpu)
        .unwrap()
        .to_dtype(DType::F32)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// Largest difference over the largest entry, or over .01 where all are smaller.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let most = b.iter().fold(1e-2f32, |most, b| most.max(b.abs()));
    a.iter().zip(b).fold(0f32, |worst, (a, b)| {
        worst.max(if (a - b).is_nan() { f32::MAX } else { (a - b).abs() / most })
    })
}

/// Value and gradients of `op`, where the inputs named by `narrow` are activations.
fn run(
    inputs: &[Tensor],
    narrow: &[usize],
    device: &Device,
    dtype: DType,
    op: &dyn Fn(&[Tensor]) -> Result<Tensor>,
) -> Vec<Vec<f32>> {
    let vars: Vec<Var> =
        inputs.iter().map(|t| Var::from_tensor(&t.to_device(device).unwrap()).unwrap()).collect();
    let cast = |(i, v): (usize, &Var)| {
        let t = v.as_tensor().clone();
        if narrow.contains(&i) { t.to_dtype(dtype).unwrap() } else { t }
    };
    let tensors: Vec<Tensor> = vars.iter().enumerate().map(cast).collect();
    let y = op(&tensors).unwrap().to_dtype(DType::F32).unwrap();
    let upstream = random(y.dims(), 99).to_device(device).unwrap();
    let store = (&y * upstream).unwrap().sum_all().unwrap().backward().unwrap();
    let mut all = vec![flat(&y)];
    all.extend(vars.iter().map(|v| flat(store.get(v).expect("a gradient"))));
    all
}

/// The GPU in `f32` and `bf16` against the CPU in `f32`.
fn same(name: &str, inputs: &[Tensor], narrow: &[usize], op: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let Some(gpu) = device() else { return };
    let expected = run(inputs, narrow, &Device::Cpu, DType::F32, &op);
    for (dtype, tolerance) in [(DType::F32, 2e-5), (DType::BF16, 2e-2)] {
        let got = run(inputs, narrow, &gpu, dtype, &op);
        for (i, (a, b)) in got.iter().zip(&expected).enumerate() {
            let d = distance(a, b);
            assert!(
                d < tolerance,
                "{name} in {dtype:?}, {}: {d}",
                if i == 0 { "value".into() } else { format!("gradient {}", i - 1) }
            );
        }
    }
}

#[test]
fn norms() {
    for (rows, width) in [(1, 1), (31, 33), (700, 128), (513, 1000)] {
        let inputs = [random(&[rows, width], 1), random(&[width], 2)];
        same("rms-norm", &inputs, &[0], |v| ops::rms_norm(&v[0], &v[1], 1e-6));
    }
}

#[test]
fn rotations() {
    let frequencies: Vec<f32> = (0..33).map(|i| 10_000f32.powf(-(i as f32) / 33.0)).collect();
    let table = Arc::new(RopeTable::new(&frequencies, 40).unwrap());
    let positions = Packing::sequences([31, 1, 40]).positions();
    same("rope", &[random(&[72, 3, 66], 1)], &[0], |v| ops::rope(&v[0], &positions, &table));
}

#[test]
fn gates() {
    let inputs = [random(&[33, 31], 1), random(&[33, 31], 2)];
    same("swiglu", &inputs, &[0, 1], |v| ops::swiglu(&v[0], &v[1]));
    let inputs = [random(&[33, 31], 1), random(&[17, 31], 2), random(&[17, 31], 3)];
    same("gated-linear", &inputs, &[0], |v| ops::gated_linear(&v[0], &v[1], &v[2]));
}

#[test]
fn products() {
    for (rows, inner, outer) in [(1, 1, 1), (33, 31, 65), (128, 256, 96)] {
        let (x, w) = (random(&[rows, inner], 1), random(&[outer, inner], 2));
        same("linear", &[x.clone(), w.clone()], &[0], |v| ops::linear(&v[0], &v[1]));
        let residual = random(&[rows, outer], 3);
        same("linear-add", &[x.clone(), w.clone(), residual], &[0, 2], |v| {
            ops::linear_add(&v[0], &v[1], &v[2])
        });
        let bias = random(&[outer], 4);
        same("linear-bias", &[x.clone(), w.clone(), bias], &[0], |v| {
            ops::linear_bias(&v[0], &v[1], &v[2])
        });
        let (a, b, frozen) = (random(&[3, inner], 5), random(&[outer, 3], 6), w.clone());
        same("linear-adapted", &[x.clone(), a, b], &[0], |v| {
            ops::linear_adapted(&v[0], &frozen.to_device(v[0].device())?, &v[1], &v[2], 0.5)
        });
        for dtype in [DType::F32, DType::BF16] {
            let frozen = w.to_dtype(dtype).unwrap();
            same("linear-frozen", std::slice::from_ref(&x), &[0], |v| {
                ops::linear_frozen(&v[0], &frozen.to_device(v[0].device())?)
            });
        }
    }
}

/// No kernel of ours takes part in these: their arithmetic can be checked without a GPU.
#[test]
fn products_of_tensors_on_a_cpu() {
    let check = |name: &str,
                 inputs: &[Tensor],
                 narrow: &[usize],
                 tensors: &dyn Fn(&[Tensor]) -> Result<Tensor>,
                 slices: &dyn Fn(&[Tensor]) -> Result<Tensor>| {
        let expected = run(inputs, narrow, &Device::Cpu, DType::F32, slices);
        for (dtype, tolerance) in [(DType::F32, 2e-5), (DType::BF16, 2e-2)] {
            let got = run(inputs, narrow, &Device::Cpu, dtype, tensors);
            for (i, (a, b)) in got.iter().zip(&expected).enumerate() {
                let d = distance(a, b);
                assert!(d < tolerance, "{name} in {dtype:?}, tensor {i}: {d}");
            }
        }
    };
    for (rows, inner, outer) in [(1, 1, 1), (33, 31, 65)] {
        let (x, w) = (random(&[rows, inner], 1), random(&[outer, inner], 2));
        check(
            "linear",
            &[x.clone(), w.clone()],
            &[0],
            &|v| operation("linear", [&v[0], &v[1]], super::linear, super::linear),
            &|v| ops::linear(&v[0], &v[1]),
        );
        let (residual, bias) = (random(&[rows, outer], 3), random(&[outer], 4));
        let add = |v: &[Tensor]| {
            operation("linear-add", [&v[0], &v[1], &v[2]], super::linear_add, super::linear_add)
        };
        check("linear-add", &[x.clone(), w.clone(), residual.clone()], &[0, 2], &add, &|v| {
            ops::linear_add(&v[0], &v[1], &v[2])
        });
        check("linear-bias", &[x.clone(), w.clone(), bias.clone()], &[0], &add, &|v| {
            ops::linear_bias(&v[0], &v[1], &v[2])
        });
        let frozen = |inputs: [&Tensor; 1]| super::linear_frozen(inputs[0], &w);
        let slices = |v: &[Tensor]| ops::linear_frozen(&v[0], &w);
        let inputs = std::slice::from_ref(&x);
        check(
            "linear-frozen",
            inputs,
            &[0],
            &|v| operation("linear-frozen", [&v[0]], frozen, frozen),
            &slices,
        );
        let frozen_add = |inputs: [&Tensor; 2]| super::linear_frozen_add(inputs, &w);
        let tensors =
            |v: &[Tensor]| operation("linear-frozen", [&v[0], &v[1]], frozen_add, frozen_add);
        let slices = |v: &[Tensor]| ops::linear_frozen_add(&v[0], &w, &v[1]);
        check("linear-frozen-add", &[x.clone(), residual], &[0, 1], &tensors, &slices);
        check("linear-frozen-bias", &[x.clone(), bias], &[0], &tensors, &slices);
        let adapted = |inputs: [&Tensor; 3]| super::linear_adapted(inputs, &w, 0.5);
        check(
            "linear-adapted",
            &[x.clone(), random(&[3, inner], 5), random(&[outer, 3], 6)],
            &[0],
            &|v| operation("linear-adapted", [&v[0], &v[1], &v[2]], adapted, adapted),
            &|v| ops::linear_adapted(&v[0], &w, &v[1], &v[2], 0.5),
        );
    }
}

#[test]
fn rows_of_tables() {
    let ids = Tensor::new(&[3u32, 0, 3, 6, 6, 6, 1], &Device::Cpu).unwrap();
    same("embedding", &[random(&[7, 300], 1)], &[], |v| ops::embedding(&ids, &v[0]));
    let frozen = random(&[4, 33], 1);
    same("embedding-rows", &[random(&[3, 33], 2)], &[], |v| {
        ops::embedding_rows(&ids, &frozen.to_device(v[0].device())?, Some(&v[0]))
    });
    same("rows of activations", &[random(&[7, 33], 1)], &[0], |v| ops::embedding(&ids, &v[0]));
    let old = Tensor::new(&[3u32, 0], &Device::Cpu).unwrap();
    same("embedding-rows without new ones", &[random(&[3, 33], 2)], &[], |v| {
        ops::embedding_rows(&old, &frozen.to_device(v[0].device())?, Some(&v[0]))
    });
}

#[test]
fn attention() {
    let trees = Packing::trees([(5, vec![3, 0, 2]), (33, vec![]), (1, vec![1, 1])]);
    let even = Packing::uniform(3, 17);
    let both_ways = Packing::bidirectional([5, 33, 1]);
    for packing in [trees, even, both_ways] {
        for (heads, kv_heads, width) in [(4, 2, 8), (2, 2, 33), (6, 1, 16)] {
            let tokens = packing.tokens();
            let kv = [random(&[tokens, kv_heads, width], 2), random(&[tokens, kv_heads, width], 3)];
            let [k, v] = kv;
            let inputs = [random(&[tokens, heads, width], 1), k.clone(), v.clone()];
            same("attention", &inputs, &[0, 1, 2], |t| {
                ops::packed_attention(&t[0], &t[1], &t[2], &packing, None)
            });
            let rows: Vec<u32> = (0..tokens as u32).filter(|row| row % 3 == 1).collect();
            let inputs = [random(&[rows.len(), heads, width], 1), k, v];
            same("attention of some rows", &inputs, &[0, 1, 2], |t| {
                ops::packed_attention(&t[0], &t[1], &t[2], &packing, Some(&rows))
            });
        }
    }
}

#[test]
fn log_probabilities() {
    for (rows, width, vocab) in [(1, 1, 1), (5, 8, 31), (33, 16, 700)] {
        let (hidden, head) = (random(&[rows, width], 1), random(&[vocab, width], 2));
        let reads: Vec<u32> = (0..2 * rows as u32).map(|i| i / 2).collect();
        let targets: Vec<u32> = (0..2 * rows).map(|i| (i * 7 % vocab) as u32).collect();
        same("log-probs", &[hidden.clone(), head.clone()], &[0], |v| {
            ops::token_log_probs_at(&v[0], &v[1], &reads, &targets)
        });
        let frozen = random(&[9, width], 3);
        let targets: Vec<u32> = (0..2 * rows).map(|i| (i * 7 % (vocab + 9)) as u32).collect();
        same("extended log-probs", &[hidden.clone(), head], &[0], |v| {
            let frozen = frozen.to_device(v[0].device())?;
            ops::token_log_probs_extended(&v[0], &frozen, Some(&v[1]), &reads, &targets)
        });
        let targets: Vec<u32> = (0..2 * rows).map(|i| (i * 7 % 9) as u32).collect();
        same("frozen log-probs", &[hidden], &[0], |v| {
            let frozen = frozen.to_device(v[0].device())?;
            ops::token_log_probs_extended(&v[0], &frozen, None, &reads, &targets)
        });
    }
}

#[test]
fn squares() {
    let Some(gpu) = device() else { return };
    let tensors = [random(&[300, 701], 1), random(&[1], 2)];
    let moved: Vec<Tensor> = tensors.iter().map(|t| t.to_device(&gpu).unwrap()).collect();
    let (a, b) = (ops::square_sum(&moved).unwrap(), ops::square_sum(&tensors).unwrap());
    assert!((a - b).abs() < 1e-5 * b, "{a} {b}");
}

#[test]
fn the_same_entries_are_dropped() {
    let keys: Arc<[u64]> = (0..40u64).map(|i| i.wrapping_mul(0x1234_5678_9abc_def1)).collect();
    same("dropout", &[random(&[40, 33], 1)], &[0], |v| ops::dropout(&v[0], 0.3, &keys, 7));
}

#[test]
fn steps_of_the_optimizer() {
    let Some(gpu) = device() else { return };
    let walk = |device: &Device| {
        let var = Var::from_tensor(&random(&[123, 7], 1).to_device(device).unwrap()).unwrap();
        let mut moments = ops::Moments::zeros(&var).unwrap();
        for step in 1..=20 {
            let gradient = random(&[123, 7], 100 + step).to_device(device).unwrap();
            let settings = ops::AdamW {
                learning_rate: 1e-2,
                beta1: 0.9,
                beta2: 0.99,
                epsilon: 1e-8,
                weight_decay: 0.1,
                step,
                gradient_scale: 0.5,
            };
            ops::adamw_step(&var, &gradient, &mut moments, &settings).unwrap();
        }
        let [first, second] = moments.values().unwrap();
        [flat(var.as_tensor()), first.into_owned(), second.into_owned()]
    };
    for (a, b) in walk(&gpu).iter().zip(&walk(&Device::Cpu)) {
        assert!(distance(a, b) < 1e-5);
    }
}
