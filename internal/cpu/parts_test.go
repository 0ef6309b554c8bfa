package cpu

import (
	"testing"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// Where address space is memory, an arena grows part by part up to its limit.
func TestArenaParts(t *testing.T) {
	a, err := newArena(1<<16, 1<<12)
	if err != nil {
		t.Fatal(err)
	}
	var ts []tensor.Tensor
	for i := range 10 {
		x := a.Alloc(tensor.U8, 1, 3000+i*100)
		U8(x)[0] = byte(i)
		ts = append(ts, x)
	}
	big := a.Alloc(tensor.U8, 1, 20000)
	if err := a.Err(); err != nil {
		t.Fatal(err)
	}
	for i, x := range ts {
		if got := U8(x)[0]; got != byte(i) {
			t.Errorf("tensor %d holds %d", i, got)
		}
	}
	parts := len(a.parts)
	a.Release(big)
	for _, x := range ts {
		a.Release(x)
	}
	if a.Live() != 0 || a.Bytes() != 0 {
		t.Errorf("Live, Bytes = %d, %d, want 0, 0", a.Live(), a.Bytes())
	}
	a.Alloc(tensor.U8, 1, 20000)
	a.Alloc(tensor.U8, 1, 3000)
	if err := a.Err(); err != nil || len(a.parts) != parts {
		t.Errorf("Err, parts = %v, %d, want nil, %d: free parts are used again", err, len(a.parts), parts)
	}
	a.Alloc(tensor.U8, 1, 1<<16)
	if a.Err() == nil {
		t.Error("Err = nil beyond the limit")
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	a.Alloc(tensor.U8, 1, 1)
	if a.Err() == nil {
		t.Error("Err = nil of an Alloc after Close")
	}
}
