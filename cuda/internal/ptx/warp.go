package ptx

import (
	"fmt"
	"math/bits"
)

// warp is 32 lanes of a block. waiting are those at a barrier.
type warp struct {
	b       *block
	r       []lanes
	pc      [32]int32
	live    uint32
	waiting uint32
	base    int // number of the first lane's thread
}

// read returns the values of an operand.
func (w *warp) read(operand int) *lanes {
	if operand < 0 {
		return &w.b.k.consts[-1-operand]
	}
	return &w.r[operand]
}

// fault ends the launch.
func (w *warp) fault(in *instruction, lane int, what string) {
	thread := -1
	if lane >= 0 {
		thread = w.base + lane
	}
	panic(&Fault{Kernel: w.b.k.Name, Line: in.line, Text: in.text, Block: w.b.id, Thread: thread, What: what})
}

// next returns the lanes that are furthest behind, where they are, and where the others begin.
func (w *warp) next() (group uint32, pc, others int32) {
	const none = int32(1<<31 - 1)
	pc, others = none, none
	for m := w.live &^ w.waiting; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m)
		switch at := w.pc[l]; {
		case at < pc:
			group, pc, others = 1<<l, at, pc
		case at == pc:
			group |= 1 << l
		default:
			others = min(others, at)
		}
	}
	return group, pc, others
}

// run executes until every lane has ended or waits at a barrier.
func (w *warp) run() {
	for w.live&^w.waiting != 0 {
		w.straight(w.next())
	}
}

// straight runs a group of lanes until it splits, meets others or has to wait.
func (w *warp) straight(group uint32, pc, others int32) {
	code := w.b.k.code
	for {
		if int(pc) >= len(code) {
			w.fault(&code[len(code)-1], -1, "runs past the end")
		}
		in := &code[pc]
		w.b.tick(w, in)
		active := w.predicated(in, group)
		switch in.kind {
		case plain:
			if active != 0 {
				in.run(w, in, active)
			}
		case together:
			w.check(in, active)
			in.run(w, in, active)
		case exit:
			w.live &^= active
			if group &^= active; group == 0 {
				return
			}
		case barrier:
			w.place(group, pc+1)
			if active != group {
				w.fault(in, -1, fmt.Sprintf("a barrier that lanes %#x of %#x skip", group&^active, group))
			}
			w.waiting |= active
			return
		case branch:
			w.place(group, pc+1)
			w.place(active, in.target)
			if active != 0 && active != group || active != 0 && in.target >= others {
				return
			}
			if active != 0 {
				pc = in.target
				continue
			}
		}
		if pc++; pc >= others {
			w.place(group, pc)
			return
		}
	}
}

func (w *warp) place(group uint32, pc int32) {
	for ; group != 0; group &= group - 1 {
		w.pc[bits.TrailingZeros32(group)] = pc
	}
}

// predicated returns the lanes of group in which in runs.
func (w *warp) predicated(in *instruction, group uint32) uint32 {
	if in.pred < 0 {
		return group
	}
	var active uint32
	p := &w.r[in.pred]
	for l := range 32 {
		if (p[l] != 0) != in.negate {
			active |= 1 << l
		}
	}
	return active & group
}

// check finds shuffles and votes that do not have the lanes that they name.
func (w *warp) check(in *instruction, active uint32) {
	masks := w.read(in.mask)
	for m := active; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m)
		named := uint32(masks[l])
		switch {
		case named>>l&1 == 0:
			w.fault(in, l, fmt.Sprintf("lane %d is not in its own mask %#x", l, named))
		case named&w.live&^active != 0:
			w.fault(in, l, fmt.Sprintf("lanes %#x of the mask %#x are elsewhere", named&w.live&^active, named))
		case named&^w.live != 0:
			w.fault(in, l, fmt.Sprintf("lanes %#x of the mask %#x have ended", named&^w.live, named))
		}
	}
}

// shuffles by mode. The source lane must take part.
var shuffles = map[string]func(*warp, *instruction, uint32){
	"bfly": shuffle(func(l, b, _ int) int { return l ^ b }),
	"down": shuffle(func(l, b, _ int) int { return l + b }),
	"up":   shuffle(func(l, b, _ int) int { return l - b }),
	"idx":  shuffle(func(_, b, first int) int { return first | b&31 }),
}

func shuffle(source func(l, b, first int) int) func(*warp, *instruction, uint32) {
	return func(w *warp, in *instruction, active uint32) {
		value, by, clamp := *w.read(in.src[0]), w.read(in.src[1]), w.read(in.src[2])
		dst := &w.r[in.dst[0]]
		each(active, func(l int) {
			// The mask of segments: lanes whose bits under it differ are in other segments.
			segment := int(clamp[l] >> 8 & 31)
			s := source(l, int(uint32(by[l])), l&segment)
			ok := s >= 0 && s < 32 && s&segment == l&segment
			if !ok {
				s = l
			}
			if active>>s&1 == 0 {
				w.fault(in, l, fmt.Sprintf("the value of lane %d, which does not take part", s))
			}
			dst[l] = value[s]
			if len(in.dst) > 1 {
				w.r[in.dst[1]][l] = truth(ok)
			}
		})
	}
}

// votes by mode.
var votes = map[string]func(*warp, *instruction, uint32){
	"any":    vote(func(yes, _ uint32) uint64 { return truth(yes != 0) }),
	"all":    vote(func(yes, all uint32) uint64 { return truth(yes == all) }),
	"ballot": vote(func(yes, _ uint32) uint64 { return uint64(yes) }),
}

func vote(result func(yes, all uint32) uint64) func(*warp, *instruction, uint32) {
	return func(w *warp, in *instruction, active uint32) {
		p := w.read(in.src[0])
		var yes uint32
		each(active, func(l int) { yes |= uint32(truth(p[l] != 0)) << l })
		dst := &w.r[in.dst[0]]
		each(active, func(l int) { dst[l] = result(yes, active) })
	}
}
