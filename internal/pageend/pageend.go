// Package pageend is memory for tests: slices that end where the process may not read. A kernel
// that reads or writes an element too many faults there, which guard values find only if it writes.
package pageend

import (
	"testing"
	"unsafe"
)

// Number is what slices are made of.
type Number interface {
	~int8 | ~uint8 | ~int16 | ~uint16 | ~int32 | ~uint32 | ~int64 | ~uint64 | ~float32 | ~float64
}

// Make returns n zeros whose last one is the last of its page; the next page is inaccessible, and
// so is the one before the first page. Systems without memory protection give ordinary memory. It
// lives until the test ends.
func Make[T Number](t testing.TB, n int) []T {
	t.Helper()
	b := reserve(t, n*int(unsafe.Sizeof(*new(T))))
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// Copy is Make with the elements of x.
func Copy[T Number](t testing.TB, x []T) []T {
	t.Helper()
	s := Make[T](t, len(x))
	copy(s, x)
	return s
}
