// One step of AdamW in place; parameter, gradient and moments in f32. Grid: one thread per entry.
#include "common.cuh"

extern "C" __global__ void adamw_f32(float *p, const float *g, float *m, float *v, u64 n, float decay, float step_size,
                                     float root_correction, float beta1, float beta2, float epsilon,
                                     float gradient_scale) {
  size_t i = thread_entry();
  if (i >= n) return;
  float d = g[i] * gradient_scale;
  float first = beta1 * m[i] + (1 - beta1) * d;
  float second = beta2 * v[i] + (1 - beta2) * d * d;
  m[i] = first, v[i] = second;
  p[i] = p[i] * decay - step_size * first / (sqrtf(second) * root_correction + epsilon);
}
