//! The world: items, intents and who asks what when, with the truth about all of it.
//!
//! Everything is made again from settings and seed; no truth is stored in a corpus folder. Items
//! are held packed (72 bytes each, and 12 more on their shelves), requests by 4 bytes.

use std::path::{Path, PathBuf};

use rand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::seed::Seed;
use crate::store::{read_description, write_json};

use super::super::settings::SimulatorSettings;
use super::super::types::{ItemIdx, RequestIdx, Split};
use super::draw::{Discrete, zipf_weight};
use super::feedback::{User, click_probability, draw_user, examination, favorite_style, utility};
use super::intent::{Intent, Shelves, draw_intent, graded_items};
use super::item::{Item, LaunchLaw, draw_item, price, title};
use super::query::{Query, draw_query};
use super::taxonomy::{STYLE, Taxonomy};

/// Zipf exponent of the users' activity.
const USER_ZIPF: f64 = 0.8;

/// Most intents of a world: their candidates are held in memory while a corpus is written.
const MAX_INTENTS: u64 = 20_000;

/// Days of one turn of the seasonal drift.
const SEASON_DAYS: f64 = 28.0;

/// Score that an oracle ranking gives to each grade; utilities stay below it.
const GRADE_SCORE: f32 = 100.0;

/// A simulated shop, with its truth.
pub struct World {
    settings: SimulatorSettings,
    seeds: Seeds,
    taxonomy: Taxonomy,
    items: Vec<Item>,
    shelves: Shelves,
    intents: Vec<Intent>,
    request_intents: Vec<u32>,
    user_draw: Discrete,
}

/// One seed per purpose, derived once.
#[derive(Clone, Copy)]
pub(super) struct Seeds {
    title: Seed,
    user: Seed,
    request_user: Seed,
    query: Seed,
    pub(super) page: Seed,
    pub(super) feedback: Seed,
}

/// Probability that a user names the style that suits best; any style is named else.
const NAMES_OWN_STYLE: f64 = 0.8;

/// Where the laws and the seed of a world are kept, beside the tables.
const WORLD_FILE: &str = "world.json";
/// Version of that file.
const FORMAT: u32 = 1;

/// Content of [`WORLD_FILE`].
#[derive(Serialize, Deserialize)]
struct WorldFile {
    format: u32,
    settings: SimulatorSettings,
    seed: Seed,
}

/// Keeps in a corpus folder what its world is drawn from.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses.
pub(super) fn keep(settings: &SimulatorSettings, seed: Seed, folder: &Path) -> Result<()> {
    let file = WorldFile { format: FORMAT, settings: settings.clone(), seed };
    write_json(&World::file(folder), &file)
}

impl World {
    /// The file that a world is opened from, in the folder of its corpus.
    pub fn file(corpus: &Path) -> PathBuf {
        corpus.join(WORLD_FILE)
    }

    /// Draws again the world that a corpus folder was written from.
    ///
    /// # Errors
    /// [`Error::Data`] when the folder is not of a simulated shop.
    pub fn open(corpus: &Path) -> Result<Self> {
        let path = Self::file(corpus);
        let file: WorldFile = read_description(&path, "a simulated shop", FORMAT)?;
        Self::new(&file.settings, file.seed)
    }

    /// Draws a world. The seed is that of [`crate::corpus::world_seed`] for the world that
    /// [`crate::corpus::build`] writes.
    ///
    /// # Errors
    /// [`Error::Usage`] when settings contradict one another or are out of range.
    pub fn new(settings: &SimulatorSettings, seed: Seed) -> Result<Self> {
        check(settings)?;
        let laws = &settings.world;
        let taxonomy = Taxonomy::new(laws.leaf_zipf, laws.known_synonyms, seed.purpose("taxonomy"));
        let launch = LaunchLaw {
            cold_share: laws.cold_share,
            train_days: (settings.days - settings.test_days - settings.validation_days) as i32,
            test_day: (settings.days - settings.test_days) as i32,
        };
        let item_seed = seed.purpose("item");
        let items: Vec<Item> = (0..settings.items)
            .into_par_iter()
            .map(|index| draw_item(&taxonomy, launch, item_seed, index))
            .collect();
        let requested = &items[..settings.n_requested()];
        let shelves = Shelves::new(requested, taxonomy.leaves.len());
        let n_intents = n_intents(settings);
        let intent_seed = seed.purpose("intent");
        let intents: Vec<Intent> = (0..n_intents)
            .into_par_iter()
            .map(|index| draw_intent(&taxonomy, requested, &shelves, intent_seed, index))
            .collect();
        let request_intents = draw_request_intents(settings, n_intents as usize, seed);
        let user_draw = Discrete::zipf(settings.users as usize, USER_ZIPF, 0.0);
        let seeds = Seeds {
            title: seed.purpose("title"),
            user: seed.purpose("user"),
            request_user: seed.purpose("request-user"),
            query: seed.purpose("query"),
            page: seed.purpose("page"),
            feedback: seed.purpose("feedback"),
        };
        let settings = settings.clone();
        Ok(Self { settings, seeds, taxonomy, items, shelves, intents, request_intents, user_draw })
    }

    /// Number of items.
    pub fn n_items(&self) -> usize {
        self.items.len()
    }

    /// Number of items that requests are about: the first ones.
    pub fn n_requested(&self) -> usize {
        self.settings.n_requested()
    }

    /// Number of requests.
    pub fn n_requests(&self) -> usize {
        self.request_intents.len()
    }

    /// Number of distinct intents.
    pub fn n_intents(&self) -> usize {
        self.intents.len()
    }

    /// Number of the intent behind a request.
    ///
    /// # Panics
    /// As all oracles: when the request (or item) does not exist in this world.
    pub fn intent_of(&self, request: RequestIdx) -> usize {
        self.request_intents[request as usize] as usize
    }

    /// An intent by number.
    pub fn intent(&self, intent: usize) -> &Intent {
        &self.intents[intent]
    }

    /// Day of a request: requests are spread evenly over the days.
    pub fn day_of(&self, request: RequestIdx) -> i32 {
        day_of(&self.settings, u64::from(request))
    }

    /// What a request is for, by its day.
    pub fn split_of(&self, request: RequestIdx) -> Split {
        let day = i64::from(self.day_of(request));
        let test_day = i64::from(self.settings.days) - i64::from(self.settings.test_days);
        if day >= test_day {
            Split::Test
        } else if day >= test_day - i64::from(self.settings.validation_days) {
            Split::Validation
        } else {
            Split::Train
        }
    }

    /// Row number of the user who asks.
    pub fn user_of(&self, request: RequestIdx) -> usize {
        self.user_draw.draw(&mut self.seeds.request_user.index(u64::from(request)).rng())
    }

    /// True relevance of an item for a request, 0 to 3.
    pub fn grade(&self, request: RequestIdx, item: ItemIdx) -> u8 {
        self.intents[self.intent_of(request)].grade(&self.items[item as usize])
    }

    /// True relevance of an item for an intent, 0 to 3.
    pub fn intent_grade(&self, intent: usize, item: ItemIdx) -> u8 {
        self.intents[intent].grade(&self.items[item as usize])
    }

    /// Utility of an item to the user of a request (without any page effect).
    pub fn utility(&self, request: RequestIdx, item: ItemIdx) -> f32 {
        let user = self.user(self.user_of(request));
        let grade = self.grade(request, item);
        utility(&self.settings.world, &user, &self.items[item as usize], grade) as f32
    }

    /// Probability of a click on an item once it is seen.
    pub fn click_probability(&self, request: RequestIdx, item: ItemIdx) -> f32 {
        let utility = f64::from(self.utility(request, item));
        click_probability(&self.settings.world, utility) as f32
    }

    /// Probability that a position, from 1, is seen.
    pub fn examination(&self, position: usize) -> f64 {
        examination(position, self.settings.world.examination_exponent)
    }

    /// Whether an item is on sale on the day of a request.
    pub fn is_launched(&self, request: RequestIdx, item: ItemIdx) -> bool {
        self.items[item as usize].launch_day <= self.day_of(request)
    }

    /// The best ranking there is: launched items of grade 1 and more by grade, then by expected
    /// utility to this user, then by row number; at most `depth`. Scores fall in that order.
    pub fn oracle_ranking(&self, request: RequestIdx, depth: usize) -> Vec<(ItemIdx, f32)> {
        let intent = &self.intents[self.intent_of(request)];
        let user = self.user(self.user_of(request));
        let day = self.day_of(request);
        let mut ranking: Vec<(ItemIdx, f32)> = self
            .shelves
            .leaf(intent.leaf)
            .filter(|&(item, _)| self.items[item as usize].launch_day <= day)
            .map(|(item, values)| {
                let grade = intent.grade_in_leaf(values);
                let utility =
                    utility(&self.settings.world, &user, &self.items[item as usize], grade) as f32;
                let within = utility.clamp(-GRADE_SCORE * 0.49, GRADE_SCORE * 0.49);
                (item, GRADE_SCORE * f32::from(grade) + within)
            })
            .collect();
        ranking.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranking.truncate(depth);
        ranking
    }

    /// Launched items of a request's leaf as `[grade 1, grade 2, grade 3]`, each cut to its cap.
    pub fn graded(&self, request: RequestIdx, caps: [usize; 3]) -> [Vec<ItemIdx>; 3] {
        let intent = &self.intents[self.intent_of(request)];
        let day = self.day_of(request);
        graded_items(&self.shelves, intent, caps, |item| {
            self.items[item as usize].launch_day <= day
        })
    }

    /// Query text of a request.
    pub fn query_text(&self, request: RequestIdx) -> String {
        self.query(request).text
    }

    /// Title of an item.
    pub fn title(&self, item: ItemIdx) -> String {
        title(&self.taxonomy, &self.items[item as usize], self.seeds.title, u64::from(item))
    }

    /// Price of an item.
    pub fn price(&self, item: ItemIdx) -> f32 {
        price(&self.taxonomy, &self.items[item as usize])
    }

    /// The query of a request with its chosen forms.
    pub(super) fn query(&self, request: RequestIdx) -> Query {
        let laws = &self.settings.world;
        let mut rng = self.seeds.query.index(u64::from(request)).rng();
        let intent = &self.intents[self.intent_of(request)];
        draw_query(&self.taxonomy, intent, laws.vocabulary_gap, laws.typo_rate, &mut rng)
    }

    pub(super) fn user(&self, user: usize) -> User {
        draw_user(self.seeds.user, user as u64)
    }

    /// The style that a user named to the shop, as in `style-3`: most often the one that suits their
    /// taste best.
    pub(super) fn named_style(&self, user: usize) -> String {
        let mut rng = self.seeds.user.purpose("named-style").index(user as u64).rng();
        let style = match rng.random_bool(NAMES_OWN_STYLE) {
            true => favorite_style(&self.user(user)),
            false => rng.random_range(0..STYLE),
        };
        format!("style-{style}")
    }

    pub(super) fn settings(&self) -> &SimulatorSettings {
        &self.settings
    }

    pub(super) fn seeds(&self) -> Seeds {
        self.seeds
    }

    pub(super) fn taxonomy(&self) -> &Taxonomy {
        &self.taxonomy
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(super) fn shelves(&self) -> &Shelves {
        &self.shelves
    }
}

impl SimulatorSettings {
    /// Number of items that requests are about.
    fn n_requested(&self) -> usize {
        self.requested_items.unwrap_or(self.items) as usize
    }
}

/// First request of a day (also for the day after the last).
pub(super) fn first_request(settings: &SimulatorSettings, day: u32) -> u64 {
    (u64::from(day) * settings.requests).div_ceil(u64::from(settings.days))
}

fn day_of(settings: &SimulatorSettings, request: u64) -> i32 {
    // Sizes are checked to fit u32, so the product fits u64 and the quotient is below `days`.
    (request * u64::from(settings.days) / settings.requests) as i32
}

fn n_intents(settings: &SimulatorSettings) -> u64 {
    let wanted = settings.requests as f64 / settings.world.requests_per_intent.max(1.0);
    (wanted as u64).clamp(1, MAX_INTENTS)
}

/// Draws the intent of every request: Zipf–Mandelbrot times e^(drift · sin(season of the intent)).
fn draw_request_intents(settings: &SimulatorSettings, n_intents: usize, seed: Seed) -> Vec<u32> {
    let laws = &settings.world;
    let mut rng = seed.purpose("season").rng();
    let phases: Vec<f64> = (0..n_intents).map(|_| rng.random::<f64>()).collect();
    let base: Vec<f64> =
        (0..n_intents).map(|rank| zipf_weight(rank, laws.intent_zipf, laws.intent_shift)).collect();
    let request_seed = seed.purpose("request-intent");
    let days: Vec<Vec<u32>> = (0..settings.days)
        .into_par_iter()
        .map(|day| {
            let turn = f64::from(day) / SEASON_DAYS;
            let draw = Discrete::new(base.iter().zip(&phases).map(|(weight, phase)| {
                weight * (laws.drift * (std::f64::consts::TAU * (turn + phase)).sin()).exp()
            }));
            (first_request(settings, day)..first_request(settings, day + 1))
                .map(|request| draw.draw(&mut request_seed.index(request).rng()) as u32)
                .collect()
        })
        .collect();
    days.concat()
}

fn check(settings: &SimulatorSettings) -> Result<()> {
    let fault = |message: String| Err(Error::Usage(message));
    let most = u64::from(u32::MAX) - 1;
    let sizes = [
        ("corpus.items", settings.items, 100_000_000),
        ("corpus.users", settings.users, most),
        ("corpus.requests", settings.requests, most),
        ("corpus.days", u64::from(settings.days), 100_000),
        ("corpus.world.shown", u64::from(settings.world.shown), 1_000),
    ];
    for (key, value, most) in sizes {
        if value == 0 || value > most {
            return fault(format!("{key} is {value}; expected 1 to {most}"));
        }
    }
    if let Some(requested) = settings.requested_items
        && !(1..=settings.items).contains(&requested)
    {
        let most = settings.items;
        return fault(format!("corpus.requested_items is {requested}; expected 1 to {most}"));
    }
    let held_out = u64::from(settings.validation_days) + u64::from(settings.test_days);
    if held_out >= u64::from(settings.days) {
        return fault(format!(
            "corpus.validation_days and corpus.test_days take {held_out} of corpus.days = {}; \
             leave at least one day for training",
            settings.days
        ));
    }
    let laws = &settings.world;
    let shares = [
        ("vocabulary_gap", laws.vocabulary_gap),
        ("typo_rate", laws.typo_rate),
        ("swap_rate", laws.swap_rate),
        ("cold_share", laws.cold_share),
        ("noise_clicks", laws.noise_clicks),
        ("known_synonyms", laws.known_synonyms),
    ];
    for (key, value) in shares {
        if !(0.0..=1.0).contains(&value) {
            return fault(format!("corpus.world.{key} is {value}; expected 0 to 1"));
        }
    }
    let numbers = [
        ("leaf_zipf", laws.leaf_zipf),
        ("intent_zipf", laws.intent_zipf),
        ("intent_shift", laws.intent_shift),
        ("requests_per_intent", laws.requests_per_intent),
        ("drift", laws.drift),
        ("examination_exponent", laws.examination_exponent),
        ("policy_noise", laws.policy_noise),
    ];
    for (key, value) in numbers {
        if !value.is_finite() || value < 0.0 {
            return fault(format!(
                "corpus.world.{key} is {value}; expected a number of at least 0"
            ));
        }
    }
    let weights = [
        ("click_bias", laws.click_bias),
        ("policy_lexical", laws.policy_lexical),
        ("policy_popularity", laws.policy_popularity),
        ("policy_recency", laws.policy_recency),
        ("utility_grade", laws.utility_grade),
        ("utility_taste", laws.utility_taste),
        ("utility_quality", laws.utility_quality),
        ("utility_price", laws.utility_price),
    ];
    for (key, value) in weights {
        if !value.is_finite() {
            return fault(format!("corpus.world.{key} is {value}; expected a finite number"));
        }
    }
    Ok(())
}
