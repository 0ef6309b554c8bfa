// Rows by number: dst[i] = drop(src[idx[i]]). A warp copies a row. To dropout the first is row number from.
#include "common.cuh"

DEVICE i64 sourceRow(const int *idx, i64 strideIdx, int i, int srcRows, int lane, int *fault, int op) {
  int k = idx[(i64)i * strideIdx];
  if ((u32)k < (u32)srcRows) return k;
  if (lane == 0) report(fault, op, i, k);
  return -1;
}

KERNEL gather_words(int rows, int cols, i64 from, const float *src, i64 strideSrc, int srcRows, const int *idx, i64 strideIdx, float *dst,
                    i64 strideDst, u64 key, u64 threshold, float factor, int col, int width, int vec, int *fault, int op) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (i >= rows) return;
  i64 k = sourceRow(idx, strideIdx, i, srcRows, lane, fault, op);
  if (k < 0) return;
  Drop d = {key, threshold, factor, col, width};
  for (int j = lane * 4; j < cols; j += 128) {
    float v[4];
    load4(src + k * strideSrc, j, cols, vec, v);
    dropFour(d, from + i, j, v);
    store4(dst + (i64)i * strideDst, j, cols, vec, v);
  }
}

// halfOf returns the value of the bits of a float16, which every such value has in a float.
DEVICE float halfOf(u32 h) {
  u32 e = h >> 10 & 31, m = h & 1023, sign = (h & 0x8000) << 16;
  if (e == 31) return __int_as_float(sign | 0x7f800000 | m << 13);
  // Below the smallest normal number: m times 2^-24, which is exact.
  if (e == 0) return __int_as_float(sign | (u32)__float_as_int((float)m * 0x1p-24f));
  return __int_as_float(sign | e + 112 << 23 | m << 13);
}

// Rows of float16, as float. Four elements are two words where vec says that rows begin at a multiple of 8
// bytes; dst's rows then begin at one of 16.
KERNEL gather_half(int rows, int cols, i64 from, const unsigned short *src, i64 strideSrc, int srcRows, const int *idx, i64 strideIdx, float *dst,
                   i64 strideDst, u64 key, u64 threshold, float factor, int col, int width, int vec, int *fault, int op) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (i >= rows) return;
  i64 k = sourceRow(idx, strideIdx, i, srcRows, lane, fault, op);
  if (k < 0) return;
  const unsigned short *row = src + k * strideSrc;
  Drop d = {key, threshold, factor, col, width};
  for (int j = lane * 4; j < cols; j += 128) {
    float v[4];
    if (vec && j + 4 <= cols) {
      uint2 w = *(const uint2 *)(row + j);
      v[0] = halfOf(w.x & 0xffff), v[1] = halfOf(w.x >> 16), v[2] = halfOf(w.y & 0xffff), v[3] = halfOf(w.y >> 16);
    } else {
#pragma unroll
      for (int t = 0; t < 4; t++) v[t] = j + t < cols ? halfOf(row[j + t]) : 0.f;
    }
    dropFour(d, from + i, j, v);
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
