// Command induce writes the kernels of internal/kernels/induce.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// How many rows before its turn the start of a row is fetched, and where it starts.
const ahead, farAhead = 8, 24

func main() {
	ConstraintExpr("amd64,!noasm")
	scan()
	local()
	count()
	scale()
	pop()
	avx2()
	Generate()
}

// rows is a loop over the rows of a list of nodes.
type rows struct {
	name                     string
	n                        Mem
	i, nodes, starts, indptr reg.GPVirtual
	indices, lo, length, row reg.GPVirtual
}

// newRows loads the parameters that all loops share; starts is the parameter that holds
// where rows start, indptr where they end.
func newRows(name, starts string) *rows {
	r := &rows{name: name}
	r.n = mem("n")
	r.nodes = gp("nodes")
	r.starts = gp(starts)
	r.indptr = r.starts
	if starts != "indptr" {
		r.indptr = gp("indptr")
	}
	r.indices = gp("indices")
	r.i = GP64()
	XORQ(r.i, r.i)
	return r
}

// mem is a parameter where it lies: there are more of them than registers.
func mem(param string) Mem {
	b, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

func gp(param string) reg.GPVirtual { return Load(Param(param), GP64()).(reg.GPVirtual) }

// next loads the bounds of row i and fetches the start of a later row.
func (r *rows) next() {
	v := GP64()
	far := r.ahead(farAhead)
	PREFETCHT0(Mem{Base: r.starts, Index: far, Scale: 8})
	f := r.ahead(ahead)
	MOVQ(Mem{Base: r.starts, Index: f, Scale: 8}, f)
	PREFETCHT0(Mem{Base: r.indices, Index: f, Scale: 4})
	PREFETCHT0(Mem{Base: r.indices, Index: f, Scale: 4, Disp: 64})
	MOVLQSX(Mem{Base: r.nodes, Index: r.i, Scale: 4}, v)
	r.lo, r.length, r.row = GP64(), GP64(), GP64()
	MOVQ(Mem{Base: r.starts, Index: v, Scale: 8}, r.lo)
	MOVQ(Mem{Base: r.indptr, Index: v, Scale: 8, Disp: 8}, r.length)
	SUBQ(r.lo, r.length)
	LEAQ(Mem{Base: r.indices, Index: r.lo, Scale: 4}, r.row)
}

// ahead returns the node whose row comes by rows later, the current one at the end.
func (r *rows) ahead(by int) reg.GPVirtual {
	f := GP64()
	LEAQ(Mem{Base: r.i, Disp: by}, f)
	CMPQ(f, r.n)
	CMOVQGE(r.i, f)
	MOVLQSX(Mem{Base: r.nodes, Index: f, Scale: 4}, f)
	return f
}

// spread runs body for every 16 entries of the row and then once, masked, for what is
// left, which may be nothing: a branch would be missed more often than it saves.
func (r *rows) spread(body func(mask reg.Register)) {
	blocks := GP64()
	MOVQ(r.length, blocks)
	SHRQ(Imm(4), blocks)
	JZ(LabelRef(r.name + "_tail"))
	Label(r.name + "_block")
	body(nil)
	DECQ(blocks)
	JNZ(LabelRef(r.name + "_block"))
	Label(r.name + "_tail")
	body(tailMask(r.length, 15))
}

// tailMask sets the low length&most bits of a mask register.
func tailMask(length reg.Register, most uint64) reg.Register {
	bitsSet, rest := GP32(), GP64()
	MOVQ(length, rest)
	ANDQ(Imm(most), rest)
	MOVL(U32(0xffffffff), bitsSet)
	BZHIL(rest.As32(), bitsSet, bitsSet)
	k := K()
	KMOVW(bitsSet, k)
	return k
}

// members loads the next 16 ids, those of mask only, and returns them and which of them
// are in the set.
func members(row, words reg.Register, one reg.VecVirtual, mask reg.Register) (ids reg.VecVirtual, in reg.Register) {
	ids = ZMM()
	all := K()
	if mask == nil {
		VMOVDQU32(Mem{Base: row}, ids)
		KXNORW(all, all, all)
	} else {
		VMOVDQU32_Z(Mem{Base: row}, mask, ids)
		KMOVW(mask, all)
	}
	at, word := ZMM(), ZMM()
	VPSRLD(Imm(5), ids, at)
	VPXORD(word, word, word)
	VPGATHERDD(Mem{Base: words, Index: at, Scale: 4}, all, word)
	VPRORVD(ids, word, word) // counts are taken modulo 32
	in = K()
	if mask == nil {
		VPTESTMD(one, word, in)
	} else {
		VPTESTMD(one, word, mask, in)
	}
	return ids, in
}

func broadcast32(x uint32) reg.VecVirtual {
	g, v := GP32(), ZMM()
	MOVL(U32(x), g)
	VPBROADCASTD(g, v)
	return v
}

var iota32 Mem

func makeIota() {
	iota32 = GLOBL("iota32", RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(uint32(i)))
	}
}

func scan() {
	makeIota()
	TEXT("scan512", NOSPLIT, "func(n int, nodes *int32, indptr *int64, indices *int32, words *uint32, limit, at int, starts, cols *int32, ids *int64) (rows, end int)")
	Doc("scan512 writes the members of the rows of n nodes, at least one, and their positions; it",
		"stops before the first row that might end beyond limit less 16.")
	Pragma("noescape")
	r := newRows("scan", "indptr")
	words, at := gp("words"), gp("at")
	cols, ids := gp("cols"), gp("ids")
	one, sixteen, iota := broadcast32(1), broadcast32(16), ZMM()
	VMOVDQU32(iota32, iota)
	Label("scan_row")
	r.next()
	most := GP64()
	LEAQ(Mem{Base: at, Index: r.length, Scale: 1, Disp: 16}, most)
	CMPQ(most, mem("limit"))
	JGT(LabelRef("scan_end"))
	starts := gp("starts")
	MOVL(at.As32(), Mem{Base: starts, Index: r.i, Scale: 4})
	base, off := ZMM(), ZMM()
	VPBROADCASTQ(r.lo, base)
	VMOVDQA32(iota, off)
	r.spread(func(mask reg.Register) {
		u, in := members(r.row, words, one, mask)
		c, o := ZMM(), ZMM()
		VPCOMPRESSD_Z(u, in, c)
		VMOVDQU32(c, Mem{Base: cols, Index: at, Scale: 4})
		VPCOMPRESSD_Z(off, in, o)
		high, low := YMM(), ZMM()
		VEXTRACTI64X4(Imm(1), o, high)
		VPMOVZXDQ(o.AsY(), low)
		VPADDQ(base, low, low)
		VMOVDQU64(low, Mem{Base: ids, Index: at, Scale: 8})
		wide := ZMM()
		VPMOVZXDQ(high, wide)
		VPADDQ(base, wide, wide)
		VMOVDQU64(wide, Mem{Base: ids, Index: at, Scale: 8, Disp: 64})
		hits := GP32()
		KMOVW(in, hits)
		POPCNTL(hits, hits)
		ADDQ(hits.As64(), at)
		if mask == nil {
			VPADDD(sixteen, off, off)
			ADDQ(Imm(64), r.row)
		}
	})
	INCQ(r.i)
	CMPQ(r.i, r.n)
	JLT(LabelRef("scan_row"))
	Label("scan_end")
	Store(r.i, Return("rows"))
	Store(at, Return("end"))
	VZEROUPPER()
	RET()
}

func local() {
	nibbles := GLOBL("nibbles", RODATA|NOPTR)
	for i := range 64 {
		DATA(i, U8([16]uint8{0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4}[i%16]))
	}
	TEXT("local512", NOSPLIT, "func(n int, cols *int32, words *uint32, rank *int32)")
	Doc("local512 replaces members by how many members are smaller.")
	Pragma("noescape")
	n, cols, words, rank := gp("n"), gp("cols"), gp("words"), gp("rank")
	one, ones8, ones16, low4, five := broadcast32(1), broadcast32(0x01010101), broadcast32(0x00010001), broadcast32(0x0f0f0f0f), broadcast32(31)
	table := ZMM()
	VMOVDQU32(nibbles, table)
	blocks := GP64()
	body := func(mask reg.Register) {
		u, at, w, s := ZMM(), ZMM(), ZMM(), ZMM()
		k1, k2 := K(), K()
		if mask == nil {
			VMOVDQU32(Mem{Base: cols}, u)
			KXNORW(k1, k1, k1)
			KXNORW(k2, k2, k2)
		} else {
			VMOVDQU32_Z(Mem{Base: cols}, mask, u)
			KMOVW(mask, k1)
			KMOVW(mask, k2)
		}
		VPSRLD(Imm(5), u, at)
		VPXORD(w, w, w)
		VPXORD(s, s, s)
		VPGATHERDD(Mem{Base: words, Index: at, Scale: 4}, k1, w)
		VPGATHERDD(Mem{Base: rank, Index: at, Scale: 4}, k2, s)
		VPANDD(five, u, u)
		VPSLLVD(u, one, u)
		VPSUBD(one, u, u)
		VPANDD(u, w, w)
		h := ZMM()
		VPSRLD(Imm(4), w, h)
		VPANDD(low4, w, w)
		VPANDD(low4, h, h)
		VPSHUFB(w, table, w)
		VPSHUFB(h, table, h)
		VPADDB(h, w, w)
		VPMADDUBSW(ones8, w, w)
		VPMADDWD(ones16, w, w)
		VPADDD(s, w, w)
		if mask == nil {
			VMOVDQU32(w, Mem{Base: cols})
			ADDQ(Imm(64), cols)
		} else {
			VMOVDQU32(w, mask, Mem{Base: cols})
		}
	}
	MOVQ(n, blocks)
	SHRQ(Imm(4), blocks)
	JZ(LabelRef("local_tail"))
	Label("local_block")
	body(nil)
	DECQ(blocks)
	JNZ(LabelRef("local_block"))
	Label("local_tail")
	body(tailMask(n, 15))
	VZEROUPPER()
	RET()
}

func count() {
	TEXT("count512", NOSPLIT, "func(n int, nodes *int32, starts, indptr *int64, indices *int32, words, counts *uint32)")
	Doc("count512 adds 1 to the counts of the members of the rows of n nodes, at least one.")
	Pragma("noescape")
	r := newRows("count", "starts")
	words, counts := gp("words"), gp("counts")
	one := broadcast32(1)
	Label("count_row")
	r.next()
	row := GP64()
	LEAQ(Mem{Base: counts, Index: r.lo, Scale: 4}, row)
	r.spread(func(mask reg.Register) {
		_, in := members(r.row, words, one, mask)
		c := ZMM()
		if mask == nil {
			VMOVDQU32(Mem{Base: row}, c)
			VPADDD(one, c, in, c)
			VMOVDQU32(c, Mem{Base: row})
			ADDQ(Imm(64), row)
			ADDQ(Imm(64), r.row)
			return
		}
		VMOVDQU32_Z(Mem{Base: row}, mask, c)
		VPADDD(one, c, in, c)
		VMOVDQU32(c, mask, Mem{Base: row})
	})
	INCQ(r.i)
	CMPQ(r.i, r.n)
	JLT(LabelRef("count_row"))
	VZEROUPPER()
	RET()
}

func scale() {
	TEXT("scale512", NOSPLIT, "func(n int, nodes *int32, indptr *int64, starts *int32, ids *int64, x, y *float32)")
	Doc("scale512 computes y[k] = x[ids[k]]/deg, with 1/deg and the product in float64, for the",
		"entries of the rows of n nodes, at least one.")
	Pragma("noescape")
	n, nodes, indptr, starts := gp("n"), gp("nodes"), gp("indptr"), gp("starts")
	ids, x, y := gp("ids"), gp("x"), gp("y")
	i := GP64()
	XORQ(i, i)
	unit, onef := GP64(), XMM()
	MOVQ(U32(1), unit)
	VXORPS(onef, onef, onef)
	VCVTSI2SDQ(unit, onef, onef)
	Label("scale_row")
	v, deg, k, length := GP64(), GP64(), GP64(), GP64()
	MOVLQSX(Mem{Base: nodes, Index: i, Scale: 4}, v)
	MOVQ(Mem{Base: indptr, Index: v, Scale: 8, Disp: 8}, deg)
	SUBQ(Mem{Base: indptr, Index: v, Scale: 8}, deg)
	inv := ZMM()
	VXORPS(inv.AsX(), inv.AsX(), inv.AsX())
	VCVTSI2SDQ(deg, inv.AsX(), inv.AsX())
	VDIVSD(inv.AsX(), onef, inv.AsX())
	VBROADCASTSD(inv.AsX(), inv)
	MOVLQSX(Mem{Base: starts, Index: i, Scale: 4}, k)
	MOVLQSX(Mem{Base: starts, Index: i, Scale: 4, Disp: 4}, length)
	SUBQ(k, length)
	id, out, blocks := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: ids, Index: k, Scale: 8}, id)
	LEAQ(Mem{Base: y, Index: k, Scale: 4}, out)
	body := func(mask reg.Register) {
		e, a, wide := ZMM(), YMM(), ZMM()
		all := K()
		if mask == nil {
			VMOVDQU64(Mem{Base: id}, e)
			KXNORB(all, all, all)
		} else {
			VMOVDQU64_Z(Mem{Base: id}, mask, e)
			KMOVW(mask, all)
		}
		VXORPS(a, a, a)
		VGATHERQPS(Mem{Base: x, Index: e, Scale: 4}, all, a)
		VCVTPS2PD(a, wide)
		VMULPD(inv, wide, wide)
		VCVTPD2PS(wide, a)
		if mask == nil {
			VMOVUPS(a, Mem{Base: out})
			ADDQ(Imm(64), id)
			ADDQ(Imm(32), out)
		} else {
			VMOVUPS(a, mask, Mem{Base: out})
		}
	}
	MOVQ(length, blocks)
	SHRQ(Imm(3), blocks)
	JZ(LabelRef("scale_tail"))
	Label("scale_block")
	body(nil)
	DECQ(blocks)
	JNZ(LabelRef("scale_block"))
	Label("scale_tail")
	body(tailMask(length, 7))
	INCQ(i)
	CMPQ(i, n)
	JLT(LabelRef("scale_row"))
	VZEROUPPER()
	RET()
}
