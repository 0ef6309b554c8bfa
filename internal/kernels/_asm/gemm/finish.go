package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// finisher takes products from where multiply leaves them.
type finisher struct {
	rows, panels, p, c, ldc reg.Register
	from, to, n             reg.Register // in the current row
	k                       [2]reg.OpmaskVirtual
	alpha, beta, nought     reg.VecVirtual
	sums                    [2]reg.VecVirtual // zero as long as products are finite
}

// finish writes the function that takes products from where multiply leaves them.
func finish() {
	const name = "finishAVX512"
	TEXT(name, NOSPLIT, "func(rows, panels int, p *float32, c *float32, ldc int, mask uint32, alpha, beta float32, out *[16]float32)")
	Doc(name + " computes c = alpha p + beta c for rows of panels of 32 elements, of the last panel those of mask; ldc is the bytes from row to row of c. out is that of finiteAVX512 for p.")
	Pragma("noescape")
	f := &finisher{
		rows: Load(Param("rows"), GP64()), panels: Load(Param("panels"), GP64()), p: Load(Param("p"), GP64()),
		c: Load(Param("c"), GP64()), ldc: Load(Param("ldc"), GP64()),
	}
	mask := Load(Param("mask"), GP32())
	f.k = [2]reg.OpmaskVirtual{K(), K()}
	KMOVW(mask, f.k[0])
	SHRL(Imm(16), mask)
	KMOVW(mask, f.k[1])
	f.alpha, f.beta, f.nought = ZMM(), ZMM(), ZMM()
	f.sums = [2]reg.VecVirtual{ZMM(), ZMM()}
	zero(f.nought)
	zero(f.sums[0])
	zero(f.sums[1])
	al, _ := Param("alpha").Resolve()
	be, _ := Param("beta").Resolve()
	VBROADCASTSS(al.Addr, f.alpha)
	VBROADCASTSS(be.Addr, f.beta)
	DECQ(f.panels)
	bits := GP32()
	MOVL(be.Addr, bits)
	ADDL(bits, bits) // the sign of zero does not count
	f.from, f.to, f.n = GP64(), GP64(), GP64()
	JZ(LabelRef("finish_plain_row"))
	f.walk("finish_add", true)
	JMP(LabelRef("finish_out"))
	f.walk("finish_plain", false)
	Label("finish_out")
	out := Load(Param("out"), GP64())
	VADDPS(f.sums[0], f.sums[1], f.sums[1])
	VMOVUPS(f.sums[1], Mem{Base: out})
	VZEROUPPER()
	RET()
}

// walk goes over all rows; add says that beta is not 0.
func (f *finisher) walk(label string, add bool) {
	Label(label + "_row")
	MOVQ(f.p, f.from)
	MOVQ(f.c, f.to)
	MOVQ(f.panels, f.n)
	TESTQ(f.n, f.n)
	JZ(LabelRef(label + "_last"))
	Label(label + "_panel")
	f.vector(0, add, false)
	f.vector(1, add, false)
	ADDQ(U32(productBytes), f.from)
	ADDQ(U32(productStride), f.to)
	DECQ(f.n)
	JNZ(LabelRef(label + "_panel"))
	Label(label + "_last")
	f.vector(0, add, true)
	f.vector(1, add, true)
	ADDQ(U32(productStride), f.p)
	ADDQ(f.ldc, f.c)
	DECQ(f.rows)
	JNZ(LabelRef(label + "_row"))
}

// vector does half j of a row of a panel.
func (f *finisher) vector(j int, add, masked bool) {
	v, at := ZMM(), Mem{Base: f.to, Disp: 64 * j}
	VMOVUPS(Mem{Base: f.from, Disp: 64 * j}, v)
	VFMADD231PS(v, f.nought, f.sums[j])
	VMULPS(v, f.alpha, v)
	switch {
	case add && masked:
		VFMADD231PS(at, f.beta, f.k[j], v)
	case add:
		VFMADD231PS(at, f.beta, v)
	}
	if masked {
		VMOVUPS(v, f.k[j], at)
	} else {
		VMOVUPS(v, at)
	}
}

// finite writes the function that looks for numbers that tiles could not hold.
func finite() {
	TEXT("finiteAVX512", NOSPLIT, "func(n int, x *float32, out *[16]float32)")
	Doc("finiteAVX512 writes zeros if all of n elements are finite, and else a NaN among them; n is a multiple of 64 and at least that.")
	Pragma("noescape")
	n := Load(Param("n"), GP64())
	x := Load(Param("x"), GP64())
	out := Load(Param("out"), GP64())
	nought := ZMM()
	zero(nought)
	var acc [4]reg.VecVirtual
	for i := range acc {
		acc[i] = ZMM()
		zero(acc[i])
	}
	Label("finite_loop")
	for i, r := range acc {
		VFMADD231PS(Mem{Base: x, Disp: 64 * i}, nought, r)
	}
	ADDQ(U32(256), x)
	SUBQ(Imm(64), n)
	JNZ(LabelRef("finite_loop"))
	VADDPS(acc[0], acc[1], acc[1])
	VADDPS(acc[2], acc[3], acc[3])
	VADDPS(acc[1], acc[3], acc[3])
	VMOVUPS(acc[3], Mem{Base: out})
	VZEROUPPER()
	RET()
}
