package philox_test

import (
	"testing"

	"github.com/saint-gnn/saint/internal/pageend"
	"github.com/saint-gnn/saint/internal/philox"
)

// No kernel touches memory behind its operands at any length, that of masks too.
func TestOperandsEndWhereMemoryEnds(t *testing.T) {
	const key, scale = 5, 2
	threshold := philox.Threshold(0.5)
	for n := range 200 {
		x, y, kept := pageend.Make[float32](t, n), pageend.Make[float32](t, n), pageend.Make[uint16](t, (n+15)/16)
		philox.Words(key, 1, pageend.Make[uint32](t, n))
		philox.Drop(key, 3, threshold, scale, x, y)
		philox.DropKept(key, 4, threshold, scale, x, y, kept)
		philox.Apply(kept, scale, x, y)
	}
}
