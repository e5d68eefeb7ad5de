//! The decoder as the dense encoder of requests and items.

use crate::error::{Error, Result};
use crate::generative::kinds::{Lesson, ObjectiveKind};
use crate::kind::keys;
use crate::kind::{Draws, Fact, Faults, Kind, Need, Role, Sizes};
use crate::train::objective::contrastive::feedback::{Feedback, request_text};
use crate::train::objective::contrastive::{Contrastive, Towers};
use crate::train::settings::ContrastiveSettings;
use crate::train::validation::Measured;
use crate::vectors::contrastive::{Dense, Tower, encode_items, read};
use crate::vectors::validation;

/// The objective as recipes spell it.
const KIND: &str = "contrastive";

impl Kind for ContrastiveSettings {
    fn draws(&self) -> Draws {
        Draws::Seeded(None)
    }

    fn needs(&self) -> Vec<Need> {
        let at = keys!["objective", "kind"];
        let text = "training `{name}` reads the text of items, but they have none";
        let text = Need::new(Fact::Text, text.into()).at(at.clone());
        vec![text, self.contrast.needs("objective contrastive", at)]
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        let who = format!("objective {KIND}");
        self.contrast.faults(&who, |key| keys!["objective", key], faults);
    }
}

impl ObjectiveKind for ContrastiveSettings {
    fn examples(&self, sizes: &Sizes) -> Option<u64> {
        sizes.train
    }

    fn about(&self, _sizes: &Sizes) -> &'static str {
        // A request without a click or order teaches nothing, and how many there are is not known before they are read.
        "≤ "
    }

    fn identifiers(&self, _n: usize) -> usize {
        0
    }

    fn encodes(&self) -> bool {
        true
    }

    fn format_dropping(&self) -> u32 {
        // +1: what an adapter drops was kept.
        self.format() + 1
    }

    fn train(&self, lesson: Lesson<'_>) -> Result<()> {
        let Lesson { step, settings, decoder, bundle, model, judge, .. } = lesson;
        let (corpus, catalogue) = (step.inputs.corpus()?, step.inputs.catalogue()?);
        catalogue.check_text(corpus.folder(), "a dense encoder")?;
        let (contrast, course) = (&self.contrast, &settings.course);
        let feedback = Feedback::gather(corpus, catalogue, contrast)?;
        let begun = step.inputs.find(Role::Start).filter(|folder| Dense::is_in(folder));
        let tower = match begun {
            None => Tower::new(decoder, &bundle.prompts, self.dim, step.seed.purpose("tower"))?,
            Some(folder) => {
                let hidden = decoder.config().hidden_size;
                let projection = Dense::open(folder)?.projection(folder, hidden)?;
                let dim = projection.as_ref().map(|one| one.dims()[0]);
                if dim != self.dim.map(|dim| dim as usize) {
                    let told =
                        |dim: Option<usize>| dim.map_or("none".into(), |dim| dim.to_string());
                    return Err(Error::Recipe(format!(
                        "{}: `objective.dim` is that of the training that it starts from: expected {}, got {}",
                        step.name,
                        told(dim),
                        told(self.dim.map(|dim| dim as usize))
                    )));
                }
                Tower::trained(decoder, &bundle.prompts, projection.as_ref())?
            }
        };
        let queries: Vec<&str> = feedback.examples.iter().map(|one| one.text.as_str()).collect();
        let readings = read(&tower, &queries, catalogue)?;
        let mut objective =
            Contrastive::new(&tower, catalogue, feedback, &readings, contrast, step.seed);
        let label = format!("training {}", settings.name);
        let mut measure = validation(course, &label, judge, |requests| {
            let items = encode_items(&tower, &readings.items, &crate::progress::Context::silent())?;
            let asked = requests.iter().map(|request| {
                let (query, history) = (request.ask.query.as_deref(), &request.ask.history);
                let text =
                    request_text(query, history, contrast.history_items, |i| catalogue.text(i));
                let reading = tower.read_query(&text)?;
                let vector = tower.queries(&[&reading])?.detach().flatten_all()?;
                Ok(vector.to_vec1::<f32>()?)
            });
            Ok((items, asked.collect::<Result<_>>()?))
        })?;
        let measure = measure.as_mut().map(|one| one as &mut dyn FnMut() -> Result<Measured>);
        let parameters = tower.parameters();
        course.run(step, &settings.name, &parameters, &mut objective, measure).map_err(
            |error| match error {
                Error::Memory { .. } => {
                    error.with_help("lower `batch` or the objective's `uniform`")
                }
                other => other,
            },
        )?;
        let (newest, temperature) = (contrast.history_items, contrast.temperature);
        let dense = Dense::new(model, newest, temperature, self.dim.is_some());
        dense.save(step.out, tower.projection())
    }
}
