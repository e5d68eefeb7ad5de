// Zeros a share of the entries of x [tokens, width] and scales the rest, by the key of each token: the same draws as
// on the CPU. Grid: one thread per pair of entries of a row.
#include "common.cuh"

__device__ __forceinline__ u64 mix(u64 x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

template <typename T>
__device__ void drop(const T *x, const u64 *keys, T *y, u32 tokens, u32 width, u64 stream, u32 threshold,
                     float factor) {
  u32 pairs = (width + 1) / 2;
  size_t entry = thread_entry();
  if (entry >= (size_t)tokens * pairs) return;
  u64 token = entry / pairs, pair = entry % pairs;
  const u64 step = 0x9e3779b97f4a7c15ull;
  u64 bits = mix(mix(keys[token] ^ mix(stream + step)) + (pair + 1) * step);
  for (u32 half = 0; half < 2; half++) {
    u32 column = 2 * pair + half;
    if (column >= width) return;
    u32 draw = half ? (u32)(bits >> 32) : (u32)bits;
    size_t at = token * width + column;
    store(y + at, draw < threshold ? 0 : load(x[at]) * factor);
  }
}

#define KERNELS(T, name)                                                                                              \
  extern "C" __global__ void dropout_##name(const T *x, const u64 *keys, T *y, u32 tokens, u32 width, u64 stream,     \
                                            u32 threshold, float factor) {                                            \
    drop(x, keys, y, tokens, width, stream, threshold, factor);                                                       \
  }
KERNELS(float, f32)
KERNELS(__nv_bfloat16, bf16)
