//go:build !amd64 || noasm

package rows

func (*Affine) norm(_, _, _ []float32, _ float64, _ Next) (mean, rstd float32, ok bool) {
	return 0, 0, false
}

func (*Affine) back(_ []float32, _, _ float32, _, _ []float32, _ *Sums, _ []float32, _ Next) bool {
	return false
}
