//! Blocks whose inner values are not kept for the backward pass but computed a second time
//! (activation checkpointing, arXiv:1604.06174): memory of one block instead of all, for about one
//! more forward pass.
//!
//! A recomputed block runs without a graph and leaves only its input and output. Its backward pass
//! runs it again with a graph. What that gives for the block's parameters cannot travel through
//! candle's graph, so it goes to a table that [`gradients`] lays out and reads: a recomputed loss
//! must be differentiated by it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, TensorId, Var};
use trieval_kernels::ops::node;

thread_local! {
    /// Gradients of parameters inside recomputed blocks; there only while [`gradients`] runs.
    static TABLE: RefCell<Option<HashMap<TensorId, Tensor>>> = const { RefCell::new(None) };
}

/// Gradients of a loss by parameter.
pub struct Gradients {
    store: GradStore,
    recomputed: HashMap<TensorId, Tensor>,
}

impl Gradients {
    /// Takes the gradient of `parameter`; none where the loss does not depend on it.
    ///
    /// # Errors
    /// When two parts of it do not fit each other.
    pub fn take(&mut self, parameter: &Var) -> Result<Option<Tensor>> {
        let within = self.recomputed.remove(&parameter.as_tensor().id());
        match (self.store.remove(parameter), within) {
            (Some(outside), Some(within)) => Ok(Some((outside + within)?)),
            (one, other) => Ok(one.or(other)),
        }
    }
}

/// Differentiates a scalar, through recomputed blocks too.
///
/// # Errors
/// When a tensor operation fails.
pub fn gradients(loss: &Tensor) -> Result<Gradients> {
    let outer = TABLE.replace(Some(HashMap::new()));
    let store = loss.backward();
    let recomputed = TABLE.replace(outer).unwrap_or_default();
    Ok(Gradients { store: store?, recomputed })
}

/// What a block computes from its input; must give the same whenever it is called.
pub type Block = Arc<dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync>;

/// `block(x)`, of which nothing but `x` and the result is kept. `parameters` are all tensors with a gradient
/// that the block reads beside `x`. Shapes: as the block's.
///
/// # Errors
/// When the block fails.
pub fn recomputed(x: &Tensor, parameters: Vec<Tensor>, block: Block) -> Result<Tensor> {
    let y = block(&x.detach())?.detach();
    // A constant input would leave no trace of the block in the graph.
    let x = if x.track_op() { x.contiguous()? } else { Var::from_tensor(x)?.into_inner() };
    node("recomputed", [&x], y, move |[x], _, upstream| {
        let x = Var::from_tensor(&x.detach())?;
        let y = block(x.as_tensor())?;
        // The gradient of the sum with respect to `y` is `upstream` itself.
        let mut store = (y * upstream)?.sum_all()?.backward()?;
        TABLE.with_borrow_mut(|table| {
            let Some(table) = table else {
                candle_core::bail!("a recomputed block is differentiated outside of `gradients`");
            };
            for parameter in &parameters {
                let Some(gradient) = store.remove(parameter) else { continue };
                let sum = match table.remove(&parameter.id()) {
                    Some(before) => (before + gradient)?,
                    None => gradient,
                };
                table.insert(parameter.id(), sum);
            }
            Ok(())
        })?;
        Ok([store.remove(x.as_tensor())])
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn block(weight: &Tensor) -> Block {
        let weight = weight.clone();
        Arc::new(move |x: &Tensor| x.matmul(&weight)?.sqr()?.exp()? * 0.5)
    }

    /// Gradients of a chain of blocks that share one weight, which is used outside of them as well.
    fn chain(recompute: bool) -> (Tensor, Tensor) {
        let x = Var::new(&[[0.3f32, -0.2], [0.1, 0.4]], &Device::Cpu).unwrap();
        let weight = Var::new(&[[0.5f32, -0.1], [0.2, 0.3]], &Device::Cpu).unwrap();
        let block = block(weight.as_tensor());
        let mut y = x.as_tensor().clone();
        for _ in 0..3 {
            y = if recompute {
                recomputed(&y, vec![weight.as_tensor().clone()], Arc::clone(&block)).unwrap()
            } else {
                block(&y).unwrap()
            };
        }
        let loss = (y.sum_all().unwrap() + weight.sqr().unwrap().sum_all().unwrap()).unwrap();
        let mut gradients = gradients(&loss).unwrap();
        (gradients.take(&x).unwrap().unwrap(), gradients.take(&weight).unwrap().unwrap())
    }

    #[test]
    fn gradients_are_those_of_the_plain_chain() {
        let (x, weight) = chain(false);
        let (x_again, weight_again) = chain(true);
        let bits = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(bits(&x), bits(&x_again));
        for (a, b) in bits(&weight).iter().zip(bits(&weight_again)) {
            // Shared by blocks and the outside, its parts are added in another order.
            assert!((a - b).abs() <= 1e-6 * a.abs().max(1.0), "{a} {b}");
        }
    }

    #[test]
    fn differentiating_without_a_table_is_refused() {
        let x = Var::new(&[[0.3f32, -0.2]], &Device::Cpu).unwrap();
        let weight = Tensor::new(&[[0.5f32, -0.1], [0.2, 0.3]], &Device::Cpu).unwrap();
        let y = recomputed(x.as_tensor(), vec![], block(&weight)).unwrap();
        let error = y.sum_all().unwrap().backward().err().unwrap();
        assert!(error.to_string().contains("outside of `gradients`"), "{error}");
    }
}
