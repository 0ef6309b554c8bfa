package meta_test

import (
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/internal/meta"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Whatever comes and goes, the arena counts what that of the CPU does.
func TestArenaCountsAsTheCPU(t *testing.T) {
	real, err := cpu.NewArena(1 << 26)
	if err != nil {
		t.Fatal(err)
	}
	defer real.Close()
	counting, err := new(meta.Backend).NewArena()
	if err != nil {
		t.Fatal(err)
	}
	defer counting.Close()
	type pair struct{ a, b tensor.Tensor }
	var live []pair
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		switch k := r.IntN(10); {
		case len(live) == 0 || k < 4:
			dt := []tensor.DType{tensor.F32, tensor.I32, tensor.U8}[r.IntN(3)]
			rows, cols := r.IntN(60), r.IntN(60)
			live = append(live, pair{real.Alloc(dt, rows, cols), counting.Alloc(dt, rows, cols)})
		case k < 9:
			j := r.IntN(len(live))
			p := live[j]
			if k == 5 { // a second reference
				real.Retain(p.a)
				counting.Retain(p.b)
				real.Release(p.a)
				counting.Release(p.b)
			}
			real.Release(p.a)
			counting.Release(p.b)
			live = append(live[:j], live[j+1:]...)
		case k == 9 && i%50 == 0:
			real.ResetPeak()
			counting.ResetPeak()
		}
		if real.Bytes() != counting.Bytes() || real.Peak() != counting.Peak() || real.Live() != counting.Live() {
			t.Fatalf("after %d calls: %d bytes, peak %d, %d live; want %d, %d, %d", i,
				counting.Bytes(), counting.Peak(), counting.Live(), real.Bytes(), real.Peak(), real.Live())
		}
	}
	for _, p := range live {
		if counting.Owns(p.b.ColRange(0, 0)) != real.Owns(p.a.ColRange(0, 0)) {
			t.Fatal("the arenas own different views")
		}
	}
	counting.Reset()
	if counting.Live() != 0 || counting.Bytes() != 0 || len(live) > 0 && counting.Owns(live[0].b) {
		t.Error("something is left after Reset")
	}
}

// Imported memory is nobody's, and has to have its size.
func TestImport(t *testing.T) {
	b, err := tensor.Open(meta.Name, tensor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	var x tensor.Tensor
	if err := b.Import(&x, tensor.F32, 3, 4, make([]byte, 48)); err != nil || a.Owns(x) || x.Rows != 3 {
		t.Errorf("Import = %v, %v", x, err)
	}
	if err := b.Import(&x, tensor.F32, 3, 4, make([]byte, 47)); err == nil {
		t.Error("Import of too few bytes: no error")
	}
}
