package rows

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/internal/pageend"
)

// operands are slices cut out of guarded memory at an odd offset, or ones that end where memory
// does.
type operands struct {
	ends bool
	t    *testing.T
	r    *rand.Rand
	n    int
	all  [][]float32
	name string
}

const guard = 55

func (o *operands) next() []float32 {
	s := make([]float32, o.n+16)
	for i := range s {
		s[i] = guard
	}
	off := 1 + len(o.all)%7
	v := s[off : off+o.n : off+o.n]
	if o.ends {
		v = pageend.Make[float32](o.t, o.n)
	}
	for i := range v {
		v[i] = float32(o.r.NormFloat64())
	}
	o.all = append(o.all, s)
	return v
}

// guards checks the memory around every slice.
func (o *operands) guards() {
	o.t.Helper()
	for k, s := range o.all {
		off := 1 + k%7
		for i, v := range s {
			if (i < off || i >= off+o.n) && v != guard {
				o.t.Fatalf("%s: wrote beside operand %d of %d elements", o.name, k, o.n)
			}
		}
	}
}

func (o *operands) same(what string, got, want []float32) {
	o.t.Helper()
	for i, g := range got {
		w := float64(want[i])
		if g == want[i] || g != g && w != w {
			continue
		}
		if d := math.Abs(float64(g) - w); !(d <= 1e-5*(1+math.Abs(w))) {
			o.t.Fatalf("%s: n %d: %s[%d] = %g, want %g", o.name, o.n, what, i, g, w)
		}
	}
}

func copyOf(s []float32) []float32 { return append([]float32(nil), s...) }

// Every kernel agrees with its portable twin at every length.
func TestTwins(t *testing.T) {
	for n := range 70 {
		for act := Identity; act <= Leaky; act++ {
			o := &operands{t: t, r: rand.New(rand.NewPCG(uint64(n), uint64(act))), n: n}
			twinsOfAct(o, act)
			o.guards()
		}
		o := &operands{t: t, r: rand.New(rand.NewPCG(uint64(n), 9)), n: n}
		twins(o)
		o.guards()
		o = &operands{t: t, r: rand.New(rand.NewPCG(uint64(n), 10)), n: n}
		twinsOfUpdates(o)
		o.guards()
	}
}

// No kernel touches memory behind its operands at any length.
func TestOperandsEndWhereMemoryEnds(t *testing.T) {
	for n := range 70 {
		for act := Identity; act <= Leaky; act++ {
			o := &operands{t: t, r: rand.New(rand.NewPCG(uint64(n), uint64(act))), n: n, ends: true}
			twinsOfAct(o, act)
			testBack(o, act, false, false)
			testBack(o, act, true, true)
			testWhole(o, act, false)
		}
		o := &operands{t: t, r: rand.New(rand.NewPCG(uint64(n), 9)), n: n, ends: true}
		twins(o)
		twinsOfUpdates(o)
	}
}

func twinsOfUpdates(o *operands) {
	o.t.Helper()
	sgd := &SGDStep{Factor: 0.9, Bound: 0.7, Rate: 0.1, Momentum: 0.8}
	rms := &RMSPropStep{Factor: 0.9, Bound: 0.7, Alpha: 0.95, Eps: 1e-8, Rate: 0.1, Momentum: 0.8}
	type update func(grad, m, v, value []float32)
	for _, c := range []struct {
		name       string
		fast, twin update
	}{
		{"SGD", func(g, _, _, x []float32) { SGD(sgd, g, x) }, func(g, _, _, x []float32) { sgdGo(sgd, g, x) }},
		{"SGDMomentum", func(g, m, _, x []float32) { SGDMomentum(sgd, false, g, m, x) }, func(g, m, _, x []float32) { sgdMomentumGo(sgd, false, g, m, x) }},
		{"Nesterov", func(g, m, _, x []float32) { SGDMomentum(sgd, true, g, m, x) }, func(g, m, _, x []float32) { sgdMomentumGo(sgd, true, g, m, x) }},
		{"RMSProp", func(g, _, v, x []float32) { RMSProp(rms, g, v, x) }, func(g, _, v, x []float32) { rmspropGo(rms, g, v, x) }},
		{"RMSPropMomentum", func(g, m, v, x []float32) { RMSPropMomentum(rms, g, v, m, x) }, func(g, m, v, x []float32) { rmspropMomentumGo(rms, g, v, m, x) }},
	} {
		grad, m, v, value := o.next(), o.next(), o.next(), o.next()
		for i := range v {
			v[i] *= v[i]
			if i%17 == 4 {
				grad[i] = float32(math.NaN())
			}
		}
		wg, wm, wv, wx := copyOf(grad), copyOf(m), copyOf(v), copyOf(value)
		c.twin(wg, wm, wv, wx)
		o.name = c.name
		c.fast(grad, m, v, value)
		for i, x := range [][2][]float32{{grad, wg}, {m, wm}, {v, wv}, {value, wx}} {
			for k, got := range x[0] {
				if want := x[1][k]; got != want && (got == got || want == want) {
					o.t.Fatalf("%s: n %d: operand %d[%d] = %g, want %g", o.name, o.n, i, k, got, want)
				}
			}
		}
	}
}

func twinsOfAct(o *operands, act Act) {
	o.t.Helper()
	x, bias, y := o.next(), o.next(), o.next()
	if o.n > 20 {
		x[3], x[18] = float32(math.NaN()), float32(math.NaN())
		x[4], x[19] = float32(math.Inf(-1)), float32(math.Inf(-1))
		x[5], x[20] = -bias[5], -bias[20]
	}
	want := copyOf(y)
	wantSum := biasActGo(act, x, bias, want)
	o.name = "BiasAct"
	sum := BiasAct(act, x, bias, y)
	o.same("y", y, want)
	o.same("sum", []float32{sum}, []float32{wantSum})
}

func twins(o *operands) {
	o.t.Helper()
	x, scale, offset := o.next(), o.next(), o.next()
	o.name = "SquaresAround"
	o.same("sum", []float32{SquaresAround(x, 0.5)}, []float32{squaresAroundGo(x, 0.5)})

	want := copyOf(x)
	standardizeGo(want, 0.5, 2, scale, offset)
	o.name = "Standardize"
	Standardize(x, 0.5, 2, scale, offset)
	o.same("y", x, want)

	grad, m, v, value := o.next(), o.next(), o.next(), o.next()
	for i := range v {
		v[i] = float32(math.Abs(float64(v[i])))
		if i%17 == 4 {
			grad[i] = float32(math.NaN())
		}
	}
	s := &AdamStep{Factor: 0.9, Bound: 0.7, Beta1: 0.9, Beta2: 0.99, Corr2: 3, Eps: 1e-8, Rate: 0.1}
	wg, wm, wv, wx := copyOf(grad), copyOf(m), copyOf(v), copyOf(value)
	adamGo(s, wg, wm, wv, wx)
	o.name = "Adam"
	Adam(s, grad, m, v, value)
	o.same("grad", grad, wg)
	o.same("m", m, wm)
	o.same("v", v, wv)
	o.same("value", value, wx)
}

// A hint about any length has no effect that a program could see.
func TestFetch(t *testing.T) {
	x := make([]float32, 100)
	for n := range x {
		Fetch(x[:n])
	}
	Fetch(nil)
	for i, v := range x {
		if v != 0 {
			t.Fatalf("Fetch changed element %d to %g", i, v)
		}
	}
}

func TestExp(t *testing.T) {
	const n = 100_003
	x, e := make([]float32, n), make([]float64, n)
	for i := range x {
		x[i] = 7 - float32(i)*0.0069
	}
	check := func(name string, arg func(v float32) float64) {
		for i, v := range x {
			want := math.Exp(arg(v))
			if d := math.Abs(e[i] - want); !(d <= 1e-11*want+4e-308) && !(want != want && e[i] != e[i]) {
				t.Fatalf("%s(%g) = %g, want %g", name, v, e[i], want)
			}
		}
	}
	special := []float32{7, float32(math.Inf(-1)), float32(math.NaN()), 7, -1e38, 0, float32(math.Copysign(0, -1)), 1e-30}
	copy(x, special)
	ExpDiff(x, 7, e)
	check("exp(x-7)", func(v float32) float64 { return float64(v) - 7 })
	ExpNegAbs(x, e)
	check("exp(-|x|)", func(v float32) float64 { return -math.Abs(float64(v)) })
}

func BenchmarkExp(b *testing.B) {
	x, e := make([]float32, 4096), make([]float64, 4096)
	for i := range x {
		x[i] = float32(i%41) / 3
	}
	b.SetBytes(int64(len(x)) * 4)
	for b.Loop() {
		ExpNegAbs(x, e)
	}
}
