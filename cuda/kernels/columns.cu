// Sums over rows, in two steps whose order the shape decides: blocks of rows give partial sums, and
// blocks of columns add those.
#include "common.cuh"

// part[block][column] = sum of x over the block's rows. A block has 128 columns and 8 warps, which take every
// eighth row and whose sums are added in their order.
KERNEL column_sums(int rows, int cols, const float *x, i64 strideX, int vec, int perBlock, float *part) {
  __shared__ float sums[8][128];
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, j = blockIdx.x * 128 + lane * 4;
  int lo = blockIdx.y * perBlock, hi = min(lo + perBlock, rows);
  float acc[4] = {0.f, 0.f, 0.f, 0.f};
  if (j < cols)
#pragma unroll 4
    for (int i = lo + warp; i < hi; i += 8) {
      float v[4];
      load4(x + (i64)i * strideX, j, cols, vec, v);
#pragma unroll
      for (int k = 0; k < 4; k++) acc[k] += v[k];
    }
#pragma unroll
  for (int k = 0; k < 4; k++) sums[warp][lane * 4 + k] = acc[k];
  __syncthreads();
  int c = threadIdx.x;
  if (c < 128 && blockIdx.x * 128 + c < cols) {
    float total = 0.f;
    for (int k = 0; k < 8; k++) total += sums[k][c];
    part[(i64)blockIdx.y * cols + blockIdx.x * 128 + c] = total;
  }
}

// out[column] += sum over blocks of part[block*stride + which*cols + column], which being the block's second number
// and out that of three, any of which may be absent. 8 warps have 32 columns, and add every eighth block.
KERNEL add_column_sums(int blocks, int cols, const float *part, i64 stride, float *out0, float *out1, float *out2) {
  __shared__ double sums[8][32];
  float *out = blockIdx.y == 0 ? out0 : blockIdx.y == 1 ? out1 : out2;
  if (!out) return;
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, j = blockIdx.x * 32 + lane;
  double total = 0.0;
  if (j < cols)
#pragma unroll 4
    for (int b = warp; b < blocks; b += 8) total += (double)part[(i64)b * stride + (i64)blockIdx.y * cols + j];
  sums[warp][lane] = total;
  __syncthreads();
  if (warp || j >= cols) return;
  for (int k = 1; k < 8; k++) total += sums[k][lane];
  out[j] = (float)((double)out[j] + total);
}
