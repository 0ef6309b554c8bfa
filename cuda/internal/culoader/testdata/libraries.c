// As cuda.c, of cuBLAS and NCCL, whose headers need those of the CUDA runtime.
// The headers of half precision are C++ and need more; only their names occur.
#define __CUDA_FP16_H__
#define __CUDA_BF16_H__
#define __CUDA_FP8_H__
typedef struct {
  unsigned short x;
} __half, __nv_bfloat16;

#if __has_include(<cublas_v2.h>)
#include <cublas_v2.h>
#define BLAS(entry, ...) _Static_assert(__builtin_types_compatible_p(__typeof__(&entry), cublasStatus_t (*)(__VA_ARGS__)), #entry)
BLAS(cublasCreate_v2, cublasHandle_t *);
BLAS(cublasDestroy_v2, cublasHandle_t);
BLAS(cublasSetStream_v2, cublasHandle_t, cudaStream_t);
BLAS(cublasSetWorkspace_v2, cublasHandle_t, void *, size_t);
BLAS(cublasGetVersion_v2, cublasHandle_t, int *);
BLAS(cublasGemmEx, cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int, const void *, const void *, cudaDataType, int,
     const void *, cudaDataType, int, const void *, void *, cudaDataType, int, cublasComputeType_t, cublasGemmAlgo_t);
_Static_assert(__builtin_types_compatible_p(__typeof__(&cublasGetStatusString), const char *(*)(cublasStatus_t)), "text");
_Static_assert(CUBLAS_OP_N == 0 && CUBLAS_OP_T == 1 && CUBLAS_GEMM_DEFAULT == -1 && CUBLAS_STATUS_SUCCESS == 0, "numbers");
_Static_assert(CUDA_R_32F == 0 && CUDA_R_16BF == 14, "types");
_Static_assert(CUBLAS_COMPUTE_32F == 68 && CUBLAS_COMPUTE_32F_FAST_TF32 == 77, "ways of computing");
#endif

#if __has_include(<nccl.h>)
#include <nccl.h>
#define NCCL(entry, ...) _Static_assert(__builtin_types_compatible_p(__typeof__(&entry), ncclResult_t (*)(__VA_ARGS__)), #entry)
NCCL(ncclGetVersion, int *);
NCCL(ncclCommInitAll, ncclComm_t *, int, const int *);
NCCL(ncclCommDestroy, ncclComm_t);
NCCL(ncclCommAbort, ncclComm_t);
NCCL(ncclGroupStart, void);
NCCL(ncclGroupEnd, void);
NCCL(ncclReduce, const void *, void *, size_t, ncclDataType_t, ncclRedOp_t, int, ncclComm_t, cudaStream_t);
NCCL(ncclBroadcast, const void *, void *, size_t, ncclDataType_t, int, ncclComm_t, cudaStream_t);
NCCL(ncclCommGetAsyncError, ncclComm_t, ncclResult_t *);
_Static_assert(__builtin_types_compatible_p(__typeof__(&ncclGetErrorString), const char *(*)(ncclResult_t)), "text");
_Static_assert(ncclSuccess == 0 && ncclInProgress == 7 && ncclSum == 0 && ncclFloat32 == 7, "numbers");
#endif
