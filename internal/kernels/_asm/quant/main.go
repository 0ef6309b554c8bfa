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
	n := begin("unstage", "func(n int, bias *float32, signs *byte, x *float32)",
		"computes x -= bias, changed where the bit of x + bias > 0 is not that of signs.", step)
	bias, signs, x := Load(Param("bias"), GP64()), Load(Param("signs"), GP64()), Load(Param("x"), GP64())
	zero, top, nudge, tiny := word(0), word(1<<31), float(0x1p-20), float(1e-30)
	loop("unstage", n, step, func() {
		for i := 0; i < step/lanes(); i++ {
			b, v, sum, minus, above := newVec(), newVec(), newVec(), newVec(), newVec()
			VMOVUPS(Mem{Base: bias, Disp: i * bytes()}, b)
			VMOVUPS(Mem{Base: x, Disp: i * bytes()}, v)
			VSUBPS(b, v, v)
			VADDPS(b, v, sum)
			VXORPS(b, top, minus)
			VANDNPS(b, top, above)
			VMULPS(nudge, above, above)
			VADDPS(tiny, above, above)
			VSUBPS(b, above, above)
			to := Mem{Base: x, Disp: i * bytes()}
			if width == 512 {
				on, is, up, down := K(), K(), K(), K()
				KMOVW(Mem{Base: signs, Disp: 2 * i}, on)
				VCMPPS(Imm(0x1e), zero, sum, is)
				KANDNW(on, is, up)   // on and not is
				KANDNW(is, on, down) // is and not on
				VMOVAPS(above, up, v)
				VMOVAPS(minus, down, v)
			} else {
				on, is, g := YMM(), YMM(), GP32()
				MOVBLZX(Mem{Base: signs, Disp: i}, g)
				s := XMM()
				VMOVD(g, s)
				VPBROADCASTD(s, on)
				VPAND(bitOfLane, on, on)
				VPCMPEQD(bitOfLane, on, on)
				VCMPPS(Imm(0x1e), zero, sum, is)
				VBLENDVPS(on, above, minus, above)
				VXORPS(on, is, is)
				VBLENDVPS(is, above, v, v)
			}
			VMOVUPS(v, to)
		}
		for _, p := range []reg.Register{x, bias} {
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

// packer holds the constants of pack.
type packer struct {
	bits             int
	zero, inv, limit vec
	noise            [4]Op
	masks            []vec // where code k of a byte stands, for AVX-512
}

func newPacker(bits int, noise [4]Mem) *packer {
	p := &packer{bits: bits, zero: newVec(), inv: newVec(), limit: broadcast("limit")}
	for k, m := range noise {
		p.noise[k] = m
		if width == 512 {
			v := newVec()
			VBROADCASTI32X4(m, v)
			p.noise[k] = v
		}
	}
	if width == 512 {
		for k := range 8 / bits {
			p.masks = append(p.masks, word((1<<bits-1)<<(k*bits)))
		}
	}
	return p
}

// code returns the codes of one vector of x above 16 bits of no use: the least of the scaled value
// and the limit, plus 16 random bits, which are bytes k and k+1 of the words.
func (p *packer) code(from Mem, words vec, k int) vec {
	v := newVec()
	VMOVUPS(from, v)
	return p.codeOf(v, words, k)
}

// codeOf is code of v, which it changes.
func (p *packer) codeOf(v, words vec, k int) vec {
	u := newVec()
	VSUBPS(p.zero, v, v)
	VMULPS(p.inv, v, v)
	VCVTPS2DQ(v, v)
	VPMINUD(p.limit, v, v)
	VPSHUFB(p.noise[k], words, u)
	VPADDD(u, v, v)
	return v
}

// place adds code number k of a byte to sum.
func (p *packer) place(code, sum vec, k int) {
	if k == 0 {
		VPSRLD(Imm(16), code, sum)
		return
	}
	if width == 512 {
		VPSRLD(Imm(uint64(16-k*p.bits)), code, code)
		VPTERNLOGD(U8(0xF8), p.masks[k], code, sum) // sum | code & mask
		return
	}
	VPSRLD(Imm(16), code, code)
	VPSLLD(Imm(uint64(k*p.bits)), code, code)
	VPOR(code, sum, sum)
}

// pack writes blocks of 16 lanes; with AVX2 a lane's vector is two registers. Groups have a block of
// noise each, of which they use the first half.
func pack(bits int, order Mem, noise [4]Mem, groups bool) {
	name, run := fmt.Sprintf("pack%d", bits), "the first 128 values, those of the next step bytes behind"
	if groups {
		name, run = fmt.Sprintf("packGroups%d", bits), "64 values each"
	}
	doc := "writes codes of %d bits, with the words of blocks from ctr on"
	if width == 512 {
		doc += ", which agree in the high word of their counter"
	}
	sig := "func(n int, ctr, key uint64, zero, inv *float32, step int, limit uint32, x *float32, dst *byte)"
	n := begin(name, sig, fmt.Sprintf(doc+". zero and inv are those of %s.", bits, run), unit)
	x, dst := Load(Param("x"), GP64()), Load(Param("dst"), GP64())
	zero, inv, step := Load(Param("zero"), GP64()), Load(Param("inv"), GP64()), Load(Param("step"), GP64())
	p := newPacker(bits, noise)
	next := newNoise(order, groups)
	parts := 16 / lanes() // registers of a vector
	per := 8 / bits
	loop(name, n, unit, func() {
		sum := make([]vec, parts)
		var words []vec
		for v := range 8 {
			if v == 0 || groups && v == 4 {
				VBROADCASTSS(Mem{Base: zero}, p.zero)
				VBROADCASTSS(Mem{Base: inv}, p.inv)
				ADDQ(step, zero)
				ADDQ(step, inv)
			}
			if v%4 == 0 && len(words) == 0 {
				words = next()
			}
			for i := range parts {
				k := v % per
				if k == 0 {
					sum[i] = newVec()
				}
				p.place(p.code(Mem{Base: x, Disp: 64*v + i*bytes()}, words[i], v%4), sum[i], k)
			}
			if v%4 == 3 {
				words = words[parts:]
			}
			if v%per == per-1 {
				narrow(sum, Mem{Base: dst, Disp: v / per * 16})
			}
		}
		ADDQ(U32(4*unit), x)
		ADDQ(Imm(uint64(16*bits)), dst)
	})
	end()
}

// packPairs writes codes of 1 bit of two groups side by side, each in a block of 8 lanes.
func packPairs(order Mem, noise [4]Mem) {
	doc := "writes codes of 1 bit, with the words of blocks from ctr on"
	if width == 512 {
		doc += ", which agree in the high word of their counter"
	}
	n := begin("packGroups1", "func(n int, ctr, key uint64, zero, inv *float32, step int, limit uint32, x *float32, dst *byte)",
		doc+". zero and inv are those of 64 values each.", unit)
	x, dst := Load(Param("x"), GP64()), Load(Param("dst"), GP64())
	zero, inv, step := Load(Param("zero"), GP64()), Load(Param("inv"), GP64()), Load(Param("step"), GP64())
	p := newPacker(1, noise)
	var g *stream.Generator
	if width == 512 {
		g = stream.NewNear(width, order)
		g.Spaced(16)
	} else {
		g = stream.New(width, order)
	}
	loop("packGroups1", n, unit, func() {
		if width == 512 {
			for i, from := range []reg.Register{zero, inv} {
				v, upper := []vec{p.zero, p.inv}[i], YMM()
				VBROADCASTSS(Mem{Base: from}, v)
				VBROADCASTSS(Mem{Base: from, Disp: 4}, upper)
				VINSERTF64X4(Imm(1), upper, v, v)
			}
		}
		sum := make([]vec, 16/lanes())
		for i := range sum {
			sum[i] = newVec()
		}
		var words []vec
		for v := range 8 {
			switch {
			case width == 512 && v == 0:
				words = g.Streams(1)
			case width == 256 && v%4 == 0:
				words = make([]vec, 2)
				words[0], words[1] = g.Next()
				if v > 0 {
					g.Skip(8)
				}
			}
			if width == 512 {
				w := newVec()
				VMOVUPS(Mem{Base: x, Disp: 32 * v}, w) // the upper half is the other group's
				VINSERTF64X4(Imm(1), Mem{Base: x, Disp: 4*group + 32*v}, w, w)
				p.place(p.codeOf(w, words[v/4], v%4), sum[0], v)
				continue
			}
			for i := range sum {
				VBROADCASTSS(Mem{Base: zero, Disp: 4 * i}, p.zero)
				VBROADCASTSS(Mem{Base: inv, Disp: 4 * i}, p.inv)
				p.place(p.code(Mem{Base: x, Disp: 4*group*i + 32*v}, words[i], v%4), sum[i], v)
			}
		}
		narrow(sum, Mem{Base: dst})
		for _, at := range []reg.Register{zero, inv} {
			LEAQ(Mem{Base: at, Index: step, Scale: 2}, at)
		}
		ADDQ(U32(4*unit), x)
		ADDQ(Imm(16), dst)
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

// newNoise returns what makes the next two vectors of words.
func newNoise(order Mem, groups bool) func() []vec {
	if width == 512 {
		g := stream.NewNear(width, order)
		if groups {
			g.Spaced(16)
		}
		return func() []vec { return g.Streams(1) }
	}
	g := stream.New(width, order)
	if groups {
		g.Spaced(8)
	}
	return func() []vec { first, second := g.Next(); return []vec{first, second} }
}

// narrow stores the low bytes of 16 lanes.
func narrow(sum []vec, to Mem) {
	if width == 512 {
		VPMOVDB(sum[0], to)
		return
	}
	v, hi := sum[0], XMM()
	VPACKUSDW(sum[1], v, v)
	VPERMQ(Imm(0xd8), v, v)
	VEXTRACTI128(Imm(1), v, hi)
	VPACKUSWB(hi, v.AsX(), v.AsX())
	VMOVDQU(v.AsX(), to)
}

func unpack(bits int) {
	name := fmt.Sprintf("unpack%d", bits)
	n := begin(name, "func(n int, zero, step float32, src *byte, x *float32)", fmt.Sprintf("computes x = zero + code step for codes of %d bits.", bits), unit)
	src, x := Load(Param("src"), GP64()), Load(Param("x"), GP64())
	zero, step, mask := broadcast("zero"), broadcast("step"), word(1<<bits-1)
	per := 8 / bits
	loop(name, n, unit, func() {
		for block := range bits {
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
					switch {
					case bits == 8: // nothing else is there
					case width == 512:
						VPANDD(mask, from, v)
						from = v
					default:
						VPAND(mask, from, v)
						from = v
					}
					VCVTDQ2PS(from, v)
					VMULPS(step, v, v)
					VADDPS(zero, v, v)
					VMOVUPS(v, Mem{Base: x, Disp: 64*(block*per+k) + i*bytes()})
				}
			}
		}
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
	per := 8 / bits
	loop(name, n, group, func() {
		zero, step := newVec(), newVec()
		VPBROADCASTD(Mem{Base: stats}, step)
		VPSLLD(Imm(16), step, zero)
		and(high, step, step)
		for block := range bits / 2 {
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
					if bits < 8 && k < per-1 { // else nothing else is there
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
		ADDQ(Imm(4), stats)
		ADDQ(U32(4*group), x)
		ADDQ(Imm(uint64(group/8*bits)), src)
	})
	end()
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
