package formats

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/internal/kernels/half"
)

// notInMemory hides the matrix.
type notInMemory struct{ FeatureStore }

func TestHalve(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, size := range [][2]int{{0, 3}, {1, 1}, {5000, 7}, {300, 602}, {2, 70000}} {
		x := make([]float32, size[0]*size[1])
		most, squares := 0.0, 0.0
		want := make([]float32, len(x))
		for i := range x {
			x[i] = float32(10 * r.NormFloat64())
		}
		h := make([]uint16, len(x))
		half.Encode(x, h)
		half.Decode(h, h, want)
		for i := range x {
			d := math.Abs(float64(x[i]) - float64(want[i]))
			most, squares = max(most, d), squares+d*d
		}
		m := NewMatrix(x, size[1])
		for name, src := range map[string]FeatureStore{"resident": m, "not resident": notInMemory{m}} {
			got, rounding, err := Halve(src)
			if err != nil {
				t.Fatalf("%v, %s: %v", size, name, err)
			}
			if rounding.Most != most || math.Abs(rounding.Mean-math.Sqrt(squares/math.Max(1, float64(len(x))))) > 1e-12 {
				t.Errorf("%v, %s: rounding %+v, want %v at most and %v on average", size, name, rounding, most, math.Sqrt(squares/float64(len(x))))
			}
			checkHalved(t, got, want)
			onTheWay, err := Halved(src)
			if err != nil {
				t.Fatalf("%v, %s: %v", size, name, err)
			}
			checkHalved(t, onTheWay, want)
			if !InHalf(got) || !InHalf(onTheWay) || InHalf(src) {
				t.Errorf("InHalf = %t, %t, %t, want true, true, false", InHalf(got), InHalf(onTheWay), InHalf(src))
			}
			if s, ok := StoredOf(got); !ok || s.F32 != nil || s.Bytes() != 2*int64(len(x)) || s.Rows != size[0] || s.Dim != size[1] {
				t.Errorf("%v, %s: StoredOf = %d rows of %d, %d bytes, %t", size, name, s.Rows, s.Dim, s.Bytes(), ok)
			}
		}
	}
}

func TestStoredOf(t *testing.T) {
	if s, ok := StoredOf(NewMatrix(make([]float32, 6), 3)); !ok || s.F16 != nil || s.Bytes() != 24 {
		t.Errorf("StoredOf of float32: %d bytes, %t, want 24, true", s.Bytes(), ok)
	}
	if _, ok := StoredOf(notInMemory{NewMatrix(nil, 1)}); ok {
		t.Error("StoredOf of features that are not in memory: true, want false")
	}
}

// checkHalved gathers all rows backwards.
func checkHalved(t *testing.T, x FeatureStore, want []float32) {
	t.Helper()
	n, dim := x.Rows(), x.Dim()
	ids, got := make([]int32, n), make([]float32, n*dim)
	for i := range ids {
		ids[i] = int32(n - 1 - i)
	}
	if err := x.Gather(got, ids); err != nil {
		t.Fatal(err)
	}
	for i := range ids {
		for j := range dim {
			if g, w := got[i*dim+j], want[int(ids[i])*dim+j]; g != w {
				t.Fatalf("%T of %dx%d: feature %d of node %d is %v, want %v", x, n, dim, j, ids[i], g, w)
			}
		}
	}
}

func TestHalveOverflow(t *testing.T) {
	for _, c := range []struct {
		v  float32
		ok bool
	}{{65504, true}, {65519.996, true}, {65520, false}, {-65520, false}, {1e30, false}} {
		x := make([]float32, 5*3)
		x[3*3+1] = c.v
		m := NewMatrix(x, 3)
		_, _, err := Halve(m)
		_, err2 := Halved(m)
		if (err == nil) != c.ok || (err2 == nil) != c.ok {
			t.Errorf("%v: Halve %v, Halved %v, want success %t", c.v, err, err2, c.ok)
		}
		var part *PartError
		if !c.ok && (!errors.As(err, &part) || part.Part != PartFeatures || !strings.Contains(err.Error(), "column 1 is") || !strings.Contains(err2.Error(), "column 1 is") || !strings.Contains(err2.Error(), "row 3")) {
			t.Errorf("%v: %v and %v do not name the column", c.v, err, err2)
		}
	}
}

func TestHalfMatrixGatherFails(t *testing.T) {
	m, _, err := Halve(NewMatrix(make([]float32, 6), 3))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ids []int32
		n   int
	}{{[]int32{2}, 3}, {[]int32{-1}, 3}, {[]int32{0}, 2}} {
		if m.Gather(make([]float32, c.n), c.ids) == nil {
			t.Errorf("Gather(%d values, %v) = nil, want an error", c.n, c.ids)
		}
	}
}
