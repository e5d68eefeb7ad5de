// y = w x / sqrt(mean(x^2) + eps) over rows of `width`, and its gradient. Grid: one warp per row, blocks (32, 8);
// the gradient of w: blocks (32, 8), grid (width / 32, chunks of rows), partial sums [chunks, width].
#include "common.cuh"

template <typename T>
__device__ void forward(const T *x, const float *w, T *y, float *inverse, u32 rows, u32 width, float eps) {
  size_t row = warp_row();
  if (row >= rows) return;
  x += row * width, y += row * width;
  float sum = 0;
  for (u32 i = threadIdx.x; i < width; i += 32) sum += load(x[i]) * load(x[i]);
  float scale = rsqrtf(warp_sum(sum) / width + eps);
  for (u32 i = threadIdx.x; i < width; i += 32) store(y + i, load(x[i]) * scale * w[i]);
  if (threadIdx.x == 0) inverse[row] = scale;
}

template <typename T>
__device__ void backward(const T *x, const float *w, const T *g, const float *inverse, T *dx, u32 rows, u32 width) {
  size_t row = warp_row();
  if (row >= rows) return;
  x += row * width, g += row * width, dx += row * width;
  float inner = 0;
  for (u32 i = threadIdx.x; i < width; i += 32) inner += load(g[i]) * w[i] * load(x[i]);
  float scale = inverse[row];
  float pull = warp_sum(inner) * scale * scale * scale / width;
  for (u32 i = threadIdx.x; i < width; i += 32) store(dx + i, load(g[i]) * w[i] * scale - load(x[i]) * pull);
}

template <typename T>
__device__ void weight(const T *x, const T *g, const float *inverse, float *partial, u32 rows, u32 width, u32 chunk) {
  __shared__ float sums[8][32];
  u32 column = blockIdx.x * 32 + threadIdx.x;
  u32 first = blockIdx.y * chunk, end = min(first + chunk, rows);
  float sum = 0;
  if (column < width)
    for (u32 row = first + threadIdx.y; row < end; row += 8) {
      size_t at = (size_t)row * width + column;
      sum += load(g[at]) * load(x[at]) * inverse[row];
    }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && column < width) {
    for (u32 i = 1; i < 8; i++) sum += sums[i][threadIdx.x];
    partial[(size_t)blockIdx.y * width + column] = sum;
  }
}

#define KERNELS(T, name)                                                                                              \
  extern "C" __global__ void rms_norm_##name(const T *x, const float *w, T *y, float *inverse, u32 rows, u32 width,   \
                                             float eps) {                                                             \
    forward(x, w, y, inverse, rows, width, eps);                                                                      \
  }                                                                                                                   \
  extern "C" __global__ void rms_norm_backward_##name(const T *x, const float *w, const T *g, const float *inverse,   \
                                                      T *dx, u32 rows, u32 width) {                                   \
    backward(x, w, g, inverse, dx, rows, width);                                                                      \
  }                                                                                                                   \
  extern "C" __global__ void rms_norm_weight_##name(const T *x, const T *g, const float *inverse, float *partial,     \
                                                    u32 rows, u32 width, u32 chunk) {                                 \
    weight(x, g, inverse, partial, rows, width, chunk);                                                               \
  }
KERNELS(float, f32)
KERNELS(__nv_bfloat16, bf16)
