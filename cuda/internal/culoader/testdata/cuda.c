// What package culoader takes for granted of cuda.h: types of the entries that it calls by pointers of its
// own, numbers, sizes. It is compiled against NVIDIA's header, where there is one.
#include <cuda.h>
#include <stddef.h>

#define TYPE(entry, ...) _Static_assert(__builtin_types_compatible_p(__typeof__(&entry), CUresult (*)(__VA_ARGS__)), #entry)
#define NUMBER(name, number) _Static_assert((long long)(name) == (number), #name)

// Handles are passed as void *, addresses as uint64_t, enumerations and devices as int.
#define POINTER(type) _Static_assert(sizeof(type) == sizeof(void *), #type)
POINTER(CUcontext);
POINTER(CUmodule);
POINTER(CUfunction);
POINTER(CUstream);
POINTER(CUevent);
POINTER(CUgraph);
POINTER(CUgraphExec);
POINTER(CUmemoryPool);
_Static_assert(sizeof(CUdeviceptr) == 8 && sizeof(CUdevice) == sizeof(int) && sizeof(CUresult) == sizeof(int), "numbers");
_Static_assert(sizeof(CUjit_option) == sizeof(int) && sizeof(CUuuid) == 16, "options");

TYPE(cuInit, unsigned);
TYPE(cuCtxSetCurrent, CUcontext);
TYPE(cuGetErrorString, CUresult, const char **);
TYPE(cuLaunchKernel, CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void **, void **);
TYPE(cuModuleLoadDataEx, CUmodule *, const void *, unsigned, CUjit_option *, void **);
TYPE(cuFuncSetAttribute, CUfunction, CUfunction_attribute, int);
TYPE(cuMemHostAlloc, void **, size_t, unsigned);
TYPE(cuMemAllocAsync, CUdeviceptr *, size_t, CUstream);
TYPE(cuMemFreeAsync, CUdeviceptr, CUstream);
TYPE(cuDeviceGetDefaultMemPool, CUmemoryPool *, CUdevice);
TYPE(cuMemPoolSetAttribute, CUmemoryPool, CUmemPool_attribute, void *);
// The header's names stand for the versions that the package asks for.
TYPE(cuStreamBeginCapture_v2, CUstream, CUstreamCaptureMode);
TYPE(cuStreamBeginCapture, CUstream, CUstreamCaptureMode);
TYPE(cuStreamEndCapture, CUstream, CUgraph *);
TYPE(cuStreamIsCapturing, CUstream, CUstreamCaptureStatus *);
_Static_assert(sizeof(CUstreamCaptureStatus) == sizeof(int), "status");
TYPE(cuGraphGetNodes, CUgraph, CUgraphNode *, size_t *);
TYPE(cuGraphInstantiateWithFlags, CUgraphExec *, CUgraph, unsigned long long);
TYPE(cuGraphExecUpdate_v2, CUgraphExec, CUgraph, CUgraphExecUpdateResultInfo *);
TYPE(cuGraphLaunch, CUgraphExec, CUstream);
TYPE(cuGraphDestroy, CUgraph);
TYPE(cuGraphExecDestroy, CUgraphExec);
_Static_assert(sizeof(CUgraphExecUpdateResultInfo) == 24 && offsetof(CUgraphExecUpdateResultInfo, errorNode) == 8, "update_info");

NUMBER(CU_STREAM_CAPTURE_MODE_RELAXED, 2);
NUMBER(CU_STREAM_CAPTURE_STATUS_NONE, 0);
NUMBER(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 8);
NUMBER(CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, 4);
NUMBER(CU_MEMHOSTALLOC_PORTABLE, 1);
NUMBER(CU_JIT_ERROR_LOG_BUFFER, 5);
NUMBER(CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, 6);
NUMBER(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 97);
NUMBER(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 115);

// Package driver's numbers of errors.
NUMBER(CUDA_ERROR_INVALID_VALUE, 1);
NUMBER(CUDA_ERROR_OUT_OF_MEMORY, 2);
NUMBER(CUDA_ERROR_NOT_INITIALIZED, 3);
NUMBER(CUDA_ERROR_NO_DEVICE, 100);
NUMBER(CUDA_ERROR_INVALID_DEVICE, 101);
NUMBER(CUDA_ERROR_INVALID_CONTEXT, 201);
NUMBER(CUDA_ERROR_ECC_UNCORRECTABLE, 214);
NUMBER(CUDA_ERROR_NVLINK_UNCORRECTABLE, 220);
NUMBER(CUDA_ERROR_ILLEGAL_STATE, 401);
NUMBER(CUDA_ERROR_NOT_FOUND, 500);
NUMBER(CUDA_ERROR_NOT_READY, 600);
NUMBER(CUDA_ERROR_ILLEGAL_ADDRESS, 700);
NUMBER(CUDA_ERROR_LAUNCH_TIMEOUT, 702);
NUMBER(CUDA_ERROR_CONTEXT_IS_DESTROYED, 709);
NUMBER(CUDA_ERROR_ASSERT, 710);
NUMBER(CUDA_ERROR_HARDWARE_STACK_ERROR, 714);
NUMBER(CUDA_ERROR_LAUNCH_FAILED, 719);
NUMBER(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, 900);
NUMBER(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, 901);
NUMBER(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, 905);
NUMBER(CUDA_ERROR_CAPTURED_EVENT, 907);
NUMBER(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, 910);
NUMBER(CUDA_ERROR_UNKNOWN, 999);
