// Codes of a few bits for runs of values, and signs: layout, statistics and random numbers are those of
// QuantOps of trainer/tensor, and so are the bits.
#include "common.cuh"
#include "codes.cuh"

// Bytes of the codes of n values.
DEVICE i64 codeBytes(int bits, i64 n) { return (n * bits + 7) / 8; }

// Division of 64 bits is slow, and matrices of so many elements are rare.
DEVICE i64 rowOf(i64 at, int cols) { return at >> 32 ? at / cols : (i64)((u32)at / (u32)cols); }

// value returns element at of act(x + bias), counted row after row. Without signs nothing is added.
DEVICE float value(i64 at, int cols, const float *bias, int signs, int relu, const float *x, i64 strideX) {
  i64 i = rowOf(at, cols);
  int j = (int)(at - i * cols);
  float v = x[i * strideX + j];
  return signs ? staged(relu, __fadd_rn(v, bias ? bias[j] : 0.f)) : v;
}

// codes and stats of groups of width values; the last may be shorter. A warp does a group, four bytes a
// lane, which share a block of random numbers.
KERNEL quantize(int groups, i64 width, i64 count, int cols, int bits, u64 key, int signs, int relu, const float *bias, const float *x,
                i64 strideX, u8 *codes, float *stats, int *packed, i64 strideStats) {
  int lane = threadIdx.x & 31;
  i64 g = (i64)blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5), lo = g * width, hi = min(lo + width, count);
  if (g >= groups) return;
  float least = __int_as_float(0x7f800000), most = -least;
  for (i64 at = lo + lane; at < hi; at += 32) {
    float v = value(at, cols, bias, signs, relu, x, strideX);
    least = fminf(least, v), most = fmaxf(most, v);
  }
  Codes to = {codes, stats, packed, strideStats, bits, 0, 0, key};
  float zero, inv;
  encodeStats(to, g, -warpMax(-least), warpMax(most), lane == 0, &zero, &inv);
  int per = 8 / bits;
  i64 bytes = codeBytes(bits, hi - lo);
  u64 words = 32ull * (u64)g * (u64)((width + 127) / 128);
  u8 *out = codes + g * codeBytes(bits, width);
  float limit = (float)(((1u << bits) - 1) << 16);
  for (i64 first = 4 * lane; first < bytes; first += 128) {
    i64 block = first / 16;
    int b = (int)(first - block * 16), n = (int)min((i64)16, bytes - block * 16), m = min(4, n - b);
    u32 w[4], code[4] = {0, 0, 0, 0};
    for (int p = 0; p < per; p++) {
      u64 v = (u64)block * per + p;
      if (p == 0 || (v & 3) == 0) philox(key, (words + 16 * (v >> 2) + b) >> 2, w);
      int turn = 8 * (int)(v & 3);
#pragma unroll
      for (int c = 0; c < 4; c++) {
        i64 at = lo + block * 16 * per + (i64)p * n + b + c;
        if (c >= m || at >= hi) continue;
        float d = value(at, cols, bias, signs, relu, x, strideX);
        code[c] |= encode(d, zero, inv, limit, noise16(w[c], turn)) << (p * bits);
      }
    }
#pragma unroll
    for (int c = 0; c < 4; c++)
      if (c < m) out[first + c] = (u8)code[c];
  }
}

// signs: bit j%8 of byte j/8 of a row is set where x + bias is above 0.
KERNEL quant_signs(int rows, int cols, const float *bias, const float *x, i64 strideX, u8 *signs, i64 strideSigns) {
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  int bytes = (cols + 7) / 8;
  if (t >= (i64)rows * bytes) return;
  i64 i = rowOf(t, bytes);
  int b = (int)(t - i * bytes);
  u32 bits = 0;
  for (int k = 0; k < 8; k++) {
    int j = 8 * b + k;
    if (j < cols && x[i * strideX + j] + (bias ? bias[j] : 0.f) > 0.f) bits |= 1u << k;
  }
  signs[i * strideSigns + b] = (u8)bits;
}

// x = values of the codes, 0 without them; with signs less bias, and just enough away from there for
// x + bias to be above 0 or not as they say.
KERNEL dequantize(i64 count, int cols, i64 width, int bits, const u8 *codes, const float *stats, const int *packed, i64 strideStats,
                  const float *bias, const u8 *signs, i64 strideSigns, float *x, i64 strideX) {
  i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= count) return;
  i64 row = rowOf(at, cols);
  int j = (int)(at - row * cols);
  float v = 0.f;
  if (codes) {
    i64 g = (at | width) >> 32 ? at / width : (i64)((u32)at / (u32)width), in = at - g * width, bytes = codeBytes(bits, min(width, count - g * width));
    int per = 8 / bits;
    i64 block = in / (16 * per);
    int t = (int)(in - block * 16 * per), n = (int)min((i64)16, bytes - block * 16);
    u32 b = codes[g * codeBytes(bits, width) + block * 16 + t % n];
    float code = (float)(b >> (t / n * bits) & ((1u << bits) - 1));
    if (packed) {
      u32 s = (u32)packed[g * strideStats];
      v = __fadd_rn(__fmul_rn(code, wide(s >> 16)), wide(s & 0xffffu));
    } else {
      v = __fadd_rn(__fmul_rn(code, stats[g * strideStats + 1]), stats[g * strideStats]);
    }
  }
  if (signs) v = restored(v, bias ? bias[j] : 0.f, signs[row * strideSigns + j / 8] >> (j % 8) & 1);
  x[row * strideX + j] = v;
}

// x = the values of rows [from, from+rows) of a matrix of codes. A thread makes 4 columns.
KERNEL decode_rows(int rows, int cols, i64 from, CODED_PARAMS, float *x, i64 strideX, int vec) {
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  int quads = (cols + 3) / 4;
  if (t >= (i64)rows * quads) return;
  i64 i = rowOf(t, quads);
  int j = (int)(t - i * quads) * 4;
  Coded src = CODED;
  float v[4];
  decodeFour(src, from + i, j, cols, v);
  store4(x + i * strideX, j, cols, vec, v);
}

// t = v or -v: bit i%32 of word i/32 of the stream is set where element i, counted row after row, is -v.
KERNEL random_signs(int rows, int cols, u64 key, float v, float *t, i64 stride) {
  i64 q = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  int quads = (cols + 3) / 4;
  if (q >= (i64)rows * quads) return;
  i64 i = rowOf(q, quads);
  int j = (int)(q - i * quads) * 4;
  u64 at = (u64)i * (u64)cols + (u64)j, have = ~0ull;
  u32 w[4];
  for (int k = 0; k < 4 && j + k < cols; k++) {
    u64 e = at + k;
    if (e >> 7 != have) philox(key, have = e >> 7, w);
    int n = (int)(e >> 5 & 3);
    u32 x = n == 0 ? w[0] : n == 1 ? w[1] : n == 2 ? w[2] : w[3];
    t[i * stride + j + k] = x >> (e & 31) & 1 ? -v : v;
  }
}
