//! Oracles for the tests of this folder: seeded tensors, and gradients compared three ways.

use candle_core::{Device, Result, Tensor, Var};
use rand::{Rng, SeedableRng};

/// Uniform entries in −1..1.
pub(super) fn random(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let n = shape.iter().product();
    let data: Vec<f32> = (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_vec(data, shape, &Device::Cpu).unwrap()
}

fn flat(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(what: &str, a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}, entry {i}: {a} against {b}");
    }
}

/// Checks value and gradients of `fused` against `plain` (a composition of candle's differentiable
/// operations), and a few gradient entries against central differences of the value.
pub(super) fn assert_same_gradients(
    inputs: &[Tensor],
    tolerance: f32,
    fused: impl Fn(&[Tensor]) -> Result<Tensor>,
    plain: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let vars: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let (a, b) = (fused(&tensors).unwrap(), plain(&tensors).unwrap());
    assert_eq!(a.dims(), b.dims());
    assert_close("value", &flat(&a), &flat(&b), tolerance);
    let upstream = random(a.dims(), 99);
    let gradients = |y: &Tensor| {
        let store = (y * &upstream).unwrap().sum_all().unwrap().backward().unwrap();
        vars.iter().map(|v| flat(store.get(v).expect("a gradient"))).collect::<Vec<_>>()
    };
    let (a, b) = (gradients(&a), gradients(&b));
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        assert_close(&format!("gradient of input {i}"), a, b, tolerance);
    }
    let upstream = flat(&upstream);
    let value = |inputs: &[Tensor]| -> f64 {
        let y = flat(&fused(inputs).unwrap());
        y.iter().zip(&upstream).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let step = 1e-2f32;
    for (i, input) in inputs.iter().enumerate() {
        for entry in [0, input.elem_count() / 2, input.elem_count() - 1] {
            let shifted = |by: f32| {
                let mut data = flat(input);
                data[entry] += by;
                let mut all = inputs.to_vec();
                all[i] = Tensor::from_vec(data, input.shape(), &Device::Cpu).unwrap();
                value(&all)
            };
            let slope = (shifted(step) - shifted(-step)) / (2.0 * f64::from(step));
            let (got, slope) = (a[i][entry], slope as f32);
            let bound = 2e-2 * (1.0 + slope.abs());
            assert!((got - slope).abs() < bound, "input {i}, entry {entry}: {got}, slope {slope}");
        }
    }
}
