//go:build cuda && linux && (amd64 || arm64)

#include "calls.h"

#include <stdio.h>

#include "load.h"

enum {
  INVALID_VALUE = 1,
  NOT_FOUND = 500,
  UPDATE_REFUSED = 910,
  MAX_ARGS = 64,
  CAPTURE_RELAXED = 2,
  FUNC_MAX_DYNAMIC_SHARED = 8,
  POOL_RELEASE_THRESHOLD = 4,
};

// The entry is looked up once; two threads that do so at the same time find the same.
#define ENTRY(type, name)                                                        \
  static type entry;                                                             \
  if (!__atomic_load_n(&entry, __ATOMIC_ACQUIRE))                                \
    __atomic_store_n(&entry, (type)saint_cu_symbol(name), __ATOMIC_RELEASE);     \
  if (!entry) return NOT_FOUND

typedef int (*set_current_fn)(void *);
typedef int (*launch_fn)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);

int saint_cu_set_current(void *ctx) {
  ENTRY(set_current_fn, "cuCtxSetCurrent");
  return entry(ctx);
}

int saint_cu_launch(void *ctx, void *function, const uint32_t *g, void *stream, const uint64_t *args, int n) {
  ENTRY(launch_fn, "cuLaunchKernel");
  void *p[MAX_ARGS];
  if (n > MAX_ARGS) return INVALID_VALUE;
  for (int i = 0; i < n; i++) p[i] = (void *)&args[i];
  int code = saint_cu_set_current(ctx);
  return code ? code : entry(function, g[0], g[1], g[2], g[3], g[4], g[5], g[6], stream, p, NULL);
}

typedef int (*host_alloc_fn)(void **, size_t, unsigned);
int saint_cu_host_alloc(void **p, size_t bytes) {
  ENTRY(host_alloc_fn, "cuMemHostAlloc");
  return entry(p, bytes, 1 /* portable: page-locked for every context */);
}

typedef int (*alloc_async_fn)(uint64_t *, size_t, void *);
int saint_cu_alloc_async(uint64_t *p, size_t bytes, void *stream) {
  ENTRY(alloc_async_fn, "cuMemAllocAsync");
  return entry(p, bytes, stream);
}

typedef int (*free_async_fn)(uint64_t, void *);
int saint_cu_free_async(uint64_t p, void *stream) {
  ENTRY(free_async_fn, "cuMemFreeAsync");
  return entry(p, stream);
}

typedef int (*pool_get_fn)(void **, int);
typedef int (*pool_set_fn)(void *, int, void *);
static int get_pool(void **pool, int device) {
  ENTRY(pool_get_fn, "cuDeviceGetDefaultMemPool");
  return entry(pool, device);
}
int saint_cu_keep_pool(int device) {
  ENTRY(pool_set_fn, "cuMemPoolSetAttribute");
  void *pool = NULL;
  uint64_t all = UINT64_MAX;
  int code = get_pool(&pool, device);
  return code ? code : entry(pool, POOL_RELEASE_THRESHOLD, &all);
}

typedef int (*begin_fn)(void *, int);
int saint_cu_begin_capture(void *stream) {
  ENTRY(begin_fn, "cuStreamBeginCapture_v2");
  return entry(stream, CAPTURE_RELAXED);
}

typedef int (*end_fn)(void *, void **);
int saint_cu_end_capture(void *stream, void **graph) {
  ENTRY(end_fn, "cuStreamEndCapture");
  int code = entry(stream, graph);
  return code || *graph ? code : INVALID_VALUE;
}

typedef int (*status_fn)(void *, int *);
int saint_cu_capture_status(void *stream, int *status) {
  ENTRY(status_fn, "cuStreamIsCapturing");
  return entry(stream, status);
}

typedef int (*nodes_fn)(void *, void **, size_t *);
int saint_cu_graph_nodes(void *graph, size_t *nodes) {
  ENTRY(nodes_fn, "cuGraphGetNodes");
  return entry(graph, NULL, nodes);
}

typedef int (*instantiate_fn)(void **, void *, unsigned long long);
int saint_cu_instantiate_graph(void *graph, void **exec) {
  ENTRY(instantiate_fn, "cuGraphInstantiateWithFlags");
  return entry(exec, graph, 0);
}

// What CUDA 12 says of an update: a reason, and the nodes that it is about.
typedef struct {
  int result;
  void *node, *from;
} update_info;
typedef int (*update_fn)(void *, void *, update_info *);
int saint_cu_update_graph(void *exec, void *graph) {
  ENTRY(update_fn, "cuGraphExecUpdate_v2");
  update_info info = {0, NULL, NULL};
  int code = entry(exec, graph, &info);
  return code || !info.result ? code : UPDATE_REFUSED;
}

typedef int (*launch_graph_fn)(void *, void *);
int saint_cu_launch_graph(void *exec, void *stream) {
  ENTRY(launch_graph_fn, "cuGraphLaunch");
  return entry(exec, stream);
}

typedef int (*handle_fn)(void *);
int saint_cu_destroy_graph(void *graph) {
  ENTRY(handle_fn, "cuGraphDestroy");
  return entry(graph);
}
int saint_cu_destroy_exec(void *exec) {
  ENTRY(handle_fn, "cuGraphExecDestroy");
  return entry(exec);
}

typedef int (*set_attribute_fn)(void *, int, int);
int saint_cu_max_dynamic_shared(void *function, int bytes) {
  ENTRY(set_attribute_fn, "cuFuncSetAttribute");
  return entry(function, FUNC_MAX_DYNAMIC_SHARED, bytes);
}

typedef int (*text_fn)(int, const char **);
int saint_cu_error(int code, char *text, int size) {
  ENTRY(text_fn, "cuGetErrorString");
  const char *s = NULL;
  int failed = entry(code, &s);
  snprintf(text, size, "%s", s ? s : "unknown error");
  return failed;
}
