package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The kernels for processors without AVX-512 take 8 entries at a time. Members are found by their
// bit in the sign of a lane, and stand together after a permutation that a table of 256 has.

var iota8, squeeze, masks8, nibbles8 Mem

func avx2() {
	iota8 = GLOBL("iota8", RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(uint32(i)))
	}
	squeeze = GLOBL("squeeze8", RODATA|NOPTR)
	for hits := range 256 {
		k := 0
		for lane := range 8 {
			if hits>>lane&1 == 1 {
				DATA(8*hits+k, U8(uint8(lane)))
				k++
			}
		}
		for ; k < 8; k++ {
			DATA(8*hits+k, U8(0))
		}
	}
	masks8 = GLOBL("masks8", RODATA|NOPTR) // that of n lanes begins at number 8-n
	for i := range 16 {
		DATA(4*i, U32(uint32(0xffffffff*uint64(1-i/8))))
	}
	nibbles8 = GLOBL("nibbles8", RODATA|NOPTR)
	for i := range 32 {
		DATA(i, U8([16]uint8{0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4}[i%16]))
	}
	scan256()
	local256()
	count256()
	scale256()
}

func broadcast8(x uint32) reg.VecVirtual {
	g, v := GP32(), YMM()
	MOVL(U32(x), g)
	VMOVD(g, v.AsX())
	VPBROADCASTD(v.AsX(), v)
	return v
}

// tail8 returns the mask of the low length%8 lanes.
func tail8(length reg.Register) reg.VecVirtual {
	at, table, v := GP64(), GP64(), YMM()
	MOVQ(length, at)
	NOTQ(at)
	ANDQ(Imm(7), at) // 7 - length%8
	LEAQ(masks8, table)
	VMOVDQU(Mem{Base: table, Index: at, Scale: 4, Disp: 4}, v)
	return v
}

// spread8 runs body for every 8 entries and then once, masked, for what is left.
func spread8(name string, length reg.Register, body func(mask reg.VecVirtual)) {
	blocks := GP64()
	MOVQ(length, blocks)
	SHRQ(Imm(3), blocks)
	JZ(LabelRef(name + "_tail"))
	Label(name + "_block")
	body(nil)
	DECQ(blocks)
	JNZ(LabelRef(name + "_block"))
	Label(name + "_tail")
	TESTQ(U32(7), length)
	JZ(LabelRef(name + "_done"))
	body(tail8(length))
	Label(name + "_done")
}

// load8 loads 8 numbers, those of mask only.
func load8(from Mem, mask reg.VecVirtual) reg.VecVirtual {
	v := YMM()
	if mask == nil {
		VMOVDQU(from, v)
	} else {
		VPMASKMOVD(from, mask, v)
	}
	return v
}

func store8(v reg.VecVirtual, mask reg.VecVirtual, to Mem) {
	if mask == nil {
		VMOVDQU(v, to)
	} else {
		VPMASKMOVD(v, mask, to)
	}
}

// lookup8 gathers table[at] for the lanes of mask, 0 for the others.
func lookup8(table reg.Register, at, mask reg.VecVirtual) reg.VecVirtual {
	all, v := YMM(), YMM()
	if mask == nil {
		VPCMPEQD(all, all, all)
	} else {
		VMOVDQA(mask, all)
	}
	VPXOR(v, v, v)
	VPGATHERDD(all, Mem{Base: table, Index: at, Scale: 4}, v)
	return v
}

// members8 loads the next 8 ids and returns them, with their bits of the set as signs.
func members8(row, words reg.Register, low5, mask reg.VecVirtual) (ids, in reg.VecVirtual) {
	ids = load8(Mem{Base: row}, mask)
	at, left := YMM(), YMM()
	VPSRLD(Imm(5), ids, at)
	in = lookup8(words, at, mask)
	VPANDN(low5, ids, left) // 31 - id%32
	VPSLLVD(left, in, in)
	return ids, in
}

func scan256() {
	TEXT("scan256", NOSPLIT, "func(n int, nodes *int32, indptr *int64, indices *int32, words *uint32, limit, at int, starts, cols *int32, ids *int64) (rows, end int)")
	Doc("scan256 is scan512 with AVX2.")
	Pragma("noescape")
	r := newRows("scan8", "indptr")
	words, at := gp("words"), gp("at")
	low5, eight, iota := broadcast8(31), broadcast8(8), YMM()
	VMOVDQU(iota8, iota)
	Label("scan8_row")
	r.next()
	most := GP64()
	LEAQ(Mem{Base: at, Index: r.length, Scale: 1, Disp: 16}, most)
	CMPQ(most, mem("limit"))
	JGT(LabelRef("scan8_end"))
	starts := gp("starts")
	MOVL(at.As32(), Mem{Base: starts, Index: r.i, Scale: 4})
	base, off := YMM(), YMM()
	VMOVQ(r.lo, base.AsX())
	VPBROADCASTQ(base.AsX(), base)
	VMOVDQA(iota, off)
	spread8("scan8", r.length, func(mask reg.VecVirtual) {
		u, in := members8(r.row, words, low5, mask)
		hits, table, order := GP64(), GP64(), YMM()
		VMOVMSKPS(in, hits.As32())
		LEAQ(squeeze, table)
		VPMOVZXBD(Mem{Base: table, Index: hits, Scale: 8}, order)
		c, o, low, high := YMM(), YMM(), YMM(), YMM()
		VPERMD(u, order, c)
		to := gp("cols")
		VMOVDQU(c, Mem{Base: to, Index: at, Scale: 4})
		VPERMD(off, order, o)
		VPMOVZXDQ(o.AsX(), low)
		VEXTRACTI128(Imm(1), o, o.AsX())
		VPMOVZXDQ(o.AsX(), high)
		VPADDQ(base, low, low)
		VPADDQ(base, high, high)
		ids := gp("ids")
		VMOVDQU(low, Mem{Base: ids, Index: at, Scale: 8})
		VMOVDQU(high, Mem{Base: ids, Index: at, Scale: 8, Disp: 32})
		POPCNTL(hits.As32(), hits.As32())
		ADDQ(hits, at)
		if mask == nil {
			VPADDD(eight, off, off)
			ADDQ(Imm(32), r.row)
		}
	})
	INCQ(r.i)
	CMPQ(r.i, r.n)
	JLT(LabelRef("scan8_row"))
	Label("scan8_end")
	Store(r.i, Return("rows"))
	Store(at, Return("end"))
	VZEROUPPER()
	RET()
}

func local256() {
	TEXT("local256", NOSPLIT, "func(n int, cols *int32, words *uint32, rank *int32)")
	Doc("local256 is local512 with AVX2.")
	Pragma("noescape")
	n, cols, words, rank := gp("n"), gp("cols"), gp("words"), gp("rank")
	one, ones8, ones16, low4, low5 := broadcast8(1), broadcast8(0x01010101), broadcast8(0x00010001), broadcast8(0x0f0f0f0f), broadcast8(31)
	table := YMM()
	VMOVDQU(nibbles8, table)
	spread8("local8", n, func(mask reg.VecVirtual) {
		u, at := load8(Mem{Base: cols}, mask), YMM()
		VPSRLD(Imm(5), u, at)
		w, s := lookup8(words, at, mask), lookup8(rank, at, mask)
		VPAND(low5, u, u)
		VPSLLVD(u, one, u)
		VPSUBD(one, u, u)
		VPAND(u, w, w)
		h := YMM()
		VPSRLD(Imm(4), w, h)
		VPAND(low4, w, w)
		VPAND(low4, h, h)
		VPSHUFB(w, table, w)
		VPSHUFB(h, table, h)
		VPADDB(h, w, w)
		VPMADDUBSW(ones8, w, w)
		VPMADDWD(ones16, w, w)
		VPADDD(s, w, w)
		store8(w, mask, Mem{Base: cols})
		ADDQ(Imm(32), cols)
	})
	VZEROUPPER()
	RET()
}

func count256() {
	TEXT("count256", NOSPLIT, "func(n int, nodes *int32, starts, indptr *int64, indices *int32, words, counts *uint32)")
	Doc("count256 is count512 with AVX2.")
	Pragma("noescape")
	r := newRows("count8", "starts")
	words, counts := gp("words"), gp("counts")
	low5 := broadcast8(31)
	Label("count8_row")
	r.next()
	row := GP64()
	LEAQ(Mem{Base: counts, Index: r.lo, Scale: 4}, row)
	spread8("count8", r.length, func(mask reg.VecVirtual) {
		_, in := members8(r.row, words, low5, mask)
		c := load8(Mem{Base: row}, mask)
		VPSRLD(Imm(31), in, in)
		VPADDD(in, c, c)
		store8(c, mask, Mem{Base: row})
		ADDQ(Imm(32), row)
		ADDQ(Imm(32), r.row)
	})
	INCQ(r.i)
	CMPQ(r.i, r.n)
	JLT(LabelRef("count8_row"))
	VZEROUPPER()
	RET()
}

func scale256() {
	TEXT("scale256", NOSPLIT, "func(n int, nodes *int32, indptr *int64, starts *int32, ids *int64, x, y *float32)")
	Doc("scale256 is scale512 with AVX2.")
	Pragma("noescape")
	n, nodes, indptr, starts := gp("n"), gp("nodes"), gp("indptr"), gp("starts")
	ids, x, y := gp("ids"), gp("x"), gp("y")
	i, unit, onef := GP64(), GP64(), XMM()
	XORQ(i, i)
	MOVQ(U32(1), unit)
	VXORPS(onef, onef, onef)
	VCVTSI2SDQ(unit, onef, onef)
	Label("scale8_row")
	v, deg, k, length := GP64(), GP64(), GP64(), GP64()
	MOVLQSX(Mem{Base: nodes, Index: i, Scale: 4}, v)
	MOVQ(Mem{Base: indptr, Index: v, Scale: 8, Disp: 8}, deg)
	SUBQ(Mem{Base: indptr, Index: v, Scale: 8}, deg)
	inv := YMM()
	VXORPS(inv.AsX(), inv.AsX(), inv.AsX())
	VCVTSI2SDQ(deg, inv.AsX(), inv.AsX())
	VDIVSD(inv.AsX(), onef, inv.AsX())
	VBROADCASTSD(inv.AsX(), inv)
	MOVLQSX(Mem{Base: starts, Index: i, Scale: 4}, k)
	MOVLQSX(Mem{Base: starts, Index: i, Scale: 4, Disp: 4}, length)
	SUBQ(k, length)
	id, out := GP64(), GP64()
	LEAQ(Mem{Base: ids, Index: k, Scale: 8}, id)
	LEAQ(Mem{Base: y, Index: k, Scale: 4}, out)
	quads := GP64()
	MOVQ(length, quads)
	SHRQ(Imm(2), quads)
	JZ(LabelRef("scale8_tail"))
	Label("scale8_quad")
	e, all, a, wide := YMM(), XMM(), XMM(), YMM()
	VMOVDQU(Mem{Base: id}, e)
	VPCMPEQD(all, all, all)
	VXORPS(a, a, a)
	VGATHERQPS(all, Mem{Base: x, Index: e, Scale: 4}, a)
	VCVTPS2PD(a, wide)
	VMULPD(inv, wide, wide)
	VCVTPD2PSY(wide, a)
	VMOVUPS(a, Mem{Base: out})
	ADDQ(Imm(32), id)
	ADDQ(Imm(16), out)
	DECQ(quads)
	JNZ(LabelRef("scale8_quad"))
	Label("scale8_tail")
	ANDQ(Imm(3), length)
	JZ(LabelRef("scale8_done"))
	Label("scale8_one")
	at, f, d := GP64(), XMM(), XMM()
	MOVQ(Mem{Base: id}, at)
	VMOVSS(Mem{Base: x, Index: at, Scale: 4}, f)
	VXORPS(d, d, d)
	VCVTSS2SD(f, d, d)
	VMULSD(inv.AsX(), d, d)
	VCVTSD2SS(d, d, d)
	VMOVSS(d, Mem{Base: out})
	ADDQ(Imm(8), id)
	ADDQ(Imm(4), out)
	DECQ(length)
	JNZ(LabelRef("scale8_one"))
	Label("scale8_done")
	INCQ(i)
	CMPQ(i, n)
	JLT(LabelRef("scale8_row"))
	VZEROUPPER()
	RET()
}
