//! Settings of the corpus: where items, requests and feedback come from.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cell::Holds;
use super::levels::{LevelRule, default_levels};
use crate::store::Source;

/// Size of the simulated shop. The constants of its laws live in `[corpus.world]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorSettings {
    /// Seed of the shop alone, so that systems can be trained with several seeds on one shop; by default the recipe's.
    pub seed: Option<u64>,
    /// Number of items in the catalogue.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub items: u64,
    /// Items that requests are about, at most: the first of the catalogue, which is a fair sample of it. Nobody asks for the
    /// others, and no page shows them; by default all are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub requested_items: Option<u64>,
    /// Number of users.
    #[schemars(range(min = 1))]
    pub users: u64,
    /// Number of requests over all days.
    #[schemars(range(min = 1))]
    pub requests: u64,
    /// Number of days; requests are spread evenly over them.
    #[schemars(range(min = 3))]
    pub days: u32,
    /// Days at the end that are for validation (before the test days).
    #[schemars(range(min = 1))]
    pub validation_days: u32,
    /// Last days, for testing.
    #[schemars(range(min = 1))]
    pub test_days: u32,
    /// Most recent clicked items of the user that a request carries as its history; 0 carries none.
    #[schemars(range(min = 0, max = 1_000))]
    pub history: u32,
    /// Whether systems may answer with items of the request's history.
    pub seen: Seen,
    /// What lifts a shown item to which level, the lowest level first; by default clicked, carted, ordered.
    pub levels: Vec<LevelRule>,
    /// Constants of the world's laws, documented in `docs/simulator.md`.
    pub world: WorldSettings,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        Self {
            seed: None,
            items: 2_400,
            requested_items: None,
            users: 2_000,
            requests: 24_000,
            days: 30,
            validation_days: 1,
            test_days: 2,
            history: 0,
            seen: Seen::Keep,
            levels: default_levels(),
            world: WorldSettings::default(),
        }
    }
}

/// Constants of the simulated world (see `docs/simulator.md` for the laws they enter).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorldSettings {
    /// Zipf exponent of leaf sizes.
    #[schemars(range(min = 0.0, max = 5.0))]
    pub leaf_zipf: f64,
    /// Zipf exponent of the frequency of intents.
    #[schemars(range(min = 0.0, max = 5.0))]
    pub intent_zipf: f64,
    /// Shift q of that law (Zipf–Mandelbrot, (rank + q)^−s): a larger one flattens the head.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub intent_shift: f64,
    /// Requests per distinct intent, on average.
    #[schemars(range(min = 1.0, max = 1_000_000.0))]
    pub requests_per_intent: f64,
    /// Strength of the seasonal drift of intents over days; 0 is none.
    #[schemars(range(min = 0.0, max = 5.0))]
    pub drift: f64,
    /// Probability that a query word has no lexical match in the relevant titles (γ).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub vocabulary_gap: f64,
    /// Probability of a typing error per query word.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub typo_rate: f64,
    /// Items shown per request.
    #[schemars(range(min = 1, max = 1000))]
    pub shown: u32,
    /// Share of shown positions swapped at random, with recorded propensity.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub swap_rate: f64,
    /// Exponent of the examination law: position k is seen with probability k^−η.
    #[schemars(range(min = 0.0, max = 5.0))]
    pub examination_exponent: f64,
    /// Share of items that launch only in the test period.
    #[schemars(range(min = 0.0, max = 0.9))]
    pub cold_share: f64,
    /// Probability of a click on an examined item regardless of its utility.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub noise_clicks: f64,
    /// Log-odds of a click on an examined item of utility 0.
    pub click_bias: f64,
    /// Share of surface forms that the shop's own synonym dictionary knows.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub known_synonyms: f64,
    /// Weight of the lexical score in the logging policy.
    pub policy_lexical: f64,
    /// Weight of the popularity in the logging policy.
    pub policy_popularity: f64,
    /// Weight of the recency in the logging policy.
    pub policy_recency: f64,
    /// Standard deviation of the noise in the logging policy.
    #[schemars(range(min = 0.0))]
    pub policy_noise: f64,
    /// Weight of the grade in the utility (a).
    pub utility_grade: f64,
    /// Weight of the match of taste and style in the utility (b).
    pub utility_taste: f64,
    /// Weight of the quality in the utility (c).
    pub utility_quality: f64,
    /// Weight of price times price sensitivity in the utility (d, subtracted).
    pub utility_price: f64,
}

impl Default for WorldSettings {
    fn default() -> Self {
        Self {
            leaf_zipf: 1.1,
            intent_zipf: 1.0,
            intent_shift: 10.0,
            requests_per_intent: 8.0,
            drift: 0.5,
            vocabulary_gap: 0.35,
            typo_rate: 0.03,
            shown: 20,
            swap_rate: 0.1,
            examination_exponent: 1.0,
            cold_share: 0.05,
            noise_clicks: 0.02,
            click_bias: -4.5,
            known_synonyms: 0.5,
            policy_lexical: 3.0,
            policy_popularity: 0.4,
            policy_recency: 0.4,
            policy_noise: 0.5,
            utility_grade: 1.5,
            utility_taste: 0.5,
            utility_quality: 0.5,
            utility_price: 0.3,
        }
    }
}

/// Query–item pairs with graded relevance, and the items they speak of, as CSV files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgedPairsSettings {
    /// Folder that holds the files.
    #[schemars(extend("x-key" = false))]
    pub path: Source,
    /// CSV file of items, relative to `path`.
    #[serde(default = "default_items_file")]
    pub items_file: PathBuf,
    /// CSV file of judged pairs, relative to `path`.
    #[serde(default = "default_pairs_file")]
    pub pairs_file: PathBuf,
    /// Which column holds what.
    #[serde(default)]
    pub columns: PairColumns,
    /// Where train, validation and test come from.
    #[serde(default)]
    pub split: PairSplit,
    /// Simulated impressions and clicks on the graded training pairs; without it there is no feedback.
    #[serde(default)]
    pub clicks: Option<SimulatedClicks>,
    /// Fields of an item that become columns of the items table, for rankers that read features; each stays an
    /// attribute, too.
    #[serde(default)]
    pub item_columns: Vec<ItemColumn>,
    /// Largest share of malformed rows that is accepted (they are counted and the first ones shown).
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub malformed_share: f64,
}

fn default_items_file() -> PathBuf {
    "items.csv".into()
}

fn default_pairs_file() -> PathBuf {
    "pairs.csv".into()
}

/// Column names of the two CSV files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PairColumns {
    /// Item id, in both files.
    pub item_id: String,
    /// Title, in the items file.
    pub title: String,
    /// Further text columns of the items file, appended to the title.
    pub text: Vec<String>,
    /// Query text, in the pairs file.
    pub query: String,
    /// Query id, in the pairs file; by default, equal texts are one query.
    pub query_id: Option<String>,
    /// Graded relevance, in the pairs file.
    pub grade: String,
}

impl Default for PairColumns {
    fn default() -> Self {
        Self {
            item_id: "item_id".into(),
            title: "title".into(),
            text: Vec::new(),
            query: "query".into(),
            query_id: None,
            grade: "grade".into(),
        }
    }
}

/// Where train, validation and test come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PairSplit {
    /// A column of the pairs file names the split of each row's query.
    Column {
        /// Name of the column.
        column: String,
        /// Value that means training.
        train: String,
        /// Value that means validation.
        validation: String,
        /// Value that means test.
        test: String,
    },
    /// A hash of the query text decides.
    QueryHash {
        /// Share of queries for validation.
        #[schemars(range(min = 0.0, max = 0.9))]
        validation: f64,
        /// Share of queries for testing.
        #[schemars(range(min = 0.0, max = 0.9))]
        test: f64,
    },
}

impl Default for PairSplit {
    fn default() -> Self {
        Self::QueryHash { validation: 0.1, test: 0.1 }
    }
}

/// Impressions and clicks simulated on top of graded pairs with a position-based model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatedClicks {
    /// Result pages shown per training query.
    #[schemars(range(min = 1, max = 10_000))]
    pub sessions_per_query: u32,
    /// Items shown per page: the query's judged items, filled up with random ones.
    #[schemars(range(min = 1, max = 1_000))]
    pub shown: u32,
    /// Position k is seen with probability k^−η.
    #[schemars(range(min = 0.0, max = 5.0))]
    pub examination_exponent: f64,
    /// Grade at which a seen item is clicked half of the time.
    pub click_grade: f64,
    /// Steepness of the click probability around `click_grade`.
    #[schemars(range(min = 0.0))]
    pub click_slope: f64,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

impl Default for SimulatedClicks {
    fn default() -> Self {
        Self {
            sessions_per_query: 4,
            shown: 10,
            examination_exponent: 1.0,
            click_grade: 2.3,
            click_slope: 4.0,
            seed: None,
        }
    }
}

/// When an impression is a positive example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LabelRule {
    /// What happened: `click`, `cart`, `order`, `like`, `share`, `dwell`, `grade`, a column of impressions that the
    /// corpus declares as a signal, or `session.NAME` for what came of the session.
    pub signal: String,
    /// Positive from this value on; a flag that is set is 1.
    pub from: f64,
}

impl Default for LabelRule {
    fn default() -> Self {
        Self { signal: "click".into(), from: 1.0 }
    }
}

/// Format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Lines of fields under a header: commas, tabs, semicolons, bars.
    Csv,
    /// One JSON object a line.
    JsonLines,
    /// One JSON list of objects, or one object that maps keys to objects (the key is the field `$key`).
    Json,
    /// Parquet.
    Parquet,
}

impl Format {
    /// As recipes spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "json-lines",
            Self::Json => "json",
            Self::Parquet => "parquet",
        }
    }
}

/// Whether systems may answer with items that stand in the history of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// No system returns them, and a wanted item among them counts as not found.
    Remove,
    /// They are items like others.
    Keep,
}

/// A field of an item that becomes a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemColumn {
    /// Name of the field, and of the column.
    pub name: String,
    /// What it holds.
    pub holds: Holds,
}

/// Users' item sequences in time order, with leave-one-out: the last item is the test target, the
/// one before it the validation target. Leave-one-out leaks time between users, and the report says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SequencesSettings {
    /// Folder that holds the files.
    #[schemars(extend("x-key" = false))]
    pub path: Source,
    /// Names of the fields where `sequences_file` holds interactions, a row of a user and an item each: CSV, JSON lines,
    /// JSON, Parquet, or RecBole's `.inter`.
    #[serde(default)]
    pub interactions: Option<InteractionFields>,
    /// Sequences, relative to `path`: JSON that maps a user to a list of items, or S3-Rec text
    /// (`user item item …`, one user a line); the first character of the file tells which.
    pub sequences_file: PathBuf,
    /// Items with text, relative to `path`: JSON that maps an id to an object, `.txt` with lines `id text …`, or
    /// CSV (`.tsv`: tabs) with a header. Without it, items are those that sequences name, and have no text.
    #[serde(default)]
    pub items_file: Option<PathBuf>,
    /// Fields of an item that make its text, most important first.
    #[serde(default = "default_text_fields")]
    pub text_fields: Vec<String>,
    /// Column of the item id when `items_file` is CSV.
    #[serde(default = "default_item_column")]
    pub item_column: String,
    /// Whether systems may answer with items that the user met before.
    #[serde(default = "remove")]
    pub seen: Seen,
    /// Users with fewer items are left out.
    #[serde(default = "default_min_items")]
    #[schemars(range(min = 3))]
    pub min_items: u32,
    /// Fields of an item that become columns of the items table, for rankers that read features; each stays an
    /// attribute, too.
    #[serde(default)]
    pub item_columns: Vec<ItemColumn>,
    /// Largest share of malformed rows that is accepted.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub malformed_share: f64,
}

/// Fields of interactions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InteractionFields {
    /// User id.
    pub user: String,
    /// Item id.
    pub item: String,
    /// Time, by which a user's items are put in order; without it, the order of the rows.
    #[serde(default)]
    pub time: Option<String>,
    /// A number that says how much of an interaction it was, such as a rating; without it, all rows count.
    #[serde(default)]
    pub signal: Option<String>,
    /// The least signal of an interaction that counts.
    #[serde(default = "least_signal")]
    pub from: f64,
}

fn least_signal() -> f64 {
    1.0
}

pub(super) fn default_text_fields() -> Vec<String> {
    vec!["title".into()]
}

fn default_item_column() -> String {
    "item_id".into()
}

fn remove() -> Seen {
    Seen::Remove
}

fn default_min_items() -> u32 {
    3
}
