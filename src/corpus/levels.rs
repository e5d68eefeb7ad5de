//! How far a shown item got: levels, derived from signals by rules that a recipe may write.
//!
//! A signal is a column that says what happened to an impression: `click`, `cart`, `order`, `like`,
//! `share`, `dwell`, `grade`, or an open column that its source declares as a signal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cell::{Cell, ColumnName, Entity, Holds, OpenColumn};
use super::types::{Impression, Level};

/// Signals that every corpus has a column for.
pub(super) const SIGNALS: [&str; 7] = ["click", "cart", "order", "like", "share", "dwell", "grade"];

/// A level, and the signal that lifts a shown item to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelRule {
    /// What the level is called.
    pub name: String,
    /// The signal: `click`, `cart`, `order`, `like`, `share`, `dwell`, `grade`, or a column that the corpus declares as
    /// one.
    pub signal: String,
    /// The least value of the signal; a flag that is set is 1.
    #[serde(default = "set")]
    pub from: f64,
}

fn set() -> f64 {
    1.0
}

/// Clicked, put into the cart, ordered.
pub fn default_levels() -> Vec<LevelRule> {
    let rule = |name: &str, signal: &str| LevelRule {
        name: name.into(),
        signal: signal.into(),
        from: set(),
    };
    vec![rule("clicked", "click"), rule("carted", "cart"), rule("ordered", "order")]
}

/// What is wrong with rules under the signals that a source records: the place of the rule, a message
/// and what to do.
pub(super) fn level_fault(
    rules: &[LevelRule],
    recorded: &[&str],
) -> Option<(usize, String, String)> {
    if rules.is_empty() || rules.len() > usize::from(u8::MAX) {
        let message = format!("{} levels", rules.len());
        return Some((0, message, format!("name 1 to {}, the lowest first", u8::MAX)));
    }
    for (place, rule) in rules.iter().enumerate() {
        if !recorded.contains(&rule.signal.as_str()) {
            let message = format!("the corpus records no signal `{}`", rule.signal);
            return Some((place, message, format!("it records {}", recorded.join(", "))));
        }
        if rule.name.is_empty() {
            return Some((place, "a level has no name".into(), "give it one".into()));
        }
        if rules[..place].iter().any(|other| other.name == rule.name) {
            let message = format!("two levels are called `{}`", rule.name);
            return Some((place, message, "give each level a name of its own".into()));
        }
        if !rule.from.is_finite() || rule.from <= 0.0 {
            let message =
                format!("a level cannot begin at {}: all that is shown would reach it", rule.from);
            return Some((place, message, "give a number above 0; a flag that is set is 1".into()));
        }
    }
    None
}

/// Names of the signals of impressions: fixed ones, and open ones of a source.
pub(super) fn signals(open: &[OpenColumn]) -> Vec<&str> {
    let of_impressions = |one: &&OpenColumn| {
        one.is_signal && one.column.of == Entity::Impression && one.holds == Holds::Number
    };
    let open = open.iter().filter(of_impressions);
    SIGNALS.into_iter().chain(open.map(|one| one.column.name.as_str())).collect()
}

/// Rules ready to be applied to impressions, with the open columns that they read.
#[derive(Debug, Clone)]
pub(super) struct Levels {
    /// `[level]`: the signal and its least value.
    rules: Vec<(Signal, f64)>,
    /// Open columns of impressions that are read, in the order of their cells.
    pub(super) open: Vec<ColumnName>,
}

/// Where a signal stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Signal {
    /// In the impression itself, by its place in [`SIGNALS`].
    Fixed(usize),
    /// Among the cells of open columns.
    Open(usize),
}

impl Levels {
    /// From rules whose signals are known.
    pub(super) fn new(rules: &[LevelRule]) -> Self {
        let mut open: Vec<ColumnName> = Vec::new();
        let rules = rules.iter().map(|rule| {
            let signal = match SIGNALS.iter().position(|fixed| *fixed == rule.signal) {
                Some(place) => Signal::Fixed(place),
                None => {
                    let column = ColumnName::new(Entity::Impression, rule.signal.clone());
                    let place = open.iter().position(|one| *one == column);
                    Signal::Open(place.unwrap_or_else(|| {
                        open.push(column);
                        open.len() - 1
                    }))
                }
            };
            (signal, rule.from)
        });
        let rules = rules.collect();
        Self { rules, open }
    }

    /// How many there are, beside that of what is shown and no more.
    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// The highest level that an impression reached; `cells` are those of [`Levels::open`].
    pub(super) fn of(&self, impression: &Impression, cells: &[Cell]) -> Level {
        let reached = |(signal, from): &(Signal, f64)| {
            let value = match *signal {
                Signal::Fixed(place) => signal_value(impression, place),
                Signal::Open(place) => cells.get(place).and_then(Cell::number),
            };
            value.is_some_and(|value| value >= *from)
        };
        let highest = self.rules.iter().rposition(reached);
        // There are at most 255 rules.
        Level(highest.map_or(0, |place| place as u8 + 1))
    }
}

/// The value of a fixed signal, where it was recorded.
fn signal_value(impression: &Impression, place: usize) -> Option<f64> {
    let flag = |set: bool| Some(f64::from(u8::from(set)));
    match SIGNALS[place] {
        "click" => flag(impression.click),
        "cart" => flag(impression.cart),
        "order" => flag(impression.order),
        "like" => impression.like.and_then(flag),
        "share" => impression.share.and_then(flag),
        "dwell" => impression.dwell.map(f64::from),
        _ => impression.grade.map(f64::from),
    }
}

/// The value of a signal of that name, where an impression has it: a fixed one.
pub(super) fn fixed_signal(impression: &Impression, name: &str) -> Option<f64> {
    let place = SIGNALS.iter().position(|signal| *signal == name)?;
    signal_value(impression, place)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn level_is_that_of_the_strongest_signal() {
        let levels = Levels::new(&default_levels());
        let of = |impression: Impression| levels.of(&impression, &[]).0;
        let shown = Impression::default();
        assert_eq!(of(shown), 0);
        assert_eq!(of(Impression { click: true, ..shown }), 1);
        assert_eq!(of(Impression { click: true, cart: true, ..shown }), 2);
        assert_eq!(of(Impression { order: true, ..shown }), 3);
        assert!(!Level(0).is_chosen() && Level(1).is_chosen());
    }

    #[test]
    fn recorded_numbers_and_open_signals_lift_from_a_threshold_on() {
        let rule = |name: &str, signal: &str, from| LevelRule {
            name: name.into(),
            signal: signal.into(),
            from,
        };
        let rules = [rule("watched", "dwell", 30.0), rule("saved", "saves", 2.0)];
        let levels = Levels::new(&rules);
        assert_eq!(levels.open, [ColumnName::new(Entity::Impression, "saves")]);
        let seen = |dwell| Impression { dwell, click: true, ..Impression::default() };
        let of = |dwell, saves| levels.of(&seen(dwell), &[saves]).0;
        assert_eq!(of(None, Cell::Absent), 0);
        assert_eq!(of(Some(29.5), Cell::Absent), 0);
        assert_eq!(of(Some(30.0), Cell::Number(1.0)), 1);
        assert_eq!(of(Some(3.0), Cell::Number(2.0)), 2);
    }

    #[test]
    fn rules_that_read_nothing_are_refused() {
        let saves = OpenColumn {
            column: ColumnName::new(Entity::Impression, "saves"),
            holds: Holds::Number,
            is_signal: true,
        };
        let mut rules = default_levels();
        let fixed = signals(&[]);
        assert_eq!(level_fault(&rules, &fixed), None);
        rules[1].signal = "saves".into();
        assert_eq!(level_fault(&rules, &signals(std::slice::from_ref(&saves))), None);
        let (place, message, help) = level_fault(&rules, &fixed).unwrap();
        assert_eq!((place, message.as_str()), (1, "the corpus records no signal `saves`"));
        assert!(help.contains("click, cart"), "{help}");
        rules[1] = rules[0].clone();
        assert!(level_fault(&rules, &fixed).unwrap().1.contains("two levels"));
        assert!(level_fault(&[], &fixed).is_some());
    }
}
