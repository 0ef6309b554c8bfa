//go:build !noasm

package rows

import "github.com/saint-gnn/saint/internal/cpufeat"

//go:generate sh ../_asm/generate.sh rows

// wide is whether the assembly runs here.
var wide = cpufeat.Chosen() >= cpufeat.AVX2

// block is what one round of a kernel takes; the rest is left to the portable twin.
const block = 16

// whole returns the part of n elements that goes to the assembly.
func whole(n int) int {
	if !wide {
		return 0
	}
	return n / block * block
}

// lanes adds up the lanes of a sum.
func lanes(s []float32) float32 {
	return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]))
}

func biasAct(act Act, x, bias, y []float32) float32 {
	n := whole(len(x))
	var s [8]float32
	if n > 0 {
		switch act {
		case ReLU:
			biasReLUAVX2(n, &x[0], &bias[0], &y[0], &s)
		case Leaky:
			biasLeakyAVX2(n, &x[0], &bias[0], &y[0], &s)
		default:
			biasIdentityAVX2(n, &x[0], &bias[0], &y[0], &s)
		}
	}
	return lanes(s[:]) + biasActGo(act, x[n:], bias[n:], y[n:])
}

func squaresAround(x []float32, mean float32) float32 {
	n := whole(len(x))
	var s [8]float32
	if n > 0 {
		squaresAroundAVX2(n, &x[0], mean, &s)
	}
	return lanes(s[:]) + squaresAroundGo(x[n:], mean)
}

func standardize(y []float32, mean, rstd float32, scale, offset []float32) {
	n := whole(len(y))
	if n > 0 {
		standardizeAVX2(n, &y[0], mean, rstd, &scale[0], &offset[0])
	}
	standardizeGo(y[n:], mean, rstd, scale[n:], offset[n:])
}

func normSums(a []float32, mean, rstd float32, dy, scale, dscale, doffset []float32) (g, gx float32) {
	n := whole(len(a))
	var s [16]float32
	if n > 0 {
		normSumsAVX2(n, &a[0], mean, rstd, &dy[0], &scale[0], &dscale[0], &doffset[0], &s)
	}
	g, gx = normSumsGo(a[n:], mean, rstd, dy[n:], scale[n:], dscale[n:], doffset[n:])
	return lanes(s[:8]) + g, lanes(s[8:]) + gx
}

func actGrad(act Act, x, bias, dy, dx, dbias []float32) {
	n := whole(len(x))
	if n > 0 {
		switch act {
		case ReLU:
			gradReLUAVX2(n, &x[0], &bias[0], &dy[0], &dx[0], &dbias[0])
		case Leaky:
			gradLeakyAVX2(n, &x[0], &bias[0], &dy[0], &dx[0], &dbias[0])
		default:
			gradIdentityAVX2(n, &x[0], &bias[0], &dy[0], &dx[0], &dbias[0])
		}
	}
	actGradGo(act, x[n:], bias[n:], dy[n:], dx[n:], dbias[n:])
}

func normGrad(act Act, x, bias, scale, xhat []float32, rstd, g, gx float32, dy, dx, dbias []float32) {
	n := whole(len(x))
	if n > 0 {
		switch act {
		case ReLU:
			normGradReLUAVX2(n, &x[0], &bias[0], &scale[0], &xhat[0], rstd, g, gx, &dy[0], &dx[0], &dbias[0])
		case Leaky:
			normGradLeakyAVX2(n, &x[0], &bias[0], &scale[0], &xhat[0], rstd, g, gx, &dy[0], &dx[0], &dbias[0])
		default:
			normGradIdentityAVX2(n, &x[0], &bias[0], &scale[0], &xhat[0], rstd, g, gx, &dy[0], &dx[0], &dbias[0])
		}
	}
	normGradGo(act, x[n:], bias[n:], scale[n:], xhat[n:], rstd, g, gx, dy[n:], dx[n:], dbias[n:])
}

func adam(s *AdamStep, grad, m, v, value []float32) {
	n := whole(len(grad))
	if n > 0 {
		c := [10]float32{s.Factor, -s.Bound, s.Bound, s.Beta1, 1 - s.Beta1, s.Beta2, 1 - s.Beta2, s.Corr2, s.Eps, s.Rate}
		adamAVX2(n, &grad[0], &m[0], &v[0], &value[0], &c)
	}
	adamGo(s, grad[n:], m[n:], v[n:], value[n:])
}

func expNeg(x []float32, sign uint32, top float64, e []float64) {
	n := 0
	if wide {
		n = len(x) &^ 3
	}
	if n > 0 {
		expNegAVX2(n, &x[0], sign, top, &e[0])
	}
	expNegGo(x[n:], sign, top, e[n:])
}
