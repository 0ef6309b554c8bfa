// Optimizers. Gradients are multiplied by a factor that clips their global norm, whose square is in
// sumsq, clamped to bound on both sides, and set to 0.
#include "common.cuh"

struct Clip {
  float factor, bound;
};

DEVICE Clip clipOf(float clipNorm, float bound, const float *sumsq) {
  Clip c = {1.f, bound};
  if (clipNorm > 0.f) {
    float f = clipNorm / (sqrtf(sumsq[0]) + 1e-6f);
    c.factor = f < 1.f ? f : 1.f;
    if (f != f) c.factor = f;
  }
  return c;
}

DEVICE float clip(const Clip &c, float g) {
  g *= c.factor;
  return g < -c.bound ? -c.bound : g > c.bound ? c.bound : g;
}

// held says that nothing may change any more; it may be null.
DEVICE bool isHeld(const float *held) { return held && held[0] != 0.f; }

// What the host reads of a step: its loss, the squared norm of the gradients, and whether one of them,
// in this step or before, was not finite. One thread.
KERNEL watch(const float *loss, const float *norm, float *seen) {
  float a = loss[0], b = norm[0], top = __int_as_float(0x7f7fffff);
  seen[0] = a;
  seen[1] = b;
  if (!(fabsf(a) <= top && fabsf(b) <= top)) seen[2] = 1.f;
}

// The thread's element. What is contiguous comes as one row, which spares a division.
DEVICE bool element(int rows, int cols, i64 *i, int *j) {
  i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (t >= (i64)rows * cols) return false;
  *i = rows == 1 ? 0 : t / cols;
  *j = (int)(t - *i * cols);
  return true;
}

// rate is LR/Corr1 and root 1/sqrt(Corr2).
KERNEL adam(int rows, int cols, float rate, float beta1, float beta2, float eps, float root, float clipNorm, float bound,
            const float *sumsq, const float *held, float *grad, i64 strideG, float *m, i64 strideM, float *v, i64 strideV,
            float *value, i64 strideValue) {
  i64 i;
  int j;
  if (!element(rows, cols, &i, &j) || isHeld(held)) return;
  Clip c = clipOf(clipNorm, bound, sumsq);
  float g = clip(c, grad[i * strideG + j]);
  float mk = fmaf(beta1, m[i * strideM + j], (1.f - beta1) * g);
  float vk = fmaf(beta2, v[i * strideV + j], (1.f - beta2) * (g * g));
  m[i * strideM + j] = mk;
  v[i * strideV + j] = vk;
  value[i * strideValue + j] -= rate * mk / (sqrtf(vk) * root + eps);
  grad[i * strideG + j] = 0.f;
}

// m is null without momentum.
KERNEL sgd(int rows, int cols, float lr, float momentum, int nesterov, float clipNorm, float bound, const float *sumsq,
           const float *held, float *grad, i64 strideG, float *m, i64 strideM, float *value, i64 strideValue) {
  i64 i;
  int j;
  if (!element(rows, cols, &i, &j) || isHeld(held)) return;
  Clip c = clipOf(clipNorm, bound, sumsq);
  float g = clip(c, grad[i * strideG + j]), step = g;
  if (momentum > 0.f) {
    float mk = fmaf(momentum, m[i * strideM + j], g);
    m[i * strideM + j] = mk;
    step = nesterov ? fmaf(momentum, mk, g) : mk;
  }
  value[i * strideValue + j] -= lr * step;
  grad[i * strideG + j] = 0.f;
}

KERNEL rmsprop(int rows, int cols, float lr, float alpha, float eps, float momentum, float clipNorm, float bound, const float *sumsq,
               const float *held, float *grad, i64 strideG, float *v, i64 strideV, float *m, i64 strideM, float *value, i64 strideValue) {
  i64 i;
  int j;
  if (!element(rows, cols, &i, &j) || isHeld(held)) return;
  Clip c = clipOf(clipNorm, bound, sumsq);
  float g = clip(c, grad[i * strideG + j]);
  float vk = fmaf(alpha, v[i * strideV + j], (1.f - alpha) * (g * g));
  v[i * strideV + j] = vk;
  float u = g / (sqrtf(vk) + eps);
  if (momentum > 0.f) {
    u = fmaf(momentum, m[i * strideM + j], u);
    m[i * strideM + j] = u;
  }
  value[i * strideValue + j] -= lr * u;
  grad[i * strideG + j] = 0.f;
}
