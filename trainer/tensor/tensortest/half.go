package tensortest

import (
	"bytes"
	"math"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// valueOfHalf returns what a finite number of half precision stands for.
func valueOfHalf(h uint16) float64 {
	v := math.Ldexp(float64(h&0x3ff), -24)
	if e := int(h >> 10 & 31); e > 0 {
		v = math.Ldexp(float64(0x400|h&0x3ff), e-25)
	}
	if h>>15 == 1 {
		v = -v
	}
	return v
}

// runHalfRows compares rows gathered from half precision with the same numbers gathered from single
// precision, where the device has that.
func runHalfRows(e *env) {
	e.Helper()
	if !tensor.TakesHalfRows(e.backend) {
		return
	}
	for _, s := range []shape{{1, 1, false}, {3, 17, true}, {70, 37, false}, {300, 128, true}, {40, 602, false}} {
		host := make([]uint16, (2*s.rows+1)*(s.cols+2))
		for i := range host {
			host[i] = uint16(e.rnd.IntN(0x7c00) | e.rnd.IntN(2)<<15)
		}
		all := e.a.Alloc(tensor.F16, 2*s.rows+1, s.cols+2)
		e.q.Upload(bytesOf(host), all)
		halves := all.ColRange(1, s.cols+1)
		src := e.f32(shape{2*s.rows + 1, s.cols, s.strided}, func(i int) float64 { return valueOfHalf(host[i/s.cols*(s.cols+2)+1+i%s.cols]) })
		idx := e.i32(s.column(), func(int) float64 { return float64(e.rnd.IntN(2*s.rows + 1)) })
		for _, drop := range []tensor.Drop{{}, someDrop(s)} {
			want, got := e.undefined(s), e.undefined(s)
			e.q.GatherRows(src.Tensor, idx.Tensor, drop, want.Tensor)
			e.q.GatherRows(halves, idx.Tensor, drop, got.Tensor)
			if !bytes.Equal(want.raw(), got.raw()) {
				e.Errorf("%s, dropout %g: rows of f16 are not those of f32", s, drop.P)
			}
			if ops, ok := e.q.(tensor.RowOps); ok && s.rows > 1 {
				var made tensor.Tensor
				plain := e.undefined(shape{s.rows, s.cols, false})
				e.q.GatherRows(src.Tensor, idx.Tensor, drop, plain.Tensor)
				ops.Gathered(halves, idx.Tensor, drop, &made)
				e.sameProducts("Gathered from f16", made, plain.Tensor, tensor.Tensor{})
			}
		}
		e.a.Reset()
	}
}
