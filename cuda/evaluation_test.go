package cuda

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/synth"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// evaluated is what evaluating a network that nobody has trained tells: the scores, and what each
// evaluation gave the device.
type evaluated struct {
	ev     *trainer.Evaluation
	counts []tensor.Counters
}

// job is an evaluation of a network.
type job struct {
	network, params string
	bound           int64 // bytes; 0: none
	lend            bool  // the device has the features
}

// run evaluates twice on b, in the memory of the first time.
func (j job) run(t testing.TB, b tensor.Backend, d *formats.Dataset) (out evaluated, err error) {
	t.Helper()
	end := func(c interface{ Close() error }) { err = errors.Join(err, c.Close()) }
	m, err := trainer.NewModel(parse(t, j.network, j.params, "end: 1; sampler: full_batch"), d.Features.Dim(), d.Labels.NumClasses, b, 1)
	if err != nil {
		return out, err
	}
	defer end(m)
	a, err := b.NewArena()
	if err != nil {
		return out, err
	}
	defer end(a)
	e, err := trainer.NewEvaluator(d.Full, d.Features, b, a)
	if err != nil {
		return out, err
	}
	defer end(e)
	if j.lend {
		q, err := b.NewQueue()
		if err != nil {
			return out, err
		}
		defer end(q)
		own, err := b.NewArena()
		if err != nil {
			return out, err
		}
		defer end(own)
		x := own.Alloc(tensor.F32, d.Features.Rows(), d.Features.Dim())
		q.Upload(raw(d.Features.(formats.Resident).Matrix()), x)
		if err := q.Sync(); err != nil {
			return out, err
		}
		e.Lend(x)
	}
	e.Bound(j.bound)
	s, err := trainer.NewScorer(d, e, m.Loss, true)
	if err != nil {
		return out, err
	}
	for range 2 {
		var before tensor.Counters
		c, counts := b.(tensor.Counter)
		if counts {
			before = c.Counters()
		}
		if out.ev, err = s.Evaluate(context.Background(), m); err != nil {
			return out, err
		}
		if counts {
			out.counts = append(out.counts, c.Counters().Sub(before))
		}
	}
	return out, nil
}

// on runs the job on a driver of its own and checks that nothing stays behind.
func (j job) on(t testing.TB, drv *fake.Driver, d *formats.Dataset) (out evaluated, err error) {
	t.Helper()
	b, err := openOn(drv, 0)
	if err != nil {
		return out, err
	}
	b.part = 1 << 12
	out, err = j.run(t, b, d)
	return out, errors.Join(err, b.Close())
}

// parted returns the job with the largest of some bounds in which the graph does not stay on the device.
func (j job) parted(t testing.TB, d *formats.Dataset) job {
	t.Helper()
	b := OpenDry(tensor.MatmulFP32)
	a, err := b.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	m, err := trainer.NewModel(parse(t, j.network, j.params, "end: 1; sampler: full_batch"), d.Features.Dim(), d.Labels.NumClasses, b, 1)
	if err != nil {
		t.Fatal(err)
	}
	for j.bound = 5 << 15; ; j.bound -= j.bound / 16 {
		e, err := trainer.NewEvaluator(d.Full, d.Features, b, a)
		if err != nil {
			t.Fatal(err)
		}
		e.Lend(a.Alloc(tensor.F32, d.Features.Rows(), d.Features.Dim()))
		e.Bound(j.bound)
		if err := e.Settle(m); err != nil {
			t.Fatal(err)
		}
		way, err := e.Way(m)
		if err := errors.Join(err, e.Close()); err != nil {
			t.Fatal(err)
		}
		a.Reset()
		if way != trainer.EvalResident {
			return j
		}
	}
}

// same fails unless two evaluations tell the same up to rounding.
func (e evaluated) same(t testing.TB, what string, want evaluated) {
	t.Helper()
	for i, s := range [][2]trainer.Scores{{e.ev.Train, want.ev.Train}, {e.ev.Val, want.ev.Val}, {e.ev.Test, want.ev.Test}} {
		got, want := s[0], s[1]
		if !(math.Abs(got.Loss-want.Loss) <= 1e-4*max(1, want.Loss)) || math.Abs(got.F1Micro-want.F1Micro) > 0.01 || got.Nodes != want.Nodes || math.Abs(got.ROCAUC-want.ROCAUC) > 0.01 {
			t.Errorf("%s: scores of split %d = %+v, want %+v", what, i, got, want)
		}
	}
}

// middle is a graph of some more nodes than a tile has at least.
func middle(t testing.TB, nodes int, multi bool) *formats.Dataset {
	return generate(t, synth.Preset{
		Name: "middle", Nodes: nodes, Edges: 4 * int64(nodes), Features: 9, Classes: 3, Multi: multi, Train: 60, Val: 20,
		Communities: 3, Within: 0.8, Tail: 30, Cut: 1e-2, MinEdges: 1,
		LabelNoise: 0.05, Signal: 0.6, ClassShare: 0.5, NoiseColumns: 2,
	})
}

// Where graph and features are on the device, evaluations from the second on upload nothing and wait
// once, for the scores, whatever the network; the scores are the CPU's.
func TestEvaluationStays(t *testing.T) {
	for _, c := range trainings {
		if testing.Short() && c.name != "gatv2" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := middle(t, 300, c.multi)
			want, err := job{network: c.network, params: c.params}.run(t, cpuBackend(t), d)
			if err != nil {
				t.Fatal(err)
			}
			got, err := job{network: c.network, params: c.params, lend: true}.on(t, fake.New(fake.Options{}), d)
			if err != nil {
				t.Fatal(err)
			}
			got.same(t, "resident", want)
			if n := got.counts[1]; n.Uploads != 0 || n.Waits != 1 || n.Allocations != 0 {
				t.Errorf("an evaluation has %d uploads, %d waits and takes memory %d times, want 0, 1 and 0", n.Uploads, n.Waits, n.Allocations)
			}
		})
	}
}

// Where the graph does not fit its parts are brought to the device, and where matrices of all nodes do
// not fit either they lie in the memory of the host: the scores are the same, whatever the device does
// first.
func TestEvaluationParted(t *testing.T) {
	for _, c := range trainings {
		if testing.Short() && c.name != "gatv2" || !slices.Contains([]string{"sage concat", "high order, multi", "gat", "gatv2", "gcn", "gin", "gcnii"}, c.name) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := middle(t, 100, c.multi)
			j := job{network: c.network, params: c.params, lend: true}
			want, err := job{network: c.network, params: c.params}.run(t, cpuBackend(t), d)
			if err != nil {
				t.Fatal(err)
			}
			j = j.parted(t, d)
			orders := gpuOrders()[2:5]
			if testing.Short() {
				orders = orders[:1]
			}
			for i, o := range orders {
				j.lend = i%2 == 0
				got, err := j.on(t, fake.New(o), d)
				if err != nil {
					t.Fatal(err)
				}
				got.same(t, fmt.Sprintf("in %d bytes, %+v", j.bound, o), want)
				if got.counts[1].Uploads < 2 {
					t.Errorf("in %d bytes the graph stays on the device", j.bound)
				}
			}
		})
	}
}

// Where the device has no memory for the graph in one piece its parts are brought there for every tile.
func TestEvaluationInParts(t *testing.T) {
	if testing.Short() {
		t.Skip("kernels are interpreted")
	}
	for _, network := range []string{"dim: 8; arch: '2-1-0'", "dim: 8; arch: '1-1'; layer: gcn", "dim: 8; arch: '1-0'; attention: 2"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			d := middle(t, 100, false)
			want, err := job{network: network, params: "lr: 0.01"}.run(t, cpuBackend(t), d)
			if err != nil {
				t.Fatal(err)
			}
			j := job{network: network, params: "lr: 0.01", lend: true}
			for k, parts := 1, false; !parts; k++ {
				// One of the allocations is that of the graph, without which it goes on.
				for i, o := range gpuOrders()[:5] {
					drv := fake.New(o)
					drv.FailCall(k, driver.OutOfMemory)
					got, err := j.on(t, drv, d)
					if drv.Failed() == "" {
						t.Fatal("no call is that of the graph's memory")
					}
					if drv.Failed() != "cuMemAlloc" || err != nil || got.counts[1].Uploads == 0 {
						break
					}
					j.lend, parts = i%2 == 0, true
					got.same(t, fmt.Sprintf("%+v", o), want)
				}
				j.lend = true
			}
		})
	}
}

// Whichever call fails: the error comes out, or the scores are right nevertheless, and nothing stays
// behind.
func TestEvaluationFails(t *testing.T) {
	if testing.Short() {
		t.Skip("kernels are interpreted")
	}
	d := middle(t, 90, false)
	for _, network := range []string{"dim: 4; arch: '1-0'; layer: gcn", "dim: 4; arch: '1-0'; bias: norm"} {
		j := job{network: network, params: "lr: 0.01", lend: true}
		want, err := j.run(t, cpuBackend(t), d)
		if err != nil {
			t.Fatal(err)
		}
		parted := j.parted(t, d)
		for _, j := range []job{j, parted} {
			whole := fake.New(fake.Options{})
			if _, err := j.on(t, whole, d); err != nil {
				t.Fatal(err)
			}
			for k := 1; k <= whole.Calls(); k += 1 + whole.Calls()/25 {
				drv := fake.New(fake.Options{})
				drv.FailCall(k, driver.OutOfMemory)
				got, err := j.on(t, drv, d)
				if strings.Contains(fmt.Sprint(err), "initial parameters") {
					continue // no evaluation has begun
				}
				if err == nil {
					got.same(t, fmt.Sprintf("call %d (%s) fails", k, drv.Failed()), want)
				}
				if n := drv.Memory(0).Live(); n > 0 && drv.Failed() != "cuMemFree" && !strings.Contains(fmt.Sprint(err), "destroyed") {
					t.Errorf("in %d bytes, call %d (%s) fails: %d allocations are left, %v", j.bound, k, drv.Failed(), n, err)
				}
			}
		}
	}
}

// ways collects how a run says that its evaluations go.
type ways struct {
	slog.Handler
	seen []string
}

func (*ways) Enabled(context.Context, slog.Level) bool { return true }

func (w *ways) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "evaluation" {
		r.Attrs(func(a slog.Attr) bool {
			w.seen = append(w.seen, fmt.Sprint(a.Value))
			return true
		})
	}
	return nil
}

func (w *ways) logger() *slog.Logger { return slog.New(w) }

// Steps go first: where a later phase needs the memory that the graph has, it gets it, and evaluations go
// another way.
func TestEvaluationGivesWay(t *testing.T) {
	if testing.Short() {
		t.Skip("kernels are interpreted")
	}
	t.Parallel()
	d := middle(t, 200, false)
	config := parse(t, "dim: 8; arch: '1-0'; act: relu", "lr: 0.01; dropout: 0.1", "end: 1; sampler: rw; num_root: 4; depth: 1 | end: 2; sampler: full_batch")
	size := trainer.Size{Nodes: 200, Edges: d.Full.NumEdges(), Features: 9, Classes: 3}
	on := trainer.OnDevice{Nodes: 200, Features: tensor.F32, Weights: true, Repeats: true}
	plan, err := trainer.PlanDevice(config, size, on, fakeBackend(t, fake.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	b, err := openOn(fake.New(fake.Options{Memory: plan.Total + 68<<10}), 0)
	if err != nil {
		t.Fatal(err)
	}
	b.part = 1 << 10
	var log ways
	_, err = trainer.Train(context.Background(), trainer.Options{Data: d, Config: config, Backend: b, Seed: 1, Workers: 1, Log: log.logger()})
	if err != nil || !slices.Equal(log.seen, []string{"resident", "host"}) {
		t.Errorf("Train = %v, evaluations of the phases are %v, want resident and then host", err, log.seen)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// A plan says how evaluations go without a device; less memory never is a better way.
func TestPlanEvaluation(t *testing.T) {
	d := middle(t, 2000, false)
	for _, network := range []string{"dim: 32; arch: '1-1-0'", "dim: 32; arch: '1-1'; layer: gcn"} {
		config := parse(t, network, "lr: 0.01", "end: 1; sampler: full_batch")
		var seen []trainer.EvalWay
		want := []trainer.EvalWay{trainer.EvalResident, trainer.EvalHost, trainer.EvalNone} // a part is all of so few edges
		for free := int64(1 << 24); free > 1<<10; free -= free / 16 {
			m, err := trainer.PlanEvaluation(config, d, trainer.OnDevice{Nodes: 2000, Features: tensor.F32}, fakeBackend(t, fake.Options{}), 1<<10, 0, free)
			if err != nil {
				t.Fatal(err)
			}
			if (m.Graph > 0) != (m.Way == trainer.EvalResident) || (m.Least > free) != (m.Way == trainer.EvalNone) {
				t.Errorf("%s in %d bytes: %+v", network, free, m)
			}
			if seen = append(seen, m.Way); len(seen) > 1 && seen[len(seen)-2] == m.Way {
				seen = seen[:len(seen)-1]
			}
		}
		if !slices.Equal(seen, want) {
			t.Errorf("%s: with less and less memory evaluations are %v, want %v", network, seen, want)
		}
	}
}
