package cpu

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/philox"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// chunk is the number of elements for which intermediate results are kept on the stack.
const chunk = 512

// dropper drops elements out; the zero dropper keeps all of them.
type dropper struct {
	on         bool
	key        uint64
	threshold  uint64 // a word below it drops the element
	scale      float32
	col, width uint64
	mask       *mask // nil: drawn and not remembered
}

func newDropper(p float32, key tensor.RandKey, col, width int) dropper {
	d := dropper{
		on: true, key: philox.Key(key.Seed, key.Step, key.Layer, key.Slot), threshold: philox.Threshold(p),
		col: uint64(col), width: uint64(width),
	}
	if p < 1 {
		d.scale = float32(1 / (1 - float64(p)))
	}
	return d
}

// row computes y = drop(x) for elements of row i from column c on.
func (d *dropper) row(i, c int, x, y []float32) {
	first := uint64(i)*d.width + d.col + uint64(c)
	if d.mask == nil {
		philox.Drop(d.key, first, d.threshold, d.scale, x, y)
		return
	}
	kept := d.mask.kept[i*d.mask.words+c/16:]
	if d.mask.drawn {
		philox.Apply(kept, d.scale, x, y)
		return
	}
	philox.DropKept(d.key, first, d.threshold, d.scale, x, y, kept)
}

// mask remembers which elements a dropout kept, a bit for each: the backward pass does not
// draw again, which is half of its work.
type mask struct {
	of    maskName
	cols  int
	words int // of a row
	drawn bool
	kept  []uint16
}

// maskName is what the bits are a function of, beside the shape.
type maskName struct {
	key              tensor.RandKey
	threshold        uint64
	col, width, rows int
}

// masks are the dropouts of the step at hand, in the order of their first use: so do those of
// the next step find memory of their size.
type masks struct {
	count      tensor.Masks // which of them are remembered
	seed, step uint64
	used       int
	list       []*mask
}

// same reports whether a dropout belongs to the step at hand.
func (m *masks) same(key tensor.RandKey) bool { return m.seed == key.Seed && m.step == key.Step }

// find returns the mask of a dropout of rows×cols elements: of an earlier call, else one to
// draw; nil where rows begin within four words of noise, or there are too many.
func (m *masks) find(key tensor.RandKey, d *dropper, rows, cols int) *mask {
	if !m.count.Fits(int(d.col), int(d.width), rows, cols) {
		return nil
	}
	if !m.same(key) {
		m.seed, m.step, m.used = key.Seed, key.Step, 0
	}
	of := maskName{key: key, threshold: d.threshold, col: int(d.col), width: int(d.width), rows: rows}
	for _, k := range m.list[:m.used] {
		if k.of == of && k.cols == cols {
			return k
		}
	}
	if m.used == tensor.MostMasks {
		return nil
	}
	if m.used == len(m.list) {
		m.list = append(m.list, &mask{})
	}
	k := m.list[m.used]
	m.used++
	words := (cols + 15) / 16
	n := rows * words
	if cap(k.kept) < n {
		k.kept = make([]uint16, n+n/8)
	}
	k.of, k.cols, k.words, k.drawn, k.kept = of, cols, words, false, k.kept[:n]
	return k
}

// ForgetMasks makes the queue draw larger dropout masks again whenever they are needed.
func (q *Queue) ForgetMasks(over int64) {
	q.masks = masks{count: tensor.Masks{Limited: true, Over: over}}
}

// MaskBytes returns the bytes of the masks of the step at hand.
func (q *Queue) MaskBytes() int64 {
	n := int64(0)
	for _, m := range q.masks.list[:q.masks.used] {
		n += 2 * int64(len(m.kept))
	}
	return n
}

// remember gives d the mask of a matrix.
func (q *Queue) remember(key tensor.RandKey, d *dropper, rows, cols int) {
	if d.on {
		if !q.masks.same(key) && q.put.masked() {
			q.flush() // followers hold masks, which are about to be overwritten
		}
		d.mask = q.masks.find(key, d, rows, cols)
	}
}

// rememberGathered is remember for gathered rows, as tensor.Masks counts them.
func (q *Queue) rememberGathered(key tensor.RandKey, d *dropper, rows, cols int) {
	if q.masks.count.Limited {
		q.remember(key, d, rows, cols)
	}
}

// drawn ends the first use of a mask.
func (d *dropper) drawn() {
	if d.mask != nil {
		d.mask.drawn = true
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
	grid
	drop dropper
	x, y matrix[float32]
}

// RunTask computes one block.
func (j *dropoutJob) RunTask(_, task int) {
	r0, r1, c0, c1 := j.part(task)
	for i := r0; i < r1; i++ {
		j.drop.row(i, c0, j.x.row(i)[c0:c1], j.y.row(i)[c0:c1])
	}
}

// Dropout computes y = x/(1-p) where kept, else 0.
func (q *Queue) Dropout(p float32, key tensor.RandKey, x, y tensor.Tensor) {
	matrixOf("Dropout", "x", x)
	want("Dropout", "y", y, tensor.F32, x.Rows, x.Cols)
	if !(p >= 0 && p <= 1) {
		panic(&tensor.ShapeError{Op: "Dropout", Got: fmt.Sprintf("rate %g", p), Want: "0 to 1"})
	}
	if !q.usable(x, y) {
		return
	}
	drop := newDropper(p, key, 0, x.Cols)
	if p > 0 && p < 1 {
		q.remember(key, &drop, x.Rows, x.Cols)
	}
	j := &q.dropout
	joins := q.joins(x, false, nil, []tensor.Tensor{y})
	if joins {
		j = q.put.drops.next()
	} else {
		q.flush()
	}
	j.drop, j.x, j.y = drop, view[float32](x), view[float32](y)
	if joins {
		q.follow(j)
		return
	}
	j.alone(q)
	j.done(q)
}

// block does rows [lo,hi).
func (j *dropoutJob) block(_, lo, hi int) {
	for i := lo; i < hi; i++ {
		j.drop.row(i, 0, j.x.row(i), j.y.row(i))
	}
}

// alone does all rows.
func (j *dropoutJob) alone(q *Queue) {
	if j.x.stride == j.x.cols && j.y.stride == j.y.cols && (j.drop.mask == nil || j.x.cols%16 == 0) {
		j.x, j.y = j.x.flat(), j.y.flat()
	}
	j.grid = newGrid(j.x.rows, j.x.cols)
	q.group.Do(j.tasks(), j)
}

func (j *dropoutJob) done(*Queue) { j.drop.drawn() }
