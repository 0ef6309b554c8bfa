// What all kernels share. The code is restricted to what NVRTC compiles without any header, and
// every product that is added to something says fmaf or does not want it (--fmad=false), so that
// results are those of the CPU's kernels up to the order of sums.
//
// Conventions: matrices are row-major with a stride in elements; a warp has 32 lanes and blocks are
// multiples of it; absent operands are null. Sums have an order that the shapes alone decide.
typedef unsigned char u8;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __forceinline__
#define FULL 0xffffffffu

enum { IDENTITY, RELU, LEAKY };
#define LEAKY_SLOPE 0.2f

// fault is three words, zero while all is well: the operation's number, then a row and a value.
// The first thread to find bad data fills it; the host reads it when it synchronises.
DEVICE void report(int *fault, int op, int row, int value) {
  if (atomicCAS(fault, 0, op) == 0) {
    fault[1] = row;
    fault[2] = value;
  }
}

// Sums over the lanes of a warp: the same tree, and so the same bits, in every lane.
DEVICE float warpSum(float v) {
#pragma unroll
  for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(FULL, v, o);
  return v;
}
DEVICE double warpSum(double v) {
#pragma unroll
  for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(FULL, v, o);
  return v;
}
DEVICE float warpMax(float v) {
#pragma unroll
  for (int o = 16; o; o >>= 1) v = fmaxf(v, __shfl_xor_sync(FULL, v, o));
  return v;
}

DEVICE float activate(int act, float v) {
  if (act == RELU) return v < 0.f ? 0.f : v;  // a NaN stays one
  if (act == LEAKY) return v < 0.f ? LEAKY_SLOPE * v : v;
  return v;
}

// slope is the derivative at v; where v is NaN the gradient passes.
DEVICE float slope(int act, float v) {
  if (act == IDENTITY || v > 0.f || v != v) return 1.f;
  return act == LEAKY ? LEAKY_SLOPE : 0.f;
}

// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011): the four words of the counter (c0,c1,c2,0).
DEVICE void philoxBlock(u64 key, u32 c0, u32 c1, u32 c2, u32 *w) {
  u32 c3 = 0, k0 = (u32)key, k1 = (u32)(key >> 32);
#pragma unroll
  for (int r = 0; r < 10; r++) {
    u32 h0 = __umulhi(0xD2511F53u, c0), l0 = 0xD2511F53u * c0;
    u32 h1 = __umulhi(0xCD9E8D57u, c2), l1 = 0xCD9E8D57u * c2;
    c0 = h1 ^ c1 ^ k0;
    c1 = l1;
    c2 = h0 ^ c3 ^ k1;
    c3 = l0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  w[0] = c0, w[1] = c1, w[2] = c2, w[3] = c3;
}

// The words 4 ctr to 4 ctr+3 of the key's stream.
DEVICE void philox(u64 key, u64 ctr, u32 *w) { philoxBlock(key, (u32)ctr, (u32)(ctr >> 32), 0, w); }

// EdgeDrop is dropout of edges' weights within attention; a threshold of 0 keeps all. u and v are what
// the first destination and the first source count as.
struct EdgeDrop {
  u64 key, threshold;
  float scale;
  int u, v;
};
#define EDGE_DROP_PARAMS u64 dropKey, u64 dropThreshold, float dropScale, int dropU, int dropV
#define EDGE_DROP {dropKey, dropThreshold, dropScale, dropU, dropV}

// What the weight of u<-v in head k is multiplied by: word k%4 of the block (u,v,k/4).
DEVICE float edgeMask(const EdgeDrop &d, int u, int v, int k) {
  if (d.threshold == 0) return 1.f;
  u32 w[4];
  philoxBlock(d.key, (u32)(d.u + u), (u32)(d.v + v), (u32)k >> 2, w);
  u32 x = (k & 3) == 0 ? w[0] : (k & 3) == 1 ? w[1] : (k & 3) == 2 ? w[2] : w[3];
  return (u64)x >= d.threshold ? d.scale : 0.f;
}

// Drop is dropout of a matrix whose elements have the words row*width + col + j of a stream; one is
// kept where its word is not below threshold. A threshold of 0 keeps everything as it is.
struct Drop {
  u64 key, threshold;
  float scale;
  int col, width;
};

// dropFour drops v[0..3], the elements from column j on of a row.
DEVICE void dropFour(const Drop &d, i64 row, int j, float *v) {
  if (d.threshold == 0) return;
  u64 first = (u64)row * (u64)d.width + (u64)(d.col + j);
  int skip = (int)(first & 3);
  u32 w[8];
  philox(d.key, first >> 2, w);
  if (skip) philox(d.key, (first >> 2) + 1, w + 4);
#pragma unroll
  for (int k = 0; k < 4; k++) {
    // w[skip+k] without an index that would put w into memory.
    u32 x = skip == 0 ? w[k] : skip == 1 ? w[k + 1] : skip == 2 ? w[k + 2] : w[k + 3 < 7 ? k + 3 : 7];
    v[k] = (u64)x >= d.threshold ? v[k] * d.scale : 0.f;
  }
}

// load4 reads up to 4 elements from column j on; those behind n are 0. vec says that rows are
// aligned to 16 bytes.
DEVICE void load4(const float *row, int j, int n, bool vec, float *v) {
  if (vec && j + 4 <= n) {
    float4 f = *(const float4 *)(row + j);
    v[0] = f.x, v[1] = f.y, v[2] = f.z, v[3] = f.w;
    return;
  }
#pragma unroll
  for (int k = 0; k < 4; k++) v[k] = j + k < n ? row[j + k] : 0.f;
}

DEVICE void store4(float *row, int j, int n, bool vec, const float *v) {
  if (vec && j + 4 <= n) {
    *(float4 *)(row + j) = make_float4(v[0], v[1], v[2], v[3]);
    return;
  }
#pragma unroll
  for (int k = 0; k < 4; k++)
    if (j + k < n) row[j + k] = v[k];
}
