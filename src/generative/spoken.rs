//! Which identifiers a recipe lets a model answer in: one, or several in the order of its tokens.

use crate::kind::{Abilities, Family, Faults, Refusal, Role, Use, keys};
use crate::model::settings::NewRows;

/// The references of `identifier` and `identifiers`.
pub(super) fn uses<'a>(one: Option<&'a str>, several: Option<&'a [String]>) -> Vec<Use<'a>> {
    let new =
        |name, place| Use::new(Family::Identifier, name, Role::Identifier(place), "identifier");
    let several = several.unwrap_or_default().iter().enumerate();
    let several = several.map(|(place, name)| new(name, place).at(keys!["identifiers", place]));
    one.map(|name| new(name, 0)).into_iter().chain(several).collect()
}

/// Exactly one of the two keys is given, and a list is one of different names; an empty one is that of a model that only
/// encodes.
pub(super) fn faults(one: Option<&str>, several: Option<&[String]>, faults: &mut Faults<'_>) {
    let model = format!("model `{}`", faults.name());
    let Some(list) = several else {
        if one.is_none() && faults.is_intact() {
            let message = format!("{model} has neither `identifier` nor `identifiers`");
            let help = "name what it answers in: identifier = \"...\", or identifiers = [\"...\"]; [] for one that only encodes";
            faults.value(Vec::new(), message, "answers in nothing", help);
        }
        return;
    };
    let key = keys!["identifiers"];
    if one.is_some() {
        let message = format!("{model} has both `identifier` and `identifiers`");
        let help = "keep `identifier` for one, or `identifiers` for several";
        faults.key(key, message, "several identifiers", help);
        faults.also(keys!["identifier"], "one identifier");
        return;
    }
    for (place, name) in list.iter().enumerate() {
        if list[..place].contains(name) {
            let message = format!("{model} names the identifier `{name}` twice");
            let help = "name each identifier once";
            faults.value(keys!["identifiers", place], message, "second use", help);
        }
    }
}

/// Whether it has words for items.
pub(super) fn abilities(one: Option<&str>, several: Option<&[String]>) -> Abilities {
    // Neither is a fault of its own.
    let names_items = one.is_some() || several.is_none_or(|list| !list.is_empty());
    Abilities { names_items, ..Abilities::default() }
}

/// It starts from a training that made its decoder an encoder, and its rows from centroids that there are.
pub(super) fn accepts(
    used: &Use<'_>,
    kind: &str,
    other: &Abilities,
    rows: NewRows,
) -> Result<(), Refusal> {
    let needs_none = other.has_centroids || other.is_spans;
    if used.family == Family::Identifier && rows == NewRows::Centroids && !needs_none {
        return Err(Refusal {
            message: format!("rows cannot begin at centroids of identifier `{}`", used.name),
            label: format!("codes of kind = \"{kind}\" have none"),
            help: "set rows = \"mean\", or quantise the vectors of the training that the model starts from".into(),
        });
    }
    if used.family != Family::Train || other.encodes_texts {
        return Ok(());
    }
    Err(Refusal {
        message: format!("a model cannot start from training `{}`", used.name),
        label: "its objective is not contrastive".into(),
        help: "go on from a training by its name: [[train]] with init; or name one with objective contrastive".into(),
    })
}

/// A model that only encodes has no rows of identifiers, and starts from none.
pub(super) fn rows(
    init: Option<&str>,
    rows: Option<NewRows>,
    several: Option<&[String]>,
    faults: &mut Faults<'_>,
) {
    if !several.is_some_and(<[String]>::is_empty) {
        return;
    }
    let model = format!("model `{}` answers in no identifier", faults.name());
    for (key, given) in [("init", init.is_some()), ("rows", rows.is_some())] {
        if given {
            let help = "leave it out, or name an identifier";
            faults.key(keys![key], model.clone(), "nothing to begin", help);
        }
    }
}
