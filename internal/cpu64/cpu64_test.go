package cpu64_test

import (
	"strings"
	"testing"

	"github.com/saint-gnn/saint/internal/cpu64"
	"github.com/saint-gnn/saint/trainer/tensor"
	"github.com/saint-gnn/saint/trainer/tensor/tensortest"
)

func TestConformance(t *testing.T) {
	tensortest.Run(t, func(o tensor.Options) (tensor.Backend, error) { return tensor.Open(cpu64.Name, o) })
}

// Once warm, no operation allocates, on one thread or on several.
func TestOpsDoNotAllocate(t *testing.T) {
	for _, threads := range []int{1, 3} {
		for _, c := range tensortest.Cases(t, cpu64.Open(tensor.Options{Threads: threads}), 300, 70) {
			c.Call()
			if n := testing.AllocsPerRun(3, c.Call); n != 0 {
				t.Errorf("%s on %d threads allocates %v times a call, want 0", c.Name, threads, n)
			}
		}
	}
}

// Data that an operation cannot use fails the queue, naming the first place.
func TestBadData(t *testing.T) {
	for _, c := range []struct {
		name, want string
		call       func(q tensor.Queue, x, idx, w, one tensor.Tensor)
	}{
		{"gather", "index 9 at 1", func(q tensor.Queue, x, idx, _, _ tensor.Tensor) {
			q.GatherRows(x, idx, tensor.Drop{}, x.RowRange(0, 3))
		}},
		{"softmax", "class 9 of row 1", func(q tensor.Queue, x, idx, w, one tensor.Tensor) {
			q.SoftmaxXent(x.RowRange(0, 3), idx, w, one, tensor.Tensor{})
		}},
		{"sigmoid", "class 9 of row 1", func(q tensor.Queue, x, idx, w, one tensor.Tensor) {
			q.SigmoidXent(x.RowRange(0, 3), idx, w, one, tensor.Tensor{})
		}},
	} {
		b := cpu64.Open(tensor.Options{Threads: 1})
		defer b.Close()
		a, err := b.NewArena()
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		q, _ := b.NewQueue()
		x, idx := a.Alloc(tensor.F32, 4, 4), a.Alloc(tensor.I32, 3, 1)
		w, one := a.Alloc(tensor.F32, 3, 1), a.Alloc(tensor.F32, 1, 1)
		q.Fill(1, w)
		q.Upload([]byte{0, 0, 0, 0, 9, 0, 0, 0, 255, 255, 255, 255}, idx)
		c.call(q, x, idx, w, one)
		if err := q.Sync(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Sync = %v, want an error with %q", c.name, err, c.want)
		}
	}
}

// The hidden layer of a minibatch: go test -bench Ops/Gemm ./internal/cpu64.
func BenchmarkOps(b *testing.B) {
	for _, c := range tensortest.Cases(b, cpu64.Open(tensor.Options{}), 5000, 256) {
		b.Run(c.Name, func(b *testing.B) {
			b.SetBytes(c.Bytes)
			for b.Loop() {
				c.Call()
			}
		})
	}
}
