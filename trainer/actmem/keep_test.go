package actmem_test

import (
	"testing"

	_ "github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

func arenas(t *testing.T) (step, other tensor.Arena) {
	t.Helper()
	b, err := tensor.Open("cpu", tensor.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []*tensor.Arena{&step, &other} {
		if *a, err = b.NewArena(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		step.Close()
		other.Close()
		b.Close()
	})
	return step, other
}

func wantState(t *testing.T, s *actmem.Keep, a tensor.Arena, bytes int64, live int) {
	t.Helper()
	if s.Bytes() != bytes || a.Live() != live {
		t.Errorf("Bytes() = %d, Live() = %d, want %d, %d", s.Bytes(), a.Live(), bytes, live)
	}
}

func TestKeep(t *testing.T) {
	a, other := arenas(t)
	s := actmem.NewKeep(a)
	x, y := a.Alloc(tensor.F32, 3, 4), a.Alloc(tensor.U8, 5, 2)
	borrowed := other.Alloc(tensor.F32, 100, 10)
	s.Put(nn.Key{Layer: 0, Slot: 0}, borrowed, nn.Activation)
	wantState(t, s, a, 0, 2)
	s.Put(nn.Key{Layer: 0, Slot: 1}, x, nn.Activation)
	s.Put(nn.Key{Layer: 1, Slot: 0}, x, nn.Activation)
	wantState(t, s, a, 48, 2)
	s.Put(nn.Key{Layer: 1, Slot: 1}, y, nn.Mask)
	s.Put(nn.Key{Layer: 1, Slot: 2}, x.ColRange(0, 2), nn.Exact)
	wantState(t, s, a, 48+10+24, 2)
	a.Release(x)
	a.Release(y)
	wantState(t, s, a, 82, 2)

	a.Release(s.Get(nn.Key{Layer: 1, Slot: 0}))
	wantState(t, s, a, 82, 2)
	if got := s.Get(nn.Key{Layer: 1, Slot: 2}); got.Cols != 2 || got.ID != x.ID {
		t.Errorf("Get of a view = %s, want 3x2 of the same allocation", got)
	} else {
		a.Release(got)
	}
	a.Release(s.Get(nn.Key{Layer: 0, Slot: 1}))
	wantState(t, s, a, 10, 1)
	if got := s.Get(nn.Key{Layer: 0, Slot: 0}); got != borrowed {
		t.Errorf("Get of a borrowed tensor = %v, want %v", got, borrowed)
	}
	s.Reset()
	wantState(t, s, a, 0, 0)
	if other.Live() != 1 {
		t.Errorf("borrowed tensor was released")
	}
}

func TestKeepPanics(t *testing.T) {
	a, _ := arenas(t)
	s := actmem.NewKeep(a)
	x := a.Alloc(tensor.F32, 1, 1)
	s.Put(nn.Key{}, x, nn.Activation)
	for _, c := range []struct {
		name string
		call func()
	}{
		{"slot saved twice", func() { s.Put(nn.Key{}, x, nn.Activation) }},
		{"nothing saved", func() { s.Get(nn.Key{Layer: 1}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			c.call()
		})
	}
}

func TestKeepAllocatesNothing(t *testing.T) {
	a, _ := arenas(t)
	s := actmem.NewKeep(a)
	step := func() {
		for i := range 40 {
			x := a.Alloc(tensor.F32, 2, 2)
			s.Put(nn.Key{Layer: i / 5, Slot: i % 5}, x, nn.Activation)
			a.Release(x)
		}
		for i := 39; i >= 20; i-- {
			a.Release(s.Get(nn.Key{Layer: i / 5, Slot: i % 5}))
		}
		s.Reset()
		a.Reset()
	}
	step()
	if n := testing.AllocsPerRun(20, step); n != 0 {
		t.Errorf("a step allocates %v times, want 0", n)
	}
}
