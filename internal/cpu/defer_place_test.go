package cpu_test

import (
	"testing"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// What is allocated while a product waits lies where it can follow the product, although memory of
// the product's operand is free, and takes no more bytes.
func TestDeferPlace(t *testing.T) {
	if invariants.Enabled {
		t.Skip("with invariants no product waits")
	}
	b := cpu.Open(tensor.Options{Threads: 2})
	defer b.Close()
	a, err := cpu.NewArena(1 << 24)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	queue, _ := b.NewQueue()
	defer queue.Close()
	q := queue.(*cpu.Queue)
	const rows, in, out = 300, 96, 64
	x, w := a.Alloc(tensor.F32, rows, in), a.Alloc(tensor.F32, in, out)
	z := a.Alloc(tensor.F32, rows, out)
	q.Fill(1, x)
	q.Fill(0.5, w)
	q.Defer(true)
	q.Gemm(false, false, 1, x, w, 0, z)
	a.Release(x) // all of it is free, but other rows of it are read when the first are written
	h := tensor.Quant{Bits: 2, Key: tensor.RandKey{Seed: 1}}
	before := a.Bytes()
	codes, stats := a.Alloc(tensor.U8, 1, h.CodeBytes(rows, out)), a.Alloc(tensor.I32, rows, 1)
	if got, want := a.Bytes()-before, int64((rows*out/4+63)/64*64+(4*rows+63)/64*64); got != want {
		t.Errorf("codes and statistics take %d bytes, want %d", got, want)
	}
	y := a.Alloc(tensor.F32, rows, out)
	var none tensor.Tensor
	q.Quantize(h, none, z, none, codes, stats)
	q.BiasActNorm(tensor.ReLU, none, none, none, z, tensor.Drop{}, y, none, none)
	if !q.Waiting() {
		t.Error("the product does not wait any more")
	}
	if err := q.Sync(); err != nil {
		t.Fatal(err)
	}
	for i, v := range cpu.F32(y) {
		if v != in/2 {
			t.Fatalf("element %d is %g, want %d", i, v, in/2)
		}
	}
}
