package cuda

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

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

// evaluate scores a network on b several times, in memory below a bound (0: none), with the features
// lent by the device where lend is set.
func evaluate(t testing.TB, b tensor.Backend, d *formats.Dataset, network, params string, bound int64, lend bool) (out evaluated, err error) {
	t.Helper()
	m, err := trainer.NewModel(parse(t, network, params, "end: 1; sampler: full_batch"), d.Features.Dim(), d.Labels.NumClasses, b, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	a, err := b.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	e, err := trainer.NewEvaluator(d.Full, d.Features, b, a)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if lend {
		own, err := b.NewArena()
		if err != nil {
			t.Fatal(err)
		}
		defer own.Close()
		q, err := b.NewQueue()
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		x := own.Alloc(tensor.F32, d.Features.Rows(), d.Features.Dim())
		q.Upload(raw(d.Features.(formats.Resident).Matrix()), x)
		if err := q.Sync(); err != nil {
			t.Fatal(err)
		}
		e.Lend(x)
	}
	e.Bound(bound)
	s, err := trainer.NewScorer(d, e, m.Loss, true)
	if err != nil {
		t.Fatal(err)
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
			want, err := evaluate(t, cpuBackend(t), d, c.network, c.params, 0, false)
			if err != nil {
				t.Fatal(err)
			}
			got, err := evaluate(t, fakeBackend(t, fake.Options{}), d, c.network, c.params, 0, true)
			if err != nil {
				t.Fatal(err)
			}
			got.same(t, "resident", want)
			for _, n := range got.counts[1:] {
				if n.Uploads != 0 || n.Waits != 1 || n.Allocations != 0 {
					t.Errorf("an evaluation has %d uploads, %d waits and takes memory %d times, want 0, 1 and 0", n.Uploads, n.Waits, n.Allocations)
				}
			}
		})
	}
}

// Where the graph does not fit its parts are brought to the device, and where matrices of all nodes do
// not fit either they lie in the memory of the host: the scores are the same.
func TestEvaluationBounded(t *testing.T) {
	for _, c := range trainings {
		if testing.Short() && c.name != "gcn" || strings.HasPrefix(c.name, "codes") {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := middle(t, 200, c.multi)
			want, err := evaluate(t, cpuBackend(t), d, c.network, c.params, 0, false)
			if err != nil {
				t.Fatal(err)
			}
			for bound := int64(5 << 15); ; bound -= bound / 8 {
				b := fakeBackend(t, fake.Options{})
				b.part = 1 << 12
				got, err := evaluate(t, b, d, c.network, c.params, bound, true)
				if err != nil {
					t.Fatal(err)
				}
				got.same(t, fmt.Sprintf("in %d bytes", bound), want)
				if got.counts[1].Uploads > 0 { // the graph did not stay
					return
				}
			}
		})
	}
}
