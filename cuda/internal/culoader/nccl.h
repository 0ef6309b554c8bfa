// Calls of NCCL; they return an ncclResult_t, or SAINT_NO_CONTEXT less the driver's error if a context
// could not be made current.
#include <stddef.h>
#include <stdint.h>

// The entries in the order of ncclEntries.
typedef struct {
  int (*version)(int *);
  int (*init_all)(void **, int, const int *);
  int (*destroy)(void *);
  int (*abort)(void *);
  int (*group_start)(void);
  int (*group_end)(void);
  int (*reduce)(const void *, void *, size_t, int, int, int, void *, void *);
  int (*broadcast)(const void *, void *, size_t, int, int, void *, void *);
  int (*async_error)(void *, int *);
  const char *(*text)(int);
} saint_nccl;

int saint_nccl_version(const saint_nccl *l, int *version);
int saint_nccl_init(const saint_nccl *l, void **comms, int n, const int *devices);
// saint_nccl_exchange queues one operation for each tensor and device, as one group. at has the addresses
// of device 0, then those of device 1, and so on.
int saint_nccl_exchange(const saint_nccl *l, int reduce, int devices, void *const *contexts, void *const *comms, const uint64_t *streams,
                        int tensors, const uint64_t *at, const uint64_t *counts);
int saint_nccl_async_error(const saint_nccl *l, void *comm);
int saint_nccl_end(const saint_nccl *l, int abort, void *context, void *comm);
const char *saint_nccl_text(const saint_nccl *l, int result);
