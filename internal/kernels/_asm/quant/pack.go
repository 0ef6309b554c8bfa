package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/saint-gnn/saint/internal/kernels/asm/stream"
)

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
	sig := "func(n int, ctr, key uint64, zero, inv *float32, step int, limit uint32, x *float32, dst *byte"
	if width == 512 {
		sig += ", ahead *float32, units, jump int"
		doc += ". It fetches 128 values at a time from ahead on, that often, then jump bytes further"
	}
	n := begin(name, sig+")", fmt.Sprintf(doc+". zero and inv are those of %s.", bits, run), unit)
	x, dst := Load(Param("x"), GP64()), Load(Param("dst"), GP64())
	zero, inv, step := Load(Param("zero"), GP64()), Load(Param("inv"), GP64()), Load(Param("step"), GP64())
	p := newPacker(bits, noise)
	if width == 512 {
		p.pipeline(name, n, order, groups, zero, inv, step, x, dst)
		end()
		return
	}
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

// pipeline writes the loop of pack for AVX-512: beside the codes of 128 values it makes the words of
// the next 128, because a round of the generator waits for the one before it.
func (p *packer) pipeline(name string, n reg.Register, order Mem, groups bool, zero, inv, step, x, dst reg.Register) {
	g := stream.NewNear(width, order)
	if groups {
		g.Spaced(16)
	}
	words := g.Streams(1)
	per := 8 / p.bits
	ahead, left := Load(Param("ahead"), GP64()), Load(Param("units"), GP64())
	more := name + suffix + "_row"
	round := func(last bool) {
		var sum vec
		var next *stream.Rounds
		if !last {
			next = g.Begin()
		}
		for v := range 8 {
			if v == 0 || groups && v == 4 {
				VBROADCASTSS(Mem{Base: zero}, p.zero)
				VBROADCASTSS(Mem{Base: inv}, p.inv)
				ADDQ(step, zero)
				ADDQ(step, inv)
			}
			k := v % per
			if k == 0 {
				sum = newVec()
			}
			p.place(p.code(Mem{Base: x, Disp: 64 * v}, words[v/4], v%4), sum, k)
			if v%per == per-1 {
				narrow([]vec{sum}, Mem{Base: dst, Disp: v / per * 16})
			}
			PREFETCHT0(Mem{Base: ahead, Disp: 64 * v})
			if !last {
				next.Next()
			}
		}
		if !last {
			for i, w := range next.Words() {
				VMOVDQA64(w, words[i])
			}
		}
		ADDQ(U32(4*unit), x)
		ADDQ(Imm(uint64(16*p.bits)), dst)
		if last {
			return
		}
		ADDQ(U32(4*unit), ahead)
		DECQ(left)
		JNZ(LabelRef(more))
		ADDQ(stream.Address("jump"), ahead)
		MOVQ(stream.Address("units"), left)
		Label(more)
	}
	SUBQ(Imm(unit), n)
	JZ(LabelRef(name + suffix + "_last"))
	loop(name, n, unit, func() { round(false) })
	Label(name + suffix + "_last")
	round(true)
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
