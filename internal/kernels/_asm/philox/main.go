// Command philox writes the kernels of internal/philox.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/saint-gnn/saint/internal/kernels/asm/stream"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	orders := map[int]Mem{}
	for _, bits := range []int{256, 512} {
		orders[bits] = stream.Order(bits)
	}
	for _, bits := range []int{256, 512} {
		words(bits, orders[bits])
		drop(bits, orders[bits], false)
		drop(bits, orders[bits], true)
		apply(bits)
	}
	Generate()
}

func words(bits int, order Mem) {
	name := "words" + stream.Suffix[bits]
	TEXT(name, NOSPLIT, "func(n int, ctr, key uint64, dst *uint32)")
	document(name, "writes the words of n/4 blocks from block ctr on.", bits)
	n, dst := Load(Param("n"), GP64()), Load(Param("dst"), GP64())
	g := stream.NewNear(bits, order)
	Label(name + "_loop")
	for i, w := range g.Streams(1) {
		VMOVUPS(w, Mem{Base: dst, Disp: i * bits / 8})
	}
	ADDQ(Imm(uint64(bits/4)), dst)
	SUBQ(Imm(uint64(bits/16)), n)
	JNZ(LabelRef(name + "_loop"))
	VZEROUPPER()
	RET()
}

// drop writes the dropout of n elements, with kept also the bits of those that are not dropped.
func drop(bits int, order Mem, kept bool) {
	d := dropKernel{bits: bits}
	name := "drop" + stream.Suffix[bits]
	sig, doc := "func(n int, ctr, key uint64, threshold uint32, scale float32, x, y *float32)", ""
	if kept {
		name = "dropKept" + stream.Suffix[bits]
		sig = "func(n int, ctr, key uint64, threshold uint32, scale float32, x, y *float32, kept *uint16)"
		doc = ", and writes a bit for each element, 1 where it is kept"
	}
	TEXT(name, NOSPLIT, sig)
	document(name, "computes y = x scale where words of n/4 blocks from block ctr on are >= threshold, else 0"+doc+".", bits)
	n := Load(Param("n"), GP64())
	d.x, d.y = Load(Param("x"), GP64()), Load(Param("y"), GP64())
	if kept {
		d.kept = Load(Param("kept"), GP64())
	}
	d.threshold, d.scale = stream.Vec(bits), stream.Vec(bits)
	VBROADCASTSS(stream.Address("threshold"), d.threshold)
	VBROADCASTSS(stream.Address("scale"), d.scale)
	g := stream.NewNear(bits, order)
	step := uint64(bits / 16)
	// Two streams at a time keep the units busy while the products of one wait for each other.
	if bits == 512 {
		SUBQ(Imm(2*step), n)
		JB(LabelRef(name + "_last"))
		Label(name + "_pair")
		d.apply(g.Streams(2))
		SUBQ(Imm(2*step), n)
		JAE(LabelRef(name + "_pair"))
		Label(name + "_last")
		ADDQ(Imm(2*step), n)
		JZ(LabelRef(name + "_end"))
	}
	Label(name + "_loop")
	d.apply(g.Streams(1))
	SUBQ(Imm(step), n)
	JNZ(LabelRef(name + "_loop"))
	Label(name + "_end")
	VZEROUPPER()
	RET()
}

type dropKernel struct {
	bits             int
	x, y, kept       reg.Register // kept is nil if nobody wants the bits
	threshold, scale reg.VecVirtual
}

// apply drops elements out by vectors of words.
func (d *dropKernel) apply(words []reg.VecVirtual) {
	var low reg.GPVirtual // bits of the first of two vectors
	for i, w := range words {
		from, to := Mem{Base: d.x, Disp: i * d.bits / 8}, Mem{Base: d.y, Disp: i * d.bits / 8}
		v := stream.Vec(d.bits)
		if d.bits == 512 {
			k := K()
			VPCMPUD(Imm(5), d.threshold, w, k) // not below
			VMULPS_Z(from, d.scale, k, v)
			if d.kept != nil {
				KMOVW(k, Mem{Base: d.kept, Disp: 2 * i})
			}
		} else {
			m := YMM()
			VPMAXUD(d.threshold, w, m)
			VPCMPEQD(w, m, m)
			VMULPS(from, d.scale, v)
			VANDPS(m, v, v)
			if d.kept != nil {
				b := GP32()
				VMOVMSKPS(m, b)
				if i%2 == 0 {
					low = b
				} else {
					SHLL(Imm(8), b)
					ORL(low, b)
					MOVW(b.As16(), Mem{Base: d.kept, Disp: i - 1})
				}
			}
		}
		VMOVUPS(v, to)
	}
	ADDQ(U32(uint64(len(words)*d.bits/8)), d.x)
	ADDQ(U32(uint64(len(words)*d.bits/8)), d.y)
	if d.kept != nil {
		ADDQ(Imm(uint64(len(words)*d.bits/256)), d.kept)
	}
}

// apply writes the kernel that takes the bits again.
func apply(bits int) {
	name := "apply" + stream.Suffix[bits]
	TEXT(name, NOSPLIT, "func(n int, kept *uint16, scale float32, x, y *float32)")
	document(name, "computes y = x scale where the bits of kept are 1, else 0.", bits)
	n, kept := Load(Param("n"), GP64()), Load(Param("kept"), GP64())
	x, y := Load(Param("x"), GP64()), Load(Param("y"), GP64())
	scale := stream.Vec(bits)
	VBROADCASTSS(stream.Address("scale"), scale)
	var lane reg.VecVirtual
	if bits == 256 {
		m := GLOBL("laneBits", RODATA|NOPTR)
		for i := range 16 {
			DATA(4*i, U32(1<<i))
		}
		lane = YMM()
		VMOVDQU(m, lane)
		high := YMM()
		VMOVDQU(m.Offset(32), high)
		applyLoop256(name, n, kept, x, y, scale, lane, high)
		return
	}
	Label(name + "_loop")
	for i := range 2 {
		k, v := K(), ZMM()
		KMOVW(Mem{Base: kept, Disp: 2 * i}, k)
		VMULPS_Z(Mem{Base: x, Disp: 64 * i}, scale, k, v)
		VMOVUPS(v, Mem{Base: y, Disp: 64 * i})
	}
	ADDQ(U32(128), x)
	ADDQ(U32(128), y)
	ADDQ(Imm(4), kept)
	SUBQ(Imm(32), n)
	JNZ(LabelRef(name + "_loop"))
	VZEROUPPER()
	RET()
}

func applyLoop256(name string, n, kept, x, y reg.Register, scale, low, high reg.VecVirtual) {
	Label(name + "_loop")
	g, s, all := GP32(), XMM(), YMM()
	MOVWLZX(Mem{Base: kept}, g)
	VMOVD(g, s)
	VPBROADCASTD(s, all)
	for i, lane := range []reg.VecVirtual{low, high} {
		m, v := YMM(), YMM()
		VPAND(lane, all, m)
		VPCMPEQD(lane, m, m)
		VMULPS(Mem{Base: x, Disp: 32 * i}, scale, v)
		VANDPS(m, v, v)
		VMOVUPS(v, Mem{Base: y, Disp: 32 * i})
	}
	ADDQ(Imm(64), x)
	ADDQ(Imm(64), y)
	ADDQ(Imm(2), kept)
	SUBQ(Imm(16), n)
	JNZ(LabelRef(name + "_loop"))
	VZEROUPPER()
	RET()
}

func document(name, doc string, bits int) {
	s := map[int]string{256: "16", 512: "32"}[bits]
	Doc(name + " " + doc + " n is a multiple of " + s + " and at least " + s + ".")
	Pragma("noescape")
}
