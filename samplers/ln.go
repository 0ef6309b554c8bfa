package samplers

import "math"

// The standard library's logarithm is assembly on some machines and fused arithmetic on
// others, so that its last bit depends on the machine, and with it, now and then, a
// sample. The functions below round after every operation (the explicit conversions forbid
// fusing) and give the same bits everywhere.

// atanh returns the inverse hyperbolic tangent of 0 <= s <= 1/3 to a few units of the last
// place.
func atanh(s float64) float64 {
	z := float64(s * s)
	sum := 0.0
	for k := 35; k > 0; k -= 2 {
		sum = float64(sum*z) + 1/float64(k)
	}
	return float64(s * sum)
}

// ln returns the natural logarithm of 0 < x <= 1 to a few units of the last place.
func ln(x float64) float64 {
	frac, exp := math.Frexp(x)
	if frac < math.Sqrt2/2 {
		frac *= 2
		exp--
	}
	// Now |s| <= 0.172, and twelve terms suffice.
	s := (frac - 1) / (frac + 1)
	z := float64(s * s)
	sum := 1.0 / 23
	sum = float64(sum*z) + 1.0/21
	sum = float64(sum*z) + 1.0/19
	sum = float64(sum*z) + 1.0/17
	sum = float64(sum*z) + 1.0/15
	sum = float64(sum*z) + 1.0/13
	sum = float64(sum*z) + 1.0/11
	sum = float64(sum*z) + 1.0/9
	sum = float64(sum*z) + 1.0/7
	sum = float64(sum*z) + 1.0/5
	sum = float64(sum*z) + 1.0/3
	sum = float64(sum*z) + 1
	return float64(float64(exp)*math.Ln2) + float64(2*s*sum)
}
