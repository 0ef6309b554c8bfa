// Sums over rows, in two steps whose order the shape decides: blocks of rows give partial sums, and
// one thread a column adds those.
#include "common.cuh"

// part[block][column] = sum of x over the block's rows.
KERNEL column_sums(int rows, int cols, const float *x, i64 strideX, int rowsPerBlock, float *part) {
  __shared__ float sums[8][32];
  int c = threadIdx.x & 31, lane = threadIdx.x >> 5, j = blockIdx.x * 32 + c;
  int lo = blockIdx.y * rowsPerBlock, hi = min(lo + rowsPerBlock, rows);
  float sum = 0.f;
  if (j < cols)
    for (int i = lo + lane; i < hi; i += 8) sum += x[(i64)i * strideX + j];
  sums[lane][c] = sum;
  __syncthreads();
  if (lane == 0 && j < cols) {
    float total = 0.f;
    for (int k = 0; k < 8; k++) total += sums[k][c];
    part[(i64)blockIdx.y * cols + j] = total;
  }
}

// out[column] += sum over blocks of part[block*stride + column].
KERNEL add_column_sums(int blocks, int cols, const float *part, i64 stride, float *out) {
  int j = blockIdx.x * blockDim.x + threadIdx.x;
  if (j >= cols) return;
  double total = 0.0;
  for (int b = 0; b < blocks; b++) total += (double)part[(i64)b * stride + j];
  out[j] = (float)((double)out[j] + total);
}
