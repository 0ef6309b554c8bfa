package quant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

var widths = []int{1, 2, 4, 8}

// What comes back differs by at most a step, for every length, and not at all for values on the
// grid, but for a rounding error that an unlucky draw makes a step of.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, bits := range widths {
		for n := range 200 {
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			lo, hi := Range(x)
			zero, step := Stats(bits, lo, hi)
			testRoundTrip(t, r, bits, zero, step, x)
			zero, step = Split(Stats16(bits, lo, hi))
			testRoundTrip(t, r, bits, zero, step, x)
			if zero > lo || zero+step*Levels(bits) < hi-1e-6*(1+hi-lo) {
				t.Fatalf("statistics of [%g, %g]: from %g by %g", lo, hi, zero, step)
			}
		}
	}
}

func testRoundTrip(t *testing.T, r *rand.Rand, bits int, zero, step float32, x []float32) {
	t.Helper()
	y, codes := make([]float32, len(x)), make([]byte, Bytes(bits, len(x)))
	near := func(what string, want []float32, tol float64) {
		t.Helper()
		Pack(bits, zero, Inverse(step), 1, 0, want, codes)
		Unpack(bits, zero, step, codes, y)
		for i, v := range want {
			if d := math.Abs(float64(y[i] - v)); d > tol {
				t.Fatalf("%d bits, %s, value %d of %d: %g came back as %g, step %g", bits, what, i, len(x), v, y[i], step)
			}
		}
	}
	near("any", x, float64(step)*1.0001)
	grid := make([]float32, len(x))
	for i := range grid {
		grid[i] = zero + step*float32(r.IntN(1<<bits))
	}
	near("of the grid", grid, float64(step)*1.0001)
	off := 0
	for i, v := range grid {
		if math.Abs(float64(y[i]-v)) > 1e-5 {
			off++
		}
	}
	if off > 1 {
		t.Errorf("%d bits: %d of %d values of the grid came back as their neighbours", bits, off, len(grid))
	}
}

// The mean over many streams is the value, to 5 standard errors, and the variance stays below
// a quarter of the squared step.
func TestUnbiased(t *testing.T) {
	draws := 10000
	if testing.Short() {
		draws = 1000
	}
	r := rand.New(rand.NewPCG(3, 4))
	x := make([]float32, 150)
	for i := range x {
		x[i] = float32(r.NormFloat64()) + 3
	}
	lo, hi := Range(x)
	for _, bits := range widths {
		zero, step := Split(Stats16(bits, lo, hi))
		codes, y := make([]byte, Bytes(bits, len(x))), make([]float32, len(x))
		sum, squares := make([]float64, len(x)), make([]float64, len(x))
		for k := range draws {
			Pack(bits, zero, Inverse(step), uint64(k)*0x9E3779B97F4A7C15, 0, x, codes)
			Unpack(bits, zero, step, codes, y)
			for i, v := range y {
				d := float64(v) - float64(x[i])
				sum[i] += d
				squares[i] += d * d
			}
		}
		for i := range x {
			mean, variance := sum[i]/float64(draws), squares[i]/float64(draws)
			if bound := float64(step) * float64(step) / 4; variance > bound*(1+5/math.Sqrt(float64(draws))) {
				t.Errorf("%d bits: variance of value %d = %g, want at most %g", bits, i, variance, bound)
			}
			// One deviation of a step more than seen: those of values next to a code are rare.
			se := math.Sqrt(variance/float64(draws) + math.Pow(float64(step)/float64(draws), 2))
			if limit := 5*se + 1e-5*float64(step) + 1e-6; math.Abs(mean) > limit {
				t.Errorf("%d bits: mean of value %d is off by %g, want at most %g", bits, i, mean, limit)
			}
		}
	}
}

// Rows that are all the same, huge, tiny or without end come back, or at least do not crash.
func TestExtremes(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		name  string
		x     []float32
		exact bool
	}{
		{"zeros", []float32{0, 0, 0}, true},
		{"the same", []float32{0.3, 0.3}, true},
		{"one", []float32{-7}, true},
		{"smallest", []float32{0, math.SmallestNonzeroFloat32}, false},
		{"tiny", []float32{-1e-37, 1e-37}, false},
		{"large", []float32{-1e38, 1e38}, false},
		{"infinite", []float32{0, inf}, false},
		{"not a number", []float32{nan, 1, 2}, false},
		{"all of them", []float32{nan, nan}, false},
	} {
		for _, bits := range widths {
			lo, hi := Range(c.x)
			zero, step := Stats(bits, lo, hi)
			codes, y := make([]byte, Bytes(bits, len(c.x))), make([]float32, len(c.x))
			Pack(bits, zero, Inverse(step), 1, 0, c.x, codes)
			Unpack(bits, zero, step, codes, y)
			for i, v := range c.x {
				if c.exact && y[i] != v {
					t.Errorf("%s, %d bits: %g came back as %g", c.name, bits, v, y[i])
				}
			}
			zero, step = Split(Stats16(bits, lo, hi))
			Pack(bits, zero, Inverse(step), 1, 0, c.x, codes)
			Unpack(bits, zero, step, codes, y)
		}
	}
}

// bfloat16 rounding is outward, and exact where it can be.
func TestStats16(t *testing.T) {
	for _, v := range []float32{0, 1, -1, 0.3, -0.3, 1e-40, -1e-40, 3.14159, -2.71828, 1e30, -1e30, 255} {
		d, u := wide(down(v)), wide(up(v))
		if d > v || u < v {
			t.Errorf("%g lies outside of [%g, %g]", v, d, u)
		}
		if exact := math.Float32bits(v)&0xFFFF == 0; exact != (d == u) {
			t.Errorf("%g: rounded to %g and %g", v, d, u)
		}
	}
}

// What is rounded to bfloat16 differs by at most 2^-8 of itself, and not at all where it is one.
func TestBrief(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for n := range 80 {
		x, y, b := make([]float32, n), make([]float32, n), make([]byte, 2*n)
		for i := range x {
			x[i] = float32(r.NormFloat64() * math.Pow(10, float64(r.IntN(20)-10)))
		}
		for range 2 {
			Brief(x, b)
			Widen(b, y)
			for i, v := range x {
				if d := math.Abs(float64(y[i] - v)); d > math.Abs(float64(v))/256 {
					t.Fatalf("value %d of %d: %g came back as %g", i, n, v, y[i])
				}
			}
			x, y = y, x
		}
		for i := range x {
			if x[i] != y[i] {
				t.Fatalf("the bfloat16 %g came back as %g", y[i], x[i])
			}
		}
	}
}

// Signs survive whatever the codes did to the values.
func TestSigns(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, positive := range []bool{false, true} {
		for n := range 100 {
			x, bias, y, signs := make([]float32, n), make([]float32, n), make([]float32, n), make([]byte, (n+7)/8)
			for i := range x {
				x[i], bias[i] = float32(r.NormFloat64()), float32(r.NormFloat64())*float32(math.Pow(10, float64(r.IntN(12)-6)))
				if i%7 == 0 {
					x[i] = -bias[i]
				}
			}
			Stage(x, bias, positive, y, signs)
			for _, noise := range []float32{0, 1, 1e6, -1e6} {
				testSigns(t, x, bias, y, signs, noise)
			}
		}
	}
}

func testSigns(t *testing.T, x, bias, y []float32, signs []byte, noise float32) {
	t.Helper()
	z := make([]float32, len(x))
	for i := range z {
		z[i] = y[i] + noise
	}
	above := make([]float32, len(bias))
	Above(bias, above)
	Unstage(bias, above, signs, z)
	for i := range z {
		if got, want := z[i]+bias[i] > 0, x[i]+bias[i] > 0; got != want {
			t.Fatalf("sign of %g + %g came back as %t after noise of %g", x[i], bias[i], got, noise)
		}
	}
}

func bench(b *testing.B, name string, run func(x []float32, bits int)) {
	x := make([]float32, 1<<12)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	for _, bits := range widths {
		b.Run(fmt.Sprintf("%s%d", name, bits), func(b *testing.B) {
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				run(x, bits)
			}
		})
	}
}

func BenchmarkKernels(b *testing.B) {
	codes, y, signs := make([]byte, 1<<12), make([]float32, 1<<12), make([]byte, 1<<9)
	bench(b, "pack", func(x []float32, bits int) {
		lo, hi := Range(x)
		zero, step := Stats(bits, lo, hi)
		Pack(bits, zero, Inverse(step), 1, 0, x, codes)
	})
	bench(b, "unpack", func(_ []float32, bits int) { Unpack(bits, 0, 1, codes, y) })
	bench(b, "stage", func(x []float32, _ int) { Stage(x, x, true, y, signs) })
	bench(b, "unstage", func(x []float32, _ int) { Unstage(x, x, signs, y) })
}
