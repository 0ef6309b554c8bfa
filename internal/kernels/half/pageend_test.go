package half

import (
	"testing"

	"github.com/saint-gnn/saint/internal/pageend"
)

// No kernel touches memory behind its operands at any length.
func TestOperandsEndWhereMemoryEnds(t *testing.T) {
	each(t, func(t *testing.T, c codec) {
		for n := range 70 {
			h, x := pageend.Make[uint16](t, n), pageend.Make[float32](t, n)
			for i := range x {
				x[i] = float32(i)
			}
			c.encode(x, h)
			c.decode(h, h, x)
			for i := range x {
				if x[i] != float32(i) {
					t.Fatalf("%d numbers: number %d comes back as %g", n, i, x[i])
				}
			}
		}
	})
}
