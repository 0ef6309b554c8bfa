//go:build !noasm

package rows

import "github.com/saint-gnn/saint/internal/cpufeat"

// wide reports whether rows of n elements go to the kernels of AVX-512, and ok whether to any
// that do a row as a whole.
func wide(n int) (wide, ok bool) {
	switch {
	case level >= cpufeat.AVX512 && n%32 == 0:
		return true, true
	case level >= cpufeat.AVX2 && n%16 == 0:
		return false, true
	}
	return false, false
}

// ahead returns where a row begins that is to be fetched, else one that is there.
func ahead(next, row []float32) *float32 {
	if len(next) < len(row) {
		return &row[0]
	}
	return &next[0]
}

// norm does a whole row if there is a kernel for its length.
func (f *Affine) norm(x, y, around []float32, eps float64, next Next) (mean, rstd float32, ok bool) {
	n := len(x)
	wide, ok := wide(n)
	if !ok {
		return 0, 0, false
	}
	b, s, o := &f.Bias[:n][0], &f.Scale[:n][0], &f.Offset[:n][0]
	in, out, tmp := &x[0], &y[:n][0], &around[:n][0]
	nextX, nextY := ahead(next.X, x), ahead(next.Out, x)
	var stat [2]float32
	switch {
	case wide && f.Act == ReLU:
		normRowReLUAVX512(n, in, b, s, o, out, tmp, nextX, nextY, float32(n), eps, &stat)
	case wide && f.Act == Leaky:
		normRowLeakyAVX512(n, in, b, s, o, out, tmp, nextX, nextY, float32(n), eps, &stat)
	case wide:
		normRowIdentityAVX512(n, in, b, s, o, out, tmp, nextX, nextY, float32(n), eps, &stat)
	case f.Act == ReLU:
		normRowReLUAVX2(n, in, b, s, o, out, tmp, nextX, nextY, float32(n), eps, &stat)
	case f.Act == Leaky:
		normRowLeakyAVX2(n, in, b, s, o, out, tmp, nextX, nextY, float32(n), eps, &stat)
	default:
		normRowIdentityAVX2(n, in, b, s, o, out, tmp, nextX, nextY, float32(n), eps, &stat)
	}
	return stat[0], stat[1], true
}

// back does a whole row if there is a kernel for its length.
func (f *Affine) back(x []float32, mean, rstd float32, dy, dx []float32, sums *Sums, around []float32, next Next) bool {
	n := len(x)
	wide, ok := wide(n)
	if !ok {
		return false
	}
	b, s, in, tmp := &f.Bias[:n][0], &f.Scale[:n][0], &x[0], &around[:n][0]
	d, out := &dy[:n][0], &dx[:n][0]
	db, ds, do := &sums.Bias[:n][0], &sums.Scale[:n][0], &sums.Offset[:n][0]
	nextX, nextDY, nextDX := ahead(next.X, x), ahead(next.DY, x), ahead(next.Out, x)
	switch {
	case wide && f.Act == ReLU:
		normRowBackReLUAVX512(n, in, b, s, d, out, db, ds, do, tmp, nextX, nextDY, nextDX, mean, rstd, float32(n))
	case wide && f.Act == Leaky:
		normRowBackLeakyAVX512(n, in, b, s, d, out, db, ds, do, tmp, nextX, nextDY, nextDX, mean, rstd, float32(n))
	case wide:
		normRowBackIdentityAVX512(n, in, b, s, d, out, db, ds, do, tmp, nextX, nextDY, nextDX, mean, rstd, float32(n))
	case f.Act == ReLU:
		normRowBackReLUAVX2(n, in, b, s, d, out, db, ds, do, tmp, nextX, nextDY, nextDX, mean, rstd, float32(n))
	case f.Act == Leaky:
		normRowBackLeakyAVX2(n, in, b, s, d, out, db, ds, do, tmp, nextX, nextDY, nextDX, mean, rstd, float32(n))
	default:
		normRowBackIdentityAVX2(n, in, b, s, d, out, db, ds, do, tmp, nextX, nextDY, nextDX, mean, rstd, float32(n))
	}
	return true
}
