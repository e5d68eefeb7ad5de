//! What a model is kept in: its settings, the layout of its weights with the features of all items, and
//! the weights.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::asked::Asked;
use super::layout::{Input, Layout};
use super::settings::LogisticSettings;
use super::sides::{Places, Side};
use super::value::Value;
use super::{BIAS, Logistic, WEIGHTS, parameters, specs};
use crate::error::{Error, Result};
use crate::model::checkpoint::{WeightFiles, load_parameters, save_weights};
use crate::store::{Packer, SealKind, Unpacker, read_description, write_json};

/// Version of the folder's layout.
const FORMAT: u32 = 1;
const SETTINGS_FILE: &str = "logistic.json";
const FEATURES_FILE: &str = "features.bin";
const WEIGHTS_FILE: &str = "weights.safetensors";
/// The files inside a fitted model's folder.
pub(super) const FILES: [&str; 3] = [SETTINGS_FILE, FEATURES_FILE, WEIGHTS_FILE];
const FEATURES: SealKind = SealKind { kind: "features", version: 1 };

#[derive(Serialize, Deserialize)]
struct ModelFile {
    format: u32,
    items: usize,
    settings: LogisticSettings,
}

/// Number of trained values of the model in `folder`.
///
/// # Errors
/// [`Error::Data`] when its weights are missing or damaged.
pub(super) fn stored_parameters(folder: &Path) -> Result<u64> {
    WeightFiles::open_file(&folder.join(WEIGHTS_FILE)).map(|weights| weights.n_values())
}

impl Logistic {
    /// Writes the model.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        let mut table = Packer::default();
        for input in &self.layout.inputs {
            match input {
                Input::Number { mean, deviation } => table.floats([*mean, *deviation].into_iter()),
                Input::Exact { values } => tokens(&mut table, values),
                Input::Hashed { buckets } => table.number(u64::from(*buckets)),
            }
        }
        table.number(self.items.len() as u64);
        for value in self.items.iter().flatten().flatten() {
            write(&mut table, value);
        }
        table.write(&folder.join(FEATURES_FILE), FEATURES)?;
        let parameters = parameters(self.bias, &self.weights)?;
        save_weights(&folder.join(WEIGHTS_FILE), &parameters)?;
        let (items, settings) = (self.items.len(), self.settings.clone());
        write_json(&folder.join(SETTINGS_FILE), &ModelFile { format: FORMAT, items, settings })
    }

    /// Loads what [`Logistic::save`] wrote for a catalogue of `n_items`, with the systems that it asks.
    ///
    /// # Errors
    /// [`Error::Data`] when a file is missing, damaged, of another format or of another catalogue.
    pub(super) fn load(folder: &Path, n_items: usize, asked: Asked) -> Result<Self> {
        let path = folder.join(SETTINGS_FILE);
        let file: ModelFile = read_description(&path, "a ranker of features", FORMAT)?;
        if file.items != n_items {
            let message =
                format!("the model knows {} items, the catalogue has {n_items}", file.items);
            return Err(Error::data(&path, message));
        }
        let settings = file.settings;
        let places = Places::of(&settings)?;
        let mut table = Unpacker::open(&folder.join(FEATURES_FILE), FEATURES)?;
        let layout = read_layout(&mut table, &settings)?;
        table.expect(n_items as u64, "items")?;
        let n_features = layout.inputs.len();
        let mut side =
            || -> Result<Side> { (0..n_features).map(|_| read(&mut table)).collect::<Result<_>>() };
        let items = (0..n_items).map(|_| Ok([side()?, side()?])).collect::<Result<_>>()?;
        table.finish()?;
        let (bias, weights) = read_weights(folder, &layout)?;
        Ok(Self { settings, places, layout, items, bias, weights, asked })
    }
}

/// The weights of a fitted model, without what it knows of items.
pub(super) struct Stored {
    pub(super) settings: LogisticSettings,
    pub(super) layout: Layout,
    pub(super) bias: f32,
    /// `[weights]`
    pub(super) weights: Vec<f32>,
}

impl Stored {
    /// Reads them from the folder that [`Logistic::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Data`] when a file is missing, damaged or of another format.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(SETTINGS_FILE);
        let ModelFile { settings, .. } = read_description(&path, "a ranker of features", FORMAT)?;
        let mut table = Unpacker::open(&folder.join(FEATURES_FILE), FEATURES)?;
        let layout = read_layout(&mut table, &settings)?;
        let (bias, weights) = read_weights(folder, &layout)?;
        Ok(Self { settings, layout, bias, weights })
    }
}

/// Where the weights of each feature are: the beginning of the table of features.
fn read_layout(table: &mut Unpacker, settings: &LogisticSettings) -> Result<Layout> {
    let features = settings.all_features();
    let mut inputs = Vec::with_capacity(features.len());
    for feature in &features {
        inputs.push(match (feature.reads.is_number(), feature.buckets) {
            (true, _) => match table.floats()?.as_slice() {
                &[mean, deviation] => Input::Number { mean, deviation },
                _ => return Err(table.fault("a number has no mean and deviation")),
            },
            (false, None) => Input::Exact { values: read_tokens(table)? },
            (false, Some(buckets)) => {
                table.expect(u64::from(buckets), "buckets")?;
                Input::Hashed { buckets }
            }
        });
    }
    Ok(Layout::new(inputs, settings))
}

/// The bias and the weights.
fn read_weights(folder: &Path, layout: &Layout) -> Result<(f32, Vec<f32>)> {
    let stored = load_parameters(&folder.join(WEIGHTS_FILE), specs(layout.size()).to_vec())?;
    let values = |name: &str| Ok::<_, Error>(stored.var(name)?.flatten_all()?.to_vec1::<f32>()?);
    Ok((values(BIAS)?[0], values(WEIGHTS)?))
}

fn tokens(table: &mut Packer, tokens: &[u64]) {
    table.number(tokens.len() as u64);
    tokens.iter().for_each(|token| table.number(*token));
}

fn read_tokens(table: &mut Unpacker) -> Result<Vec<u64>> {
    let n = table.number()?;
    let mut tokens = Vec::new();
    for _ in 0..n {
        let token = table.number()?;
        if tokens.last().is_some_and(|last| *last >= token) {
            return Err(table.fault("tokens do not rise"));
        }
        tokens.push(token);
    }
    Ok(tokens)
}

/// 0 for what is absent, 1 before a number, else the number of tokens plus 2.
fn write(table: &mut Packer, value: &Value) {
    match value {
        Value::Absent => table.number(0),
        Value::Number(number) => {
            table.number(1);
            table.number(u64::from(number.to_bits()));
        }
        Value::Tokens(tokens) => {
            table.number(tokens.len() as u64 + 2);
            tokens.iter().for_each(|token| table.number(*token));
        }
    }
}

fn read(table: &mut Unpacker) -> Result<Value> {
    Ok(match table.number()? {
        0 => Value::Absent,
        1 => {
            let bits = u32::try_from(table.number()?).ok().map(f32::from_bits);
            let number = bits.filter(|number| number.is_finite());
            Value::Number(number.ok_or_else(|| table.fault("a feature is not a number"))?)
        }
        n => {
            let mut tokens = Vec::new();
            for _ in 2..n {
                tokens.push(table.number()?);
            }
            Value::Tokens(tokens)
        }
    })
}
