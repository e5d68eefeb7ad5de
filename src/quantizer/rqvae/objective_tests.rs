//! The loss against its formula in f64 and finite differences; revival of idle codes.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::progress::Context;
use crate::quantizer::kmeans::squared_distance;
use crate::quantizer::levels::random;

const WIDTHS: [usize; 3] = [5, 6, 3];
const CODES: usize = 4;

fn settings() -> RqVaeSettings {
    let text = "vectors = \"v\"\nlevels = 2\ncodes = 4\ndim = 3\nhidden = [6]\ncommitment = 0.3";
    toml::from_str(text).unwrap()
}

fn values(network: &Network, name: &str) -> Vec<f64> {
    let var = network.parameters.var(name).unwrap();
    let all: Vec<f32> = var.as_tensor().flatten_all().unwrap().to_vec1().unwrap();
    all.into_iter().map(f64::from).collect()
}

/// `W x + b` by rows, with ReLU where it is asked for.
fn layer(network: &Network, name: &str, x: &[f64], relu: bool) -> Vec<f64> {
    let weight = values(network, &format!("{name}.weight"));
    let bias = values(network, &format!("{name}.bias"));
    let row = |(row, b): (&[f64], &f64)| {
        let sum: f64 = row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + b;
        if relu { sum.max(0.0) } else { sum }
    };
    weight.chunks_exact(x.len()).zip(&bias).map(row).collect()
}

fn encode(network: &Network, x: &[f64]) -> Vec<f64> {
    layer(network, "encoder.1", &layer(network, "encoder.0", x, true), false)
}

fn square(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// What the gradient takes for constant: of each item and level the residual and the chosen code, and `Σ e - z`.
struct Held {
    levels: Vec<(Vec<f64>, usize, Vec<f64>)>,
    straight: Vec<f64>,
}

fn hold(network: &Network, x: &[f64]) -> Held {
    let z = encode(network, x);
    let mut left = z.clone();
    let mut levels = Vec::new();
    for level in 0..2 {
        let codes = values(network, &format!("codes.{level}.weight"));
        let code = |at: usize| codes[at * 3..][..3].to_vec();
        let nearest = (0..CODES)
            .min_by(|&a, &b| square(&code(a), &left).total_cmp(&square(&code(b), &left)))
            .unwrap();
        levels.push((left.clone(), nearest, code(nearest)));
        left.iter_mut().zip(code(nearest)).for_each(|(x, c)| *x -= c);
    }
    Held { levels, straight: left.iter().map(|x| -x).collect() }
}

/// The formula of the module, with what is held held.
fn loss(network: &Network, x: &[f64], held: &Held) -> f64 {
    let z = encode(network, x);
    let read: Vec<f64> = z.iter().zip(&held.straight).map(|(z, s)| z + s).collect();
    let back = layer(network, "decoder.1", &layer(network, "decoder.0", &read, true), false);
    let mut sum = square(x, &back) / 5.0;
    let mut rest = z;
    for (level, (residual, code, chosen)) in held.levels.iter().enumerate() {
        let codes = values(network, &format!("codes.{level}.weight"));
        rest.iter_mut().zip(chosen).for_each(|(x, c)| *x -= c);
        let committed: f64 = rest.iter().map(|x| x * x).sum();
        sum += (square(residual, &codes[code * 3..][..3]) + 0.3 * committed) / 3.0;
    }
    sum
}

#[test]
fn the_loss_is_the_formula_and_its_gradients_are_its_slopes() {
    let network = Network::new(&WIDTHS, &[CODES; 2], Seed::new(3)).unwrap();
    let (settings, vectors) = (settings(), random(6, 5).data);
    let objective = Reconstruction::new(&network, &settings, (&vectors, 5), 100, Seed::new(1));
    let batch = objective.rows(0..6).unwrap();
    let found = objective.loss(&batch).unwrap();
    let rows: Vec<Vec<f64>> =
        vectors.chunks_exact(5).map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect();
    let held: Vec<Held> = rows.iter().map(|row| hold(&network, row)).collect();
    let total = || rows.iter().zip(&held).map(|(row, held)| loss(&network, row, held)).sum::<f64>();
    let expected = total();
    let value = f64::from(found.sum.to_scalar::<f32>().unwrap());
    assert!((value - expected).abs() < 1e-5 * expected, "{value} {expected}");

    let gradients = found.sum.backward().unwrap();
    let mut n_moved = 0;
    for parameter in &network.parameters {
        let gradient = gradients.get(parameter.var.as_tensor()).unwrap();
        let gradient: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
        let before: Vec<f32> = parameter.var.as_tensor().flatten_all().unwrap().to_vec1().unwrap();
        for at in 0..before.len() {
            let at_distance = |by: f32| {
                let mut moved = before.clone();
                moved[at] += by;
                let moved = Tensor::from_vec(moved, parameter.var.shape(), &Device::Cpu).unwrap();
                parameter.var.set(&moved).unwrap();
                total()
            };
            let slope = (at_distance(2e-3) - at_distance(-2e-3)) / 4e-3;
            at_distance(0.0);
            let got = f64::from(gradient[at]);
            n_moved += usize::from(got != 0.0);
            let name = &parameter.name;
            assert!((got - slope).abs() < 2e-3 * (1.0 + slope.abs()), "{name} {at}: {got} {slope}");
        }
    }
    assert!(n_moved > 80, "only {n_moved} numbers have a gradient");
}

#[test]
fn codes_that_no_item_chooses_move_to_where_items_are() {
    let network = Network::new(&WIDTHS, &[CODES; 2], Seed::new(3)).unwrap();
    let (settings, vectors) = (settings(), random(40, 5).data);
    let objective = Reconstruction::new(&network, &settings, (&vectors, 5), 1_000, Seed::new(1));
    let mut codes = network.code_values(0).unwrap();
    codes[3..6].fill(1e6);
    network.set_codes(0, codes.clone()).unwrap();
    // Not at any step, and not late in a training.
    objective.settle(99, 1_000).unwrap();
    objective.settle(1_000, 1_000).unwrap();
    assert_eq!(network.code_values(0).unwrap(), codes);
    objective.settle(100, 1_000).unwrap();
    let after = network.code_values(0).unwrap();
    let z: Vec<f32> = network
        .encode(&objective.rows(0..40).unwrap())
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    assert!(z.chunks_exact(3).any(|row| squared_distance(row, &after[3..6]) < 1e-8));
    let used: HashSet<u32> = nearest(&z, 3, &codes).into_iter().collect();
    for code in (0..CODES as u32).filter(|code| used.contains(code)) {
        let at = code as usize * 3;
        assert_eq!(after[at..at + 3], codes[at..at + 3], "a code in use stays");
    }
}

#[test]
fn a_collapse_ends_a_training_once_it_is_no_longer_young() {
    let network = Network::new(&WIDTHS, &[CODES; 2], Seed::new(3)).unwrap();
    let (settings, vectors) = (settings(), random(40, 5).data);
    let objective = Reconstruction::new(&network, &settings, (&vectors, 5), 1_000, Seed::new(1));
    super::super::start_codes(&network, &settings, (&vectors, 5), Seed::new(2), &Context::silent())
        .unwrap();
    assert_eq!(objective.measure(49, 1_000).unwrap(), []);
    assert_eq!(objective.measure(50, 1_000).unwrap().len(), 4);
    let mut codes = network.code_values(1).unwrap();
    codes[3..].fill(1e6);
    network.set_codes(1, codes).unwrap();
    let young = objective.measure(200, 1_000).unwrap();
    assert_eq!(young[2..], [("codes_used/2", 1.0), ("codes_perplexity/2", 1.0)]);
    let told = objective.measure(300, 1_000).unwrap_err().to_string();
    assert!(told.contains("level 2 collapsed: 1 of 4"), "{told}");
}
