package rows

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// Every number of columns, in place and not, agrees with float64 and writes nowhere else.
func TestBack(t *testing.T) {
	for cols := range 70 {
		for act := Identity; act <= Leaky; act++ {
			for _, inPlace := range []bool{false, true} {
				o := &operands{t: t, r: rand.New(rand.NewPCG(uint64(cols), uint64(act))), n: cols}
				o.name = fmt.Sprintf("ActBack(act %d, in place %t)", act, inPlace)
				testBack(o, act, inPlace, false)
				o.name = fmt.Sprintf("NormBack(act %d, in place %t)", act, inPlace)
				testBack(o, act, inPlace, true)
				o.guards()
			}
		}
	}
}

func testBack(o *operands, act Act, inPlace, norm bool) {
	o.t.Helper()
	x, bias, scale, dy, dx := o.next(), o.next(), o.next(), o.next(), o.next()
	s := &Sums{o.next(), o.next(), o.next()}
	if o.n > 40 {
		x[5], x[37] = -bias[5], -bias[37]
	}
	want := &Sums{copyOf(s.Bias), copyOf(s.Scale), copyOf(s.Offset)}
	if !norm {
		scale = nil
	}
	const mean, rstd = 0.4, 1.7
	wantDX := back64(act, x, bias, scale, mean, rstd, dy, want)
	if inPlace {
		dx = dy
	}
	if norm {
		NormBack(act, x, bias, scale, mean, rstd, dy, dx, s)
	} else {
		ActBack(act, x, bias, dy, dx, s.Bias)
	}
	o.same("dx", dx, wantDX)
	o.same("dbias", s.Bias, want.Bias)
	o.same("dscale", s.Scale, want.Scale)
	o.same("doffset", s.Offset, want.Offset)
}

// back64 is NormBack, or without scale ActBack, in float64.
func back64(act Act, x, bias, scale []float32, mean, rstd float64, dy []float32, s *Sums) (dx []float32) {
	h, d := make([]float64, len(x)), make([]float64, len(x))
	var g, gx float64
	for c := range x {
		v := float64(x[c] + bias[c])
		d[c] = float64(dy[c])
		if scale == nil {
			continue
		}
		if v < 0 && act == ReLU {
			v = 0
		} else if v < 0 && act == Leaky {
			v *= 0.2
		}
		h[c] = (v - mean) * rstd
		g += d[c] * float64(scale[c]) / float64(len(x))
		gx += d[c] * float64(scale[c]) * h[c] / float64(len(x))
	}
	for c, v := range d {
		if scale != nil {
			s.Scale[c] += float32(v * h[c])
			s.Offset[c] += float32(v)
			v = rstd * (v*float64(scale[c]) - g - h[c]*gx)
		}
		if x[c]+bias[c] <= 0 {
			v *= map[Act]float64{Identity: 1, ReLU: 0, Leaky: 0.2}[act]
		}
		s.Bias[c] += float32(v)
		dx = append(dx, float32(v))
	}
	return dx
}

// Where x + bias is NaN the gradient passes, and an infinite one that is cut off is 0.
func TestBackNotFinite(t *testing.T) {
	for _, cols := range []int{5, 24, 40} {
		x, dy, dx, zeros := make([]float32, cols), make([]float32, cols), make([]float32, cols), make([]float32, cols)
		for c := range cols {
			x[c], dy[c] = float32(math.NaN()), 3
			if c%2 == 1 {
				x[c], dy[c] = -1, float32(math.Inf(1))
			}
		}
		ActBack(ReLU, x, zeros, dy, dx, make([]float32, cols))
		for c, got := range dx {
			if want := float32(3 * (1 - c%2)); got != want {
				t.Errorf("%d columns: dx[%d] = %g, want %g", cols, c, got, want)
			}
		}
	}
}

func BenchmarkNormBack(b *testing.B) {
	const cols = 256
	ones := func() []float32 {
		s := make([]float32, cols)
		for i := range s {
			s[i] = 1 + float32(i%5)
		}
		return s
	}
	x, bias, dy, dx, s := ones(), ones(), ones(), ones(), &Sums{ones(), ones(), ones()}
	b.SetBytes(cols * 4)
	for b.Loop() {
		NormBack(ReLU, x, bias, bias, 1, 1, dy, dx, s)
	}
}

func BenchmarkNormForward(b *testing.B) {
	x, bias, y := make([]float32, 256), make([]float32, 256), make([]float32, 256)
	b.SetBytes(256 * 4)
	for b.Loop() {
		sum := BiasAct(ReLU, x, bias, y)
		Standardize(y, sum, SquaresAround(y, sum), bias, bias)
	}
}
