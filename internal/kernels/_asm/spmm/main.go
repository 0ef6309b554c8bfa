// Command spmm writes the row kernels of internal/kernels/spmm.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	for nv := 1; nv <= 16; nv++ {
		row(512, nv)
	}
	for nv := 1; nv <= 8; nv++ {
		row(256, nv)
	}
	Generate()
}

// row writes the kernel for one row and nv vectors of columns, the last of them masked. The
// first n entries are summed while the row of x that is ahead entries further is fetched;
// the other rest entries are summed without looking ahead.
func row(bits, nv int) {
	bytes := bits / 8
	name := fmt.Sprintf("row%dx%d", bits, nv)
	mask := "mask uint16"
	if bits == 256 {
		mask = "mask *int32"
	}
	TEXT(name, NOSPLIT, "func(n, rest, ahead int, col *int32, val, x *float32, ldx int, alpha, beta float32, y *float32, "+mask+")")
	Doc(name + " computes one row of up to " + fmt.Sprint(nv*bytes/4) + " columns; ahead and ldx are in bytes.")
	Pragma("noescape")

	k := &kernel{bits: bits, nv: nv}
	k.n = Load(Param("n"), GP64())
	rest := Load(Param("rest"), GP64())
	k.ahead = Load(Param("ahead"), GP64())
	k.col = Load(Param("col"), GP64())
	k.val = Load(Param("val"), GP64())
	k.x = Load(Param("x"), GP64())
	k.ldx = Load(Param("ldx"), GP64())
	k.v = vec(bits)
	if bits == 512 {
		k.k = K()
		KMOVW(param("mask"), k.k)
	} else {
		m := Load(Param("mask"), GP64())
		k.mask = YMM()
		VMOVDQU(Mem{Base: m}, k.mask)
	}
	for range nv {
		a := vec(bits)
		k.acc = append(k.acc, a)
		if bits == 512 {
			VPXORQ(a, a, a)
		} else {
			VXORPS(a, a, a)
		}
	}
	TESTQ(k.n, k.n)
	JZ(LabelRef(name + "_rest"))
	k.loop(name+"_loop", true)
	Label(name + "_rest")
	TESTQ(rest, rest)
	JZ(LabelRef(name + "_end"))
	k.n = rest
	k.loop(name+"_restloop", false)
	Label(name + "_end")
	k.store(name)
	VZEROUPPER()
	RET()
}

type kernel struct {
	bits, nv                   int
	n, ahead, col, val, x, ldx reg.Register
	v, mask                    reg.VecVirtual
	k                          reg.OpmaskVirtual
	acc                        []reg.VecVirtual
}

func (k *kernel) loop(label string, prefetch bool) {
	bytes := k.bits / 8
	p, q := GP64(), GP64()
	Label(label)
	MOVLQSX(Mem{Base: k.col}, p)
	IMULQ(k.ldx, p)
	ADDQ(k.x, p)
	VBROADCASTSS(Mem{Base: k.val}, k.v)
	if prefetch {
		MOVLQSX(Mem{Base: k.col, Index: k.ahead, Scale: 1}, q)
		IMULQ(k.ldx, q)
		ADDQ(k.x, q)
		for d := 0; d < k.nv*bytes; d += 64 {
			PREFETCHT0(Mem{Base: q, Disp: d})
		}
	}
	for i, a := range k.acc {
		m := Mem{Base: p, Disp: i * bytes}
		switch {
		case i < k.nv-1:
			VFMADD231PS(m, k.v, a)
		case k.bits == 512:
			VFMADD231PS(m, k.v, k.k, a)
		default:
			t := YMM()
			VMASKMOVPS(m, k.mask, t)
			VFMADD231PS(t, k.v, a)
		}
	}
	ADDQ(Imm(4), k.col)
	ADDQ(Imm(4), k.val)
	DECQ(k.n)
	JNZ(LabelRef(label))
}

// store writes y = alpha sum + beta y.
func (k *kernel) store(name string) {
	bytes := k.bits / 8
	y := Load(Param("y"), GP64())
	VBROADCASTSS(param("alpha"), k.v)
	for _, a := range k.acc {
		VMULPS(k.v, a, a)
	}
	b := GP32()
	MOVL(param("beta"), b)
	ADDL(b, b) // the sign of zero does not count
	JZ(LabelRef(name + "_store"))
	VBROADCASTSS(param("beta"), k.v)
	for i, a := range k.acc {
		m := Mem{Base: y, Disp: i * bytes}
		switch {
		case i < k.nv-1:
			VFMADD231PS(m, k.v, a)
		case k.bits == 512:
			VFMADD231PS(m, k.v, k.k, a)
		default:
			t := YMM()
			VMASKMOVPS(m, k.mask, t)
			VFMADD231PS(t, k.v, a)
		}
	}
	Label(name + "_store")
	for i, a := range k.acc {
		m := Mem{Base: y, Disp: i * bytes}
		switch {
		case i < k.nv-1:
			VMOVUPS(a, m)
		case k.bits == 512:
			VMOVUPS(a, k.k, m)
		default:
			VMASKMOVPS(a, k.mask, m)
		}
	}
}

func vec(bits int) reg.VecVirtual {
	if bits == 512 {
		return ZMM()
	}
	return YMM()
}

func param(name string) Mem {
	b, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}
