package rows

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// Whole rows of every length agree with float64 and write nowhere else, in place and not.
func TestWhole(t *testing.T) {
	for cols := range 99 {
		for act := Identity; act <= Leaky; act++ {
			for _, inPlace := range []bool{false, true} {
				o := &operands{t: t, r: rand.New(rand.NewPCG(uint64(cols), uint64(act))), n: cols}
				o.name = fmt.Sprintf("Norm(act %d, in place %t)", act, inPlace)
				testWhole(o, act, inPlace)
				o.guards()
			}
		}
	}
}

func testWhole(o *operands, act Act, inPlace bool) {
	o.t.Helper()
	f := &Affine{Act: act, Bias: o.next(), Scale: o.next(), Offset: o.next()}
	x, y, around, next := o.next(), o.next(), o.next(), o.next()
	if o.n > 40 {
		x[5], x[37] = -f.Bias[5], -f.Bias[37]
	}
	in := copyOf(x)
	want, mean, rstd := norm64(f, x)
	if inPlace {
		y = x
	}
	gotMean, gotRstd := f.Norm(x, y, around, 1e-9, Next{X: next, Out: y})
	o.same("y", y, want)
	if o.n > 0 {
		o.same("mean, rstd", []float32{gotMean, gotRstd / float32(rstd)}, []float32{float32(mean), 1})
	}

	dy, dx, s := o.next(), o.next(), &Sums{o.next(), o.next(), o.next()}
	wantSums := &Sums{copyOf(s.Bias), copyOf(s.Scale), copyOf(s.Offset)}
	wantDX := back64(act, in, f.Bias, f.Scale, 0.4, 1.7, dy, wantSums)
	if inPlace {
		dx = dy
	}
	o.name = fmt.Sprintf("Back(act %d, in place %t)", act, inPlace)
	f.Back(in, 0.4, 1.7, dy, dx, s, around, Next{X: next, DY: dy})
	o.same("dx", dx, wantDX)
	o.same("dbias", s.Bias, wantSums.Bias)
	o.same("dscale", s.Scale, wantSums.Scale)
	o.same("doffset", s.Offset, wantSums.Offset)
}

// norm64 is Norm in float64.
func norm64(f *Affine, x []float32) (y []float32, mean, rstd float64) {
	a := make([]float64, len(x))
	for i, v := range x {
		a[i] = float64(v + f.Bias[i])
		if a[i] < 0 {
			a[i] *= map[Act]float64{Identity: 1, ReLU: 0, Leaky: 0.2}[f.Act]
		}
		mean += a[i] / float64(len(x))
	}
	for _, v := range a {
		rstd += (v - mean) * (v - mean) / float64(len(x))
	}
	rstd = 1 / math.Sqrt(rstd+1e-9)
	for i, v := range a {
		y = append(y, float32((v-mean)*rstd*float64(f.Scale[i])+float64(f.Offset[i])))
	}
	return y, mean, rstd
}

// One NaN makes all of a row NaN, and rows that do not vary come out as the offset.
func TestWholeSpecial(t *testing.T) {
	for _, n := range []int{5, 48, 64} {
		vec := func(v float32) []float32 {
			s := make([]float32, n)
			for i := range s {
				s[i] = v
			}
			return s
		}
		f := &Affine{Act: ReLU, Bias: vec(0), Scale: vec(2), Offset: vec(3)}
		x, y, around := vec(0.7), vec(0), vec(0)
		f.Norm(x, y, around, 1e-9, Next{})
		for i, got := range y {
			if math.Abs(float64(got-3)) > 0.01 {
				t.Errorf("%d equal elements: y[%d] = %g, want about 3", n, i, got)
			}
		}
		x[n-2] = float32(math.NaN())
		f.Norm(x, y, around, 1e-9, Next{})
		for i, got := range y {
			if got == got {
				t.Fatalf("%d elements with a NaN: y[%d] = %g, want NaN", n, i, got)
			}
		}
	}
}

func BenchmarkWhole(b *testing.B) {
	for _, cols := range []int{128, 256, 512} {
		ones := func() []float32 {
			s := make([]float32, cols)
			for i := range s {
				s[i] = 1 + float32(i%5)
			}
			return s
		}
		f := &Affine{Act: ReLU, Bias: ones(), Scale: ones(), Offset: ones()}
		x, y, dy, around, s := ones(), ones(), ones(), ones(), &Sums{ones(), ones(), ones()}
		b.Run(fmt.Sprintf("norm%d", cols), func(b *testing.B) {
			for b.Loop() {
				f.Norm(x, y, around, 1e-9, Next{})
			}
		})
		b.Run(fmt.Sprintf("back%d", cols), func(b *testing.B) {
			for b.Loop() {
				f.Back(x, 1, 1, dy, y, s, around, Next{})
			}
		})
	}
}
