//go:build cuda && linux && (amd64 || arm64)

#include "nccl.h"

#include "blas.h"
#include "calls.h"

// Numbers of nccl.h.
enum { FLOAT32 = 7, SUM = 0, ROOT = 0, IN_PROGRESS = 7 };

int saint_nccl_version(const saint_nccl *l, int *version) { return l->version(version); }

int saint_nccl_init(const saint_nccl *l, void **comms, int n, const int *devices) { return l->init_all(comms, n, devices); }

int saint_nccl_exchange(const saint_nccl *l, int reduce, int devices, void *const *contexts, void *const *comms, const uint64_t *streams,
                        int tensors, const uint64_t *at, const uint64_t *counts) {
  // One thread speaks for all devices: between start and end no call waits for another device.
  int result = l->group_start();
  if (result) return result;
  for (int i = 0; i < devices && !result; i++) {
    int code = saint_cu_set_current(contexts[i]);
    if (code) result = SAINT_NO_CONTEXT - code;
    for (int k = 0; k < tensors && !result; k++) {
      void *p = (void *)at[(size_t)i * tensors + k], *stream = (void *)streams[i];
      result = reduce ? l->reduce(p, p, counts[k], FLOAT32, SUM, ROOT, comms[i], stream)
                      : l->broadcast(p, p, counts[k], FLOAT32, ROOT, comms[i], stream);
    }
  }
  int end = l->group_end();
  return result ? result : end;
}

int saint_nccl_async_error(const saint_nccl *l, void *comm) {
  int error = 0, result = l->async_error(comm, &error);
  return result ? result : error == IN_PROGRESS ? 0 : error;
}

int saint_nccl_end(const saint_nccl *l, int abort, void *context, void *comm) {
  int code = saint_cu_set_current(context);
  if (code && !abort) return SAINT_NO_CONTEXT - code;
  return abort ? l->abort(comm) : l->destroy(comm);
}

const char *saint_nccl_text(const saint_nccl *l, int result) { return l->text(result); }
