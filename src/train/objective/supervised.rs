//! Supervised fine-tuning: request → identifier by cross-entropy on identifier tokens.
//!
//! Three kinds of examples share one loss: a request and an item clicked for it; a user's sequence,
//! where every position predicts the next item in one pass; and pseudo-requests, where a random
//! title substring asks for its item, so that items nobody clicked are learnt too.
//!
//! A decoder of several identifiers learns each example once in each of them: an epoch has an
//! example per answer and identifier. With shares it learns as many, each in an identifier that is
//! drawn.
//!
//! In spans, an example is a sample of the spans of its item, drawn anew each time. They count
//! together as much as one answer, so that an item's many words do not outweigh its few codes.

use std::ops::Range;

use rand::Rng;
use rayon::prelude::*;

use super::{Row, TargetBatch};
use crate::decode::prompt::PromptBuilder;
use crate::error::{Error, Result};
use crate::model::decoder::Decoder;
use crate::seed::Seed;
use crate::train::data::prompts::Prompts;
use crate::train::data::pseudo::pseudo_request;
use crate::train::data::spans::SpanLessons;
use crate::train::objective::{Loss, Objective};
use crate::train::sampler::Draw;
use crate::train::settings::SupervisedSettings;

/// One example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Example {
    /// Prompt tokens and the item that answers them.
    Answer {
        /// Index into the prompts.
        prompt: u32,
        /// Item index.
        item: u32,
    },
    /// Items of a user in time order.
    Sequence(Vec<u32>),
    /// Words of this item's title ask for it, where there is no feedback at all.
    Title(u32),
}

/// An identifier, as it is asked for.
pub struct Asked<'a> {
    /// Renders requests, and spells items.
    pub builder: &'a PromptBuilder,
    /// Tokens of each distinct prompt.
    pub tokens: Prompts,
    /// How items are said, where that is by spans of their texts.
    pub spans: Option<SpanLessons<'a>>,
}

/// What is learned from.
pub struct Material<'a> {
    /// The examples.
    pub examples: Vec<Example>,
    /// Title of each item; empty where there is none.
    pub titles: Vec<&'a str>,
    /// Words of the query of each prompt; may be empty where no identifier is one of spans.
    pub queries: Vec<Option<&'a str>>,
}

/// The objective.
pub struct Supervised<'a> {
    decoder: &'a Decoder,
    /// By identifier; there is at least one.
    asked: Vec<Asked<'a>>,
    material: Material<'a>,
    settings: SupervisedSettings,
    /// Token ids of the codes of each level of each identifier, ascending.
    levels: Vec<Range<u32>>,
    seed: Seed,
}

impl<'a> Supervised<'a> {
    /// Gathers what is needed to make examples.
    ///
    /// # Errors
    /// [`Error::Failed`] when there is no example to learn from.
    pub fn new(
        decoder: &'a Decoder,
        asked: Vec<Asked<'a>>,
        material: Material<'a>,
        settings: &SupervisedSettings,
        seed: Seed,
    ) -> Result<Self> {
        if asked.is_empty() {
            return Err(Error::Failed("there is no identifier to learn: please report it".into()));
        }
        if material.examples.is_empty() {
            return Err(Error::Failed(
                "there is no training example: no training request has a click".into(),
            ));
        }
        let mut levels: Vec<Range<u32>> =
            asked.iter().flat_map(|one| one.builder.items().levels()).collect();
        levels.sort_unstable_by_key(|level| level.start);
        if asked.iter().any(|one| one.spans.is_some()) {
            // What spans are made of: all that stands before codes and mode tokens.
            let modes = asked.iter().filter_map(|one| one.spans.as_ref()?.first_mode());
            let vocabulary = decoder.config().vocab_size as u32;
            let codes = levels.first().map(|level| level.start);
            let end = codes.into_iter().chain(modes).min().unwrap_or(vocabulary);
            levels.insert(0, 0..end);
        }
        let (settings, seed) = (settings.clone(), seed.purpose("pseudo-requests"));
        Ok(Self { decoder, asked, material, settings, levels, seed })
    }

    /// An example by its number in an epoch, and the identifier that answers it.
    fn example(&self, number: u64) -> (&Example, &Asked<'a>) {
        let n = self.asked.len();
        (&self.material.examples[number as usize / n], &self.asked[number as usize % n])
    }

    /// The same for a draw, whose identifier may be drawn by the shares.
    fn drawn(&self, draw: &Draw) -> (&Example, &Asked<'a>) {
        let (example, asked) = self.example(draw.example);
        let Some(shares) = &self.settings.shares else { return (example, asked) };
        let mut left = self.seed.purpose("identifiers").index(draw.global).rng().random::<f64>()
            * shares.iter().sum::<f64>();
        for (share, asked) in shares.iter().zip(&self.asked) {
            left -= share;
            if left < 0.0 {
                return (example, asked);
            }
        }
        (example, asked)
    }

    fn rows(&self, draw: &Draw) -> Result<Vec<Row>> {
        let mut rng = self.seed.index(draw.global).rng();
        let (example, asked) = self.drawn(draw);
        if !matches!(example, Example::Title(_)) && rng.random_bool(self.settings.pseudo_requests) {
            let item = rng.random_range(0..self.material.titles.len()) as u32;
            let rows = self.pseudo_request(item, asked, &mut rng)?;
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
        match example {
            Example::Answer { prompt, item } => {
                let query = self.material.queries.get(*prompt as usize).copied().flatten();
                self.answers(&asked.tokens.tokens(*prompt), query, *item, asked, &mut rng)
            }
            Example::Sequence(items) => Ok(vec![sequence(items, asked.builder, &mut rng)?]),
            Example::Title(item) => {
                let rows = self.pseudo_request(*item, asked, &mut rng)?;
                if rows.is_empty() {
                    let message = format!("item {item} has no title to ask for it by");
                    return Err(Error::Failed(message));
                }
                Ok(rows)
            }
        }
    }

    /// A prompt with the answers that name an item; none where spans are to name it and it has no text.
    fn answers(
        &self,
        prompt: &[u32],
        query: Option<&str>,
        item: u32,
        asked: &Asked<'_>,
        rng: &mut impl Rng,
    ) -> Result<Vec<Row>> {
        match &asked.spans {
            Some(lessons) => lessons.rows(prompt, query, item, rng),
            None => Ok(vec![Row::answer(prompt, asked.builder.items().tokens(item))]),
        }
    }

    /// A random substring of an item's title; nothing when it has none.
    fn pseudo_request(&self, item: u32, asked: &Asked<'_>, rng: &mut impl Rng) -> Result<Vec<Row>> {
        let words = self.settings.pseudo_words;
        let title = self.material.titles[item as usize];
        let Some(query) = pseudo_request(title, words, rng) else { return Ok(Vec::new()) };
        let prompt = asked.builder.build(Some(&query), &[])?;
        self.answers(&prompt.tokens, Some(&query), item, asked, rng)
    }
}

/// Every position predicts the next item, where a history can be continued; else a random one does.
/// Long sequences give a random window.
fn sequence(items: &[u32], prompts: &PromptBuilder, rng: &mut impl Rng) -> Result<Row> {
    let all = prompts.items();
    let Some(opening) = prompts.history_token() else {
        let at = rng.random_range(1..items.len());
        let prompt = prompts.build(None, &items[..at])?;
        return Ok(Row::answer(&prompt.tokens, all.tokens(items[at])));
    };
    let window = (prompts.history_items() + 1).min(items.len());
    let start = rng.random_range(0..=items.len() - window);
    let answer: Vec<u32> = items[start..start + window]
        .iter()
        .flat_map(|&item| all.tokens(item).iter().copied())
        .collect();
    Ok(Row::answer(&[opening], &answer))
}

impl Objective for Supervised<'_> {
    type Batch = TargetBatch;

    fn n_examples(&self) -> u64 {
        (self.material.examples.len() * self.asked.len()) as u64
    }

    fn length(&self, example: u64) -> u32 {
        let (example, asked) = self.example(example);
        match example {
            Example::Answer { prompt, .. } => asked.tokens.length(*prompt),
            Example::Sequence(items) => items.len() as u32,
            Example::Title(_) => self.settings.pseudo_words[1],
        }
    }

    fn draw(&self, draws: &[Draw]) -> Result<TargetBatch> {
        let rows: Vec<Vec<Row>> =
            draws.par_iter().map(|draw| self.rows(draw)).collect::<Result<_>>()?;
        if self.decoder.drops() {
            // What is dropped belongs to the draw, so draws do not share a prompt.
            let key = |draw: &Draw| self.seed.purpose("dropout").index(draw.global).to_u64();
            let keys = draws.iter().zip(&rows).flat_map(|(draw, own)| vec![key(draw); own.len()]);
            let keys: Vec<u64> = keys.collect();
            return TargetBatch::with_keys(&rows.concat(), keys);
        }
        // Items that were clicked for one prompt are branches of it.
        TargetBatch::new(&Row::share_prompts(rows.concat()))
    }

    fn weight(&self, batch: &TargetBatch) -> f64 {
        batch.weight()
    }

    fn tokens(&self, batch: &TargetBatch) -> u64 {
        batch.n_tokens()
    }

    fn describe(&self, draw: &Draw) -> String {
        let number = draw.example;
        let mut rng = self.seed.index(draw.global).rng();
        let (example, _) = self.example(number);
        if let Example::Title(item) = example {
            return format!("example {number} (words of the title of item {item})");
        }
        if rng.random_bool(self.settings.pseudo_requests) {
            return format!("example {number} as a pseudo-request");
        }
        match example {
            Example::Answer { prompt, item } => {
                format!("example {number} (training request {prompt} → item {item})")
            }
            Example::Sequence(items) => {
                format!("example {number} (a sequence of {} items)", items.len())
            }
            Example::Title(_) => format!("example {number}"),
        }
    }

    fn loss(&self, batch: &TargetBatch) -> Result<Loss> {
        let hidden = batch.hidden_in_training(self.decoder)?;
        let sum = batch.weighed(&batch.log_probs_by(self.decoder, &hidden)?)?.neg()?;
        let share = self.settings.label_smoothing();
        if share == 0.0 {
            return Ok(Loss { sum, metrics: Vec::new() });
        }
        // (1 − ε) ln p(target) + ε mean ln p(code of the level) = ln p(target) − ε (logit of the target − mean logit).
        let margins = batch.weighed(&batch.margins_by(self.decoder, &hidden, &self.levels)?)?;
        Ok(Loss { sum: (sum + (margins * share)?)?, metrics: Vec::new() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::decode::prompt::tests::scratch;
    use crate::model::Tokenizer;
    use crate::model::config::tests::small;
    use crate::model::decoder::tests::lively;
    use crate::model::item_tokens::ItemTokens;
    use crate::progress::Context;

    /// Items of two levels of 3 and 2 codes, asked for in two identifiers.
    struct Shop {
        decoder: Decoder,
        builders: [PromptBuilder; 2],
        /// Token ids of the levels of both.
        levels: [Range<u32>; 4],
    }

    impl Shop {
        fn new() -> Self {
            let mut tokenizer =
                Tokenizer::train_bpe(TITLES.iter(), 270, &Context::silent()).unwrap();
            let tokens: Vec<String> = (0..10).map(|i| format!("<a_{i}>")).collect();
            let first = tokenizer.extend(&tokens).unwrap().start;
            let modes = ["<|as:1|>", "<|as:2|>"].map(str::to_owned);
            let mode = tokenizer.extend_special(&modes).unwrap().start;
            let builders = [0, 1].map(|place| {
                let items = ItemTokens::new(&[0, 1, 2, 0, 1, 1], &[3, 2], first + 5 * place);
                let builder = PromptBuilder::new(tokenizer.clone(), items, &scratch()).unwrap();
                builder.in_mode(Some(mode + place))
            });
            let levels = [(0, 3), (3, 5), (5, 8), (8, 10)].map(|(a, b)| first + a..first + b);
            Self { decoder: lively(small(tokenizer.len())), builders, levels }
        }

        fn objective(&self, pseudo_requests: f64, label_smoothing: Option<f64>) -> Supervised<'_> {
            let asked = self.builders.iter().map(|builder| {
                let prompt = builder.build(Some("red"), &[]).unwrap().tokens;
                Asked { builder, tokens: vec![prompt].into(), spans: None }
            });
            let settings = SupervisedSettings {
                pseudo_requests,
                label_smoothing,
                ..SupervisedSettings::default()
            };
            let examples = vec![
                Example::Answer { prompt: 0, item: 2 },
                Example::Sequence(vec![0, 1, 2]),
                Example::Title(1),
            ];
            let (titles, seed) = (TITLES.to_vec(), Seed::new(1));
            let material = Material { examples, titles, queries: Vec::new() };
            Supervised::new(&self.decoder, asked.collect(), material, &settings, seed).unwrap()
        }
    }

    const TITLES: [&str; 3] = ["red oak", "blue sofa", "lamp"];

    fn all_draws() -> Vec<Draw> {
        (0..6).map(|example| Draw { example, global: example }).collect()
    }

    fn value(objective: &Supervised<'_>, batch: &TargetBatch) -> f64 {
        f64::from(objective.loss(batch).unwrap().sum.to_scalar::<f32>().unwrap())
    }

    /// PyTorch's `cross_entropy(label_smoothing)`, whose classes are the codes of the target's level.
    #[test]
    fn a_smoothed_loss_is_that_of_targets_spread_over_the_codes_of_their_level() {
        let shop = Shop::new();
        let objective = shop.objective(0.0, Some(0.2));
        let draws = all_draws();
        let batch = objective.draw(&draws).unwrap();
        let rows: Vec<Row> = draws.iter().flat_map(|draw| objective.rows(draw).unwrap()).collect();
        let shared = Row::share_prompts(rows);
        let targets: Vec<u32> = shared.iter().flat_map(Row::targets).collect();
        assert_eq!(targets.len(), batch.n_targets());
        let (mut hard, mut expected) = (0.0, 0.0);
        let mut seen = BTreeSet::new();
        for (place, &target) in targets.iter().enumerate() {
            let level = shop.levels.iter().position(|level| level.contains(&target)).unwrap();
            let codes: Vec<u32> = shop.levels[level].clone().collect();
            let places = vec![place as u32; codes.len()];
            // Under the softmax over the full vocabulary.
            let log_p = batch.log_probs_of(&shop.decoder, &places, &codes).unwrap();
            let own = f64::from(log_p[(target - shop.levels[level].start) as usize]);
            let mean = log_p.iter().map(|&p| f64::from(p)).sum::<f64>() / codes.len() as f64;
            hard -= own;
            expected -= 0.8 * own + 0.2 * mean;
            seen.insert(level);
        }
        assert_eq!(seen.len(), 4, "all levels of both identifiers");
        let (got, tolerance) = (value(&objective, &batch), 1e-5 * expected);
        assert!((got - expected).abs() < tolerance, "{got} {expected}");
        assert!((expected - hard).abs() > 100.0 * tolerance);
        // Without it the loss is the cross-entropy, to the bit; and 0 is without.
        let plain = objective.loss(&batch).unwrap();
        let of = |smoothing| value(&shop.objective(0.0, smoothing), &batch).to_bits();
        let log_probs = batch.log_probs(&shop.decoder).unwrap().sum_all().unwrap().neg().unwrap();
        let log_probs = f64::from(log_probs.to_scalar::<f32>().unwrap()).to_bits();
        assert_eq!([of(None), of(Some(0.0))], [log_probs; 2]);
        assert_eq!(plain.metrics.len(), 0);
    }

    #[test]
    fn gradients_of_a_smoothed_loss_are_those_of_finite_differences() {
        let shop = Shop::new();
        let objective = shop.objective(0.0, Some(0.3));
        let batch = objective.draw(&all_draws()).unwrap();
        let store = objective.loss(&batch).unwrap().sum.backward().unwrap();
        for name in ["model.embed_tokens.weight", "model.norm.weight"] {
            let var = shop.decoder.trained().var(name).unwrap();
            let gradient = store.get(var).unwrap();
            let length = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
            let length = f64::from(length).sqrt();
            let before = var.as_tensor().copy().unwrap();
            let at = |way: f64| {
                let moved = (&before + (gradient * (way / length)).unwrap()).unwrap();
                var.set(&moved).unwrap();
                value(&objective, &batch)
            };
            let slope = (at(5e-3) - at(-5e-3)) / 1e-2;
            var.set(&before).unwrap();
            assert!((slope - length).abs() < 0.02 * length, "{name}: {slope} {length}");
        }
    }

    #[test]
    fn each_example_is_learnt_in_each_identifier_once_an_epoch() {
        let shop = Shop::new();
        let first = shop.levels[0].start;
        for pseudo_requests in [0.0, 1.0] {
            let objective = shop.objective(pseudo_requests, None);
            assert_eq!(objective.n_examples(), 6);
            let mut learnt = BTreeSet::new();
            for example in 0..6 {
                let draw = Draw { example, global: example };
                let row = objective.rows(&draw).unwrap().remove(0);
                let places: BTreeSet<u32> =
                    row.targets().map(|token| (token - first) / 5).collect();
                assert_eq!((row.targets().count(), places.len()), (2, 1));
                let place = *places.first().unwrap();
                assert_eq!(row.prompt().last(), Some(&(first + 10 + place)), "example {example}");
                let codes =
                    row.prompt().iter().filter(|token| (first..first + 10).contains(*token));
                assert!(codes.into_iter().all(|token| (token - first) / 5 == place));
                learnt.insert((example / 2, place));
            }
            assert_eq!(learnt.len(), 6);
        }
    }
}
