//! Differentiable operations made of two closures over whole tensors, for any device.
//!
//! candle hands an operation of ours bare storage in the forward pass, which is the right thing where the work is done on
//! slices. Where it is done with tensors (products of cuBLAS, kernels with several outputs, a whole block of a network),
//! the result is computed first and then put into candle's graph by such a node. Nothing is copied.

use std::sync::Mutex;

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, InplaceOp1, Layout, Result, Shape,
    Storage, Tensor, bail,
};

use super::cpu::lock;

/// Puts `result`, which was computed from `inputs` without a graph, into the graph of the inputs.
///
/// `backward` gets the inputs, the result and the gradient of the result, and gives the gradients of the inputs; none for an
/// input that has no gradient. `result` must be the only user of its storage, as whatever an operation returns is
/// before it is cloned: the storage moves.
///
/// # Errors
/// When candle refuses.
pub fn node<const N: usize, F>(
    name: &'static str,
    inputs: [&Tensor; N],
    result: Tensor,
    backward: F,
) -> Result<Tensor>
where
    F: Fn([&Tensor; N], &Tensor, &Tensor) -> Result<[Option<Tensor>; N]> + Send + Sync + 'static,
    Node<F>: Apply<N>,
{
    if inputs.iter().all(|input| !input.track_op()) {
        return Ok(result);
    }
    let node = Node { name, result: Mutex::new(Some(result.contiguous()?)), backward };
    drop(result);
    node.apply(inputs)
}

/// See [`node`].
pub struct Node<F> {
    name: &'static str,
    /// The result, until candle takes it into the graph.
    result: Mutex<Option<Tensor>>,
    backward: F,
}

/// Entering candle's graph with `N` inputs.
pub trait Apply<const N: usize> {
    /// The result as a member of the graph.
    ///
    /// # Errors
    /// When candle refuses.
    fn apply(self, inputs: [&Tensor; N]) -> Result<Tensor>;
}

impl<F> Node<F> {
    /// The storage of the result, once.
    fn take(&self) -> Result<(Storage, Shape)> {
        let Some(result) = lock(&self.result).take() else {
            bail!("{}: run forward twice", self.name);
        };
        let shape = result.shape().clone();
        let take = Take { name: self.name, storage: Mutex::new(None) };
        result.inplace_op1(&take)?;
        match lock(&take.storage).take() {
            Some(storage) => Ok((storage, shape)),
            None => bail!("{}: the result has no storage", self.name),
        }
    }

    fn take_cpu(&self) -> Result<(CpuStorage, Shape)> {
        match self.take()? {
            (Storage::Cpu(storage), shape) => Ok((storage, shape)),
            _ => bail!("{}: inputs and result lie on different devices", self.name),
        }
    }

    fn take_cuda(&self) -> Result<(CudaStorage, Shape)> {
        match self.take()? {
            (Storage::Cuda(storage), shape) => Ok((storage, shape)),
            _ => bail!("{}: inputs and result lie on different devices", self.name),
        }
    }
}

/// Moves the storage out of a tensor that is dropped next.
struct Take {
    name: &'static str,
    storage: Mutex<Option<Storage>>,
}

impl InplaceOp1 for Take {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        from_the_start(self.name, layout)?;
        let taken = std::mem::replace(storage, CpuStorage::U8(Vec::new()));
        *lock(&self.storage) = Some(Storage::Cpu(taken));
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
        from_the_start(self.name, layout)?;
        let device = storage.device.clone();
        let nothing = CudaStorage::wrap_cuda_slice(device.alloc_zeros::<u8>(1)?, device);
        *lock(&self.storage) = Some(Storage::Cuda(std::mem::replace(storage, nothing)));
        Ok(())
    }
}

fn from_the_start(name: &str, layout: &Layout) -> Result<()> {
    match layout.contiguous_offsets() {
        Some((0, _)) => Ok(()),
        _ => bail!("{name}: the result is a part of another tensor"),
    }
}

macro_rules! node_of {
    ($n:literal, $op:ident, $apply:ident, ($($input:ident),*), ($($storage:ident $layout:ident),*), $gradients:ty) => {
        impl<F> $op for Node<F>
        where
            F: Fn([&Tensor; $n], &Tensor, &Tensor) -> Result<[Option<Tensor>; $n]> + Send + Sync,
        {
            fn name(&self) -> &'static str {
                self.name
            }

            fn cpu_fwd(&self, $($storage: &CpuStorage, $layout: &Layout),*) -> Result<(CpuStorage, Shape)> {
                self.take_cpu()
            }

            fn cuda_fwd(&self, $($storage: &CudaStorage, $layout: &Layout),*) -> Result<(CudaStorage, Shape)> {
                self.take_cuda()
            }

            fn bwd(&self, $($input: &Tensor,)* result: &Tensor, gradient: &Tensor) -> Result<$gradients> {
                let [$($input),*] = (self.backward)([$($input),*], result, gradient)?;
                Ok(($($input),*))
            }
        }
    };
}

node_of!(1, CustomOp1, apply_op1, (a), (_sa _la), Option<Tensor>);
node_of!(2, CustomOp2, apply_op2, (a, b), (_sa _la, _sb _lb), (Option<Tensor>, Option<Tensor>));
node_of!(
    3, CustomOp3, apply_op3, (a, b, c), (_sa _la, _sb _lb, _sc _lc),
    (Option<Tensor>, Option<Tensor>, Option<Tensor>)
);

impl<F> Apply<1> for Node<F>
where
    F: Fn([&Tensor; 1], &Tensor, &Tensor) -> Result<[Option<Tensor>; 1]> + Send + Sync + 'static,
{
    fn apply(self, [a]: [&Tensor; 1]) -> Result<Tensor> {
        a.apply_op1(self)
    }
}

impl<F> Apply<2> for Node<F>
where
    F: Fn([&Tensor; 2], &Tensor, &Tensor) -> Result<[Option<Tensor>; 2]> + Send + Sync + 'static,
{
    fn apply(self, [a, b]: [&Tensor; 2]) -> Result<Tensor> {
        a.apply_op2(b, self)
    }
}

impl<F> Apply<3> for Node<F>
where
    F: Fn([&Tensor; 3], &Tensor, &Tensor) -> Result<[Option<Tensor>; 3]> + Send + Sync + 'static,
{
    fn apply(self, [a, b, c]: [&Tensor; 3]) -> Result<Tensor> {
        a.apply_op3(b, c, self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn results_move_into_the_graph_and_gradients_come_back() {
        let a = Var::new(&[1f32, 2.0, 3.0], &Device::Cpu).unwrap();
        let b = Tensor::new(&[4f32, 5.0, 6.0], &Device::Cpu).unwrap();
        let product = (a.detach() * &b).unwrap();
        let y = node("product", [a.as_tensor(), &b], product, |[_, b], _, g| {
            Ok([Some((g * b)?), None])
        })
        .unwrap();
        assert_eq!(y.to_vec1::<f32>().unwrap(), [4.0, 10.0, 18.0]);
        let gradients = y.sum_all().unwrap().backward().unwrap();
        assert_eq!(gradients.get(&a).unwrap().to_vec1::<f32>().unwrap(), [4.0, 5.0, 6.0]);
        assert!(gradients.get(&b).is_none());
    }

    #[test]
    fn constants_need_no_node() {
        let a = Tensor::new(&[1f32], &Device::Cpu).unwrap();
        let y = node("copy", [&a], a.copy().unwrap(), |_, _, _| Ok([None])).unwrap();
        assert!(!y.track_op());
    }
}
