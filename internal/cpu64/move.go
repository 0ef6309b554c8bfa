package cpu64

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/internal/philox"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// dropper drops elements out; the zero dropper keeps all of them.
type dropper struct {
	on         bool
	key        uint64
	threshold  uint64 // a word below it drops the element
	scale      float64
	col, width uint64
}

func newDropper(p float32, key tensor.RandKey, col, width int) dropper {
	d := dropper{
		on: true, key: philox.Key(key.Seed, key.Step, key.Layer, key.Slot), threshold: philox.Threshold(p),
		col: uint64(col), width: uint64(width),
	}
	if p < 1 {
		d.scale = 1 / (1 - float64(p))
	}
	return d
}

// row computes y = drop(x) for row i.
func (d *dropper) row(i int, x, y []float64) {
	var words [256]uint32
	for at := uint64(i)*d.width + d.col; len(x) > 0; {
		n := min(len(x), len(words))
		philox.Words(d.key, at, words[:n])
		for k, w := range words[:n] {
			v := x[k] * d.scale
			if uint64(w) < d.threshold {
				v = 0
			}
			y[k] = v
		}
		x, y, at = x[n:], y[n:], at+uint64(n)
	}
}

// dropOf returns the dropper of an operation on t.
func dropOf(op string, d tensor.Drop, t tensor.Tensor) dropper {
	switch {
	case d == tensor.Drop{}:
		return dropper{}
	case !(d.P >= 0 && d.P < 1) || d.Col < 0 || d.Col+t.Cols > d.Width:
		panic(&tensor.ShapeError{
			Op: op, Got: fmt.Sprintf("dropout of rate %g from column %d of %d for %s", d.P, d.Col, d.Width, t), Want: "a rate from 0 to below 1 and all columns",
		})
	case d.P == 0:
		return dropper{}
	}
	return newDropper(d.P, d.Key, d.Col, d.Width)
}

type dropoutJob struct {
	drop dropper
	x, y matrix[float64]
}

func (j *dropoutJob) do(lo, hi int, _ []float64) {
	for i := lo; i < hi; i++ {
		j.drop.row(i, j.x.row(i), j.y.row(i))
	}
}

// Dropout computes y = x/(1-p) where kept, else 0.
func (q *Queue) Dropout(p float32, key tensor.RandKey, x, y tensor.Tensor) {
	matrixOf("Dropout", "x", x)
	wantNumbers("Dropout", "y", y, x.Rows, x.Cols)
	if !(p >= 0 && p <= 1) {
		panic(&tensor.ShapeError{Op: "Dropout", Got: fmt.Sprintf("rate %g", p), Want: "0 to 1"})
	}
	if !q.ready(x, y) {
		return
	}
	q.dropout = dropoutJob{drop: newDropper(p, key, 0, x.Cols), x: numbers(x), y: numbers(y)}
	q.overRows(x.Rows, x.Cols, &q.dropout)
}

type gatherJob struct {
	src, dst []byte
	idx      matrix[int32]
	srcRows  int
	width    int // bytes of a row
	from, to int // bytes from row to row in src and dst
	drop     dropper
	x, y     matrix[float64] // src and dst where elements are dropped
	bad      firstBad
}

func (j *gatherJob) do(lo, hi int, _ []float64) {
	for i := lo; i < hi; i++ {
		k := int(*j.idx.at(i))
		switch {
		case uint(k) >= uint(j.srcRows):
			j.bad.note(i)
			return
		case j.drop.on:
			j.drop.row(i, j.x.row(k), j.y.row(i))
		default:
			copy(j.dst[i*j.to:i*j.to+j.width], j.src[k*j.from:])
		}
	}
}

// GatherRows computes dst[i] = drop(src[idx[i]]). An index outside src fails the queue.
func (q *Queue) GatherRows(src, idx tensor.Tensor, drop tensor.Drop, dst tensor.Tensor) {
	const op = "GatherRows"
	want(op, "src", src, dst.Type, src.Rows, dst.Cols)
	want(op, "idx", idx, tensor.I32, dst.Rows, 1)
	want(op, "dst", dst, dst.Type, dst.Rows, dst.Cols)
	drops := dropOf(op, drop, dst)
	if drops.on {
		matrixOf(op, "dst", dst)
	}
	if !q.ready(src, idx, dst) || dst.Rows == 0 || dst.Cols == 0 {
		return
	}
	size := int(dst.Type.Size())
	j := &q.gather
	j.src, _ = cpu.Raw(src) // ready said that they are there
	j.dst, _ = cpu.Raw(dst)
	j.idx, j.srcRows, j.drop = view[int32](idx), src.Rows, drops
	j.width, j.from, j.to = dst.Cols*size, src.Stride*size, dst.Stride*size
	if drops.on {
		j.x, j.y = numbers(src), numbers(dst)
	}
	j.bad.reset()
	q.overRows(dst.Rows, dst.Cols, j)
	if i, bad := j.bad.row(); bad {
		q.err = fmt.Errorf("cpu64: GatherRows: index %d at %d is outside %d rows", *j.idx.at(i), i, src.Rows)
	}
}

// elementsJob is y = alpha x + beta y, with beta 0 not reading y and x of one row broadcast.
// Without x it is y = beta y, or with beta 0 y = alpha.
type elementsJob struct {
	alpha, beta float64
	x, y        matrix[float64]
	present     bool // x
	ints        matrix[int32]
	bytes       matrix[uint8]
}

func (j *elementsJob) do(lo, hi int, _ []float64) {
	for i := lo; i < hi; i++ {
		switch {
		case j.ints.s != nil:
			fill(j.ints.row(i), int32(j.alpha))
		case j.bytes.s != nil:
			fill(j.bytes.row(i), uint8(j.alpha))
		case j.present && j.x.rows == 1:
			axpby(j.alpha, j.x.row(0), j.beta, j.y.row(i))
		case j.present:
			axpby(j.alpha, j.x.row(i), j.beta, j.y.row(i))
		case j.beta == 0:
			fill(j.y.row(i), j.alpha)
		default:
			scale(j.beta, j.y.row(i))
		}
	}
}

func fill[T element](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}

func scale(f float64, y []float64) {
	for i := range y {
		y[i] *= f
	}
}

func axpby(alpha float64, x []float64, beta float64, y []float64) {
	x = x[:len(y)]
	switch beta {
	case 0:
		for i, v := range x {
			y[i] = alpha * v
		}
	default:
		for i, v := range x {
			y[i] = alpha*v + beta*y[i]
		}
	}
}

// Axpby computes y = alpha x + beta y; x of one row is broadcast. With beta 0 y is not read.
func (q *Queue) Axpby(alpha float32, x tensor.Tensor, beta float32, y tensor.Tensor) {
	matrixOf("Axpby", "y", y)
	rows := y.Rows
	if x.Rows == 1 {
		rows = 1
	}
	wantNumbers("Axpby", "x", x, rows, y.Cols)
	if !q.ready(x, y) {
		return
	}
	q.elements = elementsJob{alpha: float64(alpha), beta: float64(beta), x: numbers(x), y: numbers(y), present: true}
	q.overRows(y.Rows, y.Cols, &q.elements)
}

// Fill computes t = v, converted to t's element type.
func (q *Queue) Fill(v float32, t tensor.Tensor) {
	want("Fill", "t", t, t.Type, t.Rows, t.Cols)
	if !q.ready(t) {
		return
	}
	q.elements = elementsJob{alpha: float64(v)}
	switch t.Type {
	case tensor.I32:
		q.elements.ints = view[int32](t)
	case tensor.U8:
		q.elements.bytes = view[uint8](t)
	case tensor.F64:
		q.elements.y = numbers(t)
	case tensor.F32:
		panic(&tensor.ShapeError{Op: "Fill", Got: t.String(), Want: "a type of this backend"})
	}
	q.overRows(t.Rows, t.Cols, &q.elements)
}

// Scale computes t = f t.
func (q *Queue) Scale(f float32, t tensor.Tensor) {
	matrixOf("Scale", "t", t)
	if !q.ready(t) {
		return
	}
	q.elements = elementsJob{beta: float64(f), y: numbers(t), present: false}
	if f == 0 {
		q.elements.present, q.elements.x = true, q.elements.y // y = 0 y: what is not finite stays so
	}
	q.overRows(t.Rows, t.Cols, &q.elements)
}
