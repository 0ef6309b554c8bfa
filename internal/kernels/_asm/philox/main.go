// Command philox writes the kernel of internal/philox.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const rounds = 10

func main() {
	ConstraintExpr("amd64,!noasm")
	words()
	Generate()
}

// words computes four blocks at a time. Each 64-bit lane holds one block's counter word in
// its low half; what is in the high half never matters, because products read low halves
// only, so that a product serves as its own low half.
func words() {
	TEXT("wordsAVX2", NOSPLIT, "func(n int, ctr, key uint64, dst *uint32)")
	Doc("wordsAVX2 writes the words of n/4 blocks from block ctr on. n is a multiple of 16 and at least 16.")
	Pragma("noescape")
	n, dst := Load(Param("n"), GP64()), Load(Param("dst"), GP64())
	keys := keySchedule()
	m0, m1, four := quad(0xD2511F53), quad(0xCD9E8D57), quad(4)

	// In this order interleaving leaves the blocks sorted.
	order := GLOBL("blockOrder", RODATA|NOPTR)
	for i, v := range []uint64{0, 2, 1, 3} {
		DATA(8*i, U64(v))
	}
	ctr := YMM()
	VPBROADCASTQ(address("ctr"), ctr)
	VPADDQ(order, ctr, ctr)

	Label("loop")
	c0, c1, c2, c3 := YMM(), YMM(), YMM(), YMM()
	VMOVDQA(ctr, c0)
	VPSRLQ(Imm(32), ctr, c1)
	VPXOR(c2, c2, c2)
	VPXOR(c3, c3, c3)
	for r := range rounds {
		p0, p1, h0, h1 := YMM(), YMM(), YMM(), YMM()
		VPMULUDQ(m0, c0, p0)
		VPMULUDQ(m1, c2, p1)
		VPSRLQ(Imm(32), p1, h1)
		VPSRLQ(Imm(32), p0, h0)
		VPXOR(keys.Offset(64*r), c1, c1)
		VPXOR(keys.Offset(64*r+32), c3, c3)
		VPXOR(c1, h1, h1)
		VPXOR(c3, h0, h0)
		c0, c1, c2, c3 = h1, p1, h0, p0
	}
	lo, hi, first, second := YMM(), YMM(), YMM(), YMM()
	VPSLLQ(Imm(32), c1, c1)
	VPSLLQ(Imm(32), c3, c3)
	VPBLENDD(Imm(0xAA), c1, c0, lo)
	VPBLENDD(Imm(0xAA), c3, c2, hi)
	VPUNPCKLQDQ(hi, lo, first)
	VPUNPCKHQDQ(hi, lo, second)
	VMOVDQU(first, Mem{Base: dst})
	VMOVDQU(second, Mem{Base: dst, Disp: 32})
	VPADDQ(four, ctr, ctr)
	ADDQ(Imm(64), dst)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// keySchedule writes the keys of all rounds to the stack, each word in every lane.
func keySchedule() Mem {
	keys := AllocLocal(rounds * 64)
	k := Load(Param("key"), GP64())
	half := [2]reg.GPVirtual{GP32(), GP32()}
	MOVL(k.(reg.GP).As32(), half[0])
	SHRQ(Imm(32), k)
	MOVL(k.(reg.GP).As32(), half[1])
	weyl := [2]uint32{0x9E3779B9, 0xBB67AE85}
	for r := range rounds {
		for i, h := range half {
			x, v := XMM(), YMM()
			VMOVD(h, x)
			VPBROADCASTD(x, v)
			VMOVDQU(v, keys.Offset(64*r+32*i))
			ADDL(U32(weyl[i]), h)
		}
	}
	return keys
}

// quad returns a vector of one 64-bit number.
func quad(x uint32) reg.VecVirtual {
	g, s, v := GP64(), XMM(), YMM()
	MOVQ(U64(uint64(x)), g)
	VMOVQ(g, s)
	VPBROADCASTQ(s, v)
	return v
}

func address(param string) Mem {
	m, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	return m.Addr
}
