//! What judged pairs say of themselves.

use std::path::{Path, PathBuf};

use super::{estimate, import};
use crate::corpus::import::columns::{column_faults, open_columns};
use crate::corpus::kinds::{CorpusKind, lacks_column, lacks_level, lacks_signal};
use crate::corpus::levels::default_levels;
use crate::corpus::settings::{JudgedPairsSettings, PairSplit};
use crate::corpus::summary::{CorpusSummary, SizeEstimate};
use crate::error::Result;
use crate::kind::keys;
use crate::kind::{Draws, Fact, Faults, Kind, Lack};
use crate::progress::Context;
use crate::seed::Seed;

/// Signals of simulated pages.
const SIMULATED: [&str; 2] = ["click", "grade"];

impl Kind for JudgedPairsSettings {
    fn format(&self) -> u32 {
        // 2: lines that a stray quotation mark swallowed are malformed rows.
        2
    }

    fn draws(&self) -> Draws {
        self.clicks.as_ref().map_or(Draws::Nothing, |clicks| Draws::Seeded(clicks.seed))
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        faults.source(keys!["path"], &self.path);
        column_faults(&self.item_columns, faults);
        match &self.split {
            PairSplit::QueryHash { validation, test } => {
                let key = keys!["split", "test"];
                if *test <= 0.0 {
                    let help = "give `corpus.split.test` a share, for instance 0.1";
                    let message = "the split leaves nothing to test on";
                    faults.value(key, message, "no query is held out", help);
                } else if validation + test >= 1.0 {
                    let message = "the split leaves nothing to train on";
                    let label =
                        format!("validation and test take {} of all queries", validation + test);
                    faults.value(key, message, label, "hold out less");
                }
            }
            PairSplit::Column { train, validation, test, .. } => {
                let pairs = [
                    ("test", test, train),
                    ("test", test, validation),
                    ("validation", validation, train),
                ];
                for (key, value, other) in pairs {
                    if value == other {
                        let message =
                            format!("two splits are marked by the same value \"{value}\"");
                        let help = "train, validation and test need values of their own";
                        faults.value(keys!["split", key], message, "cannot be told apart", help);
                    }
                }
            }
        }
    }

    fn check_headers(&self) -> Result<()> {
        super::check_headers(self)
    }

    fn sources(&self) -> Result<Vec<PathBuf>> {
        let folder = self.path.path()?;
        Ok(vec![folder.join(&self.items_file), folder.join(&self.pairs_file)])
    }
}

impl CorpusKind for JudgedPairsSettings {
    fn lack(&self, fact: &Fact) -> Option<Lack> {
        let has_clicks = self.clicks.is_some();
        let simulate = "add [corpus.clicks] to simulate clicks on the graded pairs";
        match fact {
            // Whatever else the file of items brings is an attribute.
            Fact::Text | Fact::Grades | Fact::Queries | Fact::Questions | Fact::Value(_) => None,
            Fact::Days => Some(Lack { why: "judged pairs carry no time", help: "" }),
            Fact::Histories => Some(Lack {
                why: "no users",
                help: "judged pairs have queries and no users: remove the system",
            }),
            Fact::Feedback | Fact::Impressions if has_clicks => None,
            Fact::Feedback => {
                Some(Lack { why: "judged pairs carry grades, not clicks", help: simulate })
            }
            Fact::Impressions => Some(Lack { why: "no impressions", help: simulate }),
            Fact::HeldOutImpressions => Some(Lack {
                why: "pages are simulated for training requests alone",
                help: "leave `labels` out: held-out pairs are judged",
            }),
            Fact::Truth => Some(no_truth()),
            Fact::Column(name) => lacks_column(name, &open_columns(&self.item_columns)),
            Fact::Level(name) if has_clicks => lacks_level(name, &default_levels()),
            Fact::Level(_) => Some(Lack { why: "no impressions", help: simulate }),
            Fact::Signal(name) => match has_clicks {
                true => lacks_signal(name, &SIMULATED, "simulated pages record click and grade"),
                false => lacks_signal(name, &[], simulate),
            },
        }
    }

    fn sizes(&self) -> SizeEstimate {
        estimate(self)
    }

    fn test_split(&self) -> String {
        match &self.split {
            PairSplit::Column { column, test, .. } => format!("rows with {column} = {test}"),
            PairSplit::QueryHash { test, .. } => format!("a hash picks {test} of the queries"),
        }
    }

    fn write(&self, seed: Seed, out: &Path, ctx: &Context) -> Result<CorpusSummary> {
        import(self, seed, out, ctx)
    }
}

/// What every corpus but the simulator lacks.
pub(in crate::corpus) fn no_truth() -> Lack {
    let help = "the truth is known only with [corpus] kind = \"simulator\": remove the system";
    Lack { why: "no truth to read", help }
}
