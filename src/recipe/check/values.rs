//! Checks of values against each other: within one component, and between a component and the corpus.

use trieval_eval::settings::EvaluationSettings;

use super::metrics::{
    check_classes, check_measured, check_slice, check_tuned, cut_off, needs_vectors,
};
use super::{Checker, Part, Parts};
use crate::corpus::settings::{
    CorpusSettings, JudgedPairsSettings, PairSplit, SequencesSettings, SimulatorSettings,
};
use crate::model::settings::{ModelSettings, ScratchSettings};
use crate::quantizer::settings::IdentifierSettings;
use crate::ranker::settings::SystemSettings;
use crate::train::settings::{
    LOSS, ObjectiveSettings, OptimizerSettings, Precision, PreferenceLoss, PreferenceSettings,
    Schedule, TrainDevice, TrainSettings, ValidationSettings,
};
use crate::vectors::settings::VectorsSettings;

use super::super::document::{Step, quoted};

pub(super) fn check(parts: &Parts, checker: &mut Checker<'_>) {
    recipe_name(parts, checker);
    let corpus = parts.corpus.as_ref().and_then(|part| part.value.as_ref());
    if let (Some(part), Some(corpus)) = (&parts.corpus, corpus) {
        match corpus {
            CorpusSettings::Simulator(settings) => simulator(part, settings, parts, checker),
            CorpusSettings::JudgedPairs(settings) => judged_pairs(part, settings, parts, checker),
            CorpusSettings::Sequences(settings) => sequences(settings, parts, checker),
        }
        if !matches!(corpus, CorpusSettings::Simulator(_)) {
            oracle(parts, checker);
        }
    }
    for part in &parts.model {
        if let Some(ModelSettings::Scratch(settings)) = &part.value {
            decoder(part, settings, checker);
        }
    }
    for part in &parts.train {
        if let Some(train) = &part.value {
            training(part, train, checker);
        }
    }
    evaluation(parts, checker);
}

fn recipe_name(parts: &Parts, checker: &mut Checker<'_>) {
    let Some(part) = &parts.name else { return };
    let Some(name) = &part.value else { return };
    let legal = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
    };
    if name.is_empty() || name.len() > 64 || !name.chars().all(legal) || name.starts_with('-') {
        let message = format!("`name` cannot be {}", quoted(name));
        let label = "lower-case letters, digits and `-` only, at most 64";
        checker.fault(&part.path, message, label, "the name becomes the name of run folders");
    }
}

fn simulator(
    part: &Part<CorpusSettings>,
    settings: &SimulatorSettings,
    parts: &Parts,
    checker: &mut Checker<'_>,
) {
    let held_out = u64::from(settings.validation_days) + u64::from(settings.test_days);
    if u64::from(settings.days) <= held_out {
        let message = format!("no day is left for training: {} days in all", settings.days);
        let label = format!(
            "{} for validation and {} for testing",
            settings.validation_days, settings.test_days
        );
        let key = ["test_days", "validation_days", "days"]
            .into_iter()
            .find(|key| checker.document.node(&part.at(&[key])).is_some())
            .unwrap_or("days");
        let help = "raise `corpus.days`, or hold out fewer days";
        checker.fault(&part.at(&[key]), message, &label, help);
    }
    for identifier in &parts.identifier {
        let Some(IdentifierSettings::ResidualKMeans(codes)) = &identifier.value else { continue };
        if u64::from(codes.codes) > settings.items {
            let key = checker.document.dotted(&identifier.at(&["codes"]));
            let message = format!("`{key}` asks for more codes than there are items");
            let label = format!("{} codes for {} items", codes.codes, settings.items);
            checker.fault(&identifier.at(&["codes"]), message, &label, "use fewer codes per level");
        }
    }
}

fn judged_pairs(
    part: &Part<CorpusSettings>,
    settings: &JudgedPairsSettings,
    parts: &Parts,
    checker: &mut Checker<'_>,
) {
    match &settings.split {
        PairSplit::QueryHash { validation, test } => {
            if *test <= 0.0 {
                let help = "give `corpus.split.test` a share, for instance 0.1";
                let path = part.at(&["split", "test"]);
                checker.fault(
                    &path,
                    "the split leaves nothing to test on",
                    "no query is held out",
                    help,
                );
            } else if validation + test >= 1.0 {
                let message = "the split leaves nothing to train on";
                let label =
                    format!("validation and test take {} of all queries", validation + test);
                checker.fault(&part.at(&["split", "test"]), message, &label, "hold out less");
            }
        }
        PairSplit::Column { train, validation, test, .. } => {
            for (key, value, other) in [("test", test, train), ("test", test, validation)] {
                if value == other {
                    let message =
                        format!("two splits are marked by the same value {}", quoted(value));
                    let help = "train, validation and test need values of their own";
                    checker.fault(&part.at(&["split", key]), message, "cannot be told apart", help);
                }
            }
            if train == validation {
                let message = format!("two splits are marked by the same value {}", quoted(train));
                let help = "train, validation and test need values of their own";
                let path = part.at(&["split", "validation"]);
                checker.fault(&path, message, "cannot be told apart", help);
            }
        }
    }
    if settings.clicks.is_none() && part.intact {
        without_feedback(parts, checker);
    }
}

/// Trainings that learn from clicks, over a corpus that has none.
fn without_feedback(parts: &Parts, checker: &mut Checker<'_>) {
    let mut refuse = |path: &[Step], what: String, other: &str| {
        let help =
            format!("add [corpus.clicks] to simulate clicks on the graded pairs, or {other}");
        let message = format!("{what} learns from clicks, but the corpus has none");
        checker.fault(path, message, "judged pairs carry grades, not clicks", &help);
    };
    let titles = "train on pseudo-requests alone (pseudo_requests = 1)";
    for train in &parts.train {
        let Some(settings) = &train.value else { continue };
        let learns = match &settings.objective {
            ObjectiveSettings::Supervised(objective) => objective.pseudo_requests < 1.0,
            ObjectiveSettings::Preference(_) => true,
        };
        if learns {
            let other = match &settings.objective {
                ObjectiveSettings::Supervised(_) => titles,
                ObjectiveSettings::Preference(_) => "remove the training",
            };
            refuse(
                &train.at(&["objective", "kind"]),
                format!("training `{}`", settings.name),
                other,
            );
        }
    }
    for system in &parts.system {
        if let Some(SystemSettings::Popularity(popularity)) = &system.value {
            let name = &popularity.name;
            refuse(&system.at(&["kind"]), format!("system `{name}`"), "remove the system");
        }
    }
    for vectors in &parts.vectors {
        if let (Some(VectorsSettings::TwoTower(settings)), Some(name)) =
            (&vectors.value, &vectors.name)
            && settings.pseudo_requests < 1.0
        {
            refuse(&vectors.at(&["kind"]), format!("two-tower encoder `{name}`"), titles);
        }
        if let (Some(VectorsSettings::Collaborative(_)), Some(name)) =
            (&vectors.value, &vectors.name)
        {
            let what = format!("[vectors.{name}] of kind collaborative");
            refuse(&vectors.at(&["kind"]), what, "remove them");
        }
    }
}

fn sequences(settings: &SequencesSettings, parts: &Parts, checker: &mut Checker<'_>) {
    for train in &parts.train {
        let Some(TrainSettings {
            objective: ObjectiveSettings::Preference(objective), name, ..
        }) = &train.value
        else {
            continue;
        };
        let pairs = &objective.pairs;
        let from_beam = pairs.beam_requests > 0 && pairs.beam_negatives > 0;
        if !from_beam && pairs.shown_negatives > 0 {
            let key = if pairs.beam_requests == 0 { "beam_requests" } else { "beam_negatives" };
            let message =
                format!("training `{name}` has no negatives: sequences hold no impressions");
            let help = "raise `beam_requests` and `beam_negatives` above 0";
            checker.fault(
                &train.at(&["objective", "pairs", key]),
                message,
                "no pair can be built",
                help,
            );
        }
    }
    if settings.items_file.is_some() {
        return;
    }
    let label = "needs the items' text";
    let help = "give `corpus.items_file`; without it, items have no text";
    for system in &parts.system {
        if let Some(SystemSettings::Bm25(bm25)) = &system.value {
            let message = format!("system `{}` ranks by text, but the items have none", bm25.name);
            checker.fault(&system.at(&["kind"]), message, label, help);
        }
    }
    for vectors in &parts.vectors {
        let (Some(value), Some(name)) = (&vectors.value, &vectors.name) else { continue };
        let what = match value {
            VectorsSettings::TwoTower(_) => "two-tower encoder",
            VectorsSettings::Mmse(_) => "mmse",
            VectorsSettings::Encoder(_) => "encoder",
            VectorsSettings::Decoder(_) => "decoder",
            VectorsSettings::Collaborative(_)
            | VectorsSettings::Joined(_)
            | VectorsSettings::File(_) => continue,
        };
        let message = format!("{what} `{name}` reads text, but the items have none");
        checker.fault(&vectors.at(&["kind"]), message, label, help);
    }
    for train in &parts.train {
        let Some(TrainSettings {
            objective: ObjectiveSettings::Supervised(objective), name, ..
        }) = &train.value
        else {
            continue;
        };
        if objective.pseudo_requests > 0.0 {
            let message = format!(
                "training `{name}` draws pseudo-requests from titles, but the items have none"
            );
            let help = "give `corpus.items_file`, or set pseudo_requests = 0";
            checker.fault(&train.at(&["objective", "pseudo_requests"]), message, label, help);
        }
    }
}

fn oracle(parts: &Parts, checker: &mut Checker<'_>) {
    for system in &parts.system {
        if let Some(SystemSettings::Oracle { name }) = &system.value {
            let message = format!("system `{name}` of kind oracle needs the simulator");
            let help =
                "the truth is known only with [corpus] kind = \"simulator\": remove the system";
            checker.fault(&system.at(&["kind"]), message, "no truth to read", help);
        }
    }
}

fn decoder(part: &Part<ModelSettings>, settings: &ScratchSettings, checker: &mut Checker<'_>) {
    let (hidden, heads) = (settings.hidden, settings.heads);
    if let Some(kv_heads) = settings.kv_heads
        && (kv_heads == 0 || heads % kv_heads != 0)
    {
        let message =
            format!("`{}` must divide `heads`", checker.document.dotted(&part.at(&["kv_heads"])));
        let label = format!("{kv_heads} does not divide {heads}");
        checker.fault(&part.at(&["kv_heads"]), message, &label, &divisors(heads));
    }
    match settings.head_dim {
        Some(head_dim) if head_dim % 2 != 0 => {
            let message =
                format!("`{}` must be even", checker.document.dotted(&part.at(&["head_dim"])));
            let help = "rotary positions turn pairs of coordinates";
            checker.fault(&part.at(&["head_dim"]), message, "odd", help);
        }
        Some(_) => {}
        None if heads == 0 || hidden % heads != 0 => {
            let message =
                format!("`{}` must divide `hidden`", checker.document.dotted(&part.at(&["heads"])));
            let label = format!("{heads} does not divide {hidden}");
            let help = "change `heads` or `hidden`, or give `head_dim`";
            checker.fault(&part.at(&["heads"]), message, &label, help);
        }
        None if (hidden / heads) % 2 != 0 => {
            let message = "heads of an odd width".to_owned();
            let label = format!("hidden / heads = {hidden} / {heads} = {}", hidden / heads);
            let help = "rotary positions turn pairs of coordinates: change `heads` or `hidden`, or give an even `head_dim`";
            checker.fault(&part.at(&["heads"]), message, &label, help);
        }
        None => {}
    }
}

pub(super) fn divisors(number: u32) -> String {
    let divisors: Vec<String> = (1..=number)
        .filter(|d| number.is_multiple_of(*d))
        .map(|divisor| divisor.to_string())
        .collect();
    format!("legal values: {}", divisors.join(", "))
}

fn training(part: &Part<TrainSettings>, train: &TrainSettings, checker: &mut Checker<'_>) {
    betas(part, &train.optimizer, checker);
    if let Some((label, help)) = train.log.mlflow_fault() {
        let path = part.at(&["log", "mlflow"]);
        let message = format!("`{}` cannot be used", checker.document.dotted(&path));
        checker.fault(&path, message, label, help);
    }
    if train.device == TrainDevice::Cpu && train.precision != Precision::F32 {
        let path = part.at(&["precision"]);
        let message = format!("`{}` has no effect on a CPU", checker.document.dotted(&path));
        let help =
            "set `device = \"cuda\"`, or leave `precision` out; memory is saved by `recompute`";
        checker.fault(&path, message, "a CPU computes in f32", help);
    }
    schedule(part, &format!("training `{}`", train.name), &train.optimizer, checker);
    adapter(part, train, checker);
    if let Some(settings) = &train.validation {
        validation(part, train, settings, checker);
    }
    match &train.objective {
        ObjectiveSettings::Supervised(objective) => {
            let [fewest, most] = objective.pseudo_words;
            let path = part.at(&["objective", "pseudo_words"]);
            let key = checker.document.dotted(&path);
            if fewest > most {
                let message = format!("`{key}` runs backwards");
                let help = format!("write [{most}, {fewest}]");
                checker.fault(&path, message, "fewest words come first", &help);
            } else if fewest < 1 || most > 64 {
                let message = format!("`{key}` is out of range: {fewest} to {most}");
                checker.fault(&path, message, "expected word counts from 1 to 64", "");
            }
        }
        ObjectiveSettings::Preference(objective) => preference(part, objective, checker),
    }
}

/// An adapter's targets, and a dropout that nothing would read.
fn adapter(part: &Part<TrainSettings>, train: &TrainSettings, checker: &mut Checker<'_>) {
    let Some(lora) = &train.lora else { return };
    let name = &train.name;
    let path = part.at(&["lora", "targets"]);
    if lora.targets.is_empty() {
        let message = format!("the adapter of training `{name}` adapts nothing");
        let help = "name at least one projection, for instance \"q_proj\"";
        checker.fault(&path, message, "an empty list", help);
    }
    let repeated =
        lora.targets.iter().enumerate().find(|(i, one)| lora.targets[..*i].contains(one));
    if let Some((_, target)) = repeated {
        let message = format!("the adapter of training `{name}` names a projection twice");
        checker.fault(&path, message, target.module(), "name each projection once");
    }
    if lora.dropout > 0.0 && matches!(train.objective, ObjectiveSettings::Preference(_)) {
        let message = format!("training `{name}` cannot drop inputs of its adapter");
        let help =
            "the reference is scored without dropout, and so is the policy: leave `dropout` out";
        checker.fault(
            &part.at(&["lora", "dropout"]),
            message,
            "not read by preference trainings",
            help,
        );
    }
}

/// Decays of moments, which no range of a single number covers.
pub(super) fn betas<T>(part: &Part<T>, optimizer: &OptimizerSettings, checker: &mut Checker<'_>) {
    for beta in optimizer.betas {
        if !(0.0..1.0).contains(&beta) {
            let path = part.at(&["optimizer", "betas"]);
            let message = format!("`{}` is out of range: {beta}", checker.document.dotted(&path));
            checker.fault(&path, message, "expected numbers from 0 to below 1", "");
        }
    }
}

/// Keys of the optimizer of `owner` that another key makes meaningless.
pub(super) fn schedule<T>(
    part: &Part<T>,
    owner: &str,
    optimizer: &OptimizerSettings,
    checker: &mut Checker<'_>,
) {
    let given = |key: &str| checker.document.node(&part.at(&["optimizer", key])).is_some();
    let (twice, unread) = (
        optimizer.warmup_steps.is_some() && given("warmup"),
        optimizer.schedule == Schedule::Constant && given("final_share"),
    );
    if twice {
        let message = format!("{owner} says twice how long it warms up");
        let help = "keep `warmup` or `warmup_steps`";
        checker.fault(&part.at(&["optimizer", "warmup"]), message, "beside `warmup_steps`", help);
    }
    if unread {
        let message = format!("{owner} has a constant rate and a final one");
        let help = "leave `final_share` out, or set schedule = \"linear\"";
        let label = "never reached";
        checker.fault(&part.at(&["optimizer", "final_share"]), message, label, help);
    }
}

fn validation(
    part: &Part<TrainSettings>,
    train: &TrainSettings,
    settings: &ValidationSettings,
    checker: &mut Checker<'_>,
) {
    let path = |key: &str| part.at(&["validation", key]);
    let name = &train.name;
    if settings.every_steps.is_some() && settings.every_epochs.is_some() {
        let message = format!("training `{name}` says twice how often it is validated");
        let help = "keep `every_steps` or `every_epochs`";
        checker.fault(&path("every_epochs"), message, "beside `every_steps`", help);
    }
    let metric = &settings.metric;
    if metric == LOSS {
        if matches!(train.objective, ObjectiveSettings::Preference(_)) {
            let message = format!(
                "training `{name}` is an alignment, validated by the cross-entropy of clicked items"
            );
            let label = "which alignment does not try to lower";
            let help = "a metric of lists says more, for instance metric = \"recall@10\"";
            checker.remark(&path("metric"), message, label, help);
        }
    } else if let Err(help) = check_tuned(metric) {
        let message = format!("training `{name}` cannot be validated by {}", quoted(metric));
        let help = format!("{help}; or `loss`");
        checker.fault(&path("metric"), message, "not a metric of lists", &help);
    } else if cut_off(metric).is_some_and(|cut_off| cut_off > settings.beam) {
        let message = format!("{metric} looks deeper than the search of the validation");
        let label = format!("`beam` is {}", settings.beam);
        let help = format!("raise `validation.beam` to {}", cut_off(metric).unwrap_or_default());
        checker.fault(&path("metric"), message, &label, &help);
    }
}

fn preference(
    part: &Part<TrainSettings>,
    objective: &PreferenceSettings,
    checker: &mut Checker<'_>,
) {
    unread_keys(part, objective, checker);
    let pairs = &objective.pairs;
    let from_beam = pairs.beam_requests > 0 && pairs.beam_negatives > 0;
    if !from_beam && pairs.shown_negatives == 0 {
        let message = "the preference objective has no source of negatives";
        let help = "raise `shown_negatives`, or `beam_requests` and `beam_negatives`, above 0";
        let path = part.at(&["objective", "pairs", "shown_negatives"]);
        checker.fault(&path, message, "no pair can be built", help);
    }
    if from_beam && pairs.beam_negatives > pairs.beam {
        let path = part.at(&["objective", "pairs", "beam_negatives"]);
        let message = format!("`{}` is larger than the beam", checker.document.dotted(&path));
        let label = format!("{} of a beam of {}", pairs.beam_negatives, pairs.beam);
        checker.fault(&path, message, &label, "raise `beam`, or take fewer negatives");
    }
}

/// Keys of the preference objective that the chosen loss would ignore.
fn unread_keys(
    part: &Part<TrainSettings>,
    objective: &PreferenceSettings,
    checker: &mut Checker<'_>,
) {
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
            let path = part.at(&["objective", key]);
            let message = format!("loss \"{}\" does not read `{key}`", loss.name());
            checker.key_fault(&path, message, "would be ignored", help);
        }
    }
    if loss == PreferenceLoss::Robust && objective.label_smoothing == Some(0.5) {
        let path = part.at(&["objective", "label_smoothing"]);
        let message = "loss \"robust\" divides by 1 - 2 label_smoothing, which is 0";
        checker.fault(
            &path,
            message,
            "expected less than 0.5",
            "labels of which half are wrong teach nothing",
        );
    }
}

fn evaluation(parts: &Parts, checker: &mut Checker<'_>) {
    let default = EvaluationSettings::default();
    let part = parts.evaluation.as_ref();
    let settings = match part {
        Some(part) => match &part.value {
            Some(settings) => settings,
            None => return,
        },
        None => &default,
    };
    if let Some(part) = part {
        metrics(part, settings, checker);
        slices(part, settings, checker);
        vectors_for_diversity(parts, part, settings, checker);
    }
    let known = match parts.corpus.as_ref().and_then(|part| part.value.as_ref()) {
        Some(CorpusSettings::Simulator(_)) => {
            Some((&[1.0, 2.0, 3.0][..], "the simulator's grades run from 0 to 3"))
        }
        Some(CorpusSettings::Sequences(_)) => {
            Some((&[1.0][..], "the next item of a sequence has grade 1"))
        }
        _ => None,
    };
    if let (Some(part), Some((grades, label))) = (part, known) {
        classes(part, settings, grades, checker);
        // both lists of grades end with their highest
        let highest = grades.last().copied().unwrap_or(f64::INFINITY);
        if settings.relevant_grade > highest {
            let message = format!("no item can reach a grade of {}", settings.relevant_grade);
            let help = format!("set `evaluation.relevant_grade` to {highest} or less");
            checker.fault(&part.at(&["relevant_grade"]), message, label, &help);
        }
    }
    let deepest =
        settings.metrics.iter().filter_map(|metric| Some((cut_off(metric)?, metric))).max();
    let Some((deepest, metric)) = deepest else { return };
    for system in &parts.system {
        let (name, most, key): (_, _, &[&str]) = match &system.value {
            Some(SystemSettings::Generative { name, decode, .. }) => {
                (name, decode.beam, &["decode", "beam"])
            }
            Some(SystemSettings::Cascade(cascade)) => {
                (&cascade.name, cascade.candidates, &["candidates"])
            }
            _ => continue,
        };
        if most < deepest {
            let label = format!("at most {most} items come back");
            let message = format!("system `{name}` cannot fill {metric}");
            let key_text = key.join(".");
            let help = format!(
                "set `system.{name}.{key_text}` to {deepest} or more, or leave {metric} out"
            );
            checker.remark(&system.at(key), message, &label, &help);
        }
    }
}

fn metrics(
    part: &Part<EvaluationSettings>,
    settings: &EvaluationSettings,
    checker: &mut Checker<'_>,
) {
    if settings.metrics.is_empty() {
        let path = part.at(&["metrics"]);
        checker.fault(
            &path,
            "no metric is asked for",
            "empty",
            "for instance [\"recall@10\", \"ndcg@10\"]",
        );
    }
    for (index, metric) in settings.metrics.iter().enumerate() {
        let mut path = part.at(&["metrics"]);
        path.push(Step::Index(index));
        if let Err(help) = check_measured(metric) {
            checker.fault(
                &path,
                format!("unknown metric {}", quoted(metric)),
                "not a metric",
                &help,
            );
        } else if settings.metrics[..index].contains(metric) {
            checker.fault(
                &path,
                format!("metric `{metric}` is asked for twice"),
                "second time",
                "remove one",
            );
        } else if cut_off(metric).is_some_and(|cut_off| cut_off > settings.depth) {
            let message = format!("{metric} looks deeper than systems rank");
            let label = format!("`evaluation.depth` is {}", settings.depth);
            let help =
                format!("raise `evaluation.depth` to {}", cut_off(metric).unwrap_or_default());
            checker.fault(&path, message, &label, &help);
        }
    }
    if settings.margin == Some(0.0) {
        let message = "a margin of 0 leaves nothing to be non-inferior by";
        checker.fault(&part.at(&["margin"]), message, "0", "give a positive loss, or leave it out");
    }
    if settings.requests == Some(0) {
        let message = "no test request is to be evaluated";
        checker.fault(&part.at(&["requests"]), message, "0", "leave it out to evaluate all");
    }
}

/// Metrics of two classes where the judgments of the corpus, `grades`, have only one.
fn classes(
    part: &Part<EvaluationSettings>,
    settings: &EvaluationSettings,
    grades: &[f64],
    checker: &mut Checker<'_>,
) {
    for (index, metric) in settings.metrics.iter().enumerate() {
        if let Err(help) = check_classes(metric, grades, settings.relevant_grade) {
            let path = [part.at(&["metrics"]), vec![Step::Index(index)]].concat();
            let message = format!("{metric} cannot be measured on this corpus");
            checker.fault(&path, message, "judged items are of one class", &help);
        }
    }
}

fn slices(
    part: &Part<EvaluationSettings>,
    settings: &EvaluationSettings,
    checker: &mut Checker<'_>,
) {
    for (index, by) in settings.slices.iter().enumerate() {
        let path = [part.at(&["slices"]), vec![Step::Index(index)]].concat();
        if let Err(help) = check_slice(by) {
            let message = format!("unknown way to divide requests {}", quoted(by));
            checker.fault(&path, message, "not a slice", &help);
        } else if settings.slices[..index].contains(by) {
            let message = format!("requests are divided by `{by}` twice");
            checker.fault(&path, message, "second time", "remove one");
        }
    }
}

/// Diversity is measured by item vectors, so the recipe must have some.
fn vectors_for_diversity(
    parts: &Parts,
    part: &Part<EvaluationSettings>,
    settings: &EvaluationSettings,
    checker: &mut Checker<'_>,
) {
    if !parts.vectors.is_empty() {
        return;
    }
    for (index, metric) in settings.metrics.iter().enumerate() {
        if needs_vectors(metric) {
            let path = [part.at(&["metrics"]), vec![Step::Index(index)]].concat();
            let message = format!("{metric} needs item vectors, and the recipe has none");
            let help = "add [vectors.NAME] and a system or identifier that uses it";
            checker.fault(&path, message, "measured by item vectors", help);
        }
    }
}
