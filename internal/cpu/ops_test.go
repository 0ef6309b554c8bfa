package cpu_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/tensor"
	"github.com/saint-gnn/saint/trainer/tensor/tensortest"
)

// Once warm, no operation allocates, on one thread or on several.
func TestOpsDoNotAllocate(t *testing.T) {
	for _, threads := range []int{1, 3} {
		for _, c := range tensortest.Cases(t, cpu.Open(tensor.Options{Threads: threads}), 300, 70) {
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
		b := cpu.Open(tensor.Options{Threads: 1})
		defer b.Close()
		a := newArena(t, 1<<20)
		q, _ := b.NewQueue()
		x, idx := a.Alloc(tensor.F32, 4, 4), a.Alloc(tensor.I32, 3, 1)
		w, one := a.Alloc(tensor.F32, 3, 1), a.Alloc(tensor.F32, 1, 1)
		q.Fill(1, w)
		copy(cpu.I32(idx), []int32{0, 9, -1})
		c.call(q, x, idx, w, one)
		if err := q.Sync(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Sync = %v, want an error with %q", c.name, err, c.want)
		}
	}
}

// Queues of one backend run side by side, one goroutine each.
func TestQueuesSideBySide(t *testing.T) {
	b := cpu.Open(tensor.Options{Threads: 3})
	defer b.Close()
	var wg sync.WaitGroup
	for k := range 4 {
		a := newArena(t, 8<<20)
		wg.Go(func() {
			q, _ := b.NewQueue()
			x, out := a.Alloc(tensor.F32, 700, 300), a.Alloc(tensor.F32, 1, 1)
			for range 20 {
				q.Fill(float32(k), x)
				q.Fill(0, out)
				q.SumSquares(x, out)
				if got, want := cpu.F32(out)[0], float32(k*k*700*300); got != want {
					t.Errorf("queue %d: sum of squares = %g, want %g", k, got, want)
				}
			}
		})
	}
	wg.Wait()
}

// Host views read what queues wrote.
func TestHostViews(t *testing.T) {
	b := cpu.Open(tensor.Options{Threads: 1})
	defer b.Close()
	a := newArena(t, 1<<20)
	q, _ := b.NewQueue()
	f, i, u := a.Alloc(tensor.F32, 2, 3), a.Alloc(tensor.I32, 2, 3), a.Alloc(tensor.U8, 2, 3)
	for _, t := range []tensor.Tensor{f, i, u} {
		q.Fill(2, t)
	}
	if got := cpu.F32(f); len(got) != 6 || got[5] != 2 {
		t.Errorf("F32 = %v, want six 2", got)
	}
	if got := cpu.I32(i); len(got) != 6 || got[5] != 2 {
		t.Errorf("I32 = %v, want six 2", got)
	}
	if got := cpu.U8(u); len(got) != 6 || got[5] != 2 {
		t.Errorf("U8 = %v, want six 2", got)
	}
	if got := cpu.F32(f.RowRange(1, 2).ColRange(1, 3)); len(got) != 2 {
		t.Errorf("F32 of part of one row has %d elements, want 2", len(got))
	}
	defer func() {
		if recover() == nil {
			t.Error("F32 of a strided tensor did not panic")
		}
	}()
	cpu.F32(f.ColRange(0, 2))
}

// The size of a Flickr-like minibatch's hidden layer: BenchmarkOps/Dropout/inplace=true.
func BenchmarkOps(b *testing.B) {
	for _, c := range tensortest.Cases(b, cpu.Open(tensor.Options{}), 11920, 512) {
		b.Run(c.Name, func(b *testing.B) {
			b.SetBytes(c.Bytes)
			for b.Loop() {
				c.Call()
			}
		})
	}
}
