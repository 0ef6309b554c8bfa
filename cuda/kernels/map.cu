// Elementwise operations: one thread makes 4 neighbouring elements of a row. Work item t is columns
// 4 (t % quads) and following of row t / quads; division of 64 bits is slow, and so many items are rare.
#include "common.cuh"

DEVICE bool place(int rows, int cols, i64 *row, int *col) {
  int quads = (cols + 3) / 4;
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (t >= (i64)rows * quads) return false;
  *row = t >> 32 ? t / quads : (i64)((u32)t / (u32)quads);
  *col = (int)(t - *row * quads) * 4;
  return true;
}

// y = alpha x + beta y; with beta 0 y is not read. A stride of 0 repeats the first row of x.
KERNEL axpby(int rows, int cols, float alpha, const float *x, i64 strideX, float beta, float *y, i64 strideY, int vec) {
  i64 i;
  int j;
  if (!place(rows, cols, &i, &j)) return;
  float a[4], b[4];
  load4(x + i * strideX, j, cols, vec, a);
  float *out = y + i * strideY;
  if (beta != 0.f) load4(out, j, cols, vec, b);
#pragma unroll
  for (int k = 0; k < 4; k++) {
    if (beta == 0.f)
      b[k] = alpha == 1.f ? a[k] : alpha * a[k];
    else
      b[k] = fmaf(alpha, a[k], beta == 1.f ? b[k] : beta * b[k]);
  }
  store4(out, j, cols, vec, b);
}

// t = v.
KERNEL fill_f32(int rows, int cols, float v, float *t, i64 stride, int vec) {
  i64 i;
  int j;
  if (!place(rows, cols, &i, &j)) return;
  float a[4] = {v, v, v, v};
  store4(t + i * stride, j, cols, vec, a);
}

// t = v for bytes.
KERNEL fill_u8(int rows, int cols, u32 v, u8 *t, i64 stride) {
  i64 i;
  int j;
  if (!place(rows, cols, &i, &j)) return;
  for (int k = j; k < min(j + 4, cols); k++) t[i * stride + k] = (u8)v;
}

// t = f t, unless held says that nothing may change; it may be null.
KERNEL scale(int rows, int cols, float f, float *t, i64 stride, int vec, const float *held) {
  i64 i;
  int j;
  if (!place(rows, cols, &i, &j) || held && held[0] != 0.f) return;
  float a[4];
  load4(t + i * stride, j, cols, vec, a);
#pragma unroll
  for (int k = 0; k < 4; k++) a[k] *= f;
  store4(t + i * stride, j, cols, vec, a);
}

// y = drop(x); y may be x.
KERNEL dropout(int rows, int cols, const float *x, i64 strideX, float *y, i64 strideY, u64 key, u64 threshold, float factor, int vec) {
  i64 i;
  int j;
  if (!place(rows, cols, &i, &j)) return;
  float a[4];
  load4(x + i * strideX, j, cols, vec, a);
  Drop d = {key, threshold, factor, 0, cols};
  dropFour(d, i, j, a);
  store4(y + i * strideY, j, cols, vec, a);
}

// A strided copy of bytes: downloads of column ranges. 32-bit elements go through copy_words.
KERNEL copy_bytes(int rows, int cols, const u8 *x, i64 strideX, u8 *y, i64 strideY) {
  i64 i;
  int j;
  if (!place(rows, cols, &i, &j)) return;
  for (int k = j; k < min(j + 4, cols); k++) y[i * strideY + k] = x[i * strideX + k];
}

// A strided copy of 32-bit words.
KERNEL copy_words(int rows, int cols, const u32 *x, i64 strideX, u32 *y, i64 strideY) {
  i64 i;
  int j;
  if (!place(rows, cols, &i, &j)) return;
  for (int k = j; k < min(j + 4, cols); k++) y[i * strideY + k] = x[i * strideX + k];
}
