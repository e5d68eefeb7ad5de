//! What speaks for the items of the requests that a report shows, of a system that says so.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

use super::Work;
use super::evaluation::Evaluation;
use crate::corpus::{Ask, Request};
use crate::error::Result;
use crate::identifier::spans::TITLE;
use crate::inputs::StepContext;
use crate::judging::evidence::{ShownEvidence, TitleSpan};
use crate::judging::runs::{Evaluated, read_answers};
use crate::kind::{Estimate, Role, Sizes};
use crate::ranker::kinds::System;

/// Items of a request, from the first on.
const ITEMS: usize = 10;

/// Asks a system why its first items are there, for the requests that the evaluation chose to show: evaluation itself sees
/// no model.
#[derive(Serialize, JsonSchema)]
pub struct TellEvidence {
    /// The system with those that it asks.
    pub system: System,
    /// The requests.
    pub evaluated: Evaluated,
}

impl Work for TellEvidence {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let mut inputs = step.inputs.clone();
        let answered = inputs.folder(Role::System(0))?.to_owned();
        if self.system.settings.it().tuned_for().is_some() {
            // What was tuned for the system lies beside its answers.
            inputs.put(Role::Tuned, &answered);
        }
        let (corpus, catalogue) = (inputs.corpus()?, inputs.catalogue()?);
        let evaluation = Evaluation::read(inputs.folder(Role::Evaluation)?)?;
        let run = read_answers(&answered)?;
        let requests = self.evaluated.requests(corpus)?;
        let requests: HashMap<&str, &Request> =
            requests.iter().map(|request| (request.id.as_str(), request)).collect();
        let asked = evaluation.examples.iter().filter_map(|example| {
            let items = run.get(&example.request)?.items().take(ITEMS);
            let items: Vec<u32> = items.filter_map(|(id, _)| catalogue.index_of(id)).collect();
            Some((example.request.as_str(), &requests.get(example.request.as_str())?.ask, items))
        });
        let asked: Vec<(&str, &Ask, Vec<u32>)> = asked.collect();
        let system = self.system.open(&inputs)?;
        let told = asked.par_iter().map(|(request, ask, items)| {
            let evidence = system.evidence(ask, items)?;
            let of_title = items.iter().zip(evidence).map(|(item, evidence)| {
                let of_title = evidence.into_iter().filter(|one| one.field == TITLE);
                let spans =
                    of_title.map(|one| (one.bytes.start as u64, one.bytes.end as u64, one.worth));
                (catalogue.ids[*item as usize].clone(), spans.collect::<Vec<TitleSpan>>())
            });
            let of_title: BTreeMap<String, Vec<TitleSpan>> =
                of_title.filter(|(_, spans)| !spans.is_empty()).collect();
            Ok(((*request).to_owned(), of_title))
        });
        let requests = told.collect::<Result<Vec<_>>>()?.into_iter().collect();
        ShownEvidence::new(requests).write(step.out)
    }

    fn estimate(&self, _sizes: &Sizes) -> Estimate {
        Estimate::default().figure("items of a request", ITEMS.to_string())
    }
}
