// Bias, activation and GraphSAINT's row norm with dropout, forward and backward. A warp does a row.
#include "common.cuh"

#define NORM_EPS 1e-9f

struct Row {
  int lane, i;
};

DEVICE Row rowOf() {
  Row r = {(int)(threadIdx.x & 31), (int)(blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5))};
  return r;
}

// a = act(x + bias) for 4 columns; columns behind cols give act(0).
DEVICE void activated(int act, const float *x, const float *bias, int j, int cols, bool vec, float *a) {
  load4(x, j, cols, vec, a);
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
KERNEL bias_act_norm(int rows, int cols, int act, const float *bias, const float *scale, const float *offset, const float *x, i64 strideX,
                     float *y, i64 strideY, float *mean, i64 strideMean, float *rstd, i64 strideRstd, u64 key, u64 threshold, float factor,
                     int col, int width, int vec) {
  Row r = rowOf();
  if (r.i >= rows) return;
  const float *in = x + (i64)r.i * strideX;
  float *out = y + (i64)r.i * strideY, m = 0.f, f = 1.f;
  Drop drop = {key, threshold, factor, col, width};
  if (scale) {
    float sum = 0.f;
    for (int j = r.lane * 4; j < cols; j += 128) {
      float a[4];
      activated(act, in, bias, j, cols, vec, a);
#pragma unroll
      for (int k = 0; k < 4; k++) sum += j + k < cols ? a[k] : 0.f;
    }
    m = warpSum(sum) / (float)cols;
    float squares = 0.f;
    for (int j = r.lane * 4; j < cols; j += 128) {
      float a[4];
      activated(act, in, bias, j, cols, vec, a);
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
    activated(act, in, bias, j, cols, vec, a);
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

// da for 4 columns of a row: the dropped gradient, and with a norm g = it times scale.
DEVICE void gradient(const Drop &drop, const float *dy, i64 i, int j, int cols, bool vec, float *d) {
  load4(dy, j, cols, vec, d);
  dropFour(drop, i, j, d);
#pragma unroll
  for (int k = 0; k < 4; k++)
    if (j + k >= cols) d[k] = 0.f;
}

// dx of bias_act_norm. dx may be dy: a lane writes only what it alone has read.
KERNEL bias_act_norm_back(int rows, int cols, int act, const float *bias, const float *scale, const float *mean, i64 strideMean,
                          const float *rstd, i64 strideRstd, const float *x, i64 strideX, const float *dy, i64 strideDY, float *dx,
                          i64 strideDX, u64 key, u64 threshold, float factor, int col, int width, int vec) {
  Row r = rowOf();
  if (r.i >= rows) return;
  const float *in = x + (i64)r.i * strideX, *grad = dy + (i64)r.i * strideDY;
  float *out = dx + (i64)r.i * strideDX, m = 0.f, f = 0.f, meanG = 0.f, meanGX = 0.f;
  Drop drop = {key, threshold, factor, col, width};
  if (scale) {
    m = mean[(i64)r.i * strideMean];
    f = rstd[(i64)r.i * strideRstd];
    float sumG = 0.f, sumGX = 0.f;
    for (int j = r.lane * 4; j < cols; j += 128) {
      float a[4], d[4], s[4];
      activated(act, in, bias, j, cols, vec, a);
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
    load4(in, j, cols, vec, a);
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

// Sums over blocks of rows of each column, part[block][which][column]: of dscale (0) and doffset (1).
// A block has 32 columns and 8 threads for each, which take every eighth row and add in their order.
KERNEL norm_column_sums(int rows, int cols, int act, const float *bias, const float *mean, i64 strideMean, const float *rstd,
                        i64 strideRstd, const float *x, i64 strideX, const float *dy, i64 strideDY, u64 key, u64 threshold, float factor,
                        int col, int width, int rowsPerBlock, float *part) {
  __shared__ float sums[2][8][32];
  int c = threadIdx.x & 31, lane = threadIdx.x >> 5, j = blockIdx.x * 32 + c;
  int lo = blockIdx.y * rowsPerBlock, hi = min(lo + rowsPerBlock, rows);
  float sumScale = 0.f, sumOffset = 0.f;
  if (j < cols) {
    float b = bias ? bias[j] : 0.f;
    for (int i = lo + lane; i < hi; i += 8) {
      float d = dy[(i64)i * strideDY + j];
      if (threshold) {
        u64 word = (u64)i * (u64)width + (u64)(col + j);
        u32 w[4];
        philox(key, word >> 2, w);
        u32 v = (word & 3) == 0 ? w[0] : (word & 3) == 1 ? w[1] : (word & 3) == 2 ? w[2] : w[3];
        d = (u64)v >= threshold ? d * factor : 0.f;
      }
      float a = activate(act, x[(i64)i * strideX + j] + b);
      sumOffset += d;
      sumScale = fmaf(d, (a - mean[(i64)i * strideMean]) * rstd[(i64)i * strideRstd], sumScale);
    }
  }
  sums[0][lane][c] = sumScale;
  sums[1][lane][c] = sumOffset;
  __syncthreads();
  if (lane < 2 && j < cols) {
    float total = 0.f;
    for (int k = 0; k < 8; k++) total += sums[lane][k][c];
    part[((i64)blockIdx.y * 2 + lane) * cols + j] = total;
  }
}
