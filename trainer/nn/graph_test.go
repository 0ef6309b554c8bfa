package nn_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// blocks is a graph cut into column blocks: what a graph spread over machines looks like to
// a layer.
type blocks struct {
	n   int
	cut []int // block i has the columns [cut[i], cut[i+1])
	a   []*tensor.CSR
}

func (g *blocks) NumDst() int                       { return g.n }
func (g *blocks) NumSrc() int                       { return g.n }
func (g *blocks) Dst(x tensor.Tensor) tensor.Tensor { return x }
func (g *blocks) Err() error                        { return nil }

func (g *blocks) Sweep(_ *nn.Context, x tensor.Tensor, visit func(nn.Block, tensor.Tensor)) {
	for i, a := range g.a {
		visit(nn.Block{A: a, First: i == 0}, x.RowRange(g.cut[i], g.cut[i+1]))
	}
}

func (g *blocks) SweepBack(_ *nn.Context, x, dx tensor.Tensor, needX bool, visit func(nn.Block, tensor.Tensor, tensor.Tensor)) {
	for i, a := range g.a {
		var xsrc tensor.Tensor
		if needX {
			xsrc = x.RowRange(g.cut[i], g.cut[i+1])
		}
		visit(nn.Block{A: a, First: true}, xsrc, dx.RowRange(g.cut[i], g.cut[i+1]))
	}
}

// columns returns the columns [lo, hi) of a matrix.
func columns(g nntest.CSR, lo, hi int) nntest.CSR {
	return g.Transpose().RowRange(lo, hi).Transpose()
}

// TestBlocks: a layer gives the same results on a graph in one block and in several, also
// in none.
func TestBlocks(t *testing.T) {
	for _, order := range []int{1, 2} {
		for _, in := range []int{3, 9} {
			for _, cut := range [][]int{{0, 4, 4, 20, 30}, {0, 30}, nil} {
				t.Run(fmt.Sprintf("order %d in %d blocks %v", order, in, cut), func(t *testing.T) { checkBlocks(t, "high_order", order, in, cut) })
			}
		}
		for _, kind := range []string{"gat", "gaan", "gat_tf", "gat_softmax"} {
			for _, cut := range [][]int{{0, 4, 4, 20, 30}, {0, 30}, nil} {
				if order == 1 || kind == "gat" {
					t.Run(fmt.Sprintf("%s order %d blocks %v", kind, order, cut), func(t *testing.T) { checkBlocks(t, kind, order, 5, cut) })
				}
			}
		}
	}
}

func checkBlocks(t *testing.T, kind string, order, in int, cut []int) {
	const n = 30
	r := newTrainee(t, 1)
	builder, err := nn.NewBuilder(open(t, 1), r.params, 1)
	if err != nil {
		t.Fatal(err)
	}
	dim := 4
	if kind != "high_order" {
		dim = 8 // the norm of a head of two columns is almost a sign
	}
	l, err := nn.New(kind, builder, nn.Spec{Name: "l", In: in, Dim: dim, Order: order, Heads: 2, Act: tensor.LeakyReLU, Aggr: "concat", Bias: "norm"})
	if err != nil {
		t.Fatal(err)
	}
	if err := builder.Close(); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	host := nntest.RandomGraph(rng, n, 100)
	if cut == nil {
		host = nntest.RandomGraph(rng, n, 0)
	}
	split := &blocks{n: n, cut: cut}
	for i := 1; i < len(cut); i++ {
		split.a = append(split.a, columns(host, cut[i-1], cut[i]).Upload(r.q, r.params))
	}
	x := nntest.Upload(r.q, r.params, tensor.F32, n, in, random(rng, n*in))
	dy := nntest.Upload(r.q, r.params, tensor.F32, n, l.OutDim(), random(rng, n*l.OutDim()))
	results := func(g nn.Graph) [][]float32 {
		nntest.ZeroGrads(r.q, l.Params())
		y := l.Forward(&r.ctx, g, x)
		r.ctx.EndLayer()
		dx := l.Backward(&r.ctx, g, dy, true)
		r.ctx.EndLayer()
		out := [][]float32{nntest.Download(r.q, y), nntest.Download(r.q, dx)}
		for _, p := range l.Params() {
			out = append(out, nntest.Download(r.q, p.Grad))
		}
		r.step.Release(y)
		r.step.Release(dx)
		if r.step.Live() != 0 {
			t.Fatalf("%d tensors live, want 0", r.step.Live())
		}
		return out
	}
	// The order matters: the second run meets memory that the first one used.
	want := results(nn.Local{A: host.Upload(r.q, r.params)})
	got := results(split)
	for i := range want {
		// Isolated rows have variance 0 under "norm", whose gradients reach 1e4: rounding
		// relative to the largest element.
		within(t, fmt.Sprintf("result %d", i), got[i], want[i], 1e-5)
	}
}

// TestNoBlocks: without blocks the aggregate and its gradient are 0, whatever the memory held.
func TestNoBlocks(t *testing.T) {
	r := newTrainee(t, 1)
	x, y := r.params.Alloc(tensor.F32, 3, 2), r.params.Alloc(tensor.F32, 3, 2)
	for name, call := range map[string]func(){
		"Aggregate":     func() { nn.Aggregate(&r.ctx, &blocks{n: 3}, x, y) },
		"AggregateBack": func() { nn.AggregateBack(&r.ctx, &blocks{n: 3}, x, y) },
	} {
		r.q.Fill(1, x)
		r.q.Fill(7, y)
		call()
		if got, want := nntest.Download(r.q, y), make([]float32, 6); !slices.Equal(got, want) {
			t.Errorf("%s without blocks = %v, want %v", name, got, want)
		}
	}
}

func random(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// TestSide: the side of W on which A stands follows from the sizes alone.
func TestSide(t *testing.T) {
	for _, c := range []struct {
		in, dim, order, proj int
	}{
		{602, 128, 1, 128}, // Reddit: 128 columns instead of 602
		{50, 512, 1, 0},    // PPI: 50 instead of 512
		{300, 512, 1, 0},   // Yelp: 300 instead of 512
		{512, 512, 1, 512}, // equal: the projection needs no aggregated input for backward
		{602, 128, 0, 0},
		{602, 128, 2, 0}, // projected, but aggregated more than once
	} {
		l, err := nn.New("high_order", &nn.ShapeBuilder{}, nn.Spec{In: c.in, Dim: c.dim, Order: c.order, Aggr: "concat", Bias: "norm"})
		if err != nil {
			t.Fatal(err)
		}
		if got := l.(nn.Projector).ProjDim(); got != c.proj || l.Hops() != c.order {
			t.Errorf("in %d, dim %d, order %d: ProjDim() = %d, Hops() = %d, want %d, %d", c.in, c.dim, c.order, got, l.Hops(), c.proj, c.order)
		}
	}
}

// TestDropout: dropping out equals running without dropout on the masked input; the mask
// changes with step and layer, and evaluation has none.
func TestDropout(t *testing.T) {
	const n, in = 50, 9
	r := newTrainee(t, 1)
	layer := func(dropout float32) nn.Layer {
		builder, err := nn.NewBuilder(open(t, 1), r.params, 1)
		if err != nil {
			t.Fatal(err)
		}
		l, err := nn.New("high_order", builder, nn.Spec{Name: "l", In: in, Dim: 4, Order: 1, Act: tensor.ReLU, Aggr: "concat", Bias: "norm", Dropout: dropout})
		if err != nil {
			t.Fatal(err)
		}
		if err := builder.Close(); err != nil {
			t.Fatal(err)
		}
		return l
	}
	with, without := layer(0.4), layer(0)
	rng := rand.New(rand.NewPCG(1, 2))
	g := nn.Local{A: nntest.RandomGraph(rng, n, 200).Upload(r.q, r.params)}
	x := nntest.Upload(r.q, r.params, tensor.F32, n, in, random(rng, n*in))
	masked := r.params.Alloc(tensor.F32, n, in)
	forward := func(l nn.Layer, x tensor.Tensor) []float32 {
		y := l.Forward(&r.ctx, g, x)
		r.ctx.EndLayer()
		defer r.step.Release(y)
		return nntest.Download(r.q, y)
	}
	r.ctx.Store, r.ctx.Seed, r.ctx.Step, r.ctx.Layer = nil, 5, 6, 7
	r.q.Dropout(0.4, tensor.RandKey{Seed: 5, Step: 6, Layer: 7}, x, masked)
	first := forward(with, x)
	within(t, "dropped-out output", first, forward(without, masked), 1e-6)
	dropped := 0
	for _, v := range nntest.Download(r.q, masked) {
		if v == 0 {
			dropped++
		}
	}
	if share := float64(dropped) / (n * in); math.Abs(share-0.4) > 0.1 {
		t.Errorf("share of dropped inputs = %v, want 0.4", share)
	}
	r.ctx.Step = 7
	if other := forward(with, x); other[0] == first[0] && other[1] == first[1] {
		t.Error("two steps have the same mask")
	}
	r.ctx.Train = false
	within(t, "output in evaluation", forward(with, x), forward(without, x), 1e-6)
}

// TestShapePanics: shapes that do not fit are bugs of the caller and panic with a ShapeError.
func TestShapePanics(t *testing.T) {
	r := newTrainee(t, 1)
	builder, err := nn.NewBuilder(open(t, 1), r.params, 1)
	if err != nil {
		t.Fatal(err)
	}
	l, err := nn.New("high_order", builder, nn.Spec{Name: "l", In: 3, Dim: 4, Order: 2, Aggr: "concat", Bias: "norm"})
	if err != nil {
		t.Fatal(err)
	}
	if err := builder.Close(); err != nil {
		t.Fatal(err)
	}
	host := nntest.RandomGraph(rand.New(rand.NewPCG(1, 2)), 10, 20)
	whole := nn.Local{A: host.Upload(r.q, r.params)}
	tile := &nn.RowTile{A: host.RowRange(2, 5).Upload(r.q, r.params), Lo: 2, Hi: 5, Src: 10}
	x := func(rows, cols int) tensor.Tensor { return r.params.Alloc(tensor.F32, rows, cols) }
	for _, c := range []struct {
		name string
		call func()
	}{
		{"order 2 on a row tile", func() { l.Forward(&r.ctx, tile, x(10, 3)) }},
		{"narrow input", func() { l.Forward(&r.ctx, whole, x(10, 2)) }},
		{"short input", func() { l.Forward(&r.ctx, whole, x(9, 3)) }},
		{"aggregate short input", func() { nn.Aggregate(&r.ctx, whole, x(9, 3), x(10, 3)) }},
		{"aggregate into too few rows", func() { nn.Aggregate(&r.ctx, whole, x(10, 3), x(9, 3)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				var shape *tensor.ShapeError
				if err, ok := recover().(error); !ok || !errors.As(err, &shape) {
					t.Errorf("panicked with %v, want a ShapeError", err)
				}
				r.ctx.EndLayer()
			}()
			c.call()
		})
	}
	defer func() {
		if recover() == nil {
			t.Error("backward over a row tile did not panic")
		}
	}()
	tile.SweepBack(&r.ctx, tensor.Tensor{}, tensor.Tensor{}, false, nil)
}
