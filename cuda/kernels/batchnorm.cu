// Normalization over the rows of each column. Statistics come from blocks of rows: 32 columns a
// block, 8 threads for each, which take every eighth row; blocks and threads add in their order.
#include "common.cuh"

// Adds the eight threads' values of each column; the sum is in all of them.
DEVICE float columnSum(float v, float (*sums)[32]) {
  int c = threadIdx.x & 31, lane = threadIdx.x >> 5;
  sums[lane][c] = v;
  __syncthreads();
  float total = 0.f;
  for (int k = 0; k < 8; k++) total += sums[k][c];
  __syncthreads();
  return total;
}

// part[block] has three rows: about the mean of the block's rows, and the sums of differences to it
// and of their squares.
KERNEL batch_moments(int rows, int cols, const float *x, i64 strideX, int rowsPerBlock, float *part) {
  __shared__ float sums[8][32];
  int c = threadIdx.x & 31, lane = threadIdx.x >> 5, j = blockIdx.x * 32 + c;
  int lo = blockIdx.y * rowsPerBlock, hi = min(lo + rowsPerBlock, rows);
  float sum = 0.f, s1 = 0.f, s2 = 0.f;
  if (j < cols)
    for (int i = lo + lane; i < hi; i += 8) sum += x[(i64)i * strideX + j];
  float mean = columnSum(sum, sums) / (float)(hi - lo);
  if (j < cols)
    for (int i = lo + lane; i < hi; i += 8) {
      float d = x[(i64)i * strideX + j] - mean;
      s1 += d;
      s2 = fmaf(d, d, s2);
    }
  s1 = columnSum(s1, sums);
  s2 = columnSum(s2, sums);
  if (lane || j >= cols) return;
  float *out = part + (i64)blockIdx.y * 3 * cols + j;
  out[0] = mean;
  out[cols] = s1;
  out[2 * (i64)cols] = s2;
}

// Merges the moments of the blocks (Chan, Golub and LeVeque 1983): mean, rstd, mul = rstd*scale, and
// the running statistics where they are not null.
KERNEL batch_merge(int rows, int cols, int blocks, int rowsPerBlock, const float *part, float eps, float momentum, const float *scale,
                   float *mean, float *rstd, float *mul, float *runMean, float *runVar) {
  int j = blockIdx.x * blockDim.x + threadIdx.x;
  if (j >= cols) return;
  double m = 0.0, v = 0.0;
  for (int b = 0; b < blocks; b++) {
    const float *p = part + (i64)b * 3 * cols + j;
    double n = (double)min(rowsPerBlock, rows - b * rowsPerBlock);
    m += n * (double)p[0] + (double)p[cols];
  }
  m /= (double)rows;
  for (int b = 0; b < blocks; b++) {
    const float *p = part + (i64)b * 3 * cols + j;
    double n = (double)min(rowsPerBlock, rows - b * rowsPerBlock), d = (double)p[0] - m;
    v += (double)p[2 * (i64)cols] + 2.0 * d * (double)p[cols] + n * d * d;
  }
  v /= (double)rows;
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

// y = (x-mean)*mul + offset; y may be x.
KERNEL batch_apply(int rows, int cols, const float *x, i64 strideX, const float *mean, const float *mul, const float *offset, float *y,
                   i64 strideY) {
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (t >= (i64)rows * cols) return;
  i64 i = t / cols;
  int j = (int)(t - i * cols);
  y[i * strideY + j] = fmaf(x[i * strideX + j] - mean[j], mul[j], offset[j]);
}

// part[block] has two rows: sums of dy and of dy*(x-mean)*rstd.
KERNEL batch_grad_sums(int rows, int cols, const float *x, i64 strideX, const float *dy, i64 strideDY, const float *mean,
                       const float *rstd, int rowsPerBlock, float *part) {
  __shared__ float sums[8][32];
  int c = threadIdx.x & 31, lane = threadIdx.x >> 5, j = blockIdx.x * 32 + c;
  int lo = blockIdx.y * rowsPerBlock, hi = min(lo + rowsPerBlock, rows);
  float s = 0.f, sx = 0.f;
  if (j < cols)
    for (int i = lo + lane; i < hi; i += 8) {
      float d = dy[(i64)i * strideDY + j];
      s += d;
      sx = fmaf(d, (x[(i64)i * strideX + j] - mean[j]) * rstd[j], sx);
    }
  s = columnSum(s, sums);
  sx = columnSum(sx, sums);
  if (lane || j >= cols) return;
  float *out = part + (i64)blockIdx.y * 2 * cols + j;
  out[0] = s;
  out[cols] = sx;
}

// dscale, doffset += the sums; factors gets three rows: those of dy, of x-mean, and what is subtracted.
KERNEL batch_grad_merge(int rows, int cols, int blocks, const float *part, const float *scale, const float *rstd, float *dscale,
                        float *doffset, float *factors) {
  int j = blockIdx.x * blockDim.x + threadIdx.x;
  if (j >= cols) return;
  double s = 0.0, sx = 0.0;
  for (int b = 0; b < blocks; b++) {
    s += (double)part[(i64)b * 2 * cols + j];
    sx += (double)part[(i64)b * 2 * cols + cols + j];
  }
  doffset[j] = (float)((double)doffset[j] + s);
  dscale[j] = (float)((double)dscale[j] + sx);
  double k = (double)scale[j] * (double)rstd[j];
  factors[j] = (float)k;
  factors[cols + j] = (float)(k * (double)rstd[j] * sx / (double)rows);
  factors[2 * (i64)cols + j] = (float)(k * s / (double)rows);
}

// dx = dy*factors[0] - (x-mean)*factors[1] - factors[2]; dx may be dy.
KERNEL batch_grad(int rows, int cols, const float *x, i64 strideX, const float *mean, const float *factors, const float *dy, i64 strideDY,
                  float *dx, i64 strideDX) {
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (t >= (i64)rows * cols) return;
  i64 i = t / cols;
  int j = (int)(t - i * cols);
  dx[i * strideDX + j] =
      dy[i * strideDY + j] * factors[j] - (x[i * strideX + j] - mean[j]) * factors[cols + j] - factors[2 * (i64)cols + j];
}
