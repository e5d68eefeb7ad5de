//! Which identifiers a recipe lets a model answer in: one, or several in the order of its tokens.

use crate::kind::{Family, Faults, Role, Use, keys};

/// The references of `identifier` and `identifiers`.
pub(super) fn uses<'a>(one: Option<&'a str>, several: Option<&'a [String]>) -> Vec<Use<'a>> {
    let new =
        |name, place| Use::new(Family::Identifier, name, Role::Identifier(place), "identifier");
    let several = several.unwrap_or_default().iter().enumerate();
    let several = several.map(|(place, name)| new(name, place).at(keys!["identifiers", place]));
    one.map(|name| new(name, 0)).into_iter().chain(several).collect()
}

/// Exactly one of the two keys is given, and a list is one of different names.
pub(super) fn faults(one: Option<&str>, several: Option<&[String]>, faults: &mut Faults<'_>) {
    let model = format!("model `{}`", faults.name());
    let Some(list) = several else {
        if one.is_none() && faults.is_intact() {
            let message = format!("{model} has neither `identifier` nor `identifiers`");
            let help = "name what it answers in: identifier = \"...\", or identifiers = [\"...\"]";
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
    if list.is_empty() {
        let message = format!("{model} answers in no identifier");
        let help = "name at least one, for instance identifiers = [\"sid\"]";
        faults.value(key, message, "an empty list", help);
    }
    for (place, name) in list.iter().enumerate() {
        if list[..place].contains(name) {
            let message = format!("{model} names the identifier `{name}` twice");
            let help = "name each identifier once";
            faults.value(keys!["identifiers", place], message, "second use", help);
        }
    }
}
