package f32

import (
	"testing"

	"github.com/saint-gnn/saint/internal/pageend"
)

// No kernel touches memory behind its operands at any length.
func TestOperandsEndWhereMemoryEnds(t *testing.T) {
	for n := range 140 {
		x, y := pageend.Make[float32](t, n), pageend.Make[float32](t, n)
		for i := range x {
			x[i] = 1
		}
		Axpy(2, x, y)
		Add(x, y)
		if got := Dot(x, y); got != float32(3*n) {
			t.Errorf("%d ones and threes: Dot = %g, want %d", n, got, 3*n)
		}
		if got := SumSquares(y); got != float64(9*n) {
			t.Errorf("%d threes: SumSquares = %g, want %d", n, got, 9*n)
		}
	}
}
