//! What a search by vectors finds, taught to a decoder as soft targets at every level of the identifier.
//!
//! The teacher gives every item a probability, `p(i) = (1 − λ) softmax(⟨q, x_i⟩ / τ) + λ [i was clicked] / n`. Below a prefix of
//! codes the items share its mass; the target of a code is its share of the mass of its parent. By the chain rule the
//! product of the targets along a path is `p` of its items, so that a decoder that says them all ranks as the teacher does,
//! however coarse the codes are (compare RIPOR's prefix-oriented ranking, arXiv 2311.09134). Only legal codes are compared.

use rand::Rng;
use rayon::prelude::*;
use trieval_kernels::ops::{Candidates, dots, softmax_in_place};
use trieval_kernels::top::Pool;

use super::{Loss, Objective, Row, TargetBatch};
use crate::corpus::Ask;
use crate::decode::prompt::PromptBuilder;
use crate::error::{Error, Result};
use crate::model::Decoder;
use crate::seed::Seed;
use crate::train::data::prompts::Prompts;
use crate::train::data::pseudo::pseudo_request;
use crate::train::sampler::Draw;
use crate::train::settings::DistillationSettings;

/// Turns what is asked into the vector that a search takes.
pub type Encode<'a> = dyn Fn(&Ask) -> Result<Vec<f32>> + Sync + 'a;

/// A training request.
pub struct Example {
    /// Number of its prompt.
    pub prompt: u32,
    /// Number of its vector, which equal requests share.
    pub vector: u32,
    /// Items that were clicked for such a request, ascending.
    pub clicked: Vec<u32>,
}

/// Items in the order of their paths, so that those below any prefix are a range.
pub struct Paths {
    /// `[items]`.
    order: Vec<u32>,
    /// Per level the code of every item, in that order.
    codes: Vec<Vec<u32>>,
    /// Per level the places at which another prefix of so many codes begins.
    begins: Vec<Vec<u32>>,
}

impl Paths {
    /// Of codes `[items, levels]`.
    pub fn new(codes: &[u32], levels: usize) -> Self {
        let n = codes.len().checked_div(levels).unwrap_or(0);
        let path = |item: u32| &codes[item as usize * levels..][..levels];
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.par_sort_by(|&a, &b| path(a).cmp(path(b)).then(a.cmp(&b)));
        let level_codes = |level: usize| order.iter().map(|&item| path(item)[level]).collect();
        let begin = |level: usize| {
            let differs = |place: &usize| {
                *place == 0 || path(order[*place])[..=level] != path(order[*place - 1])[..=level]
            };
            (0..n).filter(differs).map(|place| place as u32).collect()
        };
        Self {
            codes: (0..levels).map(level_codes).collect(),
            begins: (0..levels).map(begin).collect(),
            order,
        }
    }

    fn levels(&self) -> usize {
        self.codes.len()
    }

    /// The places of the items below the prefixes of the path at a place: of no code, one code, and so on.
    fn ranges(&self, place: usize) -> Vec<(usize, usize)> {
        let mut ranges = vec![(0, self.order.len())];
        for begins in &self.begins {
            let next = begins.partition_point(|&begin| begin as usize <= place);
            let begin = begins[next - 1] as usize;
            ranges.push((begin, begins.get(next).map_or(self.order.len(), |&end| end as usize)));
        }
        ranges
    }

    /// The codes that continue a prefix, at a level, with the places of their items.
    fn children(
        &self,
        level: usize,
        (begin, end): (usize, usize),
    ) -> impl Iterator<Item = (u32, usize, usize)> {
        let begins = &self.begins[level];
        let first = begins.partition_point(|&one| (one as usize) < begin);
        let last = begins.partition_point(|&one| (one as usize) < end);
        (first..last).map(move |at| {
            let from = begins[at] as usize;
            let to = if at + 1 < last { begins[at + 1] as usize } else { end };
            (self.codes[level][from], from, to)
        })
    }
}

/// The search that teaches.
pub struct Teacher<'a> {
    /// Encodes pseudo-requests.
    pub encode: &'a Encode<'a>,
    /// Vectors of the training requests, `[vectors][dim]`.
    pub queries: Vec<Vec<f32>>,
    /// Vectors of items in the order of their paths, `[items, dim]`.
    items: Vec<f32>,
    dim: usize,
}

impl<'a> Teacher<'a> {
    /// `items [items, dim]` in the order of the catalogue.
    pub fn new(
        encode: &'a Encode<'a>,
        queries: Vec<Vec<f32>>,
        (items, dim): (&[f32], usize),
        paths: &Paths,
    ) -> Self {
        let row = |&item: &u32| &items[item as usize * dim..][..dim];
        let items = paths.order.iter().flat_map(|item| row(item).iter().copied()).collect();
        Self { encode, queries, items, dim }
    }
}

/// What is learned.
pub struct Distillation<'a> {
    decoder: &'a Decoder,
    builder: &'a PromptBuilder,
    prompts: Prompts,
    examples: Vec<Example>,
    titles: Vec<&'a str>,
    paths: Paths,
    /// Place of every item among the paths, `[items]`.
    places: Vec<u32>,
    teacher: Teacher<'a>,
    settings: DistillationSettings,
    /// Examples that the whole training draws.
    n_draws: u64,
    seed: Seed,
}

/// Prompts with paths, and the targets along them.
pub struct Batch {
    targets: TargetBatch,
    candidates: Candidates,
    requests: usize,
}

/// A prompt, paths, and at which of their tokens which codes compete.
type Drawn = (Row, Vec<(usize, Vec<(u32, f32)>)>);

impl<'a> Distillation<'a> {
    /// Gathers what is needed; the training draws `n_draws` examples in all.
    ///
    /// # Errors
    /// [`Error::Failed`] when there is no example to learn from.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        decoder: &'a Decoder,
        (builder, prompts): (&'a PromptBuilder, Prompts),
        examples: Vec<Example>,
        titles: Vec<&'a str>,
        paths: Paths,
        teacher: Teacher<'a>,
        settings: &DistillationSettings,
        (epochs, seed): (f64, Seed),
    ) -> Result<Self> {
        if examples.is_empty() {
            return Err(Error::Failed("there is no training request to learn from".into()));
        }
        let mut places = vec![0; paths.order.len()];
        for (place, &item) in (0u32..).zip(&paths.order) {
            places[item as usize] = place;
        }
        let n_draws = ((examples.len() as f64 * epochs).ceil() as u64).max(1);
        let (settings, seed) = (settings.clone(), seed.purpose("distillation"));
        Ok(Self {
            decoder,
            builder,
            prompts,
            examples,
            titles,
            paths,
            places,
            teacher,
            settings,
            n_draws,
            seed,
        })
    }

    /// The same where it is learned beside something else: `n_draws` are those of both.
    #[must_use]
    pub fn among(self, n_draws: u64) -> Self {
        Self { n_draws: n_draws.max(1), ..self }
    }

    /// Levels that are learned by the time of a draw.
    fn open_levels(&self, draw: &Draw) -> usize {
        let levels = self.paths.levels();
        let done = draw.global as f64 / self.n_draws as f64;
        if done >= self.settings.progressive {
            return levels;
        }
        (1 + (levels as f64 * done / self.settings.progressive) as usize).min(levels)
    }

    /// The prompt of a draw, its vector, and what was clicked for it.
    fn asked(&self, draw: &Draw, rng: &mut impl Rng) -> Result<(Vec<u32>, Vec<f32>, Vec<u32>)> {
        if rng.random_bool(self.settings.pseudo_requests) {
            let item = rng.random_range(0..self.titles.len()) as u32;
            let title = self.titles[item as usize];
            if let Some(query) = pseudo_request(title, self.settings.pseudo_words, rng) {
                let prompt = self.builder.build(Some(&query), &[])?.tokens;
                let ask = Ask { query: Some(query), ..Ask::default() };
                return Ok((prompt, (self.teacher.encode)(&ask)?, vec![item]));
            }
        }
        let example = &self.examples[draw.example as usize];
        let prompt = self.prompts.tokens(example.prompt).into_owned();
        let vector = self.teacher.queries[example.vector as usize].clone();
        Ok((prompt, vector, example.clicked.clone()))
    }

    fn drawn(&self, draw: &Draw) -> Result<Drawn> {
        let mut rng = self.seed.index(draw.global).rng();
        let (prompt, query, clicked) = self.asked(draw, &mut rng)?;
        let n = self.places.len();
        let mut share = vec![0f32; n];
        dots(&self.teacher.items, self.teacher.dim, &query, &mut share);
        let open = self.open_levels(draw);
        let n_answers = if open > 1 { self.settings.answers as usize } else { 1 };
        let mut best = Pool::new(self.settings.top as usize);
        if n_answers > 1 {
            for candidate in (0u32..).zip(share.iter().copied()) {
                if best.takes(&candidate) {
                    best.offer(candidate);
                }
            }
        }
        softmax_in_place(&mut share, (1.0 / self.settings.temperature) as f32);
        let clicks = if clicked.is_empty() { 0.0 } else { self.settings.clicks };
        if clicks > 0.0 {
            share.iter_mut().for_each(|p| *p *= (1.0 - clicks) as f32);
            for &item in &clicked {
                share[self.places[item as usize] as usize] +=
                    (clicks / clicked.len() as f64) as f32;
            }
        }
        // Mass of all items before a place, so that that of a range is a difference.
        let mut before = Vec::with_capacity(n + 1);
        let mut sum = 0f64;
        before.push(sum);
        for &p in &share {
            sum += f64::from(p);
            before.push(sum);
        }
        let by_mass = rng.random_range(0.0..sum.max(f64::MIN_POSITIVE));
        let first = before.partition_point(|&mass| mass <= by_mass).clamp(1, n) - 1;
        let mut answers = vec![first];
        let best = best.into_best();
        for _ in 1..n_answers.min(best.len()) {
            let place = best[rng.random_range(0..best.len())].0 as usize;
            if !answers.contains(&place) {
                answers.push(place);
            }
        }
        Ok(self.taught(&prompt, &answers, open, &before))
    }

    /// The targets along the paths at some places.
    fn taught(&self, prompt: &[u32], answers: &[usize], open: usize, before: &[f64]) -> Drawn {
        let items = self.builder.items();
        let mut targets = Vec::new();
        let paths = answers.iter().map(|&place| &items.tokens(self.paths.order[place])[..open]);
        let row = Row::answers(prompt, paths);
        for (number, &place) in answers.iter().enumerate() {
            let ranges = self.paths.ranges(place);
            for (level, &(begin, end)) in ranges.iter().enumerate().take(open) {
                // All paths begin alike; below, they are looked at in equal parts.
                if level == 0 && number > 0 {
                    continue;
                }
                let weight = if level == 0 { 1.0 } else { 1.0 / answers.len() as f64 };
                let mass = before[end] - before[begin];
                let share = |from: usize, to: usize| match mass > 0.0 {
                    true => (before[to] - before[from]) / mass,
                    // Nothing is known below: as many items, as probable.
                    false => (to - from) as f64 / (end - begin) as f64,
                };
                let children = self.paths.children(level, (begin, end));
                let candidates: Vec<(u32, f32)> = children
                    .map(|(code, from, to)| {
                        (items.token(level, code), (weight * share(from, to)) as f32)
                    })
                    .collect();
                if candidates.len() > 1 {
                    targets.push((number * open + level, candidates));
                }
            }
        }
        (row, targets)
    }
}

impl Objective for Distillation<'_> {
    type Batch = Batch;

    fn n_examples(&self) -> u64 {
        self.examples.len() as u64
    }

    fn length(&self, example: u64) -> u32 {
        self.prompts.length(self.examples[example as usize].prompt)
    }

    fn draw(&self, draws: &[Draw]) -> Result<Batch> {
        let drawn: Vec<Drawn> =
            draws.par_iter().map(|draw| self.drawn(draw)).collect::<Result<_>>()?;
        let (rows, all): (Vec<Row>, Vec<_>) = drawn.into_iter().unzip();
        let targets = if self.decoder.drops() {
            let key = |draw: &Draw| self.seed.purpose("dropout").index(draw.global).to_u64();
            TargetBatch::with_keys(&rows, draws.iter().map(key))?
        } else {
            TargetBatch::new(&rows)?
        };
        let mut candidates = Candidates::default();
        let mut first = 0;
        for (row, of_row) in rows.iter().zip(all) {
            for (place, codes) in of_row {
                candidates.push(targets.row_of(first + place), codes);
            }
            first += row.targets().count();
        }
        Ok(Batch { targets, candidates, requests: rows.len() })
    }

    fn weight(&self, batch: &Batch) -> f64 {
        batch.requests as f64
    }

    fn tokens(&self, batch: &Batch) -> u64 {
        batch.targets.n_tokens()
    }

    fn describe(&self, draw: &Draw) -> String {
        format!("example {} (or a pseudo-request in its place)", draw.example)
    }

    fn loss(&self, batch: &Batch) -> Result<Loss> {
        let hidden = batch.targets.hidden_in_training(self.decoder)?;
        let losses = self.decoder.candidate_losses(&hidden, batch.candidates.clone())?;
        Ok(Loss { sum: losses.sum_all()?, metrics: Vec::new() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::decode::prompt::tests::scratch;
    use crate::model::Tokenizer;
    use crate::model::config::tests::small;
    use crate::model::decoder::tests::lively;
    use crate::model::item_tokens::ItemTokens;
    use crate::progress::Context;

    proptest! {
        /// The range of every prefix holds the items that begin so, and its children share them out.
        #[test]
        fn ranges_and_children_are_those_of_brute_force(
            codes in proptest::collection::vec([0..3u32, 0..4u32, 0..2u32], 1..40),
        ) {
            let paths = Paths::new(&codes.concat(), 3);
            for place in 0..codes.len() {
                let own = codes[paths.order[place] as usize];
                for (length, range) in paths.ranges(place).into_iter().enumerate() {
                    let below: Vec<u32> = (0..codes.len() as u32)
                        .filter(|&item| codes[item as usize][..length] == own[..length])
                        .collect();
                    let mut found = paths.order[range.0..range.1].to_vec();
                    found.sort_unstable();
                    prop_assert_eq!(&found, &below);
                    if length == 3 {
                        continue;
                    }
                    let mut counts = BTreeMap::new();
                    for item in below {
                        *counts.entry(codes[item as usize][length]).or_insert(0) += 1;
                    }
                    let children: BTreeMap<u32, usize> =
                        paths.children(length, range).map(|(code, a, b)| (code, b - a)).collect();
                    prop_assert_eq!(children, counts);
                }
            }
        }
    }

    /// Five items on paths of two codes, two of them on one path, with vectors on a line.
    const CODES: [u32; 10] = [0, 1, 1, 0, 0, 0, 1, 2, 0, 1];
    const ITEMS: [f32; 5] = [0.9, -0.2, 0.4, 0.1, 0.7];

    fn with<T>(settings: &DistillationSettings, ask: impl Fn(&Distillation<'_>) -> T) -> T {
        with_decoder(settings, |decoder| decoder, ask)
    }

    fn with_decoder<T>(
        settings: &DistillationSettings,
        changed: impl Fn(Decoder) -> Decoder,
        ask: impl Fn(&Distillation<'_>) -> T,
    ) -> T {
        let titles = ["red oak", "blue sofa", "lamp", "red lamp", "oak"];
        let mut tokenizer = Tokenizer::train_bpe(titles.iter(), 270, &Context::silent()).unwrap();
        let tokens: Vec<String> = (0..5).map(|i| format!("<a_{i}>")).collect();
        let first = tokenizer.extend(&tokens).unwrap().start;
        let decoder = changed(lively(small(tokenizer.len())));
        let items = ItemTokens::new(&CODES, &[2, 3], first);
        let builder = PromptBuilder::new(tokenizer, items, &scratch()).unwrap();
        let prompt = builder.build(Some("red"), &[]).unwrap().tokens;
        let encode =
            |ask: &Ask| Ok(vec![ask.query.as_deref().map_or(0.0, |text| text.len() as f32)]);
        let paths = Paths::new(&CODES, 2);
        let teacher = Teacher::new(&encode, vec![vec![1.0]], (&ITEMS, 1), &paths);
        let examples = vec![Example { prompt: 0, vector: 0, clicked: vec![3] }];
        let prompts = (&builder, vec![prompt].into());
        let (titles, drawn) = (titles.to_vec(), (100.0, Seed::new(1)));
        let objective =
            Distillation::new(&decoder, prompts, examples, titles, paths, teacher, settings, drawn);
        ask(&objective.unwrap())
    }

    fn settings() -> DistillationSettings {
        serde_json::from_str(
            r#"{"vectors": "v", "temperature": 0.5, "clicks": 0.25, "answers": 5, "pseudo_requests": 0.0, "progressive": 0.5}"#,
        )
        .unwrap()
    }

    /// The product of the targets along a path is what the teacher gives its items.
    #[test]
    fn targets_along_a_path_multiply_to_the_mass_of_its_items() {
        let exps: Vec<f64> = ITEMS.iter().map(|&x| (f64::from(x) / 0.5).exp()).collect();
        let sum: f64 = exps.iter().sum();
        let p: Vec<f64> = exps.iter().map(|e| 0.75 * e / sum).collect();
        let p = |item: usize| p[item] + if item == 3 { 0.25 } else { 0.0 };
        with(&settings(), |objective| {
            let items = objective.builder.items();
            let mut seen = 0;
            for global in 50..80 {
                let (row, targets) = objective.drawn(&Draw { example: 0, global }).unwrap();
                let tokens: Vec<u32> = row.targets().collect();
                for (number, path) in tokens.chunks(2).enumerate() {
                    let item = (0..5).find(|&item| items.tokens(item) == path).unwrap();
                    let target = |place: usize| {
                        let (_, candidates) = targets.iter().find(|one| one.0 == place).unwrap();
                        let token = tokens[place];
                        f64::from(candidates.iter().find(|one| one.0 == token).unwrap().1)
                    };
                    // The first codes compete at one place, and its candidates hold those of all answers.
                    let (_, firsts) = &targets[0];
                    let first = firsts.iter().find(|one| one.0 == path[0]).unwrap().1;
                    let second = target(number * 2 + 1) * (tokens.len() / 2) as f64;
                    let mass: f64 = (0..5)
                        .filter(|&other| items.tokens(other) == path)
                        .map(|other| p(other as usize))
                        .sum();
                    let product = f64::from(first) * second;
                    assert!((product - mass).abs() < 1e-5, "item {item}: {product} against {mass}");
                    seen += 1;
                }
            }
            assert!(seen > 60);
        });
    }

    #[test]
    fn levels_are_opened_one_after_another() {
        with(&settings(), |objective| {
            let open = |global| objective.open_levels(&Draw { example: 0, global });
            assert_eq!([0, 24, 25, 49, 50, 99].map(open), [1, 1, 2, 2, 2, 2]);
            let (row, targets) = objective.drawn(&Draw { example: 0, global: 3 }).unwrap();
            assert_eq!((row.targets().count(), targets.len()), (1, 1));
        });
        let all = DistillationSettings { progressive: 0.0, ..settings() };
        with(&all, |objective| {
            assert_eq!(objective.open_levels(&Draw { example: 0, global: 0 }), 2);
        });
    }

    #[test]
    fn a_pseudo_request_asks_by_words_of_a_title_for_its_item() {
        let pseudo = DistillationSettings { pseudo_requests: 1.0, clicks: 1.0, ..settings() };
        with(&pseudo, |objective| {
            let (row, targets) = objective.drawn(&Draw { example: 0, global: 70 }).unwrap();
            // All mass lies on one item, so that one code of each place has it.
            let whole =
                |candidates: &[(u32, f32)]| candidates.iter().filter(|one| one.1 > 0.0).count();
            assert_eq!(whole(&targets[0].1), 1);
            assert!(row.prompt().len() >= 3);
        });
    }

    #[test]
    fn what_a_step_drops_is_a_matter_of_the_draw() {
        let loss = |objective: &Distillation<'_>, globals: &[u64]| {
            let draws: Vec<Draw> =
                globals.iter().map(|&global| Draw { example: 0, global }).collect();
            let batch = objective.draw(&draws).unwrap();
            f64::from(objective.loss(&batch).unwrap().sum.to_scalar::<f32>().unwrap())
        };
        let of = |dropout| {
            with_decoder(
                &settings(),
                |decoder| decoder.dropping(dropout),
                |objective| [&[60, 61][..], &[60], &[61]].map(|globals| loss(objective, globals)),
            )
        };
        let [together, one, other] = of(0.4);
        assert!((together - one - other).abs() < 1e-4, "{together} {one} {other}");
        let plain = of(0.0);
        assert!((plain[0] - plain[1] - plain[2]).abs() < 1e-4, "{plain:?}");
        assert!((one - plain[1]).abs() > 1e-3, "{one} {plain:?}");
    }

    #[test]
    fn training_steps_lower_the_loss() {
        with(&settings(), |objective| {
            let draws: Vec<Draw> = (60..64).map(|global| Draw { example: 0, global }).collect();
            let batch = objective.draw(&draws).unwrap();
            let value = || objective.loss(&batch).unwrap().sum.to_scalar::<f32>().unwrap();
            let before = value();
            for _ in 0..30 {
                let store = objective.loss(&batch).unwrap().sum.backward().unwrap();
                for var in objective.decoder.trained().vars() {
                    if let Some(gradient) = store.get(var) {
                        let moved = (var.as_tensor() - (gradient * 0.02).unwrap()).unwrap();
                        var.set(&moved).unwrap();
                    }
                }
            }
            assert!(value() < 0.9 * before, "{} {before}", value());
        });
    }
}
