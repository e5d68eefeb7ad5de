// Rows of heads to heads of rows, and back, in units of 16, 4 or 2 bytes. `to`: y [trees, heads, longest, width] from
// x [rows, heads, width]; place (tree, i) holds rows[tree * longest + i], or the row of that number where rows is null.
// `from`: the way back; row r lies in places[r], or in the place of that number. Grid: one thread per unit of the result.
#include "common.cuh"

template <typename U>
__device__ void to(const U *x, const u32 *rows, U *y, u64 units, u32 heads, u32 longest, u32 width) {
  size_t at = thread_entry();
  if (at >= units) return;
  u32 unit = at % width;
  size_t rest = at / width;
  u32 i = rest % longest;
  rest /= longest;
  u32 head = rest % heads;
  size_t place = rest / heads * longest + i;
  size_t row = rows ? rows[place] : place;
  y[at] = x[(row * heads + head) * width + unit];
}

template <typename U>
__device__ void from(const U *x, const u32 *places, U *y, u64 units, u32 heads, u32 longest, u32 width) {
  size_t at = thread_entry();
  if (at >= units) return;
  u32 unit = at % width;
  size_t rest = at / width;
  u32 head = rest % heads;
  size_t row = rest / heads;
  size_t place = places ? places[row] : row;
  y[at] = x[((place / longest * heads + head) * longest + place % longest) * width + unit];
}

#define KERNELS(U, name)                                                                                              \
  extern "C" __global__ void to_heads_##name(const U *x, const u32 *rows, U *y, u64 units, u32 heads, u32 longest,    \
                                             u32 width) {                                                             \
    to(x, rows, y, units, heads, longest, width);                                                                     \
  }                                                                                                                   \
  extern "C" __global__ void from_heads_##name(const U *x, const u32 *places, U *y, u64 units, u32 heads, u32 longest, \
                                               u32 width) {                                                           \
    from(x, places, y, units, heads, longest, width);                                                                 \
  }
KERNELS(uint4, 16)
KERNELS(u32, 4)
KERNELS(uint16_t, 2)
