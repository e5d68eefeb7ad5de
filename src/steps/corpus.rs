//! The tables.

use schemars::JsonSchema;
use serde::Serialize;

use super::Work;
use crate::corpus::kinds::CorpusSettings;
use crate::corpus::{Corpus, CorpusSummary, Split, build_seeded};
use crate::error::{Error, Result};
use crate::inputs::StepContext;
use crate::judging::runs::Evaluated;
use crate::kind::{Estimate, Sizes};

/// Imports or simulates the tables.
#[derive(Serialize, JsonSchema)]
pub struct MakeCorpus {
    /// Where they come from.
    pub settings: CorpusSettings,
    /// What will be evaluated: a corpus without it is refused before hours are spent on training.
    #[schemars(extend("x-key" = false))]
    pub evaluated: Evaluated,
    /// Items from this grade on are relevant.
    #[schemars(extend("x-key" = false))]
    pub relevant_grade: f64,
}

impl Work for MakeCorpus {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let summary = build_seeded(&self.settings, step.seed, step.out, step.ctx)?;
        step.ctx.say(format!(
            "corpus: {} items, {} training and {} test requests, {} impressions, {} clicks",
            summary.items,
            summary.requests.train,
            summary.requests.test,
            summary.impressions,
            summary.clicks
        ));
        self.check_evaluated(step, &summary)
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        Estimate::default()
            .count("items", "", sizes.items)
            .count("training requests", "", sizes.train)
            .count("test requests", "", sizes.test)
    }
}

impl MakeCorpus {
    /// Refuses a corpus that nothing could be evaluated on.
    fn check_evaluated(&self, step: &StepContext<'_>, summary: &CorpusSummary) -> Result<()> {
        let refuse = |message: String, help: &str| {
            let source = summary.sources.last();
            let path = source.map_or(step.out, |source| source.path.as_path());
            Err(Error::data(path, message).with_help(help))
        };
        let split = self.evaluated.split();
        let named = if split == Split::Test { "test" } else { "validation" };
        if summary.judgements.of(split) == 0 {
            let message = format!(
                "no {named} request with a judged item ({} training, {} validation and {} test requests)",
                summary.requests.train, summary.requests.validation, summary.requests.test
            );
            return refuse(message, "check corpus.split: nothing could be evaluated");
        }
        let judgements = Corpus::open(step.out)?.judgements(split)?;
        let grades = judgements.iter().map(|(_, _, grade)| f64::from(*grade));
        let best = grades.fold(f64::MIN, f64::max);
        let relevant = self.relevant_grade;
        if best < relevant {
            let message = format!(
                "the best grade of a {named} request is {best}, below the {relevant} that is relevant"
            );
            return refuse(message, "lower evaluation.relevant_grade, or check the grades");
        }
        Ok(())
    }
}
