//go:build cuda && linux && (amd64 || arm64)

#include "blas.h"

#include "calls.h"

// Numbers of cublas_api.h and library_types.h.
enum { TYPE_F32 = 0, ALGORITHM_DEFAULT = -1 };

#define CURRENT(ctx)                                   \
  do {                                                 \
    int code = saint_cu_set_current(ctx);              \
    if (code) return SAINT_NO_CONTEXT - code;          \
  } while (0)

int saint_blas_create(const saint_blas *l, void *ctx, void **handle, int *version) {
  CURRENT(ctx);
  int status = l->create(handle);
  if (!status && l->version(*handle, version)) *version = 0;
  return status;
}

int saint_blas_destroy(const saint_blas *l, void *ctx, void *handle) {
  CURRENT(ctx);
  return l->destroy(handle);
}

int saint_blas_use(const saint_blas *l, void *ctx, void *handle, void *stream, uint64_t workspace, size_t bytes) {
  CURRENT(ctx);
  // Setting the stream takes the workspace away again, so the order matters.
  int status = l->set_stream(handle, stream);
  return status ? status : l->set_workspace(handle, (void *)workspace, bytes);
}

int saint_blas_gemm(const saint_blas *l, void *ctx, void *handle, const saint_product *p) {
  CURRENT(ctx);
  return l->gemm(handle, p->trans_a, p->trans_b, p->m, p->n, p->k, &p->alpha, (const void *)p->a, p->type, p->lda, (const void *)p->b,
                 p->type, p->ldb, &p->beta, (void *)p->c, TYPE_F32, p->ldc, p->compute, ALGORITHM_DEFAULT);
}

const char *saint_blas_text(const saint_blas *l, int status) { return l->text(status); }
