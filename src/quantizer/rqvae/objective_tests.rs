//! The loss against its formula in f64 and finite differences; revival of idle codes.
#![allow(clippy::unwrap_used)]

use super::super::settings::CoChoiceSettings;
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

/// `Σ_i ln Σ_j exp s(i, j) - s(i, i)` of `together`, for pairs of items and partners.
fn together(
    network: &Network,
    (rows, held): (&[Vec<f64>], &[Held]),
    pairs: &Pairs,
    known: &Partners,
) -> f64 {
    let sum = |&item: &u32| -> Vec<f64> {
        let item = item as usize;
        let z = encode(network, &rows[item]);
        z.iter().zip(&held[item].straight).map(|(z, s)| z + s).collect()
    };
    let cosine = |a: &[f64], b: &[f64]| {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let [own, others] =
        [&pairs.items, &pairs.partners].map(|all| all.iter().map(sum).collect::<Vec<_>>());
    let score = |i: usize, j: usize| {
        cosine(&own[i], &others[j]) / 0.5 - f64::from(known.log_q(pairs.partners[j]))
    };
    let loss = |i: usize| {
        let counts = |j: &usize| {
            let (item, other) = (pairs.items[i], pairs.partners[*j]);
            *j == i || !(item == other || known.of(item).contains(&other))
        };
        let all: f64 = (0..own.len()).filter(counts).map(|j| score(i, j).exp()).sum();
        all.ln() - score(i, i)
    };
    (0..own.len()).map(loss).sum()
}

fn draws(items: std::ops::Range<u64>) -> Vec<Draw> {
    items.map(|example| Draw { example, global: 100 + example }).collect()
}

#[test]
fn the_loss_is_the_formula_and_its_gradients_are_its_slopes() {
    let alone = settings();
    let co_choice = toml::from_str("weight = 0.7\nwindow = 1\ntemperature = 0.5").unwrap();
    let pulled = RqVaeSettings { co_choice: Some(co_choice), ..settings() };
    // Item 3 was chosen beside no other.
    let histories = [vec![0, 1, 2], vec![4, 5], vec![5, 6, 0], vec![3], vec![2, 4, 6]];
    let partners = Partners::new(&histories, 7, 1);
    slopes(&alone, None);
    slopes(&pulled, Some(&partners));
}

fn slopes(settings: &RqVaeSettings, partners: Option<&Partners>) {
    let network = Network::new(&WIDTHS, &[CODES; 2], Seed::new(3)).unwrap();
    let vectors = random(7, 5).data;
    let objective =
        Reconstruction::new(&network, settings, (&vectors, 5), 100, Seed::new(1)).with(partners);
    let batch = objective.draw(&draws(0..6)).unwrap();
    let found = objective.loss(&batch).unwrap();
    let rows: Vec<Vec<f64>> =
        vectors.chunks_exact(5).map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect();
    let held: Vec<Held> = rows.iter().map(|row| hold(&network, row)).collect();
    let pairs = batch.pairs.as_ref().map(|(pairs, _)| pairs);
    assert_eq!(pairs.map(|pairs| pairs.rows.as_slice()), partners.map(|_| &[0, 1, 2, 4, 5][..]));
    let total = || {
        let of_items = rows.iter().zip(&held).take(6);
        let sum = of_items.map(|(row, held)| loss(&network, row, held)).sum::<f64>();
        let pulled = pairs.zip(partners);
        sum + pulled.map_or(0.0, |(pairs, partners)| {
            0.7 * together(&network, (&rows, &held), pairs, partners)
        })
    };
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
fn partners_are_drawn_anew_and_by_the_draw_alone() {
    let network = Network::new(&WIDTHS, &[CODES; 2], Seed::new(3)).unwrap();
    let settings = RqVaeSettings { co_choice: Some(CoChoiceSettings::default()), ..settings() };
    let vectors = random(40, 5).data;
    let histories: Vec<Vec<u32>> =
        (0..30).map(|user| (0..6).map(|k| (user * 7 + k * k) % 40).collect()).collect();
    let partners = Partners::new(&histories, 40, 5);
    let new = || Reconstruction::new(&network, &settings, (&vectors, 5), 100, Seed::new(1));
    let drawn = |draws: &[Draw]| {
        let (pairs, x) = new().with(Some(&partners)).draw(draws).unwrap().pairs.unwrap();
        assert_eq!(x.dims(), [pairs.partners.len(), 5]);
        for (item, partner) in pairs.items.iter().zip(&pairs.partners) {
            assert!(partners.of(*item).contains(partner));
        }
        pairs.partners
    };
    assert_eq!(drawn(&draws(0..20)), drawn(&draws(0..20)));
    let later: Vec<Draw> = (0..20).map(|example| Draw { example, global: 140 + example }).collect();
    assert_ne!(drawn(&draws(0..20)), drawn(&later));
    // One item alone is told from nobody, and a batch without any is as if nothing were asked for.
    let alone = new().with(Some(&partners)).draw(&draws(0..1)).unwrap();
    assert!(alone.pairs.is_none());
    let loss = new().with(Some(&partners)).loss(&alone).unwrap();
    assert_eq!(loss.metrics[1], ("co_choice", 0.0));
}

/// Parameters that a line of Python can write too.
fn filled(network: &Network) {
    let names = ["encoder.0", "encoder.1", "decoder.0", "decoder.1"];
    let layers = names.iter().flat_map(|name| [format!("{name}.weight"), format!("{name}.bias")]);
    let codes = (0..2).map(|level| format!("codes.{level}.weight"));
    for (k, name) in layers.chain(codes).enumerate() {
        let var = network.parameters.var(&name).unwrap();
        let scale = match &name {
            name if name.ends_with("bias") => 0.1,
            name if name.starts_with("codes") => 1.2,
            _ => 0.6,
        };
        let value = |i: usize| (scale * (((i + 1) * (k + 3)) as f64).powf(1.5).sin()) as f32;
        let values: Vec<f32> = (0..var.elem_count()).map(value).collect();
        var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap()).unwrap();
    }
}

/// Values of PyTorch 2.0.1 in float64, of the loss written there with `detach`, `cdist` and `cross_entropy`: the first two and
/// the last number of each gradient, and its length.
#[test]
fn loss_and_gradients_are_those_of_pytorch() {
    const ALONE: [(&str, [f64; 4]); 10] = [
        ("encoder.0.weight", [0.6275902, 0.1875856, -0.1289088, 7.07848]),
        ("encoder.0.bias", [0.4208032, 1.306937, -0.1378216, 1.944252]),
        ("encoder.1.weight", [-1.355008, 0.2673514, 0.6186181, 2.499062]),
        ("encoder.1.bias", [-0.6083597, 0.4655459, 1.908847, 2.056826]),
        ("decoder.0.weight", [0.3625773, 0.06844505, 0.02981106, 6.439363]),
        ("decoder.0.bias", [0.2368308, 3.555444, 0.3699212, 4.445364]),
        ("decoder.1.weight", [-0.3133518, 0.2865349, -1.48831, 8.139026]),
        ("decoder.1.bias", [0.6330606, 0.3840631, -0.5574559, 4.617083]),
        ("codes.0.weight", [0.0, 0.0, 0.4251145, 3.002626]),
        ("codes.1.weight", [-1.145446, -0.1224216, 1.629083, 3.813281]),
    ];
    /// Where items are pulled together: those of the encoder differ.
    const PULLED: [(&str, [f64; 4]); 4] = [
        ("encoder.0.weight", [0.4699736, 0.1404742, -0.7994983, 19.60112]),
        ("encoder.0.bias", [0.3151202, 1.554309, -0.826363, 3.643137]),
        ("encoder.1.weight", [-3.245552, -0.5293769, -1.081539, 7.509972]),
        ("encoder.1.bias", [-6.053229, 6.778942, -3.64373, 9.791445]),
    ];
    let network = Network::new(&WIDTHS, &[CODES; 2], Seed::new(3)).unwrap();
    filled(&network);
    let number = |i: usize| (2.0 * (2.3 * ((i + 1) * (i + 1)) as f64).sin()) as f32;
    let vectors: Vec<f32> = (0..40).map(number).collect();
    let co_choice = toml::from_str("weight = 0.7\nwindow = 1\ntemperature = 0.2").unwrap();
    let settings = RqVaeSettings { co_choice: Some(co_choice), ..settings() };
    let histories = [vec![0, 1], vec![1, 2], vec![2, 0], vec![4, 6], vec![5, 7]];
    let partners = Partners::new(&histories, 8, 1);
    let objective = Reconstruction::new(&network, &settings, (&vectors, 5), 100, Seed::new(1))
        .with(Some(&partners));
    let pairs = Pairs {
        rows: vec![0, 1, 2, 4, 5],
        items: vec![0, 1, 2, 4, 5],
        partners: vec![1, 2, 0, 6, 7],
    };
    let of_partners = objective.rows(pairs.partners.iter().copied()).unwrap();
    let mut batch = Batch { x: objective.rows(0..6).unwrap(), pairs: None };
    let pulled: Vec<_> = PULLED.iter().chain(&ALONE[4..]).copied().collect();
    let check = |batch: &Batch, [sum, pull]: [f64; 2], expected: &[(&str, [f64; 4])]| {
        let Loss { sum: found, metrics } = objective.loss(batch).unwrap();
        let near = |got: f64, expected: f64| (got - expected).abs() < 2e-5 * (1.0 + expected.abs());
        let value = f64::from(found.to_scalar::<f32>().unwrap());
        assert!(near(value, sum) && near(metrics[1].1, pull), "{value} {metrics:?}");
        assert!(near(metrics[0].1, 17.267570621479905), "{metrics:?}");
        let gradients = found.backward().unwrap();
        for (name, [first, second, last, length]) in expected {
            let gradient =
                gradients.get(network.parameters.var(name).unwrap().as_tensor()).unwrap();
            let gradient: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
            let norm = gradient.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let at = |at: usize| f64::from(gradient[at]);
            let found = [at(0), at(1), at(gradient.len() - 1), norm];
            let all = found.iter().zip([first, second, last, length]);
            assert!(all.clone().all(|(got, expected)| near(*got, *expected)), "{name}: {found:?}");
        }
    };
    check(&batch, [27.378936577466774, 0.0], &ALONE);
    batch.pairs = Some((pairs, of_partners));
    check(&batch, [45.946915984677034, 26.52568486744323], &pulled);
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
