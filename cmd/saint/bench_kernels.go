package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/kernels/gemm"
	"github.com/saint-gnn/saint/internal/kernels/spmm"
)

// timed calls op once to warm up and then repeatedly; it returns milliseconds of one call
// for each repeat.
func (b *bencher) timed(op func() error) ([]float64, error) {
	once := func(n int) (float64, error) {
		begin := time.Now()
		for range n {
			if err := op(); err != nil {
				return 0, err
			}
		}
		return sinceMS(begin) / float64(n), nil
	}
	first, err := once(1)
	if err != nil {
		return nil, err
	}
	if second, err := once(1); err == nil {
		first = min(first, second)
	}
	n := max(1, int(float64(benchTimes.least.Milliseconds())/max(first, 1e-6)))
	return b.few(func() (float64, error) { return once(n) })
}

// gemmShape is a dense layer on a subgraph of that many nodes.
type gemmShape struct {
	name          string
	rows, in, out int
}

// gemmShapes are the dense products of the presets' layers and a large square.
var gemmShapes = []gemmShape{
	{"flickr-like", 11_920, 500, 256},
	{"flickr-like", 11_920, 512, 256},
	{"ppi-like", 5_064, 1024, 512},
	{"reddit-like", 8_643, 602, 128},
	{"reddit-like", 8_643, 256, 128},
	{"square", 2_048, 2_048, 2_048},
}

// gemmProducts are the three products of a dense layer with rows x in -> out.
var gemmProducts = []struct {
	name           string
	transA, transB bool
	dims           func(gemmShape) (m, n, k int)
}{
	{"NN", false, false, func(s gemmShape) (m, n, k int) { return s.rows, s.out, s.in }}, // x w
	{"NT", false, true, func(s gemmShape) (m, n, k int) { return s.rows, s.in, s.out }},  // dy wᵀ
	{"TN", true, false, func(s gemmShape) (m, n, k int) { return s.in, s.out, s.rows }},  // xᵀ dy
}

// mostGemm bounds the extents of --shapes.
const mostGemm = 1 << 16

// parseShapes reads products such as 1024x256x512; "" is none.
func parseShapes(text string) ([]gemmShape, error) {
	if text == "" {
		return nil, nil
	}
	var shapes []gemmShape
	for _, word := range strings.Split(text, ",") {
		s := gemmShape{name: "given"}
		rest, err := fmt.Sscanf(strings.TrimSpace(word)+" ", "%dx%dx%d ", &s.rows, &s.out, &s.in)
		if err != nil || rest != 3 || min(s.rows, s.out, s.in) < 1 || max(s.rows, s.out, s.in) > mostGemm {
			return nil, usagef("--shapes has %q, want products such as 1024x256x512 of extents from 1 to %d", word, mostGemm)
		}
		shapes = append(shapes, s)
	}
	return shapes, nil
}

func (b *bencher) gemm(context.Context) error {
	threads := []int{1}
	if b.threads > 1 {
		threads = append(threads, b.threads)
	}
	shapes := b.shapes
	if shapes == nil {
		shapes = gemmShapes
	}
	for _, s := range shapes {
		for _, p := range gemmProducts {
			base := 0.0
			for _, t := range threads {
				m, n, k := p.dims(s)
				f, err := b.gemmOne(fmt.Sprintf("gemm/%s %s %dx%dx%d", p.name, s.name, m, n, k), t, p.transA, p.transB, m, n, k)
				if err != nil {
					return err
				}
				if t == 1 {
					base = f.Value
				}
				f.efficiency(base / f.Value)
				if err := b.report.add(f); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *bencher) gemmOne(name string, threads int, transA, transB bool, m, n, k int) (figure, error) {
	g, ws := b.machine.group(threads), gemm.NewWorkspace()
	x, y, z := noise(m*k), noise(k*n), make([]float32, m*n)
	lda, ldb := k, n
	if transA {
		lda = m
	}
	if transB {
		ldb = k
	}
	limit, tiles := around(b.machine.peakFlops, threads), around(b.machine.peakTiles, threads)
	samples, err := b.timed(func() error {
		gemm.Gemm(g, ws, transA, transB, m, n, k, 1, x, lda, y, ldb, 0, z, n)
		return nil
	})
	if err != nil {
		return figure{}, err
	}
	f := newFigure(name, threads, "ms", samples)
	f.rate(2*float64(m)*float64(n)*float64(k)/f.Value*1e3, "GFLOP/s", 1e9, limit())
	if most := tiles() / 1e9; most > 0 {
		f.More = map[string]float64{"tile_peak": most, "share_of_tile_peak": f.Rate / most}
		f.Work = fmt.Sprintf("%.0f %% of tiles", 100*f.Rate/most)
	}
	return f, nil
}

// noise returns numbers that are neither 0 nor denormal, the same every time.
func noise(n int) []float32 {
	x := make([]float32, n)
	state := uint32(1)
	for i := range x {
		state = state*1664525 + 1013904223
		x[i] = float32(state>>8)/(1<<24) - 0.5
	}
	return x
}

// spmm measures the aggregation of a sampled subgraph at the width of the network, and of
// the full graph.
func (b *bencher) spmm(ctx context.Context) error {
	batches, err := b.drawBatches(ctx, 1)
	if err != nil {
		return err
	}
	defer release(batches)
	s := &batches[0].Subgraph
	width := b.set.config.Network.Dim
	if err := b.spmmOn("subgraph", s.Indptr, s.Indices, s.AdjNorm, s.NumNodes(), width); err != nil {
		return err
	}
	g := b.set.ds.Full
	if g.NumEdges() > 1<<30 {
		b.env.log.Warn("the full graph is too large for one sparse product: left out")
		return nil
	}
	indptr, values := wholeGraph(g)
	return b.spmmOn("full graph", indptr, g.Indices, values, g.NumNodes(), width)
}

// wholeGraph returns the row starts and weights of the mean over all neighbours.
func wholeGraph(g *formats.Graph) (indptr []int32, values []float32) {
	indptr, values = make([]int32, g.NumNodes()+1), make([]float32, g.NumEdges())
	for v := range g.NumNodes() {
		lo, hi := g.Indptr[v], g.Indptr[v+1]
		indptr[v+1] = int32(hi)
		for e := lo; e < hi; e++ {
			values[e] = 1 / float32(hi-lo)
		}
	}
	return indptr, values
}

func (b *bencher) spmmOn(what string, indptr, col []int32, val []float32, n, width int) error {
	x, y := noise(n*width), make([]float32, n*width)
	nnz := float64(len(col))
	base := 0.0
	for _, t := range b.machine.scaling() {
		g, ws := b.machine.group(t), spmm.NewWorkspace()
		samples, err := b.timed(func() error {
			spmm.Mul(g, ws, spmm.Args{Alpha: 1, Indptr: indptr, Col: col, Val: val, X: x, LDX: width, Y: y, LDY: width, N: width})
			return nil
		})
		if err != nil {
			return err
		}
		f := newFigure(fmt.Sprintf("spmm/%s %s, %d columns", b.set.label, what, width), t, "ms", samples)
		if t == 1 {
			base = f.Value
		}
		// A row of x for every entry, the entries, and y: what passes through the cores.
		moved := nnz*(8+4*float64(width)) + 4*float64(n)*float64(width)
		f.rate(moved/f.Value*1e3, "GB/s", 1e9, b.machine.peakBytes(t))
		f.efficiency(base / f.Value)
		f.Work = fmt.Sprintf("%d nodes, %d edges", n, len(col))
		if err := b.report.add(f); err != nil {
			return err
		}
	}
	return nil
}
