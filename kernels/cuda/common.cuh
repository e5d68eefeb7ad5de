// What all kernels share: values are read and written as f32 whatever they are stored in, and a warp adds
// up in a fixed order.
#pragma once
#include <cuda_bf16.h>
#include <stdint.h>

typedef uint32_t u32;
typedef uint64_t u64;

__device__ __forceinline__ float load(float x) { return x; }
__device__ __forceinline__ float load(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ __forceinline__ void store(float *to, float x) { *to = x; }
__device__ __forceinline__ void store(__nv_bfloat16 *to, float x) { *to = __float2bfloat16(x); }

__device__ __forceinline__ float warp_sum(float x) {
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  return x;
}

__device__ __forceinline__ float warp_max(float x) {
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
  return x;
}

// Row that this warp works on; blocks are (32, warps).
__device__ __forceinline__ size_t warp_row() { return (size_t)blockIdx.x * blockDim.y + threadIdx.y; }

// Entry that this thread works on.
__device__ __forceinline__ size_t thread_entry() { return (size_t)blockIdx.x * blockDim.x + threadIdx.x; }
