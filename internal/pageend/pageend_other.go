//go:build !linux && !darwin

package pageend

import "testing"

// protects is whether reserve does.
const protects = false

// reserve returns n bytes, on a boundary that numbers of 8 bytes need.
func reserve(t testing.TB, n int) []byte {
	t.Helper()
	return make([]byte, n)
}
