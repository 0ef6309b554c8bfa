package trainer

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

const (
	transductiveNet = "layer: gcn; dim: 8; arch: '1-1'; act: relu; norm: batch; head: none"
	labelParams     = "lr: 0.02; dropout: 0.2; input_dropout: 0.1; use_labels: true; transductive: true; sample_coverage: 1"
)

// Transductive training sees all nodes, and of the labels those of training nodes alone.
func TestTransductive(t *testing.T) {
	d := generate(t, small)
	hidden := *d
	hidden.Labels.Class = append([]int32(nil), d.Labels.Class...)
	for _, nodes := range [][]int32{d.ValNodes, d.TestNodes} {
		for _, v := range nodes {
			hidden.Labels.Class[v] = (d.Labels.Class[v] + 1) % int32(d.Labels.NumClasses)
		}
	}
	for _, phase := range []string{
		"end: 2; sampler: full_batch", "end: 2; sampler: rw; num_root: 20; depth: 2", "end: 2; sampler: edge; size_subg_edge: 60", "end: 2; sampler: node; size_subgraph: 60",
		"end: 2; sampler: cluster_gcn; parts: 12; clusters_per_batch: 3", "end: 1; sampler: cluster_gcn; parts: 200; clusters_per_batch: 1",
	} {
		c := parse(t, yaml(transductiveNet, "lr: 0.02; transductive: true; sample_coverage: 5", phase))
		got, most := trained(t, c, d)
		want, _ := trained(t, c, &hidden)
		if !slices.Equal(got, want) {
			t.Errorf("%s: other labels of nodes that are not for training give other parameters", phase)
		}
		if full := phase == "end: 2; sampler: full_batch"; full && most <= len(d.TrainNodes) {
			t.Errorf("%s: steps had up to %d nodes, want more than the %d training nodes", phase, most, len(d.TrainNodes))
		}
	}
}

// trained returns the parameters after all phases, and the nodes of the largest step.
func trained(t *testing.T, c *trainconfig.Config, d *formats.Dataset) (values []float32, most int) {
	t.Helper()
	o := Options{Data: d, Config: c, Backend: backend(t, 2), Seed: 1, Workers: 2}
	o.OnStep = func(s StepReport) { most = max(most, s.Nodes) }
	r, err := newRun(o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for i := range r.phases {
		if err := r.phase(context.Background(), i); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range r.model.Seq.Params() {
		values = append(values, nntest.Download(r.stepper.q, p.Value)...)
	}
	return values, most
}

// A step shows the labels of half of the training nodes and learns from the others, whose weights
// sum to what all had; evaluation shows all.
func TestLabelInputs(t *testing.T) {
	d := generate(t, small)
	c := parse(t, yaml(transductiveNet, labelParams, "end: 1; sampler: full_batch"))
	to, err := withInputs(c, d)
	if err != nil {
		t.Fatal(err)
	}
	feats, n := to.Features.(formats.Resident), d.Labels.NumClasses
	if again, err := Features(c, to); err != nil || again != to.Features {
		t.Errorf("Features of its own result = %v, %v, want the same", again, err)
	}
	trains := make([]bool, d.NumNodes())
	for _, v := range d.TrainNodes {
		trains[v] = true
	}
	if feats.Dim() != d.Features.Dim()+n {
		t.Fatalf("%d features, want %d and %d classes", feats.Dim(), d.Features.Dim(), n)
	}
	row := make([]float32, feats.Dim())
	for v := range d.NumNodes() {
		if err := feats.Gather(row, []int32{int32(v)}); err != nil {
			t.Fatal(err)
		}
		for k, x := range row[d.Features.Dim():] {
			want := float32(0)
			if trains[v] && int(d.Labels.Class[v]) == k {
				want = 1
			}
			if x != want {
				t.Fatalf("node %d shows class %d as %v, want %v", v, k, x, want)
			}
		}
	}
	for _, drop := range []bool{false, true} {
		labelsOfStep(t, c, to, drop)
	}
}

// labelsOfStep looks at the inputs of a step.
func labelsOfStep(t *testing.T, c *trainconfig.Config, d *formats.Dataset, drop bool) {
	t.Helper()
	b := backend(t, 2)
	s := newBench(t, c, d, b, d.Features.(formats.Resident))
	if err := WithLabels(c.Params.Inputs)(s.Stepper); err != nil {
		t.Fatal(err)
	}
	batch := draw(t, c, d, nil, 1)[0]
	s.ctx.Train = drop
	x, _ := s.inputs(batch)
	got := nntest.Download(s.q, x)
	again := s.arena.Alloc(tensor.F32, x.Rows, x.Cols)
	s.regather(again)
	for i, v := range nntest.Download(s.q, again) {
		if v != got[i] {
			t.Fatalf("element %d is %v the second time, want %v", i, v, got[i])
		}
	}
	n := d.Labels.NumClasses
	shown, all, left := 0, 0.0, 0.0
	for i, v := range batch.Nodes {
		sum := 0.0
		for _, y := range got[(i+1)*x.Cols-n : (i+1)*x.Cols] {
			sum += float64(y)
		}
		w := s.lossWeights(batch)[i]
		all, left = all+float64(batch.LossNorm[i]), left+float64(w)
		if sum > 0 {
			shown++
		}
		if sum > 0 && (w != 0 || batch.LossNorm[i] == 0) {
			t.Fatalf("node %d shows its label and weighs %v, or is not for training", v, w)
		}
		if !drop && batch.LossNorm[i] != 0 && (sum == 0) != (w != 0) {
			t.Fatalf("node %d: labels sum to %v beside weight %v, want one of them", v, sum, w)
		}
	}
	m := float64(len(d.TrainNodes))
	if got := float64(shown) / m; !drop && math.Abs(got-0.5) > 5*math.Sqrt(0.25/m) {
		t.Errorf("%.2f of the labels are shown, want half", got)
	}
	if math.Abs(all-left) > 1e-6*all {
		t.Errorf("weights sum to %v, want %v", left, all)
	}
	s.arena.Release(x)
	s.arena.Release(again)
	s.reset()
}

// The division of labels allocates nothing and is that of seed and step.
func TestLabelDivision(t *testing.T) {
	l := &labelInputs{share: 0.3}
	b := loader.NewBatch(func(*loader.Batch) {})
	for v := range int32(50) {
		b.Nodes, b.LossNorm, b.Class = append(b.Nodes, v), append(b.LossNorm, 1), append(b.Class, v%3)
	}
	c := &nn.Context{Seed: 1, Step: 1}
	l.divide(c, b, 3)
	first := append([]int32(nil), l.given...)
	same := func() bool {
		for i := range first {
			if first[i] != l.given[i] {
				return false
			}
		}
		return true
	}
	c.Step++
	if l.divide(c, b, 3); same() {
		t.Error("two steps show the same labels")
	}
	c.Step--
	if n := testing.AllocsPerRun(5, func() { l.divide(c, b, 3) }); n != 0 || !same() {
		t.Errorf("divide allocates %v times and repeats itself: %v", n, same())
	}
}
