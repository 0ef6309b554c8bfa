package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// pack is the copy of rows into strips of nv vectors, each stored for itself. It goes row by
// row, since the next row is likely on another page, and fetches rows ahead for the same
// reason: the processor does not do it by itself over page borders.
type pack struct {
	name     string
	bits, nv int
}

func (p pack) write() {
	width := p.nv * p.bits / 32
	sig := "func(kc int, src *float32, ld, strips int, dst *float32, step int)"
	doc := fmt.Sprintf("%s copies kc rows of strips*%d elements, each %d of them into a strip of dst; ld is the bytes from row to row and step those from strip to strip.", p.name, width, width)
	if p.bits == 512 {
		sig = "func(kc int, src *float32, ld, strips int, dst *float32, step int, tail uint32)"
		doc += " The bits of tail, if any, are the columns of one more strip; the others become 0."
	}
	TEXT(p.name, NOSPLIT, sig)
	Doc(doc)
	Pragma("noescape")
	kc := Load(Param("kc"), GP64())
	src := Load(Param("src"), GP64())
	ld := Load(Param("ld"), GP64())
	strips := Load(Param("strips"), GP64())
	dst := Load(Param("dst"), GP64())
	step := Load(Param("step"), GP64())
	var tail reg.Register
	var masks []reg.Register
	if p.bits == 512 {
		tail, masks = p.masks()
	}
	from, to, ahead, n := GP64(), GP64(), GP64(), GP64()
	Label(p.name + "_row")
	MOVQ(src, from)
	MOVQ(dst, to)
	LEAQ(Mem{Base: src, Index: ld, Scale: 8}, ahead)
	MOVQ(strips, n)
	TESTQ(n, n)
	JZ(LabelRef(p.name + "_tail"))
	Label(p.name + "_strip")
	for j := 0; j < width*4; j += 64 {
		PREFETCHT0(Mem{Base: ahead, Disp: j})
	}
	for j := range p.nv {
		p.move(from, to, j, nil)
	}
	ADDQ(U32(4*width), from)
	ADDQ(U32(4*width), ahead)
	ADDQ(step, to)
	DECQ(n)
	JNZ(LabelRef(p.name + "_strip"))
	Label(p.name + "_tail")
	if tail != nil {
		TESTL(tail, tail)
		JZ(LabelRef(p.name + "_next"))
		for j, k := range masks {
			p.move(from, to, j, k)
		}
		Label(p.name + "_next")
	}
	ADDQ(ld, src)
	ADDQ(U32(4*width), dst)
	DECQ(kc)
	JNZ(LabelRef(p.name + "_row"))
	VZEROUPPER()
	RET()
}

// masks loads tail, also as a mask for every vector.
func (p pack) masks() (tail reg.Register, masks []reg.Register) {
	tail = Load(Param("tail"), GP32())
	rest := GP32()
	MOVL(tail, rest)
	for range p.nv {
		k := K()
		KMOVW(rest, k)
		SHRL(Imm(16), rest)
		masks = append(masks, k)
	}
	return tail, masks
}

// move copies vector j of a row of a strip.
func (p pack) move(from, to reg.Register, j int, k reg.Register) {
	v := vec(p.bits)
	disp := j * p.bits / 8
	if k == nil {
		VMOVUPS(Mem{Base: from, Disp: disp}, v)
	} else {
		VMOVUPS_Z(Mem{Base: from, Disp: disp}, k, v)
	}
	VMOVUPS(v, Mem{Base: to, Disp: disp})
}

// transpose writes the copy of 8 rows into 8 columns, by halves of 8×8 blocks that are
// interleaved three times.
func transpose() {
	const name = "transpose8"
	TEXT(name, NOSPLIT, "func(blocks int, src *float32, ld int, dst *float32, step int)")
	Doc(name + " copies 8 rows of blocks*8 elements to dst, which becomes blocks*8 rows of 8 elements; ld and step are the bytes from row to row.")
	Pragma("noescape")
	blocks := Load(Param("blocks"), GP64())
	src := Load(Param("src"), GP64())
	ld := Load(Param("ld"), GP64())
	dst := Load(Param("dst"), GP64())
	step := Load(Param("step"), GP64())
	p := GP64()
	Label(name + "_block")
	MOVQ(src, p)
	var r, s [8]reg.VecVirtual
	for i := range r {
		r[i] = YMM()
		VMOVUPS(Mem{Base: p}, r[i])
		ADDQ(ld, p)
	}
	for i := range s {
		s[i] = YMM()
		if x := i &^ 1; i&1 == 0 {
			VUNPCKLPS(r[x+1], r[x], s[i])
		} else {
			VUNPCKHPS(r[x+1], r[x], s[i])
		}
	}
	for i := range r { // quarter i of rows 0 to 3, and then of rows 4 to 7
		r[i] = YMM()
		x := i&4 + i>>1&1
		VSHUFPS(Imm(0x44|0xAA*uint64(i&1)), s[x+2], s[x], r[i])
	}
	for i := range s {
		s[i] = YMM()
		VPERM2F128(Imm(0x20|0x11*uint64(i>>2)), r[i&3+4], r[i&3], s[i])
		VMOVUPS(s[i], Mem{Base: dst})
		ADDQ(step, dst)
	}
	ADDQ(Imm(32), src)
	DECQ(blocks)
	JNZ(LabelRef(name + "_block"))
	VZEROUPPER()
	RET()
}
