//! A metric with its options and cutoff, as recipes, the command line and reports spell it:
//! `recall@10`, `p(rel=2)@5`, `ndcg(gain=exp)@10`. Prints it and says what its row of the table
//! says; `parse` reads it. Knows no run.

use std::fmt;
use std::num::NonZeroU32;

use super::better::Better;
use super::catalogue::Needs;
use super::definition::{Cutoff, Definition, UnderTies};
use super::parameters::{Asked, Parameters};
use crate::labelled::LabelledMetric;

/// A metric with its options and cutoff. Equal metrics print alike, and what is printed reads back
/// equal.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    pub(super) definition: &'static Definition,
    pub(super) parameters: Parameters,
    pub(super) cutoff: Option<NonZeroU32>,
}

impl Metric {
    /// A row of the table with its defaults and without a cutoff.
    pub(super) fn plain(definition: &'static Definition) -> Self {
        let labelled = definition.basis.labelled();
        let parameters = Parameters { labelled, ..Parameters::default() };
        Self { definition, parameters, cutoff: None }
    }

    /// Number of first places looked at; none for the whole list.
    pub fn cutoff(&self) -> Option<u32> {
        self.cutoff.map(NonZeroU32::get)
    }

    /// Threshold of relevance, where the metric states one of its own.
    pub fn relevant_grade(&self) -> Option<f64> {
        self.parameters.relevant_grade
    }

    /// The figure of labelled predictions that it is, with its options; none for a metric of lists.
    pub fn labelled(&self) -> Option<LabelledMetric> {
        self.parameters.labelled
    }

    /// Which way it is better.
    pub fn better(&self) -> Better {
        self.definition.better
    }

    /// What must be given beside runs and judgments.
    pub fn needs(&self) -> Needs {
        self.definition.basis.needs()
    }

    /// Whether its expected value under ties in random order has a closed form.
    pub fn expects_ties(&self) -> bool {
        self.definition.under_ties == UnderTies::Expected
    }

    /// Its row in the table of metrics.
    pub fn definition(&self) -> &'static Definition {
        self.definition
    }

    /// Its options.
    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What it is computed under, where the evaluation's threshold is `relevant_grade` and the
    /// highest grade there is `highest`.
    pub(crate) fn asked(&self, relevant_grade: f64, highest: f64) -> Asked {
        Asked {
            relevant_grade: self.parameters.relevant_grade.unwrap_or(relevant_grade),
            highest: self.parameters.highest.unwrap_or(highest),
            cutoff: self.cutoff(),
            parameters: self.parameters,
        }
    }
}

impl PartialEq for Metric {
    /// Rows have names of their own.
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name
            && self.parameters == other.parameters
            && self.cutoff == other.cutoff
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(labelled) = self.labelled() {
            return write!(f, "{labelled}");
        }
        let Definition { name, options, cutoff, .. } = self.definition;
        let written = |key: &super::OptionKey| {
            key.written(&self.parameters).map(|value| format!("{}={value}", key.name()))
        };
        let options: Vec<String> = options.iter().filter_map(written).collect();
        f.write_str(name)?;
        if !options.is_empty() {
            write!(f, "({})", options.join(","))?;
        }
        match (cutoff, self.cutoff) {
            (Cutoff::Recall, _) => write!(f, "@{}", self.parameters.recall),
            (Cutoff::Optional | Cutoff::Required | Cutoff::Never, Some(places)) => {
                write!(f, "@{places}")
            }
            (Cutoff::Optional | Cutoff::Required | Cutoff::Never, None) => Ok(()),
        }
    }
}

/// Which way the metric of this name is better, by the table; the name may carry options and a
/// cutoff. None where it names no metric.
pub fn better_of(name: &str) -> Option<Better> {
    name.parse::<Metric>().ok().map(|metric| metric.better())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_asked_by_name() {
        for (name, expected) in [
            ("ece(bins=10)", Some(Better::Lower)),
            ("gini@10", Some(Better::Lower)),
            ("rmse", Some(Better::Lower)),
            ("ndcg(gain=exp)@10", Some(Better::Higher)),
            ("auc", Some(Better::Higher)),
            ("regret", None),
        ] {
            assert_eq!(better_of(name), expected, "{name}");
        }
    }
}
