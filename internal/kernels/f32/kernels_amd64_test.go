//go:build !noasm

package f32

import "testing"

// The portable twins also hold on processors that do not use them.
func TestPortable(t *testing.T) {
	defer func(w bool) { wide = w }(wide)
	wide = false
	everyLengthAndOffset(t)
	specialValues(t)
}
