// y = alpha A x + beta y for a matrix of compressed rows. A group of 8, 16 or 32 lanes makes 4
// columns a lane of one row, adding the entries in their order. Rows of more than HUB entries are
// left to spmm_hubs, where a block's warps take contiguous parts of the row and their sums are
// added in the order of the parts.
#include "common.cuh"

#define HUB 1024

// A lane's columns are four neighbours, j and following with a step of 1, where vec says that rows begin at multiples
// of 16 bytes; else they are as many apart as there are lanes, so that neighbouring lanes read neighbours.
DEVICE void columns(int block, int lanes, int lane, int vec, int *j, int *step) {
  *j = block * lanes * 4 + (vec ? lane * 4 : lane);
  *step = vec ? 1 : lanes;
}

// acc += the entries [lo,hi) of a row, for a lane's columns.
DEVICE void entries(const int *indices, const float *values, int lo, int hi, const float *x, i64 strideX, int j, int step, int cols, bool vec,
                    float *acc) {
#pragma unroll 4
  for (int e = lo; e < hi; e++) {
    float v[4], w = values[e];
    const float *row = x + (i64)indices[e] * strideX;
    if (vec && j + 4 <= cols) {
      load4(row, j, cols, true, v);
    } else {
#pragma unroll
      for (int k = 0; k < 4; k++) v[k] = j + k * step < cols ? row[j + k * step] : 0.f;
    }
#pragma unroll
    for (int k = 0; k < 4; k++) acc[k] = fmaf(w, v[k], acc[k]);
  }
}

DEVICE void finish(float alpha, const float *acc, int add, float *row, int j, int step, int cols, bool vec) {
  float v[4];
  if (vec && j + 4 <= cols) {
    if (add) load4(row, j, cols, true, v);
#pragma unroll
    for (int k = 0; k < 4; k++) v[k] = add ? fmaf(alpha, acc[k], v[k]) : alpha * acc[k];
    store4(row, j, cols, true, v);
    return;
  }
#pragma unroll
  for (int k = 0; k < 4; k++)
    if (j + k * step < cols) {
      float *y = row + j + k * step;
      *y = add ? fmaf(alpha, acc[k], *y) : alpha * acc[k];
    }
}

// group is the base-2 logarithm of the lanes for a row.
KERNEL spmm(int rows, int cols, int group, float alpha, const int *indptr, const int *indices, const float *values, const float *x,
            i64 strideX, int add, float *y, i64 strideY, int vec) {
  int lanes = 1 << group, lane = threadIdx.x & (lanes - 1);
  i64 i = (i64)blockIdx.x * (blockDim.x >> group) + (threadIdx.x >> group);
  int j, step;
  columns(blockIdx.y, lanes, lane, vec, &j, &step);
  if (i >= rows || j >= cols) return;
  int lo = indptr[i], hi = indptr[i + 1];
  if (hi - lo > HUB) return;
  float acc[4] = {0.f, 0.f, 0.f, 0.f};
  entries(indices, values, lo, hi, x, strideX, j, step, cols, vec, acc);
  finish(alpha, acc, add, y + i * strideY, j, step, cols, vec);
}

// A block of 32 warps looks for hubs among every gridDim.x-th row, a row each thread, and makes 128 columns of each.
KERNEL __launch_bounds__(1024) spmm_hubs(int rows, int cols, float alpha, const int *indptr, const int *indices, const float *values, const float *x, i64 strideX,
                 int add, float *y, i64 strideY, int vec) {
  __shared__ float sums[32][128];
  __shared__ u32 hubs[32];
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, j, step;
  columns(blockIdx.y, 32, lane, vec, &j, &step);
  for (i64 first = blockIdx.x; first < rows; first += (i64)gridDim.x * 1024) {
    i64 mine = first + (i64)gridDim.x * threadIdx.x;
    u32 found = __ballot_sync(FULL, mine < rows && indptr[mine + 1] - indptr[mine] > HUB);
    if (lane == 0) hubs[warp] = found;
    __syncthreads();
    // Warps with hubs; the same for all.
    u32 warps = __ballot_sync(FULL, hubs[lane] != 0);
    for (int t = 0; t < 1024 && warps; t++) {
      if ((warps >> (t >> 5) & 1) == 0) {
        t |= 31;
      } else if (hubs[t >> 5] >> (t & 31) & 1) {
        i64 i = first + (i64)gridDim.x * t;
        int lo = indptr[i], hi = indptr[i + 1], part = (hi - lo + 31) / 32, from = min(lo + warp * part, hi), to = min(from + part, hi);
        float acc[4] = {0.f, 0.f, 0.f, 0.f};
        if (j < cols) entries(indices, values, from, to, x, strideX, j, step, cols, vec, acc);
#pragma unroll
        for (int k = 0; k < 4; k++) sums[warp][lane * 4 + k] = acc[k];
        __syncthreads();
        if (warp == 0 && j < cols) {
          for (int v = 1; v < 32; v++)
#pragma unroll
            for (int k = 0; k < 4; k++) acc[k] += sums[v][lane * 4 + k];
          finish(alpha, acc, add, y + i * strideY, j, step, cols, vec);
        }
        __syncthreads();
      }
    }
    __syncthreads();
  }
}
