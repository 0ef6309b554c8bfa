package gemm_test

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/kernels/gemm"
	"github.com/saint-gnn/saint/internal/workers"
)

// The left two columns of a 2×3 matrix times the transpose of a 3×2 one.
func ExampleGemm() {
	g := workers.New(0)
	defer g.Close()
	ws := gemm.NewWorkspace()
	a := []float32{1, 2, 9, 3, 4, 9}
	b := []float32{1, 0, 0, 1, 1, 1}
	c := make([]float32, 2*3)
	gemm.Gemm(g, ws, false, true, 2, 3, 2, 1, a, 3, b, 2, 0, c, 3)
	fmt.Println(c)
	// Output: [1 2 3 3 4 7]
}
