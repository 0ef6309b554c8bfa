package ptx

import (
	"math/bits"
	"strings"
)

// operation computes a result from up to four values. Values of narrow types have zeros, or
// anything, above them; results have zeros.
type operation struct {
	operands int
	one      func(a uint64) uint64
	two      func(a, b uint64) uint64
	three    func(a, b, c uint64) uint64
	four     func(a, b, c, d uint64) uint64
}

// operations are found by the name of an instruction; lookup makes those with many variants.
var operations = allOperations()

func allOperations() map[string]operation {
	all := map[string]operation{}
	integers(all)
	logic(all)
	singles(all)
	doubles(all)
	return all
}

// lookup returns what executes an instruction and its number of operands, 0 if it is unknown.
func lookup(name string) (func(*warp, *instruction, uint32), int) {
	o, ok := operations[name]
	if !ok {
		parts := strings.Split(name, ".")
		switch parts[0] {
		case "setp":
			o, ok = compareOf(parts)
		case "cvt":
			o, ok = convertOf(parts)
		case "mov", "cvta", "selp":
			o, ok = moveOf(parts)
		}
	}
	if !ok {
		return nil, 0
	}
	if f := fast[name]; f != nil {
		return f, o.operands
	}
	return o.run, o.operands
}

func moveOf(parts []string) (operation, bool) {
	switch parts[0] {
	case "selp":
		return operation{operands: 3, three: func(a, b, c uint64) uint64 {
			if c != 0 {
				return a
			}
			return b
		}}, true
	default:
		// Generic addresses are those of global memory.
		if parts[0] == "cvta" && !strings.Contains(strings.Join(parts, "."), "global") {
			return operation{}, false
		}
		if parts[len(parts)-1] == "pred" {
			return operation{operands: 1, one: func(a uint64) uint64 { return min(a, 1) }}, true // true may be written -1
		}
		return operation{operands: 1, one: func(a uint64) uint64 { return a }}, true
	}
}

// run executes the operation in the active lanes. The loops are written out: this is where kernels
// spend their time.
func (o operation) run(w *warp, in *instruction, active uint32) {
	dst := &w.r[in.dst[0]]
	a := w.read(in.src[0])
	switch o.operands {
	case 1:
		for m := active; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			dst[l] = o.one(a[l])
		}
	case 2:
		b := w.read(in.src[1])
		for m := active; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			dst[l] = o.two(a[l], b[l])
		}
	case 3:
		b, c := w.read(in.src[1]), w.read(in.src[2])
		for m := active; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			dst[l] = o.three(a[l], b[l], c[l])
		}
	default:
		b, c, d := w.read(in.src[1]), w.read(in.src[2]), w.read(in.src[3])
		each(active, func(l int) { dst[l] = o.four(a[l], b[l], c[l], d[l]) })
	}
}

// each calls f for the lanes of a mask.
func each(mask uint32, f func(l int)) {
	if mask == ^uint32(0) {
		for l := range 32 {
			f(l)
		}
		return
	}
	for l := range 32 {
		if mask>>l&1 != 0 {
			f(l)
		}
	}
}
