//! What a training of a decoder says of itself, whatever it learns.

use crate::keys;
use crate::kind::{Draws, Family, Faults, Kind, Need, Role, Use};
use crate::model::settings::LoraSettings;
use crate::train::settings::{LOSS, Precision, TrainDevice, TrainSettings, ValidationSettings};

impl Kind for TrainSettings {
    fn format(&self) -> u32 {
        self.objective.it().format()
    }

    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let model = self.model.as_deref();
        let model = model.map(|name| Use::new(Family::Model, name, Role::Start, "model"));
        let init = self.init.as_deref();
        let init = init.map(|name| Use::new(Family::Train, name, Role::Start, "init"));
        model.into_iter().chain(init).collect()
    }

    fn needs(&self) -> Vec<Need> {
        self.objective.it().needs()
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        start(self, faults);
        let owner = format!("training `{}`", self.name);
        self.optimizer.faults(&owner, faults);
        if let Some((label, help)) = self.log.mlflow_fault() {
            let key = keys!["log", "mlflow"];
            let message = format!("`{}` cannot be used", faults.dotted(&key));
            faults.value(key, message, label, help);
        }
        if self.device == TrainDevice::Cpu && self.precision != Precision::F32 {
            let key = keys!["precision"];
            let message = format!("`{}` has no effect on a CPU", faults.dotted(&key));
            let help =
                "set `device = \"cuda\"`, or leave `precision` out; memory is saved by `recompute`";
            faults.value(key, message, "a CPU computes in f32", help);
        }
        if let Some(lora) = &self.lora {
            adapter(self, lora, faults);
        }
        if let Some(settings) = &self.validation {
            validation(self, settings, faults);
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

/// An adapter's targets, and a dropout that nothing would read.
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
    if lora.dropout > 0.0 && train.objective.it().needs_init() {
        let message = format!("training `{name}` cannot drop inputs of its adapter");
        let help =
            "the reference is scored without dropout, and so is the policy: leave `dropout` out";
        let key = keys!["lora", "dropout"];
        faults.value(key, message, "not read by preference trainings", help);
    }
}

fn validation(train: &TrainSettings, settings: &ValidationSettings, faults: &mut Faults<'_>) {
    let name = &train.name;
    if settings.every_steps.is_some() && settings.every_epochs.is_some() {
        let message = format!("training `{name}` says twice how often it is validated");
        let help = "keep `every_steps` or `every_epochs`";
        faults.value(keys!["validation", "every_epochs"], message, "beside `every_steps`", help);
    }
    let (metric, key) = (&settings.metric, keys!["validation", "metric"]);
    if metric == LOSS {
        if train.objective.it().needs_init() {
            let message = format!(
                "training `{name}` is an alignment, validated by the cross-entropy of clicked items"
            );
            let label = "which alignment does not try to lower";
            let help = "a metric of lists says more, for instance metric = \"recall@10\"";
            faults.remark(key, message, label, help);
        }
    } else if let Err(help) = faults.check_tuned(metric) {
        let message = format!("training `{name}` cannot be validated by \"{metric}\"");
        faults.value(key, message, "not a metric of lists", format!("{help}; or `loss`"));
    } else if let Some(cut_off) = faults.cut_off(metric).filter(|&one| one > settings.beam) {
        let message = format!("{metric} looks deeper than the search of the validation");
        let label = format!("`beam` is {}", settings.beam);
        faults.value(key, message, label, format!("raise `validation.beam` to {cut_off}"));
    }
}
