package spmm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/saint-gnn/saint/internal/workers"
)

// The adjacency of a minibatch: nodes, average degree and widths of the public
// configurations (Flickr, Reddit, PPI), degrees skewed as in real graphs.
var benchShapes = []struct{ nodes, degree, n int }{
	{11920, 6, 500},
	{11920, 6, 256},
	{8643, 50, 602},
	{8643, 50, 128},
	{5064, 15, 512},
	{5064, 15, 121},
	{8643, 50, 41},
	{8643, 50, 7},
}

// powerLaw returns a product with a skewed degree distribution: edges fall on node
// nodes*u³ for a uniform u, in shuffled order of ids.
func powerLaw(r *rand.Rand, nodes, degree, n int) Args {
	perm := r.Perm(nodes)
	skewed := func() int {
		u := r.Float64()
		return perm[int(float64(nodes)*u*u*u)]
	}
	a := Args{Alpha: 1, LDX: n, LDY: n, N: n, Indptr: make([]int32, nodes+1)}
	for range nodes * degree {
		a.Indptr[skewed()+1]++
		a.Col = append(a.Col, int32(skewed()))
		a.Val = append(a.Val, r.Float32())
	}
	for i := range nodes {
		a.Indptr[i+1] += a.Indptr[i]
		slices.Sort(a.Col[a.Indptr[i]:a.Indptr[i+1]])
	}
	a.X, a.Y = make([]float32, nodes*n), make([]float32, nodes*n)
	for i := range a.X {
		a.X[i] = r.Float32()
	}
	return a
}

// BenchmarkMul reports the median of gigabytes of x and y touched per second.
func BenchmarkMul(b *testing.B) {
	for _, threads := range []int{1, 0} {
		g := workers.New(threads)
		for _, level := range levels() {
			for _, s := range benchShapes {
				name := fmt.Sprintf("%v/threads=%d/nodes=%d-degree=%d-width=%d", level, g.Threads(), s.nodes, s.degree, s.n)
				b.Run(name, func(b *testing.B) {
					a := powerLaw(rand.New(rand.NewPCG(1, 1)), s.nodes, s.degree, s.n)
					ws := newWorkspace(level)
					Mul(g, ws, a)
					var times []time.Duration
					for b.Loop() {
						start := time.Now()
						Mul(g, ws, a)
						times = append(times, time.Since(start))
					}
					slices.Sort(times)
					touched := 4 * float64(s.nodes) * float64(s.n) * float64(s.degree+1)
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(touched/float64(times[len(times)/2]), "GB/s")
				})
			}
		}
		g.Close()
	}
}
