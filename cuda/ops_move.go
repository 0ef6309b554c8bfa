package cuda

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// HalfRows reports that rows may be gathered from half precision.
func (*Backend) HalfRows() bool { return true }

// GatherRows computes dst[i] = drop(src[idx[i]]). An index outside src is reported by Sync.
func (q *Queue) GatherRows(src, idx tensor.Tensor, drop tensor.Drop, dst tensor.Tensor) {
	const op = "GatherRows"
	halves := src.Type == tensor.F16 && dst.Type == tensor.F32
	if !halves {
		want(op, "src", src, dst.Type, src.Rows, dst.Cols)
	} else {
		want(op, "src", src, tensor.F16, src.Rows, dst.Cols)
	}
	want(op, "idx", idx, tensor.I32, dst.Rows, 1)
	want(op, "dst", dst, dst.Type, dst.Rows, dst.Cols)
	drops := dropOf(op, drop, dst)
	if drops.threshold != 0 {
		matrixOf(op, "dst", dst)
	}
	if !q.ready(src, idx, dst) || dst.Rows == 0 || dst.Cols == 0 {
		return
	}
	q.checked = true
	if dst.Type == tensor.U8 {
		a := q.with().int(dst.Rows, dst.Cols).mat(src).int(src.Rows).mat(idx).mat(dst)
		q.rows(kernel{"gather", "gather_bytes"}, dst.Rows, a.ptr(q.fault).int(reportGather))
		return
	}
	q.gather(src, idx, 0, drops, dst)
}

// gather is GatherRows of floating-point numbers for rows that dropout counts from a given one on.
func (q *Queue) gather(src, idx tensor.Tensor, from int, drops dropout, dst tensor.Tensor) {
	k, vec := kernel{"gather", "gather_words"}, aligned(src, dst)
	if src.Type == tensor.F16 {
		k.name, vec = "gather_half", aligned(dst) && address(src)%8 == 0 && src.Stride%4 == 0
	}
	a := q.with().int(dst.Rows, dst.Cols, from).mat(src).int(src.Rows).mat(idx, dst)
	q.rows(k, dst.Rows, a.drop(drops).flag(vec).ptr(q.fault).int(reportGather))
}

// Axpby computes y = alpha x + beta y; x of one row is broadcast. With beta 0 y is not read.
func (q *Queue) Axpby(alpha float32, x tensor.Tensor, beta float32, y tensor.Tensor) {
	matrixOf("Axpby", "y", y)
	if x.Rows == 1 {
		want("Axpby", "x", x, tensor.F32, 1, y.Cols)
		x.Stride = 0
	} else {
		want("Axpby", "x", x, tensor.F32, y.Rows, y.Cols)
	}
	if q.ready(x, y) {
		q.quads(kernel{"map", "axpby"}, y.Rows, y.Cols, q.with().int(y.Rows, y.Cols).f32(alpha).mat(x).f32(beta).mat(y).flag(aligned(x, y)))
	}
}

// Fill computes t = v, converted to t's element type.
func (q *Queue) Fill(v float32, t tensor.Tensor) {
	want("Fill", "t", t, t.Type, t.Rows, t.Cols)
	if !q.ready(t) {
		return
	}
	a := q.with().int(t.Rows, t.Cols)
	switch t.Type {
	case tensor.U8:
		q.quads(kernel{"map", "fill_u8"}, t.Rows, t.Cols, a.int(int(uint8(v))).mat(t))
	case tensor.I32:
		// The kernel moves the bits of its value and does nothing else to them.
		v = math.Float32frombits(uint32(int32(v)))
		fallthrough
	case tensor.F32:
		q.quads(kernel{"map", "fill_f32"}, t.Rows, t.Cols, a.f32(v).mat(t).flag(aligned(t)))
	default:
		q.fail(fmt.Errorf("cuda: Fill of %s", t))
	}
}

// Scale computes t = f t.
func (q *Queue) Scale(f float32, t tensor.Tensor) {
	matrixOf("Scale", "t", t)
	if q.ready(t) {
		q.quads(kernel{"map", "scale"}, t.Rows, t.Cols, q.with().int(t.Rows, t.Cols).f32(f).mat(t).flag(aligned(t)).row(q.held))
	}
}

// Dropout computes y = x/(1-p) where kept, else 0.
func (q *Queue) Dropout(p float32, key tensor.RandKey, x, y tensor.Tensor) {
	matrixOf("Dropout", "x", x)
	want("Dropout", "y", y, tensor.F32, x.Rows, x.Cols)
	if !(p >= 0 && p <= 1) {
		panic(&tensor.ShapeError{Op: "Dropout", Got: fmt.Sprintf("rate %g", p), Want: "0 to 1"})
	}
	if q.ready(x, y) {
		d := newDropout(p, key, 0, x.Cols)
		a := q.with().int(x.Rows, x.Cols).mat(x).mat(y).u64(d.key).u64(d.threshold).f32(d.scale)
		q.quads(kernel{"map", "dropout"}, x.Rows, x.Cols, a.flag(aligned(x, y)))
	}
}
