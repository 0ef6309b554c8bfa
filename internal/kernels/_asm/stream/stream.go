// Package stream writes the generator Philox4x32-10 into other kernels.
package stream

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const rounds = 10

// Suffix is what the names of kernels for vectors of so many bits end with.
var Suffix = map[int]string{256: "AVX2", 512: "AVX512"}

// Order is the block of each lane, such that interleaving leaves the blocks sorted.
func Order(bits int) Mem {
	blocks := []uint64{0, 2, 1, 3}
	if bits == 512 {
		blocks = []uint64{0, 4, 1, 5, 2, 6, 3, 7}
	}
	m := GLOBL("blockOrder"+Suffix[bits], RODATA|NOPTR)
	for i, v := range blocks {
		DATA(8*i, U64(v))
	}
	return m
}

// Generator computes as many blocks at a time as vectors have 64-bit lanes. Each lane holds
// one block's counter word in its low half; what is in the high half never matters, because
// products read low halves only, so that a product serves as its own low half.
type Generator struct {
	bits              int
	keys              Mem
	ctr, m0, m1, step reg.VecVirtual
	high              reg.Register // mask of the high halves, for AVX-512
}

// New writes what the generator needs before the loop. The function has parameters ctr and key.
func New(bits int, order Mem) *Generator {
	g := &Generator{bits: bits}
	g.keys = keySchedule(bits)
	g.m0, g.m1, g.step = quad(bits, 0xD2511F53), quad(bits, 0xCD9E8D57), quad(bits, uint32(bits/64))
	g.ctr = Vec(bits)
	VPBROADCASTQ(Address("ctr"), g.ctr)
	VPADDQ(order, g.ctr, g.ctr)
	if bits == 512 {
		m := GP32()
		MOVL(U32(0xAAAA), m)
		k := K()
		KMOVW(m, k)
		g.high = k
	}
	return g
}

// Next returns two vectors of words.
func (g *Generator) Next() (first, second reg.VecVirtual) {
	c0, c1, c2, c3 := Vec(g.bits), Vec(g.bits), Vec(g.bits), Vec(g.bits)
	VMOVAPS(g.ctr, c0)
	VPSRLQ(Imm(32), g.ctr, c1)
	if g.bits == 512 {
		VPXORD(c2, c2, c2)
		VPXORD(c3, c3, c3)
	} else {
		VPXOR(c2, c2, c2)
		VPXOR(c3, c3, c3)
	}
	for r := range rounds {
		p0, p1, h0, h1 := Vec(g.bits), Vec(g.bits), Vec(g.bits), Vec(g.bits)
		VPMULUDQ(g.m0, c0, p0)
		VPMULUDQ(g.m1, c2, p1)
		if g.bits == 512 {
			VPSHUFD(Imm(0xF5), p1, h1)
			VPSHUFD(Imm(0xF5), p0, h0)
			VPTERNLOGD_BCST(U8(0x96), g.keys.Offset(8*r), c1, h1) // exclusive or of all three
			VPTERNLOGD_BCST(U8(0x96), g.keys.Offset(8*r+4), c3, h0)
		} else {
			VPSRLQ(Imm(32), p1, h1)
			VPSRLQ(Imm(32), p0, h0)
			VPXOR(g.keys.Offset(64*r), c1, c1)
			VPXOR(g.keys.Offset(64*r+32), c3, c3)
			VPXOR(c1, h1, h1)
			VPXOR(c3, h0, h0)
		}
		c0, c1, c2, c3 = h1, p1, h0, p0
	}
	lo, hi := g.join(c0, c1), g.join(c2, c3)
	first, second = Vec(g.bits), Vec(g.bits)
	VPUNPCKLQDQ(hi, lo, first)
	VPUNPCKHQDQ(hi, lo, second)
	VPADDQ(g.step, g.ctr, g.ctr)
	return first, second
}

// join returns the low halves of lo with those of hi above them.
func (g *Generator) join(lo, hi reg.VecVirtual) reg.VecVirtual {
	if g.bits == 512 {
		VPSHUFD(Imm(0xA0), hi, g.high, lo)
		return lo
	}
	v := YMM()
	VPSLLQ(Imm(32), hi, hi)
	VPBLENDD(Imm(0xAA), hi, lo, v)
	return v
}

// keySchedule writes the keys of all rounds to the stack, each word in every lane for AVX2,
// which cannot broadcast an operand.
func keySchedule(bits int) Mem {
	size := 8
	if bits == 256 {
		size = 64
	}
	keys := AllocLocal(rounds * size)
	k := Load(Param("key"), GP64())
	half := [2]reg.GPVirtual{GP32(), GP32()}
	MOVL(k.(reg.GP).As32(), half[0])
	SHRQ(Imm(32), k)
	MOVL(k.(reg.GP).As32(), half[1])
	weyl := [2]uint32{0x9E3779B9, 0xBB67AE85}
	for r := range rounds {
		for i, h := range half {
			at := keys.Offset(size*r + size/2*i)
			if bits == 256 {
				x, v := XMM(), YMM()
				VMOVD(h, x)
				VPBROADCASTD(x, v)
				VMOVDQU(v, at)
			} else {
				MOVL(h, at)
			}
			ADDL(U32(weyl[i]), h)
		}
	}
	return keys
}

// quad returns a vector of one 64-bit number.
func quad(bits int, x uint32) reg.VecVirtual {
	g, s, v := GP64(), XMM(), Vec(bits)
	MOVQ(U64(uint64(x)), g)
	VMOVQ(g, s)
	VPBROADCASTQ(s, v)
	return v
}

// Vec returns a register of so many bits.
func Vec(bits int) reg.VecVirtual {
	if bits == 512 {
		return ZMM()
	}
	return YMM()
}

// Address returns where a parameter lies.
func Address(param string) Mem {
	m, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	return m.Addr
}
