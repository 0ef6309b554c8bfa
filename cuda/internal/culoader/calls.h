// What gorgonia.org/cu lacks, or does with an allocation for each call. Every function returns a
// CUresult, 500 (not found) if the driver does not have the entry. Handles are opaque pointers.
#include <stddef.h>
#include <stdint.h>

// saint_cu_set_current makes ctx current on this thread.
int saint_cu_set_current(void *ctx);

// saint_cu_launch makes ctx current on this thread and launches. geometry has grid x y z, block
// x y z and the bytes of dynamic shared memory; args has n values of 64 bits, of which the kernel
// reads as many low bytes as its parameters have.
int saint_cu_launch(void *ctx, void *function, const uint32_t *geometry, void *stream, const uint64_t *args, int n);

int saint_cu_host_alloc(void **p, size_t bytes);
int saint_cu_alloc_async(uint64_t *p, size_t bytes, void *stream);
int saint_cu_free_async(uint64_t p, void *stream);
// saint_cu_keep_pool lets the device's memory pool keep what is freed to it.
int saint_cu_keep_pool(int device);

// saint_cu_begin_capture captures in relaxed mode: what this thread does with other streams is its own.
int saint_cu_begin_capture(void *stream);
int saint_cu_end_capture(void *stream, void **graph);
// saint_cu_capture_status tells 0 where the stream is not being captured.
int saint_cu_capture_status(void *stream, int *status);
int saint_cu_graph_nodes(void *graph, size_t *nodes);
int saint_cu_instantiate_graph(void *graph, void **exec);
int saint_cu_update_graph(void *exec, void *graph);
int saint_cu_launch_graph(void *exec, void *stream);
int saint_cu_destroy_graph(void *graph);
int saint_cu_destroy_exec(void *exec);

int saint_cu_max_dynamic_shared(void *function, int bytes);
int saint_cu_error(int code, char *text, int size);
