// Command gemm writes the register-tile kernels of internal/kernels/gemm.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	for _, v := range []int{2, 1} {
		tile(512, 12, v)
	}
	for _, v := range []int{2, 1} {
		tile(256, 6, v)
	}
	pack(12)
	pack(6)
	Generate()
}

// pack writes the copy of the columns of a transposed a into strips of mr. It goes row by
// row, since the next row is likely on another page, and fetches rows ahead for the same
// reason: the processor does not do it by itself over page borders.
func pack(mr int) {
	name := fmt.Sprintf("pack%d", mr)
	TEXT(name, NOSPLIT, "func(kc int, a *float32, lda, strips int, dst *float32, step int)")
	Doc(fmt.Sprintf("%s copies kc rows of strips*%d elements of a, each %d of them to dst, a strip after the other; lda and step are in bytes.", name, mr, mr))
	Pragma("noescape")
	kc := Load(Param("kc"), GP64())
	a := Load(Param("a"), GP64())
	lda := Load(Param("lda"), GP64())
	strips := Load(Param("strips"), GP64())
	dst := Load(Param("dst"), GP64())
	step := Load(Param("step"), GP64())
	p, q, f, n := GP64(), GP64(), GP64(), GP64()
	Label(name + "_row")
	MOVQ(a, p)
	MOVQ(dst, q)
	LEAQ(Mem{Base: a, Index: lda, Scale: 8}, f)
	MOVQ(strips, n)
	Label(name + "_strip")
	PREFETCHT0(Mem{Base: f})
	if mr == 12 {
		y, x := YMM(), XMM()
		VMOVUPS(Mem{Base: p}, y)
		VMOVUPS(Mem{Base: p, Disp: 32}, x)
		VMOVUPS(y, Mem{Base: q})
		VMOVUPS(x, Mem{Base: q, Disp: 32})
	} else {
		x, z := XMM(), GP64()
		VMOVUPS(Mem{Base: p}, x)
		MOVQ(Mem{Base: p, Disp: 16}, z)
		VMOVUPS(x, Mem{Base: q})
		MOVQ(z, Mem{Base: q, Disp: 16})
	}
	ADDQ(Imm(uint64(4*mr)), p)
	ADDQ(Imm(uint64(4*mr)), f)
	ADDQ(step, q)
	DECQ(n)
	JNZ(LabelRef(name + "_strip"))
	ADDQ(lda, a)
	ADDQ(Imm(uint64(4*mr)), dst)
	DECQ(kc)
	JNZ(LabelRef(name + "_row"))
	VZEROUPPER()
	RET()
}

// tile writes the kernel with mr rows and nv vectors of the given bits. In AVX-512 kernels
// the last vector of a row is masked. The rows of a are addressed from a base pointer for
// every three of them, since an address can hold once or twice a stride but not three times.
func tile(bits, mr, nv int) {
	bytes := bits / 8
	name := fmt.Sprintf("tile%dx%d", mr, nv*bytes/4)
	sig := "func(kc int, a *float32, rs, cs int, b *float32, bs int, nextA uintptr, stepA int, nextB uintptr, stepB int, alpha, beta float32, c *float32, ldc int)"
	if bits == 512 {
		sig = "func(kc int, a *float32, rs, cs int, b *float32, bs int, nextA uintptr, stepA int, nextB uintptr, stepB int, alpha, beta float32, c *float32, ldc int, mask uint16)"
	}
	TEXT(name, NOSPLIT, sig)
	Doc(fmt.Sprintf("%s computes c = alpha*a*b + beta*c for a tile of %d rows; rs, cs, bs, stepA, stepB and ldc are in bytes. It fetches memory from nextA and nextB on into the second-level cache, a step further with every round.", name, mr))
	Pragma("noescape")

	c := Load(Param("c"), GP64())
	ldc := Load(Param("ldc"), GP64())
	p := GP64()
	MOVQ(c, p)
	for range mr {
		for j := 0; j < nv*bytes; j += 64 {
			PREFETCHT0(Mem{Base: p, Disp: j})
		}
		PREFETCHT0(Mem{Base: p, Disp: nv*bytes - 4}) // rows seldom begin at a cache line
		ADDQ(ldc, p)
	}
	var k reg.OpmaskVirtual
	if bits == 512 {
		k = K()
		KMOVW(param("mask"), k)
	}
	acc := accumulate(name, bits, mr, nv, k)

	alpha, beta := vec(bits), vec(bits)
	VBROADCASTSS(param("alpha"), alpha)
	for _, row := range acc {
		for _, r := range row {
			VMULPS(alpha, r, r)
		}
	}
	c = Load(Param("c"), GP64())
	ldc = Load(Param("ldc"), GP64())
	b := GP32()
	MOVL(param("beta"), b)
	ADDL(b, b) // the sign of zero does not count
	JZ(LabelRef(name + "_store"))
	VBROADCASTSS(param("beta"), beta)
	MOVQ(c, p)
	for _, row := range acc {
		for j, r := range row {
			m := Mem{Base: p, Disp: j * bytes}
			if bits == 512 && j == nv-1 {
				VFMADD231PS(m, beta, k, r)
			} else {
				VFMADD231PS(m, beta, r)
			}
		}
		ADDQ(ldc, p)
	}
	Label(name + "_store")
	for _, row := range acc {
		for j, r := range row {
			m := Mem{Base: c, Disp: j * bytes}
			if bits == 512 && j == nv-1 {
				VMOVUPS(r, k, m)
			} else {
				VMOVUPS(r, m)
			}
		}
		ADDQ(ldc, c)
	}
	VZEROUPPER()
	RET()
}

// accumulate writes the loop over the inner dimension.
func accumulate(name string, bits, mr, nv int, k reg.OpmaskVirtual) [][]reg.VecVirtual {
	bytes := bits / 8
	kc := Load(Param("kc"), GP64())
	rs := Load(Param("rs"), GP64())
	cs := Load(Param("cs"), GP64())
	b := Load(Param("b"), GP64())
	bs := Load(Param("bs"), GP64())
	nextA := Load(Param("nextA"), GP64())
	stepA := Load(Param("stepA"), GP64())
	nextB := Load(Param("nextB"), GP64())
	stepB := Load(Param("stepB"), GP64())
	base := make([]reg.GPVirtual, (mr+2)/3)
	base[0] = GP64()
	Load(Param("a"), base[0])
	for i := 1; i < len(base); i++ {
		base[i] = GP64()
		LEAQ(Mem{Base: base[i-1], Index: rs, Scale: 2}, base[i])
		ADDQ(rs, base[i])
	}
	acc := make([][]reg.VecVirtual, mr)
	for i := range acc {
		acc[i] = make([]reg.VecVirtual, nv)
		for j := range acc[i] {
			acc[i][j] = vec(bits)
			if bits == 512 {
				VPXORQ(acc[i][j], acc[i][j], acc[i][j])
			} else {
				VXORPS(acc[i][j], acc[i][j], acc[i][j])
			}
		}
	}
	bv := make([]reg.VecVirtual, nv)
	for j := range bv {
		bv[j] = vec(bits)
	}
	x := []reg.VecVirtual{vec(bits), vec(bits)}
	Label(name + "_loop")
	for j := range bv {
		m := Mem{Base: b, Disp: j * bytes}
		if bits == 512 && j == nv-1 {
			VMOVUPS_Z(m, k, bv[j])
		} else {
			VMOVUPS(m, bv[j])
		}
	}
	for i := range acc {
		m := Mem{Base: base[i/3]}
		if i%3 > 0 {
			m.Index, m.Scale = rs, uint8(i%3)
		}
		VBROADCASTSS(m, x[i&1])
		for j := range bv {
			VFMADD231PS(bv[j], x[i&1], acc[i][j])
		}
	}
	PREFETCHT1(Mem{Base: nextA})
	PREFETCHT1(Mem{Base: nextB})
	ADDQ(stepA, nextA)
	ADDQ(stepB, nextB)
	ADDQ(bs, b)
	for _, r := range base {
		ADDQ(cs, r)
	}
	DECQ(kc)
	JNZ(LabelRef(name + "_loop"))
	return acc
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
