//! The kinds of systems: one line each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use trieval_eval::fusion::{Fusion, FusionSettings};

use super::Retrieve;
use super::click_rate::settings::ClickRateSettings;
use super::logistic::settings::LogisticSettings;
use super::settings::{
    ActSettings, Bm25Settings, CascadeSettings, GenerativeSettings, ItemCfSettings,
    ItemKnnSettings, NearestSettings, OracleSettings, PopularitySettings, RunFileSettings,
    SasrecSettings,
};
use crate::corpus::{Catalogue, Request};
use crate::error::{Error, Result};
use crate::generative::DecoderSizes;
use crate::inputs::{Inputs, StepContext};
use crate::kind::{Estimate, Family, Key, Kind, Learned, Sizes, keyed};
use crate::model::settings::ModelSettings;
use crate::progress::Context;
use crate::train::held_out::Judge;
use crate::vectors::kinds::VectorsSettings;

crate::kind::kinds! {
    /// A system to be evaluated.
    pub enum SystemSettings: SystemKind {
        /// Items by number of training clicks (or occurrences in training sequences).
        "popularity" => Popularity(PopularitySettings),
        /// Items by the share of training impressions that were clicked, drawn towards the mean.
        "click-rate" => ClickRate(ClickRateSettings),
        /// BM25 over item text.
        "bm25" => Bm25(Bm25Settings),
        /// A self-attentive sequence model over item ids, trained by the system itself.
        "sasrec" => Sasrec(SasrecSettings),
        /// Items that were chosen together with those of the history, near and in the same order (ItemCF).
        "item-cf" => ItemCf(ItemCfSettings),
        /// Nearest neighbors of the history's items by co-occurrence.
        "item-knn" => ItemKnn(ItemKnnSettings),
        /// Logistic regression over features of requests, items and pages, trained on impressions.
        "logistic" => Logistic(LogisticSettings),
        /// Nearest items under an encoder of requests and items, by inner product.
        "two-tower" => TwoTower(NearestSettings),
        /// A trained decoder with constrained beam search.
        "generative" => Generative(GenerativeSettings),
        /// Several systems asked for every request, for 100 items or as many as are wanted, their lists fused into one.
        "fusion" => Fusion(FusionSettings),
        /// Systems one behind the other: finding, scoring, reordering, choosing.
        "cascade" => Cascade(CascadeSettings),
        /// Answers that another program wrote into a run file; their time and memory are not known here.
        "run" => Run(RunFileSettings),
        /// The truth of the simulated shop: the best any system can do.
        "oracle" => Oracle(OracleSettings),
    }
}

impl SystemSettings {
    /// Name in runs and reports.
    pub fn name(&self) -> &str {
        self.it().name()
    }
}

/// A way to answer requests.
pub trait SystemKind: Kind {
    /// Name in runs and reports.
    fn name(&self) -> &str;

    /// What is done before it can be opened, where anything is: the end of the step's name, and the settings that enter
    /// its key.
    fn prepared(&self) -> Option<Prepared> {
        None
    }

    /// Does what [`SystemKind::prepared`] announces; `system` is this one with those that it asks.
    ///
    /// # Errors
    /// When data are missing, a training fails, or the disk refuses.
    fn prepare(&self, _: &System, _step: &StepContext<'_>, _judge: &dyn Judge) -> Result<()> {
        Err(Error::Failed(format!("system {} has nothing to prepare", self.name())))
    }

    /// What a reader of the report is to know of how it read these items; none where there is nothing special.
    fn remark(&self, _: &Catalogue) -> Option<String> {
        None
    }

    /// What the step in `folder` learned; none where it trained nothing.
    ///
    /// # Errors
    /// [`Error::Data`] when its weights are missing or damaged.
    fn learned(&self, _folder: &Path) -> Result<Option<Learned>> {
        Ok(None)
    }

    /// Opens it from what finished steps wrote; `system` is this one with those that it asks.
    ///
    /// # Errors
    /// [`Error::Data`] when a file is missing, damaged, or of other items.
    fn open(&self, system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>>;

    /// The files that it serves from, without those of systems that it asks.
    ///
    /// # Errors
    /// When a folder cannot be read.
    fn files(&self, inputs: &Inputs) -> Result<Vec<PathBuf>>;

    /// The metric that settings are chosen for on the validation requests, and the key that says so.
    fn tuned_for(&self) -> Option<Tuned<'_>> {
        None
    }

    /// Names of what it fuses, in the order of weights: systems that it asks, or identifiers that it answers in.
    fn fused(&self) -> Vec<&str> {
        let uses = self.uses();
        let of = |family: Family| -> Vec<&str> {
            uses.iter().filter(|one| one.family == family).map(|one| one.name).collect()
        };
        let systems = of(Family::System);
        if systems.is_empty() { of(Family::Identifier) } else { systems }
    }

    /// What is tried where settings are chosen.
    ///
    /// # Errors
    /// As [`SystemKind::open`].
    fn tries(&self, _system: &System, _inputs: &Inputs) -> Result<Option<Tries>> {
        Ok(None)
    }

    /// Most items that come back for a request, and the key that says so; none where only the depth limits them.
    fn at_most(&self) -> Option<(u32, Vec<Key>)> {
        None
    }

    /// Beams with which it searches codes, where it does.
    fn beam(&self) -> Option<u32> {
        None
    }

    /// How what is shown first is chosen, where it is chosen at random.
    fn acts(&self) -> Option<ActSettings> {
        None
    }

    /// Whether what answering costs can be measured.
    fn is_measured(&self) -> bool {
        true
    }

    /// What reports call its kind.
    fn reported_kind(&self) -> Option<&'static str> {
        None
    }

    /// Whether it tells what speaks for the items that it finds ([`Retrieve::evidence`]).
    fn says_why(&self) -> bool {
        false
    }

    /// What its scores of given items are.
    fn predicts(&self) -> Predicts<'_> {
        Predicts::Scores
    }

    /// Why it cannot be asked anything but the requests of the corpus, where it cannot.
    fn refuses_questions(&self) -> Option<String> {
        None
    }

    /// Looks at the requests before they are asked. `is_part`: another system asks it.
    ///
    /// # Errors
    /// Where they cannot be answered.
    fn inspect(
        &self,
        _inputs: &Inputs,
        _requests: &[Request],
        _is_part: bool,
        _ctx: &Context,
    ) -> Result<()> {
        Ok(())
    }

    /// Figures of [`SystemKind::prepare`] before anything is loaded.
    fn estimate_preparing(&self, _sizes: &Sizes) -> Estimate {
        Estimate::default()
    }

    /// Figures of answering; `decoder` is what a generative system searches with.
    fn estimate(&self, _sizes: &Sizes, _decoder: Option<&DecoderSizes>) -> Estimate {
        Estimate::default()
    }
}

/// What scores of given items are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Predicts<'a> {
    /// Numbers that say which item is better.
    Scores,
    /// Probabilities of a positive label.
    Probabilities,
    /// Those of another system.
    As(&'a str),
}

/// A step before a system can be opened.
pub struct Prepared {
    /// What the step is called behind the system's name: `fit` or `index`.
    pub step: &'static str,
    /// The settings that it reads.
    pub settings: Value,
    /// Whether what counts as relevant decides what is kept.
    pub is_judged: bool,
}

impl Prepared {
    /// An index that depends on all settings but the name and those that are `unread`.
    pub(super) fn index<S>(kind: &str, settings: &S, unread: &[&str]) -> Self
    where
        S: Serialize + JsonSchema,
    {
        let mut settings = keyed(settings);
        if let Some(keys) = settings.as_object_mut() {
            keys.retain(|key, _| !unread.contains(&key.as_str()));
            // Kinds may have the same keys.
            keys.insert("kind".into(), kind.into());
        }
        Self { step: "index", settings, is_judged: false }
    }
}

/// What a system is tuned for.
pub struct Tuned<'a> {
    /// A metric of lists.
    pub metric: &'a str,
    /// The key that names it.
    pub key: Vec<Key>,
    /// What is chosen, in a word.
    pub what: &'static str,
    /// What to do instead where the validation requests are judged.
    pub instead: &'static str,
}

/// A system under some constants, by name.
pub type Under = dyn Fn(&BTreeMap<String, f64>) -> Box<dyn Retrieve>;

/// Settings to choose from.
pub enum Tries {
    /// Constants by name, those of the recipe first, and what answers under each.
    Grid {
        /// The candidates.
        candidates: Vec<BTreeMap<String, f64>>,
        /// The system under one of them.
        under: Box<Under>,
    },
    /// Weights of parts.
    Weights {
        /// What each part answers with.
        parts: Vec<Box<dyn Retrieve>>,
        /// The rule with equal weights.
        rule: Fusion,
    },
}

/// A system with those that it asks itself, in its order.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct System {
    /// Its settings.
    pub settings: SystemSettings,
    /// The systems that it asks.
    pub asks: Vec<System>,
    /// The vectors that it searches, where it does: their own step holds their key.
    #[schemars(extend("x-key" = false))]
    pub vectors: Option<VectorsSettings>,
    /// The decoder that answers, where one does: likewise.
    #[schemars(extend("x-key" = false))]
    pub model: Option<ModelSettings>,
    /// The places, among the identifiers of that decoder, of those that it answers in: they enter
    /// the key as the roles of these identifiers.
    #[serde(skip)]
    pub identifiers: Vec<usize>,
}

impl System {
    /// Opens it.
    ///
    /// # Errors
    /// As [`SystemKind::open`].
    pub fn open(&self, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        self.settings.it().open(self, inputs)
    }

    /// The system and all that it asks, at any depth, each with its own inputs.
    ///
    /// # Errors
    /// [`Error::Failed`] when inputs are missing: a fault of this program.
    pub fn whole<'a>(&'a self, inputs: &'a Inputs) -> Result<Vec<(&'a Self, &'a Inputs)>> {
        let mut all = vec![(self, inputs)];
        for (place, part) in self.asks.iter().enumerate() {
            all.extend(part.whole(inputs.system(place)?)?);
        }
        Ok(all)
    }

    /// The settings of the system and of all that it asks.
    pub fn all(&self) -> Vec<&SystemSettings> {
        let mut all = vec![&self.settings];
        all.extend(self.asks.iter().flat_map(Self::all));
        all
    }

    /// The part at a place, opened.
    ///
    /// # Errors
    /// As [`SystemKind::open`].
    pub(super) fn open_part(&self, inputs: &Inputs, place: usize) -> Result<Box<dyn Retrieve>> {
        let part = self.asks.get(place).ok_or_else(|| {
            Error::Failed(format!("the plan names no system {place}: please report it"))
        })?;
        part.open(inputs.system(place)?)
    }

    /// All parts, opened.
    ///
    /// # Errors
    /// As [`SystemKind::open`].
    pub(super) fn open_parts(&self, inputs: &Inputs) -> Result<Vec<Box<dyn Retrieve>>> {
        (0..self.asks.len()).map(|place| self.open_part(inputs, place)).collect()
    }
}
