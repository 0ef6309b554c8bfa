//go:build !amd64 || noasm

package gemm

import "github.com/saint-gnn/saint/internal/cpufeat"

// asmKernels reports that this build has none.
func asmKernels(cpufeat.Level) (kernels, bool) { return kernels{}, false }

// asmTiles reports that this build has none.
func asmTiles(cpufeat.Level) tileOps { return tileOps{} }
