//! Products with a `[out, in]` weight; see `super::super::linear` and `linear_frozen`.

use candle_core::{DType, Result, Tensor};

use super::swiglu::{swiglu_backward, swiglu_forward};
use crate::ops::node::node;

/// `x Wᵀ`. Shapes: `x [.., in]`, `f32` or `bf16`; `weight [out, in]`, `f32`; result `[.., out]`, of the type of `x`.
pub(in crate::ops) fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let narrow = weight.detach().to_dtype(x.dtype())?.contiguous()?;
    let y = product(&x.detach(), &narrow.t()?)?;
    node("linear", [x, weight], y, move |[x, weight], _, g| {
        let dx = x.track_op().then(|| product(g, &narrow)).transpose()?;
        let dw = || rows(g)?.t()?.matmul(&rows(x)?)?.to_dtype(weight.dtype());
        Ok([dx, weight.track_op().then(dw).transpose()?])
    })
}

/// `residual + x Wᵀ`; shapes as in [`linear`].
pub(in crate::ops) fn linear_add(x: &Tensor, weight: &Tensor, residual: &Tensor) -> Result<Tensor> {
    let narrow = weight.detach().to_dtype(x.dtype())?.contiguous()?;
    let y = (product(&x.detach(), &narrow.t()?)? + residual.detach())?;
    node("linear-add", [x, weight, residual], y, move |[x, weight, residual], _, g| {
        let dx = x.track_op().then(|| product(g, &narrow)).transpose()?;
        let dw = || rows(g)?.t()?.matmul(&rows(x)?)?.to_dtype(weight.dtype());
        let residual = residual.track_op().then(|| g.clone());
        Ok([dx, weight.track_op().then(dw).transpose()?, residual])
    })
}

/// `silu(x gateᵀ) ∘ (x upᵀ)`; shapes as in [`linear`].
pub(in crate::ops) fn gated_linear(x: &Tensor, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let narrow = [gate, up].map(|weight| weight.detach().to_dtype(x.dtype())?.contiguous());
    let [gate_narrow, up_narrow] = narrow;
    let (gate_narrow, up_narrow) = (gate_narrow?, up_narrow?);
    let a = product(&x.detach(), &gate_narrow.t()?)?;
    let b = product(&x.detach(), &up_narrow.t()?)?;
    let y = swiglu_forward(&a, &b)?;
    node("gated-linear", [x, gate, up], y, move |[x, gate, up], _, g| {
        let [da, db] = swiglu_backward(&a, &b, g)?;
        let dx = (product(&da, &gate_narrow)? + product(&db, &up_narrow)?)?;
        let dw =
            |d: &Tensor, weight: &Tensor| rows(d)?.t()?.matmul(&rows(x)?)?.to_dtype(weight.dtype());
        Ok([Some(dx), Some(dw(&da, gate)?), Some(dw(&db, up)?)])
    })
}

/// As [`linear`], with a weight of any type that gets no gradient.
pub(in crate::ops) fn linear_frozen(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let narrow = weight.to_dtype(x.dtype())?.contiguous()?;
    let y = product(&x.detach(), &narrow.t()?)?;
    // A second copy of the weight, where it was narrowed or widened, is not kept for the backward pass.
    let kept = if weight.dtype() == x.dtype() { narrow } else { weight.clone() };
    node("linear-frozen", [x], y, move |[x], _, g| {
        Ok([Some(product(g, &kept.to_dtype(x.dtype())?)?)])
    })
}

/// See `super::super::linear_adapted`. One node, so that the gradients of `x` are added up once.
pub(in crate::ops) fn linear_adapted(
    x: &Tensor,
    weight: &Tensor,
    a: &Tensor,
    b: &Tensor,
    scale: f64,
) -> Result<Tensor> {
    let narrow = weight.to_dtype(x.dtype())?.contiguous()?;
    let [down, up] = [a, b].map(|part| part.detach().to_dtype(x.dtype())?.contiguous());
    // The scale goes into the smallest factor.
    let (down, up) = ((down? * scale)?, up?);
    let inner = product(&x.detach(), &down.t()?)?;
    let y = (product(&x.detach(), &narrow.t()?)? + product(&inner, &up.t()?)?)?;
    let kept = if weight.dtype() == x.dtype() { narrow } else { weight.clone() };
    node("linear-adapted", [x, a, b], y, move |[x, a, b], _, g| {
        let d_inner = product(g, &up)?;
        let d_up = rows(g)?.t()?.matmul(&rows(&inner)?)?.to_dtype(b.dtype())?;
        let d_down = (rows(&d_inner)?.t()?.matmul(&rows(x)?)?.to_dtype(a.dtype())? * scale)?;
        let dx = || product(g, &kept.to_dtype(x.dtype())?)? + product(&d_inner, &down)?;
        Ok([x.track_op().then(dx).transpose()?, Some(d_down), Some(d_up)])
    })
}

/// `[rows, ..]` of a contiguous `[.., width]`.
fn rows(x: &Tensor) -> Result<Tensor> {
    let width = x.dims().last().copied().unwrap_or(1);
    x.contiguous()?.reshape(((), width))
}

/// `x m`. Shapes: `x [.., k]`, `m [k, n]`, result `[.., n]`.
fn product(x: &Tensor, m: &Tensor) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = m.dims()[1];
    }
    rows(x)?.matmul(m)?.reshape(shape)
}

/// `y + b` in every row. Shapes: `y [.., out]`, `bias [out]`, `f32`; result like `y`.
pub(in crate::ops) fn add_bias(y: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let sum = y.detach().broadcast_add(&bias.detach().to_dtype(y.dtype())?)?;
    node("bias", [y, bias], sum, |[_, bias], _, g| {
        let sums = || rows(g)?.to_dtype(DType::F32)?.sum(0);
        Ok([Some(g.clone()), bias.track_op().then(sums).transpose()?])
    })
}
