//! The whole model on small catalogues: what positions see, what is learnt, resumption, and what is refused.

#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::settings::SasrecCourse;
use super::*;
use crate::inputs::testing::Place;
use crate::model::Parameter;
use crate::model::parameters::tests::by_decay;
use crate::progress::Context;
use crate::seed::Seed;
use crate::train::course::settings::{Course, OptimizerSettings, Schedule, ValidationSettings};
use crate::train::gradients::dense_gradients;
use crate::train::objective::Objective;
use crate::train::sampler::Draw;

const ITEMS: usize = 20;
const LOSSES: [SasrecLoss; 3] = [
    SasrecLoss::FullSoftmax,
    SasrecLoss::SampledSoftmax { negatives: 8 },
    SasrecLoss::Gbce { negatives: 8, calibration: 0.75 },
];

fn settings(loss: SasrecLoss) -> SasrecSettings {
    SasrecSettings {
        train: None,
        init: None,
        name: "sasrec".into(),
        dim: 16,
        layers: 2,
        heads: 2,
        feed_forward: 24,
        length: 6,
        dropout: 0.1,
        loss,
        course: Course {
            epochs: 30.0,
            batch: 16,
            optimizer: OptimizerSettings { learning_rate: 1e-2, ..Default::default() },
            validation: every(5.0),
            checkpoint_steps: 7,
            ..Course::default()
        },
        seed: None,
    }
}

/// Validation after so many epochs.
fn every(epochs: f64) -> Option<ValidationSettings<SasrecCourse>> {
    Some(ValidationSettings { every_epochs: Some(epochs), ..Default::default() })
}

/// Sequences in which item `i` is always followed by `i + 1`.
fn lawful() -> Sequences {
    let sequence = |i: u32| (0..3 + i % 8).map(|j| (i * 7 + j) % ITEMS as u32).collect();
    Sequences { list: (0..60).map(sequence).collect(), n_items: ITEMS, source: "corpus".into() }
}

/// Share of items whose successor comes first behind a history that ends with them.
fn law_kept(model: &Sasrec) -> f64 {
    let histories: Vec<Vec<u32>> = (0..ITEMS as u32)
        .map(|last| vec![(last + 18) % ITEMS as u32, (last + 19) % ITEMS as u32, last])
        .collect();
    let histories: Vec<&[u32]> = histories.iter().map(Vec::as_slice).collect();
    let lists = model.rank_all(&histories, &vec![Vec::new(); ITEMS], 1).unwrap();
    let hits = (0u32..).zip(&lists).filter(|(i, list)| list[0].0 == (i + 1) % ITEMS as u32);
    hits.count() as f64 / ITEMS as f64
}

struct Folders(tempfile::TempDir);

impl Folders {
    fn new() -> Self {
        let folders = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(folders.out()).unwrap();
        std::fs::create_dir(folders.work()).unwrap();
        folders
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("out")
    }

    fn work(&self) -> PathBuf {
        self.0.path().join("work")
    }

    fn fit(
        &self,
        sequences: &Sequences,
        settings: &SasrecSettings,
        ctx: &Context,
        validate: impl FnMut(&Sasrec) -> Result<f64>,
    ) -> Result<()> {
        let place = Place::new(None, &self.out(), &self.work());
        fit(sequences, settings, &place.step(Seed::new(4), ctx), validate)
    }
}

fn ask(history: Vec<u32>) -> Ask {
    Ask { history, ..Ask::default() }
}

#[test]
fn every_loss_learns_a_law_and_the_best_weights_answer() {
    for loss in LOSSES {
        let (folders, sequences) = (Folders::new(), lawful());
        let best = Cell::new(0.0f64);
        let mut settings = settings(loss);
        if let SasrecLoss::Gbce { .. } = loss {
            // First all scores fall, since nearly all items are wrong; only then items are told apart.
            settings.course.epochs = 120.0;
            let patient = ValidationSettings { patience: Some(100), ..every(5.0).unwrap() };
            settings.course.validation = Some(patient);
            settings.course.optimizer.schedule = Schedule::Constant;
        }
        folders
            .fit(&sequences, &settings, &Context::silent(), |model| {
                best.set(best.get().max(law_kept(model)));
                Ok(law_kept(model))
            })
            .unwrap();
        let model = Sasrec::load(&folders.out(), ITEMS).unwrap();
        assert!(best.get() >= 0.95, "{loss:?}: {}", best.get());
        assert_eq!(law_kept(&model), best.get(), "{loss:?}");
        // One request and many give the same lists; what is excluded is not returned.
        let list = model.retrieve(&ask(vec![3, 4, 5]), 3, &[2, 6]).unwrap();
        assert!(list.len() == 3 && list.iter().all(|(item, _)| ![2, 6].contains(item)));
        let together = model.rank_all(&[&[1], &[3, 4, 5]], &[Vec::new(), vec![2, 6]], 3).unwrap();
        for (a, b) in list.iter().zip(&together[1]) {
            assert!(a.0 == b.0 && (a.1 - b.1).abs() < 1e-4);
        }
        assert!(model.retrieve(&ask(Vec::new()), 3, &[]).unwrap().is_empty());
        let asked = [ask(vec![1]), ask(Vec::new()), ask(vec![3, 4, 5])];
        let asked: Vec<&Ask> = asked.iter().collect();
        let all = model.retrieve_all(&asked, 3, &[vec![], vec![], vec![2, 6]]).unwrap();
        assert_eq!(all, [together[0].clone(), Vec::new(), together[1].clone()]);
    }
}

#[test]
fn a_position_sees_itself_and_what_came_before() {
    let network = Network::new(&settings(SasrecLoss::FullSoftmax), ITEMS, Seed::new(1)).unwrap();
    let states = |sequences: &[&[u32]]| {
        let packed = Packed::newest(sequences.iter().copied(), 6);
        network.all_states(&packed, None).unwrap().to_vec2::<f32>().unwrap()
    };
    let base = states(&[&[1, 2, 3, 4], &[5, 6]]);
    for place in 0..4 {
        let mut changed = [1, 2, 3, 4];
        changed[place] = 9;
        let other = states(&[&changed, &[5, 6]]);
        assert_eq!(base[..place], other[..place], "earlier positions");
        assert!(base[place..4].iter().zip(&other[place..4]).all(|(a, b)| a != b), "later ones");
        assert_eq!(base[4..], other[4..], "other sequences");
    }
    // Alone, packed, and with the last block cut to the newest position.
    let last = network
        .last_states(&Packed::newest([&[1u32, 2, 3, 4][..], &[5, 6]].into_iter(), 6))
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    let alone = states(&[&[5, 6]]);
    for (a, b) in [(&last[0], &base[3]), (&last[1], &base[5]), (&alone[1], &base[5])] {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5));
    }
    // The order of items matters.
    assert_ne!(states(&[&[1, 2, 4]])[2], states(&[&[2, 1, 4]])[2]);
}

#[test]
fn only_the_newest_items_are_read_and_each_predicts_the_next() {
    let sequences = Sequences {
        list: vec![(0..9).collect(), vec![7], vec![4, 2]],
        n_items: ITEMS,
        source: "corpus".into(),
    };
    let settings = settings(SasrecLoss::SampledSoftmax { negatives: 5 });
    let network = Network::new(&settings, ITEMS, Seed::new(1)).unwrap();
    let objective = NextItem::new(&network, &sequences.list, ITEMS, &settings, Seed::new(2));
    assert_eq!(objective.n_examples(), 2, "a single item has nothing to predict");
    let draw = |example: u64, epoch: u64| Draw { example, global: 2 * epoch + example };
    let batch = objective.draw(&[draw(0, 0), draw(1, 0)]).unwrap();
    assert_eq!(batch.inputs_and_targets(), (vec![2, 3, 4, 5, 6, 7, 4], vec![3, 4, 5, 6, 7, 8, 2]));
    assert_eq!(objective.weight(&batch), 7.0);
    let value = |draws: &[Draw]| {
        let batch = objective.draw(draws).unwrap();
        objective.loss(&batch).unwrap().sum.to_scalar::<f32>().unwrap()
    };
    assert_eq!(value(&[draw(0, 0)]), value(&[draw(0, 0)]), "a draw is a function of its index");
    assert_ne!(value(&[draw(0, 0)]), value(&[draw(0, 1)]), "the next epoch drops and draws others");
}

#[test]
fn products_decay_and_norms_biases_and_embeddings_do_not() {
    let settings = SasrecSettings { layers: 1, ..settings(SasrecLoss::FullSoftmax) };
    let network = Network::new(&settings, ITEMS, Seed::new(1)).unwrap();
    let decayed = ["down_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
        .map(|part| format!("layers.0.{part}.weight"));
    let others = [
        "embed_items.weight",
        "embed_positions.weight",
        "layers.0.attention_norm.weight",
        "layers.0.down_proj.bias",
        "layers.0.feed_forward_norm.weight",
        "layers.0.up_proj.bias",
        "norm.weight",
    ];
    assert_eq!(by_decay(network.parameters()), [decayed.to_vec(), others.map(Into::into).to_vec()]);
}

#[test]
fn every_parameter_gets_a_gradient_that_is_the_slope() {
    for loss in LOSSES {
        let (settings, sequences) = (settings(loss), lawful());
        let network = Network::new(&settings, ITEMS, Seed::new(3)).unwrap();
        let objective = NextItem::new(&network, &sequences.list, ITEMS, &settings, Seed::new(2));
        let draws: Vec<Draw> = (0..6).map(|i| Draw { example: i, global: i }).collect();
        let batch = objective.draw(&draws).unwrap();
        let value = || f64::from(objective.loss(&batch).unwrap().sum.to_scalar::<f32>().unwrap());
        let gradients = dense_gradients(network.parameters(), &objective, &batch).unwrap();
        for (Parameter { name, var, .. }, gradient) in network.parameters().iter().zip(gradients) {
            let gradient = gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(gradient.iter().any(|g| *g != 0.0), "{name}");
            // Along the gradient itself, whose slope is its squared length.
            let length = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            let before = var.as_tensor().copy().unwrap();
            let along = |step: f64| {
                let step = (step / length) as f32;
                let values = before.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let moved: Vec<f32> =
                    values.iter().zip(&gradient).map(|(value, g)| value + step * g).collect();
                let moved = candle_core::Tensor::from_vec(moved, before.shape(), before.device());
                var.set(&moved.unwrap()).unwrap();
                value()
            };
            let slope = (along(5e-3) - along(-5e-3)) / 1e-2;
            var.set(&before).unwrap();
            let bound = 0.03 * length + 0.02;
            assert!((slope - length).abs() < bound, "{loss:?} {name}: {slope}, {length}");
        }
    }
}

#[test]
fn a_resumed_training_ends_with_the_same_bits() {
    let mut settings = settings(SasrecLoss::Gbce { negatives: 8, calibration: 0.5 });
    settings.course.epochs = 12.0;
    settings.course.validation = every(1.0);
    let sequences = lawful();
    let straight = Folders::new();
    straight.fit(&sequences, &settings, &Context::silent(), |model| Ok(law_kept(model))).unwrap();
    let resumed = Folders::new();
    let interrupted = Arc::new(AtomicBool::new(false));
    for stops in [Some(3), Some(2), None] {
        interrupted.store(false, Ordering::Relaxed);
        let ctx = Context::new(true, interrupted.clone());
        let mut left = stops.unwrap_or(u32::MAX);
        let result = resumed.fit(&sequences, &settings, &ctx, |model| {
            left -= 1;
            interrupted.store(left == 0, Ordering::Relaxed);
            Ok(law_kept(model))
        });
        assert_eq!(result.is_err(), stops.is_some());
        if let Err(error) = result {
            assert_eq!(error.exit_code(), 130);
            assert!(!resumed.out().join(WEIGHTS_FILE).exists());
        }
    }
    let bytes = |folders: &Folders| std::fs::read(folders.out().join(WEIGHTS_FILE)).unwrap();
    assert!(bytes(&straight) == bytes(&resumed));
}

#[test]
fn training_ends_when_validation_no_longer_improves() {
    let (folders, sequences) = (Folders::new(), lawful());
    let mut settings = settings(SasrecLoss::FullSoftmax);
    let patient = ValidationSettings { patience: Some(3), ..every(1.0).unwrap() };
    settings.course.validation = Some(patient);
    let mut calls = 0;
    let fitted = folders.fit(&sequences, &settings, &Context::silent(), |_| {
        calls += 1;
        Ok(if calls == 2 { 0.5 } else { 0.1 })
    });
    fitted.unwrap();
    assert_eq!(calls, 5);
}

#[test]
fn what_cannot_be_learnt_from_is_refused() {
    let refused = |sequences: &Sequences, settings: &SasrecSettings| {
        let folders = Folders::new();
        let error = folders.fit(sequences, settings, &Context::silent(), |_| Ok(0.0));
        let error = error.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(std::fs::read_dir(folders.out()).unwrap().count(), 0);
        error.to_string()
    };
    let full = settings(SasrecLoss::FullSoftmax);
    let short = Sequences { list: vec![vec![1], vec![2]], ..lawful() };
    let told = refused(&short, &full);
    assert!(told.contains("no training sequence has two items"), "{told}");
    let greedy = settings(SasrecLoss::Gbce { negatives: 20, calibration: 0.5 });
    let told = refused(&lawful(), &greedy);
    assert!(told.contains("has 20 items, and 20 negatives per step"), "{told}");
}

#[test]
fn foreign_and_damaged_folders_are_refused() {
    let (folders, sequences) = (Folders::new(), lawful());
    let mut settings = settings(SasrecLoss::FullSoftmax);
    settings.course.epochs = 1.0;
    folders.fit(&sequences, &settings, &Context::silent(), |_| Ok(0.0)).unwrap();
    let told = |n_items| match Sasrec::load(&folders.out(), n_items) {
        Ok(_) => panic!("was loaded"),
        Err(error) => {
            assert_eq!(error.exit_code(), 2);
            error.to_string()
        }
    };
    // 2 layers of 4 · 16² + 2 · 16 · 24 + 24 + 3 · 16, 20 items, 6 positions and a norm.
    assert_eq!(stored_parameters(&folders.out()).unwrap(), 2 * 1_864 + 27 * 16);
    assert!(told(ITEMS + 1).contains("knows 20 items, the catalogue has 21"));
    let path = folders.out().join(SETTINGS_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"format\": 1", "\"format\": 9")).unwrap();
    assert!(told(ITEMS).contains("format version 9, expected 1"));
    std::fs::write(&path, text.replace("\"dim\": 16", "\"dim\": 18")).unwrap();
    assert!(told(ITEMS).contains("embed_items.weight"));
}

#[test]
fn a_training_goes_on_from_weights_and_shape_of_another() {
    let ctx = Context::silent();
    let (folders, further) = (Folders::new(), Folders::new());
    let loss = SasrecLoss::FullSoftmax;
    let course = Course { epochs: 1.0, validation: None, ..settings(loss).course };
    let first = SasrecSettings { course: course.clone(), ..settings(loss) };
    let never = |_: &Sasrec| -> Result<f64> { unreachable!() };
    folders.fit(&lawful(), &first, &ctx, never).unwrap();
    let optimizer = OptimizerSettings { learning_rate: 0.0, ..course.optimizer.clone() };
    let course = Course { optimizer, ..course };
    let still = SasrecSettings { dim: 64, layers: 1, length: 9, dropout: 0.4, course, ..first };
    let mut place = Place::new(None, &further.out(), &further.work());
    place.inputs.put(Role::Start, &folders.out());
    fit(&lawful(), &still, &place.step(Seed::new(9), &ctx), never).unwrap();
    let [first, still] = [folders, further].map(|at| Sasrec::load(&at.out(), ITEMS).unwrap());
    assert_eq!((still.settings.dim, still.settings.layers, still.settings.length), (16, 2, 6));
    assert_eq!(still.settings.dropout, 0.4, "what is no shape is its own");
    let scores = |model: &Sasrec| model.scores(&[&[3, 4], &[7]]).unwrap();
    assert_eq!(scores(&first), scores(&still));
}
