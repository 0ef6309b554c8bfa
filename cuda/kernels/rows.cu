// Rows that fit the registers of a warp, 128 columns to every four of a lane: bias, activation, row norm and dropout with
// the codes of what goes in and comes out, the gradient of that with all sums over rows, and codes by themselves.
// Memory is read and written once. Rows have a multiple of 4 columns, all of them and vectors begin at multiples of 16
// bytes, and dropout's words at multiples of 4; others, and wider ones, are norm.cu's and quant.cu's.
#include "common.cuh"
#include "codes.cuh"

#define NORM_EPS 1e-9f

// The four columns from j on, 0 behind the last.
DEVICE void read4(const float *row, int j, int cols, float *v) {
  float4 f = make_float4(0.f, 0.f, 0.f, 0.f);
  if (j < cols) f = *(const float4 *)(row + j);
  v[0] = f.x, v[1] = f.y, v[2] = f.z, v[3] = f.w;
}

DEVICE void write4(float *row, int j, int cols, const float *v) {
  if (j < cols) *(float4 *)(row + j) = make_float4(v[0], v[1], v[2], v[3]);
}

// drop4 is dropFour for words that begin at a multiple of 4.
DEVICE void drop4(const Drop &d, i64 row, int j, float *v) {
  if (d.threshold == 0) return;
  u32 w[4];
  philox(d.key, ((u64)row * (u64)d.width + (u64)(d.col + j)) >> 2, w);
#pragma unroll
  for (int k = 0; k < 4; k++) v[k] = (u64)w[k] >= d.threshold ? v[k] * d.scale : 0.f;
}

// y = drop((a-mean)*rstd*scale + offset), a = act(x + bias); without scale y = drop(a). signs and in are of x + bias, the
// codes of act of that if relu is set; outSigns and out are of y. What is absent is not made.
template <int Q>
DEVICE void forward(int rows, int cols, int act, const float *bias, const float *scale, const float *offset, const float *x, i64 strideX,
                    float *y, i64 strideY, float *mean, i64 strideMean, float *rstd, i64 strideRstd, const Drop &drop, u8 *signs,
                    i64 strideSigns, int relu, const Codes &in, u8 *outSigns, i64 strideOutSigns, const Codes &out) {
  int lane = threadIdx.x & 31;
  i64 i = (i64)blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (i >= rows) return;
  float v[Q][4];
#pragma unroll
  for (int q = 0; q < Q; q++) read4(x + i * strideX, 128 * q + 4 * lane, cols, v[q]);
  if (bias)
#pragma unroll
    for (int q = 0; q < Q; q++) {
      float b[4];
      read4(bias, 128 * q + 4 * lane, cols, b);
#pragma unroll
      for (int k = 0; k < 4; k++) v[q][k] = __fadd_rn(v[q][k], b[k]);
    }
  if (signs) signRow<Q>(signs, strideSigns, i, 0, cols, v);
  if (in.codes) {
    float s[Q][4];
#pragma unroll
    for (int q = 0; q < Q; q++)
#pragma unroll
      for (int k = 0; k < 4; k++) s[q][k] = signs ? staged(relu, v[q][k]) : v[q][k];
    encodeRow<Q>(in, i, 0, cols, s);
  }
  float m = 0.f, f = 1.f;
#pragma unroll
  for (int q = 0; q < Q; q++)
#pragma unroll
    for (int k = 0; k < 4; k++) v[q][k] = activate(act, v[q][k]);
  if (scale) {
    float sum = 0.f, squares = 0.f;
#pragma unroll
    for (int q = 0; q < Q; q++)
#pragma unroll
      for (int k = 0; k < 4; k++) sum += 128 * q + 4 * lane < cols ? v[q][k] : 0.f;
    m = warpSum(sum) / (float)cols;
#pragma unroll
    for (int q = 0; q < Q; q++)
#pragma unroll
      for (int k = 0; k < 4; k++) {
        float d = 128 * q + 4 * lane < cols ? v[q][k] - m : 0.f;
        squares = fmaf(d, d, squares);
      }
    f = 1.f / sqrtf(warpSum(squares) / (float)cols + NORM_EPS);
    if (lane == 0) {
      mean[i * strideMean] = m;
      rstd[i * strideRstd] = f;
    }
  }
#pragma unroll
  for (int q = 0; q < Q; q++) {
    int j = 128 * q + 4 * lane;
    if (scale) {
      float s[4], o[4];
      read4(scale, j, cols, s);
      read4(offset, j, cols, o);
#pragma unroll
      for (int k = 0; k < 4; k++) v[q][k] = fmaf((v[q][k] - m) * f, s[k], o[k]);
    }
    drop4(drop, i, j, v[q]);
    write4(y + i * strideY, j, cols, v[q]);
  }
  if (outSigns) signRow<Q>(outSigns, strideOutSigns, i, 0, cols, v);
  if (out.codes) encodeRow<Q>(out, i, 0, cols, v);
}

#define FORWARD(Q)                                                                                                                    \
  KERNEL norm_rows_##Q(int rows, int cols, int act, const float *bias, const float *scale, const float *offset, const float *x,       \
                       i64 strideX, float *y, i64 strideY, float *mean, i64 strideMean, float *rstd, i64 strideRstd, u64 key,         \
                       u64 threshold, float factor, int col, int width, u8 *signs, i64 strideSigns, int relu,                \
                       CODES_PARAMS(in), u8 *outSigns, i64 strideOutSigns, CODES_PARAMS(out)) {                                       \
    Drop drop = {key, threshold, factor, col, width};                                                                                 \
    Codes in = CODES(in), out = CODES(out);                                                                                           \
    forward<Q>(rows, cols, act, bias, scale, offset, x, strideX, y, strideY, mean, strideMean, rstd, strideRstd, drop, signs,    \
               strideSigns, relu, in, outSigns, strideOutSigns, out);                                                                 \
  }
FORWARD(1)
FORWARD(2)
FORWARD(4)

DEVICE void readFrom(const Plain &s, i64 i, int j, int cols, float *v) { read4(s.x + i * s.stride, j, cols, v); }
DEVICE void readFrom(const Coded &s, i64 i, int j, int cols, float *v) { decodeWhole(s, i, j, cols, v); }

// dx of that, which may be dy, and part[block][which][column]: sums over the block's rows of the gradients of scale (0),
// offset (1) and bias (2). A warp does every fourth row of a block; sums of warps are added in their order.
template <int Q, class S>
DEVICE void backward(int rows, int cols, int act, const float *bias, const float *scale, const float *mean, i64 strideMean, const float *rstd,
                     i64 strideRstd, const S &src, const float *dy, i64 strideDY, float *dx, i64 strideDX, const Drop &drop,
                     int perBlock, float *part) {
  __shared__ float sums[4][128];
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  float acc[3][Q][4] = {};
  int lo = blockIdx.x * perBlock, hi = min(lo + perBlock, rows);
  for (int i = lo + warp; i < hi; i += 4) {
    float z[Q][4], d[Q][4], m = 0.f, f = 0.f, meanG = 0.f, meanGX = 0.f;
#pragma unroll
    for (int q = 0; q < Q; q++) {
      int j = 128 * q + 4 * lane;
      readFrom(src, i, j, cols, z[q]);
      read4(dy + (i64)i * strideDY, j, cols, d[q]);
    }
#pragma unroll
    for (int q = 0; q < Q; q++) {
      int j = 128 * q + 4 * lane;
      drop4(drop, i, j, d[q]);
      if (bias) {
        float b[4];
        read4(bias, j, cols, b);
#pragma unroll
        for (int k = 0; k < 4; k++) z[q][k] += b[k];
      }
    }
    if (scale) {
      m = mean[(i64)i * strideMean];
      f = rstd[(i64)i * strideRstd];
      float sumG = 0.f, sumGX = 0.f;
#pragma unroll
      for (int q = 0; q < Q; q++) {
        float s[4];
        read4(scale, 128 * q + 4 * lane, cols, s);
#pragma unroll
        for (int k = 0; k < 4; k++) {
          float g = d[q][k] * s[k], n = (activate(act, z[q][k]) - m) * f;
          sumG += g;
          sumGX = fmaf(g, n, sumGX);
          acc[0][q][k] = fmaf(d[q][k], n, acc[0][q][k]);
          acc[1][q][k] += d[q][k];
          d[q][k] = g;
        }
      }
      meanG = warpSum(sumG) / (float)cols;
      meanGX = warpSum(sumGX) / (float)cols;
    }
#pragma unroll
    for (int q = 0; q < Q; q++) {
#pragma unroll
      for (int k = 0; k < 4; k++) {
        if (scale) d[q][k] = f * (d[q][k] - meanG - (activate(act, z[q][k]) - m) * f * meanGX);
        d[q][k] *= slope(act, z[q][k]);
        acc[2][q][k] += d[q][k];
      }
      write4(dx + (i64)i * strideDX, 128 * q + 4 * lane, cols, d[q]);
    }
  }
  if (!part) return;
#pragma unroll
  for (int w = 0; w < 3; w++)
    if (w == 2 ? bias != 0 : scale != 0)
#pragma unroll
      for (int q = 0; q < Q; q++) {
#pragma unroll
        for (int k = 0; k < 4; k++) sums[warp][4 * lane + k] = acc[w][q][k];
        __syncthreads();
        int j = 128 * q + threadIdx.x;
        if (j < cols) {
          float total = 0.f;
          for (int k = 0; k < 4; k++) total += sums[k][threadIdx.x];
          part[((i64)blockIdx.x * 3 + w) * cols + j] = total;
        }
        __syncthreads();
      }
}

#define BACKWARD(name, Q, PARAMS, SOURCE)                                                                                               \
  KERNEL __launch_bounds__(128) name(int rows, int cols, int act, const float *bias, const float *scale, const float *mean,             \
                                     i64 strideMean, const float *rstd, i64 strideRstd, PARAMS, const float *dy, i64 strideDY,          \
                                     float *dx, i64 strideDX, u64 key, u64 threshold, float factor, int col, int width,                 \
                                     int perBlock, float *part) {                                                                       \
    Drop drop = {key, threshold, factor, col, width};                                                                                   \
    SOURCE;                                                                                                                             \
    backward<Q>(rows, cols, act, bias, scale, mean, strideMean, rstd, strideRstd, src, dy, strideDY, dx, strideDX, drop, perBlock, \
                part);                                                                                                                  \
  }
#define PLAIN_PARAMS const float *x, i64 strideX
#define COMMA ,
#define BACKWARDS(Q)                                                                           \
  BACKWARD(norm_rows_back_##Q, Q, PLAIN_PARAMS, Plain src = {x COMMA strideX COMMA 1})       \
  BACKWARD(norm_rows_back_coded_##Q, Q, CODED_PARAMS, Coded src = CODED)
BACKWARDS(1)
BACKWARDS(2)
BACKWARDS(4)

// Codes, signs or both of act(x + bias). A warp does 128 Q columns of a row.
template <int Q>
DEVICE void quantizeRows(int rows, int cols, const float *bias, const float *x, i64 strideX, u8 *signs, i64 strideSigns, int relu,
                         const Codes &out) {
  int lane = threadIdx.x & 31, pieces = (cols + 128 * Q - 1) / (128 * Q);
  i64 t = (i64)blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5), i = pieces == 1 ? t : t / pieces;
  int first = (int)(t - i * pieces) * 128 * Q;
  if (i >= rows) return;
  float v[Q][4];
#pragma unroll
  for (int q = 0; q < Q; q++) read4(x + i * strideX, first + 128 * q + 4 * lane, cols, v[q]);
  if (signs) {
#pragma unroll
    for (int q = 0; q < Q; q++) {
      float b[4] = {0.f, 0.f, 0.f, 0.f};
      if (bias) read4(bias, first + 128 * q + 4 * lane, cols, b);
#pragma unroll
      for (int k = 0; k < 4; k++) v[q][k] = __fadd_rn(v[q][k], b[k]);
    }
    signRow<Q>(signs, strideSigns, i, first, cols, v);
#pragma unroll
    for (int q = 0; q < Q; q++)
#pragma unroll
      for (int k = 0; k < 4; k++) v[q][k] = staged(relu, v[q][k]);
  }
  if (out.codes) encodeRow<Q>(out, i, first, cols, v);
}

#define QUANTIZE(Q)                                                                                                                   \
  KERNEL quantize_rows_##Q(int rows, int cols, const float *bias, const float *x, i64 strideX, u8 *signs, i64 strideSigns,   \
                           int relu, CODES_PARAMS(out)) {                                                                             \
    Codes out = CODES(out);                                                                                                           \
    quantizeRows<Q>(rows, cols, bias, x, strideX, signs, strideSigns, relu, out);                                                \
  }
QUANTIZE(1)
QUANTIZE(4)
QUANTIZE(8)
