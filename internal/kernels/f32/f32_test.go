package f32

import (
	"math"
	"math/rand/v2"
	"testing"
)

const guard = 12345.5

// framed returns n random values between guards, off elements into its array.
func framed(r *rand.Rand, n, off int) (all, x []float32) {
	all = make([]float32, off+n+16)
	for i := range all {
		all[i] = guard
	}
	x = all[off : off+n : off+n]
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return all, x
}

func checkGuards(t *testing.T, what string, all []float32, n, off int) {
	t.Helper()
	for i, v := range all {
		if (i < off || i >= off+n) && v != guard {
			t.Fatalf("%s of %d values, offset %d: element %d outside changed to %v", what, n, off, i, v)
		}
	}
}

func near(got, want, size float64, n int) bool {
	const eps = 1.0 / (1 << 23)
	return math.Abs(got-want) <= float64(n+8)*eps*size
}

func TestEveryLengthAndOffset(t *testing.T) { everyLengthAndOffset(t) }

func everyLengthAndOffset(t *testing.T) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 258 {
		for off := range 8 {
			allX, x := framed(r, n, off)
			allY, y := framed(r, n, 7-off)
			var dot, dotSize, squares float64
			wantY, wantX := make([]float64, n), make([]float64, n)
			for i := range x {
				a, b := float64(x[i]), float64(y[i])
				dot += a * b
				dotSize += math.Abs(a * b)
				squares += a * a
				wantY[i] = b + 0.7*a
				wantX[i] = -1.5 * a
			}
			if got := Dot(x, y); !near(float64(got), dot, dotSize, n) {
				t.Fatalf("Dot of %d values, offset %d = %v, want %v", n, off, got, dot)
			}
			if got := SumSquares(x); math.Abs(got-squares) > 1e-12*squares {
				t.Fatalf("SumSquares of %d values, offset %d = %v, want %v", n, off, got, squares)
			}
			Axpy(0.7, x, y)
			checkGuards(t, "Axpy", allY, n, 7-off)
			Scale(-1.5, x)
			checkGuards(t, "Scale", allX, n, off)
			for i := range x {
				if !near(float64(y[i]), wantY[i], 4, 0) || float64(x[i]) != float64(float32(wantX[i])) {
					t.Fatalf("%d values, offset %d: element %d: Axpy %v, want %v; Scale %v, want %v", n, off, i, y[i], wantY[i], x[i], wantX[i])
				}
			}
		}
	}
}

func TestSpecialValues(t *testing.T) { specialValues(t) }

func specialValues(t *testing.T) {
	t.Helper()
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, n := range []int{1, 5, 16, 17, 100} {
		for _, v := range []float32{nan, inf} {
			for at := range n {
				x, y := make([]float32, n), make([]float32, n)
				x[at] = v
				for i := range y {
					y[i] = 1
				}
				if got := Dot(x, y); !same(got, v) {
					t.Fatalf("Dot with %v at %d of %d = %v", v, at, n, got)
				}
				if got := SumSquares(x); !same(float32(got), v) {
					t.Fatalf("SumSquares with %v at %d of %d = %v", v, at, n, got)
				}
				Add(x, y)
				Scale(0, x)
				if !same(y[at], v) || x[at] == x[at] {
					t.Fatalf("%v at %d of %d: Add gives %v, Scale by 0 gives %v", v, at, n, y[at], x[at])
				}
			}
		}
	}
}

func same(a, b float32) bool { return a == b || a != a && b != b }

func TestDifferentLengthsPanic(t *testing.T) {
	for name, f := range map[string]func(x, y []float32){
		"Axpy": func(x, y []float32) { Axpy(1, x, y) },
		"Dot":  func(x, y []float32) { Dot(x, y) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of slices of different length: no panic", name)
				}
			}()
			f(make([]float32, 3), make([]float32, 4))
		}()
	}
}

func BenchmarkDot(b *testing.B) {
	x := make([]float32, 4096)
	b.SetBytes(2 * 4 * 4096)
	for b.Loop() {
		Dot(x, x)
	}
}

func BenchmarkAxpy(b *testing.B) {
	x, y := make([]float32, 4096), make([]float32, 4096)
	b.SetBytes(3 * 4 * 4096)
	for b.Loop() {
		Axpy(1, x, y)
	}
}

func BenchmarkSumSquares(b *testing.B) {
	x := make([]float32, 4096)
	b.SetBytes(4 * 4096)
	for b.Loop() {
		SumSquares(x)
	}
}
