// Softmax of attention scores [batch, heads, queries, keys] over the keys that a query sees, in place, and its
// gradient in place of the gradient of the probabilities. A query sees the keys before spans[0] and those from
// spans[1] to before spans[2] (spans [batch, queries, 3]); one that sees none gets zeros. Grid: one warp per row, blocks (32, 8).
#include "common.cuh"

struct Span {
  u32 prompt, begin, end, keys;
};

__device__ __forceinline__ Span span_of(const u32 *spans, size_t row, u32 per_batch, u32 queries, u32 keys) {
  const u32 *at = spans + (row / per_batch * queries + row % queries) * 3;
  return Span{at[0], at[1], at[2], keys};
}

__device__ __forceinline__ bool sees(const Span &span, u32 key) {
  return key < span.prompt || (key >= span.begin && key < span.end);
}

template <typename T>
__device__ void forward(T *scores, const u32 *spans, u64 rows, u32 per_batch, u32 queries, u32 keys, float scale) {
  size_t row = warp_row();
  if (row >= rows) return;
  Span span = span_of(spans, row, per_batch, queries, keys);
  u32 last = max(span.prompt, span.end);
  scores += row * keys;
  float most = -INFINITY;
  for (u32 i = threadIdx.x; i < last; i += 32)
    if (sees(span, i)) most = fmaxf(most, load(scores[i]));
  most = warp_max(most);
  float sum = 0;
  for (u32 i = threadIdx.x; i < last; i += 32)
    if (sees(span, i)) sum += __expf((load(scores[i]) - most) * scale);
  sum = warp_sum(sum);
  float factor = sum > 0 ? 1 / sum : 0;
  for (u32 i = threadIdx.x; i < keys; i += 32) {
    float p = sees(span, i) ? __expf((load(scores[i]) - most) * scale) * factor : 0;
    store(scores + i, p);
  }
}

template <typename T>
__device__ void backward(const T *p, T *dp, const u32 *spans, u64 rows, u32 per_batch, u32 queries, u32 keys,
                         float scale) {
  size_t row = warp_row();
  if (row >= rows) return;
  Span span = span_of(spans, row, per_batch, queries, keys);
  u32 last = max(span.prompt, span.end);
  p += row * keys, dp += row * keys;
  float inner = 0;
  for (u32 i = threadIdx.x; i < last; i += 32) inner += load(p[i]) * load(dp[i]);
  inner = warp_sum(inner);
  for (u32 i = threadIdx.x; i < keys; i += 32) {
    float d = i < last ? scale * load(p[i]) * (load(dp[i]) - inner) : 0;
    store(dp + i, d);
  }
}

#define KERNELS(T, name)                                                                                              \
  extern "C" __global__ void softmax_##name(T *scores, const u32 *spans, u64 rows, u32 per_batch, u32 queries,        \
                                            u32 keys, float scale) {                                                  \
    forward(scores, spans, rows, per_batch, queries, keys, scale);                                                    \
  }                                                                                                                   \
  extern "C" __global__ void softmax_backward_##name(const T *p, T *dp, const u32 *spans, u64 rows, u32 per_batch,    \
                                                     u32 queries, u32 keys, float scale) {                            \
    backward(p, dp, spans, rows, per_batch, queries, keys, scale);                                                    \
  }
KERNELS(float, f32)
KERNELS(__nv_bfloat16, bf16)
