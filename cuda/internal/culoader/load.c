//go:build cuda && linux && (amd64 || arm64)

#define _GNU_SOURCE
#include "load.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { NOT_INITIALIZED = 3, NOT_FOUND = 500 };

extern void *saint_cu_slots[] __attribute__((visibility("hidden")));
extern const char *const saint_cu_names[] __attribute__((visibility("hidden")));

static void *driver;

// What the slots hold before the driver is there, and for entries that it lacks.
__attribute__((visibility("hidden"))) int saint_cu_unbound(void) { return driver ? NOT_FOUND : NOT_INITIALIZED; }

static int pretend(unsigned flags) {
  (void)flags;
  return 0;
}

// The binding calls cuInit from its initialisation, in Go code that runs after this.
__attribute__((constructor)) static void before_open(void) {
  for (int i = 0; saint_cu_names[i]; i++)
    if (!strcmp(saint_cu_names[i], "cuInit")) saint_cu_slots[i] = (void *)pretend;
}

int saint_cu_open(const char *library, char *why, int size, int *missing) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    snprintf(why, size, "%s", dlerror());
    return -1;
  }
  int (*init)(unsigned) = (int (*)(unsigned))dlsym(handle, "cuInit");
  int (*text)(int, const char **) = (int (*)(int, const char **))dlsym(handle, "cuGetErrorString");
  if (!init) {
    snprintf(why, size, "%s: has no cuInit, it is not the CUDA driver", library);
    dlclose(handle);
    return -1;
  }
  int code = init(0);
  if (code) {
    const char *s = NULL;
    if (text) text(code, &s);
    snprintf(why, size, "%s: cuInit: %s (error %d)", library, s ? s : "unknown error", code);
    return code;
  }
  *missing = 0;
  for (int i = 0; saint_cu_names[i]; i++) {
    void *entry = dlsym(handle, saint_cu_names[i]);
    saint_cu_slots[i] = entry ? entry : (void *)saint_cu_unbound;
    *missing += !entry;
  }
  driver = handle;
  return 0;
}

void *saint_cu_symbol(const char *name) { return driver ? dlsym(driver, name) : NULL; }
