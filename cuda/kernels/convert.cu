// Conversions of element types, for products of half the width.
#include "common.cuh"
#include "codes.cuh"

// bf16 rounds to the nearest bfloat16, ties to even; a NaN stays one, whatever its bits.
DEVICE u32 bf16(float f) {
  u32 u = __float_as_uint(f);
  return f != f ? u >> 16 | 0x40u : (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
}

// y = x as bfloat16, two of them in a word, the first in its low half. Rows of y are width columns long, a multiple of 4;
// those that x does not have are 0. x begins with row number from of what is read. One thread makes 4 columns.
template <class S>
DEVICE void toBrain(int rows, int cols, int width, const S &src, i64 from, u32 *y) {
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  int quads = width / 4;
  if (t >= (i64)rows * quads) return;
  i64 i = t >> 32 ? t / quads : (i64)((u32)t / (u32)quads);
  int j = (int)(t - i * quads) * 4;
  float v[4];
  four(src, from + i, j, cols, v);
  uint2 w = make_uint2(bf16(v[0]) | bf16(v[1]) << 16, bf16(v[2]) | bf16(v[3]) << 16);
  *(uint2 *)(y + (i * width + j) / 2) = w;
}

KERNEL to_bf16(int rows, int cols, int width, const float *x, i64 strideX, u32 *y, int vec) {
  Plain src = {x, strideX, vec};
  toBrain(rows, cols, width, src, 0, y);
}

KERNEL to_bf16_coded(int rows, int cols, int width, i64 from, CODED_PARAMS, u32 *y) {
  Coded src = CODED;
  toBrain(rows, cols, width, src, from, y);
}
