// Package f32 holds float32 vector operations with a fixed order of summation. They use
// the calling goroutine alone. Slices of one call must have the same length, or the call
// panics.
package f32

// Axpy computes y += alpha x:
//
//	for i := range x { y[i] += alpha * x[i] }
func Axpy(alpha float32, x, y []float32) {
	sameLength(x, y)
	axpy(alpha, x, y)
}

// Add computes y += x.
func Add(x, y []float32) { Axpy(1, x, y) }

// Scale computes x *= alpha. A NaN or infinity in x stays one with alpha 0.
func Scale(alpha float32, x []float32) { scale(alpha, x) }

// Dot returns the sum of x[i]*y[i], summed in a fixed number of lanes that depends on the
// instruction set and then lane by lane.
func Dot(x, y []float32) float32 {
	sameLength(x, y)
	return dot(x, y)
}

// SumSquares returns the sum of x[i]² in float64.
func SumSquares(x []float32) float64 { return sumSquares(x) }

func sameLength(x, y []float32) {
	if len(x) != len(y) {
		panic("f32: slices of different length")
	}
}

func axpyGo(alpha float32, x, y []float32) {
	for i, v := range x {
		y[i] += alpha * v
	}
}

func scaleGo(alpha float32, x []float32) {
	for i := range x {
		x[i] *= alpha
	}
}

// dotGo uses four sums so that additions do not wait for each other.
func dotGo(x, y []float32) float32 {
	var s [4]float32
	for len(x) >= 4 && len(y) >= 4 {
		s[0] += x[0] * y[0]
		s[1] += x[1] * y[1]
		s[2] += x[2] * y[2]
		s[3] += x[3] * y[3]
		x, y = x[4:], y[4:]
	}
	for i, v := range x {
		s[0] += v * y[i]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func sumSquaresGo(x []float32) float64 {
	var s [4]float64
	for len(x) >= 4 {
		a, b, c, d := float64(x[0]), float64(x[1]), float64(x[2]), float64(x[3])
		s[0] += a * a
		s[1] += b * b
		s[2] += c * c
		s[3] += d * d
		x = x[4:]
	}
	for _, v := range x {
		s[0] += float64(v) * float64(v)
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}
