//! Tables of which a step reads few rows: their gradient is of those rows alone, and so is the optimizer's work.
//!
//! candle's graph knows only gradients as large as what they belong to. [`look_up`] therefore puts a copy of the rows
//! that a batch reads into the graph, and tells the loop whose rows they are. A table that is read this way must be read
//! this way only. What the optimizer then does is "lazy" Adam: rows that a step does not read keep their moments.

use std::cell::RefCell;

use candle_core::{Device, Tensor, TensorId, Var};
use trieval_kernels::ops::embedding;

use crate::error::{Error, Result};

thread_local! {
    /// Rows read since the loop began to listen; none where nobody does.
    static READ: RefCell<Option<Vec<ReadRows>>> = const { RefCell::new(None) };
}

/// Rows of a table that a loss was computed from.
pub(super) struct ReadRows {
    pub(super) table: TensorId,
    /// Ascending, each once.
    pub(super) rows: Vec<u32>,
    /// Their copy in the graph, `[rows, d]`.
    pub(super) copy: Var,
}

/// Rows of `table`, differentiable within a training step.
///
/// Shapes: `table [n, d]`, `f32` on the CPU; `ids [tokens]`; result `[tokens, d]`.
///
/// # Errors
/// [`Error::Tensor`] when an id lies outside the table.
pub fn look_up(table: &Var, ids: &[u32]) -> Result<Tensor> {
    let mut rows = ids.to_vec();
    rows.sort_unstable();
    rows.dedup();
    let copy = embedding(&tensor(&rows)?, &table.as_tensor().detach())?;
    let copy = Var::from_tensor(&copy)?;
    let place = |id: &u32| rows.partition_point(|row| row < id) as u32;
    let places: Vec<u32> = ids.iter().map(place).collect();
    let found = embedding(&tensor(&places)?, copy.as_tensor())?;
    READ.with_borrow_mut(|read| {
        if let Some(read) = read {
            read.push(ReadRows { table: table.as_tensor().id(), rows, copy });
        }
    });
    Ok(found)
}

fn tensor(ids: &[u32]) -> candle_core::Result<Tensor> {
    Tensor::from_slice(ids, ids.len(), &Device::Cpu)
}

/// Runs `work` and gives what it read by [`look_up`] beside its result.
pub(super) fn listen<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Vec<ReadRows>)> {
    let outer = READ.replace(Some(Vec::new()));
    let result = work();
    let read = READ.replace(outer).unwrap_or_default();
    Ok((result?, read))
}

/// The gradient of a parameter.
#[derive(Debug, Clone)]
pub enum Gradient {
    /// Of every entry; of the parameter's shape.
    Dense(Tensor),
    /// Of some rows; it is zero everywhere else.
    Rows {
        /// Ascending, each once.
        rows: Vec<u32>,
        /// `[rows, d]`.
        values: Tensor,
    },
}

impl Gradient {
    /// The entries that may differ from zero.
    pub fn values(&self) -> &Tensor {
        match self {
            Self::Dense(values) | Self::Rows { values, .. } => values,
        }
    }

    /// The gradient as a tensor of the parameter's shape.
    ///
    /// # Errors
    /// [`Error::Failed`] where it is of some rows only.
    pub fn dense(&self) -> Result<&Tensor> {
        match self {
            Self::Dense(values) => Ok(values),
            Self::Rows { .. } => Err(Error::Failed(
                "a gradient of some rows is used where one of all entries is needed".into(),
            )),
        }
    }

    /// The sum of two gradients of one parameter.
    ///
    /// # Errors
    /// [`Error::Tensor`] when they do not fit each other.
    pub fn plus(self, other: Self) -> Result<Self> {
        Ok(match (self, other) {
            (Self::Dense(a), Self::Dense(b)) => Self::Dense((a + b)?),
            (Self::Rows { rows: a, values: x }, Self::Rows { rows: b, values: y }) => {
                let mut rows = [a.as_slice(), b.as_slice()].concat();
                rows.sort_unstable();
                rows.dedup();
                let mut sum = Tensor::zeros((rows.len(), x.dim(1)?), x.dtype(), x.device())?;
                for (part, values) in [(a, x), (b, y)] {
                    let places: Vec<u32> = part
                        .iter()
                        .map(|row| rows.partition_point(|other| other < row) as u32)
                        .collect();
                    sum = sum.index_add(&tensor(&places)?, &values, 0)?;
                }
                Self::Rows { rows, values: sum }
            }
            (Self::Dense(all), Self::Rows { rows, values })
            | (Self::Rows { rows, values }, Self::Dense(all)) => {
                Self::Dense(all.index_add(&tensor(&rows)?, &values, 0)?)
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rows(rows: &[u32], values: &[[f32; 2]]) -> Gradient {
        let values = Tensor::from_vec(values.concat(), (rows.len(), 2), &Device::Cpu).unwrap();
        Gradient::Rows { rows: rows.to_vec(), values }
    }

    #[test]
    fn rows_are_read_and_their_gradient_is_told() {
        let table =
            Var::new(&[[1f32, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], &Device::Cpu).unwrap();
        let (y, read) = listen(|| look_up(&table, &[3, 1, 3])).unwrap();
        assert_eq!(y.to_vec2::<f32>().unwrap(), [[7.0, 8.0], [3.0, 4.0], [7.0, 8.0]]);
        let weights = Tensor::new(&[[1f32], [10.0], [100.0]], &Device::Cpu).unwrap();
        let store = y.broadcast_mul(&weights).unwrap().sum_all().unwrap().backward().unwrap();
        let [one] = read.as_slice() else { panic!("one table was read once") };
        assert_eq!((one.rows.as_slice(), one.table), ([1, 3].as_slice(), table.as_tensor().id()));
        let gradient = store.get(&one.copy).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(gradient, [[10.0, 10.0], [101.0, 101.0]]);
        assert!(look_up(&table, &[4]).is_err());
    }

    #[test]
    fn sums_are_those_of_the_full_tables() {
        let a = rows(&[0, 2], &[[1.0, 2.0], [3.0, 4.0]]);
        let b = rows(&[2, 3], &[[10.0, 20.0], [30.0, 40.0]]);
        let Gradient::Rows { rows: at, values } = a.clone().plus(b.clone()).unwrap() else {
            panic!("rows and rows give rows")
        };
        assert_eq!(at, [0, 2, 3]);
        assert_eq!(values.to_vec2::<f32>().unwrap(), [[1.0, 2.0], [13.0, 24.0], [30.0, 40.0]]);
        let all =
            Gradient::Dense(Tensor::ones((4, 2), candle_core::DType::F32, &Device::Cpu).unwrap());
        let sum = all.plus(a).unwrap().plus(b).unwrap();
        let expected = [[2.0, 3.0], [1.0, 1.0], [14.0, 25.0], [31.0, 41.0]];
        assert_eq!(sum.dense().unwrap().to_vec2::<f32>().unwrap(), expected);
    }
}
