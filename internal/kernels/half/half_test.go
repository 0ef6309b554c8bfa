package half

import (
	"math"
	"math/rand/v2"
	"testing"
)

// value returns what a half stands for, by the definition of IEEE 754.
func value(h uint16) float64 {
	sign, e, m := 1.0, int(h>>10&31), float64(h&0x3ff)
	if h>>15 == 1 {
		sign = -1
	}
	switch {
	case e == 31 && m != 0:
		return math.NaN()
	case e == 31:
		return sign * math.Inf(1)
	case e == 0:
		return sign * math.Ldexp(m, -24)
	}
	return sign * math.Ldexp(1024+m, e-25)
}

// nearest rounds x by the definition: to a multiple of the last place, ties to even.
func nearest(x float32) float64 {
	a := math.Abs(float64(x))
	if a == 0 || math.IsInf(a, 0) || math.IsNaN(a) {
		return float64(x)
	}
	_, e := math.Frexp(a) // a = f 2^e with f in [0.5, 1)
	place := math.Ldexp(1, max(e-1, -14)-10)
	a = math.RoundToEven(a/place) * place
	if a > 65504 {
		a = math.Inf(1)
	}
	return math.Copysign(a, float64(x))
}

func same(a, b float64) bool {
	return math.IsNaN(a) && math.IsNaN(b) || a == b && math.Signbit(a) == math.Signbit(b)
}

// odd returns numbers about which rounding is most easily wrong, and others.
func odd() []float32 {
	var list []float32
	for h := range uint16(0x7c01) {
		a, b := value(h), value(h+1)
		if h+1 > infinity16 {
			b = math.Inf(1)
		} else if h+1 == infinity16 {
			b = 65536
		}
		mid := float32((a + b) / 2)
		for _, x := range []float32{float32(a), mid, math.Nextafter32(mid, -1), math.Nextafter32(mid, 1e9)} {
			list = append(list, x, -x)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 1 << 16 {
		list = append(list, math.Float32frombits(r.Uint32()), float32(r.NormFloat64()))
	}
	inf := float32(math.Inf(1))
	return append(list, 0, float32(math.Copysign(0, -1)), inf, -inf, float32(math.NaN()), 65519.996, 65520, -65520, math.MaxFloat32, math.SmallestNonzeroFloat32)
}

func TestDecodeIsExact(t *testing.T) {
	x, y := make([]uint16, 1<<16), make([]float32, 1<<16)
	for h := range x {
		x[h] = uint16(h)
	}
	each(t, func(t *testing.T, c codec) {
		c.decode(x, x, y)
		for h, got := range y {
			if want := value(uint16(h)); !same(float64(got), want) {
				t.Fatalf("Decode(%#04x) = %v, want %v", h, got, want)
			}
		}
	})
}

func TestEncodeRoundsToNearestEven(t *testing.T) {
	x := odd()
	y := make([]uint16, len(x))
	each(t, func(t *testing.T, c codec) {
		c.encode(x, y)
		for i, got := range y {
			if want := nearest(x[i]); !same(value(got), want) {
				t.Fatalf("Encode(%v) = %#04x (%v), want %v", x[i], got, value(got), want)
			}
		}
	})
}

// The bits of NaN are the same everywhere, too.
func TestKernelsAgreeToTheBit(t *testing.T) {
	x := odd()
	for i := range uint32(1 << 12) {
		x = append(x, math.Float32frombits(0x7f800000+i<<11), math.Float32frombits(0xff800001+i))
	}
	want := make([]uint16, len(x))
	encodeGo(x, want)
	back, got, wide := make([]float32, len(x)), make([]uint16, len(x)), make([]float32, len(x))
	decodeGo(want, back)
	each(t, func(t *testing.T, c codec) {
		c.encode(x, got)
		c.decode(got, got, wide)
		for i := range x {
			if got[i] != want[i] || math.Float32bits(wide[i]) != math.Float32bits(back[i]) {
				t.Fatalf("%#08x became %#04x and %#08x, want %#04x and %#08x", math.Float32bits(x[i]), got[i], math.Float32bits(wide[i]), want[i], math.Float32bits(back[i]))
			}
		}
	})
}

func TestTailsAndGuards(t *testing.T) {
	const guard = 7
	r := rand.New(rand.NewPCG(3, 4))
	each(t, func(t *testing.T, c codec) {
		for n := range 100 {
			x, h, y := make([]float32, n), make([]uint16, n+2), make([]float32, n+2)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			h[0], h[n+1], y[0], y[n+1] = guard, guard, guard, guard
			c.encode(x, h[1:n+1])
			c.decode(h[1:n+1], h[1:n+1], y[1:n+1])
			for i, v := range x {
				if want := nearest(v); float64(y[i+1]) != want {
					t.Fatalf("%d numbers: number %d became %v, want %v", n, i, y[i+1], want)
				}
			}
			if h[0] != guard || h[n+1] != guard || y[0] != guard || y[n+1] != guard {
				t.Fatalf("%d numbers: written beside", n)
			}
		}
	})
}

func TestNothingIsAllocated(t *testing.T) {
	x, h := make([]float32, 602), make([]uint16, 602)
	if n := testing.AllocsPerRun(10, func() { Encode(x, h); Decode(h, h, x) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// codec is one implementation.
type codec struct {
	encode func(x []float32, y []uint16)
	decode func(x, next []uint16, y []float32)
}

var portable = codec{encodeGo, func(x, _ []uint16, y []float32) { decodeGo(x, y) }}

func BenchmarkDecode(b *testing.B) {
	const rows, dim = 1 << 16, 602
	x, y := make([]uint16, rows*dim), make([]float32, dim)
	r := rand.New(rand.NewPCG(1, 1))
	ids := make([]int, 8192)
	for i := range ids {
		ids[i] = r.IntN(rows)
	}
	b.SetBytes(2 * dim)
	for i := range b.N {
		v, next := ids[i%8192], ids[(i+1)%8192]
		Decode(x[v*dim:(v+1)*dim], x[next*dim:(next+1)*dim], y)
	}
}
