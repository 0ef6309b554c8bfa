package pairs

import "github.com/saint-gnn/saint/internal/workers"

// Matrix is a row-major matrix whose rows are Stride elements apart.
type Matrix[T Number] struct {
	S            []T
	Cols, Stride int
}

// Row returns row i.
func (m *Matrix[T]) Row(i int) []T { return m.S[i*m.Stride:][:m.Cols] }

// Pass says what a Job computes.
type Pass uint8

// Passes.
const (
	Aggregate Pass = iota // Out, Top and Sum, from rows of A
	Self                  // Out, the gradient of L, and those of Att, from rows of A
	Source                // Out, the gradient of R, from rows of the transpose
)

// Job is a pass over the rows of a sparse matrix, cut into Parts by its entries. Att has one row.
type Job[T Number] struct {
	Pass        Pass
	Indptr, Col []int32
	Parts       int
	Drop        Drop
	Att         []T
	L, R, DY    Matrix[T]
	Top, Sum    Matrix[T]
	Dot, Out    Matrix[T]
	Add         bool // to what Out, Top and Sum hold; otherwise they hold nothing
	Partial     []T  // of Self: Parts rows for the gradient of Att
}

// RunTask computes a part of the rows.
func (j *Job[T]) RunTask(_, task int) {
	lo, hi := workers.RowsByNNZ(j.Indptr, j.Parts, task)
	if j.Pass == Self {
		clear(j.partial(task))
	}
	if single, ok := any(j).(*Job[float32]); ok {
		if p := vectorsOf(j.Out.Cols / j.Top.Cols); p.vecs > 0 {
			for i := lo; i < hi; i++ {
				vectorRow(single, p, i, task)
			}
			return
		}
	}
	for i := lo; i < hi; i++ {
		j.row(i, task)
	}
}

// row computes row i.
func (j *Job[T]) row(i, task int) {
	entries, out := j.begin(i)
	switch j.Pass {
	case Aggregate:
		top, sum, l := j.Top.Row(i), j.Sum.Row(i), j.L.Row(i)
		Open(sum, out)
		for _, v := range entries {
			Add(&j.Drop, int32(i), v, j.Att, l, j.R.Row(int(v)), top, sum, out)
		}
		Close(sum, out)
	case Self:
		row, da := j.destination(i), j.partial(task)
		for _, v := range entries {
			AddSelf(&j.Drop, int32(i), v, j.Att, j.R.Row(int(v)), row, out, da)
		}
	default:
		r := j.R.Row(i)
		for _, u := range entries {
			AddSource(&j.Drop, u, int32(i), j.Att, r, j.destination(int(u)), out)
		}
	}
}

// begin returns the entries of row i and the row of Out, which holds what is added to.
func (j *Job[T]) begin(i int) (entries []int32, out []T) {
	out = j.Out.Row(i)
	if !j.Add {
		clear(out)
		if j.Pass == Aggregate {
			clear(j.Top.Row(i))
			clear(j.Sum.Row(i))
		}
	}
	return j.Col[j.Indptr[i]:j.Indptr[i+1]], out
}

// partial returns a part's gradient of Att.
func (j *Job[T]) partial(task int) []T { return j.Partial[task*len(j.Att):][:len(j.Att)] }

func (j *Job[T]) destination(u int) Row[T] {
	return Row[T]{L: j.L.Row(u), DY: j.DY.Row(u), Top: j.Top.Row(u), Sum: j.Sum.Row(u), Dot: j.Dot.Row(u)}
}

// AttGrad adds the gradient of Att, which pass Self left in Partial, to da, part by part.
func (j *Job[T]) AttGrad(da []T) {
	for t := range j.Parts {
		for i, v := range j.Partial[t*len(da):][:len(da)] {
			da[i] += v
		}
	}
}
