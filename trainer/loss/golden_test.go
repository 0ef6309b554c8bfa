package loss_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/saint-gnn/saint/trainer/loss"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// golden is a loss of PyTorch; see make_golden.py.
type golden struct {
	Loss      string    `json:"loss"`
	Target    string    `json:"target"`
	Smoothing float64   `json:"smoothing"`
	Classes   []float64 `json:"class_weights"`
	Logits    []float32 `json:"logits"`
	Nodes     []float32 `json:"node_weights"`
	Class     []int32   `json:"class"`
	Multi     []int     `json:"multi"`
	Mean      float64   `json:"mean"`
	Total     float64   `json:"total"`
	Gradient  []float64 `json:"gradient"`
}

func near(got float32, want float64) bool {
	return math.Abs(float64(got)-want) <= 1e-4*math.Abs(want)+1e-7
}

// TestSmooth compares losses and gradients with PyTorch's.
func TestSmooth(t *testing.T) {
	data, err := os.ReadFile("../testdata/training/loss.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		for _, threads := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s of %s smoothing %v weights %v threads %d", g.Loss, g.Target, g.Smoothing, g.Classes, threads), func(t *testing.T) {
				g.check(t, threads)
			})
		}
	}
}

func (g *golden) check(t *testing.T, threads int) {
	b, err := tensor.Open("cpu", tensor.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	a, err := b.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	q, err := b.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	n, k := len(g.Class), len(g.Classes)
	share := make([]float32, k)
	for i, w := range g.Classes {
		share[i] = float32(w)
	}
	weights := nntest.Upload(q, a, tensor.F32, 1, k, share)
	target := nntest.Upload(q, a, tensor.I32, n, 1, g.Class)
	if g.Target == "multi" {
		host := make([]uint8, len(g.Multi))
		for i, v := range g.Multi {
			host[i] = uint8(v)
		}
		target = nntest.Upload(q, a, tensor.U8, n, k, host)
	}
	base, err := loss.New(g.Loss)
	if err != nil {
		t.Fatal(err)
	}
	l := base
	if base.Name() != "softmax_log" {
		if l, err = loss.Smooth(base, g.Smoothing, g.Classes, weights); err != nil {
			t.Fatal(err)
		}
	}
	if err := loss.Check(l, q); err != nil {
		t.Fatal(err)
	}
	logits, dlogits, out := nntest.Upload(q, a, tensor.F32, n, k, g.Logits), a.Alloc(tensor.F32, n, k), a.Alloc(tensor.F32, 1, 1)
	node := nntest.Upload(q, a, tensor.F32, n, 1, g.Nodes)
	for _, d := range []tensor.Tensor{{}, dlogits} {
		l.Eval(q, logits, target, node, out, d)
		if got := nntest.Download(q, out)[0]; !near(got, g.Total) {
			t.Errorf("loss = %v, want %v", got, g.Total)
		}
	}
	for i, got := range nntest.Download(q, dlogits) {
		if !near(got, g.Gradient[i]) {
			t.Errorf("gradient of element %d = %v, want %v", i, got, g.Gradient[i])
		}
	}
	if n := testing.AllocsPerRun(10, func() { l.Eval(q, logits, target, node, out, dlogits) }); n != 0 {
		t.Errorf("Eval allocates %v times, want 0", n)
	}
	if g.Mean == 0 {
		return
	}
	sum := 0.0
	for _, c := range g.Class {
		sum += g.Classes[c]
	}
	q.Fill(1, node)
	l.Eval(q, logits, target, node, out, dlogits)
	if got := float64(nntest.Download(q, out)[0]) / sum; math.Abs(got-g.Mean) > 1e-4*g.Mean {
		t.Errorf("mean = %v, want %v", got, g.Mean)
	}
}

// TestSmoothUninformed: a model that knows nothing has the loss that Uninformed says.
func TestSmoothUninformed(t *testing.T) {
	soft, err := loss.Smooth(loss.Softmax{}, 0.1, []float64{1, 2, 3}, tensor.Tensor{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := soft.Uninformed(3, 2), 2*math.Log(3); got != want {
		t.Errorf("softmax: Uninformed = %v, want %v", got, want)
	}
	sig, err := loss.Smooth(loss.Sigmoid{}, 0.1, []float64{1, 2, 3}, tensor.Tensor{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := sig.Uninformed(3, 2), 2*6*math.Ln2; got != want {
		t.Errorf("sigmoid: Uninformed = %v, want %v", got, want)
	}
	if _, err := loss.Smooth(custom{}, 0, nil, tensor.Tensor{}); err == nil {
		t.Error("Smooth of another loss succeeded, want an error")
	}
}
