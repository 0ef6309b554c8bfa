#include <stddef.h>

// saint_cu_load_module compiles PTX in the current context. Where that fails, log has what the driver's
// compiler says of it, "" if it says nothing.
int saint_cu_load_module(void **module, const char *ptx, char *log, size_t size);
