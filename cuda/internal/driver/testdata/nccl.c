// An NCCL for tests of the binding: what a group has is done when it ends, on the host.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { INVALID_ARGUMENT = 4, INVALID_USAGE = 5, IN_PROGRESS = 7, MOST = 64 };
struct comm {
  int rank, ranks;
};
static __thread int open, count;
static __thread struct {
  int reduce, rank, ranks;
  float *at;
  size_t n;
} queued[MOST];

int ncclGetVersion(int *v) {
  *v = 21903;
  return 0;
}
const char *ncclGetErrorString(int r) { return r == INVALID_USAGE ? "the library is used wrongly" : "some result"; }
int ncclCommInitAll(struct comm **comms, int n, const int *devices) {
  for (int i = 0; i < n; i++) {
    if (devices[i] != 0) return INVALID_ARGUMENT;
    comms[i] = calloc(1, sizeof **comms);
    comms[i]->rank = i, comms[i]->ranks = n;
  }
  return 0;
}
int ncclCommDestroy(struct comm *c) {
  free(c);
  return 0;
}
int ncclCommAbort(struct comm *c) { return ncclCommDestroy(c); }
int ncclCommGetAsyncError(struct comm *c, int *e) {
  *e = c ? IN_PROGRESS : INVALID_ARGUMENT;  // no failure
  return 0;
}
int ncclGroupStart(void) {
  open++, count = 0;
  return 0;
}
static int add(int reduce, const void *send, void *recv, size_t n, int type, int root, struct comm *c, void *stream) {
  if (!open || !stream || type != 7 || root != 0 || send != recv || count == MOST) return INVALID_USAGE;
  queued[count].reduce = reduce, queued[count].rank = c->rank, queued[count].ranks = c->ranks;
  queued[count].at = recv, queued[count++].n = n;
  return 0;
}
int ncclReduce(const void *send, void *recv, size_t n, int type, int op, int root, struct comm *c, void *stream) {
  return op ? INVALID_USAGE : add(1, send, recv, n, type, root, c, stream);
}
int ncclBroadcast(const void *send, void *recv, size_t n, int type, int root, struct comm *c, void *stream) {
  return add(0, send, recv, n, type, root, c, stream);
}
int ncclGroupEnd(void) {
  if (!open--) return INVALID_USAGE;
  int ranks = count ? queued[0].ranks : 1, each = count / ranks;
  for (int i = each; i < count; i++) {
    int k = i % each;
    if (queued[i].rank != i / each || queued[i].n != queued[k].n) return INVALID_USAGE;
    for (size_t j = 0; j < queued[i].n; j++)
      if (queued[i].reduce)
        queued[k].at[j] += queued[i].at[j];
      else
        queued[i].at[j] = queued[k].at[j];
  }
  return 0;
}
