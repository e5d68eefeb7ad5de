//! How often each item was shown in training, and how often that came to something.

use std::path::{Path, PathBuf};

use crate::corpus::{Corpus, LabelRule, Labels, Split};
use crate::error::{Error, Result};
use crate::store::{Packer, SealKind, Unpacker};

const COUNTS: SealKind = SealKind { kind: "rates", version: 1 };
/// The counts inside the folder of their step.
const COUNTS_FILE: &str = "counts.bin";

/// Labelled impressions of training by item; at least one is positive.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counts {
    /// `[items]`.
    shown: Vec<u32>,
    /// `[items]`: those of them that are positive.
    positives: Vec<u32>,
}

impl Counts {
    /// Counts the impressions of the training requests.
    ///
    /// # Errors
    /// [`Error::Data`] when the corpus cannot be read or does not record the signal, and when no
    /// impression has a label or none is positive.
    pub(super) fn read(corpus: &Corpus, rule: &LabelRule) -> Result<Self> {
        let labels = corpus.labels(Split::Train, rule, &[])?;
        Self::of(&labels, corpus.summary().items as usize)
            .map_err(|fault| fault.in_corpus(corpus.folder(), rule))
    }

    /// Counts labels of so many items.
    pub(super) fn of(labels: &Labels, n_items: usize) -> Result<Self, Fault> {
        let mut counts = Self { shown: vec![0; n_items], positives: vec![0; n_items] };
        for one in labels.pages.iter().flat_map(|(_, page)| page) {
            counts.shown[one.item as usize] += 1;
            counts.positives[one.item as usize] += u32::from(one.is_positive);
        }
        match labels.counts() {
            (0, _) => Err(Fault::NoLabel),
            (_, 0) => Err(Fault::NoPositive),
            (shown, positive) if shown == positive => Err(Fault::AllPositive),
            _ => Ok(counts),
        }
    }

    /// The rate of each item, with so many further impressions at the mean rate: `[items]`. An
    /// item that was never shown has the mean rate.
    pub(super) fn rates(&self, prior: f64) -> Vec<f32> {
        let sum = |counts: &[u32]| counts.iter().map(|&count| f64::from(count)).sum::<f64>();
        let mean = sum(&self.positives) / sum(&self.shown);
        let rate = |(&shown, &positives): (&u32, &u32)| match shown {
            0 => mean as f32,
            _ => ((f64::from(positives) + prior * mean) / (f64::from(shown) + prior)) as f32,
        };
        self.shown.iter().zip(&self.positives).map(rate).collect()
    }

    /// The file of the counts in a folder.
    pub(super) fn file(folder: &Path) -> PathBuf {
        folder.join(COUNTS_FILE)
    }

    /// Writes them.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let mut table = Packer::default();
        table.number(self.shown.len() as u64);
        table.numbers(&self.shown);
        table.numbers(&self.positives);
        table.write(&Self::file(folder), COUNTS)
    }

    /// Opens the counts of so many items.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is missing, damaged, or of another catalogue.
    pub(super) fn open(folder: &Path, n_items: usize) -> Result<Self> {
        const ANY: u64 = 1 << u32::BITS;
        let mut table = Unpacker::open(&Self::file(folder), COUNTS)?;
        table.expect(n_items as u64, "items")?;
        let counts = Self { shown: table.numbers(ANY)?, positives: table.numbers(ANY)? };
        if (counts.shown.len(), counts.positives.len()) != (n_items, n_items) {
            return Err(table.fault("counts are not of all items"));
        }
        let is_sound = counts.shown.iter().zip(&counts.positives).all(|(all, some)| some <= all);
        if !is_sound || counts.positives.iter().all(|&count| count == 0) {
            return Err(table.fault("more impressions are positive than were shown, or none is"));
        }
        table.finish()?;
        Ok(counts)
    }
}

/// Why labels give no rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is none.
    NoLabel,
    /// None is positive.
    NoPositive,
    /// All are positive.
    AllPositive,
}

impl Fault {
    pub(super) fn in_corpus(self, folder: &Path, rule: &LabelRule) -> Error {
        let LabelRule { signal, from } = rule;
        let (message, help) = match self {
            Self::NoLabel => (
                format!("`{signal}` was recorded for no impression of training"),
                "name another signal, or remove the system of kind click-rate",
            ),
            Self::NoPositive => (
                format!("`{signal}` is {from} or more for no impression of training"),
                "lower `label.from`, name another signal, or remove the system of kind click-rate",
            ),
            Self::AllPositive => (
                format!("`{signal}` is {from} or more for every impression of training"),
                "raise `label.from`, name another signal, or remove the system of kind click-rate",
            ),
        };
        Error::data(folder, message).with_help(help)
    }
}
