// Log-probabilities of some tokens per row of logits [rows, vocab], and the gradient of the logits in their place.
// The targets of row r are tokens[starts[r]..starts[r + 1]], whose values go to places[..]. Grid: one block of 256 per row.
#include "common.cuh"

template <typename T>
__device__ void forward(const T *logits, const u32 *starts, const u32 *tokens, const u32 *places, float *normalizers,
                        float *values, u32 vocab) {
  __shared__ float most[8], sums[8];
  size_t row = blockIdx.x;
  logits += row * vocab;
  // Each thread keeps a running maximum and the sum beside it.
  float top = -INFINITY, sum = 0;
  for (u32 i = threadIdx.x; i < vocab; i += 256) {
    float x = load(logits[i]);
    if (x > top) sum = sum * __expf(top - x) + 1, top = x;
    else sum += __expf(x - top);
  }
  float all = warp_max(top);
  sum = warp_sum(top == -INFINITY ? 0 : sum * __expf(top - all));
  if (threadIdx.x % 32 == 0) most[threadIdx.x / 32] = all, sums[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int i = 1; i < 8; i++) all = fmaxf(all, most[i]);
  sum = 0;
  for (int i = 0; i < 8; i++)
    if (most[i] != -INFINITY) sum += sums[i] * __expf(most[i] - all);
  float normalizer = all + logf(sum);
  normalizers[row] = normalizer;
  for (u32 i = starts[row]; i < starts[row + 1]; i++) values[places[i]] = load(logits[tokens[i]]) - normalizer;
}

template <typename T>
__device__ void backward(T *logits, const u32 *starts, const u32 *tokens, const u32 *places, const float *normalizers,
                         const float *g, u32 vocab) {
  size_t row = blockIdx.x;
  logits += row * vocab;
  u32 first = starts[row], end = starts[row + 1];
  float sum = 0, normalizer = normalizers[row];
  for (u32 i = first; i < end; i++) sum += g[places[i]];
  for (u32 i = threadIdx.x; i < vocab; i += 256) {
    float d = -sum * __expf(load(logits[i]) - normalizer);
    for (u32 t = first; t < end; t++)
      if (tokens[t] == i) d += g[places[t]];
    store(logits + i, d);
  }
}

#define KERNELS(T, name)                                                                                              \
  extern "C" __global__ void log_probs_##name(const T *logits, const u32 *starts, const u32 *tokens,                  \
                                              const u32 *places, float *normalizers, float *values, u32 vocab) {      \
    forward(logits, starts, tokens, places, normalizers, values, vocab);                                              \
  }                                                                                                                   \
  extern "C" __global__ void log_probs_backward_##name(T *logits, const u32 *starts, const u32 *tokens,               \
                                                       const u32 *places, const float *normalizers, const float *g,   \
                                                       u32 vocab) {                                                   \
    backward(logits, starts, tokens, places, normalizers, g, vocab);                                                  \
  }
KERNELS(float, f32)
KERNELS(__nv_bfloat16, bf16)
