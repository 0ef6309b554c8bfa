//go:build cuda && linux && (amd64 || arm64)

#include "module.h"

#include <stdint.h>

#include "load.h"

// Numbers of cuda.h (CUjit_option).
enum { ERROR_LOG = 5, ERROR_LOG_SIZE = 6, NOT_FOUND = 500 };

typedef int (*load_fn)(void **, const void *, unsigned, int *, void **);

int saint_cu_load_module(void **module, const char *ptx, char *log, size_t size) {
  load_fn load = (load_fn)saint_cu_symbol("cuModuleLoadDataEx");
  log[0] = 0;
  if (!load) return NOT_FOUND;
  // A value that is no pointer lies in the pointer itself; the size is 32 bits of it.
  int options[] = {ERROR_LOG, ERROR_LOG_SIZE};
  void *values[] = {log, (void *)(uintptr_t)(unsigned)size};
  int code = load(module, ptx, 2, options, values);
  log[size - 1] = 0;
  return code;
}
