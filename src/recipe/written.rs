//! How parts are written back: in full, without what they have from another training, or by the training
//! whose table they have.

use std::collections::BTreeMap;

use serde::ser::{Error, SerializeSeq};
use serde::{Serialize, Serializer};
use toml::{Table, Value};

use super::trainings::OWN_KEYS;
use crate::kind::Kind;
use crate::model::settings::ModelSettings;
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
        if !lent && inherited.is_empty() {
            return Ok(Self::Whole(whole));
        }
        let mut table = Table::try_from(whole)?;
        table.retain(|key: &str, _: &mut Value| match lent {
            true => OWN_KEYS.contains(&key),
            false => !inherited.contains(&key),
        });
        Ok(Self::Short(table))
    }
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
