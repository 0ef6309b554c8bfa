package pairs

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// random returns n numbers.
func random[T Number](seed uint64, n int) []T {
	r, v := rand.New(rand.NewPCG(seed, 1)), make([]T, n)
	for i := range v {
		v[i] = T(r.NormFloat64())
	}
	return v
}

func narrow(x []float64) []float32 {
	v := make([]float32, len(x))
	for i, f := range x {
		v[i] = float32(f)
	}
	return v
}

// problem is a graph with its operands; rows lie further apart than they are long.
type problem struct {
	indptr, col   []int32
	heads, width  int
	att, l, r, dy []float64
	dot           []float64
	rows, stride  int
	drop          Drop
}

func newProblem(heads, width int, drop Drop) *problem {
	const rows = 13
	p := &problem{heads: heads, width: width, rows: rows, stride: heads*width + 3, drop: drop, indptr: []int32{0}}
	r := rand.New(rand.NewPCG(uint64(heads), uint64(width)))
	for i := range rows {
		for range i % 6 {
			p.col = append(p.col, int32(r.IntN(rows)))
		}
		p.indptr = append(p.indptr, int32(len(p.col)))
	}
	n := rows * p.stride
	for i, m := range []*[]float64{&p.att, &p.l, &p.r, &p.dy, &p.dot} {
		*m = random[float64](uint64(i), n)
		for j, v := range *m { // that both precisions hold
			(*m)[j] = float64(float32(v))
		}
	}
	p.att = p.att[:heads*width]
	return p
}

// results runs all passes and returns what they write.
func results[T Number](p *problem, convert func([]float64) []T) map[string][]T {
	matrix := func(x []T, cols int) Matrix[T] { return Matrix[T]{S: x, Cols: cols, Stride: p.stride} }
	n, cols := p.rows*p.stride, p.heads*p.width
	top, sum := make([]T, n), make([]T, n)
	j := Job[T]{
		Indptr: p.indptr, Col: p.col, Parts: 2, Drop: p.drop, Att: convert(p.att),
		L: matrix(convert(p.l), cols), R: matrix(convert(p.r), cols), DY: matrix(convert(p.dy), cols),
		Top: matrix(top, p.heads), Sum: matrix(sum, p.heads), Dot: matrix(convert(p.dot), p.heads),
		Partial: random[T](9, 2*cols),
	}
	run := func(pass Pass, add bool, out []T) []T {
		j.Pass, j.Add, j.Out = pass, add, matrix(out, cols)
		for task := range j.Parts {
			j.RunTask(0, task)
		}
		return out
	}
	out := map[string][]T{"sums": run(Aggregate, false, convert(random[float64](5, n)))}
	run(Aggregate, true, out["sums"]) // every edge once more
	out["top"], out["sum"] = top, sum
	for i := range p.rows { // rows without edges have weights too where they are used
		for k := range p.heads {
			if s := &sum[i*p.stride+k]; *s == 0 {
				*s = 1e3
			}
		}
	}
	out["dl"] = run(Self, false, convert(random[float64](6, n)))
	out["da"] = make([]T, cols)
	j.AttGrad(out["da"])
	out["dr"] = run(Source, true, convert(random[float64](7, n)))
	return out
}

// Vector loops of every instruction set and portable ones agree with double precision.
func TestJob(t *testing.T) {
	half := Drop{Key: 7, Threshold: 1 << 31, Scale: 2, U: 3, V: 1 << 20}
	for _, shape := range [][2]int{{1, 1}, {3, 5}, {1, 8}, {2, 24}, {8, 16}, {9, 8}, {20, 16}, {1, 144}, {4, 15}} {
		for name, drop := range map[string]Drop{"": {}, " dropout": half} {
			p := newProblem(shape[0], shape[1], drop)
			want := results(p, func(x []float64) []float64 { return append([]float64(nil), x...) })
			levels(func(level string) {
				t.Run(fmt.Sprintf("%s %dx%d%s", level, shape[0], shape[1], name), func(t *testing.T) {
					compare(t, results(p, narrow), want)
				})
			})
		}
	}
}

func compare(t *testing.T, got map[string][]float32, want map[string][]float64) {
	t.Helper()
	for what, w := range want {
		for i, x := range got[what] {
			if d := math.Abs(float64(x) - w[i]); !(d <= 1e-4*max(1, math.Abs(w[i]))) {
				t.Fatalf("%s[%d] = %v, want %v", what, i, x, w[i])
			}
		}
	}
}

// Scores far apart, infinite or no numbers come out as in portable Go.
func TestExtremeScores(t *testing.T) {
	levels(func(level string) {
		for _, x := range []float64{0, 1e4, 1e30, math.Inf(1), math.NaN()} {
			p := newProblem(2, 16, Drop{})
			for i := range p.r {
				p.r[i] *= 1e3
			}
			for i := range p.r[:p.stride] {
				p.r[i] = x
			}
			want := results(p, func(x []float64) []float64 { return append([]float64(nil), x...) })["sums"]
			for i, got := range results(p, narrow)["sums"] {
				if math.IsNaN(float64(got)) != math.IsNaN(want[i]) {
					t.Fatalf("%s: with sources of %v sums[%d] = %v, want %v", level, x, i, got, want[i])
				}
			}
		}
	})
}

func TestJobAllocatesNothing(t *testing.T) {
	p := newProblem(8, 16, Drop{Key: 7, Threshold: 1 << 31, Scale: 2})
	n := p.rows * p.stride
	matrix := func(cols int) Matrix[float32] {
		return Matrix[float32]{S: random[float32](1, n), Cols: cols, Stride: p.stride}
	}
	j := &Job[float32]{
		Indptr: p.indptr, Col: p.col, Parts: 1, Drop: p.drop, Att: narrow(p.att), Partial: make([]float32, len(p.att)),
		L: matrix(128), R: matrix(128), DY: matrix(128), Top: matrix(8), Sum: matrix(8), Dot: matrix(8), Out: matrix(128),
	}
	for _, pass := range []Pass{Aggregate, Self, Source} {
		j.Pass = pass
		if a := testing.AllocsPerRun(5, func() { j.RunTask(0, 0) }); a != 0 {
			t.Errorf("pass %d allocates %v times, want 0", pass, a)
		}
	}
}
