package cuda

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

var _ tensor.RowOps = (*Queue)(nil)

// made is the memory of a matrix that is not written out: of codes, or of rows that are gathered.
type made struct {
	of    [4]tensor.Tensor // bias, signs, codes and stats, or src and idx
	quant tensor.Quant
	coded bool
	drop  tensor.Drop
}

// madeOf returns what makes t, and nil where it lies in memory.
func madeOf(t tensor.Tensor) *made {
	m, _ := t.Mem.(*made)
	return m
}

// codedOf returns the codes that t is made of, and nil where it is not.
func codedOf(t tensor.Tensor) *made {
	if m := madeOf(t); m != nil && m.coded {
		return m
	}
	return nil
}

// solid returns t, or nothing where it is made.
func solid(t tensor.Tensor) tensor.Tensor {
	if madeOf(t) != nil {
		return tensor.Tensor{}
	}
	return t
}

// readyWith is ready for operands of which x may be made.
func (q *Queue) readyWith(x tensor.Tensor, ts ...tensor.Tensor) bool {
	if m := madeOf(x); m != nil {
		return q.ready(m.of[:]...) && q.ready(ts...)
	}
	return q.ready(x) && q.ready(ts...)
}

// makeRows makes *t a matrix that m makes, in the memory of the earlier *t.
func makeRows(rows, cols int, m made, t *tensor.Tensor) {
	to := madeOf(*t)
	if to == nil {
		to = &made{}
	}
	*to = m
	*t = tensor.Tensor{Mem: to, Rows: rows, Cols: cols, Stride: cols, Type: tensor.F32, ID: ids.Add(1)}
}

// Decoded makes *t what Dequantize would write.
func (q *Queue) Decoded(h tensor.Quant, bias, signs, codes, stats tensor.Tensor, rows, cols int, t *tensor.Tensor) {
	const op = "Decoded"
	checkQuant(op, h, bias, tensor.Tensor{Rows: rows, Cols: cols, Stride: cols, Type: tensor.F32, Mem: noMemory}, signs, codes, stats)
	if h.Group > 0 && cols%h.Group != 0 {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("groups of %d in rows of %d", h.Group, cols), Want: "groups that do not cross rows"})
	}
	makeRows(rows, cols, made{of: [4]tensor.Tensor{bias, signs, codes, stats}, quant: h, coded: true}, t)
}

// Gathered makes *t what GatherRows would write.
func (q *Queue) Gathered(src, idx tensor.Tensor, drop tensor.Drop, t *tensor.Tensor) {
	const op = "Gathered"
	if src.Type != tensor.F16 {
		matrixOf(op, "src", src)
	}
	want(op, "idx", idx, tensor.I32, idx.Rows, 1)
	dropOf(op, drop, tensor.Tensor{Rows: idx.Rows, Cols: src.Cols, Stride: src.Cols, Type: tensor.F32})
	makeRows(idx.Rows, src.Cols, made{of: [4]tensor.Tensor{src, idx}, drop: drop}, t)
}

// width returns the columns of a group.
func (m *made) width(cols int) int {
	if m.quant.Group > 0 {
		return m.quant.Group
	}
	return cols
}

// whole reports whether four values from a column that is a multiple of 4 are in one group and one aligned word of
// codes, and of the bias.
func (m *made) whole(cols int) bool {
	bias, codes, width := m.of[0], m.of[2], m.width(cols)
	bytes := (width*m.quant.Bits + 7) / 8
	return cols%4 == 0 && aligned(bias) && (!codes.Present() || width%4 == 0 && bytes%4 == 0 && address(codes)%4 == 0)
}

// coded are the codes of a matrix with groups within its rows.
func (a *args) coded(m *made, cols int) *args {
	width := m.width(cols)
	return a.row(m.of[2]).stats(m.of[3]).int(max(m.quant.Bits, 1), width, cols/width).flag(m.whole(cols)).row(m.of[0]).mat(m.of[1])
}

// writeRows writes rows [from,from+x.Rows) of what m makes to x.
func (q *Queue) writeRows(m *made, from int, x tensor.Tensor) {
	if m.coded {
		l := q.with().int(x.Rows, x.Cols, from).coded(m, x.Cols).mat(x).flag(aligned(x))
		q.quads(kernel{"quant", "decode_rows"}, x.Rows, x.Cols, l)
		return
	}
	src, idx := m.of[0], m.of[1].RowRange(from, from+x.Rows)
	q.checked = true
	q.gather(src, idx, from, dropOf("Gathered", m.drop, x), x)
}

// written returns x in memory, in scratch memory if it is made and not of codes.
func (q *Queue) written(x tensor.Tensor) tensor.Tensor {
	m := madeOf(x)
	if m == nil || m.coded {
		return x
	}
	t := q.lend(x.Rows, x.Cols)
	q.writeRows(m, 0, t)
	return t
}

// lend returns a matrix of scratch memory that belongs to the operation until restore.
func (q *Queue) lend(rows, cols int) tensor.Tensor {
	q.lent.base = q.temporary(4 * rows * cols)
	q.under += int64(ceil(4*rows*cols, 256) * 256)
	return tensor.Tensor{Mem: &q.lent, Rows: rows, Cols: cols, Stride: cols, Type: tensor.F32}
}

// restore ends the use of what lend returned.
func (q *Queue) restore() { q.under = 0 }
