//! What a search by vectors finds, said by the decoder.

use std::collections::HashMap;

use rayon::prelude::*;

use super::supervised;
use crate::corpus::{Ask, Corpus, Request, Split};
use crate::decode::settings::Normalizer;
use crate::error::{Error, Result};
use crate::generative::PROMPTS_FILE;
use crate::generative::kinds::{Lesson, ObjectiveKind};
use crate::identifier::Identifiers;
use crate::kind::keys;
use crate::kind::{Draws, Fact, Family, Faults, Kind, Need, Role, Sizes, Use};
use crate::train::data::prompts::{Form, Prompts};
use crate::train::objective::Objective;
use crate::train::objective::distillation::{Distillation, Example, Paths, Teacher};
use crate::train::objective::mixed::Mixed;
use crate::train::settings::{DistillationSettings, SupervisedSettings};
use crate::vectors::Encoded;

/// Requests encoded between two looks at the interrupt flag.
const CHUNK: usize = 512;

impl Kind for DistillationSettings {
    fn draws(&self) -> Draws {
        Draws::Seeded(None)
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let vectors = Use::new(Family::Vectors, &self.vectors, Role::Vectors, "vectors");
        vec![vectors.at(keys!["objective", "vectors"])]
    }

    fn needs(&self) -> Vec<Need> {
        let at = keys!["objective", "kind"];
        let asked = "training `{name}` learns what training requests find, and there are none";
        let mut needs = vec![Need::new(Fact::Questions, asked.into()).at(at.clone())];
        if self.pseudo_requests > 0.0 {
            let message = "`pseudo_requests` asks by words of titles, but items have no text";
            let need =
                Need::new(Fact::Text, message.into()).at(keys!["objective", "pseudo_requests"]);
            needs.push(need.instead("set pseudo_requests = 0"));
        }
        if self.others && self.pseudo_requests < 1.0 {
            let message = "training `{name}` learns `others` from clicks, but the corpus has none";
            let need = Need::new(Fact::Feedback, message.into()).at(keys!["objective", "others"]);
            needs.push(need.instead("leave `others` out"));
        }
        needs
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        let [fewest, most] = self.pseudo_words;
        if fewest > most {
            let key = keys!["objective", "pseudo_words"];
            let message = format!("`{}` runs backwards", faults.dotted(&key));
            let help = format!("write [{most}, {fewest}]");
            faults.value(key, message, "fewest words come first", help);
        }
    }
}

impl ObjectiveKind for DistillationSettings {
    fn examples(&self, sizes: &Sizes) -> Option<u64> {
        match self.others {
            // Of two identifiers, one is learned by requests and one by clicks.
            true => Some(sizes.train?.midpoint(sizes.examples()?)),
            false => sizes.train,
        }
    }

    fn identifiers(&self, n: usize) -> usize {
        if self.others { n } else { n.min(1) }
    }

    fn answers(&self, _sizes: &Sizes) -> u64 {
        u64::from(self.answers)
    }

    fn normalizer(&self) -> Normalizer {
        Normalizer::Slice
    }

    fn needs_one_length(&self) -> bool {
        true
    }

    fn format_dropping(&self) -> u32 {
        // +1: what an adapter drops was kept.
        self.format() + 1
    }

    fn train(&self, lesson: Lesson<'_>) -> Result<()> {
        let Lesson { step, settings, decoder, bundle, vectors, .. } = &lesson;
        let catalogue = step.inputs.catalogue()?;
        let kind = vectors.ok_or_else(|| Error::Failed("the vectors are not known".into()))?;
        let encoded = kind.it().open(step.inputs.folder(Role::Vectors)?, catalogue)?;
        let place = step.inputs.folder(Role::Identifier(0))?;
        let identifiers = Identifiers::load(place, Some(&catalogue.hash))?;
        let paths = Paths::new(&identifiers.codes, identifiers.n_levels());
        let (examples, asks) = examples(step.inputs.corpus()?)?;
        let queries = encode(&encoded, &asks, step.ctx)?;
        let one = |ask: &Ask| encoded.encoder.vector(ask, &encoded.vectors);
        let items = (&*encoded.vectors.data, encoded.vectors.dim);
        let teacher = Teacher::new(&one, queries, items, &paths);
        let path = step.inputs.folder(Role::Prompts(0))?.join(PROMPTS_FILE);
        let prompts = (&bundle.prompts, Prompts::open(&path, Form::Asked)?);
        let titles = (0..catalogue.len() as u32).map(|item| catalogue.title(item)).collect();
        let epochs = settings.course.epochs;
        let drawn = (epochs, step.seed);
        let mut distilled =
            Distillation::new(decoder, prompts, examples, titles, paths, teacher, self, drawn)?;
        if !self.others {
            return lesson.run(&mut distilled);
        }
        let spans = supervised::spans(step, bundle)?;
        let requests = step.inputs.corpus()?.requests(Split::Train)?;
        let asked = supervised::asked(step, bundle, &spans, 1)?;
        let settings = SupervisedSettings {
            pseudo_requests: self.pseudo_requests,
            pseudo_words: self.pseudo_words,
            ..SupervisedSettings::default()
        };
        let others = supervised::objective(step, decoder, (asked, &requests), &settings)?;
        let n_draws = (distilled.n_examples() + others.n_examples()) as f64 * epochs;
        let mut both = Mixed::new(distilled.among(n_draws.ceil() as u64), others);
        lesson.run(&mut both)
    }
}

/// One example per training request, and each distinct ask once.
fn examples(corpus: &Corpus) -> Result<(Vec<Example>, Vec<Ask>)> {
    let train = corpus.request_range(Split::Train);
    let mut numbers: HashMap<(Option<String>, Vec<u32>), u32> = HashMap::new();
    let (mut asks, mut clicked) = (Vec::new(), Vec::<Vec<u32>>::new());
    let mut of_request = Vec::new();
    for request in corpus.request_iter(Split::Train)? {
        let Request { ask, .. } = request?;
        let next = asks.len() as u32;
        let number = *numbers.entry((ask.query.clone(), ask.history.clone())).or_insert(next);
        if number == next {
            asks.push(ask);
            clicked.push(Vec::new());
        }
        of_request.push(number);
    }
    for group in corpus.impressions()? {
        let (request, impressions) = group?;
        if train.contains(&request) {
            let number = of_request[(request - train.start) as usize] as usize;
            let chosen = impressions.iter().filter(|impression| impression.level.is_chosen());
            clicked[number].extend(chosen.map(|impression| impression.item));
        }
    }
    for items in &mut clicked {
        items.sort_unstable();
        items.dedup();
    }
    let example = |(prompt, &vector): (u32, &u32)| Example {
        prompt,
        vector,
        clicked: clicked[vector as usize].clone(),
    };
    let examples = (0u32..).zip(&of_request).map(example).collect();
    Ok((examples, asks))
}

/// The vectors of requests.
fn encode(
    encoded: &Encoded,
    asks: &[Ask],
    ctx: &crate::progress::Context,
) -> Result<Vec<Vec<f32>>> {
    let mut queries = Vec::with_capacity(asks.len());
    let mut bar = ctx.bar("encode requests", asks.len() as u64, "request");
    for chunk in asks.chunks(CHUNK) {
        ctx.check_interrupt()?;
        let vectors = chunk.par_iter().map(|ask| encoded.encoder.vector(ask, &encoded.vectors));
        queries.par_extend(vectors.collect::<Result<Vec<_>>>()?);
        bar.advance(chunk.len() as u64);
    }
    Ok(queries)
}
