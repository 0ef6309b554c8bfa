package tensortest

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// act and actSlope are the activation and its derivative.
func act(a tensor.Act, x float64) float64 {
	switch {
	case a == tensor.ReLU:
		return math.Max(x, 0)
	case a == tensor.LeakyReLU && x <= 0:
		return 0.2 * x
	}
	return x
}

func actSlope(a tensor.Act, x float64) float64 {
	switch {
	case x > 0 || a == tensor.Identity:
		return 1
	case a == tensor.LeakyReLU:
		return 0.2
	}
	return 0
}

// normRow is BiasActNorm of one row; scale nil means no norm.
func normRow(a tensor.Act, bias, scale, offset, x []float64) (y []float64, mean, rstd float64) {
	y = make([]float64, len(x))
	for j, v := range x {
		if bias != nil {
			v += bias[j]
		}
		y[j] = act(a, v)
		mean += y[j] / float64(len(x))
	}
	if scale == nil {
		return y, 0, 0
	}
	variance := 0.0
	for _, v := range y {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	rstd = 1 / math.Sqrt(variance+1e-9)
	for j, v := range y {
		y[j] = (v-mean)*rstd*scale[j] + offset[j]
	}
	return y, mean, rstd
}

// normRowBackward is the gradient of the sum of dy*y; it adds to dbias, dscale, doffset.
func normRowBackward(a tensor.Act, bias, scale, x, dy, dbias, dscale, doffset []float64) (dx []float64) {
	n := float64(len(x))
	dx = append(dx, dy...)
	if scale != nil {
		ones, zeros := make([]float64, len(x)), make([]float64, len(x))
		for j := range ones {
			ones[j] = 1
		}
		xhat, _, rstd := normRow(a, bias, ones, zeros, x)
		var g, gx float64
		for j, d := range dy {
			g += d * scale[j] / n
			gx += d * scale[j] * xhat[j] / n
		}
		for j, d := range dy {
			dx[j] = rstd * (d*scale[j] - g - xhat[j]*gx)
			dscale[j] += d * xhat[j]
			doffset[j] += d
		}
	}
	for j, v := range x {
		if bias != nil {
			v += bias[j]
		}
		dx[j] *= actSlope(a, v)
		if bias != nil {
			dbias[j] += dx[j]
		}
	}
	return dx
}

func normBuilds() []build {
	var bs []build
	for _, a := range []tensor.Act{tensor.Identity, tensor.ReLU, tensor.LeakyReLU} {
		for _, v := range []normVariant{
			{a, false, false, false, false},
			{a, true, false, true, true},
			{a, false, true, false, false},
			{a, true, true, false, true},
			{a, true, true, true, false},
			{a, true, true, true, true},
		} {
			bs = append(bs,
				func(e *env, s shape) Case { return normCase(e, s, v) },
				func(e *env, s shape) Case { return normBackwardCase(e, s, v) })
		}
	}
	return bs
}

type normVariant struct {
	act        tensor.Act
	bias, norm bool
	inPlace    bool // y is x; in the backward pass dx is dy
	drop       bool
}

func (v normVariant) String() string {
	return fmt.Sprintf("act=%d-bias=%t-norm=%t-inplace=%t-drop=%t", v.act, v.bias, v.norm, v.inPlace, v.drop)
}

// dropOf returns the dropout of a variant: of columns in the middle of a wider matrix.
func (v normVariant) dropOf(s shape) tensor.Drop {
	if !v.drop {
		return tensor.Drop{}
	}
	return someDrop(s)
}

func someDrop(s shape) tensor.Drop {
	return tensor.Drop{P: 0.3, Key: tensor.RandKey{Seed: 3, Step: 4, Layer: 1}, Col: 5, Width: s.cols + 9}
}

// dropped applies d to row i.
func dropped(d tensor.Drop, i int, x []float64) []float64 {
	if d.P == 0 {
		return x
	}
	y := make([]float64, len(x))
	for j, v := range x {
		if kept(d.Key, d.P, i*d.Width+d.Col+j) {
			y[j] = v / (1 - float64(d.P))
		}
	}
	return y
}

// ifWanted returns an operand or nil.
func ifWanted(want bool, make func() *operand) *operand {
	if want {
		return make()
	}
	return nil
}

// refOf returns the reference of an operand that may be nil.
func refOf(o *operand) []float64 {
	if o == nil {
		return nil
	}
	return o.ref
}

func (o *operand) refRow(i int) []float64 { return o.ref[i*o.Cols : (i+1)*o.Cols] }

func normCase(e *env, s shape, v normVariant) Case {
	x := e.normal(s)
	y := x
	if !v.inPlace {
		y = e.undefined(s)
	}
	bias := ifWanted(v.bias, func() *operand { return e.normal(s.row()) })
	scale := ifWanted(v.norm, func() *operand { return e.normal(s.row()) })
	offset := ifWanted(v.norm, func() *operand { return e.normal(s.row()) })
	mean := ifWanted(v.norm, func() *operand { return e.undefined(s.column()) })
	rstd := ifWanted(v.norm, func() *operand { return e.undefined(s.column()) })
	return Case{
		Name:  "BiasActNorm/" + v.String(),
		Bytes: size(x, y),
		Call: func() {
			e.q.BiasActNorm(v.act, tensorOf(bias), tensorOf(scale), tensorOf(offset), x.Tensor, v.dropOf(s), y.Tensor, tensorOf(mean), tensorOf(rstd))
		},
		outs: []*operand{y},
		check: func() {
			var wantY, wantMean, wantRstd []float64
			for i := range s.rows {
				r, m, sd := normRow(v.act, refOf(bias), refOf(scale), refOf(offset), x.refRow(i))
				wantY = append(wantY, dropped(v.dropOf(s), i, r)...)
				wantMean = append(wantMean, m)
				wantRstd = append(wantRstd, sd)
			}
			y.equals("y", wantY, 2e-5)
			if v.norm && s.cols > 0 {
				mean.is("mean", func(i, _ int) float64 { return wantMean[i] }, func(int, int) float64 { return 2e-6 })
				rstd.equals("rstd", wantRstd, 1e-5)
			}
		},
	}
}

func normBackwardCase(e *env, s shape, v normVariant) Case {
	x, dy := e.normal(s), e.normal(s)
	dx := dy
	if !v.inPlace {
		dx = e.undefined(s)
	}
	row := func() *operand { return e.normal(s.row()) }
	bias, dbias := ifWanted(v.bias, row), ifWanted(v.bias, row)
	scale, dscale, doffset := ifWanted(v.norm, row), ifWanted(v.norm, row), ifWanted(v.norm, row)
	var means, rstds []float64
	for i := range s.rows {
		_, m, r := normRow(v.act, refOf(bias), refOf(scale), refOf(scale), x.refRow(i))
		means, rstds = append(means, m), append(rstds, r)
	}
	mean := ifWanted(v.norm, func() *operand { return e.f32(s.column(), func(i int) float64 { return means[i] }) })
	rstd := ifWanted(v.norm, func() *operand { return e.f32(s.column(), func(i int) float64 { return rstds[i] }) })
	outs := []*operand{dx}
	for _, o := range []*operand{dbias, dscale, doffset} {
		if o != nil {
			outs = append(outs, o)
		}
	}
	return Case{
		Name:  "BiasActNormBackward/" + v.String(),
		Bytes: size(x, dy, dx),
		Call: func() {
			e.q.BiasActNormBackward(v.act, tensorOf(bias), tensorOf(scale), tensorOf(mean), tensorOf(rstd),
				x.Tensor, dy.Tensor, v.dropOf(s), dx.Tensor, tensorOf(dbias), tensorOf(dscale), tensorOf(doffset))
		},
		outs: outs,
		check: func() {
			var want []float64
			db, ds, do := clone(dbias), clone(dscale), clone(doffset)
			slack := 0.0
			for i := range s.rows {
				slack += 2e-9 * rstds[i] * rstds[i]
				want = append(want, normRowBackward(v.act, refOf(bias), refOf(scale), x.refRow(i), dropped(v.dropOf(s), i, dy.refRow(i)), db, ds, do)...)
			}
			// A row with a variance near 0, above all one of a single column, is a difference
			// of equal numbers times the square of rstd.
			dx.is("dx", func(i, j int) float64 { return want[i*s.cols+j] },
				func(i, j int) float64 { return 5e-5*(1+math.Abs(want[i*s.cols+j])) + 2e-9*rstds[i]*rstds[i] })
			for _, c := range []struct {
				name string
				o    *operand
				want []float64
			}{{"dbias", dbias, db}, {"dscale", dscale, ds}, {"doffset", doffset, do}} {
				if c.o != nil {
					c.o.is(c.name, func(_, j int) float64 { return c.want[j] },
						func(_, j int) float64 { return 5e-5*(math.Sqrt(float64(s.rows))+math.Abs(c.want[j])) + slack })
				}
			}
			x.unchanged("x")
		},
	}
}

// clone returns a copy of the reference of an operand that may be nil.
func clone(o *operand) []float64 { return append([]float64(nil), refOf(o)...) }
