package cpu

import (
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// The loops below work on one row. They take slices of equal length. Sums go to four
// independent accumulators: one would wait for each addition.

// leakySlope is LeakyReLU's slope below 0.
const leakySlope = 0.2

// biasAct: y = act(x + bias). NaN stays NaN; the selection works on bit patterns because
// the compiler has conditional moves for integers only.
func biasAct(act tensor.Act, x, bias, y []float32) {
	bias, y = bias[:len(x)], y[:len(x)]
	switch act {
	case tensor.ReLU:
		for i, v := range x {
			v += bias[i]
			u := math.Float32bits(v)
			if v < 0 {
				u = 0
			}
			y[i] = math.Float32frombits(u)
		}
	case tensor.LeakyReLU:
		for i, v := range x {
			v += bias[i]
			u := math.Float32bits(v)
			l := math.Float32bits(v * leakySlope)
			if v < 0 {
				u = l
			}
			y[i] = math.Float32frombits(u)
		}
	default:
		for i, v := range x {
			y[i] = v + bias[i]
		}
	}
}

// actGrad: dx = da * act'(x + bias). act'(0) is 0 for ReLU and the slope for LeakyReLU;
// where x + bias is NaN the gradient passes.
func actGrad(act tensor.Act, x, bias, da, dx []float32) {
	bias, da, dx = bias[:len(x)], da[:len(x)], dx[:len(x)]
	switch act {
	case tensor.ReLU:
		for i, v := range x {
			u := math.Float32bits(da[i])
			if v+bias[i] <= 0 {
				u = 0
			}
			dx[i] = math.Float32frombits(u)
		}
	case tensor.LeakyReLU:
		for i, v := range x {
			d := da[i]
			u := math.Float32bits(d)
			l := math.Float32bits(d * leakySlope)
			if v+bias[i] <= 0 {
				u = l
			}
			dx[i] = math.Float32frombits(u)
		}
	default:
		copy(dx, da)
	}
}

func sum(x []float32) float32 {
	var s0, s1, s2, s3 float32
	for ; len(x) >= 4; x = x[4:] {
		s0 += x[0]
		s1 += x[1]
		s2 += x[2]
		s3 += x[3]
	}
	for _, v := range x {
		s0 += v
	}
	return (s0 + s1) + (s2 + s3)
}

// sumSquaresAround returns the sum of (x-mean)².
func sumSquaresAround(x []float32, mean float32) float32 {
	var s0, s1, s2, s3 float32
	for ; len(x) >= 4; x = x[4:] {
		d0, d1, d2, d3 := x[0]-mean, x[1]-mean, x[2]-mean, x[3]-mean
		s0 += d0 * d0
		s1 += d1 * d1
		s2 += d2 * d2
		s3 += d3 * d3
	}
	for _, v := range x {
		s0 += (v - mean) * (v - mean)
	}
	return (s0 + s1) + (s2 + s3)
}

// dot returns the sum of x*y.
func dot(x, y []float32) float32 {
	var s0, s1, s2, s3 float32
	y = y[:len(x)]
	for ; len(x) >= 4 && len(y) >= 4; x, y = x[4:], y[4:] {
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
	}
	for i, v := range x {
		s0 += v * y[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// sumSquares64 returns the sum of x² in double precision.
func sumSquares64(x []float32) float64 {
	var s0, s1, s2, s3 float64
	for ; len(x) >= 4; x = x[4:] {
		v0, v1, v2, v3 := float64(x[0]), float64(x[1]), float64(x[2]), float64(x[3])
		s0 += v0 * v0
		s1 += v1 * v1
		s2 += v2 * v2
		s3 += v3 * v3
	}
	for _, v := range x {
		s0 += float64(v) * float64(v)
	}
	return (s0 + s1) + (s2 + s3)
}

// addTo: y += x.
func addTo(x, y []float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += v
	}
}

func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }
