//! Writes a world as a corpus folder, streamed: users, requests with pages and judgements, items.
//!
//! Chunks are computed in parallel and written in order, and every request has random streams of
//! its own, so the bytes do not depend on the number of threads.

use std::collections::VecDeque;
use std::path::Path;

use rayon::prelude::*;

use crate::error::Result;
use crate::progress::Context;
use crate::seed::Seed;

use super::super::build::{CorpusWriter, Facts};
use super::super::rows::{ImpressionRow, ItemRow, JudgementRow, RequestRow};
use super::super::settings::SimulatorSettings;
use super::super::summary::{CorpusSummary, Malformed, SizeEstimate};
use super::super::types::{Impression, Split};
use super::feedback::draw_feedback;
use super::policy::{candidates, draw_page};
use super::world::{World, first_request};

/// Requests and items computed at a time.
const CHUNK: usize = 8_192;

/// Judgements written per request of validation and test, by grade 1, 2 and 3: all of grade 3,
/// and a sample (by hash of item and intent) of at most 200 for each lower grade.
pub const JUDGEMENT_CAPS: [usize; 3] = [200, 200, usize::MAX];

const SECONDS_PER_DAY: u64 = 86_400;

/// Builds the world of `settings` and writes it.
///
/// # Errors
/// [`crate::Error::Usage`] for contradictory settings, [`crate::Error::Environment`] when the disk
/// refuses, [`crate::Error::Interrupted`].
pub(in super::super) fn write(
    settings: &SimulatorSettings,
    seed: Seed,
    out: &Path,
    ctx: &Context,
) -> Result<CorpusSummary> {
    let world = World::new(settings, seed)?;
    let mut writer = CorpusWriter::create(out)?;
    for user in 0..settings.users {
        writer.user(format!("u{user:07}"))?;
    }
    let counters = write_requests(&world, &mut writer, ctx)?;
    write_items(&world, &counters, &mut writer, ctx)?;
    let facts = Facts {
        kind: "simulator",
        sequences: false,
        remove_history: false,
        malformed: Malformed::default(),
        truncated_texts: 0,
        dropped_requests: 0,
        warnings: Vec::new(),
        sources: Vec::new(),
    };
    writer.finish(facts, ctx)
}

/// Sizes of the corpus that [`write`] would make; exact but for impressions of tiny catalogues.
pub(in super::super) fn estimate(settings: &SimulatorSettings) -> SizeEstimate {
    let test_day = settings.days.saturating_sub(settings.test_days);
    let validation_day = test_day.saturating_sub(settings.validation_days);
    let until = |day| if settings.days == 0 { 0 } else { first_request(settings, day) };
    let shown = u64::from(settings.world.shown).min(settings.items);
    SizeEstimate {
        items: Some(settings.items),
        train_requests: Some(until(validation_day)),
        validation_requests: Some(until(test_day) - until(validation_day)),
        test_requests: Some(settings.requests - until(test_day)),
        impressions: Some(settings.requests * shown),
    }
}

/// Times shown, clicked and ordered in training, per item.
type Counters = Vec<[u32; 3]>;

/// Everything about one request that does not depend on earlier ones.
struct Outcome {
    query: String,
    user: u32,
    page: Vec<Impression>,
    judgements: Vec<(u32, u8)>,
}

fn write_requests(world: &World, writer: &mut CorpusWriter, ctx: &Context) -> Result<Counters> {
    let settings = world.settings();
    let intent_candidates: Vec<Vec<u32>> = (0..world.n_intents())
        .into_par_iter()
        .map(|intent| candidates(world, intent, world.intent(intent)))
        .collect();
    let mut counters: Counters = vec![[0; 3]; world.n_items()];
    let history_length = settings.history as usize;
    let n_histories = if history_length == 0 { 0 } else { settings.users as usize };
    let mut histories: Vec<VecDeque<u32>> = vec![VecDeque::new(); n_histories];
    let mut bar = ctx.bar("simulate requests", settings.requests, "request");
    let n_requests = world.n_requests();
    for start in (0..n_requests).step_by(CHUNK) {
        ctx.check_interrupt()?;
        let end = (start + CHUNK).min(n_requests);
        let outcomes: Vec<Outcome> = (start..end)
            .into_par_iter()
            .map(|request| simulate(world, &intent_candidates, request as u32))
            .collect();
        for (request, outcome) in (start as u32..).zip(outcomes) {
            let history = histories.get(outcome.user as usize);
            let split = world.split_of(request);
            writer.request(RequestRow {
                id: format!("r{request:09}"),
                user: Some(outcome.user),
                session: None,
                time: Some(second_of(settings, u64::from(request))),
                day: world.day_of(request),
                query: Some(outcome.query),
                history: history.map(|h| h.iter().copied().collect()).unwrap_or_default(),
                split,
            })?;
            for impression in outcome.page {
                if split == Split::Train {
                    let [shown, clicks, orders] = &mut counters[impression.item as usize];
                    *shown += 1;
                    *clicks += u32::from(impression.click);
                    *orders += u32::from(impression.order);
                }
                if impression.click
                    && let Some(history) = histories.get_mut(outcome.user as usize)
                {
                    if history.len() == history_length {
                        history.pop_front();
                    }
                    history.push_back(impression.item);
                }
                writer.impression(ImpressionRow { request, impression })?;
            }
            for (item, grade) in outcome.judgements {
                writer.judgement(JudgementRow { request, item, grade: f32::from(grade) })?;
            }
        }
        bar.advance((end - start) as u64);
    }
    Ok(counters)
}

fn simulate(world: &World, intent_candidates: &[Vec<u32>], request: u32) -> Outcome {
    let laws = &world.settings().world;
    let intent_index = world.intent_of(request);
    let intent = world.intent(intent_index);
    let query = world.query(request);
    let user_index = world.user_of(request);
    let user = world.user(user_index);
    let mut page_rng = world.seeds().page.index(u64::from(request)).rng();
    let placed = draw_page(
        world,
        &intent_candidates[intent_index],
        intent,
        &query,
        world.day_of(request),
        &mut page_rng,
    );
    let mut rng = world.seeds().feedback.index(u64::from(request)).rng();
    let page = (1_u16..)
        .zip(placed)
        .map(|(position, placed)| {
            let item = &world.items()[placed.item as usize];
            let grade = intent.grade(item);
            let feedback = draw_feedback(laws, &user, item, grade, usize::from(position), &mut rng);
            Impression {
                item: placed.item,
                position,
                propensity: Some(placed.propensity as f32),
                click: feedback.click,
                cart: feedback.cart,
                order: feedback.order,
                ..Impression::default()
            }
        })
        .collect();
    let mut judgements = Vec::new();
    if world.split_of(request) != Split::Train {
        let [related, close, exact] = world.graded(request, JUDGEMENT_CAPS);
        for (grade, items) in [(3, exact), (2, close), (1, related)] {
            judgements.extend(items.into_iter().map(|item| (item, grade)));
        }
    }
    Outcome { query: query.text, user: user_index as u32, page, judgements }
}

fn second_of(settings: &SimulatorSettings, request: u64) -> i64 {
    let seconds = u128::from(request) * u128::from(settings.days) * u128::from(SECONDS_PER_DAY)
        / u128::from(settings.requests.max(1));
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

fn write_items(
    world: &World,
    counters: &Counters,
    writer: &mut CorpusWriter,
    ctx: &Context,
) -> Result<()> {
    let n_items = world.n_items();
    let mut bar = ctx.bar("write items", n_items as u64, "item");
    for start in (0..n_items).step_by(CHUNK) {
        ctx.check_interrupt()?;
        let end = (start + CHUNK).min(n_items);
        let rows: Vec<ItemRow> = (start..end)
            .into_par_iter()
            .map(|item| item_row(world, item as u32, counters[item]))
            .collect();
        for row in rows {
            writer.item(row)?;
        }
        bar.advance((end - start) as u64);
    }
    Ok(())
}

fn item_row(world: &World, index: u32, [shown, clicks, orders]: [u32; 3]) -> ItemRow {
    let item = &world.items()[index as usize];
    let settings = world.settings();
    let leaf = &world.taxonomy().leaves[usize::from(item.leaf)];
    let attributes = leaf
        .slots
        .iter()
        .enumerate()
        .map(|(slot, &attribute)| {
            let name = world.taxonomy().attributes[attribute].name.to_owned();
            let value = world.taxonomy().value(leaf, slot, item.value(slot)).form(0).to_owned();
            (name, value)
        })
        .collect();
    let train_days = settings.days - settings.validation_days - settings.test_days;
    ItemRow {
        id: format!("i{index:08}"),
        title: world.title(index),
        text: String::new(),
        category: vec![
            leaf.department.to_owned(),
            leaf.shelf.to_owned(),
            leaf.noun.form(0).to_owned(),
        ],
        attributes,
        price: Some(world.price(index)),
        launch_day: Some(item.launch_day),
        statistics_day: Some(train_days as i32 - 1),
        shown: Some(shown),
        clicks: Some(clicks),
        orders: Some(orders),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::settings::CorpusSettings;
    use crate::corpus::{Corpus, build, estimate, world_seed};
    use std::collections::{HashMap, HashSet};

    fn small() -> SimulatorSettings {
        SimulatorSettings { items: 600, users: 100, requests: 1_500, ..Default::default() }
    }

    fn written(settings: &SimulatorSettings, seed: u64) -> (tempfile::TempDir, CorpusSummary) {
        let folder = tempfile::tempdir().unwrap();
        let settings = CorpusSettings::Simulator(settings.clone());
        let summary = build(&settings, Seed::new(seed), folder.path(), &Context::silent()).unwrap();
        (folder, summary)
    }

    /// BM25 (k1 .9, b .4) over whole words, all items: the simplest lexical ranker.
    fn lexical_ranking(
        catalogue: &crate::corpus::Catalogue,
        queries: &[String],
        depth: usize,
    ) -> Vec<Vec<u32>> {
        let mut postings: HashMap<&str, Vec<u32>> = HashMap::new();
        let lengths: Vec<f64> = (0..catalogue.len() as u32)
            .map(|item| {
                let words: HashSet<&str> = catalogue.text(item).split(' ').collect();
                for word in &words {
                    postings.entry(word).or_default().push(item);
                }
                words.len() as f64
            })
            .collect();
        let n = catalogue.len() as f64;
        let mean = lengths.iter().sum::<f64>() / n;
        let rank = |query: &String| {
            let mut scores: HashMap<u32, f64> = HashMap::new();
            for word in query.split(' ') {
                let Some(items) = postings.get(word) else { continue };
                let idf = (1.0 + (n - items.len() as f64 + 0.5) / (items.len() as f64 + 0.5)).ln();
                for &item in items {
                    let length = 1.0 - 0.4 + 0.4 * lengths[item as usize] / mean;
                    *scores.entry(item).or_default() += idf * 1.9 / (1.0 + 0.9 * length);
                }
            }
            let mut ranked: Vec<(u32, f64)> = scores.into_iter().collect();
            ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            ranked.into_iter().take(depth).map(|(item, _)| item).collect()
        };
        queries.iter().map(rank).collect()
    }

    #[test]
    fn experiment() {
        let settings = SimulatorSettings { requests: 26_000, ..Default::default() };
        let (folder, summary) = written(&settings, 17);
        let corpus = Corpus::open(folder.path()).unwrap();
        let world = World::new(&settings, world_seed(Seed::new(17))).unwrap();
        println!("{}", serde_json::to_string_pretty(&summary).unwrap());
        let catalogue = corpus.catalogue().unwrap();
        for i in 0..12 {
            println!("  {}", catalogue.title(i));
        }
        for r in corpus.requests(Split::Train).unwrap().iter().take(25) {
            println!("  q {:?}", r.query);
        }
        let mut by_grade = [[0u32; 3]; 4];
        let mut clicks: HashMap<usize, HashMap<u32, f64>> = HashMap::new();
        for page in corpus.impressions().unwrap() {
            let (request, page) = page.unwrap();
            for i in page {
                let g = world.grade(request, i.item) as usize;
                by_grade[g][0] += 1;
                by_grade[g][1] += u32::from(i.click);
                by_grade[g][2] += u32::from(i.order);
                if i.click {
                    *clicks
                        .entry(world.intent_of(request))
                        .or_default()
                        .entry(i.item)
                        .or_default() += f64::from(i.position);
                }
            }
        }
        println!("shown/click/order by grade {by_grade:?}");
        let mut sizes = [0; 8];
        let test = corpus.requests(Split::Test).unwrap();
        let mut rel: HashMap<u32, HashSet<u32>> = HashMap::new();
        for (r, i, g) in corpus.judgements(Split::Test).unwrap() {
            if g >= 3.0 {
                rel.entry(r).or_default().insert(i);
            }
        }
        for r in &test {
            let n = rel.get(&r.idx).map_or(0, |s| s.len());
            sizes[match n {
                0 => 0,
                1 => 1,
                2..=3 => 2,
                4..=10 => 3,
                11..=20 => 4,
                21..=30 => 5,
                31..=60 => 6,
                _ => 7,
            }] += 1;
        }
        println!("grade-3 sizes 0,1,2-3,4-10,11-20,21-30,31-60,more: {sizes:?} of {}", test.len());
        let queries: Vec<String> = test.iter().map(|r| r.query.clone().unwrap()).collect();
        let lexical = lexical_ranking(&catalogue, &queries, 10);
        let recall = |ranked: &[u32], rel: &HashSet<u32>| {
            ranked.iter().filter(|i| rel.contains(i)).count() as f64 / rel.len() as f64
        };
        let (mut l, mut c, mut o, mut n, mut seen) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let (mut lseen, mut lc) = (0.0, 0.0);
        for (r, lex) in test.iter().zip(&lexical) {
            let Some(rel) = rel.get(&r.idx) else { continue };
            n += 1.0;
            l += recall(lex, rel);
            let mut clicked: Vec<_> = clicks
                .get(&world.intent_of(r.idx))
                .map(|m| m.iter().collect())
                .unwrap_or_else(Vec::new);
            clicked.sort_by(|a, b| b.1.total_cmp(a.1).then(a.0.cmp(b.0)));
            let top: Vec<u32> = clicked.iter().take(10).map(|x| *x.0).collect();
            if !top.is_empty() {
                seen += 1.0;
                lseen += recall(lex, rel);
                lc += recall(&top, rel);
            }
            c += recall(&top, rel);
            let best: Vec<u32> = world.oracle_ranking(r.idx, 10).iter().map(|x| x.0).collect();
            o += recall(&best, rel);
        }
        println!(
            "n {n} lexical {:.3} clicked-for-intent {:.3} oracle {:.3}; seen intents {:.3}: lexical {:.3} clicked {:.3}",
            l / n,
            c / n,
            o / n,
            seen / n,
            lseen / seen,
            lc / seen
        );
        let _ = estimate;
    }
}
