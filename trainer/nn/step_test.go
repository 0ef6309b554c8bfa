package nn_test

import (
	"slices"
	"testing"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// mixed is a model with every kind of layer: both sides of W, dropout, batch norm.
func mixed(bias, aggr string) nn.ModelSpec {
	m := sage()
	m.Orders, m.Bias, m.Aggr, m.Dropout = []int{2, 1, 0}, bias, aggr, 0.3
	return m
}

// TestTrainingThreads: training gives the same bits whatever the number of threads.
func TestTrainingThreads(t *testing.T) {
	for _, bias := range []string{"norm", "norm-nn"} {
		train := func(threads int) [][]float32 {
			r := benchTrainee(t, threads, 700, 8, mixed(bias, "concat"))
			for range 5 {
				if err := r.run(); err != nil {
					t.Fatal(err)
				}
			}
			var out [][]float32
			for _, p := range r.model.Params() {
				out = append(out, nntest.Download(r.q, p.Value))
			}
			return out
		}
		one, three := train(1), train(3)
		for i := range one {
			if !slices.Equal(one[i], three[i]) {
				t.Errorf("%s: parameter %d differs between 1 and 3 threads", bias, i)
			}
		}
	}
}

// TestOutOfMemory: a step that runs out of memory anywhere ends in an error and leaves
// nothing behind; with enough memory the next one succeeds.
func TestOutOfMemory(t *testing.T) {
	r := benchTrainee(t, 1, 300, 5, mixed("norm-nn", "mean"))
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	need := r.step.Peak()
	failed, succeeded := 0, 0
	for limit := int64(4096); limit < need+need/8; limit += need / 40 {
		small, err := cpu.NewArena(limit)
		if err != nil {
			t.Fatal(err)
		}
		q, err := open(t, 1).NewQueue()
		if err != nil {
			t.Fatal(err)
		}
		r.step, r.store, r.q = small, actmem.NewKeep(small), q
		r.ctx.A, r.ctx.Store, r.ctx.Q = r.step, r.store, r.q
		err = r.run()
		r.store.Reset()
		switch {
		case err != nil && small.Err() != nil:
			failed++
		case err == nil && small.Err() == nil:
			succeeded++
		default:
			t.Errorf("limit %d: step says %v, arena says %v", limit, err, small.Err())
		}
		if small.Live() != 0 {
			t.Errorf("limit %d: %d tensors live, want 0", limit, small.Live())
		}
		small.Close()
		q.Close()
	}
	if failed < 10 || succeeded == 0 {
		t.Errorf("%d limits failed and %d succeeded, want many and at least one", failed, succeeded)
	}
}

// alone hides that a layer can share dropout with its neighbours.
type alone struct{ nn.Layer }

// TestFusedDropout: dropping out on the way gives the bits of dropping out on arrival.
func TestFusedDropout(t *testing.T) {
	for _, m := range []nn.ModelSpec{mixed("norm", "concat"), mixed("bias", "concat"), mixed("norm", "mean"), mixed("norm-nn", "concat")} {
		want := trainDropped(t, m, true, false)
		for _, dropped := range []bool{false, true} {
			got := trainDropped(t, m, false, dropped)
			for i := range want {
				if !slices.Equal(got[i], want[i]) {
					t.Errorf("%s %s, input dropped %t: parameter %d differs from that of dropout on arrival", m.Bias, m.Aggr, dropped, i)
				}
			}
		}
	}
}

// trainDropped returns the parameters after some steps, with layers that hide what they can
// share, or with an input that comes dropped out.
func trainDropped(t *testing.T, m nn.ModelSpec, hide, dropped bool) (out [][]float32) {
	t.Helper()
	r := benchTrainee(t, 2, 200, 5, m)
	if hide {
		plain := &nn.Sequential{}
		for i := range r.model.Len() {
			plain.Add(r.model.Name(i), alone{r.model.Layer(i)})
		}
		r.model = plain
	}
	x := r.x
	for range 3 {
		if d := r.model.InputDrop(&r.ctx); dropped {
			r.ctx.Dropped = true
			r.x = r.params.Alloc(tensor.F32, x.Rows, x.Cols)
			r.q.Dropout(d.P, d.Key, x, r.x)
		}
		if err := r.run(); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range r.model.Params() {
		out = append(out, nntest.Download(r.q, p.Value))
	}
	return out
}
