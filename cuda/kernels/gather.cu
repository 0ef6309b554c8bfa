// Rows by number: dst[i] = drop(src[idx[i]]). A warp copies a row.
#include "common.cuh"

DEVICE i64 sourceRow(const int *idx, i64 strideIdx, int i, int srcRows, int lane, int *fault, int op) {
  int k = idx[(i64)i * strideIdx];
  if ((u32)k < (u32)srcRows) return k;
  if (lane == 0) report(fault, op, i, k);
  return -1;
}

KERNEL gather_words(int rows, int cols, const float *src, i64 strideSrc, int srcRows, const int *idx, i64 strideIdx, float *dst,
                    i64 strideDst, u64 key, u64 threshold, float factor, int col, int width, int vec, int *fault, int op) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (i >= rows) return;
  i64 k = sourceRow(idx, strideIdx, i, srcRows, lane, fault, op);
  if (k < 0) return;
  Drop d = {key, threshold, factor, col, width};
  for (int j = lane * 4; j < cols; j += 128) {
    float v[4];
    load4(src + k * strideSrc, j, cols, vec, v);
    dropFour(d, i, j, v);
    store4(dst + (i64)i * strideDst, j, cols, vec, v);
  }
}

KERNEL gather_bytes(int rows, int cols, const u8 *src, i64 strideSrc, int srcRows, const int *idx, i64 strideIdx, u8 *dst, i64 strideDst,
                    int *fault, int op) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (i >= rows) return;
  i64 k = sourceRow(idx, strideIdx, i, srcRows, lane, fault, op);
  if (k < 0) return;
  for (int j = lane; j < cols; j += 32) dst[(i64)i * strideDst + j] = src[k * strideSrc + j];
}
