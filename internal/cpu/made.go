package cpu

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/kernels/half"
	"github.com/saint-gnn/saint/internal/kernels/quant"
	"github.com/saint-gnn/saint/internal/kernels/rows"
	"github.com/saint-gnn/saint/trainer/tensor"
)

var _ tensor.UnitRowOps = (*Queue)(nil)

// MakesUnitRows says that rows of length one may be made.
func (*Queue) MakesUnitRows() {}

// made is the memory of a matrix whose rows are made by who reads them: decoded, or gathered.
type made struct {
	cols int
	of   [4]tensor.Tensor // what the rows are made of

	groups groups // of the codes
	coded  bool
	bias   []float32
	above  []float32 // values a little above -bias
	signs  matrix[uint8]
	signed bool

	src    matrix[float32]
	halves matrix[uint16] // in place of src, if that is in half precision
	idx    matrix[int32]  // rows of src; else there are codes
	drop   dropper
}

// row writes row i to x. Values do not depend on who asks.
func (m *made) row(i int, x []float32) {
	if m.idx.s != nil {
		k := int(m.idx.s[i*m.idx.stride])
		if uint(k) >= uint(max(m.src.rows, m.halves.rows)) {
			clear(x) // the queue has failed where the rows were gathered before
			return
		}
		if m.halves.s != nil {
			h := m.halves.row(k)
			half.Decode(h, h, x[:len(h)])
			if m.drop.on {
				m.drop.row(i, 0, x, x)
			}
			return
		}
		if m.drop.on {
			m.drop.row(i, 0, m.src.row(k), x)
			return
		}
		copy(x, m.src.row(k))
		return
	}
	if m.coded {
		m.groups.unpackRow(i, x)
	} else {
		clear(x)
	}
	if m.signed {
		quant.Unstage(m.bias, m.above, m.signs.row(i), x)
	}
}

// Read writes rows [lo,hi) to dst; it makes m the rows of a product's left operand.
func (m *made) Read(_ int, dst []float32, ld, lo, hi, from, to int) {
	part := m.coded && m.groups.cuts(from, to)
	for i := lo; i < hi; i++ {
		if i+1 < hi {
			m.fetch(i + 1)
		}
		x := dst[(i-lo)*ld:][:m.cols]
		if !part {
			m.row(i, x)
			continue
		}
		m.groups.unpackPart(i, from, x[from:to])
		if m.signed {
			quant.Unstage(m.bias[from:], m.above[from:], m.signs.row(i)[from/8:], x[from:to])
		}
	}
}

// fetch asks for what row i is made of, where that lies anywhere.
func (m *made) fetch(i int) {
	if m.idx.s == nil || m.src.s == nil {
		return
	}
	if k := int(m.idx.s[i*m.idx.stride]); uint(k) < uint(m.src.rows) {
		rows.Fetch(m.src.row(k))
	}
}

// madeOf returns what makes the rows of t, and nil where they lie in memory.
func madeOf(t tensor.Tensor) *made {
	m, _ := t.Mem.(*made)
	return m
}

// source is an operand whose rows lie in memory or are made.
type source struct {
	matrix[float32]
	made *made
}

// sourceOf returns the rows of t.
func sourceOf(t tensor.Tensor) source {
	if m := madeOf(t); m != nil {
		return source{matrix[float32]{rows: t.Rows, cols: t.Cols, stride: t.Stride}, m}
	}
	return source{view[float32](t), nil}
}

// operandsOf returns what the rows of t are made of, or t where they lie in memory.
func operandsOf(t tensor.Tensor) [4]tensor.Tensor {
	if m := madeOf(t); m != nil {
		return m.of
	}
	return [4]tensor.Tensor{t}
}

// solid returns t, or nothing where its rows are made: what there has to be memory for.
func solid(t tensor.Tensor) tensor.Tensor {
	if madeOf(t) != nil {
		return tensor.Tensor{}
	}
	return t
}

// masked reports whether rows are made with a mask.
func (s *source) masked() bool { return s.made != nil && s.made.drop.mask != nil }

// at returns row i, in buf if it has to be made.
func (s *source) at(i int, buf []float32) []float32 {
	if s.made == nil {
		return s.row(i)
	}
	s.made.row(i, buf)
	return buf
}

// soon returns the memory of row i, nil if it has none.
func (s *source) soon(i int) []float32 {
	if s.made != nil {
		return nil
	}
	return s.row(i)
}

// makeRows makes *t a matrix of rows that m makes, in the memory of the earlier *t.
func makeRows(n, cols int, m made, t *tensor.Tensor) {
	to := madeOf(*t)
	if to == nil {
		to = &made{}
	}
	m.cols, m.above = cols, to.above
	if m.signed {
		m.above = above(m.bias, m.above)
	}
	*to = m
	*t = tensor.Tensor{Mem: to, Rows: n, Cols: cols, Stride: cols, Type: tensor.F32, ID: newID(0)}
}

// Decoded makes *t what Dequantize would write.
func (q *Queue) Decoded(h tensor.Quant, bias, signs, codes, stats tensor.Tensor, rows, cols int, t *tensor.Tensor) {
	const op = "Decoded"
	x := tensor.Tensor{Rows: rows, Cols: cols, Stride: cols, Type: tensor.F32}
	checkQuant(op, h, bias, x, signs, codes, stats)
	if h.Group > 0 && cols%h.Group != 0 {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("groups of %d in rows of %d", h.Group, cols), Want: "groups that do not cross rows"})
	}
	if !q.usable(bias, signs, codes, stats) { // nothing is read yet
		*t = x
		return
	}
	m := made{of: [4]tensor.Tensor{bias, signs, codes, stats}, coded: codes.Present(), signed: signs.Present(), signs: view[uint8](signs)}
	m.groups = newGroups(h, x, codes, stats)
	if m.signed {
		m.bias = q.zeroRow(cols)
		if bias.Present() {
			m.bias = view[float32](bias).s
		}
	}
	makeRows(rows, cols, m, t)
}

// above returns quant.Above of a bias, in buf if there is room.
func above(bias, buf []float32) []float32 {
	if cap(buf) < len(bias) {
		buf = make([]float32, len(bias))
	}
	buf = buf[:len(bias)]
	quant.Above(bias, buf)
	return buf
}

// oneRow returns the memory of t as one row: of operands of which any row may be read at any time.
func oneRow(t tensor.Tensor) tensor.Tensor {
	if t.Rows > 1 && t.Cols > 0 {
		t.Cols += (t.Rows - 1) * t.Stride
		t.Rows, t.Stride = 1, t.Cols
	}
	return t
}

// Gathered makes *t what GatherRows would write.
func (q *Queue) Gathered(src, idx tensor.Tensor, drop tensor.Drop, t *tensor.Tensor) {
	const op = "Gathered"
	halves := src.Type == tensor.F16
	if !halves {
		matrixOf(op, "src", src)
	}
	want(op, "idx", idx, tensor.I32, idx.Rows, 1)
	x := tensor.Tensor{Rows: idx.Rows, Cols: src.Cols, Stride: src.Cols, Type: tensor.F32}
	drops := dropOf(op, drop, x)
	if !q.usable(src, idx) { // nothing is read yet
		*t = x
		return
	}
	q.rememberGathered(drop.Key, &drops, x.Rows, x.Cols)
	if drops.mask != nil && !drops.mask.drawn {
		drops.mask = nil // nobody knows who reads a row first
	}
	m := made{of: [4]tensor.Tensor{oneRow(src), idx}, idx: view[int32](idx), drop: drops}
	if halves {
		m.halves = view[uint16](src)
	} else {
		m.src = view[float32](src)
	}
	makeRows(idx.Rows, src.Cols, m, t)
}
