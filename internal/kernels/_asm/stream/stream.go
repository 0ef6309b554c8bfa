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

	// Of a generator for near blocks, what is the same for all of them: the second key word,
	// and after two rounds the last word and the part of the one before it that does not come
	// from the counter.
	second, rest, fixed reg.VecVirtual
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

// NewNear is New for blocks that agree in the high word of their counter. Streams is cheaper
// than Next then.
func NewNear(bits int, order Mem) *Generator {
	g := New(bits, order)
	ctr, x := Load(Param("ctr"), GP64()), XMM()
	SHRQ(Imm(32), ctr)
	VMOVQ(ctr, x)
	c0 := Vec(bits)
	VPBROADCASTQ(x, c0)
	g.key(0, c0)
	g.second, g.rest, g.fixed = g.zero(), Vec(bits), Vec(bits)
	g.key(1, g.second)
	VPMULUDQ(g.m0, c0, g.rest)
	g.raise(g.rest, g.fixed)
	g.key(3, g.fixed)
	return g
}

// Spaced lets the blocks of one vector begin so many behind those of the last.
func (g *Generator) Spaced(blocks uint32) { g.step = quad(g.bits, blocks) }

// Skip leaves so many blocks out.
func (g *Generator) Skip(blocks uint32) {
	by := quad(g.bits, blocks)
	VPADDQ(by, g.ctr, g.ctr)
}

// Next returns two vectors of words.
func (g *Generator) Next() (first, second reg.VecVirtual) {
	c := [4]reg.VecVirtual{Vec(g.bits), Vec(g.bits), g.zero(), g.zero()}
	VMOVAPS(g.ctr, c[0])
	VPSRLQ(Imm(32), g.ctr, c[1])
	for r := range rounds {
		c = g.round(r, c)
	}
	VPADDQ(g.step, g.ctr, g.ctr)
	return g.words(c)
}

// Streams returns the words of n times as many blocks as Next, two vectors each, computed side
// by side: products of one stream keep the units busy while those of another wait.
func (g *Generator) Streams(n int) (words []reg.VecVirtual) {
	c := make([][4]reg.VecVirtual, n)
	for i := range c {
		c[i] = g.begin()
	}
	for r := 2; r < rounds; r++ {
		for i := range c {
			c[i] = g.round(r, c[i])
		}
	}
	for _, c := range c {
		first, second := g.words(c)
		words = append(words, first, second)
	}
	return words
}

// Rounds is the making of the words that Streams(1) returns, in eight steps with other work
// between them.
type Rounds struct {
	g *Generator
	c [4]reg.VecVirtual
	r int
}

// Begin begins with the next blocks.
func (g *Generator) Begin() *Rounds { return &Rounds{g, g.begin(), 2} }

// Next does one of eight steps.
func (s *Rounds) Next() {
	s.c = s.g.round(s.r, s.c)
	s.r++
}

// Words returns two vectors of words, after all steps.
func (s *Rounds) Words() [2]reg.VecVirtual {
	first, second := s.g.words(s.c)
	return [2]reg.VecVirtual{first, second}
}

// begin does the first two rounds of the next near blocks. Two words of a counter are 0 and one
// is the same for all blocks, so that half of the products are constants.
func (g *Generator) begin() [4]reg.VecVirtual {
	p, q, h := Vec(g.bits), Vec(g.bits), Vec(g.bits)
	VPMULUDQ(g.m0, g.ctr, p)
	g.raise(p, h)
	g.xor(g.second, h, h) // the key of the first round
	VPMULUDQ(g.m1, h, q)
	c0, c2 := Vec(g.bits), Vec(g.bits)
	g.raise(q, c0)
	g.key(2, c0)
	g.xor(g.fixed, p, c2)
	VPADDQ(g.step, g.ctr, g.ctr)
	return [4]reg.VecVirtual{c0, q, c2, g.rest}
}

// round does one round of four words of blocks.
func (g *Generator) round(r int, c [4]reg.VecVirtual) [4]reg.VecVirtual {
	p0, p1, h0, h1 := Vec(g.bits), Vec(g.bits), Vec(g.bits), Vec(g.bits)
	VPMULUDQ(g.m0, c[0], p0)
	VPMULUDQ(g.m1, c[2], p1)
	g.raise(p1, h1)
	g.raise(p0, h0)
	if g.bits == 512 {
		VPTERNLOGD_BCST(U8(0x96), g.keys.Offset(8*r), c[1], h1) // exclusive or of all three
		VPTERNLOGD_BCST(U8(0x96), g.keys.Offset(8*r+4), c[3], h0)
	} else {
		g.xor(c[1], h1, h1)
		g.key(2*r, h1)
		g.xor(c[3], h0, h0)
		g.key(2*r+1, h0)
	}
	return [4]reg.VecVirtual{h1, p1, h0, p0}
}

// raise moves the high halves of p to the low ones of h.
func (g *Generator) raise(p, h reg.VecVirtual) {
	if g.bits == 512 {
		VPSHUFD(Imm(0xF5), p, h)
		return
	}
	VPSRLQ(Imm(32), p, h)
}

func (g *Generator) xor(x, y, z reg.VecVirtual) {
	if g.bits == 512 {
		VPXORD(x, y, z)
		return
	}
	VPXOR(x, y, z)
}

func (g *Generator) zero() reg.VecVirtual {
	v := Vec(g.bits)
	g.xor(v, v, v)
	return v
}

// key adds key word i, two of them to a round, to x.
func (g *Generator) key(i int, x reg.VecVirtual) {
	if g.bits == 512 {
		VPXORD_BCST(g.keys.Offset(4*i), x, x)
		return
	}
	VPXOR(g.keys.Offset(32*i), x, x)
}

// words puts the words of blocks in order.
func (g *Generator) words(c [4]reg.VecVirtual) (first, second reg.VecVirtual) {
	lo, hi := g.join(c[0], c[1]), g.join(c[2], c[3])
	first, second = Vec(g.bits), Vec(g.bits)
	VPUNPCKLQDQ(hi, lo, first)
	VPUNPCKHQDQ(hi, lo, second)
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
