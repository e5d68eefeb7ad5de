//! Request → identifier of a clicked item, or the next item of a sequence, in every identifier of
//! the model.

use crate::corpus::{Catalogue, Request, Split};
use crate::decode::prompt::PromptBuilder;
use crate::decode::spans::Spans;
use crate::error::{Error, Result};
use crate::generative::kinds::{Lesson, ObjectiveKind};
use crate::generative::{Bundle, PROMPTS_FILE};
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{Draws, Fact, Faults, Kind, Need, Role, Sizes, Use};
use crate::model::Decoder;
use crate::train::data::prompts::{Form, Prompts};
use crate::train::data::spans::SpanLessons;
use crate::train::data::taught::teach;
use crate::train::objective::supervised::{Asked, Example, Material, Supervised};
use crate::train::settings::{SupervisedSettings, TeacherSettings};

impl Kind for SupervisedSettings {
    fn format(&self) -> u32 {
        // 2: the sampler. 3: its log. 4: validation searches with one width, whatever is excluded.
        4
    }

    fn draws(&self) -> Draws {
        Draws::Seeded(None)
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let at = keys!["objective", "teacher"];
        self.teacher.iter().map(|teacher| teacher.used(at.clone())).collect()
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        if self.teacher.is_some() {
            needs.push(TeacherSettings::need(keys!["objective", "teacher"]));
        } else if self.pseudo_requests < 1.0 {
            let message = "training `{name}` learns from clicks, but the corpus has none";
            let need = Need::new(Fact::Feedback, message.into()).at(keys!["objective", "kind"]);
            needs.push(need.instead("train on pseudo-requests alone (pseudo_requests = 1)"));
        }
        if self.pseudo_requests > 0.0 {
            let message =
                "training `{name}` draws pseudo-requests from titles, but the items have none";
            let key = keys!["objective", "pseudo_requests"];
            let need = Need::new(Fact::Text, message.into()).at(key);
            needs.push(need.instead("set pseudo_requests = 0"));
        }
        needs
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        let [fewest, most] = self.pseudo_words;
        let key = keys!["objective", "pseudo_words"];
        let dotted = faults.dotted(&key);
        if fewest > most {
            let message = format!("`{dotted}` runs backwards");
            let help = format!("write [{most}, {fewest}]");
            faults.value(key, message, "fewest words come first", help);
        } else if fewest < 1 || most > 64 {
            let message = format!("`{dotted}` is out of range: {fewest} to {most}");
            faults.value(key, message, "expected word counts from 1 to 64", "");
        }
    }
}

impl ObjectiveKind for SupervisedSettings {
    fn examples(&self, sizes: &Sizes) -> Option<u64> {
        let taught = self.teacher.as_ref().map_or(0, |teacher| u64::from(teacher.top));
        Some(sizes.examples()? + sizes.train? * taught)
    }

    fn about(&self, sizes: &Sizes) -> &'static str {
        if self.teacher.is_some() { "≤ " } else { sizes.about() }
    }

    fn identifiers(&self, n: usize) -> usize {
        n
    }

    fn train(&self, lesson: Lesson<'_>) -> Result<()> {
        let Lesson { step, decoder, bundle, .. } = lesson;
        let spans = spans(step, bundle)?;
        let requests = step.inputs.corpus()?.requests(Split::Train)?;
        let asked = asked(step, bundle, &spans, 0)?;
        let mut objective = objective(step, decoder, (asked, &requests), self)?;
        lesson.run(&mut objective)
    }
}

/// The spans of each identifier of a lesson; none of one of codes.
pub(super) fn spans(step: &StepContext<'_>, bundle: &Bundle) -> Result<Vec<Option<Spans>>> {
    (0..step.inputs.identifiers().len()).map(|at| bundle.spans(at)).collect()
}

/// How the identifiers of a lesson are asked for, from the one at a place on.
pub(super) fn asked<'a>(
    step: &StepContext<'_>,
    bundle: &'a Bundle,
    spans: &'a [Option<Spans>],
    from: usize,
) -> Result<Vec<Asked<'a>>> {
    let builders = std::iter::once(&bundle.prompts).chain(&bundle.others);
    let all = builders.zip(step.inputs.identifiers()).zip(spans).skip(from);
    let one = |((builder, (place, _)), spans): ((&'a PromptBuilder, _), &'a Option<Spans>)| {
        let path = step.inputs.folder(Role::Prompts(place))?.join(PROMPTS_FILE);
        let spans = spans.as_ref().map(SpanLessons::new);
        Ok(Asked { builder, tokens: Prompts::open(&path, Form::Asked)?, spans })
    };
    all.map(one).collect()
}

/// What clicks and titles teach of some identifiers.
pub(super) fn objective<'a>(
    step: &StepContext<'a>,
    decoder: &'a Decoder,
    (asked, requests): (Vec<Asked<'a>>, &'a [Request]),
    settings: &SupervisedSettings,
) -> Result<Supervised<'a>> {
    let catalogue = step.inputs.catalogue()?;
    let titles = (0..catalogue.len() as u32).map(|item| catalogue.title(item)).collect();
    let examples = examples(step, requests, catalogue, settings)?;
    let queries = requests.iter().map(|request| request.ask.query.as_deref()).collect();
    let material = Material { examples, titles, queries };
    Supervised::new(decoder, asked, material, settings, step.seed)
}

/// One example per click, or per sequence, and behind them those of a teacher.
fn examples(
    step: &StepContext<'_>,
    requests: &[Request],
    catalogue: &Catalogue,
    objective: &SupervisedSettings,
) -> Result<Vec<Example>> {
    let corpus = step.inputs.corpus()?;
    let train = corpus.request_range(Split::Train);
    // Pairs of prompts and items.
    let mut clicks = Vec::new();
    let mut examples = Vec::new();
    if corpus.has_sequences() {
        let sequences = requests.iter().filter(|request| request.ask.history.len() >= 2);
        examples.extend(sequences.map(|request| Example::Sequence(request.ask.history.clone())));
    }
    for group in corpus.impressions()? {
        let (request, impressions) = group?;
        if train.contains(&request) {
            let prompt = request - train.start;
            let clicked = impressions.iter().filter(|impression| impression.level.is_chosen());
            clicks.extend(clicked.map(|impression| (prompt, impression.item)));
        }
    }
    teach(step, objective.teacher.as_ref(), &mut clicks)?;
    examples.extend(clicks.into_iter().map(|(prompt, item)| Example::Answer { prompt, item }));
    if examples.is_empty() && objective.pseudo_requests == 1.0 {
        examples.extend(catalogue.titled().map(Example::Title));
    }
    if examples.is_empty() {
        let message = "there is nothing to train on: no training request has a click";
        return Err(Error::data(corpus.folder(), message)
            .with_help("bring clicks, or learn from titles alone: pseudo_requests = 1"));
    }
    Ok(examples)
}
