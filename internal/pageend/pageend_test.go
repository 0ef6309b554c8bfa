package pageend

import (
	"runtime/debug"
	"testing"
	"unsafe"
)

// at reads an element beside a slice.
//
//go:noinline
func at(x []float32, i int) float32 {
	return *(*float32)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(x)), 4*i))
}

// The element behind the last one is out of reach.
func TestMakeEndsWherePagesEnd(t *testing.T) {
	if !protects {
		t.Skip("this system does not protect memory")
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	for _, n := range []int{1, 15, 1024, 5000} {
		x := Make[float32](t, n)
		x[n-1] = 3
		if got := at(x, n-1); got != 3 {
			t.Errorf("Make(%d): last element = %g, want 3", n, got)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Make(%d): element %d can be read", n, n)
				}
			}()
			_ = at(x, n)
		}()
	}
	if x := Make[float32](t, 0); len(x) != 0 {
		t.Errorf("Make(0) has %d elements", len(x))
	}
	if x := Copy(t, []int32{4, 5}); len(x) != 2 || x[1] != 5 {
		t.Errorf("Copy = %v, want [4 5]", x)
	}
}
