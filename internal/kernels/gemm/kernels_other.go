package gemm

import "github.com/saint-gnn/saint/internal/cpufeat"

func asmKernels(cpufeat.Level) (kernels, bool) { return kernels{}, false }
