// Command heads writes the kernels of internal/kernels/heads.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	for nv := 1; nv <= 8; nv++ {
		pair(512, nv)
	}
	for nv := 1; nv <= 4; nv++ {
		pair(256, nv)
	}
	dots()
	outer("addOuterAVX2", "adds s_k a_k to y_k.", true)
	outer("scaleAVX2", "computes y_k = s_k a_k.", false)
	Generate()
}

// pair writes the kernel for one row and nv vectors of columns, the last of them masked. The
// numbers of an entry's heads are spread over the lanes by a permutation.
func pair(bits, nv int) {
	bytes := bits / 8
	name := fmt.Sprintf("pair%dx%d", bits, nv)
	mask := "mask, heads uint16"
	if bits == 256 {
		mask = "mask, heads *int32"
	}
	TEXT(name, NOSPLIT, "func(n int, col *int32, val, x *float32, ldx int, r *float32, ldr int, lanes *int32, sum, dot *float32, "+mask+")")
	Doc(name + fmt.Sprintf(" sums n entries, at least one, in up to %d columns; ldx and ldr are in bytes, lanes has the head of every lane, counted from r's first, and heads is the mask of r.", nv*bytes/4))
	Pragma("noescape")
	n, col, val := Load(Param("n"), GP64()), Load(Param("col"), GP64()), Load(Param("val"), GP64())
	x, ldx := Load(Param("x"), GP64()), Load(Param("ldx"), GP64())
	r, ldr := Load(Param("r"), GP64()), Load(Param("ldr"), GP64())
	lanes := Load(Param("lanes"), GP64())
	var k, kh reg.OpmaskVirtual
	var m, mh reg.VecVirtual
	if bits == 512 {
		k, kh = K(), K()
		KMOVW(param("mask"), k)
		KMOVW(param("heads"), kh)
	} else {
		m, mh = YMM(), YMM()
		p := Load(Param("mask"), GP64())
		VMOVDQU(Mem{Base: p}, m)
		p = Load(Param("heads"), GP64())
		VMOVDQU(Mem{Base: p}, mh)
	}
	var sum, dot, lane []reg.VecVirtual
	for i := range nv {
		s, d, l := vec(bits), vec(bits), vec(bits)
		if bits == 512 {
			VPXORQ(s, s, s)
			VPXORQ(d, d, d)
			VMOVDQU32(Mem{Base: lanes, Disp: i * bytes}, l)
		} else {
			VXORPS(s, s, s)
			VXORPS(d, d, d)
			if nv < 4 {
				VMOVDQU(Mem{Base: lanes, Disp: i * bytes}, l)
			}
		}
		sum, dot, lane = append(sum, s), append(dot, d), append(lane, l)
	}
	v, w, t := vec(bits), vec(bits), vec(bits)
	Label(name + "_loop")
	p, q := GP64(), GP64()
	MOVLQSX(Mem{Base: col}, p)
	MOVQ(p, q)
	IMULQ(ldx, p)
	ADDQ(x, p)
	IMULQ(ldr, q)
	ADDQ(r, q)
	VBROADCASTSS(Mem{Base: val}, v)
	if bits == 512 {
		VMOVUPS_Z(Mem{Base: q}, kh, w)
	} else {
		VMASKMOVPS(Mem{Base: q}, mh, w)
	}
	VMULPS(v, w, w)
	for i := range nv {
		at := Mem{Base: p, Disp: i * bytes}
		switch {
		case i < nv-1:
			VMOVUPS(at, t)
		case bits == 512:
			VMOVUPS_Z(at, k, t)
		default:
			VMASKMOVPS(at, m, t)
		}
		VFMADD231PS(t, v, sum[i])
		u := vec(bits)
		if bits == 256 && nv == 4 {
			VMOVDQU(Mem{Base: lanes, Disp: i * bytes}, u)
			VPERMPS(w, u, u)
		} else {
			VPERMPS(w, lane[i], u)
		}
		VFMADD231PS(t, u, dot[i])
	}
	ADDQ(Imm(4), col)
	ADDQ(Imm(4), val)
	DECQ(n)
	JNZ(LabelRef(name + "_loop"))
	for j, acc := range [][]reg.VecVirtual{sum, dot} {
		y := Load(Param([]string{"sum", "dot"}[j]), GP64())
		for i, a := range acc {
			at := Mem{Base: y, Disp: i * bytes}
			switch {
			case i < nv-1:
				VMOVUPS(a, at)
			case bits == 512:
				VMOVUPS(a, k, at)
			default:
				VMASKMOVPS(a, m, at)
			}
		}
	}
	VZEROUPPER()
	RET()
}

// dots writes the products of heads of whole vectors.
func dots() {
	TEXT("dotsAVX2", NOSPLIT, "func(heads, vecs int, x, a, s *float32)")
	Doc("dotsAVX2 computes s_k = x_k a_k for heads of vecs times 8 columns, at least one of each.")
	Pragma("noescape")
	n, vecs := Load(Param("heads"), GP64()), Load(Param("vecs"), GP64())
	x, a, s := Load(Param("x"), GP64()), Load(Param("a"), GP64()), Load(Param("s"), GP64())
	Label("dots_head")
	acc, t := YMM(), YMM()
	VXORPS(acc, acc, acc)
	i := GP64()
	MOVQ(vecs, i)
	Label("dots_loop")
	VMOVUPS(Mem{Base: x}, t)
	VFMADD231PS(Mem{Base: a}, t, acc)
	ADDQ(Imm(32), x)
	ADDQ(Imm(32), a)
	DECQ(i)
	JNZ(LabelRef("dots_loop"))
	half := XMM()
	VEXTRACTF128(Imm(1), acc, half)
	VADDPS(half, acc.AsX(), half)
	VMOVHLPS(half, half, t.AsX())
	VADDPS(t.AsX(), half, half)
	VMOVSHDUP(half, t.AsX())
	VADDSS(t.AsX(), half, half)
	VMOVSS(half, Mem{Base: s})
	ADDQ(Imm(4), s)
	DECQ(n)
	JNZ(LabelRef("dots_head"))
	VZEROUPPER()
	RET()
}

// outer writes the multiplication of heads of whole vectors by a number each.
func outer(name, doc string, adds bool) {
	TEXT(name, NOSPLIT, "func(heads, vecs int, s, a, y *float32)")
	Doc(name + " " + doc + " Heads have vecs times 8 columns, at least one of each.")
	Pragma("noescape")
	n, vecs := Load(Param("heads"), GP64()), Load(Param("vecs"), GP64())
	s, a, y := Load(Param("s"), GP64()), Load(Param("a"), GP64()), Load(Param("y"), GP64())
	Label(name + "_head")
	f, t := YMM(), YMM()
	VBROADCASTSS(Mem{Base: s}, f)
	i := GP64()
	MOVQ(vecs, i)
	Label(name + "_loop")
	if adds {
		VMOVUPS(Mem{Base: y}, t)
		VFMADD231PS(Mem{Base: a}, f, t)
	} else {
		VMULPS(Mem{Base: a}, f, t)
	}
	VMOVUPS(t, Mem{Base: y})
	ADDQ(Imm(32), a)
	ADDQ(Imm(32), y)
	DECQ(i)
	JNZ(LabelRef(name + "_loop"))
	ADDQ(Imm(4), s)
	DECQ(n)
	JNZ(LabelRef(name + "_head"))
	VZEROUPPER()
	RET()
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
