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
use super::super::cell::{Cell, ColumnName, Entity, Holds, OpenColumn};
use super::super::rows::{ImpressionRow, ItemRow, JudgementRow, RequestRow};
use super::super::settings::{Seen, SimulatorSettings};
use super::super::summary::{CorpusSummary, Malformed, SizeEstimate};
use super::super::types::{Impression, Split};
use super::feedback::draw_feedback;
use super::policy::{candidates, draw_page};
use super::world::{World, first_request, keep};

/// Requests and items computed at a time.
const CHUNK: usize = 8_192;

/// Judgements written per request of validation and test, by grade 1, 2 and 3: all of grade 3,
/// and a sample of at most 200 for each lower grade.
pub const JUDGEMENT_CAPS: [usize; 3] = [200, 200, usize::MAX];

/// Clicks per request under the default laws, as measured; others differ.
const CLICKS_PER_REQUEST: f64 = 0.9;

const SECONDS_PER_DAY: u64 = 86_400;

/// Builds the world of `settings` and writes it.
///
/// # Errors
/// [`crate::Error::Usage`] for contradictory settings, [`crate::Error::Environment`] when the disk
/// refuses, [`crate::Error::Interrupted`].
pub(super) fn write(
    settings: &SimulatorSettings,
    seed: Seed,
    out: &Path,
    ctx: &Context,
) -> Result<CorpusSummary> {
    let world = World::new(settings, seed)?;
    let mut writer = CorpusWriter::create(out, &[style_column()])?;
    for user in 0..settings.users {
        let style = world.named_style(user as usize);
        writer.user(format!("u{user:07}"), vec![Cell::Text(style)])?;
    }
    let counters = write_requests(&world, &mut writer, ctx)?;
    write_items(&world, &counters, &mut writer, ctx)?;
    keep(settings, seed, out)?;
    let facts = Facts {
        kind: "simulator",
        sequences: false,
        remove_history: settings.seen == Seen::Remove,
        levels: settings.levels.clone(),
        malformed: Malformed::default(),
        truncated_texts: 0,
        dropped_requests: 0,
        warnings: Vec::new(),
        sources: Vec::new(),
        start: None,
    };
    writer.finish(facts, ctx)
}

/// What a shop knows of its users' taste: the style that each named.
pub(super) fn style_column() -> OpenColumn {
    OpenColumn {
        column: ColumnName::new(Entity::User, "style"),
        holds: Holds::Category,
        is_signal: false,
    }
}

/// Sizes of the corpus that [`write`] would make; exact but for impressions of tiny catalogues, and
/// clicks.
pub(super) fn estimate(settings: &SimulatorSettings) -> SizeEstimate {
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
        clicks: Some((settings.requests as f64 * CLICKS_PER_REQUEST) as u64),
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
            let row = RequestRow {
                id: format!("r{request:09}"),
                user: Some(outcome.user),
                session: None,
                time: Some(second_of(settings, u64::from(request))),
                day: world.day_of(request),
                query: Some(outcome.query),
                history: history.map(|h| h.iter().copied().collect()).unwrap_or_default(),
                split,
            };
            writer.request(row, Vec::new())?;
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
                writer.impression(ImpressionRow { request, impression }, Vec::new())?;
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
            writer.item(row, Vec::new())?;
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
    use crate::corpus::kinds::CorpusSettings;
    use crate::corpus::{Corpus, build, world_seed};
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

    fn mean_recall(rankings: &[Vec<u32>], relevant: &[HashSet<u32>]) -> f64 {
        let recall = |(ranking, relevant): (&Vec<u32>, &HashSet<u32>)| {
            ranking.iter().filter(|item| relevant.contains(item)).count() as f64
                / relevant.len() as f64
        };
        rankings.iter().zip(relevant).map(recall).sum::<f64>() / rankings.len() as f64
    }

    /// Reports the figures of `docs/simulator.md` ("what it is worth") and holds their order.
    #[test]
    fn words_are_not_enough_and_clicks_teach() {
        let settings = SimulatorSettings { requests: 26_000, ..Default::default() };
        let (folder, summary) = written(&settings, 17);
        let corpus = Corpus::open(folder.path()).unwrap();
        let world = World::new(&settings, world_seed(Seed::new(17))).unwrap();
        let mut by_grade = [[0_u32; 2]; 4];
        let mut clicked: HashMap<usize, HashMap<u32, f64>> = HashMap::new();
        for page in corpus.impressions().unwrap() {
            let (request, page) = page.unwrap();
            let intent = clicked.entry(world.intent_of(request)).or_default();
            for shown in page.iter() {
                let [n_shown, n_clicks] = &mut by_grade[world.grade(request, shown.item) as usize];
                *n_shown += 1;
                if shown.click {
                    *n_clicks += 1;
                    *intent.entry(shown.item).or_default() += f64::from(shown.position);
                }
            }
        }
        let mut relevant: HashMap<u32, HashSet<u32>> = HashMap::new();
        for (request, item, grade) in corpus.judgements(Split::Test).unwrap() {
            assert_eq!(grade, f32::from(world.grade(request, item)));
            if grade == 3.0 {
                relevant.entry(request).or_default().insert(item);
            }
        }
        let test = corpus.requests(Split::Test).unwrap();
        let (test, relevant): (Vec<_>, Vec<_>) = test
            .into_iter()
            .filter_map(|request| relevant.remove(&request.idx).map(|items| (request, items)))
            .unzip();
        let queries: Vec<String> = test.iter().map(|r| r.ask.query.clone().unwrap()).collect();
        let lexical = lexical_ranking(&corpus.catalogue().unwrap(), &queries, 10);
        let learnt: Vec<Vec<u32>> = test
            .iter()
            .map(|request| {
                let empty = HashMap::new();
                let clicks = clicked.get(&world.intent_of(request.idx)).unwrap_or(&empty);
                let mut items: Vec<_> = clicks.iter().collect();
                items.sort_by(|a, b| b.1.total_cmp(a.1).then(a.0.cmp(b.0)));
                items.into_iter().take(10).map(|(item, _)| *item).collect()
            })
            .collect();
        let best: Vec<Vec<u32>> = test
            .iter()
            .map(|r| world.oracle_ranking(r.idx, 10).into_iter().map(|(item, _)| item).collect())
            .collect();
        let [lexical, learnt, best] =
            [lexical, learnt, best].map(|ranking| mean_recall(&ranking, &relevant));
        let mut sizes: Vec<usize> = relevant.iter().map(HashSet::len).collect();
        sizes.sort_unstable();
        let [median, tenth] = [sizes[sizes.len() / 2], sizes[sizes.len() * 9 / 10]];
        println!(
            "recall@10 of {} requests: lexical {lexical:.3}, clicked {learnt:.3}, oracle {best:.3}; \
             grade-3 items: median {median}, 9th decile {tenth}; [shown, clicked] by grade {by_grade:?}",
            test.len()
        );
        assert!(test.len() as f64 > 0.95 * summary.requests.test as f64);
        assert!(best > 0.9 && lexical < 0.7 * best, "lexical {lexical}, oracle {best}");
        assert!(learnt > lexical + 0.05, "clicked {learnt}, lexical {lexical}");
        assert!(tenth <= 30 && median >= 1, "median {median}, 9th decile {tenth}");
        let clicks: u32 = by_grade.iter().map(|[_, clicks]| clicks).sum();
        let good = by_grade[2][1] + by_grade[3][1];
        assert!(f64::from(good) > 0.8 * f64::from(clicks), "{by_grade:?}");
    }

    #[test]
    fn bytes_do_not_depend_on_threads_but_on_the_seed() {
        let run = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| written(&SimulatorSettings { history: 5, ..small() }, seed).1.tables)
        };
        let one = run(1, 3);
        assert_eq!(one, run(2, 3));
        assert_ne!(one, run(2, 4));
    }

    #[test]
    fn an_item_does_not_depend_on_how_many_there_are() {
        let few = World::new(&small(), Seed::new(5)).unwrap();
        let many =
            World::new(&SimulatorSettings { items: 1_000, ..small() }, Seed::new(5)).unwrap();
        for item in 0..few.n_items() {
            assert_eq!(few.items()[item], many.items()[item]);
            assert_eq!(few.title(item as u32), many.title(item as u32));
        }
    }

    /// The shop of the first items is the same shop, with items that nobody asks for behind them.
    #[test]
    fn items_that_nobody_asks_for_change_nothing() {
        let part = SimulatorSettings { items: 3_000, requested_items: Some(600), ..small() };
        let ((alone, _), (folder, summary)) = (written(&small(), 9), written(&part, 9));
        assert_eq!(summary.items, 3_000);
        let (alone, corpus) =
            (Corpus::open(alone.path()).unwrap(), Corpus::open(folder.path()).unwrap());
        let shown = |corpus: &Corpus| -> Vec<(u32, Vec<u32>)> {
            let page = |page: Result<(u32, Vec<Impression>)>| {
                let (request, page) = page.unwrap();
                (request, page.iter().map(|shown| shown.item).collect())
            };
            corpus.impressions().unwrap().map(page).collect()
        };
        assert_eq!(shown(&alone), shown(&corpus));
        assert_eq!(alone.judgements(Split::Test).unwrap(), corpus.judgements(Split::Test).unwrap());
        let more = SimulatorSettings { requested_items: Some(601), ..small() };
        let text = World::new(&more, Seed::new(1)).err().unwrap().to_string();
        assert!(text.contains("corpus.requested_items is 601"), "{text}");
    }

    #[test]
    fn a_written_world_is_the_world() {
        let settings = SimulatorSettings { history: 3, ..small() };
        let (folder, summary) = written(&settings, 9);
        let estimate = estimate(&settings);
        assert_eq!(estimate.items, Some(summary.items));
        assert_eq!(estimate.train_requests, Some(summary.requests.train));
        assert_eq!(estimate.validation_requests, Some(summary.requests.validation));
        assert_eq!(estimate.test_requests, Some(summary.requests.test));
        let corpus = Corpus::open(folder.path()).unwrap();
        let world = World::new(&settings, world_seed(Seed::new(9))).unwrap();
        let catalogue = corpus.catalogue().unwrap();
        for item in 0..600 {
            assert_eq!(catalogue.title(item), world.title(item));
            assert_eq!(catalogue.index_of(&catalogue.ids[item as usize]), Some(item));
        }
        let mut next = 0;
        let mut past: HashMap<String, Vec<u32>> = HashMap::new();
        for split in Split::ALL {
            let pages: HashMap<u32, Vec<Impression>> =
                corpus.impressions_of(split).unwrap().map(|page| page.unwrap()).collect();
            for request in corpus.request_iter(split).unwrap() {
                let request = request.unwrap();
                assert_eq!(request.idx, next);
                assert_eq!(request.split, world.split_of(next));
                assert_eq!(request.ask.query.as_deref(), Some(world.query_text(next).as_str()));
                let words = request.ask.query.as_ref().unwrap().split(' ').count();
                assert!((1..=6).contains(&words), "{words} words");
                let seen = past.entry(request.ask.user.unwrap()).or_default();
                assert_eq!(request.ask.history, seen[seen.len().saturating_sub(3)..]);
                let page = &pages[&next];
                assert!(page.iter().all(|shown| world.is_launched(next, shown.item)));
                let positions: Vec<u16> = page.iter().map(|shown| shown.position).collect();
                assert_eq!(positions, (1..=page.len() as u16).collect::<Vec<_>>());
                seen.extend(page.iter().filter(|shown| shown.click).map(|shown| shown.item));
                next += 1;
            }
        }
        assert_eq!(u64::from(next), summary.requests.total());
    }

    #[test]
    fn leaves_cold_items_and_intents_follow_their_laws() {
        let settings = SimulatorSettings { items: 30_000, requests: 40_000, ..small() };
        let world = World::new(&settings, Seed::new(6)).unwrap();
        let n_leaves = world.taxonomy().leaves.len();
        let total: f64 = (1..=n_leaves).map(|rank| (rank as f64).powf(-1.1)).sum();
        for rank in [1, 3, 10, 50] {
            let leaf = world.taxonomy().leaves_by_size()[rank - 1];
            let found = world.items().iter().filter(|i| usize::from(i.leaf) == leaf).count() as f64;
            let expected = 30_000.0 * (rank as f64).powf(-1.1) / total;
            assert!((found - expected).abs() < 5.0 * expected.sqrt(), "{rank}: {found} {expected}");
        }
        let cold = world.items().iter().filter(|item| item.launch_day == 28).count() as f64;
        assert!((cold - 1_500.0).abs() < 5.0 * 1_500_f64.sqrt(), "{cold}");
        // Zipf–Mandelbrot over 5,000 intents; the drift averages out over the days but for a little.
        let mut counts = vec![0_u32; world.n_intents()];
        for request in 0..40_000 {
            counts[world.intent_of(request)] += 1;
        }
        let total: f64 = (1..=5_000).map(|rank| 1.0 / (f64::from(rank) + 10.0)).sum();
        let expected =
            40_000.0 * (1..=100).map(|r| 1.0 / (f64::from(r) + 10.0)).sum::<f64>() / total;
        let found = f64::from(counts[..100].iter().sum::<u32>());
        assert!((found / expected - 1.0).abs() < 0.05, "{found}, law {expected}");
    }

    #[test]
    fn oracle_ranks_by_grade_then_utility() {
        let world = World::new(&small(), Seed::new(7)).unwrap();
        for request in [0, 700, 1_499] {
            let ranking = world.oracle_ranking(request, 50);
            assert!(!ranking.is_empty());
            for pair in ranking.windows(2) {
                let [(a, score_a), (b, score_b)] = [pair[0], pair[1]];
                assert!(score_a >= score_b);
                let key = |item| (world.grade(request, item), world.utility(request, item));
                assert!(key(a) >= key(b), "{:?} before {:?}", key(a), key(b));
            }
            let graded = world.graded(request, JUDGEMENT_CAPS);
            for (grade, items) in (1_u8..).zip(&graded) {
                assert!(items.iter().all(|&item| world.grade(request, item) == grade));
            }
        }
    }

    #[test]
    fn contradictory_settings_are_refused_by_key() {
        let days = SimulatorSettings { days: 3, test_days: 2, ..small() };
        let text = World::new(&days, Seed::new(1)).err().unwrap().to_string();
        assert!(text.contains("corpus.days = 3"), "{text}");
        let mut nan = small();
        nan.world.utility_grade = f64::NAN;
        let text = World::new(&nan, Seed::new(1)).err().unwrap().to_string();
        assert!(text.contains("corpus.world.utility_grade"), "{text}");
    }

    #[test]
    fn one_item_makes_a_world() {
        let settings = SimulatorSettings { items: 1, requests: 40, users: 1, ..small() };
        let (_folder, summary) = written(&settings, 1);
        assert_eq!(summary.items, 1);
    }

    #[test]
    fn damage_is_found_when_a_folder_is_opened() {
        let (folder, _) = written(&small(), 2);
        let path = folder.path().join("requests.parquet");
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for broken in [flipped, whole[..whole.len() / 2].to_vec(), Vec::new()] {
            std::fs::write(&path, broken).unwrap();
            let text = Corpus::open(folder.path()).unwrap_err().to_string();
            assert!(text.contains("requests.parquet: differs from"), "{text}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Corpus::open(folder.path()).unwrap_err().to_string().contains("cannot be read"));
        std::fs::write(&path, whole).unwrap();
        Corpus::open(folder.path()).unwrap();
        let summary = folder.path().join("corpus.json");
        let text = std::fs::read_to_string(&summary).unwrap();
        std::fs::write(&summary, text.replace("\"format\": 1", "\"format\": 99")).unwrap();
        assert!(Corpus::open(folder.path()).unwrap_err().to_string().contains("format 99"));
    }
}
