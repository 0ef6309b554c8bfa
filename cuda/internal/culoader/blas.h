// Calls of cuBLAS. Every function makes ctx current on the thread and returns a cublasStatus_t, or
// SAINT_NO_CONTEXT less the driver's error if the context could not be made current.
#include <stddef.h>
#include <stdint.h>

enum { SAINT_NO_CONTEXT = -1000 };

// The entries in the order of blasEntries.
typedef struct {
  int (*create)(void **);
  int (*destroy)(void *);
  int (*set_stream)(void *, void *);
  int (*set_workspace)(void *, void *, size_t);
  int (*version)(void *, int *);
  int (*gemm)(void *, int, int, int, int, int, const void *, const void *, int, int, const void *, int, int, const void *, void *, int, int,
              int, int);
  const char *(*text)(int);
} saint_blas;

typedef struct {
  uint64_t a, b, c;
  float alpha, beta;
  int32_t trans_a, trans_b, m, n, k, lda, ldb, ldc, type, compute;
} saint_product;

int saint_blas_create(const saint_blas *l, void *ctx, void **handle, int *version);
int saint_blas_destroy(const saint_blas *l, void *ctx, void *handle);
int saint_blas_use(const saint_blas *l, void *ctx, void *handle, void *stream, uint64_t workspace, size_t bytes);
int saint_blas_gemm(const saint_blas *l, void *ctx, void *handle, const saint_product *p);
const char *saint_blas_text(const saint_blas *l, int status);
