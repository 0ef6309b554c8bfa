package nn_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// TestLayerGoldens compares single layers with PyTorch's, 1e-4 of the largest element.
func TestLayerGoldens(t *testing.T) {
	files, err := filepath.Glob("../../testdata/layers/*.safetensors")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, f := range files {
		kind := strings.TrimSuffix(filepath.Base(f), ".safetensors")
		g := readGolden(t, f)
		worst := 0.0
		for i, line := range strings.Split(g.meta["cases"], "\n") {
			part := strings.Split(line, "|")
			t.Run(kind+"/"+part[0], func(t *testing.T) { worst = max(worst, checkLayerGolden(t, g, kind, i, part)) })
		}
		t.Logf("%s: worst error %.2g of the largest element", kind, worst)
	}
}

func goldenNumber(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func checkLayerGolden(t *testing.T, g *golden, kind string, number int, part []string) (worst float64) {
	name := func(s string) string { return fmt.Sprintf("%d.%s", number, s) }
	act, err := nn.ParseAct(part[4])
	if err != nil {
		t.Fatal(err)
	}
	x := g.tensor(t, name("x"))
	spec := nn.Spec{
		Name: "l", In: x.Shape[1], Dim: goldenNumber(t, part[1]), Order: goldenNumber(t, part[2]), Heads: goldenNumber(t, part[3]),
		Act: act, Aggr: part[5], Bias: part[6],
	}
	if part[7] != "" {
		spec.Extra = yamlKeys(part[7])
	}
	if len(part) > 8 {
		spec.Depth = goldenNumber(t, part[8])
	}
	r := newTrainee(t, 2)
	builder, err := nn.NewBuilder(open(t, 2), r.params, 1)
	if err != nil {
		t.Fatal(err)
	}
	l, err := nn.New(kind, builder, spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := builder.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range l.Params() {
		if p.Trained() {
			nntest.Set(r.q, p.Value, g.floats(t, name("param."+strings.TrimPrefix(p.Name, "l."))))
		}
	}
	n := x.Shape[0]
	host := nntest.CSR{Rows: n, Cols: n, Indptr: g.words(t, name("indptr")), Indices: g.words(t, name("indices")), Values: g.floats(t, name("values"))}
	graph := host.Batch(r.q, r.params)
	c := &nn.Context{Q: r.q, A: r.step, Store: actmem.NewKeep(r.step), Train: true}
	in := nntest.Upload(r.q, r.params, tensor.F32, n, spec.In, g.floats(t, name("x")))
	if r, ok := l.(nn.InitialReader); ok && r.ReadsInitial() {
		setInitial(t, g, c, n, spec.Dim, name)
	}
	dy := nntest.Upload(r.q, r.params, tensor.F32, n, l.OutDim(), g.floats(t, name("dy")))
	y := l.Forward(c, graph, in)
	c.EndLayer()
	dx := l.Backward(c, graph, dy, true)
	c.EndLayer()
	check := func(what string, got tensor.Tensor, key string) {
		want := g.floats(t, name(key))
		within(t, what, nntest.Download(r.q, got), want, 1e-4)
		worst = max(worst, errorOf(nntest.Download(r.q, got), want))
	}
	check("y", y, "y")
	check("dx", dx, "dx")
	if c.InitialGrad.Present() {
		check("gradient of the initial representation", c.InitialGrad, "grad.first")
	}
	for _, p := range l.Params() {
		if p.Trained() {
			check("gradient of "+p.Name, p.Grad, "grad."+strings.TrimPrefix(p.Name, "l."))
		}
	}
	return worst
}

// setInitial gives the layer the case's initial representation.
func setInitial(t *testing.T, g *golden, c *nn.Context, rows, cols int, name func(string) string) {
	c.Initial = nntest.Upload(c.Q, c.A, tensor.F32, rows, cols, g.floats(t, name("param.first")))
	c.InitialGrad = c.A.Alloc(tensor.F32, rows, cols)
	c.Q.Fill(0, c.InitialGrad)
}

// errorOf returns the largest difference relative to the largest element.
func errorOf(got, want []float32) float64 {
	var scale, worst float64
	for i, w := range want {
		scale = max(scale, math.Abs(float64(w)))
		worst = max(worst, math.Abs(float64(got[i])-float64(w)))
	}
	return worst / scale
}
