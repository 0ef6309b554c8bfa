// Bias, activation and GraphSAINT's row norm with dropout, forward and backward, for rows of any width, in memory
// or in codes. A warp does a row. Narrow rows are rows.cu's.
#include "common.cuh"
#include "codes.cuh"

#define NORM_EPS 1e-9f

struct Row {
  int lane, i;
};

DEVICE Row rowOf() {
  Row r = {(int)(threadIdx.x & 31), (int)(blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5))};
  return r;
}

// a = act(x + bias) for 4 columns; columns behind cols give act(0).
template <class S>
DEVICE void activated(int act, const S &src, i64 i, const float *bias, int j, int cols, float *a) {
  four(src, i, j, cols, a);
  if (bias) {
    float b[4];
    load4(bias, j, cols, false, b);
#pragma unroll
    for (int k = 0; k < 4; k++) a[k] += b[k];
  }
#pragma unroll
  for (int k = 0; k < 4; k++) a[k] = activate(act, a[k]);
}

// y = drop((a-mean)*rstd*scale + offset), a = act(x + bias); without scale y = drop(a).
template <class S>
DEVICE void forward(int rows, int cols, int act, const float *bias, const float *scale, const float *offset, const S &src, float *y, i64 strideY,
                    float *mean, i64 strideMean, float *rstd, i64 strideRstd, const Drop &drop, int vec) {
  Row r = rowOf();
  if (r.i >= rows) return;
  float *out = y + (i64)r.i * strideY, m = 0.f, f = 1.f;
  if (scale) {
    float sum = 0.f;
    for (int j = r.lane * 4; j < cols; j += 128) {
      float a[4];
      activated(act, src, r.i, bias, j, cols, a);
#pragma unroll
      for (int k = 0; k < 4; k++) sum += j + k < cols ? a[k] : 0.f;
    }
    m = warpSum(sum) / (float)cols;
    float squares = 0.f;
    for (int j = r.lane * 4; j < cols; j += 128) {
      float a[4];
      activated(act, src, r.i, bias, j, cols, a);
#pragma unroll
      for (int k = 0; k < 4; k++) {
        float d = j + k < cols ? a[k] - m : 0.f;
        squares = fmaf(d, d, squares);
      }
    }
    f = 1.f / sqrtf(warpSum(squares) / (float)cols + NORM_EPS);
    if (r.lane == 0) {
      mean[(i64)r.i * strideMean] = m;
      rstd[(i64)r.i * strideRstd] = f;
    }
  }
  for (int j = r.lane * 4; j < cols; j += 128) {
    float a[4];
    activated(act, src, r.i, bias, j, cols, a);
    if (scale) {
      float s[4], o[4];
      load4(scale, j, cols, false, s);
      load4(offset, j, cols, false, o);
#pragma unroll
      for (int k = 0; k < 4; k++) a[k] = fmaf((a[k] - m) * f, s[k], o[k]);
    }
    dropFour(drop, r.i, j, a);
    store4(out, j, cols, vec, a);
  }
}

#define FORWARD(name, PARAMS, SOURCE)                                                                                              \
  KERNEL name(int rows, int cols, int act, const float *bias, const float *scale, const float *offset, PARAMS, float *y, i64 strideY, \
              float *mean, i64 strideMean, float *rstd, i64 strideRstd, u64 key, u64 threshold, float factor, int col, int width,     \
              int vec) {                                                                                                              \
    Drop drop = {key, threshold, factor, col, width};                                                                                 \
    SOURCE;                                                                                                                           \
    forward(rows, cols, act, bias, scale, offset, src, y, strideY, mean, strideMean, rstd, strideRstd, drop, vec);                    \
  }
#define PLAIN_PARAMS const float *x, i64 strideX
#define COMMA ,
FORWARD(bias_act_norm, PLAIN_PARAMS, Plain src = {x COMMA strideX COMMA vec})
FORWARD(bias_act_norm_coded, CODED_PARAMS, Coded src = CODED)

// da for 4 columns of a row: the dropped gradient, and with a norm g = it times scale.
DEVICE void gradient(const Drop &drop, const float *dy, i64 i, int j, int cols, bool vec, float *d) {
  load4(dy, j, cols, vec, d);
  dropFour(drop, i, j, d);
#pragma unroll
  for (int k = 0; k < 4; k++)
    if (j + k >= cols) d[k] = 0.f;
}

// dx of bias_act_norm. dx may be dy: a lane writes only what it alone has read.
template <class S>
DEVICE void backward(int rows, int cols, int act, const float *bias, const float *scale, const float *mean, i64 strideMean, const float *rstd,
                     i64 strideRstd, const S &src, const float *dy, i64 strideDY, float *dx, i64 strideDX, const Drop &drop, int vec) {
  Row r = rowOf();
  if (r.i >= rows) return;
  const float *grad = dy + (i64)r.i * strideDY;
  float *out = dx + (i64)r.i * strideDX, m = 0.f, f = 0.f, meanG = 0.f, meanGX = 0.f;
  if (scale) {
    m = mean[(i64)r.i * strideMean];
    f = rstd[(i64)r.i * strideRstd];
    float sumG = 0.f, sumGX = 0.f;
    for (int j = r.lane * 4; j < cols; j += 128) {
      float a[4], d[4], s[4];
      activated(act, src, r.i, bias, j, cols, a);
      gradient(drop, grad, r.i, j, cols, vec, d);
      load4(scale, j, cols, false, s);
#pragma unroll
      for (int k = 0; k < 4; k++) {
        float g = d[k] * s[k];
        sumG += g;
        sumGX = fmaf(g, (a[k] - m) * f, sumGX);
      }
    }
    meanG = warpSum(sumG) / (float)cols;
    meanGX = warpSum(sumGX) / (float)cols;
  }
  for (int j = r.lane * 4; j < cols; j += 128) {
    float a[4], b[4], d[4], s[4];
    four(src, r.i, j, cols, a);
    gradient(drop, grad, r.i, j, cols, vec, d);
    if (bias) load4(bias, j, cols, false, b);
    if (scale) load4(scale, j, cols, false, s);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      float z = bias ? a[k] + b[k] : a[k];
      if (scale) d[k] = f * (d[k] * s[k] - meanG - (activate(act, z) - m) * f * meanGX);
      d[k] *= slope(act, z);
    }
    store4(out, j, cols, vec, d);
  }
}

#define BACKWARD(name, PARAMS, SOURCE)                                                                                                    \
  KERNEL name(int rows, int cols, int act, const float *bias, const float *scale, const float *mean, i64 strideMean, const float *rstd,   \
              i64 strideRstd, PARAMS, const float *dy, i64 strideDY, float *dx, i64 strideDX, u64 key, u64 threshold, float factor,       \
              int col, int width, int vec) {                                                                                              \
    Drop drop = {key, threshold, factor, col, width};                                                                                     \
    SOURCE;                                                                                                                               \
    backward(rows, cols, act, bias, scale, mean, strideMean, rstd, strideRstd, src, dy, strideDY, dx, strideDX, drop, vec);               \
  }
BACKWARD(bias_act_norm_back, PLAIN_PARAMS, Plain src = {x COMMA strideX COMMA vec})
BACKWARD(bias_act_norm_back_coded, CODED_PARAMS, Coded src = CODED)

// Sums over blocks of rows of each column, part[block][which][column]: of dscale (0) and doffset (1). A block has
// 128 columns and 8 warps, which take every eighth row and whose sums are added in their order.
template <class S>
DEVICE void columnSums(int rows, int cols, int act, const float *bias, const float *mean, i64 strideMean, const float *rstd, i64 strideRstd,
                       const S &src, const float *dy, i64 strideDY, const Drop &drop, int vec, int perBlock, float *part) {
  __shared__ float sums[2][8][128];
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, j = blockIdx.x * 128 + lane * 4;
  int lo = blockIdx.y * perBlock, hi = min(lo + perBlock, rows);
  float acc[2][4] = {};
  if (j < cols)
    for (int i = lo + warp; i < hi; i += 8) {
      float a[4], d[4], m = mean[(i64)i * strideMean], f = rstd[(i64)i * strideRstd];
      activated(act, src, i, bias, j, cols, a);
      gradient(drop, dy + (i64)i * strideDY, i, j, cols, vec, d);
#pragma unroll
      for (int k = 0; k < 4; k++) {
        acc[0][k] = fmaf(d[k], (a[k] - m) * f, acc[0][k]);
        acc[1][k] += d[k];
      }
    }
#pragma unroll
  for (int w = 0; w < 2; w++)
#pragma unroll
    for (int k = 0; k < 4; k++) sums[w][warp][lane * 4 + k] = acc[w][k];
  __syncthreads();
  int which = threadIdx.x >> 7, c = threadIdx.x & 127;
  if (blockIdx.x * 128 + c < cols) {
    float total = 0.f;
    for (int k = 0; k < 8; k++) total += sums[which][k][c];
    part[((i64)blockIdx.y * 2 + which) * cols + blockIdx.x * 128 + c] = total;
  }
}

#define COLUMN_SUMS(name, PARAMS, SOURCE)                                                                                                \
  KERNEL name(int rows, int cols, int act, const float *bias, const float *mean, i64 strideMean, const float *rstd, i64 strideRstd,      \
              PARAMS, const float *dy, i64 strideDY, u64 key, u64 threshold, float factor, int col, int width, int vec, int perBlock,    \
              float *part) {                                                                                                             \
    Drop drop = {key, threshold, factor, col, width};                                                                                    \
    SOURCE;                                                                                                                              \
    columnSums(rows, cols, act, bias, mean, strideMean, rstd, strideRstd, src, dy, strideDY, drop, vec, perBlock, part);                 \
  }
COLUMN_SUMS(norm_column_sums, PLAIN_PARAMS, Plain src = {x COMMA strideX COMMA vec})
COLUMN_SUMS(norm_column_sums_coded, CODED_PARAMS, Coded src = CODED)
