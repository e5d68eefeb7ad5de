// Adds up the gradients g [tokens, width] of the tokens of each id: those of rows[r] are order[starts[r]..starts[r + 1]],
// in this order. Grid: one block per row that is named, threads stride over the width.
#include "common.cuh"

template <typename T>
__device__ void gather(const T *g, const u32 *rows, const u32 *starts, const u32 *order, float *out, u32 width) {
  u32 r = blockIdx.x;
  float *row = out + (size_t)rows[r] * width;
  for (u32 i = threadIdx.x; i < width; i += blockDim.x) {
    float sum = 0;
    for (u32 token = starts[r]; token < starts[r + 1]; token++) sum += load(g[(size_t)order[token] * width + i]);
    row[i] = sum;
  }
}

#define KERNELS(T, name)                                                                                              \
  extern "C" __global__ void embedding_backward_##name(const T *g, const u32 *rows, const u32 *starts,                \
                                                       const u32 *order, float *out, u32 width) {                     \
    gather(g, rows, starts, order, out, width);                                                                       \
  }
KERNELS(float, f32)
KERNELS(__nv_bfloat16, bf16)
