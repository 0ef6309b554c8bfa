package cpu

import (
	"github.com/saint-gnn/saint/internal/kernels/quant"
	"github.com/saint-gnn/saint/internal/philox"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// groups cuts a matrix into the groups of a tensor.Quant.
type groups struct {
	x            matrix[float32]
	n, width     int
	inRow        int // groups of a row; 0: they cross rows
	bits, bytes  int // of a code; of a whole group's codes
	words        uint64
	key          uint64
	codes        []byte
	stats        []float32 // zero and step; nil: packed has them
	packed       []int32
	statsStride  int
	groupsOfTask int // or rows, where a pass goes over these
}

func newGroups(h tensor.Quant, x, codes, stats tensor.Tensor) groups {
	g := groups{bits: h.Bits, key: philox.Key(h.Key.Seed, h.Key.Step, h.Key.Layer, h.Key.Slot)}
	if x.Mem != nil {
		g.x = view[float32](x)
	}
	g.n, g.width = h.Groups(x.Rows, x.Cols)
	if g.width > 0 && x.Cols%g.width == 0 {
		g.inRow = x.Cols / g.width
	}
	g.groupsOfTask = max(1, flatBlock/max(1, g.width))
	if !codes.Present() {
		return g
	}
	g.bytes, g.words, g.codes, g.statsStride = quant.Bytes(h.Bits, g.width), quant.Words(g.width), view[uint8](codes).s, stats.Stride
	switch {
	case !stats.Present():
	case stats.Type == tensor.I32:
		g.packed = view[int32](stats).s
	default:
		g.stats = view[float32](stats).s
	}
	return g
}

// span returns group i as a range of elements, counted row after row.
func (g *groups) span(i int) (lo, hi int) {
	return i * g.width, min((i+1)*g.width, g.x.rows*g.x.cols)
}

// copy copies the values of group i from x to buf or, if back is set, to x.
func (g *groups) copy(i int, buf []float32, back bool) {
	at, end := g.span(i)
	for at < end {
		r, c := at/g.x.cols, at%g.x.cols
		row := g.x.row(r)[c:min(g.x.cols, c+end-at)]
		if back {
			copy(row, buf)
		} else {
			copy(buf, row)
		}
		buf, at = buf[len(row):], at+len(row)
	}
}

// direct returns the values of group i in x's own memory, if they lie there in one piece.
func (g *groups) direct(i int) []float32 {
	lo, hi := g.span(i)
	switch {
	case g.inRow > 0:
		return g.x.row(i / g.inRow)[i%g.inRow*g.width:][:g.width]
	case g.x.stride == g.x.cols || g.x.rows == 1:
		return g.x.s[lo:hi:hi]
	}
	return nil
}

// pack writes codes and statistics of group i, whose values are x, from lo to hi.
func (g *groups) pack(i int, x []float32, lo, hi float32) {
	if g.bits == tensor.BF16Bits {
		quant.Brief(x, g.codes[i*g.bytes:])
		return
	}
	zero, inv := g.describe(i, lo, hi)
	n := quant.Bytes(g.bits, len(x))
	quant.Pack(g.bits, zero, inv, g.key, uint64(i)*g.words, x, g.codes[i*g.bytes:][:n])
}

// describe writes the statistics of group i and returns what its codes are made with.
func (g *groups) describe(i int, lo, hi float32) (zero, inv float32) {
	var step float32
	at := i * g.statsStride
	if g.packed != nil {
		p := quant.Stats16(g.bits, lo, hi)
		g.packed[at] = int32(p)
		zero, step = quant.Split(p)
	} else {
		zero, step = quant.Stats(g.bits, lo, hi)
		g.stats[at], g.stats[at+1] = zero, step
	}
	return zero, quant.Inverse(step)
}

// unpack writes the values of group i to x.
func (g *groups) unpack(i int, x []float32) {
	if g.bits == tensor.BF16Bits {
		quant.Widen(g.codes[i*g.bytes:], x)
		return
	}
	zero, step := g.statsOf(i)
	quant.Unpack(g.bits, zero, step, g.codes[i*g.bytes:], x)
}

// statsOf returns the statistics of group i.
func (g *groups) statsOf(i int) (zero, step float32) {
	at := i * g.statsStride
	if g.packed != nil {
		return quant.Split(uint32(g.packed[at]))
	}
	return g.stats[at], g.stats[at+1]
}

// few reports whether the groups are of the size and form that kernels do side by side.
func (g *groups) few() bool {
	return g.width == quant.Few && g.inRow > 0 && g.bits != tensor.BF16Bits && g.packed != nil && g.statsStride == 1
}

// unpackRow writes row i, whose groups do not cross rows, to x.
func (g *groups) unpackRow(i int, x []float32) {
	first := i * g.inRow
	if g.few() {
		quant.UnpackGroups(g.bits, g.packed[first:first+g.inRow], g.codes[first*g.bytes:(first+g.inRow)*g.bytes], x)
		return
	}
	for k := range g.inRow {
		g.unpack(first+k, x[k*g.width:][:g.width])
	}
}

// cuts reports whether columns [from,to) are a part of a row that has codes of its own.
func (g *groups) cuts(from, to int) bool {
	return g.inRow > 0 && to-from < g.inRow*g.width && (from|to)%quant.Unit == 0 && (g.few() || g.inRow == 1) && g.bits != tensor.BF16Bits
}

// unpackPart writes the values of row i from column from on to x, if cuts says that it may.
func (g *groups) unpackPart(i, from int, x []float32) {
	if g.few() {
		first := i*g.inRow + from/quant.Few
		n := len(x) / quant.Few
		quant.UnpackGroups(g.bits, g.packed[first:first+n], g.codes[first*g.bytes:(first+n)*g.bytes], x)
		return
	}
	zero, step := g.statsOf(i)
	quant.Unpack(g.bits, zero, step, g.codes[i*g.bytes+from*g.bits/8:], x)
}
