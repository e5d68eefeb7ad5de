//! How parts are written back: in full, without what they have from another training, or by the training
//! whose table they have.

use std::collections::BTreeMap;

use serde::ser::{Error, SerializeSeq};
use serde::{Serialize, Serializer};
use toml::{Table, Value};

use super::trainings::OWN_KEYS;
use crate::kind::Kind;
use crate::model::settings::ModelSettings;
use crate::quantizer::kinds::IdentifierSettings;
use crate::ranker::kinds::SystemSettings;
use crate::trained::kinds::TrainingSettings;
use crate::vectors::kinds::VectorsSettings;

/// A part as recipes spell it.
#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a, T> {
    Short(Table),
    Whole(&'a T),
}

impl<'a, T: Serialize> Part<'a, T> {
    fn of(whole: &'a T, it: &dyn Kind) -> Result<Self, toml::ser::Error> {
        let (lent, inherited) = (it.table().is_some(), it.inherited());
        let mut table = Table::try_from(whole)?;
        let is_short = leave_out_unread(&mut table);
        if !lent && inherited.is_empty() && !is_short {
            return Ok(Self::Whole(whole));
        }
        table.retain(|key: &str, _: &mut Value| match lent {
            true => OWN_KEYS.contains(&key),
            false => !inherited.contains(&key),
        });
        Ok(Self::Short(table))
    }
}

/// Takes away defaults that are not read because another key takes their place, and would be refused beside it; whether
/// there were any.
fn leave_out_unread(table: &mut Table) -> bool {
    let mut unread: Vec<(Option<&str>, &str)> = Vec::new();
    if table.contains_key("codes_of_levels") {
        unread.extend([(None, "levels"), (None, "codes")]);
    }
    let within = |name: &str, key: &str| table.get(name).and_then(|one| one.get(key));
    if within("optimizer", "warmup_steps").is_some() {
        unread.push((Some("optimizer"), "warmup"));
    }
    if within("optimizer", "schedule").and_then(Value::as_str) == Some("constant") {
        unread.push((Some("optimizer"), "final_share"));
    }
    if within("validation", "every_steps").is_some() {
        unread.push((Some("validation"), "every_epochs"));
    }
    let mut is_short = false;
    for (name, key) in unread {
        let from = match name {
            None => Some(&mut *table),
            Some(name) => table.get_mut(name).and_then(Value::as_table_mut),
        };
        is_short |= from.is_some_and(|from| from.remove(key).is_some());
    }
    is_short
}

fn listed<'a, S: Serializer, T: Serialize + 'a>(
    all: &'a [T],
    it: impl Fn(&'a T) -> &'a dyn Kind,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(all.len()))?;
    for one in all {
        list.serialize_element(&Part::of(one, it(one)).map_err(S::Error::custom)?)?;
    }
    list.end()
}

fn named<'a, S: Serializer, T: Serialize + 'a>(
    all: &'a BTreeMap<String, T>,
    it: impl Fn(&'a T) -> &'a dyn Kind,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let part = |(name, one): (&'a String, &'a T)| Ok((name, Part::of(one, it(one))?));
    let parts: Result<Vec<_>, toml::ser::Error> = all.iter().map(part).collect();
    serializer.collect_map(parts.map_err(S::Error::custom)?)
}

pub(super) fn vectors<S: Serializer>(
    all: &BTreeMap<String, VectorsSettings>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    named(all, |one| one.it(), serializer)
}

pub(super) fn identifiers<S: Serializer>(
    all: &BTreeMap<String, IdentifierSettings>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    named(all, |one| one.it(), serializer)
}

pub(super) fn models<S: Serializer>(
    all: &BTreeMap<String, ModelSettings>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    named(all, |one| one.it(), serializer)
}

pub(super) fn trainings<S: Serializer>(
    all: &[TrainingSettings],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    listed(all, |one| one.it(), serializer)
}

pub(super) fn systems<S: Serializer>(
    all: &[SystemSettings],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    listed(all, |one| one.it(), serializer)
}
