// Package pairs holds the row loops of attention whose scores depend on both ends of an edge
// column by column (GATv2, arXiv:2105.14491): with heads of some columns each, the score of the
// edge u<-v in head k is a_k lrelu(l_uk + r_vk) with slope 0.2, and the destination's row is the
// sum of the r_v weighted by the softmax of that. Nothing is kept for an edge; every pass
// computes its score again. Functions use the calling goroutine alone and add edges in their
// order.
package pairs

import (
	"math"

	"github.com/saint-gnn/saint/internal/philox"
)

// Number is an element type.
type Number interface{ float32 | float64 }

const slope = 0.2

// Drop leaves out weights: that of u<-v in head k counts as Scale times itself where the word of
// the edge (U+u, V+v) is at least Threshold, else as 0. The zero Drop keeps all.
type Drop struct {
	Key, Threshold uint64
	Scale          float64
	U, V           int32
}

// Mask returns what the weight of u<-v in head k is multiplied by.
func (d *Drop) Mask(u, v int32, k int) float64 {
	switch {
	case d.Threshold == 0:
		return 1
	case uint64(philox.Edge(d.Key, uint32(d.U+u), uint32(d.V+v), uint32(k))) >= d.Threshold:
		return d.Scale
	}
	return 0
}

// score returns a lrelu(l + r).
func score[T Number](a, l, r []T) T {
	l, r = l[:len(a)], r[:len(a)]
	var even, odd T
	i := 0
	for ; i+2 <= len(a); i += 2 {
		z, w := l[i]+r[i], l[i+1]+r[i+1]
		even += a[i] * max(z, slope*z)
		odd += a[i+1] * max(w, slope*w)
	}
	if i < len(a) {
		z := l[i] + r[i]
		even += a[i] * max(z, slope*z)
	}
	return even + odd
}

func dot[T Number](x, y []T) T {
	y = y[:len(x)]
	var s T
	for i, v := range x {
		s += v * y[i]
	}
	return s
}

func axpy[T Number](f T, x, y []T) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += f * v
	}
}

func scale[T Number](f T, y []T) {
	for i := range y {
		y[i] *= f
	}
}

// Open turns y, the weighted mean that Close left, into a sum again.
func Open[T Number](sum, y []T) {
	width := len(y) / len(sum)
	for k, s := range sum {
		scale(s, y[k*width:(k+1)*width])
	}
}

// Close divides the sums of y by those of the weights; a row without edges stays 0.
func Close[T Number](sum, y []T) {
	width := len(y) / len(sum)
	for k, s := range sum {
		if s > 0 {
			scale(1/s, y[k*width:(k+1)*width])
		}
	}
}

// Add makes the edge u<-v a part of the row's largest scores, sums of exponentials relative to
// them, and weighted sums of sources (sum 0: of nothing yet).
func Add[T Number](d *Drop, u, v int32, a, l, r, top, sum, y []T) {
	width := len(y) / len(sum)
	for k := range sum {
		lo, hi := k*width, (k+1)*width
		e, w := score(a[lo:hi], l[lo:hi], r[lo:hi]), T(1)
		switch {
		case sum[k] == 0:
			top[k] = e
		case e > top[k]:
			f := T(math.Exp(float64(top[k] - e)))
			sum[k] *= f
			scale(f, y[lo:hi])
			top[k] = e
		default:
			w = T(math.Exp(float64(e - top[k])))
		}
		sum[k] += w
		axpy(w*T(d.Mask(u, v, k)), r[lo:hi], y[lo:hi])
	}
}

// Row is what backward passes know of a destination.
type Row[T Number] struct{ L, DY, Top, Sum, Dot []T }

// AddSelf adds the edge's part to the gradients of l and a.
func AddSelf[T Number](d *Drop, u, v int32, a, r []T, row Row[T], dl, da []T) {
	width := len(r) / len(row.Top)
	for k := range row.Top {
		lo, hi := k*width, (k+1)*width
		ak, lk, rk := a[lo:hi], row.L[lo:hi], r[lo:hi]
		_, g := row.change(d, u, v, k, ak, lk, rk, row.DY[lo:hi])
		dlk, dak := dl[lo:hi], da[lo:hi]
		for i, x := range ak {
			z := lk[i] + rk[i]
			if z > 0 {
				dak[i] += g * z
				dlk[i] += g * x
			} else {
				dak[i] += g * (slope * z)
				dlk[i] += g * (slope * x)
			}
		}
	}
}

// AddSource adds the edge's part to the gradient of r.
func AddSource[T Number](d *Drop, u, v int32, a, r []T, row Row[T], dr []T) {
	width := len(r) / len(row.Top)
	for k := range row.Top {
		lo, hi := k*width, (k+1)*width
		ak, lk, rk, dy := a[lo:hi], row.L[lo:hi], r[lo:hi], row.DY[lo:hi]
		w, g := row.change(d, u, v, k, ak, lk, rk, dy)
		drk := dr[lo:hi]
		for i, x := range ak {
			f := g * x
			if lk[i]+rk[i] <= 0 {
				f *= slope
			}
			drk[i] += f + w*dy[i]
		}
	}
}

// change returns the weight of an edge in head k as it counts, and the gradient of its score.
func (row *Row[T]) change(d *Drop, u, v int32, k int, a, l, r, dy []T) (w, g T) {
	w = T(math.Exp(float64(score(a, l, r)-row.Top[k]))) / row.Sum[k]
	m := T(d.Mask(u, v, k))
	return w * m, w * (m*dot(dy, r) - row.Dot[k])
}
