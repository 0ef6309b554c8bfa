// Rows scaled to length one. A warp does a row; lengths are summed in double precision.
#include "common.cuh"

#define LEAST_NORM 1e-12

// y = x/norm, norm = max(|x|, 1e-12).
KERNEL unit_rows(int rows, int cols, const float *x, i64 strideX, float *y, i64 strideY, float *norm, i64 strideN) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (i >= rows) return;
  const float *in = x + (i64)i * strideX;
  double sum = 0.0;
  for (int j = lane; j < cols; j += 32) sum = fma((double)in[j], (double)in[j], sum);
  double length = sqrt(warpSum(sum));
  float n = (float)(length < LEAST_NORM ? LEAST_NORM : length), f = 1.f / n;
  if (lane == 0) norm[(i64)i * strideN] = n;
  for (int j = lane; j < cols; j += 32) y[(i64)i * strideY + j] = in[j] * f;
}

// dx = (dy - y <y,dy>)/norm; dx may be dy.
KERNEL unit_rows_back(int rows, int cols, const float *dy, i64 strideDY, const float *y, i64 strideY, const float *norm, i64 strideN,
                      float *dx, i64 strideDX) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (i >= rows) return;
  const float *g = dy + (i64)i * strideDY, *u = y + (i64)i * strideY;
  double sum = 0.0;
  for (int j = lane; j < cols; j += 32) sum = fma((double)u[j], (double)g[j], sum);
  float dot = (float)warpSum(sum), f = 1.f / norm[(i64)i * strideN];
  for (int j = lane; j < cols; j += 32) dx[(i64)i * strideDX + j] = (g[j] - u[j] * dot) * f;
}
