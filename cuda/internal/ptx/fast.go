package ptx

import (
	"math"
	"math/bits"
)

// fast are whole-warp versions of the instructions that kernels spend their time in. A call for
// every lane is most of the cost of the others.
var fast = map[string]func(w *warp, in *instruction, active uint32){
	"mov.u32":    fastMove,
	"mov.f32":    fastMove,
	"mov.b32":    fastMove,
	"add.s32":    fastAdd32,
	"add.s64":    fastAdd64,
	"mul.lo.s32": fastMul32,
	"fma.rn.f32": fastFMA,
	"add.rn.f32": fastAddF,
	"mul.rn.f32": fastMulF,
	"sub.rn.f32": fastSubF,
}

func fastMove(w *warp, in *instruction, active uint32) {
	dst, a := &w.r[in.dst[0]], w.read(in.src[0])
	if active == ^uint32(0) {
		*dst = *a
		return
	}
	for m := active; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		dst[l] = a[l]
	}
}

func fastAdd32(w *warp, in *instruction, active uint32) {
	dst, a, b := &w.r[in.dst[0]], w.read(in.src[0]), w.read(in.src[1])
	for m := active; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		dst[l] = uint64(uint32(a[l]) + uint32(b[l]))
	}
}

func fastAdd64(w *warp, in *instruction, active uint32) {
	dst, a, b := &w.r[in.dst[0]], w.read(in.src[0]), w.read(in.src[1])
	for m := active; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		dst[l] = a[l] + b[l]
	}
}

func fastMul32(w *warp, in *instruction, active uint32) {
	dst, a, b := &w.r[in.dst[0]], w.read(in.src[0]), w.read(in.src[1])
	for m := active; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		dst[l] = uint64(uint32(a[l]) * uint32(b[l]))
	}
}

func fastAddF(w *warp, in *instruction, active uint32) {
	dst, a, b := &w.r[in.dst[0]], w.read(in.src[0]), w.read(in.src[1])
	for m := active; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		dst[l] = u32(f32(a[l]) + f32(b[l]))
	}
}

func fastSubF(w *warp, in *instruction, active uint32) {
	dst, a, b := &w.r[in.dst[0]], w.read(in.src[0]), w.read(in.src[1])
	for m := active; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		dst[l] = u32(f32(a[l]) - f32(b[l]))
	}
}

func fastMulF(w *warp, in *instruction, active uint32) {
	dst, a, b := &w.r[in.dst[0]], w.read(in.src[0]), w.read(in.src[1])
	for m := active; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		dst[l] = u32(f32(a[l]) * f32(b[l]))
	}
}

// fastFMA adds in float64, which gives what one rounding would unless the sum is a tie between two
// numbers of float32 or below the normal ones.
func fastFMA(w *warp, in *instruction, active uint32) {
	const (
		below = 1<<29 - 1 // bits of a float64 behind those of a float32
		tie   = 1 << 28
		least = 0x1p-126
	)
	dst, a, b, c := &w.r[in.dst[0]], w.read(in.src[0]), w.read(in.src[1]), w.read(in.src[2])
	for m := active; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		s := float64(f32(a[l]))*float64(f32(b[l])) + float64(f32(c[l]))
		if math.Float64bits(s)&below == tie || s != 0 && math.Abs(s) < least {
			s = float64(fma32(f32(a[l]), f32(b[l]), f32(c[l])))
		}
		dst[l] = u32(float32(s))
	}
}

// word is a load of one 32-bit element from shared or global memory.
func (a *access) word(w *warp, in *instruction, active uint32) {
	dst, addr := &w.r[in.dst[0]], w.read(in.src[0])
	var last *allocation
	for m := active; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		at := addr[l] + in.off
		if a.space == "global" && at&3 == 0 {
			// Lanes mostly read the same allocation.
			if last != nil && at-last.addr < uint64(len(last.bytes)) && at-last.addr+4 <= uint64(len(last.bytes)) {
				dst[l] = get(last.bytes[at-last.addr:], 4)
				continue
			}
			if line := at >> lineBits; line < uint64(len(w.b.mem.lines)) {
				last = w.b.mem.lines[line]
			}
		}
		dst[l] = get(a.bytes(w, in, at, l), 4)
	}
}
