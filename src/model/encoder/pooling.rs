//! Pooling: how the vectors of a text's tokens become one. Texts are packed behind one another.

use candle_core::{DType, Device, Tensor};

use crate::error::Result;
use crate::model::settings::Pooling;

/// One vector per text of packed rows. Shapes: `x [tokens, hidden]`, `lengths` of the texts in order, result
/// `[texts, hidden]`; a text without tokens gives zeros.
///
/// # Errors
/// [`crate::error::Error::Tensor`] when the lengths do not sum up to the rows.
pub fn pool(x: &Tensor, lengths: &[usize], pooling: Pooling) -> Result<Tensor> {
    let hidden = x.dims2()?.1;
    let zeros = Tensor::zeros((lengths.len(), hidden), DType::F32, &Device::Cpu)?;
    if lengths.iter().all(|length| *length == 0) {
        return Ok(zeros);
    }
    let share = |divisor: &dyn Fn(f32) -> f32| {
        let share = |length: &usize| 1.0 / divisor((*length).max(1) as f32);
        lengths.iter().map(share).collect::<Vec<f32>>()
    };
    match pooling {
        Pooling::Cls => picked(x, lengths, &zeros, |_| 0),
        Pooling::Last => picked(x, lengths, &zeros, |length| length - 1),
        Pooling::Mean => summed(x, lengths, &zeros, share(&|n| n)),
        Pooling::MeanSqrtLen => summed(x, lengths, &zeros, share(&f32::sqrt)),
        Pooling::WeightedMean => {
            let weights = lengths.iter().flat_map(|length| (1..=*length).map(|at| at as f32));
            let weights = Tensor::from_vec(weights.collect(), (x.dim(0)?, 1), &Device::Cpu)?;
            let x = x.broadcast_mul(&weights)?;
            summed(&x, lengths, &zeros, share(&|n| n * (n + 1.0) / 2.0))
        }
        Pooling::Max => {
            let mut start = 0;
            let rows = lengths.iter().map(|length| {
                let rows = x.narrow(0, start, *length)?;
                start += length;
                if *length == 0 { zeros.get(0) } else { rows.max(0) }
            });
            Ok(Tensor::stack(&rows.collect::<candle_core::Result<Vec<_>>>()?, 0)?)
        }
    }
}

/// One row of each text, by its length.
fn picked(
    x: &Tensor,
    lengths: &[usize],
    zeros: &Tensor,
    place: impl Fn(usize) -> usize,
) -> Result<Tensor> {
    let (mut rows, mut owners) = (Vec::new(), Vec::new());
    let mut start = 0;
    for (owner, length) in lengths.iter().enumerate() {
        if *length > 0 {
            rows.push((start + place(*length)) as u32);
            owners.push(owner as u32);
        }
        start += length;
    }
    let picked = x.index_select(&Tensor::new(rows, &Device::Cpu)?, 0)?;
    Ok(zeros.index_add(&Tensor::new(owners, &Device::Cpu)?, &picked, 0)?)
}

/// The sum of each text's rows, times its share.
fn summed(x: &Tensor, lengths: &[usize], zeros: &Tensor, shares: Vec<f32>) -> Result<Tensor> {
    let owners = lengths.iter().enumerate().flat_map(|(owner, n)| vec![owner as u32; *n]);
    let owners = Tensor::new(owners.collect::<Vec<u32>>(), &Device::Cpu)?;
    let shares = Tensor::from_vec(shares, (lengths.len(), 1), &Device::Cpu)?;
    Ok(zeros.index_add(&owners, x, 0)?.broadcast_mul(&shares)?)
}
