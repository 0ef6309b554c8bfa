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
		drop(bits, orders[bits])
	}
	Generate()
}

func words(bits int, order Mem) {
	name := "words" + stream.Suffix[bits]
	TEXT(name, NOSPLIT, "func(n int, ctr, key uint64, dst *uint32)")
	document(name, "writes the words of n/4 blocks from block ctr on.", bits)
	n, dst := Load(Param("n"), GP64()), Load(Param("dst"), GP64())
	g := stream.New(bits, order)
	Label(name + "_loop")
	first, second := g.Next()
	VMOVUPS(first, Mem{Base: dst})
	VMOVUPS(second, Mem{Base: dst, Disp: bits / 8})
	ADDQ(Imm(uint64(bits/4)), dst)
	SUBQ(Imm(uint64(bits/16)), n)
	JNZ(LabelRef(name + "_loop"))
	VZEROUPPER()
	RET()
}

func drop(bits int, order Mem) {
	name := "drop" + stream.Suffix[bits]
	TEXT(name, NOSPLIT, "func(n int, ctr, key uint64, threshold uint32, scale float32, x, y *float32)")
	document(name, "computes y = x scale where words of n/4 blocks from block ctr on are >= threshold, else 0.", bits)
	n, x, y := Load(Param("n"), GP64()), Load(Param("x"), GP64()), Load(Param("y"), GP64())
	threshold, scale := stream.Vec(bits), stream.Vec(bits)
	VBROADCASTSS(stream.Address("threshold"), threshold)
	VBROADCASTSS(stream.Address("scale"), scale)
	g := stream.New(bits, order)
	Label(name + "_loop")
	first, second := g.Next()
	for i, w := range []reg.VecVirtual{first, second} {
		from, to := Mem{Base: x, Disp: i * bits / 8}, Mem{Base: y, Disp: i * bits / 8}
		v := stream.Vec(bits)
		if bits == 512 {
			k := K()
			VPCMPUD(Imm(5), threshold, w, k) // not below
			VMULPS_Z(from, scale, k, v)
		} else {
			m := YMM()
			VPMAXUD(threshold, w, m)
			VPCMPEQD(w, m, m)
			VMULPS(from, scale, v)
			VANDPS(m, v, v)
		}
		VMOVUPS(v, to)
	}
	ADDQ(Imm(uint64(bits/4)), x)
	ADDQ(Imm(uint64(bits/4)), y)
	SUBQ(Imm(uint64(bits/16)), n)
	JNZ(LabelRef(name + "_loop"))
	VZEROUPPER()
	RET()
}

func document(name, doc string, bits int) {
	s := map[int]string{256: "16", 512: "32"}[bits]
	Doc(name + " " + doc + " n is a multiple of " + s + " and at least " + s + ".")
	Pragma("noescape")
}
