//! The whole of it on a small judged corpus: levels, gradients, resume, and what is learnt.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rand::Rng;

use super::super::encoder;
use super::model::Model;
use super::settings::{MmseLevels, PretrainedText, RankingLoss};
use super::*;
use crate::corpus::Corpus;
use crate::corpus::kinds::CorpusSettings;
use crate::corpus::settings::{JudgedPairsSettings, PairSplit, SimulatedClicks};
use crate::inputs::testing::Place;
use crate::model::Parameter;
use crate::seed::Seed;
use crate::train::course::settings::{Course, OptimizerSettings};
use crate::train::held_out::Nobody;
use crate::train::objective::Objective;
use crate::train::objective::contrastive::feedback::Reached;
use crate::train::objective::contrastive::settings::Contrast;
use crate::train::sampler::Draw;
use crate::vectors::settings::EncoderSettings;

const ITEMS: &str = "item_id,title\n0,red sofa\n1,blue sofa\n2,oak table\n3,red lamp\n4,blue lamp\n\
                     5,cordless drill\n6,a red oak table\n7,the 12 in drill\n";
const PAIRS: &str = "query,item_id,grade,split\nred sofa,0,3,train\nred sofa,1,2.33,train\n\
                     red sofa,3,1,train\noak,2,2.67,train\noak,6,2.5,train\noak,0,1.33,train\n\
                     lamp,4,3,train\nlamp,3,2.33,train\nlamp,5,1,train\ndrill,5,3,train\n\
                     drill,7,2.33,train\ndrill,2,2,train\nblue,1,2.5,train\nred,0,1,train\n\
                     sofa,1,3,valid\ntable,2,3,test\n";

struct Shop {
    folder: tempfile::TempDir,
    corpus: Corpus,
    catalogue: Catalogue,
}

impl Shop {
    fn new(clicks: Option<SimulatedClicks>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("items.csv"), ITEMS).unwrap();
        std::fs::write(folder.path().join("pairs.csv"), PAIRS).unwrap();
        let source = JudgedPairsSettings {
            path: folder.path().into(),
            items_file: "items.csv".into(),
            pairs_file: "pairs.csv".into(),
            columns: Default::default(),
            split: PairSplit::Column {
                column: "split".into(),
                train: "train".into(),
                validation: "valid".into(),
                test: "test".into(),
            },
            clicks,
            item_columns: Vec::new(),
            malformed_share: 0.0,
        };
        let out = folder.path().join("corpus");
        let source = CorpusSettings::JudgedPairs(source);
        crate::corpus::build(&source, Seed::new(1), &out, &Context::silent()).unwrap();
        let corpus = Corpus::open(&out).unwrap();
        let catalogue = corpus.catalogue().unwrap();
        Self { folder, corpus, catalogue }
    }

    fn feedback(&self, settings: &MmseSettings) -> Result<Feedback> {
        Feedback::gather(&self.corpus, &self.catalogue, &settings.contrast)
    }

    fn fit(&self, settings: &MmseSettings, name: &str, ctx: &Context) -> Result<PathBuf> {
        self.fit_on(None, settings, name, ctx)
    }

    fn fit_on(
        &self,
        base: Option<&Path>,
        settings: &MmseSettings,
        name: &str,
        ctx: &Context,
    ) -> Result<PathBuf> {
        let (out, work) =
            (self.folder.path().join(name), self.folder.path().join("work").join(name));
        let mut place = Place::new(Some(self.corpus.folder()), &out, &work);
        if let Some(base) = base {
            place.inputs.put(Role::Vectors, base);
        }
        fit(settings, "mmse", &place.step(Seed::new(5), ctx), &Nobody)?;
        Ok(out)
    }
}

fn grades() -> MmseLevels {
    MmseLevels::Grades { ordered: 2.67, clicked: 2.33 }
}

fn small() -> MmseSettings {
    MmseSettings {
        text: MmseText::Bag { dim: 8, vocabulary: 300, ngrams: 2, buckets: 100 },
        contrast: Contrast { levels: grades(), uniform: 4, ..Contrast::default() },
        course: Course { batch: 4, epochs: 4.0, ..Course::default() },
        ..MmseSettings::default()
    }
}

#[test]
fn grades_become_levels_at_their_thresholds() {
    let shop = Shop::new(None);
    let feedback = shop.feedback(&small()).unwrap();
    let texts: Vec<&str> = feedback.examples.iter().map(|e| e.text.as_str()).collect();
    // `red` has no positive and is no example.
    assert_eq!(texts.len(), 5);
    let of = |text: &str| feedback.examples.iter().find(|e| e.text == text).unwrap();
    let oak = of("oak");
    assert_eq!(
        (&oak.ordered[..], &oak.clicked[..], &oak.shown[..]),
        (&[2][..], &[6][..], &[0][..])
    );
    assert_eq!(of("red sofa").clicked, [1]);
    assert_eq!(feedback.positives[oak.query as usize], [2, 6]);
    // Both positives of item 1 are always drawn, by two of five examples.
    assert!((feedback.drawn[1] - 2.0 / 5.0).abs() < 1e-6);
    let merged =
        MmseSettings { contrast: Contrast { order_as_click: true, ..small().contrast }, ..small() };
    let merged = shop.feedback(&merged).unwrap();
    assert!(merged.examples.iter().all(|e| e.ordered.is_empty()));
    assert!(Reached::Ordered > Reached::Clicked && Reached::Clicked > Reached::Shown);
}

#[test]
fn a_level_that_no_signal_gives_is_refused() {
    let told = |shop: &Shop, settings: MmseSettings| {
        let error = shop.feedback(&settings).err().unwrap();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let shop = Shop::new(None);
    let high = MmseLevels::Grades { ordered: 3.5, clicked: 2.33 };
    let none = told(
        &shop,
        MmseSettings { contrast: Contrast { levels: high.clone(), ..small().contrast }, ..small() },
    );
    assert!(none.contains("reaches the level `ordered` (ordered 0, clicked 9, shown 5)"), "{none}");
    assert!(none.contains("set ordered = 0"), "{none}");
    assert!(
        shop.feedback(&MmseSettings {
            contrast: Contrast { levels: high, ordered: 0, ..small().contrast },
            ..small()
        })
        .is_ok()
    );
    let nothing = MmseSettings {
        contrast: Contrast { levels: MmseLevels::Impressions {}, ..small().contrast },
        ..small()
    };
    let nothing = told(&shop, nothing);
    assert!(nothing.contains("there are no impressions of training requests"), "{nothing}");
    let clicks = SimulatedClicks { sessions_per_query: 20, ..Default::default() };
    let clicked = Shop::new(Some(clicks));
    let impressions = MmseSettings {
        contrast: Contrast { levels: MmseLevels::Impressions {}, ..small().contrast },
        ..small()
    };
    let unordered = told(&clicked, impressions.clone());
    assert!(unordered.contains("reaches the level `ordered` (ordered 0,"), "{unordered}");
    assert!(
        clicked
            .feedback(&MmseSettings {
                contrast: Contrast { ordered: 0, ..impressions.contrast.clone() },
                ..impressions
            })
            .is_ok()
    );
}

#[test]
fn every_parameter_gets_a_gradient_under_every_loss() {
    let shop = Shop::new(None);
    let tokenizer = || {
        let texts = (0..shop.catalogue.len() as u32).map(|item| shop.catalogue.text(item));
        Tokenizer::train_bpe(texts, 300, &Context::silent())
    };
    let losses = [
        (1.0, 0.0, RankingLoss::Pairwise),
        (0.0, 1.0, RankingLoss::Pairwise),
        (0.0, 1.0, RankingLoss::Lambda),
        (0.0, 1.0, RankingLoss::Listwise),
    ];
    for text in model::tests::texts() {
        for (retrieval, ranking, ranking_loss) in losses {
            let settings = MmseSettings {
                text: text.clone(),
                channels: 2,
                contrast: Contrast {
                    retrieval,
                    ranking,
                    ranking_loss,
                    pseudo_requests: 0.0,
                    ..small().contrast
                },
                ..small()
            };
            let model = Model::new(&settings, shop.catalogue.len(), Seed::new(3), None, &tokenizer)
                .unwrap();
            // Items of which something is known: at 0 their vectors hide the layer that meets them.
            if let Some(var) = model.parameters().get("item.embed.weight") {
                var.set(&var.affine(1.0, 0.3).unwrap()).unwrap();
            }
            let feedback = shop.feedback(&settings).unwrap();
            let readings =
                read(&model, &shop.catalogue, &feedback, None, &Context::silent()).unwrap();
            let catalogue = &shop.catalogue;
            let objective = Contrastive::new(
                &model,
                catalogue,
                feedback,
                &readings,
                &settings.contrast,
                Seed::new(4),
            );
            let draws: Vec<Draw> =
                (0..5).map(|example| Draw { example, global: example }).collect();
            let loss = objective.loss(&objective.draw(&draws).unwrap()).unwrap();
            assert!(loss.sum.to_scalar::<f32>().unwrap() > 0.0);
            let store = loss.sum.backward().unwrap();
            for Parameter { name, var, .. } in model.parameters() {
                let gradient = store.get(var).unwrap_or_else(|| panic!("{name}"));
                if name.ends_with("self.key.bias") {
                    // A softmax over keys does not see what is added to all of them.
                    continue;
                }
                let largest = gradient.abs().unwrap().max_all().unwrap();
                assert!(largest.to_scalar::<f32>().unwrap() > 0.0, "{name}, {settings:?}");
            }
        }
    }
}

/// The loss of a batch of these examples at the start of a training, summed over its rows.
fn loss_of(shop: &Shop, settings: &MmseSettings, examples: &[u64]) -> f32 {
    at_start(shop, settings, |objective| {
        let draws: Vec<Draw> =
            examples.iter().map(|&example| Draw { example, global: example }).collect();
        let loss = objective.loss(&objective.draw(&draws).unwrap()).unwrap();
        loss.sum.to_scalar::<f32>().unwrap()
    })
}

fn at_start<T>(
    shop: &Shop,
    settings: &MmseSettings,
    ask: impl Fn(&Contrastive<'_, Model>) -> T,
) -> T {
    let tokenizer = || Tokenizer::train_bpe(["red oak"].iter(), 300, &Context::silent());
    let model = Model::new(settings, 8, Seed::new(3), None, &tokenizer).unwrap();
    let feedback = shop.feedback(settings).unwrap();
    let readings = read(&model, &shop.catalogue, &feedback, None, &Context::silent()).unwrap();
    let (catalogue, contrast) = (&shop.catalogue, &settings.contrast);
    ask(&Contrastive::new(&model, catalogue, feedback, &readings, contrast, Seed::new(4)))
}

/// Number of the example with a query.
fn example(shop: &Shop, settings: &MmseSettings, query: &str) -> u64 {
    let feedback = shop.feedback(settings).unwrap();
    feedback.examples.iter().position(|one| one.text == query).unwrap() as u64
}

#[test]
fn other_positives_of_a_text_are_no_negatives_of_it() {
    // One request whose only other columns are its own positives: nothing can push them apart.
    let shop = Shop::new(None);
    let settings = MmseSettings {
        contrast: Contrast {
            uniform: 0,
            shown: 0,
            ranking: 0.0,
            pseudo_requests: 0.0,
            ..small().contrast
        },
        ..small()
    };
    assert_eq!(loss_of(&shop, &settings, &[0]), 0.0);
    assert!(loss_of(&shop, &settings, &[0, 1]) > 0.0);
}

#[test]
fn an_order_counts_as_many_times_a_click_of_another_request() {
    let shop = Shop::new(None);
    let base = MmseSettings {
        contrast: Contrast {
            uniform: 0,
            shown: 0,
            ranking: 0.0,
            pseudo_requests: 0.0,
            log_q: false,
            temperature: 1.0,
            ..small().contrast
        },
        ..small()
    };
    let settings = |ordered_weight| MmseSettings {
        contrast: Contrast { ordered_weight, ..base.contrast.clone() },
        ..base.clone()
    };
    let examples = ["oak", "blue"].map(|query| example(&shop, &base, query));
    let loss = |weight: f64| f64::from(loss_of(&shop, &settings(weight), &examples));
    // oak brings an order and a click, blue a click: (w a + b + c) · 2 / (w + 2).
    let (one, four) = (loss(1.0) * 3.0 / 2.0, loss(4.0) * 6.0 / 2.0);
    let order = (four - one) / 3.0;
    assert!(order > 0.1);
    let expected = (9.0 * order + (one - order)) * 2.0 / 11.0;
    assert!((loss(9.0) - expected).abs() < 1e-5, "{} against {expected}", loss(9.0));
}

#[test]
fn rows_that_have_nothing_to_rank_do_not_thin_the_ranking_loss() {
    let shop = Shop::new(None);
    for ranking_loss in [RankingLoss::Pairwise, RankingLoss::Lambda, RankingLoss::Listwise] {
        let settings = MmseSettings {
            contrast: Contrast {
                retrieval: 0.0,
                ranking: 1.0,
                ranking_loss,
                uniform: 0,
                pseudo_requests: 0.0,
                ..small().contrast
            },
            ..small()
        };
        let [oak, blue] = ["oak", "blue"].map(|query| example(&shop, &settings, query));
        let alone = loss_of(&shop, &settings, &[oak]);
        let beside = loss_of(&shop, &settings, &[oak, blue]) / 2.0;
        assert!(alone > 0.01 && (alone - beside).abs() < 1e-5, "{alone} against {beside}");
    }
}

#[test]
fn q_is_how_often_an_item_is_in_the_pool() {
    let shop = Shop::new(None);
    let settings = MmseSettings {
        text: model::tests::texts()[0].clone(),
        contrast: Contrast {
            ordered: 1,
            clicked: 1,
            uniform: 3,
            pseudo_requests: 0.4,
            ..small().contrast
        },
        ..small()
    };
    at_start(&shop, &settings, |objective| {
        // Rows that are drawn independently, as Q supposes.
        let rounds = 4_000;
        let mut rng = Seed::new(8).rng();
        let mut seen = [0u32; 8];
        let mut expected = [0f32; 8];
        for round in 0..rounds {
            let draws: Vec<Draw> = (0..3)
                .map(|row| Draw {
                    example: rng.random_range(0..objective.n_examples()),
                    global: round * 3 + row,
                })
                .collect();
            let batch = objective.draw(&draws).unwrap();
            for (column, log_q) in objective.log_q(&batch).into_iter().enumerate() {
                let item = batch.items[column] as usize;
                seen[item] += u32::from(batch.pool[column]);
                expected[item] = log_q.exp();
            }
        }
        for (item, (seen, expected)) in seen.into_iter().zip(expected).enumerate() {
            let share = seen as f32 / rounds as f32;
            assert!((share - expected).abs() < 0.03, "item {item}: {share} against {expected}");
        }
        assert!(expected[1] > 1.2 * expected[0], "{expected:?}");
    });
}

#[test]
fn an_interrupted_training_ends_with_the_same_bits() {
    let shop = Shop::new(None);
    let text = model::tests::texts()[3].clone();
    let settings = MmseSettings { text, channels: 2, ..small() };
    let straight = shop.fit(&settings, "straight", &Context::silent()).unwrap();
    // With the flag up from the start, every call makes one step and leaves.
    for _ in 0..3 {
        let stopped = Context::new(true, Arc::new(AtomicBool::new(true)));
        assert!(matches!(shop.fit(&settings, "resumed", &stopped), Err(Error::Interrupted)));
    }
    let resumed = shop.fit(&settings, "resumed", &Context::silent()).unwrap();
    for file in [VECTORS_FILE, "heads.safetensors", "text/model.safetensors"] {
        let bytes = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
        assert!(bytes(&straight) == bytes(&resumed), "{file}");
    }
}

#[test]
fn training_finds_items_and_orders_them() {
    let shop = Shop::new(None);
    let settings = MmseSettings {
        course: Course {
            epochs: 120.0,
            optimizer: OptimizerSettings { learning_rate: 1e-2, ..Default::default() },
            ..small().course
        },
        contrast: Contrast { ranking: 1.0, pseudo_requests: 0.2, ..small().contrast },
        ..small()
    };
    let folder = shop.fit(&settings, "fit", &Context::silent()).unwrap();
    let ranker = load(&folder, &shop.catalogue).unwrap();
    for request in shop.corpus.requests(Split::Train).unwrap() {
        let best = match request.ask.query.as_deref() {
            Some("red sofa") => [0, 1],
            Some("oak") => [2, 6],
            Some("lamp") => [4, 3],
            Some("drill") => [5, 7],
            _ => continue,
        };
        let found: Vec<u32> =
            ranker.nearest(&request.ask).unwrap().iter().take(2).map(|r| r.0).collect();
        assert_eq!(found, best, "{:?}", request.ask.query);
    }
}

#[test]
fn the_encoder_of_other_vectors_gives_what_its_folder_gives() {
    let shop = Shop::new(None);
    let MmseText::Pretrained(pretrained) = model::tests::texts()[3].clone() else { panic!() };
    let base = shop.folder.path().join("base");
    std::fs::create_dir_all(&base).unwrap();
    let encoder: EncoderSettings = serde_json::from_value(
        serde_json::json!({ "path": pretrained.path, "query_prefix": pretrained.query_prefix }),
    )
    .unwrap();
    let source = encoder::Source::Encoder(&encoder);
    encoder::fit(&shop.corpus, &shop.catalogue, source, &base, &Context::silent()).unwrap();
    let settings = |text| MmseSettings { text, ..small() };
    let own = MmseText::Pretrained(PretrainedText { train: false, ..pretrained });
    let own = shop.fit(&settings(own), "own", &Context::silent()).unwrap();
    let other = MmseText::Vectors { vectors: "base".into() };
    let silent = Context::silent();
    assert!(shop.fit(&settings(other.clone()), "none", &silent).is_err());
    let other = shop.fit_on(Some(&base), &settings(other), "other", &silent).unwrap();
    let vectors = |folder: &Path| Vectors::read(&folder.join(VECTORS_FILE), None).unwrap();
    let (own_vectors, other_vectors) = (vectors(&own), vectors(&other));
    // Items are encoded one by one or many at once.
    for (a, b) in own_vectors.data.iter().zip(other_vectors.data.iter()) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
    // Items that come later are encoded as those of the catalogue were.
    let based = vectors(&base);
    for (folder, expected, base) in
        [(&own, &own_vectors, None), (&other, &other_vectors, Some(&based))]
    {
        let later = encode(folder, &shop.catalogue, base, &silent).unwrap();
        for (a, b) in later.data.iter().zip(expected.data.iter()) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
    // Once written, it needs the others no more.
    std::fs::remove_dir_all(&base).unwrap();
    load(&other, &shop.catalogue).unwrap();
}

#[test]
fn vectors_of_another_training_are_refused() {
    let shop = Shop::new(None);
    let fit = |name: &str, text| {
        let settings = MmseSettings { text, ..small() };
        shop.fit(&settings, name, &Context::silent()).unwrap()
    };
    for text in [small().text, model::tests::texts()[3].clone()] {
        let folder = fit("own", text);
        let made = load(&folder, &shop.catalogue).unwrap().vectors;
        let later = encode(&folder, &shop.catalogue, None, &Context::silent()).unwrap();
        assert!(later.dim == made.dim && later.len() == made.len());
        let heads = folder.join("heads.safetensors");
        let mut bytes = std::fs::read(&heads).unwrap();
        // The lowest bit of the last number.
        let last = bytes.len() - 4;
        bytes[last] ^= 1;
        std::fs::write(&heads, bytes).unwrap();
        let text = load(&folder, &shop.catalogue).err().unwrap().to_string();
        assert!(text.contains("the vectors were built by another encoder"), "{text}");
        std::fs::remove_dir_all(shop.folder.path().join("work/own")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
