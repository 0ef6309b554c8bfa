//go:build !noasm

package pairs

import (
	"math"
	"testing"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

// Exponentials are those of double precision, rounded, to two units in the last place.
func TestExp(t *testing.T) {
	if cpufeat.Best() < cpufeat.AVX2 {
		t.Skip("the kernel needs AVX2")
	}
	for x := float32(0); x >= -87; x -= 0.0137 {
		v := lanes{x, 0, -87, -200, float32(math.Inf(-1)), float32(math.NaN()), x / 128, -0.25}
		got := v
		got.exp()
		for i, g := range got {
			want := math.Exp(math.Max(float64(v[i]), -87))
			if d := math.Abs(float64(g) - want); !(d <= 2.4e-7*want) && !(math.IsNaN(want) && g != g) {
				t.Fatalf("exp(%v) = %v, want %v", v[i], g, want)
			}
		}
	}
	var zero lanes
	if zero.exp(); zero[0] != 1 {
		t.Errorf("exp(0) = %v, want 1", zero[0])
	}
}
