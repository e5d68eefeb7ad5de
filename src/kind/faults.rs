//! What is wrong with a component's keys, said by the component itself.

use std::ops::Deref;

use crate::store::Source;

/// One step of the way from a component's table to a value in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// The value under a name.
    Name(String),
    /// The element of a list.
    Place(usize),
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Place(place) => write!(f, "{place}"),
        }
    }
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<usize> for Key {
    fn from(place: usize) -> Self {
        Self::Place(place)
    }
}

/// The way to a value: `keys!["fields", 2, "weight"]`.
#[macro_export]
macro_rules! keys {
    ($($key:expr),* $(,)?) => { Vec::from([$($crate::kind::Key::from($key)),*]) };
}

/// Something wrong, or worth a word, at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, from the component's own table.
    pub key: Vec<Key>,
    /// What is wrong.
    pub message: String,
    /// What stands at the place.
    pub label: String,
    /// What to do; may be empty.
    pub help: String,
    /// Whether the key itself is at fault, whatever its value.
    pub on_key: bool,
    /// Another key that has a part in it, and what stands there.
    pub also: Option<(Vec<Key>, &'static str)>,
    /// Whether it is allowed all the same.
    pub is_remark: bool,
}

/// What a component may look at beyond its own settings while it is checked.
pub trait Around {
    /// Name of the component; empty where it has none.
    fn name(&self) -> &str;

    /// What the component is, as in `system` or `training`.
    fn what(&self) -> &'static str;

    /// A key in full, as in `train.aligned.epochs`.
    fn dotted(&self, key: &[Key]) -> String;

    /// Whether the recipe gives a key itself.
    fn is_given(&self, key: &[Key]) -> bool;

    /// Whether the component is free of faults of shape: only then may the absence of a key be held against it.
    fn is_intact(&self) -> bool;

    /// Whether a metric is one of lists and judgments.
    ///
    /// # Errors
    /// What to do where it is not.
    fn check_tuned(&self, metric: &str) -> Result<(), String>;

    /// The cut-off of a metric, where it states one.
    fn cut_off(&self, metric: &str) -> Option<u32>;

    /// Depth of the evaluated lists.
    fn depth(&self) -> u32;

    /// Whether systems are judged on the validation requests.
    fn judges_validation(&self) -> bool;

    /// Items of the corpus, where its settings say.
    fn items(&self) -> Option<u64>;
}

/// The faults of one component.
pub struct Faults<'a> {
    around: &'a dyn Around,
    /// What was found.
    pub found: Vec<Fault>,
}

impl<'a> Deref for Faults<'a> {
    type Target = dyn Around + 'a;

    fn deref(&self) -> &Self::Target {
        self.around
    }
}

impl<'a> Faults<'a> {
    /// None yet.
    pub fn new(around: &'a dyn Around) -> Self {
        Self { around, found: Vec::new() }
    }

    /// A fault of the value at a key.
    pub fn value(
        &mut self,
        key: Vec<Key>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.found.push(Fault {
            key,
            message: message.into(),
            label: label.into(),
            help: help.into(),
            on_key: false,
            also: None,
            is_remark: false,
        });
    }

    /// A reference to a hub in place of an outside file or folder is a fault: nothing fetches yet.
    pub fn source(&mut self, key: Vec<Key>, source: &Source) {
        if let Some(help) = source.refusal() {
            let message = format!("`{}` refers to a hub", self.dotted(&key));
            self.value(key, message, "nothing is fetched yet", help);
        }
    }

    /// A fault of a key, whatever its value.
    pub fn key(
        &mut self,
        key: Vec<Key>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.value(key, message, label, help);
        if let Some(last) = self.found.last_mut() {
            last.on_key = true;
        }
    }

    /// Something allowed that is worth a word.
    pub fn remark(
        &mut self,
        key: Vec<Key>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.value(key, message, label, help);
        if let Some(last) = self.found.last_mut() {
            last.is_remark = true;
        }
    }

    /// Adds to the last fault another key that has a part in it.
    pub fn also(&mut self, key: Vec<Key>, label: &'static str) {
        if let Some(last) = self.found.last_mut() {
            last.also = Some((key, label));
        }
    }

    /// `a` must divide `b`: two keys of the same table.
    pub fn divides(&mut self, key: Vec<Key>, a: u32, of: &str, b: u32, help: &str) {
        if a != 0 && b.is_multiple_of(a) {
            return;
        }
        let message = format!("`{}` must divide `{of}`", self.dotted(&key));
        let help = if help.is_empty() { divisors(b) } else { help.to_owned() };
        self.value(key, message, format!("{a} does not divide {b}"), help);
    }
}

fn divisors(number: u32) -> String {
    let divisors: Vec<String> = (1..=number)
        .filter(|divisor| number.is_multiple_of(*divisor))
        .map(|divisor| divisor.to_string())
        .collect();
    format!("legal values: {}", divisors.join(", "))
}
