package loss_test

import (
	"math"
	"slices"
	"testing"

	_ "github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/loss"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// TestUninformed: a model whose logits are all 0 knows nothing, so its loss is Uninformed.
func TestUninformed(t *testing.T) {
	b, err := tensor.Open("cpu", tensor.Options{Threads: 1})
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
	const n, classes = 4, 3
	weight := nntest.Upload(q, a, tensor.F32, n, 1, []float32{0.5, 0, 2, 0.25})
	class := nntest.Upload(q, a, tensor.I32, n, 1, []int32{2, -1, 0, 1})
	multi := nntest.Upload(q, a, tensor.U8, n, classes, []uint8{1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0})
	logits, dlogits, out := a.Alloc(tensor.F32, n, classes), a.Alloc(tensor.F32, n, classes), a.Alloc(tensor.F32, 1, 1)
	q.Fill(0, logits)
	for _, c := range []struct {
		name, loss string
		target     tensor.Tensor
		want       float64
		dlogit     float32 // of node 0 and class 0
	}{
		{"softmax", "softmax", class, 2.75 * math.Log(3), 0.5 / 3},
		{"softmax_log", "softmax_log", class, 2.75 * math.Log(1+math.Log(3)/(1-math.Ln2)), float32(0.5 / 3 / (1 - math.Ln2 + math.Log(3)))},
		{"sigmoid of classes", "sigmoid", class, 2.75 * 3 * math.Ln2, 0.25},
		{"sigmoid of label lists", "sigmoid", multi, 2.75 * 3 * math.Ln2, -0.25},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := loss.New(c.loss)
			if err != nil {
				t.Fatal(err)
			}
			if l.Name() != c.loss {
				t.Errorf("Name() = %q, want %q", l.Name(), c.loss)
			}
			if got := l.Uninformed(classes, 2.75); math.Abs(got-c.want) > 1e-12 {
				t.Errorf("Uninformed(3, 2.75) = %v, want %v", got, c.want)
			}
			for _, d := range []tensor.Tensor{{}, dlogits} {
				q.Fill(-1, out)
				l.Eval(q, logits, c.target, weight, out, d)
				if got := float64(nntest.Download(q, out)[0]); math.Abs(got-c.want) > 1e-6*c.want {
					t.Errorf("Eval of logits 0 = %v, want %v", got, c.want)
				}
			}
			if got := nntest.Download(q, dlogits)[0]; math.Abs(float64(got-c.dlogit)) > 1e-6 {
				t.Errorf("dlogits[0,0] = %v, want %v", got, c.dlogit)
			}
		})
	}
	if err := q.Sync(); err != nil {
		t.Fatal(err)
	}
}

type custom struct{ loss.Softmax }

func (custom) Name() string { return "test-custom" }

func TestRegistry(t *testing.T) {
	if _, err := loss.New("hinge"); err == nil || err.Error() != `loss "hinge": unknown, there is sigmoid, softmax, softmax_log` {
		t.Errorf("New(hinge) = %v, want an error that lists the losses", err)
	}
	loss.Register(custom{})
	if l, err := loss.New("test-custom"); err != nil || l.AcceptsMulti() {
		t.Errorf("New(test-custom) = %v, %v, want the registered loss", l, err)
	}
	if !slices.Contains(loss.Names(), "test-custom") {
		t.Errorf("Names() = %v, want test-custom among them", loss.Names())
	}
	if sig, err := loss.New("sigmoid"); err != nil || !sig.AcceptsMulti() {
		t.Errorf("sigmoid does not accept label lists: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("second Register of a name did not panic")
		}
	}()
	loss.Register(loss.Softmax{})
}
