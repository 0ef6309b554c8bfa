// Command f64 writes the kernels of internal/kernels/f64.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	rows   = 4
	cols   = 8
	double = 8 // bytes
)

func main() {
	ConstraintExpr("amd64,!noasm")
	tile("tile512", 64, func() reg.VecVirtual { return ZMM() })
	tile("tile256", 32, func() reg.VecVirtual { return YMM() })
	axpy("axpy512", 64, func() reg.VecVirtual { return ZMM() })
	axpy("axpy256", 32, func() reg.VecVirtual { return YMM() })
	Generate()
}

// tile writes the sums of a tile. Products are rounded before they are added, as Go rounds
// them, so that the results are those of the portable loop.
func tile(name string, width int, vec func() reg.VecVirtual) {
	TEXT(name, NOSPLIT, "func(a, b *float64, k int, sums *float64)")
	Pragma("noescape")
	Doc(name + " is tileGo for k products, k above 0.")
	a, b := Load(Param("a"), GP64()), Load(Param("b"), GP64())
	k, sums := Load(Param("k"), GP64()), Load(Param("sums"), GP64())
	per := cols * double / width
	acc := make([]reg.VecVirtual, rows*per)
	for i := range acc {
		acc[i] = vec()
		zero(acc[i])
	}
	right := make([]reg.VecVirtual, per)
	for i := range right {
		right[i] = vec()
	}
	left, product := vec(), []reg.VecVirtual{vec(), vec()}
	Label(name + "_loop")
	for i, r := range right {
		VMOVUPD(Mem{Base: b, Disp: i * width}, r)
	}
	for i := range rows {
		VBROADCASTSD(Mem{Base: a, Disp: i * double}, left)
		for c, r := range right {
			p := product[c%2]
			VMULPD(r, left, p)
			VADDPD(p, acc[i*per+c], acc[i*per+c])
		}
	}
	ADDQ(Imm(rows*double), a)
	ADDQ(Imm(cols*double), b)
	DECQ(k)
	JNZ(LabelRef(name + "_loop"))
	for i, r := range acc {
		VMOVUPD(r, Mem{Base: sums, Disp: i * width})
	}
	VZEROUPPER()
	RET()
}

// axpy writes y += f x for whole vectors.
func axpy(name string, width int, vec func() reg.VecVirtual) {
	TEXT(name, NOSPLIT, "func(f float64, x, y *float64, n int)")
	Pragma("noescape")
	Doc(name + " is axpyGo for n elements, a positive multiple of those of a vector.")
	factor := vec()
	VBROADCASTSD(NewParamAddr("f", 0), factor)
	x, y, n := Load(Param("x"), GP64()), Load(Param("y"), GP64()), Load(Param("n"), GP64())
	v := vec()
	Label(name + "_loop")
	VMULPD(Mem{Base: x}, factor, v)
	VADDPD(Mem{Base: y}, v, v)
	VMOVUPD(v, Mem{Base: y})
	ADDQ(Imm(uint64(width)), x)
	ADDQ(Imm(uint64(width)), y)
	SUBQ(Imm(uint64(width/double)), n)
	JNZ(LabelRef(name + "_loop"))
	VZEROUPPER()
	RET()
}

func zero(r reg.VecVirtual) {
	if r.Size() == 64 {
		VPXORQ(r, r, r)
		return
	}
	VXORPD(r, r, r)
}
