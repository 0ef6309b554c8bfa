package rows

import "math"

// Affine is what a norm does before and behind: act(x + Bias) is standardized, multiplied by
// Scale and added to Offset.
type Affine struct {
	Act                 Act
	Bias, Scale, Offset []float32
}

// Next are rows that will be worked on soon, of the same length as those at hand or nil.
type Next struct{ X, DY, Out []float32 }

// Norm computes a = act(x + bias) and y = (a-mean)*rstd*scale + offset with mean and rstd =
// 1/sqrt(var+eps) of a. around is scratch of a row's length that must not overlap anything.
func (f *Affine) Norm(x, y, around []float32, eps float64, next Next) (mean, rstd float32) {
	if len(x) == 0 {
		return 0, float32(1 / math.Sqrt(eps))
	}
	if mean, rstd, ok := f.norm(x, y, around, eps, next); ok {
		return mean, rstd
	}
	n := float32(len(x))
	mean = BiasAct(f.Act, x, f.Bias, y) / n
	rstd = float32(1 / math.Sqrt(float64(SquaresAround(y, mean)/n)+eps))
	Standardize(y, mean, rstd, f.Scale, f.Offset)
	return mean, rstd
}

// Back is NormBack with scratch as for Norm.
func (f *Affine) Back(x []float32, mean, rstd float32, dy, dx []float32, s *Sums, around []float32, next Next) {
	if len(x) > 0 && !f.back(x, mean, rstd, dy, dx, s, around, next) {
		NormBack(f.Act, x, f.Bias, f.Scale, mean, rstd, dy, dx, s)
	}
}
