package cuda

import (
	"fmt"

	"github.com/saint-gnn/saint/internal/philox"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// ForgetMasks does nothing: kernels make masks anew.
func (*Queue) ForgetMasks(int64) {}

// Quantize computes signs = (x + bias > 0), codes and stats = those of act(x + bias).
func (q *Queue) Quantize(h tensor.Quant, bias, x, signs, codes, stats tensor.Tensor) {
	checkQuant("Quantize", h, bias, x, signs, codes, stats)
	if !q.ready(bias, x, signs, codes, stats) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	e := encoding{h, signs, codes, stats}
	if e.inRegisters(bias, x) {
		q.encodeRows(bias, x, e)
		return
	}
	if signs.Present() {
		q.elements(kernel{"quant", "quant_signs"}, x.Rows*tensor.SignBytes(x.Cols), q.with().int(x.Rows, x.Cols).row(bias).mat(x, signs))
	}
	if !codes.Present() {
		return
	}
	groups, width := h.Groups(x.Rows, x.Cols)
	l := q.with().int(groups, width, x.Rows*x.Cols, x.Cols, h.Bits).u64(keyOf(h.Key)).flag(signs.Present()).flag(h.Act == tensor.ReLU)
	l.row(bias).mat(x).row(codes)
	q.rows(kernel{"quant", "quantize"}, groups, l.stats(stats))
}

// Dequantize computes x = values of the codes, 0 without them, less bias, with the signs that they had.
func (q *Queue) Dequantize(h tensor.Quant, bias, signs, codes, stats, x tensor.Tensor) {
	checkQuant("Dequantize", h, bias, x, signs, codes, stats)
	if !q.ready(bias, x, signs, codes, stats) || x.Rows == 0 || x.Cols == 0 {
		return
	}
	_, width := h.Groups(x.Rows, x.Cols)
	if !codes.Present() || x.Cols%width == 0 {
		q.writeRows(&made{of: [4]tensor.Tensor{bias, signs, codes, stats}, quant: h, coded: true}, 0, x)
		return
	}
	l := q.with().int(x.Rows*x.Cols, x.Cols, width, h.Bits).row(codes).stats(stats)
	q.elements(kernel{"quant", "dequantize"}, x.Rows*x.Cols, l.row(bias).mat(signs, x))
}

// Signs computes t = v or -v, with the same probability.
func (q *Queue) Signs(key tensor.RandKey, v float32, t tensor.Tensor) {
	matrixOf("Signs", "t", t)
	if q.ready(t) {
		q.quads(kernel{"quant", "random_signs"}, t.Rows, t.Cols, q.with().int(t.Rows, t.Cols).u64(keyOf(key)).f32(v).mat(t))
	}
}

func keyOf(k tensor.RandKey) uint64 { return philox.Key(k.Seed, k.Step, k.Layer, k.Slot) }

// stats are statistics of either kind.
func (a *args) stats(t tensor.Tensor) *args {
	if t.Type == tensor.I32 {
		return a.row(tensor.Tensor{}).mat(t)
	}
	return a.row(t, tensor.Tensor{}).int(t.Stride)
}

func checkQuant(op string, h tensor.Quant, bias, x, signs, codes, stats tensor.Tensor) {
	matrixOf(op, "x", x)
	option(op, "bias", bias, 1, x.Cols)
	together(op, "codes, stats", codes, stats)
	if signs.Present() {
		want(op, "signs", signs, tensor.U8, x.Rows, tensor.SignBytes(x.Cols))
	} else if bias.Present() {
		panic(&tensor.ShapeError{Op: op, Got: "a bias without signs", Want: "both or neither"})
	}
	if !codes.Present() {
		return
	}
	if h.Group < 0 || h.Bits != 1 && h.Bits != 2 && h.Bits != 4 && h.Bits != 8 {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("%d bits, groups of %d", h.Bits, h.Group), Want: "1, 2, 4 or 8 bits and groups of 0 or more"})
	}
	want(op, "codes", codes, tensor.U8, 1, h.CodeBytes(x.Rows, x.Cols))
	n, _ := h.Groups(x.Rows, x.Cols)
	if stats.Type == tensor.I32 {
		want(op, "stats", stats, tensor.I32, n, 1)
	} else {
		want(op, "stats", stats, tensor.F32, n, 2)
	}
}
