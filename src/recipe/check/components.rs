//! Checks of components, whatever their kind: names, references, needs of the corpus, and what each says of its own keys.
//!
//! All of it is read from [`Kind`]; no kind is named here.

use trieval_eval::settings::{EvaluatedSplit, EvaluationSettings};

use super::metrics::{check_tuned, cut_off};
use super::{Checker, Part, Parts};
use crate::corpus::kinds::CorpusSettings;
use crate::kind::{
    Abilities, Answers, Around, Family, Faults, Key, Kind, Role, Use, learner, reaches,
};

use super::super::document::{Document, Step, quoted};
use super::super::fault::{Fault, listed, nearest};

/// Longest name of a component, which becomes a file name.
const LONGEST_NAME: usize = 64;
/// Families whose members nobody has to name.
const ENDS: Family = Family::System;

/// The path of a key of the component at `path`.
pub(super) fn below(path: &[Step], key: &[Key]) -> Vec<Step> {
    let step = |key: &Key| match key {
        Key::Name(name) => Step::Key(name.clone()),
        Key::Place(place) => Step::Index(*place),
    };
    path.iter().cloned().chain(key.iter().map(step)).collect()
}

/// A component as its kind describes it.
struct Component<'p> {
    family: Family,
    name: Option<&'p str>,
    path: &'p [Step],
    intact: bool,
    /// The kind as recipes spell it, and what it says of itself; none where it could not be read.
    it: Option<(&'static str, &'p dyn Kind)>,
}

impl Component<'_> {
    fn at(&self, key: &[Key]) -> Vec<Step> {
        below(self.path, key)
    }

    fn of_list(&self) -> bool {
        matches!(self.path.last(), Some(Step::Index(_)))
    }

    fn uses(&self) -> Vec<Use<'_>> {
        self.it.map_or_else(Vec::new, |(_, it)| it.uses())
    }

    /// Whether its table is that of a training, which is checked in its own place.
    fn is_lent(&self) -> bool {
        self.it.is_some_and(|(_, it)| it.table().is_some())
    }
}

/// All components with a name, family by family.
fn components(parts: &Parts) -> Vec<Component<'_>> {
    fn of<'p, T>(
        family: Family,
        parts: &'p [Part<T>],
        it: impl Fn(&'p T) -> (&'static str, &'p dyn Kind),
    ) -> Vec<Component<'p>> {
        let component = |part: &'p Part<T>| Component {
            family,
            name: part.name.as_deref(),
            path: &part.path,
            intact: part.intact,
            it: part.value.as_ref().map(&it),
        };
        parts.iter().map(component).collect()
    }
    let mut all = of(Family::Vectors, &parts.vectors, |one| (one.kind(), one.it()));
    all.extend(of(Family::Identifier, &parts.identifier, |one| (one.kind(), one.it())));
    all.extend(of(Family::Model, &parts.model, |one| (one.kind(), one.it())));
    all.extend(of(Family::Train, &parts.train, |one| (one.kind(), one.it())));
    all.extend(of(Family::System, &parts.system, |one| (one.kind(), one.it())));
    all
}

/// What a component may look at beyond its settings.
struct Surroundings<'c> {
    document: &'c Document,
    name: &'c str,
    what: &'static str,
    path: &'c [Step],
    intact: bool,
    evaluation: &'c EvaluationSettings,
    items: Option<u64>,
}

impl Surroundings<'_> {
    fn at(&self, key: &[Key]) -> Vec<Step> {
        below(self.path, key)
    }
}

impl Around for Surroundings<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn what(&self) -> &'static str {
        self.what
    }

    fn dotted(&self, key: &[Key]) -> String {
        self.document.dotted(&self.at(key))
    }

    fn is_given(&self, key: &[Key]) -> bool {
        self.document.node(&self.at(key)).is_some()
    }

    fn is_intact(&self) -> bool {
        self.intact
    }

    fn check_tuned(&self, metric: &str) -> Result<(), String> {
        check_tuned(metric)
    }

    fn cut_off(&self, metric: &str) -> Option<u32> {
        cut_off(metric)
    }

    fn depth(&self) -> u32 {
        self.evaluation.depth
    }

    fn judges_validation(&self) -> bool {
        self.evaluation.split == EvaluatedSplit::Validation
    }

    fn items(&self) -> Option<u64> {
        self.items
    }
}

pub(super) fn check(parts: &Parts, checker: &mut Checker<'_>) {
    let all = components(parts);
    names(&all, checker);
    let corpus = parts.corpus.as_ref().and_then(|part| Some((part, part.value.as_ref()?)));
    own_faults(parts, &all, corpus, checker);
    if let Some((part, corpus)) = corpus
        && part.intact
    {
        needs(&all, corpus, checker);
    }
    let mut dangling = unresolved(&all, checker);
    dangling.extend(rings(&all, checker));
    tuned(parts, checker);
    if parts.system.is_empty() && parts.intact {
        let help = "add at least one, for instance [[system]] name = \"bm25\" kind = \"bm25\"";
        checker.fault(&[], "the recipe has no [[system]]", "nothing to evaluate", help);
    }
    if parts.intact {
        unused(&all, &dangling, checker);
    }
}

/// Names are legal as file names and unique.
fn names(all: &[Component<'_>], checker: &mut Checker<'_>) {
    for (index, one) in all.iter().enumerate() {
        let Some(name) = one.name else { continue };
        let what = one.family.word();
        let path = if one.of_list() { one.at(&["name".into()]) } else { one.path.to_vec() };
        let place = if one.of_list() {
            checker.document.place(&path)
        } else {
            checker.document.key_place(&path)
        };
        let legal = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(legal) {
            let message = format!("{what} name {} cannot be used", quoted(name));
            let label = format!(
                "letters, digits, `-` and `_` only, at most {LONGEST_NAME}, for it becomes a file name"
            );
            checker.faults.push(Fault::new(place.clone(), message, label));
        }
        let same = |other: &&Component<'_>| other.family == one.family && other.name == one.name;
        if let Some(first) = all[..index].iter().find(same) {
            let message = format!("{what} name `{name}` is given twice");
            let fault = Fault::new(place, message, "second use")
                .also(checker.document.place(&first.at(&["name".into()])), "first use")
                .help("every name must be unique among its kind");
            checker.faults.push(fault);
        }
    }
}

/// What every component, and the corpus, says of its own keys.
fn own_faults(
    parts: &Parts,
    all: &[Component<'_>],
    corpus: Option<(&Part<CorpusSettings>, &CorpusSettings)>,
    checker: &mut Checker<'_>,
) {
    let default = EvaluationSettings::default();
    let evaluation = parts.evaluation.as_ref().and_then(|part| part.value.as_ref());
    let evaluation = evaluation.unwrap_or(&default);
    // Counts that the recipe itself states; files are not looked at.
    let items =
        corpus.filter(|(_, corpus)| corpus.it().sources().is_ok_and(|files| files.is_empty()));
    let items = items.and_then(|(_, corpus)| corpus.it().sizes().items);
    let components = all.iter().filter(|one| !one.is_lent()).filter_map(|one| {
        let name = one.name.unwrap_or_default();
        Some((name, one.family.word(), one.path, one.intact, one.it?.1))
    });
    let corpus = corpus.map(|(part, corpus)| {
        ("corpus", "corpus", part.path.as_slice(), part.intact, corpus.it() as &dyn Kind)
    });
    for (name, what, path, intact, it) in components.chain(corpus) {
        let document = checker.document;
        let around = Surroundings { document, name, what, path, intact, evaluation, items };
        let mut faults = Faults::new(&around);
        for key in it.inherited() {
            let key = vec![Key::from(*key)];
            if around.is_given(&key) {
                let message = format!("`{}` is that of what it starts from", around.dotted(&key));
                faults.key(key, message, "beside `init`", "leave it out");
            }
        }
        it.faults(&mut faults);
        let found = faults.found;
        for one in found {
            let path = around.at(&one.key);
            let place = match (one.key.is_empty(), one.on_key) {
                (false, true) => document.key_place(&path),
                _ => document.place(&path),
            };
            let mut fault = Fault::new(place, one.message, one.label);
            if !one.help.is_empty() {
                fault = fault.help(one.help);
            }
            if let Some((key, label)) = one.also {
                fault = fault.also(document.key_place(&around.at(&key)), label);
            }
            checker.faults.push(if one.is_remark { fault.warning() } else { fault });
        }
    }
}

/// What components want of the corpus that it does not offer.
fn needs(all: &[Component<'_>], corpus: &CorpusSettings, checker: &mut Checker<'_>) {
    for one in all.iter().filter(|one| !one.is_lent()) {
        let Some((_, it)) = one.it else { continue };
        for need in it.needs() {
            let Some(lack) = corpus.it().lack(&need.fact) else { continue };
            let message = need.said_of(one.family.word(), one.name.unwrap_or_default());
            let label = need.label.unwrap_or(lack.why);
            checker.fault(&one.at(&need.key), message, label, &need.help(&lack));
        }
    }
}

fn known<'a>(all: &'a [Component<'_>], family: Family) -> Vec<&'a str> {
    all.iter().filter(|one| one.family == family).filter_map(|one| one.name).collect()
}

/// Refuses references to what does not exist or cannot be used so; the families in which a name is missing.
fn unresolved(all: &[Component<'_>], checker: &mut Checker<'_>) -> Vec<Family> {
    let mut dangling = Vec::new();
    for one in all.iter().filter(|one| !one.is_lent()) {
        let Some((_, it)) = one.it else { continue };
        if it.uses().is_empty() {
            dangling.extend(it.rests_on());
        }
        for used in it.uses() {
            let path = one.at(&used.key);
            let target = all
                .iter()
                .find(|other| other.family == used.family && other.name == Some(used.name));
            let Some(target) = target else {
                missing(all, &path, &used, checker);
                dangling.push(used.family);
                continue;
            };
            let Some((kind, target)) = target.it else { continue };
            if let Err(refusal) = it.accepts(&used, kind, &abilities(all, target, all.len())) {
                checker.fault(&path, refusal.message, &refusal.label, &refusal.help);
                dangling.push(used.family);
            }
            not_among(all, one, &used, checker);
            if used.role == Role::Start {
                of_one_length(all, one, &used, checker);
            }
            if used.unlearned {
                unlearned(all, one, &used, checker);
            }
            if let Some(answers) = used.answers {
                teaches(all, one, &used, answers, checker);
            }
        }
    }
    dangling
}

/// What others may ask of a component, which may have it from what it starts from, through at most `depth` others.
fn abilities(all: &[Component<'_>], it: &dyn Kind, depth: usize) -> Abilities {
    let own = it.abilities();
    if !own.knows_as_its_start || depth == 0 {
        return own;
    }
    let uses = it.uses();
    let start = uses.iter().find(|one| one.role == Role::Start);
    let start = start.and_then(|one| find(all, one.family, one.name));
    let knows = start.is_some_and(|start| abilities(all, start, depth - 1).knows_legal_only);
    Abilities { knows_legal_only: knows, ..own }
}

/// Refuses a training that cannot compare identifiers of different lengths, where it learns such: it learns the first of the
/// model that it starts from, be it through other trainings.
fn of_one_length(
    all: &[Component<'_>],
    one: &Component<'_>,
    start: &Use<'_>,
    checker: &mut Checker<'_>,
) {
    if !one.it.is_some_and(|(_, it)| it.abilities().needs_one_length) {
        return;
    }
    let Some(identifier) = first_identifier(all, start, all.len()) else { return };
    let it = find(all, Family::Identifier, &identifier);
    if !it.is_some_and(|it| it.abilities().varies_in_length) {
        return;
    }
    let name = one.name.unwrap_or_default();
    let message = format!("training `{name}` cannot compare identifiers of different lengths");
    let label = format!("those of `{identifier}` differ in length");
    let help = format!(
        "set identifier.{identifier}.length = \"skip\", or take an objective or loss that sums over tokens"
    );
    checker.fault(&one.at(&start.key), message, &label, &help);
}

/// The first identifier of the model that a start leads to, through at most `depth` trainings: a ring is told elsewhere.
fn first_identifier(all: &[Component<'_>], start: &Use<'_>, depth: usize) -> Option<String> {
    let uses = find(all, start.family, start.name)?.uses();
    if start.family == Family::Model {
        let first = uses.iter().find(|one| one.role == Role::Identifier(0))?;
        return Some(first.name.to_owned());
    }
    let next = uses.iter().find(|one| one.role == Role::Start)?;
    first_identifier(all, next, depth.checked_sub(1)?)
}

/// Refuses what learned from the training requests where what it says of them is learned from: it knows
/// their answers, and will not know those of others.
fn unlearned(
    all: &[Component<'_>],
    one: &Component<'_>,
    used: &Use<'_>,
    checker: &mut Checker<'_>,
) {
    let Some(next) = learner(used.family, used.name, |family, name| find(all, family, name)) else {
        return;
    };
    let (what, name) = (used.family.word(), used.name);
    let message = format!("{what} `{name}` learned from the training requests");
    let label = match (next.0, next.1.as_str()) == (used.family, name) {
        true => "it knows their answers".to_owned(),
        false => format!("through {} `{}`", next.0.word(), next.1),
    };
    let help = "what it says of them is better than what it will say of others: name one that learns \
                nothing, such as bm25 or the vectors of a pretrained encoder";
    checker.fault(&one.at(&used.key), message, &label, help);
}

/// What a component says of itself.
fn find<'p>(all: &[Component<'p>], family: Family, name: &str) -> Option<&'p dyn Kind> {
    let found = all.iter().find(|one| (one.family, one.name) == (family, Some(name)))?;
    found.it.map(|(_, it)| it)
}

/// Refuses a teacher that cannot be asked the training requests, and folds where it learned from none.
fn teaches(
    all: &[Component<'_>],
    one: &Component<'_>,
    used: &Use<'_>,
    answers: Answers,
    checker: &mut Checker<'_>,
) {
    let find = |family, name: &str| find(all, family, name);
    let bound = reaches(used.family, used.name, find, |it| it.abilities().is_bound);
    if let Some((_, bound)) = bound {
        let message = format!("system `{}` cannot answer training requests", used.name);
        let label = match bound == used.name {
            true => "it answers the evaluated requests alone".to_owned(),
            false => format!("`{bound}` answers the evaluated requests alone"),
        };
        let help = "name a system that can be asked anything";
        checker.fault(&one.at(&used.key), message, &label, help);
    }
    if answers.folds.is_some() && learner(used.family, used.name, find).is_none() {
        let mut key = used.key.clone();
        key.pop();
        key.push("folds".into());
        let message = format!("system `{}` learns nothing from the training requests", used.name);
        let label = "so that it answers all of them as it is";
        checker.fault(&one.at(&key), message, label, "leave `folds` out");
    }
}

/// Refuses a choice among what another component leads to that it does not lead to.
fn not_among(
    all: &[Component<'_>],
    one: &Component<'_>,
    used: &Use<'_>,
    checker: &mut Checker<'_>,
) {
    let uses = one.uses();
    let from = uses.iter().find(|other| Some(other.role) == used.among);
    let Some(from) = from else { return };
    let reached = reached(all, from, used.family);
    // Where nothing is reached, a name on the way there is missing, and that is told.
    if reached.is_empty() || reached.contains(&used.name.to_owned()) {
        return;
    }
    let path = one.at(&used.key);
    let (key, name) = (checker.document.dotted(&path), quoted(used.name));
    let (what, owner) = (used.family.word(), format!("{} `{}`", from.family.word(), from.name));
    let message = format!("`{key}` names {name}, which is no {what} of {owner}");
    let help = format!("it has {}", listed(reached.iter().map(String::as_str), "\""));
    checker.fault(&path, message, "not one of them", &help);
}

/// Names of a family that a used component leads to, in the order in which they are named.
fn reached(all: &[Component<'_>], from: &Use<'_>, family: Family) -> Vec<String> {
    let mut names = Vec::new();
    let mut seen = vec![(from.family, from.name.to_owned())];
    let mut at = 0;
    while let Some((of, name)) = seen.get(at).cloned() {
        let found = all.iter().find(|one| one.family == of && one.name == Some(&name));
        for used in found.map_or_else(Vec::new, Component::uses) {
            let next = (used.family, used.name.to_owned());
            if !seen.contains(&next) {
                names.extend((used.family == family).then(|| used.name.to_owned()));
                seen.push(next);
            }
        }
        at += 1;
    }
    names
}

/// Says that a name does not exist, and what was likely meant.
fn missing(all: &[Component<'_>], path: &[Step], used: &Use<'_>, checker: &mut Checker<'_>) {
    let (name, key) = (used.name, checker.document.dotted(path));
    if used.family == Family::Train && known(all, Family::Model).contains(&name) {
        // Naming a model in the place of a training is a likely slip.
        let trains = |other: &&Component<'_>| {
            let uses = other.uses();
            other.family == Family::Train
                && uses.iter().any(|one| one.family == Family::Model && one.name == name)
        };
        let trained: Vec<&str> = all.iter().filter(trains).filter_map(|one| one.name).collect();
        let help = if trained.is_empty() {
            format!("no training trains it: add [[train]] with model = \"{name}\" and name that")
        } else {
            format!("name a training, for instance one of this model: {}", listed(trained, "\""))
        };
        let message = format!("`{key}` names the model `{name}`, not a training");
        checker.fault(path, message, "a model before any training", &help);
        return;
    }
    if used.family == Family::Train && known(all, Family::Vectors).contains(&name) {
        let message = format!("`{key}` names the vectors `{name}`, not a training");
        let help = format!(
            "make their table a [[train]] with name = \"{name}\", and name it there too: train = \"{name}\""
        );
        checker.fault(path, message, "not a training", &help);
        return;
    }
    let header = format!("{}{}", used.family.header(name), used.hint);
    let names = known(all, used.family);
    let help = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if names.is_empty() => format!("define it: {header}"),
        None => format!("defined are {}; or define it: {header}", listed(names, "\"")),
    };
    let message = format!("`{key}` names {}, which does not exist", quoted(name));
    checker.fault(path, message, "no such name", &help);
}

/// Refuses components that go on from each other in a ring; the families that lead nowhere then.
fn rings(all: &[Component<'_>], checker: &mut Checker<'_>) -> Vec<Family> {
    let mut reported: Vec<usize> = Vec::new();
    let mut dangling = Vec::new();
    for start in 0..all.len() {
        let mut chain = Vec::new();
        if !returns(all, start, start, &mut chain, &mut vec![false; all.len()]) {
            continue;
        }
        if !chain.iter().any(|(member, _)| reported.contains(member)) {
            reported.extend(chain.iter().map(|(member, _)| *member));
            let family = all[start].family;
            dangling.extend(chain.iter().map(|(at, _)| all[*at].family));
            let teacher = Key::from("teacher");
            let taught = chain.iter().find(|(_, key)| key.contains(&teacher));
            let mixed = chain.iter().any(|(at, _)| all[*at].family != family);
            let (whole, help) = match family {
                _ if taught.is_some() => {
                    ("teacher and student", "name a teacher that is made without its student")
                }
                _ if mixed => ("components", "one of them must do without the next"),
                Family::Train => {
                    dangling.push(Family::Model);
                    ("trainings", "one of them must start from no other training")
                }
                other => (other.word(), "one of them must start from nothing"),
            };
            let name = |at: &usize| {
                let name = all[*at].name.unwrap_or_default();
                if mixed { format!("{} `{name}`", all[*at].family.word()) } else { name.into() }
            };
            let names: Vec<String> = chain.iter().map(|(at, _)| name(at)).collect();
            let ring = format!("{} ← {}", names.join(" ← "), name(&start));
            let message = format!("{whole} start from each other: {ring}");
            let Some((last, key)) = taught.or(chain.last()) else { continue };
            checker.fault(&all[*last].at(key), message, "closes the ring", help);
        }
    }
    dangling
}

/// Whether references lead from `at` back to `start`; `chain` then holds the way, each
/// member with the key by which it goes on.
fn returns(
    all: &[Component<'_>],
    at: usize,
    start: usize,
    chain: &mut Vec<(usize, Vec<Key>)>,
    seen: &mut [bool],
) -> bool {
    for used in all[at].uses() {
        let is_next =
            |other: &Component<'_>| (other.family, other.name) == (used.family, Some(used.name));
        let next = all.iter().position(is_next);
        let Some(next) = next else { continue };
        chain.push((at, used.key));
        if next == start {
            return true;
        }
        // What was looked at before leads into a ring of others, if into any.
        if !seen[next] {
            seen[next] = true;
            if returns(all, next, start, chain, seen) {
                return true;
            }
        }
        chain.pop();
    }
    false
}

/// The metric that something is tuned for, and the requests that it is tuned on.
fn tuned(parts: &Parts, checker: &mut Checker<'_>) {
    let evaluation = parts.evaluation.as_ref().and_then(|part| part.value.as_ref());
    for part in &parts.system {
        let Some(tuned) = part.value.as_ref().and_then(|system| system.it().tuned_for()) else {
            continue;
        };
        let (path, metric, what) = (below(&part.path, &tuned.key), tuned.metric, tuned.what);
        if let Err(help) = check_tuned(metric) {
            let message = format!("{what} cannot be tuned for {}", quoted(metric));
            checker.fault(&path, message, "not such a metric", &help);
        }
        let Some(evaluation) = evaluation else { continue };
        if let Some(deeper) = cut_off(metric).filter(|&cut_off| cut_off > evaluation.depth) {
            let message = format!("{metric} looks deeper than systems rank");
            let label = format!("`evaluation.depth` is {}", evaluation.depth);
            let help = format!("raise `evaluation.depth` to {deeper}");
            checker.fault(&path, message, &label, &help);
        }
        if evaluation.split == EvaluatedSplit::Validation {
            let message = format!("{what} would be tuned on the requests that they are judged by");
            let help = format!("{}, or evaluate the test requests", tuned.instead);
            checker.fault(&path, message, "tuned on validation", &help);
        }
    }
}

/// Components that nothing refers to. Where a name of their family is missing, what looks unused is likely what was meant.
fn unused(all: &[Component<'_>], dangling: &[Family], checker: &mut Checker<'_>) {
    for one in all {
        let Some(name) = one.name.filter(|_| one.family != ENDS) else { continue };
        let names = |other: &Component<'_>| {
            let itself = other.family == one.family && other.name == one.name;
            !itself
                && other.uses().iter().any(|used| used.family == one.family && used.name == name)
        };
        if dangling.contains(&one.family) || all.iter().any(names) {
            continue;
        }
        let users: &[&str] = match one.family {
            Family::Vectors => &["identifier", "system", "other vectors"],
            Family::Identifier => &["model"],
            Family::Model => &["training"],
            Family::Train => &["system", "vectors", "other training"],
            Family::System => &["system"],
        };
        let message = format!("{} `{name}` is never used", one.family.word());
        let label = format!("no {} names it", users.join(" and no "));
        let help = format!("name it where it is to be used ({}), or remove it", users.join(" or "));
        if one.of_list() {
            checker.fault(&one.at(&["name".into()]), message, &label, &help);
        } else {
            checker.key_fault(one.path, message, &label, &help);
        }
    }
}

/// Whether what the key at `path` names exists.
pub(super) fn check_named(path: &[Step], used: &Use<'_>, parts: &Parts, checker: &mut Checker<'_>) {
    let all = components(parts);
    if !known(&all, used.family).contains(&used.name) {
        missing(&all, path, used, checker);
    }
}
