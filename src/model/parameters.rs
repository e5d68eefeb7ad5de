//! What trains: variables in a fixed order, found by name, each of which says whether weight decay
//! acts on it.
//!
//! The network that makes a parameter knows what it is; an optimizer that only sees a name and a
//! shape would have to guess.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};

use crate::error::{Error, Result};

/// A parameter without its values: what a network declares, and what a file of weights must hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterSpec {
    /// Its name in the files of weights.
    pub name: String,
    /// Its sizes; matrices are `[out, in]`.
    pub shape: Vec<usize>,
    /// Whether weight decay acts on it.
    pub decays: bool,
}

impl ParameterSpec {
    /// The matrix of a product. Decay acts on these alone.
    pub fn matrix(name: impl Into<String>, shape: [usize; 2]) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), decays: true }
    }

    /// Rows that belong to tokens, items or positions. They do not decay: a step says something
    /// about the rows that it reads, and nothing about the others.
    pub fn table(name: impl Into<String>, shape: [usize; 2]) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), decays: false }
    }

    /// The weight of a norm, or a bias. Neither decays: at zero the network is not simpler, only
    /// scaled or shifted.
    pub fn vector(name: impl Into<String>, length: usize) -> Self {
        Self { name: name.into(), shape: vec![length], decays: false }
    }

    /// Number of values.
    pub fn n_values(&self) -> usize {
        self.shape.iter().product()
    }

    /// The parameter with its first values, which are copied.
    ///
    /// # Errors
    /// [`Error::Failed`] when they are of another shape.
    pub fn filled(self, values: &Tensor) -> Result<Parameter> {
        let Self { name, shape, decays } = self;
        if values.dims() != shape {
            let got = values.dims();
            return Err(Error::Failed(format!("{name}: expected shape {shape:?}, got {got:?}")));
        }
        Ok(Parameter { name, var: Var::from_tensor(values)?, decays })
    }
}

/// A variable that trains.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name in the files of weights.
    pub name: String,
    /// Its values; clones share them.
    pub var: Var,
    /// Whether weight decay acts on it.
    pub decays: bool,
}

/// All that trains, sorted by name.
#[derive(Debug, Clone, Default)]
pub struct Parameters(Vec<Parameter>);

impl Parameters {
    /// The variable of this name.
    pub fn get(&self, name: &str) -> Option<&Var> {
        let found = self.0.binary_search_by(|parameter| parameter.name.as_str().cmp(name));
        found.ok().map(|place| &self.0[place].var)
    }

    /// The variable of this name, which must be there.
    ///
    /// # Errors
    /// [`Error::Failed`] with the name where there is none.
    pub fn var(&self, name: &str) -> Result<&Var> {
        self.get(name).ok_or_else(|| Error::Failed(format!("parameter {name} is missing")))
    }

    /// In their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.0.iter()
    }

    /// The variables, in their order.
    pub fn vars(&self) -> impl Iterator<Item = &Var> {
        self.iter().map(|parameter| &parameter.var)
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing trains.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What files of these parameters hold.
    pub fn specs(&self) -> Vec<ParameterSpec> {
        let spec = |Parameter { name, var, decays }: &Parameter| ParameterSpec {
            name: name.clone(),
            shape: var.dims().to_vec(),
            decays: *decays,
        };
        self.iter().map(spec).collect()
    }

    /// The values by name; they share the storage of the variables.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        self.iter().map(|one| (one.name.clone(), one.var.as_tensor().clone())).collect()
    }
}

impl FromIterator<Parameter> for Parameters {
    fn from_iter<I: IntoIterator<Item = Parameter>>(all: I) -> Self {
        let mut all: Vec<Parameter> = all.into_iter().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Self(all)
    }
}

impl<'a> IntoIterator for &'a Parameters {
    type Item = &'a Parameter;
    type IntoIter = std::slice::Iter<'a, Parameter>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use candle_core::{DType, Device};

    use super::*;

    /// Names of those on which weight decay acts, and of the others.
    pub(crate) fn by_decay(parameters: &Parameters) -> [Vec<&str>; 2] {
        [true, false].map(|decays| {
            let chosen = parameters.iter().filter(|one| one.decays == decays);
            chosen.map(|one| one.name.as_str()).collect()
        })
    }

    #[test]
    fn they_are_sorted_and_found_by_name() {
        let filled = |spec: ParameterSpec| {
            let values = Tensor::ones(spec.shape.clone(), DType::F32, &Device::Cpu).unwrap();
            spec.filled(&values).unwrap()
        };
        let parameters: Parameters = [
            filled(ParameterSpec::vector("norm.weight", 2)),
            filled(ParameterSpec::matrix("down.weight", [2, 3])),
            filled(ParameterSpec::table("embed.weight", [4, 2])),
        ]
        .into_iter()
        .collect();
        assert_eq!(
            by_decay(&parameters),
            [vec!["down.weight"], vec!["embed.weight", "norm.weight"]]
        );
        assert!(parameters.iter().map(|one| &one.name).is_sorted());
        assert_eq!(parameters.var("embed.weight").unwrap().dims(), [4, 2]);
        let told = parameters.var("head").err().unwrap().to_string();
        assert!(told.contains("parameter head is missing"), "{told}");
        assert_eq!(parameters.specs()[0], ParameterSpec::matrix("down.weight", [2, 3]));
    }

    #[test]
    fn values_of_another_shape_are_refused() {
        let values = Tensor::ones((3, 2), DType::F32, &Device::Cpu).unwrap();
        let told = ParameterSpec::matrix("up", [2, 3]).filled(&values).err().unwrap().to_string();
        assert!(told.contains("up: expected shape [2, 3], got [3, 2]"), "{told}");
    }
}
