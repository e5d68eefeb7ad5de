//! Settings that were chosen on the validation requests: the file that a system is opened with.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::store::write_json;

/// What was chosen, inside the folder of a system's step.
const TUNED_FILE: &str = "tuned.json";

/// What was chosen, and what it gained. Content of `tuned.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// Version of this layout.
    pub format: u32,
    /// What was tuned for.
    pub metric: String,
    /// Chosen values: weights by the place of a part in `runs`, as `runs.0`, or constants by name. No name of a system is
    /// in here, for a renamed system keeps what was tuned.
    pub chosen: BTreeMap<String, f64>,
    /// The metric on the validation requests under them.
    pub value: f64,
    /// The same with equal weights, or with the constants that the recipe gives.
    pub untuned: f64,
    /// Settings tried.
    pub tried: usize,
    /// Validation requests with a judged item.
    pub requests: usize,
}

impl Chosen {
    /// Writes the choice into a step's folder.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_json(&folder.join(TUNED_FILE), self)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`Error::Data`] when it is missing or damaged.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(TUNED_FILE);
        let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
        serde_json::from_slice(&text).map_err(|e| Error::data(&path, e.to_string()))
    }

    /// A chosen value.
    ///
    /// # Errors
    /// [`Error::Failed`] where there is none of this name: a fault of this program.
    pub fn value(&self, name: &str) -> Result<f64> {
        self.chosen.get(name).copied().ok_or_else(|| {
            Error::Failed(format!("{TUNED_FILE} holds no value of {name}: please report this"))
        })
    }

    /// The weight of the part at a place of `runs`.
    ///
    /// # Errors
    /// As [`Chosen::value`].
    pub fn weight(&self, place: usize) -> Result<f64> {
        self.value(&Self::of_part(place))
    }

    /// What the weight of the part at a place of `runs` is called.
    pub fn of_part(place: usize) -> String {
        format!("runs.{place}")
    }

    /// One sentence for people; `parts` are the names of the systems that a fused one asks.
    pub fn sentence(&self, system: &str, parts: &[&str]) -> String {
        let weights = parts.iter().enumerate().filter_map(|(place, name)| {
            Some(format!("{name} {}", self.chosen.get(&Self::of_part(place))?))
        });
        let constants = self
            .chosen
            .iter()
            .filter(|(name, _)| !name.starts_with("runs."))
            .map(|(name, value)| format!("{name} {value}"));
        let chosen: Vec<String> = weights.chain(constants).collect();
        format!(
            "system {system}: tuned for {} on {} validation requests: {} ({:.4}, untuned {:.4}; {} settings tried)",
            self.metric,
            self.requests,
            chosen.join(", "),
            self.value,
            self.untuned,
            self.tried
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_back_and_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let tuned = Chosen {
            format: 2,
            metric: "ndcg@10".into(),
            chosen: [("k1".to_owned(), 0.6), ("b".to_owned(), 0.2)].into(),
            value: 0.5,
            untuned: 0.4,
            tried: 37,
            requests: 12,
        };
        let weights = [("runs.0".to_owned(), 0.75), ("runs.1".to_owned(), 0.25)].into();
        let fused = Chosen { chosen: weights, ..tuned.clone() };
        assert_eq!(fused.weight(1).unwrap(), 0.25);
        let told = fused.sentence("both", &["left", "right"]);
        assert!(told.contains("requests: left 0.75, right 0.25 (0.5000"), "{told}");
        tuned.write(folder.path()).unwrap();
        assert_eq!(Chosen::read(folder.path()).unwrap(), tuned);
        assert_eq!(tuned.value("b").unwrap(), 0.2);
        assert!(tuned.value("c").is_err());
        assert_eq!(
            tuned.sentence("bm25", &[]),
            "system bm25: tuned for ndcg@10 on 12 validation requests: b 0.2, k1 0.6 (0.5000, untuned 0.4000; \
             37 settings tried)"
        );
    }
}
