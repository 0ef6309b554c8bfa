package spmm_test

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/kernels/spmm"
	"github.com/saint-gnn/saint/internal/workers"
)

// The mean over the neighbours of each node on the path 0 - 1 - 2.
func ExampleMul() {
	g := workers.New(0)
	defer g.Close()
	y := make([]float32, 3*2)
	spmm.Mul(g, spmm.NewWorkspace(), spmm.Args{
		Alpha:  1,
		Indptr: []int32{0, 1, 3, 4},
		Col:    []int32{1, 0, 2, 1},
		Val:    []float32{1, 0.5, 0.5, 1},
		X:      []float32{1, 10, 2, 20, 3, 30}, LDX: 2,
		Y: y, LDY: 2,
		N: 2,
	})
	fmt.Println(y)
	// Output: [2 20 2 20 2 20]
}
