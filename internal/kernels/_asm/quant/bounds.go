package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/saint-gnn/saint/internal/kernels/asm/stream"
)

// bounds are the least and the largest values so far, in several registers each.
type bounds struct{ lo, hi []vec }

func newBounds() bounds {
	b := bounds{}
	for range 2 {
		b.lo, b.hi = append(b.lo, float(math.Inf(1))), append(b.hi, float(math.Inf(-1)))
	}
	return b
}

func (b *bounds) add(i int, v vec) {
	i %= len(b.lo)
	VMINPS(v, b.lo[i], b.lo[i])
	VMAXPS(v, b.hi[i], b.hi[i])
}

// store writes the least and the largest to out.
func (b *bounds) store() {
	VMINPS(b.lo[1], b.lo[0], b.lo[0])
	VMAXPS(b.hi[1], b.hi[0], b.hi[0])
	lo, hi := b.lo[0], b.hi[0]
	if width == 512 { // down to half
		for _, p := range []struct {
			v    vec
			join func(ops ...Op)
		}{{lo, VMINPS}, {hi, VMAXPS}} {
			half := YMM()
			VEXTRACTF64X4(Imm(1), p.v, half)
			p.join(half, p.v.AsY(), p.v.AsY())
		}
	}
	out := Load(Param("out"), GP64())
	for i, p := range []struct {
		v    vec
		join func(ops ...Op)
	}{{lo, VMINPS}, {hi, VMAXPS}} {
		other, v := XMM(), p.v.AsX()
		VEXTRACTF128(Imm(1), p.v.AsY(), other)
		p.join(other, v, v)
		for _, order := range []uint64{0x4e, 0xb1} { // halves, then neighbours change places
			VPERMILPS(Imm(order), v, other)
			p.join(other, v, v)
		}
		VMOVSS(v, Mem{Base: out, Disp: 4 * i})
	}
}

func extremes() {
	n := begin("range", "func(n int, x *float32, out *[2]float32)", "writes the least and the largest of x.", step)
	x := Load(Param("x"), GP64())
	b := newBounds()
	loop("range", n, step, func() {
		for i := 0; i < step/lanes(); i++ {
			v := newVec()
			VMOVUPS(Mem{Base: x, Disp: i * bytes()}, v)
			b.add(i, v)
		}
		ADDQ(Imm(4*step), x)
	})
	b.store()
	end()
}

// describe finds the statistics of groups, those of several side by side.
func describe() {
	n := begin("describe", "func(n int, levels float32, x *float32, stats *int32, zero, inv *float32)",
		"computes what Stats16 and Inverse do of groups of 64 values.", together*group)
	x, stats := Load(Param("x"), GP64()), Load(Param("stats"), GP64())
	zeros, invs := Load(Param("zero"), GP64()), Load(Param("inv"), GP64())
	levels := YMM()
	VBROADCASTSS(stream.Address("levels"), levels)
	none, sign, high, one, most := half(0), half(1<<31), half(0xffff0000), half(math.Float32bits(1<<16)), half(math.Float32bits(math.MaxFloat32))
	loop("describe", n, together*group, func() {
		b := extremesOf(x, 0, together)
		lo, hi := b[0], b[1]
		VADDPS(none, lo, lo) // -0 becomes 0
		VADDPS(none, hi, hi)
		zero, step, inv, ahead, same := YMM(), YMM(), YMM(), YMM(), YMM()
		VPSRAD(Imm(31), lo, ahead) // down
		VPSRLD(Imm(16), ahead, ahead)
		VPADDD(ahead, lo, zero)
		VPAND(high, zero, zero)
		VSUBPS(zero, hi, step)
		VDIVPS(levels, step, step)
		VPXOR(sign, step, step) // up
		VPSRAD(Imm(31), step, ahead)
		VPSRLD(Imm(16), ahead, ahead)
		VPADDD(ahead, step, step)
		VPAND(high, step, step)
		VPXOR(sign, step, step)
		VDIVPS(step, one, inv)
		VMINPS(inv, most, inv)
		VCMPPS(Imm(0), none, step, same)
		VANDNPS(inv, same, inv)
		VMOVUPS(zero, Mem{Base: zeros})
		VMOVUPS(inv, Mem{Base: invs})
		VPSRLD(Imm(16), zero, zero)
		VPOR(zero, step, step)
		VMOVDQU(step, Mem{Base: stats})
		ADDQ(U32(4*together*group), x)
		for _, p := range []reg.Register{stats, zeros, invs} {
			ADDQ(Imm(4*together), p)
		}
	})
	end()
}

// half returns 256 bits of one 32-bit number.
func half(x uint32) vec {
	was := width
	defer func() { width = was }()
	width = 256
	return word(x)
}

// extremesOf returns the least and the largest values of n groups from group i of x on: of eight
// groups a lane each; of fewer more lanes each, still to be joined.
func extremesOf(x reg.Register, i, n int) (b [2]vec) {
	if n == 1 {
		return extremesOfOne(Mem{Base: x, Disp: 4 * group * i})
	}
	left, right := extremesOf(x, i, n/2), extremesOf(x, i+n/2, n/2)
	for k, join := range []extreme{VMINPS, VMAXPS} {
		first, second := YMM(), YMM()
		switch n {
		case 2:
			VUNPCKLPS(right[k], left[k], first)
			VUNPCKHPS(right[k], left[k], second)
		case 4:
			VUNPCKLPD(right[k], left[k], first)
			VUNPCKHPD(right[k], left[k], second)
		case 8:
			VPERM2F128(Imm(0x20), right[k], left[k], first)
			VPERM2F128(Imm(0x31), right[k], left[k], second)
		}
		join(second, first, first)
		b[k] = first
	}
	return b
}

// extremesOfOne returns eight lanes, the least and the largest of which are those of a group.
func extremesOfOne(x Mem) (b [2]vec) {
	var v []vec
	for i := range 2 {
		v = append(v, newVec())
		VMOVUPS(x.Offset(i*bytes()), v[i])
	}
	for k, join := range []extreme{VMINPS, VMAXPS} {
		b[k] = newVec()
		join(v[1], v[0], b[k])
	}
	for i := 2; i < group/lanes(); i++ {
		w := newVec()
		VMOVUPS(x.Offset(i*bytes()), w)
		VMINPS(w, b[0], b[0])
		VMAXPS(w, b[1], b[1])
	}
	if width == 512 {
		for k, join := range []extreme{VMINPS, VMAXPS} {
			upper := YMM()
			VEXTRACTF64X4(Imm(1), b[k], upper)
			join(upper, b[k].AsY(), upper)
			b[k] = upper
		}
	}
	return b
}
