package nn_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

func sage() nn.ModelSpec {
	return nn.ModelSpec{In: 10, Dim: 6, Classes: 4, Orders: []int{1, 0}, Act: tensor.ReLU, Aggr: "concat", Bias: "norm", Dropout: 0.1}
}

type keys struct{ err error }

func (k keys) Decode(any) error { return k.err }

func TestBuildErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*nn.ModelSpec)
		want   string
	}{
		{"no layers", func(m *nn.ModelSpec) { m.Orders = nil }, "arch: a model needs at least one layer"},
		{"unknown kind", func(m *nn.ModelSpec) { m.Layer = "gan" }, `layer "gan": unknown, there is ` + strings.Join(nn.Names(), ", ")},
		{"no features", func(m *nn.ModelSpec) { m.In = 0 }, "layer layers.0 (high_order): input width 0: must be 1 to 1048576"},
		{"no width", func(m *nn.ModelSpec) { m.Dim = 0 }, "layer layers.0 (high_order): width 0: must be 1 to 1048576"},
		{"no classes", func(m *nn.ModelSpec) { m.Classes = 0 }, "layer classifier (high_order): width 0: must be 1 to 1048576"},
		{"negative order", func(m *nn.ModelSpec) { m.Orders[1] = -1 }, "layer layers.1 (high_order): order -1: must be 0 to 174761 with width 6"},
		{"huge order", func(m *nn.ModelSpec) { m.Orders[0] = math.MaxInt }, "layer layers.0 (high_order): order 9223372036854775807: must be 0 to 174761 with width 6"},
		{"aggr", func(m *nn.ModelSpec) { m.Aggr = "max" }, `layer layers.0 (high_order): aggr "max": unknown, there is concat, mean`},
		{"bias", func(m *nn.ModelSpec) { m.Bias = "" }, `layer layers.0 (high_order): bias "": unknown, there is bias, norm, norm-nn`},
		{"activation", func(m *nn.ModelSpec) { m.Act = 9 }, "layer layers.0 (high_order): activation 9: unknown"},
		{"dropout", func(m *nn.ModelSpec) { m.Dropout = 1 }, "layer layers.0 (high_order): dropout 1: must be at least 0 and below 1"},
		{"not a number", func(m *nn.ModelSpec) { m.Dropout = float32(math.NaN()) }, "layer layers.0 (high_order): dropout NaN: must be at least 0 and below 1"},
		{"further keys", func(m *nn.ModelSpec) { m.Extra = keys{errors.New("network: unknown key heads")} }, "layer layers.0 (high_order): network: unknown key heads"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := sage()
			c.change(&m)
			if _, err := nn.Build(m, &nn.ShapeBuilder{}); err == nil || err.Error() != c.want {
				t.Errorf("Build = %v, want %s", err, c.want)
			}
		})
	}
}

func TestBuildShapes(t *testing.T) {
	m := sage()
	m.Extra = keys{}
	var b nn.ShapeBuilder
	s, err := nn.Build(m, &b)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var count int64
	for _, p := range s.Params() {
		names = append(names, p.Name+" "+p.Value.String())
		count += int64(p.Value.Rows * p.Value.Cols)
	}
	want := []string{
		"layers.0.hops.0.weight 10x6 f32", "layers.0.hops.0.bias 1x6 f32", "layers.0.hops.0.scale 1x6 f32", "layers.0.hops.0.offset 1x6 f32",
		"layers.0.hops.1.weight 10x6 f32", "layers.0.hops.1.bias 1x6 f32", "layers.0.hops.1.scale 1x6 f32", "layers.0.hops.1.offset 1x6 f32",
		"layers.1.hops.0.weight 12x6 f32", "layers.1.hops.0.bias 1x6 f32", "layers.1.hops.0.scale 1x6 f32", "layers.1.hops.0.offset 1x6 f32",
		"classifier.hops.0.weight 6x4 f32", "classifier.hops.0.bias 1x4 f32",
	}
	if got, want := strings.Join(names, "\n"), strings.Join(want, "\n"); got != want {
		t.Errorf("parameters are\n%s\nwant\n%s", got, want)
	}
	if b.Trained != count || b.Buffers != 0 {
		t.Errorf("ShapeBuilder counts %d trained and %d others, want %d and 0", b.Trained, b.Buffers, count)
	}
	layers := make([]string, s.Len())
	for i := range layers {
		layers[i] = s.Name(i)
	}
	if got := strings.Join(layers, " "); got != "layers.0 layers.1 head classifier" || s.OutDim() != 4 {
		t.Errorf("layers %s with %d outputs, want layers.0 layers.1 head classifier with 4", got, s.OutDim())
	}
	m.Bias, m.Aggr, b = "norm-nn", "mean", nn.ShapeBuilder{}
	if _, err = nn.Build(m, &b); err != nil {
		t.Fatal(err)
	}
	// 2 hops of 10x6+6, one of 6x6+6, two norms of 6+6, a classifier of 6x4+4.
	if b.Trained != 132+42+24+28 || b.Buffers != 24 {
		t.Errorf("ShapeBuilder counts %d trained and %d others, want 226 and 24", b.Trained, b.Buffers)
	}
}

// initialValues returns the parameters of a new model.
func initialValues(t *testing.T, seed uint64) map[string][]float32 {
	t.Helper()
	r := newTrainee(t, 1)
	builder, err := nn.NewBuilder(open(t, 1), r.params, seed)
	if err != nil {
		t.Fatal(err)
	}
	m := sage()
	m.In, m.Bias = 200, "norm-nn"
	s, err := nn.Build(m, builder)
	if err != nil {
		t.Fatal(err)
	}
	if err := builder.Close(); err != nil {
		t.Fatal(err)
	}
	out := map[string][]float32{}
	for _, p := range s.Params() {
		out[p.Name] = nntest.Download(r.q, p.Value)
		wantAll(t, "gradient of "+p.Name, nntest.Download(r.q, p.Grad), 0)
	}
	return out
}

func wantAll(t *testing.T, what string, got []float32, want float32) {
	t.Helper()
	for i, v := range got {
		if v != want {
			t.Fatalf("%s: element %d = %v, want %v", what, i, v, want)
		}
	}
}

func TestInitialValues(t *testing.T) {
	a := initialValues(t, 1)
	w := a["layers.0.hops.1.weight"]
	bound := math.Sqrt(6.0 / 206)
	var sum, square, largest float64
	for _, v := range w {
		sum += float64(v)
		square += float64(v) * float64(v)
		largest = max(largest, math.Abs(float64(v)))
	}
	n := float64(len(w))
	if largest > bound || largest < 0.99*bound {
		t.Errorf("largest Glorot value %v, want just below %v", largest, bound)
	}
	// Five standard errors of mean and variance of U(-bound, bound).
	if math.Abs(sum/n) > 5*bound/math.Sqrt(3*n) || math.Abs(square/n-bound*bound/3) > 5*0.3*bound*bound/math.Sqrt(n) {
		t.Errorf("Glorot values have mean %v and variance %v, want 0 and %v", sum/n, square/n, bound*bound/3)
	}
	wantAll(t, "bias", a["layers.0.hops.0.bias"], 0)
	wantAll(t, "scale", a["layers.0.norm.scale"], 1)
	wantAll(t, "offset", a["layers.0.norm.offset"], 0)
	wantAll(t, "running mean", a["layers.0.norm.running_mean"], 0)
	wantAll(t, "running variance", a["layers.0.norm.running_var"], 1)

	for name, again := range initialValues(t, 1) {
		if !slices.Equal(a[name], again) {
			t.Errorf("%s differs between two builds of one seed", name)
		}
	}
	if slices.Equal(a["layers.0.hops.0.weight"], w) {
		t.Error("two positions share their values")
	}
	if slices.Equal(initialValues(t, 2)["layers.0.hops.1.weight"], w) {
		t.Error("two seeds share their values")
	}
}

func TestParseAct(t *testing.T) {
	for name, want := range map[string]tensor.Act{"I": tensor.Identity, "relu": tensor.ReLU, "leaky_relu": tensor.LeakyReLU} {
		if got, err := nn.ParseAct(name); got != want || err != nil {
			t.Errorf("ParseAct(%s) = %v, %v, want %v", name, got, err, want)
		}
	}
	if _, err := nn.ParseAct("elu"); err == nil {
		t.Error("ParseAct(elu) succeeded, want an error")
	}
}

func TestRegisterTwicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("second Register of a name did not panic")
		}
	}()
	nn.Register("high_order", nil)
}

// benchTrainee is a model of table2/reddit2_rw on a subgraph of its size: 8000 nodes, degree
// 50 within the subgraph, 602 features.
func benchTrainee(tb testing.TB, threads, nodes, degree int, m nn.ModelSpec) *trainee {
	tb.Helper()
	r := newTrainee(tb, threads)
	r.build(tb, open(tb, threads), m, "softmax", optim.DefaultAdam())
	indptr := make([]int32, nodes+1)
	indices := make([]int32, 0, nodes*degree)
	x, class, weight := make([]float32, nodes*m.In), make([]int32, nodes), make([]float32, nodes)
	state := uint64(1)
	next := func(n int) int {
		state = state*6364136223846793005 + 1442695040888963407
		return int(state >> 33 % uint64(n))
	}
	for v := range nodes {
		for range degree {
			indices = append(indices, int32(next(nodes)))
		}
		indptr[v+1] = int32(len(indices))
		class[v], weight[v] = int32(next(m.Classes)), 1/float32(nodes)
	}
	values := make([]float32, len(indices))
	for i := range values {
		values[i] = 1 / float32(degree)
	}
	for i := range x {
		x[i] = float32(next(2000))/1000 - 1
	}
	host := nntest.CSR{Rows: nodes, Cols: nodes, Indptr: indptr, Indices: indices, Values: values}
	r.graph = host.Batch(r.q, r.params)
	r.x = nntest.Upload(r.q, r.params, tensor.F32, nodes, m.In, x)
	r.target = nntest.Upload(r.q, r.params, tensor.I32, nodes, 1, class)
	r.w = nntest.Upload(r.q, r.params, tensor.F32, nodes, 1, weight)
	return r
}

func TestStepAllocatesNothing(t *testing.T) {
	for _, bias := range []string{"norm", "norm-nn"} {
		m := sage()
		m.Orders, m.Bias = []int{2, 1, 0}, bias
		r := benchTrainee(t, 2, 300, 5, m)
		step := func() {
			if err := r.run(); err != nil {
				t.Fatal(err)
			}
		}
		step()
		if n := testing.AllocsPerRun(20, step); n > 0.5 {
			t.Errorf("%s: a step allocates %v times, want 0", bias, n)
		}
		if r.step.Live() != 0 || r.store.Bytes() != 0 {
			t.Errorf("%s: %d tensors live, %d bytes stored after steps, want none", bias, r.step.Live(), r.store.Bytes())
		}
	}
}

// BenchmarkStep is one update at the size of Reddit's random-walk subgraphs.
func BenchmarkStep(b *testing.B) {
	m := nn.ModelSpec{
		In: 602, Dim: 128, Classes: 41, Orders: []int{1, 0, 1, 0},
		Act: tensor.ReLU, Aggr: "concat", Bias: "norm", Dropout: 0.1,
	}
	r := benchTrainee(b, 0, 8000, 50, m)
	if err := r.run(); err != nil {
		b.Fatal(err)
	}
	r.step.ResetPeak()
	b.ReportAllocs()
	for b.Loop() {
		if err := r.run(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(r.step.Peak())/1e6, "peak-MB")
}
