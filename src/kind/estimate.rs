//! Figures of a step before anything is loaded.

use crate::text::grouped;

/// Clicks per request assumed before the corpus is there.
const ASSUMED_CLICKS: f64 = 1.5;
/// Bytes of a request in memory, its strings included, and of a shown item.
const REQUEST_BYTES: u64 = 300;
const SHOWN_BYTES: u64 = 48;
/// Prompt tokens per request assumed for query prompts.
const ASSUMED_PROMPT: u64 = 12;

/// What is known of the corpus in advance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Whether the corpus is there, so that its counts are exact.
    pub exact: bool,
    /// Items.
    pub items: Option<u64>,
    /// Training requests.
    pub train: Option<u64>,
    /// Test requests.
    pub test: Option<u64>,
    /// Clicks of training requests.
    pub clicks: Option<u64>,
    /// Items shown for training requests.
    pub impressions: Option<u64>,
    /// Whether requests are users' sequences.
    pub sequences: bool,
}

impl Sizes {
    /// Clicks per training request: what is known of them, or what is assumed.
    pub fn clicks_per_request(&self) -> f64 {
        match (self.clicks, self.train) {
            _ if self.sequences => 1.0,
            (Some(clicks), Some(train)) if train > 0 => clicks as f64 / train as f64,
            _ => ASSUMED_CLICKS,
        }
    }

    /// Bytes of the training requests in memory, and of the pages that were shown for them.
    pub fn read_bytes(&self) -> u64 {
        self.train.unwrap_or(0) * REQUEST_BYTES + self.impressions.unwrap_or(0) * SHOWN_BYTES
    }

    /// Training examples where each click, or each sequence, is one.
    pub fn examples(&self) -> Option<u64> {
        if self.sequences { self.train } else { self.clicks }
    }

    /// How exact [`Sizes::examples`] is: clicks per split are not known before they are read.
    pub fn about(&self) -> &'static str {
        if self.exact && self.sequences { "" } else { "≈ " }
    }

    /// Tokens of a prompt, `answer` being the tokens of one item and `history_items` the most of a history.
    pub fn prompt_tokens(&self, history_items: u32, answer: u64) -> u64 {
        if self.sequences {
            u64::from(history_items).saturating_sub(1) * answer
        } else {
            ASSUMED_PROMPT
        }
    }
}

/// Figures of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Figures by name, as text.
    pub figures: Vec<(String, String)>,
    /// Bytes that the step is likely to hold at most, where that is known.
    pub memory: Option<u64>,
    /// Most bytes that the recipe allows the step; by default what the machine has.
    pub allowed: Option<u64>,
    /// Which keys to change where memory does not suffice.
    pub advice: &'static str,
}

impl Estimate {
    /// Adds a figure.
    #[must_use]
    pub fn figure(mut self, name: &str, value: impl Into<String>) -> Self {
        self.figures.push((name.into(), value.into()));
        self
    }

    /// Adds a count, `about` before it, where it is known.
    #[must_use]
    pub fn count(self, name: &str, about: &str, value: Option<u64>) -> Self {
        let value =
            value.map_or("known after the corpus".into(), |n| format!("{about}{}", grouped(n)));
        self.figure(name, value)
    }

    /// Sets the bytes held, and what to change where they are too many.
    #[must_use]
    pub fn holds(self, memory: Option<u64>, advice: &'static str) -> Self {
        Self { memory, advice, ..self }
    }
}
