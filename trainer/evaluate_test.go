package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/cpu"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// reference computes logits in float64 from the definition of the model.
type reference struct {
	config *trainconfig.Config
	graph  *formats.Graph
	params map[string][]float64
}

func newReference(t *testing.T, c *trainconfig.Config, m *Model, g *formats.Graph) *reference {
	q := newQueue(t, m.Backend)
	r := &reference{config: c, graph: g, params: map[string][]float64{}}
	for _, p := range m.Seq.Params() {
		for _, x := range nntest.Download(q, p.Value) {
			r.params[p.Name] = append(r.params[p.Name], float64(x))
		}
	}
	return r
}

// mean returns D^-1 A x.
func (r *reference) mean(x [][]float64) [][]float64 {
	y := make([][]float64, len(x))
	for v := range y {
		y[v] = make([]float64, len(x[v]))
		total := 0.0
		for pass := range 2 {
			for e := r.graph.Indptr[v]; e < r.graph.Indptr[v+1]; e++ {
				w := 1.0
				if r.graph.Weights != nil {
					w = float64(r.graph.Weights[e])
				}
				if pass == 0 {
					total += w
					continue
				}
				for j, u := range x[r.graph.Indices[e]] {
					if total > 0 {
						y[v][j] += w / total * u
					}
				}
			}
		}
	}
	return y
}

func (r *reference) act(x float64) float64 {
	switch {
	case x > 0 || r.config.Network.Act == "I":
		return x
	case r.config.Network.Act == "leaky_relu":
		return 0.2 * x
	default:
		return 0
	}
}

// hop returns norm(act(x W + b)).
func (r *reference) hop(name string, x [][]float64, dim int, act func(float64) float64) [][]float64 {
	w, b := r.params[name+"weight"], r.params[name+"bias"]
	scale, offset := r.params[name+"scale"], r.params[name+"offset"]
	y := make([][]float64, len(x))
	for v := range y {
		row := make([]float64, dim)
		mean, square := 0.0, 0.0
		for j := range row {
			z := b[j]
			for k, xk := range x[v] {
				z += xk * w[k*dim+j]
			}
			row[j] = act(z)
			mean += row[j] / float64(dim)
		}
		for _, z := range row {
			square += (z - mean) * (z - mean) / float64(dim)
		}
		for j := range row {
			if scale != nil {
				row[j] = (row[j]-mean)/math.Sqrt(square+1e-9)*scale[j] + offset[j]
			}
		}
		y[v] = row
	}
	return y
}

func (r *reference) layer(i, order int, x [][]float64) [][]float64 {
	n := r.config.Network
	y := make([][]float64, len(x))
	for k := 0; k <= order; k++ {
		h := r.hop(fmt.Sprintf("layers.%d.hops.%d.", i, k), x, n.Dim, r.act)
		for v := range y {
			if n.Aggr == "concat" || k == 0 {
				y[v] = append(y[v], h[v]...)
				continue
			}
			for j := range y[v] {
				y[v][j] += h[v][j]
			}
		}
		x = r.mean(x)
	}
	if name := fmt.Sprintf("layers.%d.norm.", i); n.Bias == "norm-nn" {
		for v := range y {
			for j := range y[v] {
				s := math.Sqrt(r.params[name+"running_var"][j] + 1e-9)
				y[v][j] = (y[v][j]-r.params[name+"running_mean"][j])/s*r.params[name+"scale"][j] + r.params[name+"offset"][j]
			}
		}
	}
	return y
}

func (r *reference) logits(x [][]float64, classes int) []float64 {
	for i, order := range r.config.Network.Arch {
		x = r.layer(i, order, x)
	}
	for v := range x {
		norm := 0.0
		for _, z := range x[v] {
			norm += z * z
		}
		for j := range x[v] {
			x[v][j] /= max(math.Sqrt(norm), 1e-12)
		}
	}
	y := r.hop("classifier.hops.0.", x, classes, func(z float64) float64 { return z })
	return slices.Concat(y...)
}

func toRows(m *formats.Matrix) [][]float64 {
	out := make([][]float64, m.Rows())
	for i, x := range m.Matrix() {
		v := i / m.Dim()
		out[v] = append(out[v], float64(x))
	}
	return out
}

// evaluate returns all logits; tile 0 cuts by shape.
func evaluate(t *testing.T, m *Model, g *formats.Graph, feats formats.FeatureStore, tile int) []float32 {
	t.Helper()
	a, err := m.Backend.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close() // and not at the end of the test: it has many, and each takes 1 TiB of addresses
	e, err := NewEvaluator(g, feats, m.Backend, a)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.rowsAt = tile
	var out []float32
	next := 0
	for range 2 { // a second pass reuses the memory of the first
		out, next = out[:0], 0
		err = e.Logits(context.Background(), m, 0, func(c *nn.Context, lo, hi int, y tensor.Tensor) error {
			if lo != next || y.Rows != hi-lo || tile > 0 && hi-lo > tile {
				t.Errorf("visit(%d, %d) with %s after row %d and tiles of %d rows", lo, hi, y, next, tile)
			}
			next = hi
			out = append(out, nntest.Download(c.Q, y)...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if a.Live() != 0 || a.Bytes() != 0 {
			t.Errorf("arena holds %d tensors, %d bytes afterwards, want none", a.Live(), a.Bytes())
		}
	}
	if next != g.NumNodes() {
		t.Errorf("visited %d rows, want %d", next, g.NumNodes())
	}
	return out
}

// direct runs the model on the whole graph at once.
func direct(t *testing.T, m *Model, g *formats.Graph, feats *formats.Matrix) []float32 {
	t.Helper()
	b := m.Backend
	a, err := b.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	q := newQueue(t, b)
	e, err := NewEvaluator(g, feats, b, a)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	r := &evalRun{Evaluator: e}
	if err := r.rowTile(0, g.NumNodes()); err != nil {
		t.Fatal(err)
	}
	x := nntest.Upload(q, a, tensor.F32, feats.Rows(), feats.Dim(), feats.Matrix())
	return nntest.Download(q, m.Seq.Forward(&nn.Context{Q: q, A: a}, nn.Local{A: &e.csr}, x))
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// apart returns the largest difference relative to the largest value.
func apart[T float32 | float64](got []float32, want []T) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	most, scale := 0.0, 1e-6
	for i, w := range want {
		d := math.Abs(float64(got[i]) - float64(w))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		most, scale = max(most, d), max(scale, math.Abs(float64(w)))
	}
	return most / scale
}

func TestEvaluatorLogits(t *testing.T) {
	kinds := []string{"aggr: concat; bias: norm; act: relu", "aggr: mean; bias: norm-nn; act: leaky_relu", "aggr: concat; bias: bias; act: I"}
	b := backend(t, 2)
	for _, arch := range []string{"1-1-0", "1-0-1-0", "2-1-0", "0-1", "1-2-0-0", "0-0"} {
		for k, kind := range kinds {
			for _, in := range []int{5, 20} { // aggregates before and after multiplying
				t.Run(fmt.Sprintf("%s/%d/%d", arch, k, in), func(t *testing.T) {
					checkLogits(t, b, parse(t, yaml("dim: 8; arch: '"+arch+"'; "+kind, "lr: 0.01", "end: 1; sampler: full_batch")), in)
				})
			}
		}
	}
}

// checkLogits compares the evaluator, with tiles of several sizes, with the reference and
// with one pass over the whole graph, on several graphs.
func checkLogits(t *testing.T, b tensor.Backend, c *trainconfig.Config, in int) {
	m := newModel(t, c, in, 4, b)
	apartMemory := newModel(t, c, in, 4, discrete{b})
	behind := newModel(t, c, in, 4, deferred{discrete{b}})
	for name, g := range map[string]*formats.Graph{
		"symmetric":         randomGraph(50, 3, false, false),
		"directed weighted": randomGraph(41, 3, true, true),
		"one node":          {Indptr: []int64{0, 0}},
		"self loop":         {Indptr: []int64{0, 1}, Indices: []int32{0}},
		"no edges":          {Indptr: make([]int64, 21)},
		"weights of sum 0":  {Indptr: []int64{0, 1, 2}, Indices: []int32{1, 0}, Weights: []float32{0, 2}},
	} {
		x := randomFeatures(g.NumNodes(), in)
		want := newReference(t, c, m, g).logits(toRows(x), 4)
		whole := direct(t, m, g, x)
		for _, tile := range []int{0, 7, 1} {
			got := evaluate(t, m, g, x, tile)
			if d := apart(got, want); d > 1e-4 {
				t.Errorf("%s, tiles of %d: logits are %.2g from the reference", name, tile, d)
			}
			if d := apart(got, whole); d > 2e-5 {
				t.Errorf("%s, tiles of %d: logits are %.2g from the pass over the whole graph", name, tile, d)
			}
			hidden := rows{FeatureStore: x}
			for what, other := range map[string][]float32{
				"features not resident":       evaluate(t, m, g, hidden, tile),
				"memory not shared":           evaluate(t, apartMemory, g, x, tile),
				"neither resident nor shared": evaluate(t, apartMemory, g, hidden, tile),
				"asynchronous":                evaluate(t, behind, g, x, tile),
				"asynchronous, not resident":  evaluate(t, behind, g, hidden, tile),
			} {
				if !sameBits(other, got) {
					t.Errorf("%s, tiles of %d: %s gives other bits", name, tile, what)
				}
			}
		}
	}
}

func TestEvaluatorWithoutNodes(t *testing.T) {
	b := backend(t, 1)
	for _, arch := range []string{"1-1-0", "2-0"} {
		m := newModel(t, parse(t, yaml("dim: 8; arch: '"+arch+"'", "lr: 0.01", "end: 1; sampler: full_batch")), 3, 2, b)
		if got := evaluate(t, m, &formats.Graph{Indptr: []int64{0}}, formats.NewMatrix(nil, 3), 0); len(got) != 0 {
			t.Errorf("arch %s: %d logits, want none", arch, len(got))
		}
	}
}

// TestEvaluatorUpTo: the first layers alone give what the whole model sees there.
func TestEvaluatorUpTo(t *testing.T) {
	b := backend(t, 2)
	g, x := randomGraph(30, 3, false, false), randomFeatures(30, 6)
	m := newModel(t, parse(t, yaml("dim: 8; arch: '1-0-1-0'", "lr: 0.01", "end: 1; sampler: full_batch")), 6, 3, b)
	a := newArena(t, b)
	e, err := NewEvaluator(g, x, b, a)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.rowsAt = 7
	for upTo := 1; upTo <= m.Seq.Len(); upTo++ {
		rows, cols := 0, 0
		err := e.Logits(context.Background(), m, upTo, func(_ *nn.Context, lo, hi int, y tensor.Tensor) error {
			rows, cols = rows+hi-lo, y.Cols
			return nil
		})
		if want := m.Seq.Layer(upTo - 1).OutDim(); err != nil || rows != 30 || cols != want {
			t.Errorf("Logits up to %d = %d rows of %d, %v, want 30 of %d", upTo, rows, cols, err, want)
		}
	}
}

// TestEvaluatorMemory: the peak is what the documentation says.
func TestEvaluatorMemory(t *testing.T) {
	const n, dim, tile = 5000, 64, 100
	b := backend(t, 2)
	g := randomGraph(n, 15, false, false)
	for _, c := range []struct {
		arch    string
		in      int
		floats  int // of all nodes at once
		hidden  bool
		columns int // of a tile's temporaries and edges, generously
		b       tensor.Backend
	}{
		{"1-1-0", 64, 128, false, 6 * 128, b},                            // group 0 sums in columns that group 1 fills
		{"1-1-0", 64, 128, true, 7 * 128, b},                             // features need not be there for a projection
		{"1-0-1-0", 64, 128, false, 6 * 128, b},                          // group 1 projects
		{"1-0-1-0", 16, 128, false, 6 * 128, b},                          // group 0 aggregates features
		{"0-0", 64, 0, true, 6 * 64, b},                                  // tiles only
		{"2-0", 64, 64, false, 8 * 64, b},                                // order 2 aggregates first: the second sum is the tile's
		{"2-0", 128, 128 + 64, false, 9 * 64, b},                         // order 2 projects: two parts, and columns on their way
		{"1-1-1-1", 64, 128 + 64, false, 6 * 128, b},                     // one matrix, however many groups there are
		{"1-1-0", 64, 64 + 128, false, 7*128 + 2*30*n/tile, discrete{b}}, // the features count where memory is not shared
		{"1-1-1-1", 64, 128 + 64, true, 8*128 + 2*30*n/tile, discrete{b}},
		{"1-1-0 attention", 64, 72 + 128, false, 7 * 128, b}, // projection and output of group 0
	} {
		arch, layer, _ := strings.Cut(c.arch, " ")
		if layer != "" {
			layer = "; attention: 4"
		}
		conf := parse(t, yaml("dim: 64; arch: '"+arch+"'"+layer, "lr: 0.01", "end: 1; sampler: full_batch"))
		m := newModel(t, conf, c.in, 4, c.b)
		a := newArena(t, c.b)
		var x formats.FeatureStore = randomFeatures(n, c.in)
		if c.hidden {
			x = rows{FeatureStore: x}
		}
		e, err := NewEvaluator(g, x, c.b, a)
		if err != nil {
			t.Fatal(err)
		}
		e.rowsAt = tile
		if err := e.Logits(context.Background(), m, 0, func(*nn.Context, int, int, tensor.Tensor) error { return nil }); err != nil {
			t.Fatal(err)
		}
		e.Close()
		most := int64(4*n*c.floats + 4*tile*c.columns)
		if got := a.Peak(); got > most || got < int64(4*n*c.floats) {
			t.Errorf("arch %s, %d features: peak of %d bytes, want %d to %d", c.arch, c.in, got, 4*n*c.floats, most)
		}
	}
}

// breaking is a layer that panics.
type breaking struct{ nn.Layer }

func (breaking) Params() []*nn.Param { return nil }
func (breaking) OutDim() int         { return 3 }
func (breaking) Hops() int           { return 0 }
func (breaking) Forward(*nn.Context, nn.Graph, tensor.Tensor) tensor.Tensor {
	panic("a bug")
}

func TestEvaluatorErrors(t *testing.T) {
	b := backend(t, 2)
	g, x := randomGraph(60, 3, false, false), randomFeatures(60, 6)
	conf := parse(t, yaml("dim: 8; arch: '1-2-1-0'", "lr: 0.01", "end: 1; sampler: full_batch"))
	m := newModel(t, conf, 6, 3, b)
	boom := errors.New("boom")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	a := newArena(t, b)
	e, err := NewEvaluator(g, x, b, a)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.rowsAt = 7
	empty := func(what string) {
		t.Helper()
		if a.Live() != 0 || a.Bytes() != 0 || a.Err() != nil {
			t.Errorf("%s leaves %d tensors, %d bytes, %v in the arena", what, a.Live(), a.Bytes(), a.Err())
		}
	}
	tiles := 0
	stop := func(err error, at int, then func()) Visit {
		tiles = 0
		return func(*nn.Context, int, int, tensor.Tensor) error {
			if tiles++; tiles == at {
				then()
				return err
			}
			return nil
		}
	}
	if err := e.Logits(ctx, m, 0, stop(boom, 3, cancel)); !errors.Is(err, boom) || tiles != 3 {
		t.Errorf("Logits with a failing visit = %v after %d tiles, want boom after 3", err, tiles)
	}
	empty("a failing visit")
	if err := e.Logits(ctx, m, 0, stop(nil, -1, cancel)); !errors.Is(err, context.Canceled) || tiles != 0 {
		t.Errorf("Logits with an ended context = %v after %d tiles, want canceled after 0", err, tiles)
	}
	empty("an ended context")
	later, end := context.WithCancel(context.Background())
	defer end()
	if err := e.Logits(later, m, 0, stop(nil, 2, end)); !errors.Is(err, context.Canceled) || tiles != 2 {
		t.Errorf("Logits cancelled in a tile = %v after %d tiles, want canceled after 2", err, tiles)
	}
	empty("cancellation")

	broken := newModel(t, conf, 6, 3, b)
	broken.Seq.Add("mine", breaking{})
	var p *LayerPanic
	err = e.Logits(context.Background(), broken, 0, stop(nil, -1, cancel))
	if !errors.As(err, &p) || p.Layer != "layer mine" || p.During != "evaluation" || p.Stack == "" {
		t.Errorf("Logits of a layer that panics = %v, want a LayerPanic naming mine", err)
	}
	empty("a panic")

	for _, arch := range []string{"0-1", "1-0", "2-0"} {
		m := newModel(t, parse(t, yaml("dim: 8; arch: '"+arch+"'", "lr: 0.01", "end: 1; sampler: full_batch")), 6, 3, b)
		fails, err := NewEvaluator(g, rows{x, boom}, b, a)
		if err != nil {
			t.Fatal(err)
		}
		if err := fails.Logits(context.Background(), m, 0, stop(nil, -1, cancel)); !errors.Is(err, boom) {
			t.Errorf("arch %s: Logits of features that cannot be read = %v, want boom", arch, err)
		}
		fails.Close()
		empty("features that cannot be read")
	}
	if _, err := NewEvaluator(g, randomFeatures(59, 6), b, a); err == nil {
		t.Error("NewEvaluator with a feature row too few succeeded")
	}
}

// TestEvaluatorOutOfMemory: an arena that is too small ends in an error.
func TestEvaluatorOutOfMemory(t *testing.T) {
	b := backend(t, 1)
	a, err := cpu.NewArena(1 << 16)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	g, x := randomGraph(2000, 3, false, false), randomFeatures(2000, 6)
	for _, arch := range []string{"1-1-0", "2-0", "0-0"} {
		m := newModel(t, parse(t, yaml("dim: 32; arch: '"+arch+"'", "lr: 0.01", "end: 1; sampler: full_batch")), 6, 3, b)
		e, err := NewEvaluator(g, x, b, a)
		if err != nil {
			t.Fatal(err)
		}
		visits := 0
		err = e.Logits(context.Background(), m, 0, func(*nn.Context, int, int, tensor.Tensor) error {
			visits++
			return nil
		})
		wantError(t, "Logits in an arena of 64 KiB, arch "+arch, err, "evaluate: cpu: allocate")
		if visits != 0 || a.Live() != 0 {
			t.Errorf("arch %s: %s visits, %d tensors left, want none", arch, strconv.Itoa(visits), a.Live())
		}
		e.Close()
	}
}
