package cpu_test

import (
	"testing"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/trainer/tensor"
)

func newArena(t testing.TB, limit int64) *cpu.Arena {
	t.Helper()
	a, err := cpu.NewArena(limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// A step's worth of allocations leaves nothing for the garbage collector, and the same
// calls place tensors at the same offsets.
func TestArenaSteadyState(t *testing.T) {
	if invariants.Enabled {
		t.Skip("invariants keep a list of released tensors")
	}
	a := newArena(t, 1<<30)
	var first []int64
	var held [32]tensor.Tensor
	step := func() (offs [32]int64) {
		a.Reset()
		for i := range held {
			held[i] = a.Alloc(tensor.F32, 100+i, 7)
			offs[i] = held[i].Off
			if i%3 == 2 {
				a.Release(held[i-1])
			}
		}
		for i := range held {
			if a.Owns(held[i]) {
				a.Release(held[i])
			}
		}
		return offs
	}
	o := step()
	first = o[:]
	if n := testing.AllocsPerRun(10, func() {
		if o := step(); o != [32]int64(first) {
			t.Errorf("offsets = %v, want %v", o, first)
		}
	}); n != 0 {
		t.Errorf("a step allocates %v times, want 0", n)
	}
	if a.Live() != 0 || a.Bytes() != 0 {
		t.Errorf("Live, Bytes = %d, %d at the end of a step, want 0, 0", a.Live(), a.Bytes())
	}
}

func TestArenaLimit(t *testing.T) {
	a := newArena(t, 1<<20)
	x := a.Alloc(tensor.U8, 1<<10, 1<<10)
	if err := a.Err(); err != nil {
		t.Fatalf("Err = %v after an allocation of the whole limit, want nil", err)
	}
	a.Release(x)
	for _, shape := range [][2]int{{1<<10 + 1, 1 << 10}, {1 << 40, 1 << 40}} {
		a.Reset()
		a.Alloc(tensor.U8, shape[0], shape[1])
		if a.Err() == nil {
			t.Errorf("Err = nil after %dx%d bytes of %d, want out of memory", shape[0], shape[1], 1<<20)
		}
	}
}
