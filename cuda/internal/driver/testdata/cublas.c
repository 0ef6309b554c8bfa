// A cuBLAS for tests of the binding: it multiplies on the host, in memory that the driver of tests gave.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { NOT_INITIALIZED = 1, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };

struct handle {
  void *stream, *workspace;
};

static float element(const void *p, int type, size_t at) {
  if (type == 0) return ((const float *)p)[at];
  union {
    uint32_t u;
    float f;
  } v = {(uint32_t)((const uint16_t *)p)[at] << 16};
  return v.f;
}

int cublasCreate_v2(struct handle **h) { return (*h = calloc(1, sizeof **h)) ? 0 : 3; }
int cublasDestroy_v2(struct handle *h) {
  free(h);
  return 0;
}
int cublasSetStream_v2(struct handle *h, void *s) {
  h->stream = s, h->workspace = NULL;
  return 0;
}
int cublasSetWorkspace_v2(struct handle *h, void *p, size_t n) {
  if ((uintptr_t)p % 16 || n < 1024) return INVALID_VALUE;
  h->workspace = p;
  return 0;
}
int cublasGetVersion_v2(struct handle *h, int *v) {
  *v = 120405;
  return h ? 0 : NOT_INITIALIZED;
}
const char *cublasGetStatusString(int s) { return s == INVALID_VALUE ? "the library does not like an argument" : "some status"; }

int cublasGemmEx(struct handle *h, int ta, int tb, int m, int n, int k, const float *alpha, const void *a, int type_a, int lda, const void *b,
                 int type_b, int ldb, const float *beta, float *c, int type_c, int ldc, int compute, int algorithm) {
  if (!h->stream || !h->workspace || type_a != type_b || (type_a != 0 && type_a != 14) || type_c != 0 || algorithm != -1) return NOT_SUPPORTED;
  if (compute != 68 && !(compute == 77 && type_a == 0)) return NOT_SUPPORTED;
  if (ta < 0 || ta > 1 || tb < 0 || tb > 1 || lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) return INVALID_VALUE;
  for (int j = 0; j < n; j++)
    for (int i = 0; i < m; i++) {
      float sum = 0;
      for (int l = 0; l < k; l++)
        sum += element(a, type_a, ta ? (size_t)i * lda + l : (size_t)l * lda + i) * element(b, type_a, tb ? (size_t)l * ldb + j : (size_t)j * ldb + l);
      float *to = c + (size_t)j * ldc + i;
      *to = *alpha * sum + (*beta != 0 ? *beta * *to : 0);
    }
  return 0;
}
