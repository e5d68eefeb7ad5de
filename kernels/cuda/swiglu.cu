// silu(a) b, and its gradient. Grid: one thread per entry.
#include "common.cuh"

template <typename T> __device__ void forward(const T *a, const T *b, T *y, u64 n) {
  size_t i = thread_entry();
  if (i >= n) return;
  float gate = load(a[i]);
  store(y + i, gate / (1 + __expf(-gate)) * load(b[i]));
}

template <typename T> __device__ void backward(const T *a, const T *b, const T *g, T *da, T *db, u64 n) {
  size_t i = thread_entry();
  if (i >= n) return;
  float gate = load(a[i]), up = load(b[i]), d = load(g[i]);
  float sigmoid = 1 / (1 + __expf(-gate));
  store(da + i, d * up * sigmoid * (1 + gate * (1 - sigmoid)));
  store(db + i, d * gate * sigmoid);
}

#define KERNELS(T, name)                                                                                              \
  extern "C" __global__ void swiglu_##name(const T *a, const T *b, T *y, u64 n) { forward(a, b, y, n); }              \
  extern "C" __global__ void swiglu_backward_##name(const T *a, const T *b, const T *g, T *da, T *db, u64 n) {        \
    backward(a, b, g, da, db, n);                                                                                     \
  }
KERNELS(float, f32)
KERNELS(__nv_bfloat16, bf16)
