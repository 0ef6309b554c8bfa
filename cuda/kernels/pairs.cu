// Attention whose scores depend on both ends of an edge column by column (GATv2, arXiv:2105.14491): the
// score of u<-v in head k is a_k lrelu(l_uk + r_vk), its weight the softmax of that over row u. A warp
// does one head of a row, adding its entries in their order, and makes every score anew; where a head is
// wider than 128 columns it goes over the entries again for the next ones.
#include "common.cuh"

#define SPAN 4  // columns a lane in one pass: lane, lane+32, ...
#define ROWS_PER_WARP 4  // of pair_aggregate_self, which leaves one sum for all of them

DEVICE float leaky(float z) { return fmaxf(z, LEAKY_SLOPE * z); }

// The score of an edge in a head, the same in every lane.
DEVICE float pairScore(const float *a, const float *l, const float *r, int width, int lane) {
  float sum = 0.f;
  for (int j = lane; j < width; j += 32) sum = fmaf(a[j], leaky(l[j] + r[j]), sum);
  return warpSum(sum);
}

// The weight of an edge as it counts, and the gradient of its score.
DEVICE float pairChange(const EdgeDrop &drop, int u, int v, int k, const float *a, const float *l, const float *r, const float *dy, float top,
                        float sum, float rowDot, int width, int lane, float *g) {
  float score = 0.f, dot = 0.f;
  for (int j = lane; j < width; j += 32) {
    score = fmaf(a[j], leaky(l[j] + r[j]), score);
    dot = fmaf(dy[j], r[j], dot);
  }
  float w = expf(warpSum(score) - top) / sum, mask = edgeMask(drop, u, v, k);
  *g = w * (mask * warpSum(dot) - rowDot);
  return w * mask;
}

#define PAIR_PARAMS                                                                                                            \
  const float *l, i64 strideL, const float *att, const float *top, i64 strideTop, const float *sum, i64 strideSum, const float *dot, \
      i64 strideDot

// The entries of a part of y, top and sum: the sums of the sources by weight, divided by those of the
// weights.
KERNEL pair_aggregate(int rows, int heads, int width, const float *l, i64 strideL, const float *att, float *top, i64 strideTop, float *sum,
                      i64 strideSum, const int *indptr, const int *indices, EDGE_DROP_PARAMS, const float *r, i64 strideR, int first,
                      float *y, i64 strideY) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5), k = blockIdx.y;
  if (i >= rows) return;
  EdgeDrop drop = EDGE_DROP;
  const float *own = l + (i64)i * strideL + (i64)k * width, *a = att + (i64)k * width;
  float *out = y + (i64)i * strideY + (i64)k * width;
  float oldTop = first ? 0.f : top[(i64)i * strideTop + k], oldSum = first ? 0.f : sum[(i64)i * strideSum + k];
  float most = oldTop, total = oldSum;
  for (int from = 0; from == 0 || from < width; from += 32 * SPAN) {
    int j0 = from + lane;
    float acc[SPAN] = {};
#pragma unroll
    for (int q = 0; q < SPAN; q++) {
      int j = j0 + 32 * q;
      if (j < width && !first) acc[q] = out[j] * oldSum;
    }
    most = oldTop, total = oldSum;
    for (int e = indptr[i]; e < indptr[i + 1]; e++) {
      int v = indices[e];
      const float *row = r + (i64)v * strideR + (i64)k * width;
      float s = pairScore(a, own, row, width, lane), w = 1.f;
      if (total == 0.f) {
        most = s;
      } else if (s > most) {
        float f = expf(most - s);
        total *= f;
#pragma unroll
        for (int q = 0; q < SPAN; q++) acc[q] *= f;
        most = s;
      } else {
        w = expf(s - most);
      }
      total += w;
      w *= edgeMask(drop, i, v, k);
#pragma unroll
      for (int q = 0; q < SPAN; q++) {
        int j = j0 + 32 * q;
        if (j < width) acc[q] = fmaf(w, row[j], acc[q]);
      }
    }
    float f = total > 0.f ? 1.f / total : 1.f;
#pragma unroll
    for (int q = 0; q < SPAN; q++) {
      int j = j0 + 32 * q;
      if (j < width) out[j] = acc[q] * f;
    }
  }
  if (lane == 0) {
    top[(i64)i * strideTop + k] = most;
    sum[(i64)i * strideSum + k] = total;
  }
}

// dl = beta dl + the gradient of the destinations; part has, for every few rows, the gradient of a.
KERNEL pair_aggregate_self(int rows, int heads, int width, PAIR_PARAMS, const int *indptr, const int *indices, EDGE_DROP_PARAMS,
                           const float *r, i64 strideR, const float *dy, i64 strideDY, int add, float *dl, i64 strideDL, float *part) {
  int lane = threadIdx.x & 31, group = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5), k = blockIdx.y;
  int lo = group * ROWS_PER_WARP, hi = min(lo + ROWS_PER_WARP, rows);
  if (lo >= rows) return;
  EdgeDrop drop = EDGE_DROP;
  const float *a = att + (i64)k * width;
  for (int from = 0; from < width; from += 32 * SPAN) {
    int j0 = from + lane;
    float da[SPAN] = {};
    for (int i = lo; i < hi; i++) {
      const float *own = l + (i64)i * strideL + (i64)k * width, *grad = dy + (i64)i * strideDY + (i64)k * width;
      float rowTop = top[(i64)i * strideTop + k], rowSum = sum[(i64)i * strideSum + k], rowDot = dot[(i64)i * strideDot + k];
      float acc[SPAN] = {};
      for (int e = indptr[i]; e < indptr[i + 1]; e++) {
        int v = indices[e];
        const float *row = r + (i64)v * strideR + (i64)k * width;
        float g;
        pairChange(drop, i, v, k, a, own, row, grad, rowTop, rowSum, rowDot, width, lane, &g);
#pragma unroll
        for (int q = 0; q < SPAN; q++) {
          int j = j0 + 32 * q;
          if (j >= width) break;
          float z = own[j] + row[j], f = z > 0.f ? 1.f : LEAKY_SLOPE;
          da[q] = fmaf(g, f * z, da[q]);
          acc[q] = fmaf(g, f * a[j], acc[q]);
        }
      }
#pragma unroll
      for (int q = 0; q < SPAN; q++) {
        int j = j0 + 32 * q;
        if (j >= width) break;
        float *p = dl + (i64)i * strideDL + (i64)k * width + j;
        *p = add ? *p + acc[q] : acc[q];
      }
    }
#pragma unroll
    for (int q = 0; q < SPAN; q++) {
      int j = j0 + 32 * q;
      if (j < width) part[(i64)group * heads * width + (i64)k * width + j] = da[q];
    }
  }
}

// dr = beta dr + the gradient of the sources. Rows are those of the transpose.
KERNEL pair_aggregate_back(int rows, int heads, int width, PAIR_PARAMS, const int *indptr, const int *indices, EDGE_DROP_PARAMS,
                           const float *r, i64 strideR, const float *dy, i64 strideDY, int add, float *dr, i64 strideDR) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5), k = blockIdx.y;
  if (i >= rows) return;
  EdgeDrop drop = EDGE_DROP;
  const float *a = att + (i64)k * width, *own = r + (i64)i * strideR + (i64)k * width;
  for (int from = 0; from < width; from += 32 * SPAN) {
    int j0 = from + lane;
    float acc[SPAN] = {};
    for (int e = indptr[i]; e < indptr[i + 1]; e++) {
      i64 u = indices[e];
      const float *left = l + u * strideL + (i64)k * width, *grad = dy + u * strideDY + (i64)k * width;
      float g, w = pairChange(drop, (int)u, i, k, a, left, own, grad, top[u * strideTop + k], sum[u * strideSum + k],
                              dot[u * strideDot + k], width, lane, &g);
#pragma unroll
      for (int q = 0; q < SPAN; q++) {
        int j = j0 + 32 * q;
        if (j >= width) break;
        float f = g * a[j] * (left[j] + own[j] > 0.f ? 1.f : LEAKY_SLOPE);
        acc[q] += fmaf(w, grad[j], f);
      }
    }
#pragma unroll
    for (int q = 0; q < SPAN; q++) {
      int j = j0 + 32 * q;
      if (j >= width) break;
      float *p = dr + (i64)i * strideDR + (i64)k * width + j;
      *p = add ? *p + acc[q] : acc[q];
    }
  }
}
