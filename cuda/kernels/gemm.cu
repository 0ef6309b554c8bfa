// c = alpha op(a) op(b) + beta c in tiles, for where cuBLAS is not there. Element (i,k) of op(a) is a[i*ai + k*ak],
// element (k,j) of op(b) is b[k*bk + j*bj]: one of each pair is 1. A thread keeps 8x8 or 8x4 sums; every sum adds its
// products in the order of k. The next tiles are on their way to registers while those in shared memory are multiplied.
#include "common.cuh"

#define DEPTH 8

// fetch reads this thread's share of SIDE x DEPTH elements of a matrix, N fours of them: along k where deep is set, else
// along the side. What lies beyond n or hi is 0.
template <int SIDE, int N>
DEVICE void fetch(const float *x, i64 stride, int deep, int vec, int first, int n, int k0, int hi, float (*v)[4]) {
#pragma unroll
  for (int s = 0; s < N; s++) {
    int e = s * (int)blockDim.x + (int)threadIdx.x;
    int i = first + (deep ? e / (DEPTH / 4) : e % (SIDE / 4) * 4), k = k0 + (deep ? e % (DEPTH / 4) * 4 : e / (SIDE / 4));
    int outer = deep ? i : k, inner = deep ? k : i, end = deep ? hi : n;
    if (outer < (deep ? n : hi)) {
      load4(x + (i64)outer * stride, inner, end, vec, v[s]);
    } else {
#pragma unroll
      for (int c = 0; c < 4; c++) v[s][c] = 0.f;
    }
  }
}

// stash writes what fetch read to shared memory, k after k.
template <int SIDE, int N>
DEVICE void stash(float (*to)[SIDE + 4], int deep, const float (*v)[4]) {
#pragma unroll
  for (int s = 0; s < N; s++) {
    int e = s * (int)blockDim.x + (int)threadIdx.x;
    if (deep) {
#pragma unroll
      for (int c = 0; c < 4; c++) to[e % (DEPTH / 4) * 4 + c][e / (DEPTH / 4)] = v[s][c];
    } else {
      *(float4 *)&to[e / (SIDE / 4)][e % (SIDE / 4) * 4] = make_float4(v[s][0], v[s][1], v[s][2], v[s][3]);
    }
  }
}

DEVICE void shared4(const float *from, float *v) {
  float4 f = *(const float4 *)from;
  v[0] = f.x, v[1] = f.y, v[2] = f.z, v[3] = f.w;
}

// A block makes a tile of M x N, for the blockIdx.y-th range of k. With part set the sums go to part[range][i][j]: for products with
// few tiles and many rows in between, as gradients of weights are.
template <int M, int N, int TN>
DEVICE void product(int m, int n, int k, int range, float alpha, const float *a, i64 ai, i64 ak, const float *b, i64 bk, i64 bj, float beta,
                    float *c, i64 strideC, float *part, int vecA, int vecB, int vecC) {
  const int TM = 8, ACROSS = N / TN, THREADS = M / TM * ACROSS, FA = M * DEPTH / 4 / THREADS, FB = N * DEPTH / 4 / THREADS;
  __shared__ float4 memory[2 * DEPTH * (M + 4 + N + 4) / 4];
  float(*sa)[M + 4] = (float(*)[M + 4])memory, (*sb)[N + 4] = (float(*)[N + 4])(sa + 2 * DEPTH);
  int tx = threadIdx.x % ACROSS, ty = threadIdx.x / ACROSS, tiles = (n + N - 1) / N;
  int row0 = (int)(blockIdx.x / tiles) * M, col0 = (int)(blockIdx.x % tiles) * N, lo = blockIdx.y * range, hi = min(lo + range, k);
  int deepA = ak == 1, deepB = bk == 1;
  i64 strideA = deepA ? ai : ak, strideB = deepB ? bj : bk;
  float acc[TM][TN] = {}, fa[FA][4], fb[FB][4];
  fetch<M, FA>(a, strideA, deepA, vecA, row0, m, lo, hi, fa);
  fetch<N, FB>(b, strideB, deepB, vecB, col0, n, lo, hi, fb);
  stash<M, FA>(sa, deepA, fa);
  stash<N, FB>(sb, deepB, fb);
  __syncthreads();
  int turn = 0;
  for (int k0 = lo; k0 < hi; k0 += DEPTH) {
    bool more = k0 + DEPTH < hi;
    if (more) {
      fetch<M, FA>(a, strideA, deepA, vecA, row0, m, k0 + DEPTH, hi, fa);
      fetch<N, FB>(b, strideB, deepB, vecB, col0, n, k0 + DEPTH, hi, fb);
    }
#pragma unroll
    for (int d = 0; d < DEPTH; d++) {
      float x[TM], y[TN];
      const float *pa = sa[turn * DEPTH + d], *pb = sb[turn * DEPTH + d];
      shared4(pa + ty * 4, x);
      shared4(pa + M / 2 + ty * 4, x + 4);
      shared4(pb + tx * 4, y);
      if (TN == 8) shared4(pb + N / 2 + tx * 4, y + TN - 4);
#pragma unroll
      for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++) acc[i][j] = fmaf(x[i], y[j], acc[i][j]);
    }
    if (more) {
      turn ^= 1;
      stash<M, FA>(sa + turn * DEPTH, deepA, fa);
      stash<N, FB>(sb + turn * DEPTH, deepB, fb);
      __syncthreads();
    }
  }
  if (part) part += (i64)blockIdx.y * m * n;
#pragma unroll
  for (int i = 0; i < TM; i++) {
    int r = row0 + (i < 4 ? 0 : M / 2) + ty * 4 + i % 4;
    if (r >= m) continue;
#pragma unroll
    for (int j = 0; j < TN; j += 4) {
      int q = col0 + (j < 4 ? 0 : N / 2) + tx * 4;
      if (q >= n) continue;
      float v[4], old[4], *out = part ? part + (i64)r * n : c + (i64)r * strideC;
      if (!part && beta != 0.f) load4(out, q, n, vecC, old);
#pragma unroll
      for (int t = 0; t < 4; t++) v[t] = part ? acc[i][j + t] : beta == 0.f ? alpha * acc[i][j + t] : fmaf(alpha, acc[i][j + t], beta * old[t]);
      store4(out, q, n, vecC, v);
    }
  }
}

#define PRODUCT(M, N, TN)                                                                                                                   \
  KERNEL __launch_bounds__(M / 8 * (N / TN), M == N ? 2 : 3)                                                                                                \
      gemm_##M##x##N(int m, int n, int k, int range, float alpha, const float *a, i64 ai, i64 ak, const float *b, i64 bk, i64 bj,           \
                     float beta, float *c, i64 strideC, float *part, int vecA, int vecB, int vecC) {                                        \
    product<M, N, TN>(m, n, k, range, alpha, a, ai, ak, b, bk, bj, beta, c, strideC, part, vecA, vecB, vecC);                               \
  }
PRODUCT(128, 128, 8)
PRODUCT(128, 64, 8)
PRODUCT(64, 64, 4)

// c = alpha sum of the parts + beta c.
KERNEL gemm_join(int m, int n, int parts, const float *part, float alpha, float beta, float *c, i64 strideC) {
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x, size = (i64)m * n;
  if (t >= size) return;
  float sum = 0.f;
#pragma unroll 4
  for (int z = 0; z < parts; z++) sum += part[(i64)z * size + t];
  int i = (int)(t / n);
  float *out = c + (i64)i * strideC + (t - (i64)i * n);
  *out = beta == 0.f ? alpha * sum : fmaf(alpha, sum, beta * *out);
}
