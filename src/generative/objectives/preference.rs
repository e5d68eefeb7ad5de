//! Alignment with what users chose over what: groups of chosen and rejected items (`pairs`), what the reference model
//! thinks of their answers, and the training itself.

use serde_json::json;

use super::pairs::{SCORE_CHUNK, build, load};
use crate::error::Result;
use crate::generative::kinds::{Lesson, ObjectiveKind, PreparedStep};
use crate::generative::training::{on_device, start};
use crate::generative::{Bundle, DecoderSizes, open_index, threads};
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{Draws, Estimate, Fact, Faults, Kind, Need, Role, Sizes, keyed};
use crate::model::settings::ModelSettings;
use crate::train::data::pairs::groups::{read_reference, write_reference};
use crate::train::data::pairs::settings::BiasSource;
use crate::train::data::pairs::settings::PairSettings;
use crate::train::objective::preference::{Legal, Preference, Probe, reference_scores};
use crate::train::settings::{PreferenceLoss, PreferenceSettings, TrainSettings};

const REFERENCE_FILE: &str = "reference.bin";
/// Bytes of an item in a map of what was shown.
const KNOWN_BYTES: u64 = 20;
/// Most that a level may count.
const MOST_LEVEL: f64 = 1_000.0;

impl Kind for PreferenceSettings {
    fn format(&self) -> u32 {
        // 2: the sampler. 3: groups instead of pairs; the log holds the figures of the probe; one score per answer.
        // 4: validation searches with one width, whatever is excluded. 5: it looks at the start, whose weights may stay.
        // 6: chosen items have weights; pairs are counted beside their file; the anchor divides by each answer's own length.
        6
    }

    fn draws(&self) -> Draws {
        Draws::Seeded(None)
    }

    fn needs(&self) -> Vec<Need> {
        let clicks = "training `{name}` learns from clicks, but the corpus has none";
        let clicks = Need::new(Fact::Feedback, clicks.into()).at(keys!["objective", "kind"]);
        let mut needs = vec![clicks.instead("remove the training")];
        if !self.searches() && self.pairs.shown_negatives > 0 {
            let key =
                if self.pairs.beam_requests == 0 { "beam_requests" } else { "beam_negatives" };
            let message = "training `{name}` has no negatives: the corpus holds no impressions";
            let need = Need::new(Fact::Impressions, message.into());
            let need = need.at(keys!["objective", "pairs", key]).label("no pair can be built");
            needs.push(need.instead("raise `beam_requests` and `beam_negatives` above 0"));
        }
        if self.pairs.propensity.is_some() {
            let message = "training `{name}` weighs pairs by positions, but the corpus has none";
            let need = Need::new(Fact::Impressions, message.into());
            needs
                .push(need.at(keys!["objective", "pairs", "propensity"]).instead("remove the key"));
        }
        for level in self.pairs.levels.keys() {
            let message =
                format!("training `{{name}}` weighs level `{level}`, which the corpus lacks");
            let need = Need::new(Fact::Level(level.clone()), message);
            needs.push(need.at(keys!["objective", "pairs", "levels", level.as_str()]));
        }
        needs
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        unread_keys(self, faults);
        let pairs = &self.pairs;
        if !self.searches() && pairs.shown_negatives == 0 {
            let message = "the preference objective has no source of negatives";
            let help = "raise `shown_negatives`, or `beam_requests` and `beam_negatives`, above 0";
            let key = keys!["objective", "pairs", "shown_negatives"];
            faults.value(key, message, "no pair can be built", help);
        }
        if self.searches() && pairs.beam_negatives > pairs.beam {
            let key = keys!["objective", "pairs", "beam_negatives"];
            let message = format!("`{}` is larger than the beam", faults.dotted(&key));
            let label = format!("{} of a beam of {}", pairs.beam_negatives, pairs.beam);
            faults.value(key, message, label, "raise `beam`, or take fewer negatives");
        }
        weight_faults(pairs, faults);
    }
}

/// Weights that say nothing, or that nothing reads.
fn weight_faults(pairs: &PairSettings, faults: &mut Faults<'_>) {
    for (level, &weight) in &pairs.levels {
        if !(0.0..=MOST_LEVEL).contains(&weight) {
            let key = keys!["objective", "pairs", "levels", level.as_str()];
            let message = format!("level `{level}` counts {weight}");
            let label = format!("expected 0 to {MOST_LEVEL}");
            faults.value(key, message, label, "1 is what a level counts that is left out");
        }
    }
    let Some(propensity) = &pairs.propensity else { return };
    let key = |name: &str| keys!["objective", "pairs", "propensity", name];
    match (propensity.by, propensity.exponent) {
        (BiasSource::Fixed, None) => {
            let help = "give `exponent`, such as 1.0, or let the log tell it: by = \"log\"";
            faults.value(key("by"), "no exponent is given", "which exponent?", help);
        }
        (BiasSource::Fixed, Some(_)) | (_, None) => {}
        (_, Some(_)) => {
            let message = "the exponent is told by the log";
            let help = "remove the key, or set by = \"fixed\"";
            faults.key(key("exponent"), message, "would be ignored", help);
        }
    }
}

/// Keys that the chosen loss would ignore.
fn unread_keys(objective: &PreferenceSettings, faults: &mut Faults<'_>) {
    let loss = objective.loss;
    let keys = [
        (
            "label_smoothing",
            objective.label_smoothing.is_some() && !loss.reads_label_smoothing(),
            "only cdpo, robust and simpo have a share of wrong labels: set loss = \"cdpo\", or remove the key",
        ),
        (
            "gamma",
            objective.gamma.is_some() && !loss.reads_gamma(),
            "only simpo has a margin: set loss = \"simpo\", or remove the key",
        ),
        (
            "dpo_positive",
            objective.dpo_positive.is_some() && !loss.reads_dpo_positive(),
            "it compares with the reference inside the logistic function, which this loss does not have: use `anchor`",
        ),
    ];
    for (key, unread, help) in keys {
        if unread {
            let message = format!("loss \"{}\" does not read `{key}`", loss.name());
            faults.key(keys!["objective", key], message, "would be ignored", help);
        }
    }
    if loss == PreferenceLoss::Robust && objective.label_smoothing == Some(0.5) {
        let message = "loss \"robust\" divides by 1 - 2 label_smoothing, which is 0";
        let help = "labels of which half are wrong teach nothing";
        let key = keys!["objective", "label_smoothing"];
        faults.value(key, message, "expected less than 0.5", help);
    }
}

impl PreferenceSettings {
    /// Whether rejected items come from the model's own beams.
    fn searches(&self) -> bool {
        self.pairs.beam_requests > 0 && self.pairs.beam_negatives > 0
    }

    /// Rejected items of a group.
    fn negatives(&self, sizes: &Sizes) -> u64 {
        let pairs = self.pairs();
        let shown = if sizes.sequences { 0 } else { pairs.shown_negatives };
        let most = pairs.group_negatives.unwrap_or(1);
        u64::from((pairs.beam_negatives + shown).min(most).max(1))
    }

    /// Chosen items of a group, on average.
    fn chosen(&self, sizes: &Sizes) -> f64 {
        let many = self.pairs().group_chosen.unwrap_or(1) > 1;
        if many { sizes.clicks_per_request() } else { 1.0 }
    }
}

impl ObjectiveKind for PreferenceSettings {
    fn drops(&self) -> bool {
        // Policy and reference would be compared on different networks.
        false
    }

    fn needs_one_length(&self) -> bool {
        self.loss.divides_by_length()
    }

    fn needs_init(&self) -> bool {
        true
    }

    fn identifiers(&self, n: usize) -> usize {
        n.min(self.identifiers.unwrap_or(1) as usize)
    }

    fn prepared(&self, training: &TrainSettings) -> Vec<PreparedStep> {
        let pairs = PreparedStep {
            step: "pairs",
            role: Role::Pairs,
            settings: keyed(&self.pairs()),
            draws: true,
        };
        let means =
            json!({ "device": training.course.device, "precision": training.course.precision });
        let reference = PreparedStep {
            step: "reference",
            role: Role::Reference,
            settings: means,
            draws: false,
        };
        if self.loss.needs_reference() { vec![pairs, reference] } else { vec![pairs] }
    }

    fn prepare(
        &self,
        role: Role,
        training: &TrainSettings,
        model: &ModelSettings,
        step: &StepContext<'_>,
    ) -> Result<()> {
        let bundle = Bundle::load(&start(step)?, &step.inputs.identifiers(), model)?;
        if role == Role::Pairs {
            return build(self, training, &bundle, step);
        }
        let data = load(&bundle, step.inputs.folder(Role::Pairs)?, step)?;
        let mut bar = step.ctx.bar("reference scores", data.groups.len() as u64, "group");
        let decoder = on_device(bundle.decoder()?, training)?;
        let scores = reference_scores(&data, &decoder, SCORE_CHUNK, |done| {
            bar.advance(done);
            step.ctx.check_interrupt()
        })?;
        write_reference(&step.out.join(REFERENCE_FILE), &scores)
    }

    fn examples(&self, sizes: &Sizes) -> Option<u64> {
        let pairs = self.pairs();
        let sampled = sizes.train?.min(u64::from(pairs.beam_requests));
        let beam = sampled as f64 * sizes.clicks_per_request() * f64::from(pairs.beam_negatives);
        let shown =
            if sizes.sequences { 0 } else { sizes.clicks? * u64::from(pairs.shown_negatives) };
        let n = (beam as u64 + shown) as f64 / (self.negatives(sizes) as f64 * self.chosen(sizes));
        Some(n as u64)
    }

    fn answers(&self, sizes: &Sizes) -> u64 {
        self.negatives(sizes) + self.chosen(sizes).round() as u64
    }

    fn estimate_preparing(
        &self,
        role: Role,
        sizes: &Sizes,
        decoder: Option<&DecoderSizes>,
    ) -> Estimate {
        let smaller = "take a smaller model";
        if role == Role::Pairs {
            let requests = sizes.train.map(|n| n.min(u64::from(self.pairs.beam_requests)));
            let beam = self.pairs().beam;
            // What was shown for each query is held as a set beside the pages.
            let read = sizes.read_bytes() + sizes.impressions.unwrap_or(0) * KNOWN_BYTES;
            let memory =
                decoder.map(|decoder| decoder.search_memory(sizes, beam, threads()) + read);
            return Estimate::default()
                .count("beams", sizes.about(), requests)
                .figure("beam", self.pairs.beam.to_string())
                .holds(memory, "lower `pairs.beam`, or take a smaller model");
        }
        let (groups, answers) = (self.examples(sizes), self.answers(sizes));
        let memory = decoder.map(|decoder| {
            let tokens = SCORE_CHUNK as u64 * decoder.example(sizes, answers);
            decoder.weights() + decoder.forward(tokens)
        });
        Estimate::default()
            .count("groups", "≈ ", groups)
            .count("answers", "≈ ", groups.map(|groups| groups * answers))
            .holds(memory, smaller)
    }

    fn train(&self, lesson: Lesson<'_>) -> Result<()> {
        let Lesson { step, decoder, bundle, .. } = lesson;
        let data = load(bundle, step.inputs.folder(Role::Pairs)?, step)?;
        let reference = match step.inputs.find(Role::Reference) {
            Some(folder) => Some(read_reference(&folder.join(REFERENCE_FILE), data.n_answers())?),
            None => None,
        };
        // The decoder has the weights of its start here; a checkpoint is loaded later.
        let places = step.inputs.identifiers();
        let codes = places.iter().enumerate().find(|(at, _)| !bundle.has_spans(*at));
        let codes = codes.map(|(_, (_, folder))| open_index(folder)).transpose()?;
        let spans = (0..places.len()).find(|at| bundle.has_spans(*at));
        let spans = spans.map(|at| bundle.spans(at)).transpose()?.flatten();
        let legal = Legal { codes: bundle.coded().zip(codes.as_ref()), spans: spans.as_ref() };
        let probe = Probe::new(decoder, &data, legal, self.probe_prompts, step.seed)?;
        let mut objective = Preference::new(decoder, data, reference, self, probe)?;
        lesson.run(&mut objective)
    }
}
