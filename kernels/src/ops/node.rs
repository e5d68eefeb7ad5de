//! Differentiable operations made of whole tensors and two closures: the one way into candle's
//! graph.
//!
//! candle would hand an operation of ours bare storage in the forward pass, one method per back
//! end. Here the result is computed first, by whatever means, and then put into the graph by such
//! a node. Nothing is copied. Knows no operation: how those of this folder are written says
//! `operation`.

use std::sync::Mutex;

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Device, InplaceOp1, Layout, Result,
    Shape, Storage, Tensor, bail,
};

use super::cpu::lock;
use super::cuda;

/// Puts `result`, which was computed from `inputs` without a graph, into the graph of the inputs.
///
/// `backward` gets the inputs, the result and the gradient of the result, and gives the gradients
/// of the inputs; none for an input that has no gradient. `result` must be the only user of its
/// storage, as whatever an operation returns is before it is cloned: the storage moves. There are
/// one to three inputs, as candle has it; any other number does not compile.
///
/// # Errors
/// When candle refuses.
pub fn node<const N: usize>(
    name: &'static str,
    inputs: [&Tensor; N],
    result: Tensor,
    backward: impl Fn([&Tensor; N], &Tensor, &Tensor) -> Result<[Option<Tensor>; N]>
    + Send
    + Sync
    + 'static,
) -> Result<Tensor> {
    enter(name, &inputs, result.into(), of_slices(backward))
}

/// Most inputs of an operation.
const MOST: usize = 3;

/// From inputs, result and its gradient to the gradients of the inputs; none behind the last.
pub(super) type Backward =
    dyn Fn(&[&Tensor], &Tensor, &Tensor) -> Result<[Option<Tensor>; MOST]> + Send + Sync;

/// `backward` for any number of inputs.
pub(super) fn of_slices<const N: usize>(
    backward: impl Fn([&Tensor; N], &Tensor, &Tensor) -> Result<[Option<Tensor>; N]>
    + Send
    + Sync
    + 'static,
) -> Box<Backward> {
    const { assert!(1 <= N && N <= MOST) };
    Box::new(move |inputs, result, gradient| {
        let Ok(inputs) = inputs.try_into() else {
            bail!("expected {N} inputs, got {}", inputs.len());
        };
        let mut gradients = [const { None }; MOST];
        for (place, gradient) in gradients.iter_mut().zip(backward(inputs, result, gradient)?) {
            *place = gradient;
        }
        Ok(gradients)
    })
}

/// A result outside of any graph.
pub(super) enum Value {
    /// The only user of its storage.
    Tensor(Tensor),
    /// Entries on the CPU.
    Host(Vec<f32>, Shape),
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

impl<S: Into<Shape>> From<(Vec<f32>, S)> for Value {
    fn from((entries, shape): (Vec<f32>, S)) -> Self {
        Self::Host(entries, shape.into())
    }
}

impl Value {
    fn tensor(self) -> Result<Tensor> {
        match self {
            Self::Tensor(tensor) => Ok(tensor),
            Self::Host(entries, shape) => Tensor::from_vec(entries, shape, &Device::Cpu),
        }
    }

    fn storage(self, name: &'static str) -> Result<(Storage, Shape)> {
        let tensor = match self {
            Self::Tensor(tensor) if tensor.is_contiguous() => tensor,
            Self::Tensor(tensor) => tensor.contiguous()?,
            Self::Host(entries, shape) => {
                return Ok((Storage::Cpu(CpuStorage::F32(entries)), shape));
            }
        };
        let shape = tensor.shape().clone();
        let take = Take { name, storage: Mutex::new(None) };
        tensor.inplace_op1(&take)?;
        match lock(&take.storage).take() {
            Some(storage) => Ok((storage, shape)),
            None => bail!("{name}: the result has no storage"),
        }
    }
}

/// Puts a value into the graph of its inputs, as [`node`] does.
pub(super) fn enter(
    name: &'static str,
    inputs: &[&Tensor],
    value: Value,
    backward: Box<Backward>,
) -> Result<Tensor> {
    if inputs.iter().all(|input| !input.track_op()) {
        return value.tensor();
    }
    let node = Node { name, value: Mutex::new(Some(value)), backward };
    match inputs {
        [a] => a.apply_op1(node),
        [a, b] => a.apply_op2(b, node),
        [a, b, c] => a.apply_op3(b, c, node),
        other => bail!("{name}: no node has {} inputs", other.len()),
    }
}

/// See [`node`].
struct Node {
    name: &'static str,
    /// The value, until candle takes it into the graph.
    value: Mutex<Option<Value>>,
    backward: Box<Backward>,
}

impl Node {
    /// The storage of the value, once.
    fn take(&self) -> Result<(Storage, Shape)> {
        match lock(&self.value).take() {
            Some(value) => value.storage(self.name),
            None => bail!("{}: run forward twice", self.name),
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

    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
        from_the_start(self.name, layout)?;
        *lock(&self.storage) = Some(Storage::Cuda(cuda::take(storage)?));
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
    ($op:ident, ($($input:ident),*), ($($storage:ident $layout:ident),*), $gradients:ty) => {
        impl $op for Node {
            fn name(&self) -> &'static str {
                self.name
            }

            fn cpu_fwd(
                &self,
                $($storage: &CpuStorage, $layout: &Layout),*
            ) -> Result<(CpuStorage, Shape)> {
                self.take_cpu()
            }

            fn cuda_fwd(
                &self,
                $($storage: &CudaStorage, $layout: &Layout),*
            ) -> Result<(CudaStorage, Shape)> {
                self.take_cuda()
            }

            fn bwd(
                &self,
                $($input: &Tensor,)*
                result: &Tensor,
                gradient: &Tensor,
            ) -> Result<$gradients> {
                let [$($input,)* ..] = (self.backward)(&[$($input),*], result, gradient)?;
                Ok(($($input),*))
            }
        }
    };
}

node_of!(CustomOp1, (a), (_sa _la), Option<Tensor>);
node_of!(CustomOp2, (a, b), (_sa _la, _sb _lb), (Option<Tensor>, Option<Tensor>));
node_of!(
    CustomOp3, (a, b, c), (_sa _la, _sb _lb, _sc _lc),
    (Option<Tensor>, Option<Tensor>, Option<Tensor>)
);

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
