//! What a training of a decoder says of itself, whatever it learns.

use crate::decode::settings::Normalizer;
use crate::kind::keys;
use crate::kind::{Abilities, Draws, Family, Faults, Kind, Need, Refusal, Role, Use, starts_from};
use crate::model::settings::LoraSettings;
use crate::train::course::Able;
use crate::train::course::settings::LOSS;
use crate::train::settings::TrainSettings;

/// The kind as recipes spell it.
pub const DECODER: &str = "decoder";

impl Kind for TrainSettings {
    fn format(&self) -> u32 {
        let objective = self.objective.it();
        if self.drops() { objective.format_dropping() } else { objective.format() }
    }

    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let model = self.model.as_deref();
        let model = model.map(|name| Use::new(Family::Model, name, Role::Start, "model"));
        let init = self.init.as_deref().map(Use::init);
        let taught = self.objective.it().uses();
        model.into_iter().chain(init).chain(taught).collect()
    }

    fn rests_on(&self) -> &'static [Family] {
        &[Family::Model, Family::Train]
    }

    fn abilities(&self) -> Abilities {
        let objective = self.objective.it();
        Abilities {
            lends_weights: true,
            encodes_texts: objective.encodes(),
            names_items: !objective.encodes(),
            knows_legal_only: objective.normalizer() == Normalizer::Slice,
            needs_one_length: objective.needs_one_length(),
            knows_as_its_start: objective.needs_init(),
            ..Abilities::default()
        }
    }

    fn accepts(&self, used: &Use<'_>, kind: &str, other: &Abilities) -> Result<(), Refusal> {
        match used.family {
            Family::Train => starts_from(DECODER, used, kind, other)?,
            Family::Vectors if !other.encodes_requests => {
                return Err(Refusal {
                    message: format!("[vectors.{}] cannot teach training {}", used.name, self.name),
                    label: format!("vectors of kind = \"{kind}\" encode no requests"),
                    help: "use vectors of another kind".into(),
                });
            }
            _ => {}
        }
        let starts = matches!(used.family, Family::Train | Family::Model);
        if starts && !other.names_items && !self.objective.it().encodes() {
            return Err(Refusal {
                message: format!("training `{}` has no identifier to answer in", self.name),
                label: format!("{} `{}` names none", used.family.word(), used.name),
                help: "start from a model with an `identifier`; one that begins with the weights of a contrastive \
                       training names it by `init`"
                    .into(),
            });
        }
        Ok(())
    }

    fn needs(&self) -> Vec<Need> {
        self.objective.it().needs()
    }

    fn tracks(&self) -> bool {
        self.course.log.tensorboard
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        start(self, faults);
        let owner = format!("training `{}`", self.name);
        let encodes = self.objective.it().encodes();
        self.course.faults(&owner, Able { device: true, beams: !encodes, loss: !encodes }, faults);
        if let Some(lora) = &self.lora {
            adapter(self, lora, faults);
        }
        dropout(self, faults);
        let by_loss = self.course.validation.as_ref().is_some_and(|one| one.metric == LOSS);
        if by_loss && self.objective.it().normalizer() == Normalizer::Slice {
            let key = keys!["validation", "metric"];
            let message = format!("{owner} cannot be validated by a loss over the full vocabulary");
            let label = "it learns to tell legal codes apart, and nothing of other tokens";
            faults.value(key, message, label, "name a metric of lists, such as \"recall@10\"");
        }
        if by_loss && self.objective.it().needs_init() {
            let message =
                format!("{owner} is an alignment, validated by the cross-entropy of clicked items");
            let label = "which alignment does not try to lower";
            let help = "a metric of lists says more, for instance metric = \"recall@10\"";
            faults.remark(keys!["validation", "metric"], message, label, help);
        }
        self.objective.it().faults(faults);
    }
}

/// A training starts from a model or from another training; one that aligns from the latter.
fn start(train: &TrainSettings, faults: &mut Faults<'_>) {
    let (name, needs_init) = (&train.name, train.objective.it().needs_init());
    match (&train.model, &train.init) {
        (Some(_), Some(_)) => {
            let message = format!("training `{name}` has both `model` and `init`");
            let help =
                "keep `model` to train from the model's start, or `init` to go on from a training";
            faults.key(keys!["init"], message, "one start", help);
            faults.also(keys!["model"], "another start");
        }
        (None, None) if faults.is_intact() => {
            let message = format!("training `{name}` has neither `model` nor `init`");
            let help = if needs_init {
                "name the training to align: init = \"...\""
            } else {
                "name a model to train (model = \"...\") or a training to go on from (init = \"...\")"
            };
            faults.value(Vec::new(), message, "starts from nothing", help);
        }
        (Some(_), None) if needs_init && faults.is_intact() => {
            let message = format!("training `{name}` aligns preferences and needs `init`");
            let help =
                "name a supervised training as init; its result is also the frozen reference";
            faults.key(keys!["model"], message, "starts from untrained weights", help);
        }
        _ => {}
    }
}

/// An adapter's targets.
fn adapter(train: &TrainSettings, lora: &LoraSettings, faults: &mut Faults<'_>) {
    let name = &train.name;
    let key = keys!["lora", "targets"];
    if lora.targets.is_empty() {
        let message = format!("the adapter of training `{name}` adapts nothing");
        let help = "name at least one projection, for instance \"q_proj\"";
        faults.value(key.clone(), message, "an empty list", help);
    }
    let repeated =
        lora.targets.iter().enumerate().find(|(i, one)| lora.targets[..*i].contains(one));
    if let Some((_, target)) = repeated {
        let message = format!("the adapter of training `{name}` names a projection twice");
        faults.value(key, message, target.module(), "name each projection once");
    }
}

/// A dropout that nothing would read, and two of them.
fn dropout(train: &TrainSettings, faults: &mut Faults<'_>) {
    let name = &train.name;
    let own = train.dropout() > 0.0;
    if train.drops() && !train.objective.it().drops() {
        let help =
            "the reference is scored without dropout, and so is the policy: leave `dropout` out";
        let label = "not read by preference trainings";
        if train.lora.as_ref().is_some_and(|lora| lora.dropout > 0.0) {
            let message = format!("training `{name}` cannot drop inputs of its adapter");
            faults.value(keys!["lora", "dropout"], message, label, help);
        }
        if own {
            let message = format!("training `{name}` cannot drop activations");
            faults.value(keys!["dropout"], message, label, help);
        }
    } else if own && train.lora.is_some() {
        let message = format!("training `{name}` cannot drop activations beside an adapter");
        let help = "an adapter drops inputs of its own: set `lora.dropout`, and leave this one out";
        faults.value(keys!["dropout"], message, "frozen weights learned without it", help);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn objectives_that_kept_what_an_adapter_drops_do_such_trainings_again() {
        let format = |objective: &str, dropout: &str| {
            let text = format!("name = \"t\"\nmodel = \"m\"\nobjective = {objective}\n{dropout}\n");
            toml::from_str::<TrainSettings>(&text).unwrap().format()
        };
        let objectives = [
            ("{ kind = \"supervised\" }", 0),
            ("{ kind = \"contrastive\" }", 1),
            ("{ kind = \"distillation\", vectors = \"v\" }", 1),
        ];
        for (objective, newer) in objectives {
            let plain = format(objective, "");
            assert_eq!(format(objective, "lora = { dropout = 0.0 }"), plain);
            assert_eq!(format(objective, "lora = { dropout = 0.1 }"), plain + newer, "{objective}");
            assert_eq!(format(objective, "dropout = 0.1"), plain + newer, "{objective}");
        }
    }
}
