// Codes of a few bits as kernels read and write them on the way. Layout, statistics and random numbers are those
// of QuantOps of trainer/tensor, and so are the bits.

DEVICE float wide(u32 half) { return __uint_as_float(half << 16); }

// down returns the largest bfloat16 that is not above v.
DEVICE u32 down(float v) {
  u32 b = __float_as_uint(v);
  if ((b >> 31) && (b & 0xffffu)) b += 1u << 16;
  return b >> 16;
}

// plain turns -0 into 0: which of the two comes out of a warp depends on nothing that matters.
DEVICE float plain(float v) { return v == 0.f ? 0.f : v; }

// The logarithm of how many values 16 bytes hold.
DEVICE int valuesShift(int bits) { return 7 - (31 - __clz(bits)); }

// staged is what a value counts as beside its sign. What is not a number counts as the least.
DEVICE float staged(int relu, float v) {
  float least = relu ? 0.f : __int_as_float(0xff800000);
  return v > least ? v : least;
}

// restored moves v to where v + b is above 0 or not, as on says.
DEVICE float restored(float v, float b, bool on) {
  v = __fsub_rn(v, b);
  if (on == (__fadd_rn(v, b) > 0.f)) return v;
  return on ? __fsub_rn(__fadd_rn(__fmul_rn(fabsf(b), 9.5367431640625e-7f), 1e-30f), b) : -b;
}

// Coded is a matrix of codes whose groups do not cross rows: perRow of them, of width values. Without codes
// it is 0. whole says that four values from a column that is a multiple of 4 share a group, an aligned word of codes and an aligned
// part of the bias.
struct Coded {
  const u8 *codes;
  const float *stats;
  const int *packed;
  i64 strideStats;
  int bits, width, perRow, whole;
  const float *bias;
  const u8 *signs;
  i64 strideSigns;
};
#define CODED_PARAMS                                                                                                         \
  const u8 *codes, const float *stats, const int *packed, i64 strideStats, int bits, int groupWidth, int perRow, int whole, \
      const float *codeBias, const u8 *signs, i64 strideSigns
#define CODED {codes, stats, packed, strideStats, bits, groupWidth, perRow, whole, codeBias, signs, strideSigns}

// describe returns the statistics of group g.
DEVICE void describe(const Coded &c, i64 g, float *zero, float *step) {
  if (c.packed) {
    u32 s = (u32)c.packed[g * c.strideStats];
    *zero = wide(s & 0xffffu), *step = wide(s >> 16);
  } else {
    *zero = c.stats[g * c.strideStats], *step = c.stats[g * c.strideStats + 1];
  }
}

// decode returns the value in column j of a row.
DEVICE float decode(const Coded &c, i64 row, int j) {
  float v = 0.f;
  if (c.codes) {
    int group = j / c.width, in = j - group * c.width, shift = valuesShift(c.bits), bytes = (c.width * c.bits + 7) / 8;
    i64 g = row * c.perRow + group;
    int block = in >> shift, t = in - (block << shift), n = min(16, bytes - block * 16);
    u32 b = c.codes[g * bytes + block * 16 + t % n];
    float zero, step;
    describe(c, g, &zero, &step);
    v = __fadd_rn(__fmul_rn((float)(b >> (t / n * c.bits) & ((1u << c.bits) - 1)), step), zero);
  }
  if (c.signs) v = restored(v, c.bias ? c.bias[j] : 0.f, c.signs[row * c.strideSigns + j / 8] >> (j % 8) & 1);
  return v;
}

// decodeWhole is decodeFour for a matrix that is whole.
DEVICE void decodeWhole(const Coded &c, i64 row, int j, int cols, float *v) {
#pragma unroll
  for (int k = 0; k < 4; k++) v[k] = 0.f;
  if (j >= cols) return;
  if (c.codes) {
    int group = c.perRow == 1 ? 0 : j / c.width, in = j - group * c.width, shift = valuesShift(c.bits), bytes = c.width * c.bits / 8;
    i64 g = row * c.perRow + group;
    int block = in >> shift, t = in - (block << shift), n = min(16, bytes - block * 16), p = n == 16 ? t >> 4 : t / n;
    u32 w = *(const u32 *)(c.codes + g * bytes + block * 16 + (t - p * n)) >> (p * c.bits);
    float zero, step;
    describe(c, g, &zero, &step);
#pragma unroll
    for (int k = 0; k < 4; k++) v[k] = __fadd_rn(__fmul_rn((float)(w >> (8 * k) & ((1u << c.bits) - 1)), step), zero);
  }
  if (!c.signs) return;
  u32 on = (u32)c.signs[row * c.strideSigns + j / 8] >> (j & 4);
  float b[4] = {0.f, 0.f, 0.f, 0.f};
  if (c.bias) load4(c.bias, j, j + 4, true, b);
#pragma unroll
  for (int k = 0; k < 4; k++) v[k] = restored(v[k], b[k], on >> k & 1);
}

// decodeFour writes the values in columns j to j+3 of a row, j a multiple of 4; those behind cols are 0.
DEVICE void decodeFour(const Coded &c, i64 row, int j, int cols, float *v) {
  if (c.whole) {
    decodeWhole(c, row, j, cols, v);
    return;
  }
#pragma unroll
  for (int k = 0; k < 4; k++) v[k] = j + k < cols ? decode(c, row, j + k) : 0.f;
}

// What operations read four columns at a time, or one: memory, or codes.
struct Plain {
  const float *x;
  i64 stride;
  int vec;
};
DEVICE void four(const Plain &s, i64 i, int j, int cols, float *v) { load4(s.x + i * s.stride, j, cols, s.vec, v); }
DEVICE float one(const Plain &s, i64 i, int j) { return s.x[i * s.stride + j]; }
DEVICE void four(const Coded &s, i64 i, int j, int cols, float *v) { decodeFour(s, i, j, cols, v); }
DEVICE float one(const Coded &s, i64 i, int j) { return decode(s, i, j); }

// Codes is where the codes of a matrix go. A warp makes those of a row's columns, four in a row for each lane, where
// a group is a row, or 64 or 128 columns, and its codes fill blocks of 16 bytes, or 8 bytes.
struct Codes {
  u8 *codes;
  float *stats;
  int *packed;
  i64 strideStats;
  int bits, width, perRow;
  u64 key;
};
#define CODES_PARAMS(p) u8 *p##Codes, float *p##Stats, int *p##Packed, i64 p##StrideStats, int p##Bits, int p##Width, int p##PerRow, u64 p##Key
#define CODES(p) {p##Codes, p##Stats, p##Packed, p##StrideStats, p##Bits, p##Width, p##PerRow, p##Key}

// encodeStats writes the statistics of group g with values from least to most, if the lane is to, and returns what codes are made with.
DEVICE void encodeStats(const Codes &c, i64 g, float least, float most, bool write, float *zero, float *inv) {
  int levels = (1 << c.bits) - 1;
  float step;
  least = plain(least), most = plain(most);
  if (c.packed) {
    u32 low = down(least);
    least = wide(low);
    u32 high = down(-__fdiv_rn(__fsub_rn(most, least), (float)levels)) ^ (1u << 15);
    step = wide(high);
    if (write) c.packed[g * c.strideStats] = (int)(low | high << 16);
  } else {
    float range = __fsub_rn(most, least);
    step = __fdiv_rn(range, (float)levels);
    if (__fmul_rn(step, (float)levels) < range) step = __int_as_float(__float_as_int(step) + 1);
    if (write) c.stats[g * c.strideStats] = least, c.stats[g * c.strideStats + 1] = step;
  }
  *zero = least;
  *inv = step == 0.f ? 0.f : fminf(__fdiv_rn(65536.f, step), 3.402823466e38f);
}

// encode returns the code of v, of what is not a number the largest; limit is that one times 65536, and noise has 16 bits.
DEVICE u32 encode(float v, float zero, float inv, float limit, u32 noise) {
  return (__float2uint_rn(fminf(__fmul_rn(__fsub_rn(v, zero), inv), limit)) + noise) >> 16;
}

// noise16 returns 16 bits of w, turn of whose 8 bits are another's.
DEVICE u32 noise16(u32 w, int turn) { return __funnelshift_r(w, w, turn) & 0xffffu; }

// encodeRow writes the codes of columns first + 128 q + 4 lane + k of a row, q below Q, as far as they are below
// cols. first is a multiple of the width unless that is the row's, when it is 0. All lanes of the warp take part.
template <int Q>
DEVICE void encodeRow(const Codes &c, i64 row, int first, int cols, const float (*v)[4]) {
  int lane = threadIdx.x & 31, chunk = c.perRow == 1 ? 0 : c.width;  // columns of a group; 0: all
  bool brief = c.width * c.bits == 64;
  i64 g0 = row * c.perRow + (chunk ? first / c.width : 0);
  float zero[Q], inv[Q];
  float least = __int_as_float(0x7f800000), most = -least;
#pragma unroll
  for (int q = 0; q < Q; q++) {
    int j = first + 128 * q + 4 * lane;
    if (chunk) least = __int_as_float(0x7f800000), most = -least;
#pragma unroll
    for (int k = 0; k < 4; k++)
      if (j < cols) least = fminf(least, v[q][k]), most = fmaxf(most, v[q][k]);
    if (!chunk && q < Q - 1) continue;
#pragma unroll
    for (int o = 16; o; o >>= 1)
      if (o < 16 || chunk != 64) {
        least = fminf(least, __shfl_xor_sync(FULL, least, o));
        most = fmaxf(most, __shfl_xor_sync(FULL, most, o));
      }
    i64 g = !chunk ? g0 : chunk == 128 ? g0 + q : g0 + 2 * q + (lane >> 4);
    bool write = chunk ? j < cols && 4 * lane % chunk == 0 : lane == 0;
    encodeStats(c, g, least, most, write, &zero[q], &inv[q]);
  }
  if (!chunk)
#pragma unroll
    for (int q = 0; q < Q - 1; q++) zero[q] = zero[Q - 1], inv[q] = inv[Q - 1];
  float limit = (float)(((1u << c.bits) - 1) << 16);
  int bytes = c.width * c.bits / 8, words = 32 * ((c.width + 127) / 128), per = 8 / c.bits;
  // 8 blocks of random numbers serve 128 columns: a lane makes one of those of the q-th and three that follow.
  int turn = 8 * ((brief ? lane >> 1 : lane >> 2) & 3), p = brief ? (lane & 15) >> 1 : (lane >> 2) & (per - 1);
  int mine = brief ? (lane >> 4) << 2 | (lane >> 3 & 1) << 1 | (lane & 1) : (lane >> 4) << 2 | (lane & 3);
  u32 w[4];
#pragma unroll
  for (int q = 0; q < Q; q++) {
    if (q % 4 == 0) {
      int at = q + (lane >> 3), half = lane >> 2 & 1;
      u64 ctr;
      if (brief)
        ctr = (u64)(chunk ? g0 + 2 * at + half : g0) * 8 + (lane >> 1 & 1) * 4 + (lane & 1);
      else if (chunk == 64)
        ctr = (u64)(g0 + 2 * at + half) * 8 + (lane & 3);
      else if (chunk)
        ctr = (u64)(g0 + at) * 8 + half * 4 + (lane & 3);
      else
        ctr = (u64)g0 * (words / 4) + (2 * at + half) * 4 + (lane & 3);
      philox(c.key, ctr, w);
    }
    u32 code = 0, n[4];
#pragma unroll
    for (int k = 0; k < 4; k++) n[k] = __shfl_sync(FULL, w[k], (q & 3) << 3 | mine);
    int j = first + 128 * q + 4 * lane;
    if (j < cols) {
#pragma unroll
      for (int k = 0; k < 4; k++) code |= encode(v[q][k], zero[q], inv[q], limit, noise16(n[k], turn)) << (8 * k + p * c.bits);
    }
    // Lanes whose values share bytes.
    int from = brief ? 2 : 4;
#pragma unroll
    for (int o = 2; o < 32; o <<= 1)
      if (o >= from && o < from * per) code |= __shfl_xor_sync(FULL, code, o);
    if (j < cols && p == 0) {
      int t = chunk == 64 ? 4 * (lane & 15) : chunk ? 4 * lane : 128 * q + 4 * lane;
      i64 g = !chunk ? g0 : chunk == 128 ? g0 + q : g0 + 2 * q + (lane >> 4);
      int block = brief ? 0 : t >> valuesShift(c.bits);
      *(u32 *)(c.codes + g * bytes + block * 16 + (brief ? t & 7 : t & 15)) = code;
    }
  }
}

// signRow writes the signs of the same columns, first a multiple of 8.
template <int Q>
DEVICE void signRow(u8 *signs, i64 strideSigns, i64 row, int first, int cols, const float (*v)[4]) {
  int lane = threadIdx.x & 31;
#pragma unroll
  for (int q = 0; q < Q; q++) {
    int j = first + 128 * q + 4 * lane;
    u32 on = 0;
#pragma unroll
    for (int k = 0; k < 4; k++) on |= (u32)(j < cols && v[q][k] > 0.f) << k;
    on |= __shfl_xor_sync(FULL, on, 1) << 4;
    if (lane % 2 == 0 && j < cols) signs[row * strideSigns + j / 8] = (u8)on;
  }
}
