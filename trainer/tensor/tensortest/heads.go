package tensortest

import (
	"fmt"
	"math"
	"slices"

	"github.com/saint-gnn/saint/trainer/tensor"
)

func headBuilds() []build {
	bs := []build{
		func(e *env, s shape) Case { return headDotsCase(e, s, tensor.LeakyReLU, false) },
		func(e *env, s shape) Case { return headDotsCase(e, s, tensor.Identity, true) },
		func(e *env, s shape) Case { return headDotsBackCase(e, s, 0) },
		func(e *env, s shape) Case { return headDotsBackCase(e, s, 1) },
	}
	for _, sigmoid := range []bool{false, true} {
		bs = append(bs, func(e *env, s shape) Case { return headScaleCase(e, s, sigmoid) })
		bs = append(bs, func(e *env, s shape) Case { return headScaleBackCase(e, s, sigmoid) })
	}
	for _, score := range []tensor.HeadScore{tensor.HeadSum, tensor.HeadReLU, tensor.HeadSoftmax} {
		for _, beta := range []float32{0, 1} {
			bs = append(bs, func(e *env, s shape) Case { return headAggregateCase(e, s, score, beta) })
			bs = append(bs, func(e *env, s shape) Case { return headBackCase(e, s, score, beta) })
			if score != tensor.HeadSum {
				bs = append(bs, func(e *env, s shape) Case { return headSelfCase(e, s, score, beta) })
			}
		}
	}
	return append(bs, headSumsCase, neighborMaxCase, neighborMaxBackCase, groupMaxCase, groupMaxBackCase)
}

// headsIn returns how many heads of how many columns a matrix is taken to have.
func headsIn(cols int) (heads, width int) {
	for _, k := range []int{4, 3, 5} {
		if cols%k == 0 && cols > 0 {
			return k, cols / k
		}
	}
	return 1, cols
}

// of is the shape with other columns.
func (s shape) of(cols int) shape { return shape{s.rows, cols, s.strided} }

// leaky is the activation of scores.
func leaky(v float64) float64 {
	if v < 0 {
		return 0.2 * v
	}
	return v
}

func leakySlope(v float64) float64 {
	if v < 0 {
		return 0.2
	}
	return 1
}

func headDotsCase(e *env, s shape, act tensor.Act, many bool) Case {
	k, d := headsIn(s.cols)
	x, out := e.normal(s), e.undefined(s.of(k))
	a, bias := e.normal(s.row()), (*operand)(nil)
	if many {
		a = e.normal(s)
	} else {
		bias = e.normal(s.of(k).row())
	}
	return Case{
		Name:  fmt.Sprintf("HeadDots/act=%d", act),
		Bytes: size(x, out),
		Call:  func() { e.q.HeadDots(act, x.Tensor, a.Tensor, tensorOf(bias), out.Tensor) },
		outs:  []*operand{out},
		check: func() {
			out.is("s", func(i, h int) float64 {
				sum := 0.0
				for j := h * d; j < (h+1)*d; j++ {
					sum += x.at(i, j) * a.at(min(i, a.Rows-1), j)
				}
				if bias != nil {
					sum += bias.ref[h]
				}
				if act == tensor.LeakyReLU {
					sum = leaky(sum)
				}
				return sum
			}, func(int, int) float64 { return 1e-5 * (1 + float64(d)) })
			x.unchanged("x")
		},
	}
}

func headDotsBackCase(e *env, s shape, beta float32) Case {
	k, d := headsIn(s.cols)
	x, a, score, ds := e.normal(s), e.normal(s.row()), e.normal(s.of(k)), e.normal(s.of(k))
	dx, da, db := e.destination(s, beta), e.normal(s.row()), e.normal(s.of(k).row())
	return Case{
		Name:  fmt.Sprintf("HeadDotsBackward/beta=%g", beta),
		Bytes: size(x, dx),
		Call: func() {
			e.q.HeadDotsBackward(tensor.LeakyReLU, x.Tensor, a.Tensor, score.Tensor, ds.Tensor, beta, dx.Tensor, da.Tensor, db.Tensor)
		},
		outs: []*operand{dx, da, db},
		check: func() {
			wantA, wantB := clone(da), clone(db)
			g := func(i, h int) float64 { return ds.at(i, h) * leakySlope(score.at(i, h)) }
			for i := range s.rows {
				for h := range k {
					wantB[h] += g(i, h)
					for j := h * d; j < (h+1)*d; j++ {
						wantA[j] += g(i, h) * x.at(i, j)
					}
				}
			}
			dx.is("dx", func(i, j int) float64 {
				v := g(i, j/d) * a.ref[j]
				if beta != 0 {
					v += dx.at(i, j)
				}
				return v
			}, func(int, int) float64 { return 1e-5 })
			da.equals("da", wantA, 1e-4)
			db.equals("dbias", wantB, 1e-4)
		},
	}
}

func gateOf(sigmoid bool, v float64) (f, slope float64) {
	if !sigmoid {
		return v, 1
	}
	f = 1 / (1 + math.Exp(-v))
	return f, f * (1 - f)
}

func headScaleCase(e *env, s shape, sigmoid bool) Case {
	k, d := headsIn(s.cols)
	g, x, y := e.normal(s.of(k)), e.normal(s), e.undefined(s)
	return Case{
		Name:  fmt.Sprintf("HeadScale/sigmoid=%t", sigmoid),
		Bytes: size(x, y),
		Call:  func() { e.q.HeadScale(sigmoid, g.Tensor, x.Tensor, y.Tensor) },
		outs:  []*operand{y},
		check: func() {
			y.is("y", func(i, j int) float64 { f, _ := gateOf(sigmoid, g.at(i, j/d)); return f * x.at(i, j) }, func(int, int) float64 { return 1e-5 })
		},
	}
}

func headScaleBackCase(e *env, s shape, sigmoid bool) Case {
	k, d := headsIn(s.cols)
	g, x, dy, dg := e.normal(s.of(k)), e.normal(s), e.normal(s), e.undefined(s.of(k))
	return Case{
		Name:  fmt.Sprintf("HeadScaleBackward/sigmoid=%t", sigmoid),
		Bytes: size(x, dy),
		Call:  func() { e.q.HeadScaleBackward(sigmoid, g.Tensor, x.Tensor, dy.Tensor, dy.Tensor, dg.Tensor) },
		outs:  []*operand{dy, dg},
		check: func() {
			dy.is("dx", func(i, j int) float64 { f, _ := gateOf(sigmoid, g.at(i, j/d)); return f * dy.at(i, j) }, func(int, int) float64 { return 1e-5 })
			dg.is("dg", func(i, h int) float64 {
				_, slope := gateOf(sigmoid, g.at(i, h))
				sum := 0.0
				for j := h * d; j < (h+1)*d; j++ {
					sum += x.at(i, j) * dy.at(i, j)
				}
				return slope * sum
			}, func(int, int) float64 { return 1e-5 * (1 + float64(d)) })
		},
	}
}

// simple is a random matrix whose rows have sorted columns without repetition.
func (e *env) simple(rows, cols, degree int) (*tensor.CSR, [][]int, *operand) {
	entries := make([][]int, rows)
	var ptr, idx []float64
	for i := range entries {
		if i%5 != 3 && cols > 0 {
			for range e.rnd.IntN(2*degree + 1) {
				entries[i] = append(entries[i], e.rnd.IntN(cols))
			}
		}
		slices.Sort(entries[i])
		entries[i] = slices.Compact(entries[i])
		ptr = append(ptr, float64(len(idx)))
		for _, c := range entries[i] {
			idx = append(idx, float64(c))
		}
	}
	ptr = append(ptr, float64(len(idx)))
	p := e.i32(shape{rows + 1, 1, false}, func(i int) float64 { return ptr[i] })
	x := e.i32(shape{len(idx), 1, false}, func(i int) float64 { return idx[i] })
	v := e.normal(shape{len(idx), 1, false})
	return &tensor.CSR{Rows: rows, Cols: cols, Indptr: p.Tensor, Indices: x.Tensor, Values: v.Tensor}, entries, v
}

// headEdges is a matrix of attention with the scores of both ends.
type headEdges struct {
	k, d          int
	score         tensor.HeadScore
	a             *tensor.CSR
	entries       [][]int
	values        *operand
	s, src, dy    *operand // of destinations, of sources, of destinations
	top, sum, dot *operand
	trans         bool // a is the transpose
}

// edgesFor makes n rows of dst destinations and src sources; rows of a are destinations unless
// trans is set.
func (e *env) edgesFor(s shape, score tensor.HeadScore, trans bool) *headEdges {
	h := &headEdges{score: score, trans: trans}
	h.k, h.d = headsIn(s.cols)
	other := s.rows + 3
	h.a, h.entries, h.values = e.simple(s.rows, other, 9)
	dst, src := s.rows, other
	if trans {
		dst, src = other, s.rows
	}
	h.s = e.normal(shape{dst, h.k, s.strided})
	h.src = e.normal(shape{src, s.cols + h.k, s.strided})
	h.dy = e.normal(shape{dst, s.cols, s.strided})
	if score == tensor.HeadSoftmax {
		h.top = e.f32(shape{dst, h.k, s.strided}, func(int) float64 { return 1 + e.rnd.Float64() })
		h.sum = e.f32(shape{dst, h.k, s.strided}, func(int) float64 { return 1 + e.rnd.Float64() })
		h.dot = e.normal(shape{dst, h.k, s.strided})
	}
	return h
}

func (h *headEdges) self() tensor.HeadSelf {
	return tensor.HeadSelf{Score: h.score, S: h.s.Tensor, Top: tensorOf(h.top), Sum: tensorOf(h.sum), Dot: tensorOf(h.dot)}
}

// each calls f for every entry.
func (h *headEdges) each(f func(u, v, hd int, w, slope float64)) {
	n := 0
	for i, row := range h.entries {
		for _, c := range row {
			u, v := i, c
			if h.trans {
				u, v = c, i
			}
			for hd := range h.k {
				w, slope := h.weight(u, v, hd, h.values.ref[n])
				f(u, v, hd, w, slope)
			}
			n++
		}
	}
}

// weight is the weight of an edge and its gradient with respect to the score.
func (h *headEdges) weight(u, v, hd int, val float64) (w, slope float64) {
	z := h.s.at(u, hd) + h.src.at(v, h.k*h.d+hd)
	switch h.score {
	case tensor.HeadSum:
		return z * val, val
	case tensor.HeadReLU:
		if z < 0 {
			return 0, 0
		}
		return z * val, val
	}
	w = math.Exp(leaky(z)-h.top.at(u, hd)) / h.sum.at(u, hd)
	return w, w * leakySlope(z)
}

// change is the gradient of the weight of an edge.
func (h *headEdges) change(u, v, hd int) float64 {
	sum := 0.0
	for j := hd * h.d; j < (hd+1)*h.d; j++ {
		sum += h.src.at(v, j) * h.dy.at(u, j)
	}
	if h.score == tensor.HeadSoftmax {
		sum -= h.dot.at(u, hd)
	}
	return sum
}

// rounding is the relative error of products of a head's columns.
func (h *headEdges) rounding() float64 { return 1e-5 * (1 + math.Sqrt(float64(h.d))/4) }

// start is what a destination holds before an operation with beta.
func start(o *operand, beta float32) []float64 {
	if beta == 0 {
		return make([]float64, len(o.ref))
	}
	return clone(o)
}

func headAggregateCase(e *env, s shape, score tensor.HeadScore, beta float32) Case {
	h := e.edgesFor(s, score, false)
	y := e.destination(s, beta)
	outs := []*operand{y}
	var mean *operand
	if score == tensor.HeadSum {
		mean = e.destination(s, beta)
		outs = append(outs, mean)
	}
	return Case{
		Name:  fmt.Sprintf("HeadAggregate/score=%d-beta=%g", score, beta),
		Bytes: size(h.src, y),
		Call:  func() { e.q.HeadAggregate(h.self(), h.a, h.src.Tensor, beta, y.Tensor, tensorOf(mean)) },
		outs:  outs,
		check: func() {
			want := start(y, beta)
			h.each(func(u, v, hd int, w, _ float64) {
				for j := hd * h.d; j < (hd+1)*h.d; j++ {
					want[u*s.cols+j] += w * h.src.at(v, j)
				}
			})
			y.equals("y", want, 1e-5)
			if mean == nil {
				return
			}
			want = start(mean, beta)
			n := 0
			for i, row := range h.entries {
				for _, c := range row {
					for j := range s.cols {
						want[i*s.cols+j] += h.values.ref[n] * h.src.at(c, j)
					}
					n++
				}
			}
			mean.equals("mean", want, 1e-5)
		},
	}
}

func headSelfCase(e *env, s shape, score tensor.HeadScore, beta float32) Case {
	h := e.edgesFor(s, score, false)
	ds := e.destination(s.of(h.k), beta)
	return Case{
		Name:  fmt.Sprintf("HeadAggregateSelf/score=%d-beta=%g", score, beta),
		Bytes: size(h.src, h.dy),
		Call:  func() { e.q.HeadAggregateSelf(h.self(), h.a, h.src.Tensor, h.dy.Tensor, beta, ds.Tensor) },
		outs:  []*operand{ds},
		check: func() {
			want := start(ds, beta)
			h.each(func(u, v, hd int, _, slope float64) { want[u*h.k+hd] += slope * h.change(u, v, hd) })
			ds.equals("ds", want, h.rounding())
		},
	}
}

func headBackCase(e *env, s shape, score tensor.HeadScore, beta float32) Case {
	h := e.edgesFor(s, score, true)
	cols := s.cols + h.k
	dsrc := e.destination(s.of(cols), beta)
	return Case{
		Name:  fmt.Sprintf("HeadAggregateBack/score=%d-beta=%g", score, beta),
		Bytes: size(h.src, h.dy),
		Call:  func() { e.q.HeadAggregateBack(h.self(), h.a, h.src.Tensor, h.dy.Tensor, beta, dsrc.Tensor) },
		outs:  []*operand{dsrc},
		check: func() {
			want := start(dsrc, beta)
			h.each(func(u, v, hd int, w, slope float64) {
				for j := hd * h.d; j < (hd+1)*h.d; j++ {
					want[v*cols+j] += w * h.dy.at(u, j)
				}
				want[v*cols+s.cols+hd] += slope * h.change(u, v, hd)
			})
			dsrc.equals("dsrc", want, h.rounding())
		},
	}
}

func headSumsCase(e *env, s shape) Case {
	a, entries, _ := e.simple(s.rows, s.rows+3, 9)
	b, more, _ := e.simple(s.rows, s.rows+3, 2)
	k := min(max(s.cols, 1), 40)
	dst, t := e.normal(s.of(k)), e.normal(shape{s.rows + 3, k, s.strided})
	top, sum := e.undefined(s.of(k)), e.undefined(s.of(k))
	return Case{
		Name:  "HeadSoftmaxSums",
		Bytes: size(dst, t),
		Call: func() {
			e.q.HeadSoftmaxSums(a, dst.Tensor, t.Tensor, true, top.Tensor, sum.Tensor)
			e.q.HeadSoftmaxSums(b, dst.Tensor, t.Tensor, false, top.Tensor, sum.Tensor)
		},
		outs: []*operand{top, sum},
		check: func() {
			all := func(i, h int) (most, total float64) {
				both := append(slices.Clone(entries[i]), more[i]...)
				for n, c := range both {
					z := leaky(dst.at(i, h) + t.at(c, h))
					if n == 0 || z > most {
						most = z
					}
				}
				for _, c := range both {
					total += math.Exp(leaky(dst.at(i, h)+t.at(c, h)) - most)
				}
				return most, total
			}
			top.is("top", func(i, h int) float64 { m, _ := all(i, h); return m }, func(int, int) float64 { return 1e-6 })
			sum.is("sum", func(i, h int) float64 { _, t := all(i, h); return t }, func(int, int) float64 { return 1e-4 })
		},
	}
}

func neighborMaxCase(e *env, s shape) Case {
	const base = 7
	a, entries, _ := e.simple(s.rows, s.rows+3, 9)
	x := e.normal(shape{s.rows + 3, s.cols, s.strided})
	y, arg := e.undefined(s), e.i32(s, func(int) float64 { return 5 })
	return Case{
		Name:  "NeighborMax",
		Bytes: size(x, y),
		Call:  func() { e.q.NeighborMax(a, x.Tensor, base, true, y.Tensor, arg.Tensor) },
		outs:  []*operand{y, arg},
		check: func() {
			y.is("y", func(i, j int) float64 {
				most := 0.0
				for n, c := range entries[i] {
					if v := x.at(c, j); n == 0 || v > most {
						most = v
					}
				}
				return most
			}, func(int, int) float64 { return 0 })
		},
	}
}

func neighborMaxBackCase(e *env, s shape) Case {
	const base = 7
	at, entries, _ := e.simple(s.rows, s.rows+3, 9)
	wide := shape{s.rows + 3, s.cols, s.strided}
	dy, dx := e.normal(wide), e.normal(s)
	arg := e.i32(wide, func(int) float64 { return float64(base + e.rnd.IntN(max(1, min(4, s.rows)))) })
	return Case{
		Name:  "NeighborMaxBackward",
		Bytes: size(dy, dx),
		Call:  func() { e.q.NeighborMaxBackward(at, arg.Tensor, dy.Tensor, base, 1, dx.Tensor) },
		outs:  []*operand{dx},
		check: func() {
			dx.is("dx", func(v, j int) float64 {
				sum := dx.at(v, j)
				for _, u := range entries[v] {
					if int(arg.at(u, j)) == base+v {
						sum += dy.at(u, j)
					}
				}
				return sum
			}, func(int, int) float64 { return 1e-5 })
		},
	}
}

func groupMaxCase(e *env, s shape) Case {
	const groups = 3
	x, y, arg := e.normal(s.of(groups*s.cols)), e.undefined(s), e.i32(s, func(int) float64 { return 5 })
	return Case{
		Name:  "GroupMax",
		Bytes: size(x, y),
		Call:  func() { e.q.GroupMax(x.Tensor, y.Tensor, arg.Tensor) },
		outs:  []*operand{y, arg},
		check: func() {
			y.is("y", func(i, j int) float64 {
				return max(x.at(i, j), x.at(i, s.cols+j), x.at(i, 2*s.cols+j))
			}, func(int, int) float64 { return 0 })
		},
	}
}

func groupMaxBackCase(e *env, s shape) Case {
	const groups = 3
	dy, dx := e.normal(s), e.undefined(s.of(groups*s.cols))
	arg := e.i32(s, func(int) float64 { return float64(e.rnd.IntN(groups)) })
	return Case{
		Name:  "GroupMaxBackward",
		Bytes: size(dy, dx),
		Call:  func() { e.q.GroupMaxBackward(arg.Tensor, dy.Tensor, dx.Tensor) },
		outs:  []*operand{dx},
		check: func() {
			dx.is("dx", func(i, j int) float64 {
				if int(arg.at(i, j%s.cols)) == j/s.cols {
					return dy.at(i, j%s.cols)
				}
				return 0
			}, func(int, int) float64 { return 0 })
		},
	}
}
