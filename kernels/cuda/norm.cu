// Sums of squares of x [n]: one partial sum per block of 256 threads, whose number the caller chooses; the order in which
// a partial sum is taken depends on n and that number alone.
#include "common.cuh"

extern "C" __global__ void square_sums_f32(const float *x, float *partial, u64 n) {
  __shared__ float sums[8];
  float sum = 0;
  for (size_t i = thread_entry(); i < n; i += (size_t)gridDim.x * blockDim.x) sum += x[i] * x[i];
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int i = 1; i < 8; i++) sum += sums[i];
  partial[blockIdx.x] = sum;
}
