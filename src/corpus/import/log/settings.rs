//! Settings of a log: which files hold what, and under which names.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::corpus::cell::{Entity, Holds};
use crate::corpus::levels::{LevelRule, default_levels};
use crate::corpus::settings::{Format, ItemColumn, Seen};
use crate::store::Source;

/// Events of a shop as people have them: what was asked, shown and chosen, with the items and users
/// they speak of. A name of a field may lead into objects (`user.id`) and through lists of objects
/// (`results.item`); of a JSON object of rows, `$key` is the key of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// Folder that holds the files.
    #[schemars(extend("x-key" = false))]
    pub path: Source,
    /// Files of events. Rows of one request may stand in several; what they say of it is joined.
    pub log: Vec<EventFiles>,
    /// Items with text; without it, items are those that the log names, and have no text.
    #[serde(default)]
    pub items: Option<ItemFiles>,
    /// What is known of users.
    #[serde(default)]
    pub users: Option<UserFiles>,
    /// Texts of queries, where `log.query` holds their ids.
    #[serde(default)]
    pub queries: Option<QueryFiles>,
    /// Grades of items for requests: then they are what is judged by, and not what held-out requests chose.
    #[serde(default)]
    pub grades: Option<GradeFiles>,
    /// Items that the log names and the items files do not: left out and counted, or added without text.
    #[serde(default)]
    pub unknown_items: UnknownItems,
    /// What lifts a shown item to which level, the lowest level first; by default clicked, carted, ordered.
    #[serde(default = "default_levels")]
    pub levels: Vec<LevelRule>,
    /// Grade of an item that reached each level in a held-out request, the lowest level first; by default 1, 2, 3 and on.
    #[serde(default)]
    pub grades_of_levels: Option<Vec<f32>>,
    /// Where train, validation and test come from.
    #[serde(default)]
    pub split: LogSplit,
    /// Most recent items of the user that a request carries as its history: those that the log records, or what the user chose in
    /// earlier requests where it records none; 0 carries none.
    #[serde(default = "default_history")]
    #[schemars(range(min = 0, max = 1_000))]
    pub history: u32,
    /// Whether systems may answer with items of the request's history.
    #[serde(default = "keep")]
    pub seen: Seen,
    /// Largest share of malformed rows that is accepted, in each file; they are counted and the first ones shown.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub malformed_share: f64,
}

fn default_history() -> u32 {
    20
}

fn keep() -> Seen {
    Seen::Keep
}

/// What becomes of items that only the log names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownItems {
    /// They are left out and counted.
    #[default]
    Drop,
    /// They become items without text.
    Add,
}

/// Files of items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemFiles {
    /// File relative to `corpus.path`, or a pattern such as `items/*.parquet`; `.gz` and `.zst` are unpacked.
    pub file: PathBuf,
    /// Format, by default as name and first bytes say.
    #[serde(default)]
    pub format: Option<Format>,
    /// What separates the fields of a line, by default what the header shows.
    #[serde(default)]
    pub delimiter: Option<char>,
    /// Item id.
    #[serde(default = "item_id")]
    pub id: String,
    /// Title; without it, items have the text of `text` alone.
    #[serde(default)]
    pub title: Option<String>,
    /// Further text, most important first: brand, description, names of categories.
    #[serde(default)]
    pub text: Vec<String>,
    /// Category path, broadest first: a field for each level, or one field that holds the path.
    #[serde(default)]
    pub category: Vec<String>,
    /// What separates the levels where one text holds the path.
    #[serde(default = "category_separator")]
    pub category_separator: String,
    /// Price.
    #[serde(default)]
    pub price: Option<String>,
    /// Day of launch, a whole number of days since the start of the log.
    #[serde(default)]
    pub launch_day: Option<String>,
    /// Last day of the counts of training that the file brings, a whole number.
    #[serde(default)]
    pub statistics_day: Option<String>,
    /// Times shown up to that day.
    #[serde(default)]
    pub shown: Option<String>,
    /// Times clicked up to that day.
    #[serde(default)]
    pub clicks: Option<String>,
    /// Times ordered up to that day.
    #[serde(default)]
    pub orders: Option<String>,
    /// Fields that become attributes; by default all that are not named otherwise. `more.*` stands for all fields of an
    /// object.
    #[serde(default)]
    pub attributes: Option<Vec<String>>,
    /// Attributes that become columns of the items table, for rankers that read features.
    #[serde(default)]
    pub columns: Vec<ItemColumn>,
}

fn item_id() -> String {
    "item_id".into()
}

fn category_separator() -> String {
    ">".into()
}

/// Files of users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserFiles {
    /// File relative to `corpus.path`, or a pattern.
    pub file: PathBuf,
    /// Format, by default as name and first bytes say.
    #[serde(default)]
    pub format: Option<Format>,
    /// What separates the fields of a line, by default what the header shows.
    #[serde(default)]
    pub delimiter: Option<char>,
    /// User id.
    pub id: String,
    /// Fields that become columns of the users table.
    pub columns: Vec<ItemColumn>,
}

/// Files of query texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryFiles {
    /// File relative to `corpus.path`, or a pattern.
    pub file: PathBuf,
    /// Format, by default as name and first bytes say.
    #[serde(default)]
    pub format: Option<Format>,
    /// What separates the fields of a line, by default what the header shows.
    #[serde(default)]
    pub delimiter: Option<char>,
    /// Query id, as `log.query` has it.
    pub id: String,
    /// Query text.
    pub text: String,
}

/// Files of graded items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GradeFiles {
    /// File relative to `corpus.path`, or a pattern.
    pub file: PathBuf,
    /// Format, by default as name and first bytes say.
    #[serde(default)]
    pub format: Option<Format>,
    /// What separates the fields of a line, by default what the header shows.
    #[serde(default)]
    pub delimiter: Option<char>,
    /// Request id, as in the log; or else `query`.
    #[serde(default)]
    pub request: Option<String>,
    /// Query text: the grade holds for every request with it.
    #[serde(default)]
    pub query: Option<String>,
    /// Item id.
    pub item: String,
    /// Graded relevance.
    pub grade: String,
}

/// Files of events, and what their fields are called. A row is an event of one item (`item`), or a request with
/// lists (`shown`, `clicked`, …).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventFiles {
    /// File relative to `corpus.path`, or a pattern such as `events/*.jsonl.gz`; `.gz` and `.zst` are unpacked.
    pub file: PathBuf,
    /// Format, by default as name and first bytes say.
    pub format: Option<Format>,
    /// What separates the fields of a line, by default what the header shows.
    pub delimiter: Option<char>,
    /// What separates the entries of lists that are written as text; by default a blank.
    pub separator: Option<String>,
    /// Fields that together name the request. Without them, rows with equal user, session, time and query are one request, and of
    /// lists each row is one.
    pub request: Vec<String>,
    /// User id.
    pub user: Option<String>,
    /// Session id.
    pub session: Option<String>,
    /// Time of the event.
    pub time: Option<String>,
    /// What a time counts, where it is a number; by default, its size tells seconds from milli-, micro- and nanoseconds since 1970.
    pub time_unit: Option<TimeUnit>,
    /// Day since the start of the log, a whole number; by default it follows from the time, in UTC.
    pub day: Option<String>,
    /// Query text.
    pub query: Option<String>,
    /// Items of the user's past, oldest first.
    pub history: Option<String>,
    /// Split of the request, for `corpus.split.by = "column"`.
    pub split: Option<String>,
    /// Item id, where a row is an event of one item.
    pub item: Option<String>,
    /// Item ids that were shown, in order, where a row is a request.
    pub shown: Option<String>,
    /// Item ids that were clicked, where a row is a request; so with the next ones.
    pub clicked: Option<String>,
    /// Item ids that were put into the cart.
    pub carted: Option<String>,
    /// Item ids that were ordered.
    pub ordered: Option<String>,
    /// 1-based position on the page; by default, the order of the rows or of the list. Where a row is a request, this field and
    /// the next ones hold a list along `shown`.
    pub position: Option<String>,
    /// Probability under the logging policy that the item stood at its position.
    pub propensity: Option<String>,
    /// Whether it was clicked: true or false, or a number.
    pub click: Option<String>,
    /// Whether it was put into the cart.
    pub cart: Option<String>,
    /// Whether it was ordered.
    pub order: Option<String>,
    /// Whether it was liked.
    pub like: Option<String>,
    /// Whether it was shared.
    pub share: Option<String>,
    /// Dwell time in seconds.
    pub dwell: Option<String>,
    /// Grade that the log gives to the impression.
    pub grade: Option<String>,
    /// What each row of an item, or each entry of `shown`, means by itself: for logs of nothing but clicks or orders.
    pub means: Option<Meaning>,
    /// Times that the item was clicked for the query, where rows are counts: the query is asked as often as its items were
    /// shown, and once where it is held out.
    pub clicks: Option<String>,
    /// Times that the item was shown for the query; by default as often as it was clicked.
    pub impressions: Option<String>,
    /// One number that says how far the item got.
    pub label: Option<LabelField>,
    /// One field that says what happened, in words.
    pub event: Option<EventField>,
    /// Fields that become columns.
    pub columns: Vec<LogColumn>,
}

/// What a row means by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// The item was clicked.
    Click,
    /// It was put into the cart.
    Cart,
    /// It was ordered.
    Order,
}

/// A field that says in a number how far an item got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelField {
    /// The field.
    pub field: String,
    /// Clicked from this value on.
    #[serde(default)]
    pub click: Option<f64>,
    /// Put into the cart from this value on.
    #[serde(default)]
    pub cart: Option<f64>,
    /// Ordered from this value on.
    #[serde(default)]
    pub order: Option<f64>,
}

/// A field that says in words what happened to an item. Rows of the same item in a request are joined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventField {
    /// The field.
    pub field: String,
    /// Words that mean it was shown and no more.
    #[serde(default)]
    pub shown: Vec<String>,
    /// Words that mean a click.
    #[serde(default)]
    pub click: Vec<String>,
    /// Words that mean it was put into the cart.
    #[serde(default)]
    pub cart: Vec<String>,
    /// Words that mean an order.
    #[serde(default)]
    pub order: Vec<String>,
    /// Words of rows that are left out.
    #[serde(default)]
    pub ignore: Vec<String>,
}

/// A field of the log that becomes a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogColumn {
    /// Name of the column.
    pub name: String,
    /// The field, by default of the column's name.
    #[serde(default)]
    pub field: Option<String>,
    /// Of what it is a column: `user`, `session`, `request` or `impression`.
    pub of: Entity,
    /// What it holds.
    pub holds: Holds,
    /// Whether it says what happened after the page was shown: it may be learned and is never read to predict.
    #[serde(default)]
    pub signal: bool,
}

impl LogColumn {
    /// The field that it is read from.
    pub(super) fn field(&self) -> &str {
        self.field.as_deref().unwrap_or(&self.name)
    }
}

/// What the number of a time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimeUnit {
    /// Seconds, since 1970 or since the start of the log.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Days.
    Days,
    /// Nothing: a smaller number is earlier, and there are no days.
    Order,
}

/// Where train, validation and test come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LogSplit {
    /// The last requests in time are for testing, those before them for validation.
    Time {
        /// Share of requests for validation.
        #[serde(default = "tenth")]
        #[schemars(range(min = 0.0, max = 0.9))]
        validation: f64,
        /// Share of requests for testing.
        #[serde(default = "tenth")]
        #[schemars(range(min = 0.0, max = 0.9))]
        test: f64,
    },
    /// Dates divide them.
    Date {
        /// First moment of validation, as in `2026-10-01` or `2026-10-01T12:00:00Z`; by default there is none.
        #[serde(default)]
        validation_from: Option<String>,
        /// First moment of testing.
        test_from: String,
    },
    /// A hash of the session decides.
    Session {
        /// Share of sessions for validation.
        #[serde(default = "tenth")]
        #[schemars(range(min = 0.0, max = 0.9))]
        validation: f64,
        /// Share of sessions for testing.
        #[serde(default = "tenth")]
        #[schemars(range(min = 0.0, max = 0.9))]
        test: f64,
    },
    /// A hash of the user decides.
    User {
        /// Share of users for validation.
        #[serde(default = "tenth")]
        #[schemars(range(min = 0.0, max = 0.9))]
        validation: f64,
        /// Share of users for testing.
        #[serde(default = "tenth")]
        #[schemars(range(min = 0.0, max = 0.9))]
        test: f64,
    },
    /// A hash of the query text decides.
    Query {
        /// Share of queries for validation.
        #[serde(default = "tenth")]
        #[schemars(range(min = 0.0, max = 0.9))]
        validation: f64,
        /// Share of queries for testing.
        #[serde(default = "tenth")]
        #[schemars(range(min = 0.0, max = 0.9))]
        test: f64,
    },
    /// The field `log.split` says.
    Column {
        /// Value that means training.
        #[serde(default = "train")]
        train: String,
        /// Value that means validation.
        #[serde(default = "validation")]
        validation: String,
        /// Value that means test.
        #[serde(default = "test")]
        test: String,
    },
    /// Of each user, the last request in which something was chosen is for testing, the one before it for validation.
    LeaveOneOut {},
}

impl Default for LogSplit {
    fn default() -> Self {
        Self::Time { validation: tenth(), test: tenth() }
    }
}

fn tenth() -> f64 {
    0.1
}

fn train() -> String {
    "train".into()
}

fn validation() -> String {
    "validation".into()
}

fn test() -> String {
    "test".into()
}
