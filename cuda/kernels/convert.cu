// Conversions of element types, for products of half the width.
#include "common.cuh"

// bf16 rounds to the nearest bfloat16, ties to even; a NaN stays one, whatever its bits.
DEVICE u32 bf16(float f) {
  u32 u = __float_as_uint(f);
  return f != f ? u >> 16 | 0x40u : (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
}

// y = x as bfloat16, two of them in a word, the first in its low half. Rows of y are width columns
// long, a multiple of 4; those that x does not have are 0. One thread makes 4 columns.
KERNEL to_bf16(int rows, int cols, int width, const float *x, i64 strideX, u32 *y, int vec) {
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  int quads = width / 4;
  if (t >= (i64)rows * quads) return;
  i64 i = t / quads;
  int j = (int)(t - i * quads) * 4;
  float v[4];
  load4(x + i * strideX, j, cols, vec, v);
  uint2 w = make_uint2(bf16(v[0]) | bf16(v[1]) << 16, bf16(v[2]) | bf16(v[3]) << 16);
  *(uint2 *)(y + (i * width + j) / 2) = w;
}
