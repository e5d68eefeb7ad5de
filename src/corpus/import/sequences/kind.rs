//! What sequences say of themselves.

use std::path::{Path, PathBuf};

use super::super::judged_pairs::no_truth;
use super::{estimate, import};
use crate::corpus::import::columns::{column_faults, open_columns};
use crate::corpus::kinds::{CorpusKind, lacks_column, lacks_signal};
use crate::corpus::settings::SequencesSettings;
use crate::corpus::summary::{CorpusSummary, SizeEstimate};
use crate::error::Result;
use crate::kind::{Fact, Faults, Kind, Lack, keys};
use crate::progress::Context;
use crate::seed::Seed;

impl Kind for SequencesSettings {
    fn faults(&self, faults: &mut Faults<'_>) {
        faults.source(keys!["path"], &self.path);
        column_faults(&self.item_columns, faults);
        if self.items_file.is_none() && !self.item_columns.is_empty() {
            let message = "columns of items are read from an items file, and there is none";
            let help = "give `corpus.items_file`, or leave `item_columns` out";
            faults.key(keys!["item_columns"], message, "nothing to read from", help);
        }
    }

    fn check_headers(&self) -> Result<()> {
        super::check_headers(self)
    }

    fn sources(&self) -> Result<Vec<PathBuf>> {
        let folder = self.path.path()?;
        let items = self.items_file.iter().map(|file| folder.join(file));
        Ok(items.chain([folder.join(&self.sequences_file)]).collect())
    }
}

impl CorpusKind for SequencesSettings {
    fn lack(&self, fact: &Fact) -> Option<Lack> {
        match fact {
            Fact::Histories | Fact::Feedback => None,
            Fact::Text if self.items_file.is_some() => None,
            Fact::Text => {
                Some(Lack { why: "needs the items' text", help: "give `corpus.items_file`" })
            }
            Fact::Queries => Some(Lack { why: "sequences of users ask nothing", help: "" }),
            Fact::Questions => {
                Some(Lack { why: "training requests are sequences of users", help: "" })
            }
            Fact::Days => Some(Lack { why: "sequences carry no time", help: "" }),
            Fact::Impressions | Fact::HeldOutImpressions => {
                Some(Lack { why: "sequences hold no impressions", help: "" })
            }
            Fact::Grades => Some(Lack { why: "no levels", help: "" }),
            Fact::Truth => Some(no_truth()),
            Fact::Column(name) => lacks_column(name, &open_columns(&self.item_columns)),
            Fact::Value(_) if self.items_file.is_some() => None,
            Fact::Value(_) => {
                Some(Lack { why: "items have ids alone", help: "give `corpus.items_file`" })
            }
            Fact::Level(_) => Some(Lack { why: "sequences have no pages", help: "" }),
            Fact::Signal(name) => lacks_signal(name, &[], "sequences have no pages"),
        }
    }

    fn sizes(&self) -> SizeEstimate {
        estimate(self)
    }

    fn is_sequences(&self) -> bool {
        true
    }

    fn grades(&self) -> Option<(&'static [f64], &'static str)> {
        Some((&[1.0], "the next item of a sequence has grade 1"))
    }

    fn test_split(&self) -> String {
        "the last item of every user (leave-one-out)".into()
    }

    fn write(&self, _seed: Seed, out: &Path, ctx: &Context) -> Result<CorpusSummary> {
        import(self, out, ctx)
    }
}
