// c = alpha op(a) op(b) + beta c in tiles of 64x64, for where cuBLAS is not there. Element (i,k) of
// op(a) is a[i*ai + k*ak], element (k,j) of op(b) is b[k*bk + j*bj]: one of each pair is 1. 256
// threads keep 4x4 sums each; every sum adds its products in the order of k.
#include "common.cuh"

#define TILE 64
#define DEPTH 16

// The products of k in [lo,hi) for the block's tile.
DEVICE void tile(int m, int n, int lo, int hi, const float *a, i64 ai, i64 ak, const float *b, i64 bk, i64 bj, int row0, int col0,
                 float acc[4][4]) {
  __shared__ float sa[DEPTH][TILE + 4], sb[DEPTH][TILE + 4];
  int t = threadIdx.x, tx = t & 15, ty = t >> 4;
  for (int k0 = lo; k0 < hi; k0 += DEPTH) {
    // Neighbouring threads read neighbouring addresses, whichever dimension that is.
#pragma unroll
    for (int s = 0; s < TILE * DEPTH; s += 256) {
      int e = s + t, k = ak == 1 ? e % DEPTH : e / TILE, i = ak == 1 ? e / DEPTH : e % TILE;
      sa[k][i] = row0 + i < m && k0 + k < hi ? a[(i64)(row0 + i) * ai + (i64)(k0 + k) * ak] : 0.f;
      k = bk == 1 ? e % DEPTH : e / TILE, i = bk == 1 ? e / DEPTH : e % TILE;
      sb[k][i] = col0 + i < n && k0 + k < hi ? b[(i64)(k0 + k) * bk + (i64)(col0 + i) * bj] : 0.f;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
      float x[4], y[4];
#pragma unroll
      for (int i = 0; i < 4; i++) x[i] = sa[k][ty * 4 + i], y[i] = sb[k][tx * 4 + i];
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) acc[i][j] = fmaf(x[i], y[j], acc[i][j]);
    }
    __syncthreads();
  }
}

KERNEL gemm(int m, int n, int k, float alpha, const float *a, i64 ai, i64 ak, const float *b, i64 bk, i64 bj, float beta, float *c,
            i64 strideC) {
  int row0 = blockIdx.y * TILE, col0 = blockIdx.x * TILE, tx = threadIdx.x & 15, ty = threadIdx.x >> 4;
  float acc[4][4] = {};
  tile(m, n, 0, k, a, ai, ak, b, bk, bj, row0, col0, acc);
#pragma unroll
  for (int i = 0; i < 4; i++) {
    int r = row0 + ty * 4 + i;
    if (r >= m) continue;
#pragma unroll
    for (int j = 0; j < 4; j++) {
      int q = col0 + tx * 4 + j;
      if (q >= n) continue;
      float *out = c + (i64)r * strideC + q;
      *out = beta == 0.f ? alpha * acc[i][j] : fmaf(alpha, acc[i][j], beta * *out);
    }
  }
}

// The products of a range of k, one range for each blockIdx.z: part[z][i][j]. For products with
// few tiles and many rows in between, as gradients of weights are.
KERNEL gemm_part(int m, int n, int k, int range, const float *a, i64 ai, i64 ak, const float *b, i64 bk, i64 bj, float *part) {
  int row0 = blockIdx.y * TILE, col0 = blockIdx.x * TILE, tx = threadIdx.x & 15, ty = threadIdx.x >> 4;
  int lo = blockIdx.z * range, hi = min(lo + range, k);
  float acc[4][4] = {};
  tile(m, n, lo, hi, a, ai, ak, b, bk, bj, row0, col0, acc);
  part += (i64)blockIdx.z * m * n;
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) {
      int r = row0 + ty * 4 + i, q = col0 + tx * 4 + j;
      if (r < m && q < n) part[(i64)r * n + q] = acc[i][j];
    }
}

// c = alpha sum of the parts + beta c.
KERNEL gemm_join(int m, int n, int parts, const float *part, float alpha, float beta, float *c, i64 strideC) {
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x, size = (i64)m * n;
  if (t >= size) return;
  float sum = 0.f;
  for (int z = 0; z < parts; z++) sum += part[(i64)z * size + t];
  float *out = c + t / n * strideC + t % n;
  *out = beta == 0.f ? alpha * sum : fmaf(alpha, sum, beta * *out);
}
