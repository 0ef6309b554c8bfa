package trainer

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/safetensors"
	"github.com/saint-gnn/saint/internal/cpu64"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/rundir"
	"github.com/saint-gnn/saint/trainer/tensor"
)

func doubleBackend(t testing.TB, threads int) tensor.Backend {
	t.Helper()
	b := cpu64.Open(tensor.Options{Threads: threads})
	t.Cleanup(func() { b.Close() })
	return b
}

// values returns all parameters as they are.
func (s *bench) values() []float64 {
	var all []float64
	for _, p := range s.model.Seq.Params() {
		all = append(all, nntest.Values(s.look, p.Value)...)
	}
	return all
}

// doubleModels are configurations of steps that are compared between precisions.
var doubleModels = []string{
	"dim: 16; arch: '1-1-0'; act: relu",
	"dim: 16; arch: '1-1-0'; act: relu; loss: softmax_log",
	"dim: 16; arch: '2-1-0'; act: leaky_relu; aggr: mean; bias: norm-nn; loss: sigmoid",
	"dim: 16; arch: '1-0-1-0'; act: relu; attention: 4; jk: concat",
	"dim: 16; arch: '1-0-1-0'; act: relu; attention: 4; gated_attention: true",
	"dim: 16; arch: '1-1-0'; act: leaky_relu; layer: gat_softmax; attention: 2; aggr: mean",
}

// Two precisions begin with the same numbers and drop out the same, so that only rounding
// tells their losses apart. Attention has bias "bias" here: with "norm" the gradient of rows that
// are all the same, which its heads make of nodes without neighbours, is 1/sqrt(1e-9) times
// larger, rounding and all, and after some updates the two are two different runs.
func TestDoubleIsSingle(t *testing.T) {
	d := generate(t, small)
	resident := d.Features.(formats.Resident)
	for _, network := range doubleModels {
		if strings.Contains(network, "attention: 4") {
			network += "; bias: bias"
		}
		c := parse(t, yaml(network, "lr: 0.01; dropout: 0.2; weight_decay: 0.001", stepPhase))
		batches := draw(t, c, d, nil, 4)
		single, double := newBench(t, c, d, backend(t, 2), resident), newBench(t, c, d, doubleBackend(t, 2), resident)
		worst := 0.0
		for i := range uint64(20) {
			a, err := single.Step(batches[i%4], i, nil)
			if err != nil {
				t.Fatal(err)
			}
			b, err := double.Step(batches[i%4], i, nil)
			if err != nil {
				t.Fatal(err)
			}
			worst = max(worst, math.Abs(a.Loss-b.Loss)/b.Loss)
		}
		t.Logf("%s: losses differ by at most %.2g", network, worst)
		if worst > 1e-5 || worst == 0 {
			t.Errorf("%s: losses of 20 steps differ by %g, want at most 1e-5 and not 0", network, worst)
		}
	}
}

// Steps are the same bits for any number of threads and allocate nothing.
func TestDoubleSteps(t *testing.T) {
	d := generate(t, small)
	for _, network := range doubleModels {
		c := parse(t, yaml(network, "lr: 0.01; dropout: 0.2", stepPhase))
		batches := draw(t, c, d, nil, 4)
		var want []float64
		for _, threads := range []int{1, 3} {
			s := newBench(t, c, d, doubleBackend(t, threads), d.Features.(formats.Resident))
			i := uint64(0)
			step := func() {
				if _, err := s.Step(batches[i%4], i, nil); err != nil {
					t.Fatal(err)
				}
				i++
			}
			for range 8 {
				step()
			}
			if want == nil {
				want = s.values()
			}
			if !slices.Equal(s.values(), want) {
				t.Errorf("%s: parameters of %d threads differ from those of 1", network, threads)
			}
			if n := testing.AllocsPerRun(10, step); n != 0 && !invariants.Enabled {
				t.Errorf("%s: a step on %d threads allocates %v times, want 0", network, threads, n)
			}
		}
	}
}

// doubleLab is a lab of double precision.
func doubleLab(t *testing.T) *lab {
	l := newLab(t)
	l.conf = yaml(runNetwork, runParams+"; dtype: d", runPhases)
	l.b = doubleBackend(t, 2)
	return l
}

// A run that is interrupted again and again is, to the bit, the one that is not.
func TestDoubleResume(t *testing.T) {
	l := doubleLab(t)
	want, wantRes := l.first()
	f, err := safetensors.Open(want.LastPath())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range f.Names() {
		if x, err := f.Tensor(name); err != nil || x.DType != safetensors.F64 {
			t.Errorf("parameter %s is of type %s (%v), want F64", name, x.DType, err)
		}
	}
	dir := newDir(t)
	var res *Result
	parts := 0
	for ; res == nil && parts < 300; parts++ {
		o := l.options(dir)
		o.Resume, o.Workers = parts > 0, 1+parts%3
		if res, err = Train(endAfter(t, 7+parts), o); err != nil && !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
	}
	if res == nil || parts < 2 {
		t.Fatalf("%d parts, want several and an end", parts)
	}
	l.same("resumed", dir, want, res, wantRes)
}

// Parameters of one precision start a run of the other: widened exactly, or rounded.
func TestDoubleParameters(t *testing.T) {
	d, l := doubleLab(t), newLab(t)
	saved := map[bool]*rundir.Dir{}
	saved[true], _ = d.first()
	saved[false], _ = l.first()
	for _, double := range []bool{true, false} {
		lab := l
		if !double {
			lab = d
		}
		m, err := NewModel(parse(t, lab.conf), lab.data.Features.Dim(), lab.data.Labels.NumClasses, lab.b, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := LoadParams(saved[double].LastPath(), m); err != nil {
			t.Fatal(err)
		}
		sameParams(t, saved[double].LastPath(), m, double)
	}
}

// sameParams compares the parameters of a model with those of a file, which are rounded if the
// file alone is of double precision.
func sameParams(t *testing.T, path string, m *Model, rounded bool) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	q := newQueue(t, m.Backend)
	for _, p := range m.Seq.Params() {
		x, err := f.Tensor(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := x.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range nntest.Values(q, p.Value) {
			if w := want[i]; v != w && (!rounded || v != float64(float32(w))) {
				t.Fatalf("element %d of %s = %v, want %v", i, p.Name, v, w)
			}
		}
	}
}

// A configuration of one precision is not trained in the other, and a run not resumed.
func TestDoubleRefused(t *testing.T) {
	d, l := doubleLab(t), newLab(t)
	o := d.options(nil)
	o.Backend = l.b
	_, err := Train(t.Context(), o)
	wantError(t, "double precision on a device of single precision", err, "asks for another precision than cpu (")
	o = l.options(nil)
	o.Backend = d.b
	_, err = Train(t.Context(), o)
	wantError(t, "single precision on a device of double precision", err, "asks for another precision than cpu (float64")
	dir, _ := l.first()
	o = d.options(dir)
	o.Resume = true
	_, err = Train(t.Context(), o)
	wantError(t, "resuming in another precision", err, "another configuration")
}
