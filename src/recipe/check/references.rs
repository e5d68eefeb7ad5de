//! Checks of the names by which components refer to each other: they resolve, are unique, make no
//! cycle, and nothing is defined in vain.

use trieval_eval::fusion::FusionSettings;

use super::vectors::parts_resolve;
use super::{Checker, Part, Parts};
use crate::quantizer::settings::IdentifierSettings;
use crate::ranker::settings::{CascadeSettings, RerankSettings, SystemSettings};
use crate::train::settings::{ObjectiveSettings, TrainSettings};

use super::super::document::Step;
use super::super::fault::{Fault, listed, nearest};

/// Longest name of a component, which becomes a file name.
const LONGEST_NAME: usize = 64;

/// Kinds of components to which some reference does not resolve: what looks unused among them is
/// likely what was meant, and is not reported a second time.
#[derive(Debug, Default)]
struct Dangling {
    vectors: bool,
    identifier: bool,
    model: bool,
    train: bool,
}

pub(super) fn check(parts: &Parts, checker: &mut Checker<'_>) {
    names(&parts.vectors, "vectors", checker);
    names(&parts.identifier, "identifier", checker);
    names(&parts.model, "model", checker);
    names(&parts.train, "training", checker);
    names(&parts.system, "system", checker);
    let mut dangling = Dangling { vectors: !parts_resolve(parts, checker), ..Dangling::default() };
    identifiers(parts, &mut dangling, checker);
    models(parts, &mut dangling, checker);
    trainings(parts, &mut dangling, checker);
    cycles(parts, &mut dangling, checker);
    systems(parts, &mut dangling, checker);
    baseline(parts, checker);
    if parts.intact {
        unused(parts, &dangling, checker);
    }
}

/// Names are legal as file names and unique.
fn names<T>(parts: &[Part<T>], what: &str, checker: &mut Checker<'_>) {
    for (index, part) in parts.iter().enumerate() {
        let Some(name) = &part.name else { continue };
        let of_list = matches!(part.path.last(), Some(Step::Index(_)));
        let path = if of_list { part.at(&["name"]) } else { part.path.clone() };
        let place =
            if of_list { checker.document.place(&path) } else { checker.document.key_place(&path) };
        let legal = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(legal) {
            let message =
                format!("{what} name {} cannot be used", super::super::document::quoted(name));
            let label = format!(
                "letters, digits, `-` and `_` only, at most {LONGEST_NAME}, for it becomes a file name"
            );
            checker.faults.push(Fault::new(place.clone(), message, label));
        }
        let first = parts[..index].iter().find(|other| other.name.as_ref() == Some(name));
        if let Some(first) = first {
            let message = format!("{what} name `{name}` is given twice");
            let fault = Fault::new(place, message, "second use")
                .also(checker.document.place(&first.at(&["name"])), "first use")
                .help("every name must be unique among its kind");
            checker.faults.push(fault);
        }
    }
}

pub(super) fn known<T>(parts: &[Part<T>]) -> Vec<&str> {
    parts.iter().filter_map(|part| part.name.as_deref()).collect()
}

/// Refuses a reference to a name that does not exist; `header` is how one would define it.
pub(super) fn resolves(
    path: &[Step],
    name: &str,
    names: &[&str],
    header: &str,
    checker: &mut Checker<'_>,
) -> bool {
    if names.contains(&name) {
        return true;
    }
    let key = checker.document.dotted(path);
    let help = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if names.is_empty() => format!("define it: {header}"),
        None => {
            format!("defined are {}; or define it: {header}", listed(names.iter().copied(), "\""))
        }
    };
    let message =
        format!("`{key}` names {}, which does not exist", super::super::document::quoted(name));
    checker.fault(path, message, "no such name", &help);
    false
}

/// As [`resolves`] for trainings; naming a model instead is a likely slip and gets its own advice.
fn is_training(path: &[Step], name: &str, parts: &Parts, checker: &mut Checker<'_>) -> bool {
    let names = known(&parts.train);
    if !names.contains(&name) && known(&parts.model).contains(&name) {
        let trained: Vec<&str> = parts
            .train
            .iter()
            .filter_map(|part| part.value.as_ref())
            .filter(|train| train.model.as_deref() == Some(name))
            .map(|train| train.name.as_str())
            .collect();
        let help = if trained.is_empty() {
            format!("no training trains it: add [[train]] with model = \"{name}\" and name that")
        } else {
            format!("name a training, for instance one of this model: {}", listed(trained, "\""))
        };
        let key = checker.document.dotted(path);
        let message = format!("`{key}` names the model `{name}`, not a training");
        checker.fault(path, message, "a model before any training", &help);
        return false;
    }
    resolves(path, name, &names, &format!("[[train]] with name = \"{name}\""), checker)
}

fn identifiers(parts: &Parts, dangling: &mut Dangling, checker: &mut Checker<'_>) {
    for part in &parts.identifier {
        let Some(identifier) = &part.value else { continue };
        let IdentifierSettings::ResidualKMeans(settings) = identifier;
        let header = format!("[vectors.{}]", settings.vectors);
        let names = known(&parts.vectors);
        let path = part.at(&["vectors"]);
        dangling.vectors |= !resolves(&path, &settings.vectors, &names, &header, checker);
    }
}

fn models(parts: &Parts, dangling: &mut Dangling, checker: &mut Checker<'_>) {
    for part in &parts.model {
        let Some(model) = &part.value else { continue };
        let header = format!("[identifier.{}]", model.identifier());
        let names = known(&parts.identifier);
        let path = part.at(&["identifier"]);
        dangling.identifier |= !resolves(&path, model.identifier(), &names, &header, checker);
    }
}

fn trainings(parts: &Parts, dangling: &mut Dangling, checker: &mut Checker<'_>) {
    for part in &parts.train {
        let Some(train) = &part.value else { continue };
        if let Some(model) = &train.model {
            let header = format!("[model.{model}]");
            let names = known(&parts.model);
            dangling.model |= !resolves(&part.at(&["model"]), model, &names, &header, checker);
        }
        if let Some(init) = &train.init {
            dangling.train |= !is_training(&part.at(&["init"]), init, parts, checker);
        }
        start(part, train, dangling, checker);
    }
}

/// A training starts from a model or from another training; a preference training from the latter.
fn start(
    part: &Part<TrainSettings>,
    train: &TrainSettings,
    dangling: &mut Dangling,
    checker: &mut Checker<'_>,
) {
    let name = &train.name;
    let preference = matches!(train.objective, ObjectiveSettings::Preference(_));
    match (&train.model, &train.init) {
        (Some(_), Some(_)) => {
            let fault = Fault::new(
                checker.document.key_place(&part.at(&["init"])),
                format!("training `{name}` has both `model` and `init`"),
                "one start",
            );
            let fault = fault
                .also(checker.document.key_place(&part.at(&["model"])), "another start")
                .help("keep `model` to train from the model's start, or `init` to go on from a training");
            checker.faults.push(fault);
        }
        (None, None) if part.intact => {
            dangling.model = true;
            dangling.train = true;
            let message = format!("training `{name}` has neither `model` nor `init`");
            let help = if preference {
                "name the training to align: init = \"...\""
            } else {
                "name a model to train (model = \"...\") or a training to go on from (init = \"...\")"
            };
            checker.fault(&part.path, message, "starts from nothing", help);
        }
        (Some(_), None) if preference && part.intact => checker.key_fault(
            &part.at(&["model"]),
            format!("training `{name}` aligns preferences and needs `init`"),
            "starts from untrained weights",
            "name a supervised training as init; its result is also the frozen reference",
        ),
        _ => {}
    }
}

/// Each ring of trainings that start from each other is reported once.
fn cycles(parts: &Parts, dangling: &mut Dangling, checker: &mut Checker<'_>) {
    let init_of = |name: &str| -> Option<(usize, &str)> {
        let index = parts.train.iter().position(|part| part.name.as_deref() == Some(name))?;
        Some((index, parts.train[index].value.as_ref()?.init.as_deref()?))
    };
    let mut reported: Vec<&str> = Vec::new();
    for name in known(&parts.train) {
        let mut chain = vec![name];
        while let Some((index, next)) = init_of(chain[chain.len() - 1]) {
            if next == name {
                if !chain.iter().any(|member| reported.contains(member)) {
                    reported.extend(&chain);
                    dangling.model = true;
                    let mut ring: Vec<&str> = chain.clone();
                    ring.push(name);
                    let message = format!("trainings start from each other: {}", ring.join(" ← "));
                    let path = parts.train[index].at(&["init"]);
                    let help = "one of them must start from a model";
                    checker.fault(&path, message, "closes the ring", help);
                }
                break;
            }
            if chain.contains(&next) {
                // runs into a ring that does not hold `name`: reported from its own members
                break;
            }
            chain.push(next);
        }
    }
}

fn systems(parts: &Parts, dangling: &mut Dangling, checker: &mut Checker<'_>) {
    for part in &parts.system {
        match &part.value {
            Some(SystemSettings::TwoTower { vectors, .. }) => {
                let path = part.at(&["vectors"]);
                let header = format!("[vectors.{vectors}] with kind = \"two-tower\"");
                let found = resolves(&path, vectors, &known(&parts.vectors), &header, checker);
                dangling.vectors |= !found;
                if found {
                    let target =
                        parts.vectors.iter().find(|target| target.name.as_deref() == Some(vectors));
                    if let Some(found) = target.and_then(|target| target.value.as_ref())
                        && !found.encodes_requests()
                    {
                        let kind = found.kind();
                        let message =
                            format!("system of kind two-tower cannot use [vectors.{vectors}]");
                        let what = if kind == "file" { "a file holds" } else { "these are" };
                        let help = format!(
                            "{what} item vectors but no encoder for requests: use vectors of another kind"
                        );
                        let label = format!("these vectors are of kind = \"{kind}\"");
                        checker.fault(&path, message, &label, &help);
                    }
                }
            }
            Some(SystemSettings::Generative { train, .. }) => {
                dangling.train |= !is_training(&part.at(&["train"]), train, parts, checker);
            }
            Some(SystemSettings::Fusion(fusion)) => fused(part, fusion, parts, checker),
            Some(SystemSettings::Cascade(cascade)) => {
                dangling.vectors |= !cascaded(part, cascade, parts, checker);
            }
            Some(
                SystemSettings::Popularity(_)
                | SystemSettings::Bm25(_)
                | SystemSettings::Sasrec(_)
                | SystemSettings::ItemCf(_)
                | SystemSettings::ItemKnn(_)
                | SystemSettings::Run(_)
                | SystemSettings::Oracle { .. },
            )
            | None => {}
        }
    }
    if parts.system.is_empty() && parts.intact {
        let help = "add at least one, for instance [[system]] name = \"bm25\" kind = \"bm25\"";
        checker.fault(&[], "the recipe has no [[system]]", "nothing to evaluate", help);
    }
}

/// A fused system asks systems that exist, and none that is fused itself.
fn fused(
    part: &Part<SystemSettings>,
    fusion: &FusionSettings,
    parts: &Parts,
    checker: &mut Checker<'_>,
) {
    for (index, name) in fusion.runs.iter().enumerate() {
        let path = [part.at(&["runs"]), vec![Step::Index(index)]].concat();
        let header = format!("[[system]] with name = \"{name}\"");
        if !resolves(&path, name, &known(&parts.system), &header, checker) {
            continue;
        }
        let target = parts.system.iter().find(|target| target.name.as_ref() == Some(name));
        if let Some(Some(composed @ (SystemSettings::Fusion(_) | SystemSettings::Cascade(_)))) =
            target.map(|target| &target.value)
        {
            let message = format!("system {name} cannot be fused into another");
            let help = "name systems that are not made of others";
            let label = format!("is itself of kind = \"{}\"", composed.kind());
            checker.fault(&path, message, &label, help);
        }
    }
    for (key, what) in fusion.faults() {
        checker.fault(&part.at(&[key]), what, "cannot be used", "");
    }
}

/// A cascade asks systems that exist and can take their seats, and does something. Whether its vectors exist.
fn cascaded(
    part: &Part<SystemSettings>,
    cascade: &CascadeSettings,
    parts: &Parts,
    checker: &mut Checker<'_>,
) -> bool {
    let target = |name: &str| {
        let target = parts.system.iter().find(|target| target.name.as_deref() == Some(name));
        target.and_then(|target| target.value.as_ref())
    };
    let stages = [("retrieve", Some(&cascade.retrieve)), ("rank", cascade.rank.as_ref())];
    for (key, name) in stages.into_iter().filter_map(|(key, name)| Some((key, name?))) {
        let path = part.at(&[key]);
        let header = format!("[[system]] with name = \"{name}\"");
        if !resolves(&path, name, &known(&parts.system), &header, checker) {
            continue;
        }
        let Some(settings) = target(name) else { continue };
        let label = format!("is of kind = \"{}\"", settings.kind());
        if key == "rank" && !settings.ranks() {
            let message = format!("system {name} cannot score given items");
            let help =
                "name a system of kind two-tower, bm25, popularity, item-cf, item-knn or sasrec";
            checker.fault(&path, message, &label, help);
        } else if matches!(settings, SystemSettings::Cascade(_)) {
            let message = format!("system {name} cannot find the candidates of another cascade");
            let help = "name a system that is not a cascade";
            checker.fault(&path, message, &label, help);
        }
    }
    if cascade.rank.is_none() && cascade.rerank.is_none() && cascade.act.is_none() && part.intact {
        let message = format!("cascade `{}` only repeats {}", cascade.name, cascade.retrieve);
        let help = "give it a second stage: `rank`, `rerank` or `act`";
        checker.fault(&part.path, message, "has one stage", help);
    }
    if cascade.seed.is_some() && cascade.act.is_none() {
        let message = format!("cascade `{}` draws nothing", cascade.name);
        let help = "remove `seed`, or let the cascade `act`";
        checker.key_fault(&part.at(&["seed"]), message, "no use of a seed", help);
    }
    match &cascade.rerank {
        Some(RerankSettings::Mmr { vectors, .. }) => {
            let path = part.at(&["rerank", "vectors"]);
            let header = format!("[vectors.{vectors}]");
            resolves(&path, vectors, &known(&parts.vectors), &header, checker)
        }
        None => true,
    }
}

fn baseline(parts: &Parts, checker: &mut Checker<'_>) {
    let Some(part) = &parts.evaluation else { return };
    let Some(baseline) = part.value.as_ref().and_then(|evaluation| evaluation.baseline.as_ref())
    else {
        return;
    };
    let header = format!("[[system]] with name = \"{baseline}\"");
    resolves(&part.at(&["baseline"]), baseline, &known(&parts.system), &header, checker);
}

/// Components that nothing refers to.
fn unused(parts: &Parts, dangling: &Dangling, checker: &mut Checker<'_>) {
    let mut vectors: Vec<&str> = Vec::new();
    let mut identifiers: Vec<&str> = Vec::new();
    let mut models: Vec<&str> = Vec::new();
    let mut trainings: Vec<&str> = Vec::new();
    for part in &parts.identifier {
        let Some(identifier) = &part.value else { continue };
        let IdentifierSettings::ResidualKMeans(settings) = identifier;
        vectors.push(&settings.vectors);
    }
    for part in &parts.model {
        let Some(model) = &part.value else { continue };
        identifiers.push(model.identifier());
    }
    for train in parts.train.iter().filter_map(|part| part.value.as_ref()) {
        models.extend(train.model.as_deref());
        trainings.extend(train.init.as_deref().filter(|init| *init != train.name));
    }
    for part in &parts.system {
        match &part.value {
            Some(SystemSettings::TwoTower { vectors: name, .. })
            | Some(SystemSettings::Cascade(CascadeSettings {
                rerank: Some(RerankSettings::Mmr { vectors: name, .. }),
                ..
            })) => vectors.push(name),
            Some(SystemSettings::Generative { train, .. }) => trainings.push(train),
            Some(
                SystemSettings::Popularity(_)
                | SystemSettings::Bm25(_)
                | SystemSettings::Sasrec(_)
                | SystemSettings::ItemCf(_)
                | SystemSettings::ItemKnn(_)
                | SystemSettings::Run(_)
                | SystemSettings::Fusion(_)
                | SystemSettings::Cascade(_)
                | SystemSettings::Oracle { .. },
            )
            | None => {}
        }
    }
    for joined in parts.vectors.iter().filter_map(|part| part.value.as_ref()) {
        vectors.extend(joined.parts().iter().map(String::as_str));
    }
    if !dangling.vectors {
        report_unused(
            &parts.vectors,
            &vectors,
            "vectors",
            ["identifier", "system", "other vectors"],
            checker,
        );
    }
    if !dangling.identifier {
        report_unused(&parts.identifier, &identifiers, "identifier", ["model"], checker);
    }
    if !dangling.model {
        report_unused(&parts.model, &models, "model", ["training"], checker);
    }
    if !dangling.train {
        report_unused(&parts.train, &trainings, "training", ["system", "other training"], checker);
    }
}

fn report_unused<T, const N: usize>(
    parts: &[Part<T>],
    used: &[&str],
    what: &str,
    users: [&str; N],
    checker: &mut Checker<'_>,
) {
    for part in parts {
        let Some(name) = part.name.as_deref().filter(|name| !used.contains(name)) else { continue };
        let message = format!("{what} `{name}` is never used");
        let label = format!("no {} names it", users.join(" and no "));
        let help = format!("name it where it is to be used ({}), or remove it", users.join(" or "));
        if matches!(part.path.last(), Some(Step::Index(_))) {
            checker.fault(&part.at(&["name"]), message, &label, &help);
        } else {
            checker.key_fault(&part.path, message, &label, &help);
        }
    }
}
