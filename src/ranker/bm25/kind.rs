//! What BM25 says of itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::settings::{Bm25Settings, Bm25Tuning};
use super::words::has_unspaced;
use super::{Bm25, Index};
use crate::corpus::Catalogue;
use crate::error::Result;
use crate::inputs::{Inputs, StepContext};
use crate::kind::keys;
use crate::kind::{Abilities, Estimate, Fact, Faults, Kind, Need, Role, Sizes};
use crate::ranker::Retrieve;
use crate::ranker::kinds::{Prepared, System, SystemKind, Tries, Tuned};
use crate::ranker::tuned::Chosen;
use crate::train::held_out::Judge;

impl Kind for Bm25Settings {
    fn format(&self) -> u32 {
        5
    }

    fn abilities(&self) -> Abilities {
        Abilities { ranks: true, ..Abilities::default() }
    }

    fn needs(&self) -> Vec<Need> {
        let message = "system `{name}` ranks by text, but the items have none";
        vec![Need::new(Fact::Text, message.into())]
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        for (place, field) in self.fields.iter().enumerate() {
            if self.fields[..place].iter().any(|other| other.field == field.field) {
                let message = format!("field \"{}\" is searched twice", field.field);
                let key = keys!["fields", place, "field"];
                faults.value(key, message, "second time", "remove one, or raise its weight");
            }
        }
        if !self.fields.is_empty() && self.fields.iter().all(|field| field.weight == 0.0) {
            let message = format!("system `{}` searches no field", self.name);
            let help = "give at least one field a weight above 0";
            faults.value(keys!["fields"], message, "all weights are 0", help);
        }
        if let Some(tune) = &self.tune {
            grid(self, tune, faults);
        }
    }
}

fn grid(bm25: &Bm25Settings, tune: &Bm25Tuning, faults: &mut Faults<'_>) {
    for (key, values, most) in [("k1", &tune.k1, 100.0), ("b", &tune.b, 1.0)] {
        let key = keys!["tune", key];
        let dotted = faults.dotted(&key);
        if values.is_empty() {
            let help = "give the values to try, or leave the key out";
            faults.value(key.clone(), format!("`{dotted}` is empty"), "nothing to try", help);
        }
        if let Some(bad) = values.iter().find(|value| !(0.0..=most).contains(*value)) {
            let message = format!("`{dotted}` is out of range: {bad}");
            faults.value(key, message, format!("expected numbers from 0 to {most}"), "");
        }
    }
    let n_settings = tune.k1.len() * tune.b.len();
    if n_settings > tune.budget as usize {
        let message = format!("the grid of system `{}` is larger than its budget", bm25.name);
        let label = format!("{n_settings} settings, of {} at most", tune.budget);
        let given = faults.is_given(&keys!["tune", "budget"]);
        let key = if given { keys!["tune", "budget"] } else { keys!["tune"] };
        faults.value(key, message, label, "shorten `k1` or `b`, or raise `budget`");
    }
    let fixed = !bm25.fields.is_empty() && bm25.fields.iter().all(|field| field.b.is_some());
    if fixed && tune.b.len() > 1 {
        let message = format!("system `{}` would try values of `b` that nothing reads", bm25.name);
        let help = "take `b` out of one field, or set tune.b to a single value";
        faults.value(keys!["tune"], message, "every field has a `b` of its own", help);
    }
}

impl Bm25Settings {
    /// The index that its step wrote.
    fn index(&self, inputs: &Inputs) -> Result<Arc<Index>> {
        let n_items = inputs.corpus()?.summary().items as usize;
        let n_fields = self.fields.len().max(1);
        Ok(Arc::new(Index::open(inputs.folder(Role::Opened)?, n_fields, n_items)?))
    }
}

impl SystemKind for Bm25Settings {
    fn name(&self) -> &str {
        &self.name
    }

    /// What is counted of the texts; what counts are worth, is the system's.
    fn prepared(&self) -> Option<Prepared> {
        let fields: Vec<&str> = self.fields.iter().map(|field| field.field.as_str()).collect();
        let settings = json!({ "kind": "bm25", "fields": fields, "stem": self.stem });
        Some(Prepared { step: "index", settings, is_judged: false })
    }

    fn prepare(&self, _: &System, step: &StepContext<'_>, _: &dyn Judge) -> Result<()> {
        let (corpus, catalogue) = (step.inputs.corpus()?, step.inputs.catalogue()?);
        Index::build(corpus, catalogue, &self.fields, self.stem)?.write(step.out)
    }

    fn remark(&self, catalogue: &Catalogue) -> Option<String> {
        let texts = (0..catalogue.len() as u32).map(|item| catalogue.text(item));
        let n_items = texts.filter(|text| has_unspaced(text)).count();
        (n_items > 0).then(|| {
            format!(
                "{} counts single characters and pairs of neighbors in scripts without blanks between words, such as Han, Kana \
                 and Thai, which {n_items} of {} items hold",
                self.name,
                catalogue.len()
            )
        })
    }

    fn open(&self, _system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        let mut settings = self.clone();
        if self.tune.is_some() {
            let chosen = Chosen::read(inputs.folder(Role::Tuned)?)?;
            (settings.k1, settings.b) = (chosen.value("k1")?, chosen.value("b")?);
        }
        Ok(Box::new(Bm25::weigh(&self.index(inputs)?, &settings)))
    }

    fn files(&self, inputs: &Inputs) -> Result<Vec<PathBuf>> {
        Ok(vec![Index::file(inputs.folder(Role::Opened)?)])
    }

    fn tuned_for(&self) -> Option<Tuned<'_>> {
        self.tune.as_ref().map(|tune| Tuned {
            metric: &tune.metric,
            key: keys!["tune", "metric"],
            what: "constants",
            instead: "leave `tune` out",
        })
    }

    fn tries(&self, _system: &System, inputs: &Inputs) -> Result<Option<Tries>> {
        let Some(tune) = &self.tune else { return Ok(None) };
        let index = self.index(inputs)?;
        let named =
            |(k1, b): (f64, f64)| BTreeMap::from([("k1".to_owned(), k1), ("b".to_owned(), b)]);
        let own = (self.k1, self.b);
        let candidates = std::iter::once(own).chain(tune.grid()).map(named).collect();
        let settings = self.clone();
        let under = move |chosen: &BTreeMap<String, f64>| -> Box<dyn Retrieve> {
            Box::new(Bm25::weigh(&index, &settings.with(chosen["k1"], chosen["b"])))
        };
        Ok(Some(Tries::Grid { candidates, under: Box::new(under) }))
    }

    fn estimate_preparing(&self, sizes: &Sizes) -> Estimate {
        Estimate::default().count("items", "", sizes.items)
    }
}
