package tensortest

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// The reference gradient of BiasActNorm agrees with central differences of the reference.
func TestNormReferenceGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const n = 6
	values := func() []float64 {
		s := make([]float64, n)
		for i := range s {
			s[i] = r.NormFloat64()
		}
		return s
	}
	for _, a := range []tensor.Act{tensor.Identity, tensor.ReLU, tensor.LeakyReLU} {
		for _, norm := range []bool{false, true} {
			bias, x, dy := values(), values(), values()
			var scale, offset []float64
			if norm {
				scale, offset = values(), values()
			}
			sum := func() float64 {
				y, _, _ := normRow(a, bias, scale, offset, x)
				s := 0.0
				for j, v := range y {
					s += v * dy[j]
				}
				return s
			}
			db, ds, do := make([]float64, n), make([]float64, n), make([]float64, n)
			dx := normRowBackward(a, bias, scale, x, dy, db, ds, do)
			for name, p := range map[string][2][]float64{"x": {x, dx}, "bias": {bias, db}, "scale": {scale, ds}, "offset": {offset, do}} {
				checkDifferences(t, name, sum, p[0], p[1])
			}
		}
	}
}

// checkDifferences compares grad with central differences of f over value.
func checkDifferences(t *testing.T, name string, f func() float64, value, grad []float64) {
	t.Helper()
	const h = 1e-6
	for j, old := range value {
		value[j] = old + h
		up := f()
		value[j] = old - h
		down := f()
		value[j] = old
		if want := (up - down) / (2 * h); math.Abs(grad[j]-want) > 1e-6*(1+math.Abs(want)) {
			t.Errorf("d%s[%d] = %g, want %g", name, j, grad[j], want)
		}
	}
}
