//! Products with a `[out, in]` weight; see `super::super::linear`, `linear_frozen`,
//! `linear_adapted` and `gated`.

use candle_core::{DType, Result, Tensor};

use super::swiglu::{swiglu_backward, swiglu_forward};
use crate::ops::operation::Passes;

/// `x Wᵀ`. Shapes: `x [.., in]`, `f32` or `bf16`; `weight [out, in]`, `f32`; result `[.., out]`, of the type of `x`.
pub(in crate::ops) fn linear([x, weight]: [&Tensor; 2]) -> Result<Passes<2>> {
    let narrow = weight.to_dtype(x.dtype())?;
    let y = product(x, &narrow.t()?)?;
    Ok(Passes::new(y, move |[x, weight], g| {
        let dx = x.track_op().then(|| product(g, &narrow)).transpose()?;
        let dw = weight.track_op().then(|| d_weight(g, x, weight)).transpose()?;
        Ok([dx, dw])
    }))
}

/// `residual + x Wᵀ`; shapes as in [`linear`], and of `residual` those of [`plus`].
pub(in crate::ops) fn linear_add([x, weight, residual]: [&Tensor; 3]) -> Result<Passes<3>> {
    let narrow = weight.to_dtype(x.dtype())?;
    let y = plus(&product(x, &narrow.t()?)?, residual)?;
    Ok(Passes::new(y, move |[x, weight, residual], g| {
        let dx = x.track_op().then(|| product(g, &narrow)).transpose()?;
        let dw = weight.track_op().then(|| d_weight(g, x, weight)).transpose()?;
        Ok([dx, dw, d_residual(residual, g)?])
    }))
}

/// `silu(x gateᵀ) ∘ (x upᵀ)`; shapes as in [`linear`].
pub(in crate::ops) fn gated_linear([x, gate, up]: [&Tensor; 3]) -> Result<Passes<3>> {
    let (gate_narrow, up_narrow) = (gate.to_dtype(x.dtype())?, up.to_dtype(x.dtype())?);
    let a = product(x, &gate_narrow.t()?)?;
    let b = product(x, &up_narrow.t()?)?;
    Ok(Passes::new(swiglu_forward(&a, &b)?, move |[x, gate, up], g| {
        let [da, db] = swiglu_backward(&a, &b, g)?;
        let dx = (product(&da, &gate_narrow)? + product(&db, &up_narrow)?)?;
        Ok([Some(dx), Some(d_weight(&da, x, gate)?), Some(d_weight(&db, x, up)?)])
    }))
}

/// As [`linear`], with a weight of any type that gets no gradient.
pub(in crate::ops) fn linear_frozen(x: &Tensor, weight: &Tensor) -> Result<Passes<1>> {
    let narrow = weight.to_dtype(x.dtype())?;
    let (y, kept) = (product(x, &narrow.t()?)?, weight.clone());
    Ok(Passes::new(y, move |[x], g| Ok([Some(product(g, &kept.to_dtype(x.dtype())?)?)])))
}

/// As [`linear_add`], with a weight of any type that gets no gradient.
pub(in crate::ops) fn linear_frozen_add(
    [x, residual]: [&Tensor; 2],
    weight: &Tensor,
) -> Result<Passes<2>> {
    let narrow = weight.to_dtype(x.dtype())?;
    let (y, kept) = (plus(&product(x, &narrow.t()?)?, residual)?, weight.clone());
    Ok(Passes::new(y, move |[x, residual], g| {
        Ok([Some(product(g, &kept.to_dtype(x.dtype())?)?), d_residual(residual, g)?])
    }))
}

/// See `super::super::linear_adapted`. One node, so that the gradients of `x` are added up once.
pub(in crate::ops) fn linear_adapted(
    [x, a, b]: [&Tensor; 3],
    weight: &Tensor,
    scale: f64,
) -> Result<Passes<3>> {
    let narrow = weight.to_dtype(x.dtype())?;
    // The scale goes into the smallest factor.
    let (down, up) = ((a.to_dtype(x.dtype())? * scale)?, b.to_dtype(x.dtype())?);
    let inner = product(x, &down.t()?)?;
    let y = (product(x, &narrow.t()?)? + product(&inner, &up.t()?)?)?;
    let kept = weight.clone();
    Ok(Passes::new(y, move |[x, a, b], g| {
        let d_inner = product(g, &up)?;
        let d_up = d_weight(g, &inner, b)?;
        let d_down = (d_weight(&d_inner, x, a)? * scale)?;
        let dx = || product(g, &kept.to_dtype(x.dtype())?)? + product(&d_inner, &down)?;
        Ok([x.track_op().then(dx).transpose()?, Some(d_down), Some(d_up)])
    }))
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

/// The gradient of a weight, of its type, given that of its product with `x`.
fn d_weight(g: &Tensor, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    rows(g)?.t()?.matmul(&rows(x)?)?.to_dtype(weight.dtype())
}

/// `y + residual`. Shapes: `y [.., out]`; `residual` like it, or `[out]` and added to every row;
/// result like `y`.
fn plus(y: &Tensor, residual: &Tensor) -> Result<Tensor> {
    y.broadcast_add(&residual.to_dtype(y.dtype())?)
}

/// The gradient of a residual, or of one row as a sum in `f32`; none where nothing asks for it.
fn d_residual(residual: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
    Ok(match residual.track_op() {
        false => None,
        true if residual.dims() == g.dims() => Some(g.to_dtype(residual.dtype())?),
        true => Some(rows(g)?.to_dtype(DType::F32)?.sum(0)?),
    })
}
