// Losses and their gradients, with class weights and smoothed labels where share is not null. A warp
// does a row and leaves its loss, times its weight, in rowLoss; sum_rows of reduce.cu adds those.
#include "common.cuh"

// classOf returns the class of row i, or -1 after reporting one outside the columns.
DEVICE int classOf(const int *cls, i64 strideClass, int i, int cols, int lane, int *fault, int op) {
  int c = cls[(i64)i * strideClass];
  if ((u32)c < (u32)cols) return c;
  if (lane == 0) report(fault, op, i, c);
  return -1;
}

DEVICE void clearRow(float *d, int cols, int lane) {
  if (d)
    for (int j = lane; j < cols; j += 32) d[j] = 0.f;
}

// With q_c = smooth/C share[c], plus (1-smooth) share[y] for class y, and Q their sum: loss is Q
// logsumexp(x) - sum_c q_c x_c, its gradient Q softmax(x) - q. With eps above 0 it is ln(eps + loss) - ln eps.
KERNEL softmax_xent(int rows, int cols, float smooth, float eps, const float *share, const float *logits, i64 strideL, const int *cls,
                    i64 strideClass, const float *weight, i64 strideW, double *rowLoss, float *dlogits, i64 strideD, int *fault, int op) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (i >= rows) return;
  const float *x = logits + (i64)i * strideL;
  float *d = dlogits ? dlogits + (i64)i * strideD : 0, w = weight[(i64)i * strideW];
  int y = 0;
  if (w != 0.f) y = classOf(cls, strideClass, i, cols, lane, fault, op);
  if (w == 0.f || y < 0) {
    clearRow(d, cols, lane);
    if (lane == 0) rowLoss[i] = 0.0;
    return;
  }
  float top = -__int_as_float(0x7f800000);
  bool nan = false;
  for (int j = lane; j < cols; j += 32) top = fmaxf(top, x[j]), nan |= x[j] != x[j];
  top = warpMax(top);
  if (__any_sync(FULL, nan)) top = __int_as_float(0x7fffffff);
  float even = smooth / (float)cols, hard = (1.f - smooth) * (share ? share[y] : 1.f);
  // The sum without the class's own term: what is left of 1 - softmax near certainty.
  double others = 0.0, shares = 0.0, dot = 0.0;
  for (int j = lane; j < cols; j += 32) {
    float z = x[j] - top;
    if (j != y) others += (double)expf(z);
    if (share) {
      shares += (double)share[j];
      dot += (double)(even * share[j]) * (double)z;
    }
  }
  others = warpSum(others);
  shares = warpSum(shares);
  dot = warpSum(dot);
  float zy = x[y] - top;
  double own = (double)expf(zy), sum = others + own;
  double mass = (double)hard + (double)even * shares;
  // log of the sum: where the class leads, log1p of the others keeps small losses exact.
  double logSum = zy == 0.f ? (double)log1pf((float)others) : (double)logf((float)sum);
  double value = mass * logSum - dot - (double)hard * (double)zy, scale = (double)w;
  if (eps > 0.f) {
    scale /= (double)eps + value;
    value = (double)log1pf((float)(value / (double)eps));
  }
  if (d)
    for (int j = lane; j < cols; j += 32) {
      double soft = j == y ? own : (double)expf(x[j] - top);
      double g = j == y ? (share ? mass * soft / sum - (double)hard : -others / sum) : mass * soft / sum;
      if (share) g -= (double)(even * share[j]);
      d[j] = (float)(scale * g);
    }
  if (lane == 0) rowLoss[i] = (double)w * value;
}

// sum_c share[c] (max(x,0) - x t + log(1+exp(-|x|))), t the smoothed target; its gradient (sigmoid(x)-t)
// share. Targets are bytes, or classes that count as one-hot rows where target is null.
KERNEL sigmoid_xent(int rows, int cols, float smooth, const float *share, const float *logits, i64 strideL, const u8 *target,
                    i64 strideT, const int *cls, i64 strideClass, const float *weight, i64 strideW, double *rowLoss, float *dlogits,
                    i64 strideD, int *fault, int op) {
  int lane = threadIdx.x & 31, i = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (i >= rows) return;
  const float *x = logits + (i64)i * strideL;
  float *d = dlogits ? dlogits + (i64)i * strideD : 0, w = weight[(i64)i * strideW];
  int y = -1;
  bool bad = false;
  if (w != 0.f && !target) {
    y = classOf(cls, strideClass, i, cols, lane, fault, op);
    bad = y < 0;
  }
  if (w == 0.f || bad) {
    clearRow(d, cols, lane);
    if (lane == 0) rowLoss[i] = 0.0;
    return;
  }
  double total = 0.0;
  for (int j = lane; j < cols; j += 32) {
    float v = x[j], e = expf(-fabsf(v)), s = share ? share[j] : 1.f;
    float t = target ? (target[(i64)i * strideT + j] ? 1.f : 0.f) : (j == y ? 1.f : 0.f);
    t = (1.f - smooth) * t + 0.5f * smooth;
    float positive = v < 0.f ? 0.f : v;
    total += (double)s * ((double)positive - (double)v * (double)t + (double)log1pf(e));
    // sigmoid(v) - t as a quotient of sums without cancellation: 1/(1+e) - t = (1 - t - t e)/(1+e).
    float g = (v < 0.f ? e * (1.f - t) - t : (1.f - t) - t * e) / (1.f + e);
    if (d) d[j] = g * s * w;
  }
  total = warpSum(total);
  if (lane == 0) rowLoss[i] = (double)w * total;
}
