//go:build cuda && linux && (amd64 || arm64)

#include "library.h"

#include <dlfcn.h>
#include <stdio.h>

void *saint_lib_open(const char *path, char *why, int size) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) snprintf(why, size, "%s", dlerror());
  return handle;
}

void *saint_lib_symbol(void *lib, const char *name) { return dlsym(lib, name); }
