package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// pop writes the loop of frontier sampling. sums holds 64 exclusive prefix sums of the
// weights of blocks and then, for each block, 64 of its items; what lies behind the last
// block or item counts as weight 0. The first 64 stay in registers.
func pop() {
	iotas := GLOBL("iota64", RODATA|NOPTR)
	for i := range 64 {
		DATA(4*i, U32(uint32(i)))
	}
	TEXT("pop512", NOSPLIT, "func(n int, values *uint64, indptr *int64, indices *int32, clip int, sums *uint32, items *int64, total int, out *int32) (pops, rest int)")
	Doc("pop512 replaces n items, each drawn by its weight, by neighbours; it stops before one whose",
		"random values may have to be drawn anew, and when no weight is left.")
	Pragma("noescape")
	n, clip := mem("n"), mem("clip")
	values, indices, sums, total := gp("values"), gp("indices"), gp("sums"), gp("total")
	i := GP64()
	XORQ(i, i)
	var root, iota [4]reg.VecVirtual
	for j := range 4 {
		root[j], iota[j] = ZMM(), ZMM()
		VMOVDQU32(Mem{Base: sums, Disp: 64 * j}, root[j])
		VMOVDQU32(iotas.Offset(64*j), iota[j])
	}
	Label("pop_next")
	CMPQ(i, n)
	JGE(LabelRef("pop_end"))
	TESTQ(total, total)
	JZ(LabelRef("pop_end"))
	at := GP64()
	MOVQ(i, at)
	SHLQ(Imm(4), at)
	x := below("pop_first", Mem{Base: values, Index: at, Scale: 1}, total)
	c := last(x, root)
	old := GP32()
	MOVL(Mem{Base: sums, Index: c, Scale: 4}, old)
	SUBQ(old.As64(), x)
	leaf := GP64()
	MOVQ(c, leaf)
	SHLQ(Imm(8), leaf)
	LEAQ(Mem{Base: sums, Index: leaf, Scale: 1, Disp: 256}, leaf)
	var block [4]reg.VecVirtual
	for j := range 4 {
		block[j] = ZMM()
		VMOVDQU32(Mem{Base: leaf, Disp: 64 * j}, block[j])
	}
	k := last(x, block)
	item := GP64()
	MOVQ(c, item)
	SHLQ(Imm(6), item)
	ADDQ(k, item)
	SHLQ(Imm(4), item)
	ADDQ(mem("items"), item)
	degree := GP64()
	MOVQ(Mem{Base: item, Disp: 8}, degree)
	e := below("pop_second", Mem{Base: values, Index: at, Scale: 1, Disp: 8}, degree)
	ADDQ(Mem{Base: item}, e)
	v := GP64()
	MOVLQSX(Mem{Base: indices, Index: e, Scale: 4}, v)
	out := gp("out")
	MOVL(v.As32(), Mem{Base: out, Index: i, Scale: 4})
	indptr := gp("indptr")
	lo, more := GP64(), GP64()
	MOVQ(Mem{Base: indptr, Index: v, Scale: 8}, lo)
	MOVQ(Mem{Base: indptr, Index: v, Scale: 8, Disp: 8}, more)
	SUBQ(lo, more)
	MOVQ(lo, Mem{Base: item})
	MOVQ(more, Mem{Base: item, Disp: 8})
	CMPQ(more, clip)
	CMOVQGT(clip, more)
	CMPQ(degree, clip)
	CMOVQGT(clip, degree)
	SUBQ(degree, more)
	ADDQ(more, total)
	delta := ZMM()
	VPBROADCASTD(more.As32(), delta)
	addBehind(c, delta, root, iota, sums)
	addBehind(k, delta, block, iota, leaf)
	INCQ(i)
	JMP(LabelRef("pop_next"))
	Label("pop_end")
	Store(i, Return("pops"))
	Store(total, Return("rest"))
	VZEROUPPER()
	RET()
}

// below draws a value below n from 64 random bits; where they may have to be drawn anew it
// leaves for pop_end.
func below(name string, value Mem, n reg.GPVirtual) reg.GPVirtual {
	x, low, most, masked := GP64(), GP64(), GP64(), GP64()
	MOVQ(value, reg.RDX)
	MULXQ(n, low, x)
	LEAQ(Mem{Base: n, Disp: -1}, most)
	MOVQ(most, masked)
	ANDQ(reg.RDX, masked)
	TESTQ(n, most)
	CMOVQEQ(masked, x)
	CMPQ(low, n)
	JCC(LabelRef(name))
	TESTQ(n, most)
	JNE(LabelRef("pop_end"))
	Label(name)
	return x
}

// last returns how many of the 64 ascending values are at most x, less one.
func last(x reg.GPVirtual, values [4]reg.VecVirtual) reg.GPVirtual {
	wide := ZMM()
	VPBROADCASTD(x.As32(), wide)
	sum := GP64()
	MOVQ(I32(-1), sum)
	for _, v := range values {
		k, g := K(), GP32()
		VPCMPUD(Imm(2), wide, v, k)
		KMOVW(k, g)
		POPCNTL(g, g)
		ADDQ(g.As64(), sum)
	}
	return sum
}

// addBehind adds delta to the values behind position c, in registers and in memory.
func addBehind(c reg.GPVirtual, delta reg.VecVirtual, values, iota [4]reg.VecVirtual, to reg.GPVirtual) {
	wide := ZMM()
	VPBROADCASTD(c.As32(), wide)
	for j, v := range values {
		k := K()
		VPCMPUD(Imm(6), wide, iota[j], k)
		VPADDD(delta, v, k, v)
		VMOVDQU32(v, Mem{Base: to, Disp: 64 * j})
	}
}
