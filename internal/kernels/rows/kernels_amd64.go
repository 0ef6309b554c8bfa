//go:build !noasm

package rows

import "github.com/saint-gnn/saint/internal/cpufeat"

//go:generate sh ../_asm/generate.sh rows

// level is the instruction set in use.
var level = cpufeat.Chosen()

// wholes returns the part of n elements that goes to the AVX-512 kernels and, behind it, the
// part that goes to those of AVX2; the rest is left to the portable twin.
func wholes(n int) (n512, n256 int) {
	switch {
	case level >= cpufeat.AVX512:
		n512 = n &^ 31
		return n512, (n - n512) &^ 15
	case level >= cpufeat.AVX2:
		return 0, n &^ 15
	}
	return 0, 0
}

// lanes adds up the lanes of a sum.
func lanes(s *[16]float32) float32 {
	return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])) +
		(((s[8] + s[9]) + (s[10] + s[11])) + ((s[12] + s[13]) + (s[14] + s[15])))
}

func biasAct(act Act, x, bias, y []float32) float32 {
	var total float32
	n, m := wholes(len(x))
	if n > 0 {
		var s [16]float32
		switch act {
		case ReLU:
			biasReLUAVX512(n, &x[0], &bias[0], &y[0], &s)
		case Leaky:
			biasLeakyAVX512(n, &x[0], &bias[0], &y[0], &s)
		default:
			biasIdentityAVX512(n, &x[0], &bias[0], &y[0], &s)
		}
		total = lanes(&s)
		x, bias, y = x[n:], bias[n:], y[n:]
	}
	if m > 0 {
		var s [16]float32
		switch act {
		case ReLU:
			biasReLUAVX2(m, &x[0], &bias[0], &y[0], &s)
		case Leaky:
			biasLeakyAVX2(m, &x[0], &bias[0], &y[0], &s)
		default:
			biasIdentityAVX2(m, &x[0], &bias[0], &y[0], &s)
		}
		total += lanes(&s)
		x, bias, y = x[m:], bias[m:], y[m:]
	}
	return total + biasActGo(act, x, bias, y)
}

func squaresAround(x []float32, mean float32) float32 {
	var total float32
	n, m := wholes(len(x))
	if n > 0 {
		var s [16]float32
		squaresAroundAVX512(n, &x[0], mean, &s)
		total = lanes(&s)
	}
	if m > 0 {
		var s [16]float32
		squaresAroundAVX2(m, &x[n], mean, &s)
		total += lanes(&s)
	}
	return total + squaresAroundGo(x[n+m:], mean)
}

func standardize(y []float32, mean, rstd float32, scale, offset []float32) {
	n, m := wholes(len(y))
	if n > 0 {
		standardizeAVX512(n, &y[0], mean, rstd, &scale[0], &offset[0])
	}
	if m > 0 {
		standardizeAVX2(m, &y[n], mean, rstd, &scale[n], &offset[n])
	}
	n += m
	standardizeGo(y[n:], mean, rstd, scale[n:], offset[n:])
}

func normDots(act Act, x, bias, dy, scale []float32, mean, rstd float32) (g, gx float32) {
	n, m := wholes(len(x))
	if n > 0 {
		var s [32]float32
		switch act {
		case ReLU:
			normDotsReLUAVX512(n, &x[0], &bias[0], &dy[0], &scale[0], mean, rstd, &s)
		case Leaky:
			normDotsLeakyAVX512(n, &x[0], &bias[0], &dy[0], &scale[0], mean, rstd, &s)
		default:
			normDotsIdentityAVX512(n, &x[0], &bias[0], &dy[0], &scale[0], mean, rstd, &s)
		}
		g, gx = lanes((*[16]float32)(s[:])), lanes((*[16]float32)(s[16:]))
		x, bias, dy, scale = x[n:], bias[n:], dy[n:], scale[n:]
	}
	if m > 0 {
		var s [32]float32
		switch act {
		case ReLU:
			normDotsReLUAVX2(m, &x[0], &bias[0], &dy[0], &scale[0], mean, rstd, &s)
		case Leaky:
			normDotsLeakyAVX2(m, &x[0], &bias[0], &dy[0], &scale[0], mean, rstd, &s)
		default:
			normDotsIdentityAVX2(m, &x[0], &bias[0], &dy[0], &scale[0], mean, rstd, &s)
		}
		g, gx = g+lanes((*[16]float32)(s[:])), gx+lanes((*[16]float32)(s[16:]))
		x, bias, dy, scale = x[m:], bias[m:], dy[m:], scale[m:]
	}
	rg, rgx := normDotsGo(act, x, bias, dy, scale, mean, rstd)
	return g + rg, gx + rgx
}

func actBack(act Act, x, bias, dy, dx, dbias []float32) {
	n, m := wholes(len(x))
	if n > 0 {
		switch act {
		case ReLU:
			actBackReLUAVX512(n, &x[0], &bias[0], &dy[0], &dx[0], &dbias[0])
		case Leaky:
			actBackLeakyAVX512(n, &x[0], &bias[0], &dy[0], &dx[0], &dbias[0])
		default:
			actBackIdentityAVX512(n, &x[0], &bias[0], &dy[0], &dx[0], &dbias[0])
		}
	}
	if m > 0 {
		switch act {
		case ReLU:
			actBackReLUAVX2(m, &x[n], &bias[n], &dy[n], &dx[n], &dbias[n])
		case Leaky:
			actBackLeakyAVX2(m, &x[n], &bias[n], &dy[n], &dx[n], &dbias[n])
		default:
			actBackIdentityAVX2(m, &x[n], &bias[n], &dy[n], &dx[n], &dbias[n])
		}
	}
	n += m
	actBackGo(act, x[n:], bias[n:], dy[n:], dx[n:], dbias[n:])
}

func normBack(act Act, x, bias, scale, dy, dx []float32, c coefficients, dbias, dscale, doffset []float32) {
	n, m := wholes(len(x))
	if n > 0 {
		switch act {
		case ReLU:
			normBackReLUAVX512(n, &x[0], &bias[0], &scale[0], &dy[0], &dx[0], &dbias[0], &dscale[0], &doffset[0], c.mean, c.rstd, c.g, c.gx)
		case Leaky:
			normBackLeakyAVX512(n, &x[0], &bias[0], &scale[0], &dy[0], &dx[0], &dbias[0], &dscale[0], &doffset[0], c.mean, c.rstd, c.g, c.gx)
		default:
			normBackIdentityAVX512(n, &x[0], &bias[0], &scale[0], &dy[0], &dx[0], &dbias[0], &dscale[0], &doffset[0], c.mean, c.rstd, c.g, c.gx)
		}
	}
	if m > 0 {
		switch act {
		case ReLU:
			normBackReLUAVX2(m, &x[n], &bias[n], &scale[n], &dy[n], &dx[n], &dbias[n], &dscale[n], &doffset[n], c.mean, c.rstd, c.g, c.gx)
		case Leaky:
			normBackLeakyAVX2(m, &x[n], &bias[n], &scale[n], &dy[n], &dx[n], &dbias[n], &dscale[n], &doffset[n], c.mean, c.rstd, c.g, c.gx)
		default:
			normBackIdentityAVX2(m, &x[n], &bias[n], &scale[n], &dy[n], &dx[n], &dbias[n], &dscale[n], &doffset[n], c.mean, c.rstd, c.g, c.gx)
		}
	}
	n += m
	normBackGo(act, x[n:], bias[n:], scale[n:], dy[n:], dx[n:], c, dbias[n:], dscale[n:], doffset[n:])
}

func adam(s *AdamStep, grad, m, v, value []float32) {
	c := [10]float32{s.Factor, -s.Bound, s.Bound, s.Beta1, 1 - s.Beta1, s.Beta2, 1 - s.Beta2, s.Corr2, s.Eps, s.Rate}
	n, k := wholes(len(grad))
	if n > 0 {
		adamAVX512(n, &grad[0], &m[0], &v[0], &value[0], &c)
	}
	if k > 0 {
		adamAVX2(k, &grad[n], &m[n], &v[n], &value[n], &c)
	}
	n += k
	adamGo(s, grad[n:], m[n:], v[n:], value[n:])
}

func expNeg(x []float32, sign uint32, top float64, e []float64) {
	n := 0
	if level >= cpufeat.AVX2 {
		n = len(x) &^ 3
	}
	if n > 0 {
		expNegAVX2(n, &x[0], sign, top, &e[0])
	}
	expNegGo(x[n:], sign, top, e[n:])
}

func fetch(x []float32) {
	if level >= cpufeat.AVX2 && len(x) > 0 {
		fetchLines((len(x)+15)/16, &x[0])
	}
}
