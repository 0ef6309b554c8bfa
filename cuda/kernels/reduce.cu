// Sums of everything. Blocks add what their number gives them, one block adds the blocks' sums; both
// in an order that the sizes decide.
#include "common.cuh"

#define THREADS 256

// The sum of the block's values, in thread 0.
DEVICE double blockSum(double v) {
  __shared__ double sums[THREADS / 32];
  v = warpSum(v);
  if ((threadIdx.x & 31) == 0) sums[threadIdx.x >> 5] = v;
  __syncthreads();
  double total = 0.0;
  if (threadIdx.x == 0)
    for (int k = 0; k < THREADS / 32; k++) total += sums[k];
  return total;
}

// part[block] = sum of squares of the block's elements: perBlock of them, row after row.
KERNEL sum_squares(int rows, int cols, const float *x, i64 stride, int perBlock, double *part) {
  i64 lo = (i64)blockIdx.x * perBlock, size = (i64)rows * cols, hi = lo + perBlock < size ? lo + perBlock : size;
  double sum = 0.0;
  for (i64 e = lo + threadIdx.x; e < hi; e += THREADS) {
    double v = (double)x[stride == cols ? e : e / cols * stride + e % cols];
    sum = fma(v, v, sum);
  }
  sum = blockSum(sum);
  if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

// out = sum of n values, added to out if add is set. One block.
KERNEL sum_rows(int n, const double *part, int add, float *out) {
  double sum = 0.0;
  for (int e = threadIdx.x; e < n; e += THREADS) sum += part[e];
  sum = blockSum(sum);
  if (threadIdx.x == 0) out[0] = (float)(add ? (double)out[0] + sum : sum);
}
