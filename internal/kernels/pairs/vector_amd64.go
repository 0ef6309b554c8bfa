//go:build !noasm

package pairs

import "math"

// lanes holds a number for each of some heads, which the vector loops take together.
type lanes [8]float32

// heads is a range of heads of a row.
type heads struct {
	from, to int // of heads
	width    int
}

// next returns the range behind h, of K heads in all.
func (h heads) next(all int) heads { return heads{h.to, min(h.to+len(lanes{}), all), h.width} }

func (h heads) n() int { return h.to - h.from }

// of returns the columns of the heads.
func (h heads) of(row []float32) []float32 { return row[h.from*h.width : h.to*h.width] }

// each returns the numbers of the heads.
func (h heads) each(row []float32) []float32 { return row[h.from:h.to] }

// vectorRow is row with the loops p.
func vectorRow(j *Job[float32], p loops, i, task int) {
	entries, out := j.begin(i)
	switch j.Pass {
	case Aggregate:
		sum := j.Sum.Row(i)
		Open(sum, out)
		addEdges(j, p, i, entries, out)
		Close(sum, out)
	case Self:
		selfEdges(j, p, i, entries, out, j.partial(task))
	default:
		sourceEdges(j, p, i, entries, out)
	}
}

// addEdges is Add for the entries of row u.
func addEdges(j *Job[float32], p loops, u int, entries []int32, y []float32) {
	all := j.Top.Cols
	for h := (heads{width: len(y) / all}).next(all); h.n() > 0; h = h.next(all) {
		a, l, yh := h.of(j.Att), h.of(j.L.Row(u)), h.of(y)
		top, sum := h.each(j.Top.Row(u)), h.each(j.Sum.Row(u))
		for _, v := range entries {
			var w lanes
			r := h.of(j.R.Row(int(v)))
			p.scores(h.n(), &w, a, l, r)
			relate(&w, top, sum, h.width, yh)
			w.exp()
			for k := range sum {
				sum[k] += w[k]
			}
			j.Drop.apply(int32(u), v, h, &w)
			p.outer(h.n(), &w, r, yh)
		}
	}
}

// relate subtracts the largest scores from those of an edge. Where the edge's is larger it takes
// their place, and what was summed so far is scaled to it.
func relate(w *lanes, top, sum []float32, width int, y []float32) {
	for k, t := range top {
		e := w[k]
		w[k] = e - t
		switch {
		case sum[k] == 0:
			top[k], w[k] = e, 0
		case e > t:
			f := float32(math.Exp(float64(t - e)))
			sum[k] *= f
			scale(f, y[k*width:(k+1)*width])
			top[k], w[k] = e, 0
		}
	}
}

// apply multiplies the weights of the edge u<-v by their masks.
func (d *Drop) apply(u, v int32, h heads, w *lanes) {
	if d.Threshold == 0 {
		return
	}
	for k := range h.n() {
		w[k] *= float32(d.Mask(u, v, h.from+k))
	}
}

// changes returns the weights of the edge u<-v as they count, and the gradients of its scores.
func changes(j *Job[float32], u, v int32, h heads, row *Row[float32], score, dot *lanes) (w, g lanes) {
	top, sum, own := h.each(row.Top), h.each(row.Sum), h.each(row.Dot)
	for k := range top {
		w[k] = score[k] - top[k]
	}
	w.exp()
	mask := lanes{1, 1, 1, 1, 1, 1, 1, 1}
	j.Drop.apply(u, v, h, &mask)
	for k := range top {
		w[k] /= sum[k]
		g[k] = w[k] * (mask[k]*dot[k] - own[k])
		w[k] *= mask[k]
	}
	return w, g
}

// selfEdges is AddSelf for the entries of row u.
func selfEdges(j *Job[float32], p loops, u int, entries []int32, dl, da []float32) {
	all := j.Top.Cols
	row := j.destination(u)
	for h := (heads{width: len(dl) / all}).next(all); h.n() > 0; h = h.next(all) {
		a, l, dy := h.of(j.Att), h.of(row.L), h.of(row.DY)
		for _, v := range entries {
			var score, dot lanes
			r := h.of(j.R.Row(int(v)))
			p.scoreDots(h.n(), &score, &dot, a, l, r, dy)
			_, g := changes(j, int32(u), v, h, &row, &score, &dot)
			p.self(h.n(), &g, a, l, r, h.of(dl), h.of(da))
		}
	}
}

// sourceEdges is AddSource for the entries of row v of the transpose.
func sourceEdges(j *Job[float32], p loops, v int, entries []int32, dr []float32) {
	all := j.Top.Cols
	for h := (heads{width: len(dr) / all}).next(all); h.n() > 0; h = h.next(all) {
		a, r := h.of(j.Att), h.of(j.R.Row(v))
		for _, u := range entries {
			var score, dot lanes
			row := j.destination(int(u))
			l, dy := h.of(row.L), h.of(row.DY)
			p.scoreDots(h.n(), &score, &dot, a, l, r, dy)
			w, g := changes(j, u, int32(v), h, &row, &score, &dot)
			p.source(h.n(), &g, &w, a, l, r, dy, h.of(dr))
		}
	}
}
