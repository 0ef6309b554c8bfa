package cpu

import (
	"slices"
	"testing"

	"github.com/saint-gnn/saint/internal/workers"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// bare returns memory and threads for queues of a test's own.
func bare(t *testing.T, threads int) (*Arena, *workers.Group) {
	t.Helper()
	b := Open(tensor.Options{Threads: threads})
	t.Cleanup(func() { b.Close() })
	a, err := NewArena(1 << 24)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a, b.group
}

// drawMask returns the elements that an operation leaves of ones.
func drawMask(q *Queue, whole bool, x tensor.Tensor, d tensor.Drop, y tensor.Tensor) []float32 {
	none := tensor.Tensor{}
	if whole {
		q.Dropout(d.P, d.Key, x, y)
	} else {
		q.BiasActNorm(tensor.Identity, none, none, none, x, d, y, none, none)
	}
	var out []float32
	m := view[float32](y)
	for i := range m.rows {
		out = append(out, m.row(i)...)
	}
	return out
}

// A remembered mask is what a queue that remembers nothing draws, for whole matrices and column
// ranges, and the next step draws anew.
func TestMasksAreRemembered(t *testing.T) {
	a, group := bare(t, 2)
	const rows = 37
	kept := &Queue{group: group}
	check := func(step uint64, x, y tensor.Tensor, col, width int) {
		d := tensor.Drop{P: 0.3, Key: tensor.RandKey{Seed: 5, Step: step, Layer: 1, Slot: 2}, Col: col, Width: width}
		for _, whole := range []bool{false, true} {
			want := drawMask(&Queue{group: group}, whole, x, d, y)
			for range 3 {
				if got := drawMask(kept, whole, x, d, y); !slices.Equal(got, want) {
					t.Fatalf("columns %d to %d of %d, step %d, whole %t: the mask changed", col, col+x.Cols, width, step, whole)
				}
			}
		}
	}
	for _, cols := range []int{16, 36, 40, 48, 256, 9000} {
		for _, width := range []int{cols, cols + 16, 2 * cols} {
			x, y := a.Alloc(tensor.F32, rows, cols), a.Alloc(tensor.F32, rows, width).ColRange(0, cols)
			kept.Fill(1, x)
			for step := range uint64(3) {
				check(step, x, y, width-cols, width)
			}
		}
	}
	if n := len(kept.masks.list); n == 0 || n > 18 {
		t.Errorf("%d masks are kept, want those of one step: 1 to 18", n)
	}
}

// With codes the mask of gathered rows is remembered, is what a queue that remembers nothing draws,
// and takes the bytes that are counted.
func TestMasksOfGathered(t *testing.T) {
	a, group := bare(t, 2)
	const rows = 37
	idx := a.Alloc(tensor.I32, rows, 1)
	for i := range I32(idx) {
		I32(idx)[i] = int32(i * 5 % 9)
	}
	for _, cols := range []int{16, 36, 500, 50} {
		src, dst := a.Alloc(tensor.F32, 9, cols), a.Alloc(tensor.F32, rows, cols)
		d := tensor.Drop{P: 0.3, Key: tensor.RandKey{Seed: 5, Step: uint64(cols), Layer: 1}, Width: cols}
		plain, kept := &Queue{group: group}, &Queue{group: group}
		plain.Fill(1, src)
		plain.GatherRows(src, idx, d, dst)
		want := slices.Clone(F32(dst))
		kept.ForgetMasks(1 << 20)
		for range 2 {
			kept.GatherRows(src, idx, d, dst)
			if !slices.Equal(F32(dst), want) {
				t.Errorf("%d columns: the mask changed", cols)
			}
		}
		var made tensor.Tensor
		kept.Gathered(src, idx, d, &made)
		row := make([]float32, cols)
		for i := range rows {
			madeOf(made).row(i, row)
			if !slices.Equal(row, want[i*cols:][:cols]) {
				t.Fatalf("%d columns: row %d is made with another mask", cols, i)
			}
		}
		var count tensor.Masks
		count.Limited, count.Over = true, 1<<20
		count.AddGathered(d, rows, cols)
		if got := kept.MaskBytes(); got != count.Bytes() {
			t.Errorf("%d columns: the masks take %d bytes, want %d as counted", cols, got, count.Bytes())
		}
		if n := plain.MaskBytes(); n != 0 {
			t.Errorf("%d columns: %d bytes of masks without codes, want 0", cols, n)
		}
	}
}
