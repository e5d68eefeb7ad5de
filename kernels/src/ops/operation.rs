//! How an operation of this folder is written, once for all back ends.
//!
//! An operation checks what it is given and names its inputs; each back end gives a value,
//! computed without a graph, and a function from the value's gradient to those of the inputs.
//! Entering candle's graph is done here. On the CPU the two passes are loops and products over
//! slices, in the same file; on a GPU they are launches of kernels, in `cuda/`. Knows no
//! operation.

use candle_core::{Result, Tensor, bail};

use super::cpu::contiguous;
use super::node::{Backward, Value, enter, of_slices};

/// The forward pass of an operation of `N` inputs, done, and its backward pass.
pub(super) struct Passes<const N: usize> {
    value: Value,
    backward: Box<Backward>,
}

impl<const N: usize> Passes<N> {
    /// A value, a tensor or the entries of one on the CPU, and its way back. `backward` gets the
    /// inputs as members of the graph, so that it can leave out gradients that nothing asks for.
    pub(super) fn new<F>(value: impl Into<Value>, backward: F) -> Self
    where
        F: Fn([&Tensor; N], &Tensor) -> Result<[Option<Tensor>; N]> + Send + Sync + 'static,
    {
        let backward = of_slices(move |inputs, _, gradient| backward(inputs, gradient));
        Self { value: value.into(), backward }
    }
}

/// An operation over `inputs`, which are made contiguous first where they are not.
///
/// It is computed where the first input lies: on a GPU by `cuda`, which works with tensors and gets
/// them without their graph, else by `host`, which works with slices.
///
/// # Errors
/// Those of the back end, and when candle refuses.
pub(super) fn operation<const N: usize>(
    name: &'static str,
    inputs: [&Tensor; N],
    host: impl FnOnce([&Tensor; N]) -> Result<Passes<N>>,
    cuda: impl FnOnce([&Tensor; N]) -> Result<Passes<N>>,
) -> Result<Tensor> {
    let inputs = contiguous(inputs)?;
    let passes = if on_gpu(&inputs) {
        cuda(inputs.each_ref().map(Tensor::detach).each_ref())?
    } else {
        host(inputs.each_ref())?
    };
    enter(name, &inputs.each_ref(), passes.value, passes.backward)
}

/// In place of a back end that an operation does not have.
pub(super) fn not_on_a_gpu<const N: usize>(
    name: &'static str,
) -> impl FnOnce([&Tensor; N]) -> Result<Passes<N>> {
    move |_| bail!("{name}: has no implementation on a GPU")
}

fn on_gpu(inputs: &[Tensor]) -> bool {
    inputs.first().is_some_and(|input| input.device().is_cuda())
}
