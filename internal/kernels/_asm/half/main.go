// Command half writes the kernels of internal/kernels/half.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	f16c()
	decode("decode512", 64, func() reg.VecVirtual { return ZMM() })
	decode("decode256", 32, func() reg.VecVirtual { return YMM() })
	encode("encode512", 64, func() reg.VecVirtual { return ZMM() }, func() reg.VecVirtual { return YMM() })
	encode("encode256", 32, func() reg.VecVirtual { return YMM() }, func() reg.VecVirtual { return XMM() })
	Generate()
}

// f16c writes the question whether the processor has the conversions of 256 bits.
func f16c() {
	TEXT("f16c", NOSPLIT, "func() uint32")
	Doc("f16c returns bit 29 of the processor's features, which says that it converts half precision.")
	MOVL(U32(1), reg.EAX)
	XORL(reg.ECX, reg.ECX)
	CPUID()
	SHRL(Imm(29), reg.ECX)
	ANDL(Imm(1), reg.ECX)
	Store(reg.ECX, ReturnIndex(0))
	RET()
}

// decode writes y = x while a row that comes later is fetched.
func decode(name string, width int, vec func() reg.VecVirtual) {
	TEXT(name, NOSPLIT, "func(n int, x, next *uint16, y *float32)")
	Pragma("noescape")
	Doc(name + " widens n numbers, a positive multiple of those of a vector, and fetches as many from next.")
	n, x, next, y := Load(Param("n"), GP64()), Load(Param("x"), GP64()), Load(Param("next"), GP64()), Load(Param("y"), GP64())
	v := vec()
	Label(name + "_loop")
	PREFETCHT0(Mem{Base: next})
	VCVTPH2PS(Mem{Base: x}, v)
	VMOVUPS(v, Mem{Base: y})
	ADDQ(Imm(uint64(width/2)), x)
	ADDQ(Imm(uint64(width/2)), next)
	ADDQ(Imm(uint64(width)), y)
	SUBQ(Imm(uint64(width/4)), n)
	JNZ(LabelRef(name + "_loop"))
	VZEROUPPER()
	RET()
}

// encode writes y = x rounded to nearest, ties to even, whatever the mode of the processor.
func encode(name string, width int, vec, narrow func() reg.VecVirtual) {
	TEXT(name, NOSPLIT, "func(n int, x *float32, y *uint16)")
	Pragma("noescape")
	Doc(name + " rounds n numbers, a positive multiple of those of a vector.")
	n, x, y := Load(Param("n"), GP64()), Load(Param("x"), GP64()), Load(Param("y"), GP64())
	v, h := vec(), narrow()
	Label(name + "_loop")
	VMOVUPS(Mem{Base: x}, v)
	VCVTPS2PH(Imm(0), v, h)
	VMOVDQU(h, Mem{Base: y})
	ADDQ(Imm(uint64(width)), x)
	ADDQ(Imm(uint64(width/2)), y)
	SUBQ(Imm(uint64(width/4)), n)
	JNZ(LabelRef(name + "_loop"))
	VZEROUPPER()
	RET()
}
