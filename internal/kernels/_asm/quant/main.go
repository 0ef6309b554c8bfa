// Command quant writes the kernels of internal/kernels/quant.
package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/saint-gnn/saint/internal/kernels/asm/stream"
)

// step is what a round of range, stage and unstage takes, unit what one of pack and unpack does;
// group is the size of groups that have kernels, together how many of them describe takes.
const (
	step     = 32
	unit     = 128
	group    = 64
	together = 8
)

type vec = reg.VecVirtual

// The instruction set that is being written.
var (
	width  int // bits of a vector
	suffix string
)

func main() {
	ConstraintExpr("amd64,!noasm")
	orders := map[int]Mem{}
	for _, width = range []int{256, 512} {
		orders[width] = stream.Order(width)
	}
	groupOrders := map[int]Mem{256: orders[256], 512: order("groupOrder", 0, 8, 1, 9, 2, 10, 3, 11)}
	pairOrders := map[int]Mem{256: order("pairOrderAVX2", 0, 8, 1, 9), 512: order("pairOrderAVX512", 0, 4, 1, 5, 8, 12, 9, 13)}
	bitOfLane := GLOBL("bitOfLane", RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(1<<i))
	}
	noise := noiseBytes()
	for _, width = range []int{256, 512} {
		suffix = stream.Suffix[width]
		extremes()
		stage()
		unstage(bitOfLane)
		brief()
		widen()
		for _, bits := range []int{1, 2, 4, 8} {
			pack(bits, orders[width], noise, false)
			unpack(bits)
			if bits > 1 { // groups then have blocks of 16 bytes
				pack(bits, groupOrders[width], noise, true)
				unpackGroups(bits)
			} else {
				packPairs(pairOrders[width], noise)
				unpackShort()
			}
		}
		describe()
	}
	Generate()
}

// noiseBytes are the shuffles that move bytes k and k+1 of every word to its low half.
func noiseBytes() (list [4]Mem) {
	for k := range list {
		list[k] = GLOBL(fmt.Sprintf("noise%d", k), RODATA|NOPTR)
		for i := range 8 {
			at := 4 * (i % 4)
			DATA(4*i, U32(uint32(at+k)|uint32(at+(k+1)%4)<<8|0x8080<<16))
		}
	}
	return list
}

// order is stream.Order for some of the blocks of two groups.
func order(name string, blocks ...uint64) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i, v := range blocks {
		DATA(8*i, U64(v))
	}
	return m
}

func begin(name, sig, doc string, multiple int) reg.Register {
	TEXT(name+suffix, NOSPLIT, sig)
	Doc(fmt.Sprintf("%s%s %s n is a multiple of %d and at least that.", name, suffix, doc, multiple))
	Pragma("noescape")
	n := Load(Param("n"), GP64())
	return n
}

func loop(name string, n reg.Register, multiple int, body func()) {
	Label(name + suffix + "_loop")
	body()
	SUBQ(U32(uint32(multiple)), n)
	JNZ(LabelRef(name + suffix + "_loop"))
}

func end() {
	VZEROUPPER()
	RET()
}

func newVec() vec { return stream.Vec(width) }

// bytes is the size of a vector, lanes the number of float32 in it.
func bytes() int { return width / 8 }
func lanes() int { return width / 32 }

// word returns a vector of one 32-bit number.
func word(x uint32) vec {
	g, s, v := GP32(), XMM(), newVec()
	MOVL(U32(x), g)
	VMOVD(g, s)
	VPBROADCASTD(s, v)
	return v
}

func float(x float64) vec { return word(math.Float32bits(float32(x))) }

func broadcast(param string) vec {
	v := newVec()
	VBROADCASTSS(stream.Address(param), v)
	return v
}

func stage() {
	n := begin("stage", "func(n int, x, bias *float32, floor float32, y *float32, signs *byte, out *[2]float32)",
		"computes y = max(x + bias, floor) and the bits x + bias > 0; out is range's.", step)
	x, bias := Load(Param("x"), GP64()), Load(Param("bias"), GP64())
	y, signs := Load(Param("y"), GP64()), Load(Param("signs"), GP64())
	floor, zero := broadcast("floor"), word(0)
	b := newBounds()
	loop("stage", n, step, func() {
		for i := 0; i < step/lanes(); i++ {
			v := newVec()
			VMOVUPS(Mem{Base: x, Disp: i * bytes()}, v)
			VADDPS(Mem{Base: bias, Disp: i * bytes()}, v, v)
			if width == 512 {
				k := K()
				VCMPPS(Imm(0x1e), zero, v, k)
				KMOVW(k, Mem{Base: signs, Disp: 2 * i})
			} else {
				m, g := YMM(), GP32()
				VCMPPS(Imm(0x1e), zero, v, m)
				VMOVMSKPS(m, g)
				MOVB(g.As8(), Mem{Base: signs, Disp: i})
			}
			VMAXPS(floor, v, v)
			VMOVUPS(v, Mem{Base: y, Disp: i * bytes()})
			b.add(i, v)
		}
		for _, p := range []reg.Register{x, bias, y} {
			ADDQ(Imm(4*step), p)
		}
		ADDQ(Imm(step/8), signs)
	})
	b.store()
	end()
}

func unstage(bitOfLane Mem) {
	n := begin("unstage", "func(n int, bias, above *float32, signs *byte, x *float32)",
		"computes x -= bias, changed where the bit of x + bias > 0 is not that of signs: to above or -bias.", step)
	bias, signs, x := Load(Param("bias"), GP64()), Load(Param("signs"), GP64()), Load(Param("x"), GP64())
	aboves := Load(Param("above"), GP64())
	zero, top := word(0), word(1<<31)
	loop("unstage", n, step, func() {
		for i := 0; i < step/lanes(); i++ {
			b, v, sum, minus := newVec(), newVec(), newVec(), newVec()
			VMOVUPS(Mem{Base: bias, Disp: i * bytes()}, b)
			VMOVUPS(Mem{Base: x, Disp: i * bytes()}, v)
			VSUBPS(b, v, v)
			VADDPS(b, v, sum)
			VXORPS(b, top, minus)
			above, to := Mem{Base: aboves, Disp: i * bytes()}, Mem{Base: x, Disp: i * bytes()}
			if width == 512 {
				on, wrong := K(), K()
				KMOVW(Mem{Base: signs, Disp: 2 * i}, on)
				VCMPPS(Imm(0x1e), zero, sum, wrong)
				KXORW(on, wrong, wrong)
				VMOVUPS(above, on, minus)
				VMOVAPS(minus, wrong, v)
			} else {
				on, is, g := YMM(), YMM(), GP32()
				MOVBLZX(Mem{Base: signs, Disp: i}, g)
				s := XMM()
				VMOVD(g, s)
				VPBROADCASTD(s, on)
				VPAND(bitOfLane, on, on)
				VPCMPEQD(bitOfLane, on, on)
				VCMPPS(Imm(0x1e), zero, sum, is)
				VBLENDVPS(on, above, minus, minus)
				VXORPS(on, is, is)
				VBLENDVPS(is, minus, v, v)
			}
			VMOVUPS(v, to)
		}
		for _, p := range []reg.Register{x, bias, aboves} {
			ADDQ(Imm(4*step), p)
		}
		ADDQ(Imm(step/8), signs)
	})
	end()
}

// brief rounds to bfloat16, of two equally near to the even one.
func brief() {
	n := begin("brief", "func(n int, x *float32, dst *byte)", "writes the bfloat16 nearest to each x.", step)
	x, dst := Load(Param("x"), GP64()), Load(Param("dst"), GP64())
	one, most := word(1), word(0x7fff)
	loop("brief", n, step, func() {
		var half []vec
		for i := 0; i < step/lanes(); i++ {
			v, odd := newVec(), newVec()
			VMOVUPS(Mem{Base: x, Disp: i * bytes()}, v)
			VPSRLD(Imm(16), v, odd)
			if width == 512 {
				VPANDD(one, odd, odd)
			} else {
				VPAND(one, odd, odd)
			}
			VPADDD(most, v, v)
			VPADDD(odd, v, v)
			VPSRLD(Imm(16), v, v)
			if width == 512 {
				VPMOVDW(v, Mem{Base: dst, Disp: 32 * i})
				continue
			}
			if half = append(half, v); len(half) == 2 {
				VPACKUSDW(half[1], half[0], v)
				VPERMQ(Imm(0xd8), v, v)
				VMOVDQU(v, Mem{Base: dst, Disp: 16 * (i - 1)})
				half = nil
			}
		}
		ADDQ(Imm(4*step), x)
		ADDQ(Imm(2*step), dst)
	})
	end()
}

// widen goes back.
func widen() {
	n := begin("widen", "func(n int, src *byte, x *float32)", "computes x from bfloat16.", step)
	src, x := Load(Param("src"), GP64()), Load(Param("x"), GP64())
	loop("widen", n, step, func() {
		for i := 0; i < step/lanes(); i++ {
			v := newVec()
			VPMOVZXWD(Mem{Base: src, Disp: 2 * i * lanes()}, v)
			VPSLLD(Imm(16), v, v)
			VMOVUPS(v, Mem{Base: x, Disp: i * bytes()})
		}
		ADDQ(Imm(4*step), x)
		ADDQ(Imm(2*step), src)
	})
	end()
}

// unpackShort is unpackGroups of codes of 1 bit, whose blocks have 8 lanes.
func unpackShort() {
	n := begin("unpackGroups1", "func(n int, stats *int32, src *byte, x *float32)",
		"computes x = zero + code step for codes of 1 bit of groups of 64 values.", group)
	stats, src, x := Load(Param("stats"), GP64()), Load(Param("src"), GP64()), Load(Param("x"), GP64())
	mask, high := word(1), word(0xffff0000)
	var odd vec // 1 in the upper half, which holds the next bit
	if width == 512 {
		odd = newVec()
		VPXORD(odd, odd, odd)
		VINSERTI64X4(Imm(1), mask.AsY(), odd, odd)
	}
	loop("unpackGroups1", n, group, func() {
		zero, step, b := newVec(), newVec(), newVec()
		VPBROADCASTD(Mem{Base: stats}, step)
		VPSLLD(Imm(16), step, zero)
		and(high, step, step)
		if width == 512 {
			both := XMM()
			VPBROADCASTQ(Mem{Base: src}, both)
			VPMOVZXBD(both, b)
			VPSRLVD(odd, b, b)
		} else {
			VPMOVZXBD(Mem{Base: src}, b)
		}
		for k := range group / lanes() {
			v := newVec()
			VPSRLD(Imm(uint64(k*lanes()/8)), b, v)
			and(mask, v, v)
			VCVTDQ2PS(v, v)
			VMULPS(step, v, v)
			VADDPS(zero, v, v)
			VMOVUPS(v, Mem{Base: x, Disp: k * bytes()})
		}
		ADDQ(Imm(4), stats)
		ADDQ(U32(4*group), x)
		ADDQ(Imm(group/8), src)
	})
	end()
}

func unpack(bits int) {
	name := fmt.Sprintf("unpack%d", bits)
	n := begin(name, "func(n int, zero, step float32, src *byte, x *float32)", fmt.Sprintf("computes x = zero + code step for codes of %d bits.", bits), unit)
	src, x := Load(Param("src"), GP64()), Load(Param("x"), GP64())
	zero, step, mask := broadcast("zero"), broadcast("step"), word(1<<bits-1)
	loop(name, n, unit, func() {
		decode(bits, bits, mask, zero, step, src, x)
		ADDQ(U32(4*unit), x)
		ADDQ(Imm(uint64(16*bits)), src)
	})
	end()
}

// unpackGroups goes back from groups of 64 values.
func unpackGroups(bits int) {
	name := fmt.Sprintf("unpackGroups%d", bits)
	n := begin(name, "func(n int, stats *int32, src *byte, x *float32)",
		fmt.Sprintf("computes x = zero + code step for codes of %d bits of groups of 64 values.", bits), group)
	stats, src, x := Load(Param("stats"), GP64()), Load(Param("src"), GP64()), Load(Param("x"), GP64())
	mask, high := word(1<<bits-1), word(0xffff0000)
	loop(name, n, group, func() {
		zero, step := newVec(), newVec()
		VPBROADCASTD(Mem{Base: stats}, step)
		VPSLLD(Imm(16), step, zero)
		and(high, step, step)
		decode(bits, bits/2, mask, zero, step, src, x)
		ADDQ(Imm(4), stats)
		ADDQ(U32(4*group), x)
		ADDQ(Imm(uint64(group/8*bits)), src)
	})
	end()
}

// decode goes back from blocks of 16 bytes.
func decode(bits, blocks int, mask, zero, step vec, src, x reg.Register) {
	per := 8 / bits
	for block := range blocks {
		for i := range 16 / lanes() {
			b := newVec()
			VPMOVZXBD(Mem{Base: src, Disp: 16*block + i*lanes()}, b)
			for k := range per {
				v := newVec()
				from := b
				if k > 0 {
					VPSRLD(Imm(uint64(k*bits)), b, v)
					from = v
				}
				if k < per-1 { // else nothing else is there
					and(mask, from, v)
					from = v
				}
				VCVTDQ2PS(from, v)
				VMULPS(step, v, v)
				VADDPS(zero, v, v)
				VMOVUPS(v, Mem{Base: x, Disp: 64*(block*per+k) + i*bytes()})
			}
		}
	}
}

func and(x, y, z vec) {
	if width == 512 {
		VPANDD(x, y, z)
		return
	}
	VPAND(x, y, z)
}

// extreme is a minimum or a maximum.
type extreme func(ops ...Op)
