package trainer

import (
	"bytes"
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/synth"
	"github.com/saint-gnn/saint/internal/progress"
	"github.com/saint-gnn/saint/trainer/metric"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// TestLearning: on a graph whose features do not tell the classes, a model that aggregates is
// clearly better than one that does not, in every way of training.
func TestLearning(t *testing.T) {
	tiny, err := synth.Lookup("tiny")
	if err != nil {
		t.Fatal(err)
	}
	d := generate(t, tiny)
	b := backend(t, 2)
	const rw = "end: 10; sampler: rw; num_root: 150; depth: 2"
	f1 := func(d *formats.Dataset, network, params, phases string) float64 {
		t.Helper()
		res, err := Train(context.Background(), Options{Data: d, Config: parse(t, yaml(network, params, phases)), Backend: b, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		return res.Test.F1Micro
	}
	const network, params = "dim: 32; arch: '1-1-0'; act: relu", "lr: 0.01; dropout: 0.1; sample_coverage: 20"
	baseline := f1(d, "dim: 32; arch: '0-0-0'; act: relu", params, rw)
	t.Logf("features only: %.3f", baseline)
	weighted := *d
	weighted.Full, weighted.Train = withWeights(d.Full), withWeights(d.Train)
	for _, c := range []struct {
		name                    string
		data                    *formats.Dataset
		network, params, phases string
	}{
		{"rw", d, network, params, rw},
		{"sigmoid on integer labels", d, network + "; loss: sigmoid", params, rw},
		{"no normalisation", d, network, params + "; norm_loss: false; norm_aggr: false", rw},
		{"no loss normalisation", d, network, params + "; norm_loss: false", rw},
		{"no aggregation normalisation", d, network, params + "; norm_aggr: false", rw},
		{"full batch", d, network, params, "end: 60; sampler: full_batch"},
		{"edge", d, network, params, "end: 10; sampler: edge; size_subg_edge: 150"},
		{"weighted edges", &weighted, network, params, rw},
		{"much dropout", d, network, strings.Replace(params, "0.1;", "0.4;", 1), rw},
		{"batch norm, mean, leaky", d, "dim: 32; arch: '1-1-0'; act: leaky_relu; bias: norm-nn; aggr: mean", params, rw},
		{"order 2", d, "dim: 32; arch: '2-0'; act: relu; bias: bias", params, rw},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := f1(c.data, c.network, c.params, c.phases)
			t.Logf("test F1 %.3f", got)
			if got < baseline+0.1 {
				t.Errorf("test F1 = %.3f, want at least 0.1 above %.3f of features alone", got, baseline)
			}
		})
	}
}

// withWeights gives edges weights from 0.5 to 2 by their ends.
func withWeights(g *formats.Graph) *formats.Graph {
	w := make([]float32, g.NumEdges())
	for v := range int32(g.NumNodes()) {
		for e := g.Indptr[v]; e < g.Indptr[v+1]; e++ {
			w[e] = 0.5 + float32((v^g.Indices[e])%16)/10
		}
	}
	return &formats.Graph{Indptr: g.Indptr, Indices: g.Indices, Weights: w}
}

// TestScorer: the scores of tiles are those of all logits together.
func TestScorer(t *testing.T) {
	d := generate(t, small)
	multi := small
	multi.Name, multi.Multi, multi.Classes, multi.Density = "multi", true, 9, 0.3
	for _, c := range []struct {
		network string
		data    *formats.Dataset
	}{
		{"dim: 8; arch: '1-1'; act: relu", d},
		{"dim: 8; arch: '1-1'; act: relu; loss: sigmoid", d},
		{"dim: 8; arch: '1-1'; act: relu; loss: sigmoid", generate(t, multi)},
	} {
		b := backend(t, 2)
		l := &c.data.Labels
		m := newModel(t, parse(t, yaml(c.network, "lr: 0.01", "end: 1; sampler: full_batch")), 12, l.NumClasses, b)
		logits := evaluate(t, m, c.data.Full, c.data.Features, 0)
		for _, tile := range []int{0, 7} {
			checkScorer(t, c.data, m, logits, tile)
			apart := newModel(t, parse(t, yaml(c.network, "lr: 0.01", "end: 1; sampler: full_batch")), 12, l.NumClasses, discrete{b})
			checkScorer(t, c.data, apart, logits, tile)
		}
	}
}

// checkScorer scores twice and compares with the scores of all logits.
func checkScorer(t *testing.T, d *formats.Dataset, m *Model, logits []float32, tile int) {
	t.Helper()
	e, err := NewEvaluator(d.Full, d.Features, m.Backend, newArena(t, m.Backend))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.rowsAt = tile
	s, err := NewScorer(d, e, m.Loss, true)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ev, err := s.Evaluate(context.Background(), m)
		if err != nil {
			t.Fatal(err)
		}
		for split, got := range []Scores{ev.Train, ev.Val, ev.Test} {
			want := scoresOf(d, s.splits[split], logits, m.Loss == "sigmoid", split == 2)
			if math.Abs(got.Loss-want.Loss) <= 1e-5*want.Loss {
				got.Loss = want.Loss // to rounding
			}
			if got != want {
				t.Errorf("%s, tiles of %d: split %d = %+v, want %+v", m.Loss, tile, split, got, want)
			}
		}
	}
}

// scoresOf scores the nodes of a split by all logits.
func scoresOf(d *formats.Dataset, nodes []int32, logits []float32, sigmoid, auc bool) Scores {
	l := &d.Labels
	k := l.NumClasses
	counts := metric.NewConfusion(k)
	loss := 0.0
	var z []float32
	var truths []uint8
	for _, v := range nodes {
		row := logits[int(v)*k : (int(v)+1)*k]
		truth := truthRow(l, v, make([]uint8, k))
		z, truths = append(z, row...), append(truths, truth...)
		total := 0.0
		for j, x := range row {
			total += math.Exp(float64(x))
			if sigmoid {
				loss += math.Log1p(math.Exp(float64(x))) - float64(truth[j])*float64(x)
			}
		}
		if sigmoid {
			counts.AddMultiLogits(row, truth)
			continue
		}
		loss += math.Log(total) - float64(row[l.Class[v]])
		counts.AddLogits(row, l.Class[v])
	}
	s := Scores{
		F1Micro: counts.F1Micro(), F1Macro: counts.F1Macro(sigmoid), Accuracy: counts.Accuracy(),
		Loss: loss / float64(len(nodes)), Nodes: int64(len(nodes)),
	}
	if auc && sigmoid {
		s.HasROCAUC, s.ROCAUC = true, metric.MeanROCAUC(z, truths, k)
	}
	return s
}

// TestScoresWithoutNodes: splits without nodes and areas without both classes are 0, and a run
// that has such ones can be saved. Without validation nodes the latest epoch counts as best.
func TestScoresWithoutNodes(t *testing.T) {
	l := newLab(t)
	d := *l.data
	d.ValNodes, d.TestNodes = nil, nil
	dir := newDir(t)
	o := l.options(dir)
	o.Data, o.ROCAUC = &d, true
	res := l.train(o)
	if res.Test != (Scores{}) || res.Val != (Scores{}) || res.BestEpoch != 5 {
		t.Errorf("without validation and test nodes: %+v, want zero scores and the last epoch", res)
	}
}

// TestTrainSays: progress names epoch and loss, and a first loss far above chance is a warning.
func TestTrainSays(t *testing.T) {
	l := newLab(t)
	var log, shown bytes.Buffer
	o := l.options(nil)
	o.Log, o.Progress = logger(&log), progress.New(&shown, progress.Lines, time.Nanosecond)
	l.train(o)
	if got := shown.String(); !strings.Contains(got, "train 15/15 steps") || !strings.Contains(got, "epoch 6/6  loss ") || !strings.Contains(got, "normalisation of phase 1") {
		t.Errorf("progress = %s", got)
	}
	if strings.Contains(log.String(), "far above") {
		t.Errorf("log = %s, want no warning about the first loss", log.String())
	}

	r, err := newRun(o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	uninformed := 2 * math.Log(3)
	for _, c := range []struct {
		loss float64
		from string
		warn bool
	}{{uninformed, "", false}, {2.9 * uninformed, "", false}, {3.1 * uninformed, "", true}, {3.1 * uninformed, "x", false}} {
		log.Reset()
		r.InitFrom = c.from
		r.checkFirstLoss(Step{Loss: c.loss, WeightSum: 2, Nodes: 5})
		if got := strings.Contains(log.String(), "far above"); got != c.warn {
			t.Errorf("first loss %v from %q warns: %v, want %v", c.loss, c.from, got, c.warn)
		}
	}
}

// TestNumParams counts trained values only.
func TestNumParams(t *testing.T) {
	m := newModel(t, parse(t, yaml("dim: 8; arch: '1-0'; bias: norm-nn", "lr: 0.01", "end: 1; sampler: full_batch")), 5, 3, backend(t, 1))
	// Two hops of 5x8+8 with scale and offset of 16; 16x8+8 with 8 and 8; 8x3+3.
	if got, want := m.NumParams(), int64(2*48+32+136+16+27); got != want {
		t.Errorf("NumParams() = %d, want %d", got, want)
	}
}

// TestDownload reuses the buffer where it is large enough.
func TestDownload(t *testing.T) {
	b := backend(t, 1)
	q, a := newQueue(t, b), newArena(t, b)
	x := nntest.Upload(q, a, tensor.F32, 2, 3, []float32{1, 2, 3, 4, 5, 6})
	buf := make([]float32, 1, 4)
	got := Download(q, x.ColRange(1, 3), buf)
	if err := q.Sync(); err != nil || len(got) != 4 || &got[0] != &buf[0] || got[3] != 6 {
		t.Errorf("Download = %v, %v, want 2 3 5 6 in the given buffer", got, err)
	}
	if got = Download(q, x, buf); len(got) != 6 {
		t.Errorf("Download = %d values, want 6", len(got))
	}
}
