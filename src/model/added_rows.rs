//! Rows of tokens that are added to a pretrained vocabulary.

use candle_core::{DType, Device, Result, Tensor};

use super::decoder::normal;
use crate::seed::Seed;

/// Spread of new rows around the mean, as a share of the spread of the old ones: enough to tell them apart.
const SPREAD: f64 = 0.1;

/// A table `[rows, hidden]` whose rows from `first` on are new: the mean of those before, with a little noise.
///
/// Shapes: `table [before, hidden]`, any type; result `[rows, hidden]`, of the same type. Rows of the table from `first`
/// on were padding and are replaced; `rows` is at least as many as the table has.
///
/// # Errors
/// When the tensor cannot be read.
pub fn extend(table: &Tensor, first: usize, rows: usize, seed: Seed) -> Result<Tensor> {
    let old = table.narrow(0, 0, first.min(table.dim(0)?))?;
    let wide = old.to_dtype(DType::F32)?;
    let mean = wide.mean_keepdim(0)?;
    let variance = wide.broadcast_sub(&mean)?.sqr()?.mean_all()?.to_scalar::<f32>()?;
    let (added, hidden) = (rows - old.dim(0)?, table.dim(1)?);
    let noise = normal(added * hidden, SPREAD * f64::from(variance).sqrt(), seed);
    let noise = Tensor::from_vec(noise, (added, hidden), &Device::Cpu)?;
    Tensor::cat(&[&old, &noise.broadcast_add(&mean)?.to_dtype(table.dtype())?], 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn new_rows_lie_around_the_mean_and_old_ones_stay() {
        let values: Vec<f32> = (0..400).map(|i| (i % 13) as f32 - 6.0).collect();
        let table = Tensor::from_vec(values, (50, 8), &Device::Cpu).unwrap();
        // Of 50 rows the last 10 are padding; 30 are wanted behind the first 40.
        let extended = extend(&table, 40, 70, Seed::new(1)).unwrap();
        assert_eq!(extended.dims(), [70, 8]);
        let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(extended.narrow(0, 0, 40).unwrap()), flat(table.narrow(0, 0, 40).unwrap()));
        let mean = flat(table.narrow(0, 0, 40).unwrap().mean(0).unwrap());
        let new = extended.narrow(0, 40, 30).unwrap();
        for row in new.to_vec2::<f32>().unwrap() {
            assert!(row.iter().zip(&mean).all(|(a, b)| (a - b).abs() < 2.0 && a != b));
        }
        let half = extend(&table.to_dtype(DType::BF16).unwrap(), 50, 50, Seed::new(1)).unwrap();
        assert_eq!((half.dims(), half.dtype()), (&[50, 8][..], DType::BF16));
    }
}
