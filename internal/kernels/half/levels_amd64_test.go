//go:build !noasm

package half

import (
	"testing"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

// each runs f with every implementation that this processor has.
func each(t *testing.T, f func(t *testing.T, c codec)) {
	t.Run("portable", func(t *testing.T) { f(t, portable) })
	for _, level := range []cpufeat.Level{cpufeat.AVX2, cpufeat.AVX512} {
		if level > cpufeat.Best() || lanes(level) == 0 {
			continue
		}
		t.Run(level.String(), func(t *testing.T) {
			f(t, codec{
				func(x []float32, y []uint16) {
					if !encodeAt(level, x, y) {
						encodeGo(x, y)
					}
				},
				func(x, next []uint16, y []float32) {
					if !decodeAt(level, x, next, y) {
						decodeGo(x, y)
					}
				},
			})
		})
	}
}
