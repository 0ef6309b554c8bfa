// Aggregation with weights made for each edge from scores of its ends, forward and backward, and the
// largest neighbours. A warp does one head of a row, adding its entries in their order; where a head
// is wider than 128 columns it goes over the entries again for the next ones.
#include "common.cuh"

enum { HEAD_SUM, HEAD_RELU, HEAD_SOFTMAX };
#define SPAN 4  // columns a lane in one pass: lane, lane+32, ...

// Scores of destinations and, for HEAD_SOFTMAX, the largest and the sum of exponentials of their rows.
struct Self {
  int score;
  const float *s, *top, *sum, *dot;
  i64 strideS, strideTop, strideSum, strideDot;
};

// The weight of the edge u<-v in head k, and what a change of it is multiplied by to be one of s+t;
// for HEAD_SOFTMAX that is of the change less dot.
DEVICE float weightOf(const Self &self, i64 u, int k, float t, float value, float *slope) {
  float z = self.s[u * self.strideS + k] + t;
  if (self.score == HEAD_SUM) {
    *slope = value;
    return z * value;
  }
  if (self.score == HEAD_RELU) {
    if (z > 0.f) {
      *slope = value;
      return z * value;
    }
    *slope = 0.f;
    return 0.f * z;  // a NaN stays one
  }
  float f = 1.f;
  if (z < 0.f) z *= LEAKY_SLOPE, f = LEAKY_SLOPE;
  float w = expf(z - self.top[u * self.strideTop + k]) / self.sum[u * self.strideSum + k];
  *slope = w * f;
  return w;
}

#define SELF_PARAMS                                                                                                         \
  int score, const float *s, i64 strideS, const float *top, i64 strideTop, const float *sum, i64 strideSum, const float *dot, \
      i64 strideDot
#define SELF {score, s, top, sum, dot, strideS, strideTop, strideSum, strideDot}

// y = beta y + sum over v of w x_v; mean, unless null, = beta mean + A x. The scores t of the sources
// are behind the heads' columns of src.
KERNEL head_aggregate(int rows, int heads, int width, SELF_PARAMS, const int *indptr, const int *indices, const float *values,
                      EDGE_DROP_PARAMS, const float *src, i64 strideSrc, int add, float *y, i64 strideY, float *mean, i64 strideMean) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5), k = blockIdx.y;
  if (i >= rows) return;
  Self self = SELF;
  EdgeDrop drop = EDGE_DROP;
  int lo = indptr[i], hi = indptr[i + 1], cols = heads * width;
  for (int j0 = lane; j0 < width; j0 += 32 * SPAN) {
    float acc[SPAN] = {}, plain[SPAN] = {};
    for (int e = lo; e < hi; e++) {
      const float *row = src + (i64)indices[e] * strideSrc;
      float value = values[e], slope, w = weightOf(self, i, k, row[cols + k], value, &slope) * edgeMask(drop, i, indices[e], k);
#pragma unroll
      for (int q = 0; q < SPAN; q++) {
        int j = j0 + 32 * q;
        if (j >= width) break;
        float x = row[k * width + j];
        acc[q] = fmaf(w, x, acc[q]);
        plain[q] = fmaf(value, x, plain[q]);
      }
    }
#pragma unroll
    for (int q = 0; q < SPAN; q++) {
      int j = j0 + 32 * q;
      if (j >= width) break;
      float *out = y + (i64)i * strideY + k * width + j;
      *out = add ? *out + acc[q] : acc[q];
      if (!mean) continue;
      out = mean + (i64)i * strideMean + k * width + j;
      *out = add ? *out + plain[q] : plain[q];
    }
  }
}

// ds = beta ds + the gradient of the destinations' scores.
KERNEL head_aggregate_self(int rows, int heads, int width, SELF_PARAMS, const int *indptr, const int *indices, const float *values,
                           EDGE_DROP_PARAMS, const float *src, i64 strideSrc, const float *dy, i64 strideDY, int add, float *ds,
                           i64 strideDS) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5), k = blockIdx.y;
  if (i >= rows) return;
  Self self = SELF;
  EdgeDrop drop = EDGE_DROP;
  int cols = heads * width;
  float total = 0.f;
  for (int e = indptr[i]; e < indptr[i + 1]; e++) {
    const float *row = src + (i64)indices[e] * strideSrc;
    float slope, part = 0.f;
    weightOf(self, i, k, row[cols + k], values[e], &slope);
    for (int j = lane; j < width; j += 32) part = fmaf(row[k * width + j], dy[(i64)i * strideDY + k * width + j], part);
    part *= edgeMask(drop, i, indices[e], k);
    if (lane == 0 && score == HEAD_SOFTMAX) part -= self.dot[i * strideDot + k];
    total = fmaf(part, slope, total);
  }
  total = warpSum(total);
  float *out = ds + (i64)i * strideDS + k;
  if (lane == 0) *out = add ? *out + total : total;
}

// dsrc = beta dsrc + the gradient of the sources, of which the last columns are with respect to t. Rows
// are those of the transpose: sources.
KERNEL head_aggregate_back(int rows, int heads, int width, SELF_PARAMS, const int *indptr, const int *indices, const float *values,
                           EDGE_DROP_PARAMS, const float *src, i64 strideSrc, const float *dy, i64 strideDY, int add, float *dsrc,
                           i64 strideD) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5), k = blockIdx.y;
  if (i >= rows) return;
  Self self = SELF;
  EdgeDrop drop = EDGE_DROP;
  int lo = indptr[i], hi = indptr[i + 1], cols = heads * width;
  const float *row = src + (i64)i * strideSrc;
  float t = row[cols + k], total = 0.f, *out = dsrc + (i64)i * strideD;
  for (int from = 0; from == 0 || from < width; from += 32 * SPAN) {  // once for heads without columns
    int j0 = from + lane;
    float acc[SPAN] = {};
    for (int e = lo; e < hi; e++) {
      i64 u = indices[e];
      float slope, w = weightOf(self, u, k, t, values[e], &slope), mask = edgeMask(drop, indices[e], i, k), part = 0.f;
      w *= mask;
#pragma unroll
      for (int q = 0; q < SPAN; q++) {
        int j = j0 + 32 * q;
        if (j >= width) break;
        float g = dy[u * strideDY + k * width + j];
        acc[q] = fmaf(w, g, acc[q]);
        part = fmaf(g, row[k * width + j], part);
      }
      part *= mask;
      if (lane == 0 && from == 0 && score == HEAD_SOFTMAX) part -= self.dot[u * strideDot + k];
      total = fmaf(part, slope, total);
    }
#pragma unroll
    for (int q = 0; q < SPAN; q++) {
      int j = j0 + 32 * q;
      if (j >= width) break;
      float *p = out + k * width + j;
      *p = add ? *p + acc[q] : acc[q];
    }
  }
  total = warpSum(total);
  if (lane == 0) out[cols + k] = add ? out[cols + k] + total : total;
}

// The entries of a part of the row's largest score and sum of exponentials relative to it.
KERNEL head_softmax_sums(int rows, int heads, const int *indptr, const int *indices, const float *s, i64 strideS, const float *t,
                         i64 strideT, int first, float *top, i64 strideTop, float *sum, i64 strideSum) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5), k = blockIdx.y;
  if (i >= rows) return;
  int lo = indptr[i], hi = indptr[i + 1];
  float own = s[(i64)i * strideS + k], oldTop = 0.f, oldSum = 0.f, most = -__int_as_float(0x7f800000);
  if (!first) {
    oldTop = top[(i64)i * strideTop + k];
    oldSum = sum[(i64)i * strideSum + k];
  }
  if (hi == lo) {
    if (lane == 0 && first) {
      top[(i64)i * strideTop + k] = 0.f;
      sum[(i64)i * strideSum + k] = 0.f;
    }
    return;
  }
  if (oldSum != 0.f) most = oldTop;
  for (int e = lo + lane; e < hi; e += 32) most = fmaxf(most, activate(LEAKY, own + t[(i64)indices[e] * strideT + k]));
  most = warpMax(most);
  double total = 0.0;
  for (int e = lo + lane; e < hi; e += 32) total += (double)expf(activate(LEAKY, own + t[(i64)indices[e] * strideT + k]) - most);
  total = warpSum(total);
  if (oldSum != 0.f) total += (double)oldSum * (double)expf(oldTop - most);
  if (lane == 0) {
    top[(i64)i * strideTop + k] = most;
    sum[(i64)i * strideSum + k] = (float)total;
  }
}

// y[u,j] = the largest x[v,j] of the entries v of row u, arg[u,j] = base + v, the first of equals.
KERNEL neighbor_max(int rows, int cols, const int *indptr, const int *indices, const float *x, i64 strideX, int base, int first, float *y,
                    i64 strideY, int *arg, i64 strideArg) {
  i64 w = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (w >= (i64)rows * cols) return;
  i64 i = w / cols;
  int j = (int)(w - i * cols), best = first ? -1 : arg[i * strideArg + j];
  float top = first ? 0.f : y[i * strideY + j];
  for (int e = indptr[i]; e < indptr[i + 1]; e++) {
    float v = x[(i64)indices[e] * strideX + j];
    if (best < 0 || v > top) top = v, best = base + indices[e];
  }
  y[i * strideY + j] = top;
  arg[i * strideArg + j] = best;
}

// dx[v,j] = beta dx[v,j] + sum of dy[u,j] over the different entries u of row v with arg[u,j] = base + v.
KERNEL neighbor_max_back(int rows, int cols, const int *indptr, const int *indices, const int *arg, i64 strideArg, const float *dy,
                         i64 strideDY, int base, int add, float *dx, i64 strideDX) {
  i64 w = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (w >= (i64)rows * cols) return;
  i64 i = w / cols;
  int j = (int)(w - i * cols), last = -1, own = base + (int)i;
  float total = add ? dx[i * strideDX + j] : 0.f;
  for (int e = indptr[i]; e < indptr[i + 1]; e++) {
    int u = indices[e];
    if (u == last) continue;
    last = u;
    if (arg[(i64)u * strideArg + j] == own) total += dy[(i64)u * strideDY + j];
  }
  dx[i * strideDX + j] = total;
}
