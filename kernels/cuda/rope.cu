// Rotates each head of x [tokens, heads, 2 half] by the position of its token; direction -1 is the gradient.
// Grid: one thread per pair of entries.
#include "common.cuh"

template <typename T>
__device__ void rotate(const T *x, const float *cosines, const float *sines, const u32 *positions, T *y, u32 tokens,
                       u32 heads, u32 half, float direction) {
  size_t entry = thread_entry();
  if (entry >= (size_t)tokens * heads * half) return;
  u32 i = entry % half;
  size_t head = entry / half;
  size_t angle = (size_t)positions[head / heads] * half + i;
  float c = cosines[angle], s = direction * sines[angle];
  size_t at = head * 2 * half + i;
  float low = load(x[at]), high = load(x[at + half]);
  store(y + at, low * c - high * s);
  store(y + at + half, high * c + low * s);
}

#define KERNELS(T, name)                                                                                              \
  extern "C" __global__ void rope_##name(const T *x, const float *cosines, const float *sines, const u32 *positions,  \
                                         T *y, u32 tokens, u32 heads, u32 half, float direction) {                    \
    rotate(x, cosines, sines, positions, y, tokens, heads, half, direction);                                          \
  }
KERNELS(float, f32)
KERNELS(__nv_bfloat16, bf16)
