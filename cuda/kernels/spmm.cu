// y = alpha A x + beta y for a matrix of compressed rows. A group of 8, 16 or 32 lanes makes 4
// columns a lane of one row, adding the entries in their order. Rows of more than HUB entries are
// left to spmm_hubs, where a block's warps take contiguous parts of the row and their sums are
// added in the order of the parts.
#include "common.cuh"

#define HUB 1024

// acc += the entries [lo,hi) of a row, for columns j and following.
DEVICE void entries(const int *indices, const float *values, int lo, int hi, const float *x, i64 strideX, int j, int cols, bool vec,
                    float *acc) {
#pragma unroll 4
  for (int e = lo; e < hi; e++) {
    float v[4], w = values[e];
    load4(x + (i64)indices[e] * strideX, j, cols, vec, v);
#pragma unroll
    for (int k = 0; k < 4; k++) acc[k] = fmaf(w, v[k], acc[k]);
  }
}

DEVICE void finish(float alpha, const float *acc, int add, float *row, int j, int cols, bool vec) {
  float v[4], old[4];
  if (add) load4(row, j, cols, vec, old);
#pragma unroll
  for (int k = 0; k < 4; k++) v[k] = add ? fmaf(alpha, acc[k], old[k]) : alpha * acc[k];
  store4(row, j, cols, vec, v);
}

// group is the base-2 logarithm of the lanes for a row.
KERNEL spmm(int rows, int cols, int group, float alpha, const int *indptr, const int *indices, const float *values, const float *x,
            i64 strideX, int add, float *y, i64 strideY, int vec) {
  int lanes = 1 << group, lane = threadIdx.x & (lanes - 1);
  i64 i = (i64)blockIdx.x * (blockDim.x >> group) + (threadIdx.x >> group);
  int j = (blockIdx.y * lanes + lane) * 4;
  if (i >= rows || j >= cols) return;
  int lo = indptr[i], hi = indptr[i + 1];
  if (hi - lo > HUB) return;
  float acc[4] = {0.f, 0.f, 0.f, 0.f};
  entries(indices, values, lo, hi, x, strideX, j, cols, vec, acc);
  finish(alpha, acc, add, y + i * strideY, j, cols, vec);
}

// A block of 32 warps looks for hubs among every gridDim.x-th row and makes 128 columns of each.
KERNEL spmm_hubs(int rows, int cols, float alpha, const int *indptr, const int *indices, const float *values, const float *x, i64 strideX,
                 int add, float *y, i64 strideY, int vec) {
  __shared__ float sums[32][128];
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, j = (blockIdx.y * 32 + lane) * 4;
  for (int i = blockIdx.x; i < rows; i += gridDim.x) {
    int lo = indptr[i], hi = indptr[i + 1];
    if (hi - lo <= HUB) continue;
    int part = (hi - lo + 31) / 32, from = min(lo + warp * part, hi), to = min(from + part, hi);
    float acc[4] = {0.f, 0.f, 0.f, 0.f};
    if (j < cols) entries(indices, values, from, to, x, strideX, j, cols, vec, acc);
#pragma unroll
    for (int k = 0; k < 4; k++) sums[warp][lane * 4 + k] = acc[k];
    __syncthreads();
    if (warp == 0 && j < cols) {
      for (int w = 1; w < 32; w++)
#pragma unroll
        for (int k = 0; k < 4; k++) acc[k] += sums[w][lane * 4 + k];
      finish(alpha, acc, add, y + (i64)i * strideY, j, cols, vec);
    }
    __syncthreads();
  }
}
