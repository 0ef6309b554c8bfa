// Normalization over the rows of each column. Statistics come from blocks of rows: 128 columns a block, and 8 warps
// that take every eighth row; blocks and warps add in their order.
#include "common.cuh"

// columnSums replaces four columns' sums of each warp by those of all, the same in every warp.
DEVICE void columnSums(float (*sums)[128], float *v) {
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
#pragma unroll
  for (int k = 0; k < 4; k++) sums[warp][4 * lane + k] = v[k];
  __syncthreads();
#pragma unroll
  for (int k = 0; k < 4; k++) {
    v[k] = 0.f;
    for (int w = 0; w < 8; w++) v[k] += sums[w][4 * lane + k];
  }
  __syncthreads();
}

// mergeSums is the sum of 8 warps' values of a column, in all of them.
DEVICE double mergeSums(double (*sums)[32], double v) {
  int lane = threadIdx.x & 31;
  sums[threadIdx.x >> 5][lane] = v;
  __syncthreads();
  double total = 0.0;
  for (int w = 0; w < 8; w++) total += sums[w][lane];
  __syncthreads();
  return total;
}

// part[block] has three rows: about the mean of the block's rows, and the sums of differences to it
// and of their squares.
KERNEL batch_moments(int rows, int cols, const float *x, i64 strideX, int vec, int rowsPerBlock, float *part) {
  __shared__ float sums[8][128];
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, j = blockIdx.x * 128 + lane * 4;
  int lo = blockIdx.y * rowsPerBlock, hi = min(lo + rowsPerBlock, rows);
  float mean[4] = {}, s1[4] = {}, s2[4] = {};
  if (j < cols)
#pragma unroll 4
    for (int i = lo + warp; i < hi; i += 8) {
      float v[4];
      load4(x + (i64)i * strideX, j, cols, vec, v);
#pragma unroll
      for (int k = 0; k < 4; k++) mean[k] += v[k];
    }
  columnSums(sums, mean);
#pragma unroll
  for (int k = 0; k < 4; k++) mean[k] /= (float)(hi - lo);
  if (j < cols)
#pragma unroll 4
    for (int i = lo + warp; i < hi; i += 8) {
      float v[4];
      load4(x + (i64)i * strideX, j, cols, vec, v);
#pragma unroll
      for (int k = 0; k < 4; k++) {
        float d = v[k] - mean[k];
        s1[k] += d;
        s2[k] = fmaf(d, d, s2[k]);
      }
    }
  columnSums(sums, s1);
  columnSums(sums, s2);
  if (warp) return;
  float *out = part + (i64)blockIdx.y * 3 * cols;
#pragma unroll
  for (int k = 0; k < 4; k++)
    if (j + k < cols) out[j + k] = mean[k], out[cols + j + k] = s1[k], out[2 * (i64)cols + j + k] = s2[k];
}

// Merges the moments of the blocks (Chan, Golub and LeVeque 1983): mean, rstd, mul = rstd*scale, and the running
// statistics where they are not null. A block has 32 columns, and 8 warps that take every eighth block of rows.
KERNEL batch_merge(int rows, int cols, int blocks, int rowsPerBlock, const float *part, float eps, float momentum, const float *scale,
                   float *mean, float *rstd, float *mul, float *runMean, float *runVar) {
  __shared__ double sums[8][32];
  int warp = threadIdx.x >> 5, j = blockIdx.x * 32 + (threadIdx.x & 31);
  double m = 0.0, v = 0.0;
  if (j < cols)
#pragma unroll 2
    for (int b = warp; b < blocks; b += 8) {
      const float *p = part + (i64)b * 3 * cols + j;
      double n = (double)min(rowsPerBlock, rows - b * rowsPerBlock);
      m += n * (double)p[0] + (double)p[cols];
    }
  m = mergeSums(sums, m) / (double)rows;
  if (j < cols)
#pragma unroll 2
    for (int b = warp; b < blocks; b += 8) {
      const float *p = part + (i64)b * 3 * cols + j;
      double n = (double)min(rowsPerBlock, rows - b * rowsPerBlock), d = (double)p[0] - m;
      v += (double)p[2 * (i64)cols] + 2.0 * d * (double)p[cols] + n * d * d;
    }
  v = mergeSums(sums, v) / (double)rows;
  if (warp || j >= cols) return;
  if (v < 0.0) v = 0.0;
  float r = (float)(1.0 / sqrt(v + (double)eps));
  mean[j] = (float)m;
  rstd[j] = r;
  mul[j] = r * scale[j];
  if (!runMean) return;
  double unbiased = rows > 1 ? (double)rows / (double)(rows - 1) : 1.0, f = (double)momentum;
  runMean[j] = (float)((1.0 - f) * (double)runMean[j] + f * m);
  runVar[j] = (float)((1.0 - f) * (double)runVar[j] + f * v * unbiased);
}

// mul = scale/sqrt(var + eps).
KERNEL batch_factors(int cols, float eps, const float *scale, const float *variance, float *mul) {
  int j = blockIdx.x * blockDim.x + threadIdx.x;
  if (j < cols) mul[j] = (float)(1.0 / sqrt((double)variance[j] + (double)eps)) * scale[j];
}

// A thread makes 4 columns of a row. Division of 64 bits is slow, and matrices of so many elements are rare.
DEVICE bool place(int rows, int cols, i64 *row, int *col) {
  int quads = (cols + 3) / 4;
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  *row = t >> 32 ? t / quads : (i64)((u32)t / (u32)quads);
  *col = (int)(t - *row * quads) * 4;
  return t < (i64)rows * quads;
}

// y = (x-mean)*mul + offset; y may be x.
KERNEL batch_apply(int rows, int cols, const float *x, i64 strideX, const float *mean, const float *mul, const float *offset, float *y,
                   i64 strideY, int vec) {
  i64 i;
  int j;
  if (!place(rows, cols, &i, &j)) return;
  float v[4], m[4], f[4], o[4];
  load4(x + i * strideX, j, cols, vec, v);
  load4(mean, j, cols, false, m);
  load4(mul, j, cols, false, f);
  load4(offset, j, cols, false, o);
#pragma unroll
  for (int k = 0; k < 4; k++) v[k] = fmaf(v[k] - m[k], f[k], o[k]);
  store4(y + i * strideY, j, cols, vec, v);
}

// part[block] has two rows: sums of dy and of dy*(x-mean)*rstd.
KERNEL batch_grad_sums(int rows, int cols, const float *x, i64 strideX, const float *dy, i64 strideDY, const float *mean,
                       const float *rstd, int vec, int rowsPerBlock, float *part) {
  __shared__ float sums[8][128];
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, j = blockIdx.x * 128 + lane * 4;
  int lo = blockIdx.y * rowsPerBlock, hi = min(lo + rowsPerBlock, rows);
  float s[4] = {}, sx[4] = {}, m[4], r[4];
  load4(mean, j, cols, false, m);
  load4(rstd, j, cols, false, r);
  if (j < cols)
#pragma unroll 2
    for (int i = lo + warp; i < hi; i += 8) {
      float d[4], v[4];
      load4(dy + (i64)i * strideDY, j, cols, vec, d);
      load4(x + (i64)i * strideX, j, cols, vec, v);
#pragma unroll
      for (int k = 0; k < 4; k++) {
        s[k] += d[k];
        sx[k] = fmaf(d[k], (v[k] - m[k]) * r[k], sx[k]);
      }
    }
  columnSums(sums, s);
  columnSums(sums, sx);
  if (warp) return;
  float *out = part + (i64)blockIdx.y * 2 * cols;
#pragma unroll
  for (int k = 0; k < 4; k++)
    if (j + k < cols) out[j + k] = s[k], out[cols + j + k] = sx[k];
}

// dscale, doffset += the sums; factors gets three rows: those of dy, of x-mean, and what is subtracted. Blocks are
// batch_merge's.
KERNEL batch_grad_merge(int rows, int cols, int blocks, const float *part, const float *scale, const float *rstd, float *dscale,
                        float *doffset, float *factors) {
  __shared__ double sums[8][32];
  int warp = threadIdx.x >> 5, j = blockIdx.x * 32 + (threadIdx.x & 31);
  double s = 0.0, sx = 0.0;
  if (j < cols)
#pragma unroll 2
    for (int b = warp; b < blocks; b += 8) {
      s += (double)part[(i64)b * 2 * cols + j];
      sx += (double)part[(i64)b * 2 * cols + cols + j];
    }
  s = mergeSums(sums, s);
  sx = mergeSums(sums, sx);
  if (warp || j >= cols) return;
  doffset[j] = (float)((double)doffset[j] + s);
  dscale[j] = (float)((double)dscale[j] + sx);
  double k = (double)scale[j] * (double)rstd[j];
  factors[j] = (float)k;
  factors[cols + j] = (float)(k * (double)rstd[j] * sx / (double)rows);
  factors[2 * (i64)cols + j] = (float)(k * s / (double)rows);
}

// dx = dy*factors[0] - (x-mean)*factors[1] - factors[2]; dx may be dy.
KERNEL batch_grad(int rows, int cols, const float *x, i64 strideX, const float *mean, const float *factors, const float *dy, i64 strideDY,
                  float *dx, i64 strideDX, int vec) {
  i64 i;
  int j;
  if (!place(rows, cols, &i, &j)) return;
  float v[4], d[4], m[4], f[3][4];
  load4(x + i * strideX, j, cols, vec, v);
  load4(dy + i * strideDY, j, cols, vec, d);
  load4(mean, j, cols, false, m);
#pragma unroll
  for (int w = 0; w < 3; w++) load4(factors + (i64)w * cols, j, cols, false, f[w]);
#pragma unroll
  for (int k = 0; k < 4; k++) d[k] = d[k] * f[0][k] - (v[k] - m[k]) * f[1][k] - f[2][k];
  store4(dx + i * strideDX, j, cols, vec, d);
}
