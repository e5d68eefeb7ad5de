//! What a ranker of features says of itself.

use std::path::{Path, PathBuf};

use super::asked::Asked;
use super::file::{FILES, stored_parameters};
use super::settings::{FeatureSettings, LogisticSettings, Reads};
use super::sides::Place;
use super::{Logistic, bytes_per_weight, fit};
use crate::error::Result;
use crate::inputs::{Inputs, StepContext};
use crate::kind::{
    Abilities, Draws, Estimate, Fact, Family, Faults, Key, Kind, Learned, Need, Refusal, Role,
    Sizes, Use, keyed, keys, starts_from,
};
use crate::ranker::Retrieve;
use crate::ranker::kinds::{Predicts, Prepared, System, SystemKind};
use crate::train::course::Able;
use crate::train::course::settings::LOSS;
use crate::train::held_out::Judge;
use crate::train::sampler::n_steps;

/// Bytes of an example, with its label and the features of its showing.
const BYTES_PER_EXAMPLE: u64 = 64;

/// The kind as recipes spell it.
const KIND: &str = "logistic";

impl Kind for LogisticSettings {
    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn abilities(&self) -> Abilities {
        Abilities { ranks: true, lends_weights: true, ..Abilities::default() }
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let scores = self.scores.iter().enumerate().map(|(place, name)| {
            let used = Use::new(Family::System, name, Role::System(place), "scores");
            used.at(keys!["scores", place]).unlearned()
        });
        let table = self.train.as_deref().map(Use::table);
        let init = self.init.as_deref().map(Use::init);
        table.into_iter().chain(init).chain(scores).collect()
    }

    fn accepts(&self, used: &Use<'_>, kind: &str, other: &Abilities) -> Result<(), Refusal> {
        if used.family == Family::Train {
            return starts_from(KIND, used, kind, other);
        }
        if other.ranks {
            return Ok(());
        }
        Err(Refusal {
            message: format!("system {} cannot score given items", used.name),
            label: format!("is of kind = \"{kind}\""),
            help: "name a system that scores given items, such as bm25 or two-tower".into(),
        })
    }

    fn needs(&self) -> Vec<Need> {
        let shown = "{what} `{name}` learns from impressions, and the corpus has none";
        let signal = &self.label.signal;
        let label =
            format!("{{what}} `{{name}}` predicts `{signal}`, which the corpus does not record");
        let mut needs = vec![
            Need::new(Fact::Impressions, shown.into()).instead("remove the system"),
            Need::new(Fact::Signal(signal.clone()), label)
                .at(keys!["label"])
                .instead("name a signal that it records"),
        ];
        for (place, FeatureSettings { column, .. }) in self.features.iter().enumerate() {
            if matches!(Place::of(column), Ok(Place::Past(_))) {
                let message = format!(
                    "{{what}} `{{name}}` reads `{column}`, which is counted before the day of a request"
                );
                let need = Need::new(Fact::Days, message).at(keys!["features", place, "column"]);
                needs.push(need.instead("leave the feature out"));
            }
            if Place::of(column).is_ok_and(|place| place.is_stored()) {
                let message =
                    format!("{{what}} `{{name}}` reads `{column}`, which the corpus does not have");
                let need = Need::new(Fact::Column(column.clone()), message)
                    .at(keys!["features", place, "column"])
                    .instead("name a column that it has, or leave the feature out");
                needs.push(need);
            }
        }
        needs
    }

    fn tracks(&self) -> bool {
        self.course.log.tensorboard
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        let owner = format!("{} `{}`", faults.what(), self.name);
        self.course.faults(&owner, Able { loss: true, ..Able::default() }, faults);
        if let Some(validation) = self.course.validation.as_ref().filter(|one| one.metric != LOSS) {
            let message = format!("{owner} cannot be validated by \"{}\"", validation.metric);
            let help = "leave `metric` out: the loss on held-out impressions decides";
            faults.value(keys!["validation", "metric"], message, "not the loss", help);
        }
        if self.features.is_empty() && self.scores.is_empty() && faults.is_intact() {
            let message = format!("{owner} has nothing to predict from");
            let help = "name a column: features = [{ column = \"item.price\", as = \"log\" }]";
            faults.value(keys!["features"], message, "an empty list", help);
        }
        if self.label.from <= 0.0 {
            let message = format!("every impression is positive for {owner}");
            let help = "set `label.from` above 0; a flag that is set is 1";
            faults.value(keys!["label", "from"], message, "0 or less", help);
        }
        for (place, feature) in self.features.iter().enumerate() {
            self.feature(place, feature, faults);
        }
        for (place, name) in self.scores.iter().enumerate() {
            if self.scores[..place].contains(name) {
                let message = format!("{owner} reads the score of `{name}` twice");
                faults.value(keys!["scores", place], message, "second time", "name it once");
            }
        }
        for (place, cross) in self.crosses.iter().enumerate() {
            let mut columns = cross.of.clone();
            columns.sort_unstable();
            columns.dedup();
            if !(2..=3).contains(&cross.of.len()) || columns.len() != cross.of.len() {
                let message = format!("a cross of {owner} combines {} features", columns.len());
                let help = "name two or three different features";
                faults.value(keys!["crosses", place, "of"], message, "expected 2 or 3", help);
            } else if self.crosses[..place].iter().any(|other| other.of == cross.of) {
                let message = format!("{owner} has a cross twice");
                faults.value(keys!["crosses", place, "of"], message, "second time", "keep one");
            }
            let tokens = |reads: Reads| !reads.is_number();
            for (at, column) in cross.of.iter().enumerate() {
                self.refers(column, tokens, keys!["crosses", place, "of", at], faults);
            }
        }
        for (place, pair) in self.overlaps.iter().enumerate() {
            if self.overlaps[..place].contains(pair) || pair[0] == pair[1] {
                let message = format!("an overlap of {owner} says nothing new");
                let help = "name two different features, each pair once";
                faults.value(keys!["overlaps", place], message, "there already", help);
            }
            let words = |reads: Reads| reads == Reads::Words;
            for (at, column) in pair.iter().enumerate() {
                self.refers(column, words, keys!["overlaps", place, at], faults);
            }
        }
        if faults.judges_validation() && self.course.validation.is_some() {
            let message =
                format!("{owner} keeps the weights that are best on the requests it is judged by");
            let help = "its figures flatter it: compare it on the test requests";
            faults.remark(keys!["kind"], message, "ended by validation", help);
        }
    }
}

impl LogisticSettings {
    fn feature(&self, place: usize, feature: &FeatureSettings, faults: &mut Faults<'_>) {
        let column = &feature.column;
        let key = |key: &str| keys!["features", place, key];
        if let Err(help) = Place::of(column) {
            let message = format!("{} `{}` cannot read `{column}`", faults.what(), self.name);
            faults.value(key("column"), message, "no feature", help);
        } else if self.features[..place].iter().any(|other| other.column == *column) {
            let message = format!("{} `{}` reads `{column}` twice", faults.what(), self.name);
            faults.value(key("column"), message, "second time", "name each column once");
        }
        if feature.buckets.is_some() && feature.reads.is_number() {
            let message = format!("`{column}` is a number and has one weight");
            faults.value(key("buckets"), message, "not read", "leave `buckets` out");
        }
    }

    /// A combination is of features that are read as it needs them.
    fn refers(
        &self,
        column: &str,
        fits: impl Fn(Reads) -> bool,
        key: Vec<Key>,
        faults: &mut Faults<'_>,
    ) {
        let feature = self.features.iter().find(|feature| feature.column == column);
        match feature {
            Some(feature) if fits(feature.reads) => {}
            Some(_) => {
                let message = format!("`{column}` cannot be combined so");
                let help = "combine features that are categories or words, and overlaps of words";
                faults.value(key, message, "read as something else", help);
            }
            None => {
                let message =
                    format!("`{column}` is no feature of {} `{}`", faults.what(), self.name);
                let help =
                    format!("add it: features = [{{ column = \"{column}\", as = \"words\" }}, …]");
                faults.value(key, message, "not among `features`", help);
            }
        }
    }
}

impl SystemKind for LogisticSettings {
    fn name(&self) -> &str {
        &self.name
    }

    fn prepared(&self) -> Option<Prepared> {
        Some(Prepared { step: "fit", settings: keyed(self), is_judged: false })
    }

    fn prepare(&self, system: &System, step: &StepContext<'_>, judge: &dyn Judge) -> Result<()> {
        fit(self, Asked::open(system, step.inputs)?, step, judge)
    }

    fn learned(&self, folder: &Path) -> Result<Option<Learned>> {
        let parameters = stored_parameters(folder)?;
        Ok(Some(Learned { objective: "label", parameters }))
    }

    fn open(&self, system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        let (n_items, asked) = (inputs.catalogue()?.len(), Asked::open(system, inputs)?);
        Ok(Box::new(Logistic::load(inputs.folder(Role::Opened)?, n_items, asked)?))
    }

    fn files(&self, inputs: &Inputs) -> Result<Vec<PathBuf>> {
        let folder = inputs.folder(Role::Opened)?;
        Ok(FILES.iter().map(|file| folder.join(file)).collect())
    }

    fn predicts(&self) -> Predicts<'_> {
        Predicts::Probabilities
    }

    fn estimate_preparing(&self, sizes: &Sizes) -> Estimate {
        let step = u64::from(self.course.batch * self.course.accumulate);
        let steps = sizes.impressions.map(|n| n_steps(n, step, self.course.epochs));
        let parameters = self.shared_weights();
        let memory = parameters * bytes_per_weight(self)
            + sizes.read_bytes()
            + sizes.impressions.unwrap_or(0) * BYTES_PER_EXAMPLE;
        Estimate::default()
            .count("parameters", "≥ ", Some(parameters).filter(|n| *n > 0))
            .count("impressions", "≈ ", sizes.impressions)
            .count("steps", "≤ ", steps)
            .holds(Some(memory), "lower `buckets` of the system's features and crosses")
    }
}
