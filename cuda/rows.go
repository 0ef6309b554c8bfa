package cuda

import (
	"github.com/saint-gnn/saint/trainer/tensor"
)

// mostRow is the most columns that a warp keeps in registers on the way, mostCoded those of a group.
const (
	mostRow   = 512
	mostCoded = 1024
)

// backThreads are those of a block of the gradient of rows, which takes many registers.
const backThreads = 128

// sized names the kernel for rows of that many columns.
func sized(name string, cols int) string {
	switch {
	case cols <= 128:
		return name + "_1"
	case cols <= 256:
		return name + "_2"
	}
	return name + "_4"
}

// rowPass is a pass over rows that the queue has not launched yet: the next operation may have more to do
// with them. It is codes and signs of x, or bias, activation and norm of x and all codes there are.
type rowPass struct {
	waits, norm bool

	act                                   int
	bias, scale, offset, x, y, mean, rstd tensor.Tensor
	drop                                  dropout

	in, out encoding // of x + bias, and of y
	args    args
}

// encoding is where codes and signs of a matrix go.
type encoding struct {
	quant               tensor.Quant
	signs, codes, stats tensor.Tensor
}

// sameView reports whether two tensors are the same elements, or both absent.
func sameView(t, u tensor.Tensor) bool {
	return t.Mem == u.Mem && t.Off == u.Off && t.Rows == u.Rows && t.Cols == u.Cols && (t.Stride == u.Stride || t.Rows == 1)
}

// inRows reports whether a warp can keep the rows of matrices in registers on the way: they are narrow enough, and begin,
// as do the vectors among ts, where wide loads may.
func inRows(cols int, drop dropout, ts ...tensor.Tensor) bool {
	return cols <= mostRow && cols%4 == 0 && (drop.col|drop.width)%4 == 0 && aligned(ts...)
}

// inRegisters reports whether a warp can make the codes: groups are whole rows, or 64 or 128 columns, and
// their codes fill blocks.
func (e *encoding) inRegisters(bias, x tensor.Tensor) bool {
	rows, cols := x.Rows, x.Cols
	if cols%4 != 0 || !aligned(bias, x) {
		return false
	}
	if !e.codes.Present() {
		return true
	}
	_, width := e.quant.Groups(rows, cols)
	if width != cols && width != 64 && width != 128 || cols%width != 0 || width == cols && cols > mostCoded {
		return false
	}
	bits := width * e.quant.Bits
	return (bits%128 == 0 || bits == 64) && address(e.codes)%4 == 0
}

// encoding is where codes go.
func (a *args) encoding(e *encoding, rows, cols int) *args {
	_, width := e.quant.Groups(rows, cols)
	if !e.codes.Present() {
		width = cols
	}
	return a.row(e.codes).stats(e.stats).int(max(e.quant.Bits, 1), width, cols/width).u64(keyOf(e.quant.Key))
}

// normRows does bias, activation and norm of rows together with the codes of x that wait.
func (q *Queue) normRows(p rowPass) {
	w := &q.pass
	if w.waits && !w.norm && sameView(w.x, p.x) && sameView(w.bias, p.bias) {
		p.in = w.in
	} else {
		q.settle()
	}
	p.waits = true
	*w = p
}

// encodeRows makes codes that a warp can make, together with what made x if that waits.
func (q *Queue) encodeRows(bias, x tensor.Tensor, e encoding) {
	w := &q.pass
	if w.waits && w.norm && sameView(w.y, x) && !bias.Present() && (!e.signs.Present() || !e.codes.Present()) {
		w.out = e
		q.settle()
		return
	}
	q.settle()
	*w = rowPass{waits: true, bias: bias, x: x, in: e}
	if x.Cols > mostRow {
		q.settle() // no norm will join it
	}
}

// settle launches what waits.
func (q *Queue) settle() {
	p := &q.pass
	if !p.waits {
		return
	}
	p.waits = false
	a, x := &p.args, p.x
	a.n = 0
	relu := p.in.quant.Act == tensor.ReLU
	if p.norm {
		a.int(x.Rows, x.Cols, p.act).row(p.bias, p.scale, p.offset).mat(x, p.y, p.mean, p.rstd).drop(p.drop)
		a.mat(p.in.signs).flag(relu).encoding(&p.in, x.Rows, x.Cols).mat(p.out.signs).encoding(&p.out, x.Rows, x.Cols)
		q.rows(kernel{"rows", sized("norm_rows", x.Cols)}, x.Rows, a)
		return
	}
	name, cols := "quantize_rows_4", 512
	switch _, width := p.in.quant.Groups(x.Rows, x.Cols); {
	case x.Cols <= 128:
		name, cols = "quantize_rows_1", 128
	case p.in.codes.Present() && width == x.Cols && x.Cols > 512:
		name, cols = "quantize_rows_8", mostCoded
	}
	a.int(x.Rows, x.Cols).row(p.bias).mat(x).mat(p.in.signs).flag(relu).encoding(&p.in, x.Rows, x.Cols)
	q.rows(kernel{"rows", name}, x.Rows*ceil(x.Cols, cols), a)
}
