// A CUDA driver of one device for tests of the binding: memory is the host's, and the only kernel
// adds its second argument to the int that its first points to.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int R;
static __thread void *current;
static char context;
enum { INVALID = 1, NO_CONTEXT = 201, NOT_FOUND = 500, NOT_READY = 600 };
#define NEED if (current != &context) return NO_CONTEXT

R cuInit(unsigned flags) { return flags; }
R cuGetErrorString(R code, const char **s) { *s = code == NO_CONTEXT ? "no context" : code == NOT_FOUND ? "not found" : "some error"; return 0; }
R cuDriverGetVersion(int *v) { *v = 12040; return 0; }
R cuDeviceGetCount(int *n) { *n = 1; return 0; }
R cuDeviceGet(int *d, int i) { *d = i; return i ? 101 : 0; }
R cuDeviceGetName(char *s, int n, int d) { strncpy(s, "test device", n); return d; }
R cuDeviceTotalMem_v2(size_t *n, int d) { *n = 1 << 30; return d; }
// The clocks (13, 36) are not told, and the pools (115) that there are cannot be had.
R cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 9 : a == 115 ? 1 : a; return a == 13 || a == 36 ? INVALID : d; }
R cuDeviceGetUuid(void *u, int d) { memset(u, 7, 16); return d; }
R cuDevicePrimaryCtxRetain(void **c, int d) { *c = &context; return d; }
R cuDevicePrimaryCtxRelease_v2(int d) { return d; }
R cuCtxSetCurrent(void *c) { current = c; return 0; }
R cuCtxSynchronize(void) { NEED; return 0; }
R cuMemGetInfo_v2(size_t *f, size_t *t) { NEED; *f = 5, *t = 9; return 0; }
R cuMemAlloc_v2(uint64_t *p, size_t n) { NEED; if (n > 1 << 20) return 2; *p = (uint64_t)malloc(n); return 0; }
R cuMemFree_v2(uint64_t p) { NEED; free((void *)p); return 0; }
R cuMemHostAlloc(void **p, size_t n, unsigned flags) { NEED; *p = malloc(n); return flags != 1; }
R cuMemFreeHost(void *p) { NEED; free(p); return 0; }
R cuMemcpyHtoDAsync_v2(uint64_t d, const void *s, size_t n, void *q) { NEED; memcpy((void *)d, s, n); return q == 0; }
R cuMemcpyDtoHAsync_v2(void *d, uint64_t s, size_t n, void *q) { NEED; memcpy(d, (void *)s, n); return q == 0; }
R cuMemsetD32Async(uint64_t d, unsigned v, size_t n, void *q) { NEED; for (size_t i = 0; i < n; i++) ((unsigned *)d)[i] = v; return q == 0; }
R cuModuleLoadDataEx(void **m, const void *text, unsigned n, int *options, void **values) {
  NEED;
  if (n != 2 || options[0] != 5 || options[1] != 6) return INVALID;
  if (!strncmp(text, ".version 8", 10)) {
    *m = strdup(text);
    return 0;
  }
  strncpy(values[0], "ptxas fatal:\n  no such version", (size_t)values[1]);
  return 218;
}
R cuModuleUnload(void *m) { NEED; free(m); return 0; }
R cuModuleGetFunction(void **f, void *m, const char *name) { NEED; *f = m; return strcmp(name, "add") ? NOT_FOUND : 0; }
R cuFuncGetAttribute(int *v, int a, void *f) { NEED; *v = a; return f == 0; }
R cuFuncSetAttribute(void *f, int a, int v) { NEED; return f == 0 || a != 8 || v != 65536; }
R cuStreamCreate(void **s, unsigned flags) { NEED; *s = malloc(1); return flags != 1; }
R cuStreamDestroy_v2(void *s) { NEED; free(s); return 0; }
R cuStreamSynchronize(void *s) { NEED; return s == 0; }
R cuEventCreate(void **e, unsigned flags) { NEED; *e = malloc(1); (void)flags; return 0; }
R cuEventDestroy_v2(void *e) { NEED; free(e); return 0; }
R cuEventRecord(void *e, void *s) { NEED; return !e || !s; }
R cuEventQuery(void *e) { NEED; return e ? NOT_READY : INVALID; }
// Graphs: a captured launch adds its argument when the graph runs.
struct node { int *to, v; };
struct graph { int n; struct node nodes[8]; };
static __thread struct graph *capturing;
static void *captured;
R cuStreamBeginCapture_v2(void *s, int mode) {
  NEED;
  if (capturing || mode != 2) return INVALID;
  capturing = calloc(1, sizeof *capturing), captured = s;
  return 0;
}
R cuStreamEndCapture(void *s, void **g) {
  NEED;
  if (!capturing || s != captured) return 401;
  *g = capturing, capturing = NULL;
  return 0;
}
R cuStreamIsCapturing(void *s, int *status) { NEED; *status = capturing && s == captured; return 0; }
R cuGraphGetNodes(void *g, void **nodes, size_t *n) { NEED; *n = ((struct graph *)g)->n; return nodes != NULL; }
R cuGraphInstantiateWithFlags(void **x, void *g, unsigned long long flags) {
  NEED;
  *x = memcpy(malloc(sizeof(struct graph)), g, sizeof(struct graph));
  return flags != 0;
}
struct info { int result; void *node, *from; };
R cuGraphExecUpdate_v2(void *x, void *g, struct info *info) {
  NEED;
  if (info->result || info->node || info->from) return INVALID;
  if (((struct graph *)x)->n != ((struct graph *)g)->n) {
    info->result = 2, info->node = g;
    return 910;
  }
  memcpy(x, g, sizeof(struct graph));
  return 0;
}
R cuGraphLaunch(void *x, void *s) {
  NEED;
  struct graph *g = x;
  for (int i = 0; i < g->n; i++) *g->nodes[i].to += g->nodes[i].v;
  return !s;
}
R cuGraphDestroy(void *g) { NEED; free(g); return 0; }
R cuGraphExecDestroy(void *x) { NEED; free(x); return 0; }

R cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *s, void **p, void **extra) {
  NEED;
  if (!f || !s || extra || gx != 2 || gy != 3 || gz != 4 || bx != 5 || by != 6 || bz != 7 || shared != 8) return INVALID;
  if (capturing && s == captured) {
    if (capturing->n == 8) return INVALID;
    capturing->nodes[capturing->n++] = (struct node){*(int **)p[0], *(int *)p[1]};
    return 0;
  }
  **(int **)p[0] += *(int *)p[1];
  return 0;
}
