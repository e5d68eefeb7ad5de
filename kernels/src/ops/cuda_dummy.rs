//! What stands in for `cuda/` in a build without the feature `cuda`: the same functions, each of
//! which refuses. No tensor lies on a GPU in such a build, so none of them is ever reached.

use std::sync::Arc;

use candle_core::{CudaStorage, Device, Error, Result, Tensor};

use super::adamw::Factors;
use super::log_probs::LogProbs;
use super::mask::Mask;
use super::operation::Passes;
use super::tree::Tree;

/// What queries see, on a GPU.
#[derive(Debug)]
pub(super) struct Spans;

impl Spans {
    pub(super) fn new<'a>(
        _: impl ExactSizeIterator<Item = Tree<'a>> + Clone,
        _: Option<&[u32]>,
        _: &Device,
    ) -> Result<Self> {
        Err(Error::NotCompiledWithCudaSupport)
    }
}

macro_rules! refused {
    ($($name:ident($($input:ty),*) -> $output:ty;)*) => {
        $(pub(super) fn $name($(_: $input),*) -> Result<$output> {
            Err(Error::NotCompiledWithCudaSupport)
        })*
    };
}

refused! {
    adamw_step(&Tensor, &Tensor, [&Tensor; 2], &Factors) -> ();
    dropout(&Tensor, &Mask) -> Passes<1>;
    embedding(&[u32], &Tensor) -> Passes<1>;
    embedding_rows(&[u32], &Tensor, &Tensor) -> Passes<1>;
    gated_linear([&Tensor; 3]) -> Passes<3>;
    linear([&Tensor; 2]) -> Passes<2>;
    linear_adapted([&Tensor; 3], &Tensor, f64) -> Passes<3>;
    linear_add([&Tensor; 3]) -> Passes<3>;
    linear_frozen(&Tensor, &Tensor) -> Passes<1>;
    linear_frozen_add([&Tensor; 2], &Tensor) -> Passes<2>;
    packed_attention([&Tensor; 3], Arc<Spans>) -> Passes<3>;
    rms_norm([&Tensor; 2], f32) -> Passes<2>;
    rope(&Tensor, &[Tensor; 2], &Tensor) -> Passes<1>;
    select(&[u32], &Tensor) -> Tensor;
    square_sums(&Tensor) -> Tensor;
    swiglu([&Tensor; 2]) -> Passes<2>;
    take(&mut CudaStorage) -> CudaStorage;
    token_log_probs([&Tensor; 2], &LogProbs) -> Passes<2>;
}
