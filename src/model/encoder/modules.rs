//! What `modules.json` of sentence-transformers names behind the transformer: a pooling, layers, and whether vectors are
//! scaled to unit length.

use std::path::{Component, Path};

use candle_core::{DType, Tensor};
use serde::Deserialize;
use trieval_kernels::ops::{gelu, linear_bias};

use super::keys::{DENSE_KEYS, MODULE_KEYS, NORMALIZE_KEYS, POOLING_KEYS, read_json};
use crate::error::{Error, Result};
use crate::model::checkpoint::WeightFiles;
use crate::model::folder::CONFIG;
use crate::model::keys::read_list;
use crate::model::parameters::ParameterSpec;
use crate::model::settings::Pooling;

pub(super) const MODULES: &str = "modules.json";
/// Where a pooling lies that `modules.json` does not name.
pub(super) const POOLING_DIR: &str = "1_Pooling";
/// The poolings as files of sentence-transformers name them: in newer ones, and the flag of older ones.
pub(super) const POOLINGS: [(&str, &str, Pooling); 6] = [
    ("mean", "mean_tokens", Pooling::Mean),
    ("cls", "cls_token", Pooling::Cls),
    ("max", "max_tokens", Pooling::Max),
    ("mean_sqrt_len_tokens", "mean_sqrt_len_tokens", Pooling::MeanSqrtLen),
    ("weightedmean", "weightedmean_tokens", Pooling::WeightedMean),
    ("lasttoken", "lasttoken", Pooling::Last),
];

/// What `modules.json` names; without one, the transformer is all there is.
#[derive(Default)]
pub(super) struct Modules {
    pub(super) transformer: String,
    pub(super) pooling: Option<String>,
    pub(super) dense: Vec<String>,
    pub(super) normalizes: bool,
}

#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
    path: String,
}

#[derive(Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    word_embedding_dimension: Option<usize>,
    #[serde(default)]
    embedding_dimension: Option<usize>,
    #[serde(default)]
    pooling_mode: Option<String>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
}

/// Nothing of it is read: its keys say one thing.
#[derive(Deserialize)]
struct NormalizeConfig {}

#[derive(Deserialize)]
struct DenseConfig {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default)]
    activation_function: Option<String>,
}

fn yes() -> bool {
    true
}

impl Modules {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(MODULES);
        if !path.is_file() {
            return Ok(Self::default());
        }
        let mut modules = Self::default();
        for (idx, object) in read_list(&path, "a list of modules")?.into_iter().enumerate() {
            let Module { kind, path: place } = MODULE_KEYS.read(object).map_err(|faults| {
                Error::data(&path, format!("module {idx}: {}", faults.join("; ")))
            })?;
            // Versions of sentence-transformers differ in the path of a class, not in its name.
            let class = kind.rsplit('.').next().unwrap_or_default();
            if Path::new(&place).components().any(|part| !matches!(part, Component::Normal(_))) {
                let message =
                    format!("module {idx} lies in `{place}`, which is not a folder inside");
                return Err(Error::data(&path, message));
            }
            match (idx, class) {
                (0, "Transformer") => modules.transformer = place,
                (1, "Pooling") => modules.pooling = Some(place),
                (2.., "Dense") if !modules.normalizes => modules.dense.push(place),
                (2.., "Normalize") => {
                    let config = folder.join(place).join(CONFIG);
                    read_json::<NormalizeConfig>(&config, &NORMALIZE_KEYS)?;
                    modules.normalizes = true;
                }
                _ => {
                    return Err(Error::data(&path, format!("module {idx} is a `{class}`")).with_help(
                        "known are Transformer, then Pooling, then any number of Dense, then Normalize",
                    ));
                }
            }
        }
        Ok(modules)
    }

    /// How token vectors of this width become one: as the folder says, or as the recipe does.
    pub(super) fn pooling(
        &self,
        folder: &Path,
        hidden: usize,
        chosen: Option<Pooling>,
    ) -> Result<Pooling> {
        let place = self.pooling.as_deref().unwrap_or(POOLING_DIR);
        let path = folder.join(place).join(CONFIG);
        let stated = read_json::<PoolingConfig>(&path, &POOLING_KEYS)?;
        match (stated, chosen) {
            (None, None) => Err(Error::data(
                folder,
                format!("does not say how token vectors become one: there is no {place}/{CONFIG}"),
            )
            .with_help("if this is a transformer alone, set `pooling`, for instance to \"mean\" or \"cls\"; else copy the whole folder of sentence-transformers")),
            (None, Some(chosen)) => Ok(chosen),
            (Some(_), Some(_)) => Err(Error::data(&path, "says how token vectors become one, and so does `pooling`")
                .with_help("remove `pooling` from the recipe")),
            (Some(stated), None) => stated.pooling(&path, hidden),
        }
    }
}

impl PoolingConfig {
    /// The one mode that is switched on.
    fn pooling(&self, path: &Path, hidden: usize) -> Result<Pooling> {
        for (name, width) in [
            ("word_embedding_dimension", self.word_embedding_dimension),
            ("embedding_dimension", self.embedding_dimension),
        ] {
            if let Some(width) = width.filter(|width| *width != hidden) {
                let message =
                    format!("{name} is {width}, but the transformer's hidden_size {hidden}");
                return Err(Error::data(path, message));
            }
        }
        let is_on = |pooling: Pooling| match pooling {
            Pooling::Mean => self.pooling_mode_mean_tokens,
            Pooling::Cls => self.pooling_mode_cls_token,
            Pooling::Max => self.pooling_mode_max_tokens,
            Pooling::MeanSqrtLen => self.pooling_mode_mean_sqrt_len_tokens,
            Pooling::WeightedMean => self.pooling_mode_weightedmean_tokens,
            Pooling::Last => self.pooling_mode_lasttoken,
        };
        let named = POOLINGS.iter().find(|(name, ..)| self.pooling_mode.as_deref() == Some(name));
        let on: Vec<_> = POOLINGS.iter().filter(|(.., pooling)| is_on(*pooling)).collect();
        match (&self.pooling_mode, named, on.as_slice()) {
            (None, _, [(.., only)]) | (Some(_), Some((.., only)), []) => Ok(*only),
            (Some(_), Some((.., named)), [(.., flag)]) if named == flag => Ok(*named),
            (mode, ..) => {
                let flags = on.iter().map(|(_, flag, _)| *flag);
                let found: Vec<&str> = mode.as_deref().into_iter().chain(flags).collect();
                let found = if found.is_empty() { "none".into() } else { found.join(" and ") };
                let known: Vec<&str> = POOLINGS.iter().map(|(_, flag, _)| *flag).collect();
                Err(Error::data(path, format!("pooling is {found}"))
                    .with_help(format!("known are {}, one of them", known.join(", "))))
            }
        }
    }
}

/// A layer behind pooling.
#[derive(Clone)]
pub(super) struct Dense {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
    pub(super) activation: Activation,
}

/// What a [`Dense`] ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    Identity,
    Tanh,
    Relu,
    Gelu,
    Sigmoid,
    Silu,
}

impl Activation {
    /// By their names in torch.
    const ALL: [(&'static str, Self); 6] = [
        ("torch.nn.modules.activation.Tanh", Self::Tanh),
        ("torch.nn.modules.linear.Identity", Self::Identity),
        ("torch.nn.modules.activation.ReLU", Self::Relu),
        ("torch.nn.modules.activation.GELU", Self::Gelu),
        ("torch.nn.modules.activation.Sigmoid", Self::Sigmoid),
        ("torch.nn.modules.activation.SiLU", Self::Silu),
    ];

    fn named(path: &Path, name: &str) -> Result<Self> {
        // Versions of torch differ in the path of a class, not in its name.
        let class = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        let found = Self::ALL.iter().find(|(known, _)| class(known) == class(name));
        found.map(|(_, activation)| *activation).ok_or_else(|| {
            let known: Vec<String> = Self::ALL.iter().map(|(known, _)| class(known)).collect();
            Error::data(path, format!("activation_function is `{name}`"))
                .with_help(format!("known are {}", known.join(", ")))
        })
    }

    /// Its name in torch.
    pub(super) fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, activation)| *activation == self);
        found.map_or("", |(name, _)| name)
    }
}

impl Dense {
    /// The layers of folders, in order, behind vectors of this width.
    pub(super) fn read_all<P: AsRef<Path>>(folders: &[P], hidden: usize) -> Result<Vec<Self>> {
        let mut width = hidden;
        let read = |folder: &P| {
            let dense = Self::read(folder.as_ref(), width)?;
            width = dense.weight.dims2()?.0;
            Ok(dense)
        };
        folders.iter().map(read).collect()
    }

    fn read(folder: &Path, width: usize) -> Result<Self> {
        let path = folder.join(CONFIG);
        let config: DenseConfig = read_json(&path, &DENSE_KEYS)?
            .ok_or_else(|| Error::data(folder, format!("has no {CONFIG}")))?;
        let DenseConfig { in_features, out_features, .. } = config;
        if in_features != width {
            let message =
                format!("in_features is {in_features}, but what lies before gives {width}");
            return Err(Error::data(&path, message));
        }
        let activation = match config.activation_function.as_deref() {
            None => Activation::Tanh,
            Some(name) => Activation::named(&path, name)?,
        };
        let files = WeightFiles::open(folder)?;
        let bias = config.bias.then(|| ParameterSpec::vector("linear.bias", out_features));
        let weight = ParameterSpec::matrix("linear.weight", [out_features, in_features]);
        let expected: Vec<_> = bias.into_iter().chain([weight]).collect();
        files.check(&expected, |_| false)?;
        let weight = files.tensor("linear.weight", Some(DType::F32))?;
        let bias = if config.bias {
            files.tensor("linear.bias", Some(DType::F32))?
        } else {
            Tensor::zeros(out_features, DType::F32, weight.device())?
        };
        Ok(Self { weight, bias, activation })
    }

    /// The layer of rows, `[rows, in]` to `[rows, out]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = linear_bias(x, &self.weight, &self.bias)?;
        Ok(match self.activation {
            Activation::Identity => x,
            Activation::Tanh => x.tanh()?,
            Activation::Relu => x.relu()?,
            Activation::Gelu => gelu(&x)?,
            Activation::Sigmoid => ((x.neg()?.exp()? + 1.0)?.recip())?,
            Activation::Silu => x.silu()?,
        })
    }
}
