// Package rows holds the loops over one row of a layer's output: activation, row norm and
// their gradients, exponentials, Adam. They use the calling goroutine alone. Slices of one call
// must have the same length, or the call panics; unless a function says otherwise, an output
// may be the same slice as an input but must not overlap one in part. Sums are taken in a
// fixed number of lanes that depends on the instruction set. NaN stays NaN.
package rows

import "math"

// Act is an elementwise activation.
type Act uint8

// Activations.
const (
	Identity Act = iota
	ReLU         // max(x, 0)
	Leaky        // x if x > 0, else 0.2 x
)

// slope is Leaky's below 0.
const slope = 0.2

// BiasAct computes y = act(x + bias) and returns the sum of y.
func BiasAct(act Act, x, bias, y []float32) float32 {
	n := len(x)
	return biasAct(act, x, bias[:n], y[:n])
}

// SquaresAround returns the sum of (x-mean)².
func SquaresAround(x []float32, mean float32) float32 { return squaresAround(x, mean) }

// Standardize computes y = (y-mean)*rstd*scale + offset.
func Standardize(y []float32, mean, rstd float32, scale, offset []float32) {
	n := len(y)
	standardize(y, mean, rstd, scale[:n], offset[:n])
}

// ExpDiff computes e = exp(x-top) for x <= top with a relative error below 1e-11. Below
// exp(-708) = 3e-308 results are 0 or that.
func ExpDiff(x []float32, top float32, e []float64) { expNeg(x, 0, float64(top), e[:len(x)]) }

// ExpNegAbs computes e = exp(-|x|) with ExpDiff's error.
func ExpNegAbs(x []float32, e []float64) { expNeg(x, signBit, 0, e[:len(x)]) }

const signBit = 1 << 31

// Fetch asks for x to be in the cache soon. Rows that lie apart in memory are not foreseen by
// the processor: asking for the next one before work on a row begins hides the wait.
func Fetch(x []float32) { fetch(x) }

// AdamStep is the constants of one Adam update: the gradient is multiplied by Factor and
// clamped to Bound on both sides; Corr2 is 1/sqrt(1-beta2^t), Rate is lr/(1-beta1^t).
type AdamStep struct{ Factor, Bound, Beta1, Beta2, Corr2, Eps, Rate float32 }

// Adam does one update of m, v and value and sets grad to 0.
func Adam(s *AdamStep, grad, m, v, value []float32) {
	n := len(grad)
	adam(s, grad, m[:n], v[:n], value[:n])
}

// The portable loops select by moving bit patterns: the compiler has conditional moves for
// integers only, and a branch on the sign of an activation is mispredicted half the time.

func biasActGo(act Act, x, bias, y []float32) float32 {
	bias, y = bias[:len(x)], y[:len(x)]
	switch act {
	case ReLU:
		for i, v := range x {
			v += bias[i]
			u := math.Float32bits(v)
			if v < 0 {
				u = 0
			}
			y[i] = math.Float32frombits(u)
		}
	case Leaky:
		for i, v := range x {
			v += bias[i]
			u, l := math.Float32bits(v), math.Float32bits(v*slope)
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
	return sum(y)
}

// sum uses four sums so that additions do not wait for each other.
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

func squaresAroundGo(x []float32, mean float32) float32 {
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

func standardizeGo(y []float32, mean, rstd float32, scale, offset []float32) {
	scale, offset = scale[:len(y)], offset[:len(y)]
	for i, v := range y {
		y[i] = (v-mean)*rstd*scale[i] + offset[i]
	}
}

func adamGo(s *AdamStep, grad, m, v, value []float32) {
	m, v, value = m[:len(grad)], v[:len(grad)], value[:len(grad)]
	b1, b2, c1, c2 := s.Beta1, s.Beta2, 1-s.Beta1, 1-s.Beta2
	factor, bound, rate, corr2, eps := s.Factor, s.Bound, s.Rate, s.Corr2, s.Eps
	for i, g := range grad {
		g = min(max(g*factor, -bound), bound)
		mi := b1*m[i] + c1*g
		vi := b2*v[i] + c2*(g*g)
		m[i], v[i] = mi, vi
		value[i] -= rate * mi / (float32(math.Sqrt(float64(vi)))*corr2 + eps)
		grad[i] = 0
	}
}

// expNegGo computes e = exp(t - top), with t the x whose bits have sign added.
func expNegGo(x []float32, sign uint32, top float64, e []float64) {
	e = e[:len(x)]
	for i, v := range x {
		e[i] = math.Exp(float64(math.Float32frombits(math.Float32bits(v)|sign)) - top)
	}
}
