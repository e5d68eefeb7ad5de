//! What a log says of itself.

use std::path::{Path, PathBuf};

use super::headers::check_headers;
use super::settings::{EventFiles, ItemFiles, LogSettings, LogSplit, Meaning};
use super::{import, open_columns};
use crate::corpus::cell::{Entity, Holds};
use crate::corpus::import::columns::column_faults;
use crate::corpus::import::judged_pairs::no_truth;
use crate::corpus::import::records::matching;
use crate::corpus::kinds::{CorpusKind, lacks_column, lacks_level, lacks_signal};
use crate::corpus::levels::{default_levels, level_fault};
use crate::corpus::rows::fixed_columns;
use crate::corpus::summary::{CorpusSummary, SizeEstimate};
use crate::error::Result;
use crate::kind::{Fact, Faults, ItemValue, Key, Kind, Lack, keys};
use crate::progress::Context;
use crate::seed::Seed;

impl EventFiles {
    fn is_lists(&self) -> bool {
        self.item.is_none()
    }

    /// Signals that its fields record.
    fn signals(&self) -> Vec<&str> {
        let label =
            |flag: fn(&super::settings::LabelField) -> bool| self.label.as_ref().is_some_and(flag);
        let event = |words: fn(&super::settings::EventField) -> &Vec<String>| {
            self.event.as_ref().is_some_and(|event| !words(event).is_empty())
        };
        let given = [
            (
                "click",
                self.click.is_some()
                    || self.means == Some(Meaning::Click)
                    || self.clicks.is_some()
                    || self.clicked.is_some()
                    || label(|label| label.click.is_some())
                    || event(|event| &event.click),
            ),
            (
                "cart",
                self.cart.is_some()
                    || self.means == Some(Meaning::Cart)
                    || self.carted.is_some()
                    || label(|label| label.cart.is_some())
                    || event(|event| &event.cart),
            ),
            (
                "order",
                self.order.is_some()
                    || self.means == Some(Meaning::Order)
                    || self.ordered.is_some()
                    || label(|label| label.order.is_some())
                    || event(|event| &event.order),
            ),
            ("like", self.like.is_some()),
            ("share", self.share.is_some()),
            ("dwell", self.dwell.is_some()),
            ("grade", self.grade.is_some()),
        ];
        let columns = self.columns.iter().filter(|column| {
            column.signal && column.of == Entity::Impression && column.holds == Holds::Number
        });
        let fixed = given.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name);
        fixed.chain(columns.map(|column| column.name.as_str())).collect()
    }

    fn faults(&self, place: usize, faults: &mut Faults<'_>) {
        let key = |name: &str| keys!["log", place, name];
        if self.file.as_os_str().is_empty() {
            let help = "name a file, or a pattern such as events/*.jsonl";
            faults.value(keys!["log", place], "a log without a file", "no `file`", help);
        }
        delimiter_fault(self.delimiter, key("delimiter"), faults);
        let lists = [
            ("shown", &self.shown),
            ("clicked", &self.clicked),
            ("carted", &self.carted),
            ("ordered", &self.ordered),
        ];
        let first_list = lists.iter().find(|(_, field)| field.is_some());
        match (&self.item, first_list) {
            (Some(_), Some((name, _))) => {
                let message = "a row is an event of one item, or a request with lists";
                let help = "give `item`, or `shown` and what was chosen of it";
                faults.key(key(name), message, "beside `item`", help);
            }
            (None, None) if self.history.is_none() => {
                let message = "the log names no items";
                let help = "give `item` where a row is an event, `shown` or `clicked` where it is a request";
                faults.value(keys!["log", place], message, "no field of items", help);
            }
            _ => {}
        }
        if let (Some(_), true) = (&self.event, self.is_lists()) {
            let help = "give `item`: words say what happened to one item";
            faults.key(key("event"), "a word for a list of items", "without `item`", help);
        }
        if self.is_lists() && self.shown.is_none() {
            let along = [
                ("click", &self.click),
                ("cart", &self.cart),
                ("order", &self.order),
                ("like", &self.like),
                ("share", &self.share),
                ("dwell", &self.dwell),
                ("grade", &self.grade),
                ("position", &self.position),
                ("propensity", &self.propensity),
            ];
            for (name, _) in along.iter().filter(|(_, field)| field.is_some()) {
                let message = "a list along `shown`, which is not given";
                faults.key(key(name), message, "without `shown`", "give `shown`, or `item`");
            }
        }
        if !self.is_lists()
            && self.request.is_empty()
            && [&self.session, &self.time, &self.query, &self.user].iter().all(|one| one.is_none())
        {
            let help =
                "give `request`, or what tells requests apart: `user`, `session`, `time`, `query`";
            let message = "nothing tells which rows are of one request";
            faults.value(keys!["log", place], message, "no field of requests", help);
        }
        if self.clicks.is_some() && (self.item.is_none() || self.query.is_none()) {
            let message = "counts are of an item for a query";
            faults.key(key("clicks"), message, "without `item` or `query`", "give both");
        }
        if self.clicks.is_some() && !self.request.is_empty() {
            let message = "counts belong to no single request";
            faults.key(key("request"), message, "beside `clicks`", "leave it out");
        }
        if self.impressions.is_some() && self.clicks.is_none() {
            let message = "impressions are counted beside clicks";
            faults.key(key("impressions"), message, "without `clicks`", "give `clicks`");
        }
        if self.time_unit.is_some() && self.time.is_none() {
            faults.key(key("time_unit"), "a unit of no time", "without `time`", "give `time`");
        }
        if let Some(label) = &self.label
            && label.click.or(label.cart).or(label.order).is_none()
        {
            let help = "give `click`, `cart` or `order` the least value that means it";
            faults.key(key("label"), "a label that means nothing", "no value", help);
        }
        for (number, column) in self.columns.iter().enumerate() {
            let at = |name: &str| keys!["log", place, "columns", number, name];
            let name = &column.name;
            if column.of == Entity::Item {
                let help = "name the field in corpus.items.columns";
                faults.value(at("of"), "events have no columns of items", "not of the log", help);
            } else if fixed_columns(column.of).contains(name) {
                let table = column.of.name();
                let message = format!("every table of {table}s has a column `{name}`");
                let help =
                    format!("give the column another name, and its field as `field = \"{name}\"`");
                faults.value(at("name"), message, "a fixed column", help);
            } else if name.is_empty()
                || self.columns[..number]
                    .iter()
                    .any(|other| other.of == column.of && other.name == *name)
            {
                let message = format!("two columns, or none, are called `{name}`");
                faults.value(at("name"), message, "not a name of its own", "name each once");
            }
            let is_outcome = matches!(column.of, Entity::Impression | Entity::Session);
            if column.signal && !is_outcome {
                let message = "only impressions and sessions come to something";
                faults.value(at("signal"), message, "no signal", "leave `signal` out");
            }
            if column.of == Entity::Impression && self.is_lists() && self.shown.is_none() {
                let message = "a list along `shown`, which is not given";
                faults.value(at("of"), message, "without `shown`", "give `shown`, or `item`");
            }
        }
    }
}

fn delimiter_fault(delimiter: Option<char>, key: Vec<Key>, faults: &mut Faults<'_>) {
    if let Some(delimiter) = delimiter.filter(|one| !one.is_ascii()) {
        let message = format!("`{delimiter}` cannot separate fields");
        faults.value(
            key,
            message,
            "more than a byte",
            "use an ASCII character, such as ; or a tab",
        );
    }
}

impl LogSettings {
    fn has(&self, field: impl Fn(&EventFiles) -> bool) -> bool {
        self.log.iter().any(field)
    }

    fn signals(&self) -> Vec<&str> {
        let mut signals: Vec<&str> = Vec::new();
        for name in self.log.iter().flat_map(EventFiles::signals) {
            if !signals.contains(&name) {
                signals.push(name);
            }
        }
        signals
    }

    fn has_histories(&self) -> bool {
        self.history > 0 && self.has(|log| log.history.is_some() || log.user.is_some())
    }

    fn split_faults(&self, faults: &mut Faults<'_>) {
        let (needs, is_given) = match &self.split {
            LogSplit::Time { .. } | LogSplit::Date { .. } => {
                ("time", self.has(|log| log.time.is_some()))
            }
            LogSplit::Session { .. } => ("session", self.has(|log| log.session.is_some())),
            LogSplit::User { .. } | LogSplit::LeaveOneOut {} => {
                ("user", self.has(|log| log.user.is_some()))
            }
            LogSplit::Query { .. } => ("query", self.has(|log| log.query.is_some())),
            LogSplit::Column { .. } => ("split", self.has(|log| log.split.is_some())),
        };
        if !is_given {
            let message = match &self.split {
                LogSplit::Column { .. } => {
                    "the split is by a column, and no log names it".to_owned()
                }
                _ => format!("the split is by {needs}, and no log names a field of it"),
            };
            let help = format!(
                "name the field, as in log.{needs} = \"…\", or choose another corpus.split: by time, date, session, user, \
                 query, column or leave-one-out"
            );
            faults.value(keys!["split"], message, format!("needs log.{needs}"), help);
        }
        if let LogSplit::Time { validation, test }
        | LogSplit::Session { validation, test }
        | LogSplit::User { validation, test }
        | LogSplit::Query { validation, test } = self.split
        {
            if test <= 0.0 {
                let message = "the split leaves nothing to test on";
                faults.value(
                    keys!["split", "test"],
                    message,
                    "nothing is held out",
                    "give a share, such as 0.1",
                );
            } else if validation + test >= 1.0 {
                let label = format!("validation and test take {}", validation + test);
                let message = "the split leaves nothing to train on";
                faults.value(keys!["split", "test"], message, label, "hold out less");
            }
        }
        if let LogSplit::Date { validation_from, test_from } = &self.split {
            let dates =
                [("validation_from", validation_from.as_ref()), ("test_from", Some(test_from))];
            for (name, text) in dates {
                let Some(text) = text else { continue };
                if super::time::dated(text).is_none() {
                    let message = format!("\"{text}\" is no date");
                    let help = "write 2026-10-01 or 2026-10-01T12:00:00Z";
                    faults.value(keys!["split", name], message, "not a moment", help);
                }
            }
        }
    }
}

impl Kind for LogSettings {
    fn format(&self) -> u32 {
        // 2: an item that stands twice at one position of a request is shown once.
        2
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        faults.source(keys!["path"], &self.path);
        if self.log.is_empty() {
            let help = "add [[corpus.log]] with `file` and the names of its fields";
            faults.value(keys!["log"], "a log without files", "empty", help);
            return;
        }
        for (place, log) in self.log.iter().enumerate() {
            log.faults(place, faults);
        }
        if let Some(items) = &self.items {
            column_faults(&items.columns, faults);
            delimiter_fault(items.delimiter, keys!["items", "delimiter"], faults);
        }
        self.split_faults(faults);
        let signals = self.signals();
        if signals.is_empty() && self.grades.is_none() {
            let message = "nothing says what was chosen";
            let help =
                "name fields of clicks, carts or orders in corpus.log, or give corpus.grades";
            faults.value(keys!["log"], message, "no signal", help);
        } else if !signals.is_empty() {
            // Levels that nobody named may stay empty: not every log has carts.
            // A resolved recipe writes them out: what stands there as by default, nobody may have named.
            let is_given = self.levels != default_levels() && faults.is_given(&keys!["levels"]);
            let fault = level_fault(&self.levels, &signals).filter(|_| is_given);
            if let Some((place, message, help)) = fault {
                let key = match self.levels.is_empty() {
                    true => keys!["levels"],
                    false => keys!["levels", place],
                };
                faults.value(key, message, "not a level", help);
            }
        }
        if let Some(grades) = &self.grades_of_levels {
            let is_ascending = grades.windows(2).all(|pair| pair[0] <= pair[1]);
            let is_positive = grades.iter().all(|grade| *grade > 0.0 && grade.is_finite());
            if grades.len() != self.levels.len() || !is_ascending || !is_positive {
                let message =
                    format!("{} levels need as many grades above 0, ascending", self.levels.len());
                let label = format!("{} grades", grades.len());
                faults.value(keys!["grades_of_levels"], message, label, "give one for each level");
            }
            if self.grades.is_some() {
                let message = "corpus.grades is what is judged by";
                faults.key(
                    keys!["grades_of_levels"],
                    message,
                    "not used",
                    "leave one of the two out",
                );
            }
        }
        if let Some(grades) = &self.grades {
            delimiter_fault(grades.delimiter, keys!["grades", "delimiter"], faults);
            match (&grades.request, &grades.query) {
                (None, None) | (Some(_), Some(_)) => {
                    let help = "give `request` or `query`, and not both";
                    faults.value(
                        keys!["grades"],
                        "what do the grades belong to?",
                        "not one field",
                        help,
                    );
                }
                (Some(_), None) if self.has(|log| log.request.len() != 1) => {
                    let message = "the log has no field of request ids";
                    let help = "name it in corpus.log.request, or give `query`";
                    faults.key(
                        keys!["grades", "request"],
                        message,
                        "nothing to compare with",
                        help,
                    );
                }
                (None, Some(_)) if !self.has(|log| log.query.is_some()) => {
                    let message = "the log has no queries";
                    let help = "name them in corpus.log.query, or give `request`";
                    faults.key(keys!["grades", "query"], message, "nothing to compare with", help);
                }
                _ => {}
            }
        }
        if let Some(queries) = &self.queries {
            delimiter_fault(queries.delimiter, keys!["queries", "delimiter"], faults);
            if !self.has(|log| log.query.is_some()) {
                let message = "the log names no queries";
                faults.key(keys!["queries"], message, "nothing to join", "give corpus.log.query");
            }
        }
        if let Some(users) = &self.users {
            delimiter_fault(users.delimiter, keys!["users", "delimiter"], faults);
            if !self.has(|log| log.user.is_some()) {
                let message = "the log names no users";
                faults.key(keys!["users"], message, "nothing to join", "give corpus.log.user");
            }
            for (place, column) in users.columns.iter().enumerate() {
                let is_of_log = super::log_columns(self)
                    .iter()
                    .any(|other| other.of == Entity::User && other.name == column.name);
                let is_there = fixed_columns(Entity::User).contains(&column.name);
                let is_twice = users.columns[..place].iter().any(|other| other.name == column.name);
                if is_of_log || is_there || is_twice || column.name.is_empty() {
                    let message = format!("there is a column user.{} already", column.name);
                    let key = keys!["users", "columns", place, "name"];
                    faults.value(key, message, "second time", "name each column once");
                }
            }
        }
    }

    fn check_headers(&self) -> Result<()> {
        check_headers(self)
    }

    fn sources(&self) -> Result<Vec<PathBuf>> {
        let folder = self.path.path()?;
        let named = self.log.iter().map(|log| &log.file);
        let named = named
            .chain(self.items.iter().map(|items| &items.file))
            .chain(self.users.iter().map(|users| &users.file))
            .chain(self.queries.iter().map(|queries| &queries.file))
            .chain(self.grades.iter().map(|grades| &grades.file));
        let mut files = Vec::new();
        for name in named {
            files.extend(matching(folder, name)?);
        }
        Ok(files)
    }
}

impl CorpusKind for LogSettings {
    fn lack(&self, fact: &Fact) -> Option<Lack> {
        match fact {
            Fact::Text => match &self.items {
                Some(items) if items.title.is_some() || !items.text.is_empty() => None,
                Some(_) => Some(Lack {
                    why: "needs the items' text",
                    help: "name `title` or `text` in corpus.items",
                }),
                None => Some(Lack { why: "needs the items' text", help: "give corpus.items" }),
            },
            Fact::Histories if self.has_histories() => None,
            Fact::Histories => Some(Lack {
                why: "requests without histories",
                help: "name log.history, or log.user with corpus.history above 0",
            }),
            Fact::Feedback if !self.signals().is_empty() => None,
            Fact::Feedback => Some(Lack {
                why: "the log says nothing of choices",
                help: "name fields of clicks, carts or orders in corpus.log",
            }),
            Fact::Days if self.has(|log| log.time.is_some() || log.day.is_some()) => None,
            Fact::Days => Some(Lack { why: "the log has no time", help: "name log.time" }),
            Fact::Queries if self.has(|log| log.query.is_some()) => None,
            Fact::Queries => Some(Lack { why: "the log has no queries", help: "name log.query" }),
            Fact::Questions | Fact::Impressions | Fact::HeldOutImpressions => None,
            Fact::Grades if self.grades.is_some() => None,
            Fact::Grades => Some(Lack {
                why: "training requests have choices and no grades",
                help: "give corpus.grades",
            }),
            Fact::Truth => Some(no_truth()),
            Fact::Column(name) => lacks_column(name, &open_columns(self)),
            Fact::Value(of) => lacks_value(self.items.as_ref(), of),
            Fact::Level(name) => lacks_level(name, &self.levels),
            Fact::Signal(name) => match name.strip_prefix("session.") {
                Some(name) => {
                    let columns = super::log_columns(self);
                    let is_it = |column: &&super::LogColumn| {
                        column.of == Entity::Session && column.signal && column.name == name
                    };
                    (!columns.iter().any(is_it))
                        .then_some(Lack { why: "no such outcome of sessions", help: "" })
                }
                None => lacks_signal(name, &self.signals(), "corpus.log names no field of it"),
            },
        }
    }

    fn sizes(&self) -> SizeEstimate {
        SizeEstimate::default()
    }

    fn test_split(&self) -> String {
        match &self.split {
            LogSplit::Time { test, .. } => format!("the last {test} of all requests in time"),
            LogSplit::Date { test_from, .. } => format!("requests from {test_from} on"),
            LogSplit::Session { test, .. } => format!("a hash picks {test} of the sessions"),
            LogSplit::User { test, .. } => format!("a hash picks {test} of the users"),
            LogSplit::Query { test, .. } => format!("a hash picks {test} of the queries"),
            LogSplit::Column { test, .. } => format!("rows whose split is {test}"),
            LogSplit::LeaveOneOut {} => {
                "the last request of every user in which something was chosen".into()
            }
        }
    }

    fn write(&self, _seed: Seed, out: &Path, ctx: &Context) -> Result<CorpusSummary> {
        import(self, out, ctx)
    }
}

/// What a log says of values that its file of items does not bring.
fn lacks_value(items: Option<&ItemFiles>, of: &ItemValue) -> Option<Lack> {
    let Some(items) = items else {
        return Some(Lack { why: "items have ids alone", help: "give corpus.items" });
    };
    match of {
        ItemValue::Category(_) if items.category.is_empty() => {
            Some(Lack { why: "items have no category", help: "name `category` in corpus.items" })
        }
        ItemValue::Attribute(name) => {
            let listed = items.attributes.as_ref()?;
            let is_there = listed.iter().any(|one| one == name || one.ends_with('*'))
                || items.columns.iter().any(|column| column.name == *name);
            (!is_there).then_some(Lack {
                why: "no such attribute",
                help: "name it in corpus.items.attributes",
            })
        }
        ItemValue::Category(_) => None,
    }
}
