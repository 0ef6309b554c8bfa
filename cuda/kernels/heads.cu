// Operations on the heads of rows: K column ranges of width columns each. A warp does a row.
#include "common.cuh"

DEVICE float logistic(float v) { return 1.f / (1.f + expf(-v)); }

// The sum over a head of x*y, the same in every lane.
DEVICE float headDot(const float *x, const float *y, int width, int lane) {
  float sum = 0.f;
  for (int j = lane; j < width; j += 32) sum = fmaf(x[j], y[j], sum);
  return warpSum(sum);
}

// s = act(dots of the heads of x and a, plus bias). A stride of 0 repeats the row of a.
KERNEL head_dots(int rows, int heads, int width, int act, const float *x, i64 strideX, const float *a, i64 strideA, const float *bias,
                 float *s, i64 strideS) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (i >= rows) return;
  for (int k = 0; k < heads; k++) {
    float v = headDot(x + (i64)i * strideX + (i64)k * width, a + (i64)i * strideA + (i64)k * width, width, lane);
    if (bias) v += bias[k];
    if (lane == 0) s[(i64)i * strideS + k] = activate(act, v);
  }
}

// The gradient of a score before its activation, whose value after it is s.
DEVICE float scoreGrad(int act, float s, float ds) { return ds * (act == IDENTITY || s > 0.f ? 1.f : act == LEAKY ? LEAKY_SLOPE : 0.f); }

// dx = beta dx + g a, where g is the gradient of the row's score in the column's head.
KERNEL head_dots_back(int rows, int heads, int width, int act, const float *a, const float *s, i64 strideS, const float *ds, i64 strideDS,
                      int add, float *dx, i64 strideDX) {
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  int cols = heads * width;
  if (t >= (i64)rows * cols) return;
  i64 i = t / cols;
  int j = (int)(t - i * cols), k = j / width;
  float g = scoreGrad(act, s[i * strideS + k], ds[i * strideDS + k]), *out = dx + i * strideDX + j;
  *out = add ? fmaf(g, a[j], *out) : g * a[j];
}

// part[block] has the sums over the block's rows of g x, then those of g.
KERNEL head_dots_sums(int rows, int heads, int width, int act, const float *x, i64 strideX, const float *s, i64 strideS, const float *ds,
                      i64 strideDS, int rowsPerBlock, float *part) {
  __shared__ float sums[8][32];
  int c = threadIdx.x & 31, lane = threadIdx.x >> 5, j = blockIdx.x * 32 + c, cols = heads * width;
  int lo = blockIdx.y * rowsPerBlock, hi = min(lo + rowsPerBlock, rows), k = j < cols ? j / width : j - cols;
  float sum = 0.f;
  if (j < cols + heads)
    for (int i = lo + lane; i < hi; i += 8) {
      float g = scoreGrad(act, s[(i64)i * strideS + k], ds[(i64)i * strideDS + k]);
      sum = j < cols ? fmaf(g, x[(i64)i * strideX + j], sum) : sum + g;
    }
  sums[lane][c] = sum;
  __syncthreads();
  if (lane == 0 && j < cols + heads) {
    float total = 0.f;
    for (int q = 0; q < 8; q++) total += sums[q][c];
    part[(i64)blockIdx.y * (cols + heads) + j] = total;
  }
}

// y = x f(g) for the gate g of the column's head; y may be x.
KERNEL head_scale(int rows, int heads, int width, int sigmoid, const float *g, i64 strideG, const float *x, i64 strideX, float *y,
                  i64 strideY) {
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  int cols = heads * width;
  if (t >= (i64)rows * cols) return;
  i64 i = t / cols;
  int j = (int)(t - i * cols);
  float f = g[i * strideG + j / width];
  y[i * strideY + j] = x[i * strideX + j] * (sigmoid ? logistic(f) : f);
}

// dx = dy f(g), dg = <x,dy> f'(g); dx may be dy.
KERNEL head_scale_back(int rows, int heads, int width, int sigmoid, const float *g, i64 strideG, const float *x, i64 strideX,
                       const float *dy, i64 strideDY, float *dx, i64 strideDX, float *dg, i64 strideDG) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (i >= rows) return;
  for (int k = 0; k < heads; k++) {
    const float *grad = dy + (i64)i * strideDY + (i64)k * width;
    float dot = headDot(x + (i64)i * strideX + (i64)k * width, grad, width, lane), f = g[(i64)i * strideG + k];
    if (sigmoid) {
      f = logistic(f);
      dot *= f * (1.f - f);
    }
    if (lane == 0) dg[(i64)i * strideDG + k] = dot;
    float *out = dx + (i64)i * strideDX + (i64)k * width;
    for (int j = lane; j < width; j += 32) out[j] = grad[j] * f;
  }
}

// y[i,j] = the largest of x[i,kd+j] over the groups k of d = cols columns, arg its k, the first of equals.
KERNEL group_max(int rows, int cols, int groups, const float *x, i64 strideX, float *y, i64 strideY, int *arg, i64 strideArg) {
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (t >= (i64)rows * cols) return;
  i64 i = t / cols;
  int j = (int)(t - i * cols), best = 0;
  float top = x[i * strideX + j];
  for (int k = 1; k < groups; k++) {
    float v = x[i * strideX + (i64)k * cols + j];
    if (v > top) top = v, best = k;
  }
  y[i * strideY + j] = top;
  arg[i * strideArg + j] = best;
}

// dx[i,kd+j] = dy[i,j] if arg[i,j] is k, else 0.
KERNEL group_max_back(int rows, int cols, int groups, const int *arg, i64 strideArg, const float *dy, i64 strideDY, float *dx,
                      i64 strideDX) {
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (t >= (i64)rows * cols) return;
  i64 i = t / cols;
  int j = (int)(t - i * cols), best = arg[i * strideArg + j];
  float g = dy[i * strideDY + j];
  for (int k = 0; k < groups; k++) dx[i * strideDX + (i64)k * cols + j] = k == best ? g : 0.f;
}
