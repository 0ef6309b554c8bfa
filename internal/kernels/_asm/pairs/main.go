// Command pairs writes the kernels of internal/kernels/pairs: loops over heads of whole vectors.
package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const float = 4 // bytes

// slope is that of lrelu below 0.
const slope = 0.2

func main() {
	ConstraintExpr("amd64,!noasm")
	for _, bits := range []int{512, 256} {
		scores(bits, false)
		scores(bits, true)
		self(bits)
		source(bits)
		outer(bits)
	}
	exps()
	Generate()
}

// kernel is what all loops have in common.
type kernel struct {
	name        string
	bits        int
	heads, vecs reg.GPVirtual
	at          []reg.GPVirtual // pointers that go over the columns
}

// begin opens a function with the arguments heads, vecs and pointers of which the first few go
// from head to head and the others over the columns.
func begin(name, doc string, bits int, perHead, columns []string) (k *kernel, heads []reg.GPVirtual) {
	k = &kernel{name: fmt.Sprintf("%s%d", name, bits), bits: bits}
	signature := "func(heads, vecs int"
	for _, p := range append(append([]string{}, perHead...), columns...) {
		signature += ", " + p
	}
	TEXT(k.name, NOSPLIT, signature+" *float32)")
	Doc(fmt.Sprintf("%s %s Heads have vecs times %d columns, at least one of each.", k.name, doc, bits/32))
	Pragma("noescape")
	k.heads, k.vecs = Load(Param("heads"), GP64()).(reg.GPVirtual), Load(Param("vecs"), GP64()).(reg.GPVirtual)
	for _, p := range perHead {
		heads = append(heads, Load(Param(p), GP64()).(reg.GPVirtual))
	}
	for _, p := range columns {
		k.at = append(k.at, Load(Param(p), GP64()).(reg.GPVirtual))
	}
	return k, heads
}

func (k *kernel) vec() reg.VecVirtual {
	if k.bits == 512 {
		return ZMM()
	}
	return YMM()
}

func (k *kernel) zero(v reg.VecVirtual) {
	if k.bits == 512 {
		VPXORQ(v, v, v)
		return
	}
	VXORPS(v, v, v)
}

// constant returns a vector of x.
func (k *kernel) constant(x float64) reg.VecVirtual {
	v, g := k.vec(), GP32()
	MOVL(U32(math.Float32bits(float32(x))), g)
	VMOVD(g, v.AsX())
	VBROADCASTSS(v.AsX(), v)
	return v
}

// loop writes body for every vector of a head.
func (k *kernel) loop(body func()) {
	i := GP64()
	MOVQ(k.vecs, i)
	Label(k.name + "_loop")
	body()
	for _, p := range k.at {
		ADDQ(Imm(uint64(k.bits/8)), p)
	}
	DECQ(i)
	JNZ(LabelRef(k.name + "_loop"))
}

// end closes the loop over heads and the function.
func (k *kernel) end(perHead []reg.GPVirtual) {
	for _, p := range perHead {
		ADDQ(Imm(float), p)
	}
	DECQ(k.heads)
	JNZ(LabelRef(k.name + "_head"))
	VZEROUPPER()
	RET()
}

// total writes the sum of v's lanes to at.
func (k *kernel) total(v reg.VecVirtual, at Mem) {
	y := v.AsY()
	if k.bits == 512 {
		high := YMM()
		VEXTRACTF64X4(Imm(1), v, high)
		VADDPS(high, y, high)
		y = high
	}
	x, t := XMM(), XMM()
	VEXTRACTF128(Imm(1), y, x)
	VADDPS(x, y.(reg.Vec).AsX(), x)
	VMOVHLPS(x, x, t)
	VADDPS(t, x, x)
	VMOVSHDUP(x, t)
	VADDSS(t, x, x)
	VMOVSS(x, at)
}

// scores writes the products of attention with lrelu(l + r), and of gradients with r.
func scores(bits int, dots bool) {
	name, doc := "scores", "computes s_k = a_k lrelu(l_k + r_k)."
	perHead, columns := []string{"s"}, []string{"a", "l", "r"}
	if dots {
		name, doc = "scoreDots", "computes s_k = a_k lrelu(l_k + r_k) and t_k = dy_k r_k."
		perHead, columns = []string{"s", "t"}, []string{"a", "l", "r", "dy"}
	}
	k, heads := begin(name, doc, bits, perHead, columns)
	lower := k.constant(slope)
	Label(k.name + "_head")
	sum, dot := k.vec(), k.vec()
	k.zero(sum)
	if dots {
		k.zero(dot)
	}
	k.loop(func() {
		r, z, m := k.vec(), k.vec(), k.vec()
		VMOVUPS(Mem{Base: k.at[2]}, r)
		VADDPS(Mem{Base: k.at[1]}, r, z)
		VMULPS(lower, z, m)
		VMAXPS(m, z, z)
		VFMADD231PS(Mem{Base: k.at[0]}, z, sum)
		if dots {
			VFMADD231PS(Mem{Base: k.at[3]}, r, dot)
		}
	})
	k.total(sum, Mem{Base: heads[0]})
	if dots {
		k.total(dot, Mem{Base: heads[1]})
	}
	k.end(heads)
}

// slopes returns, for g and g times the slope, that which goes with the sign of z.
func (k *kernel) slopes(g, low, zero, z reg.VecVirtual) reg.VecVirtual {
	f := k.vec()
	if k.bits == 512 {
		above := K()
		VCMPPS(Imm(14), zero, z, above) // greater, false for what is no number
		VBLENDMPS(g, low, above, f)
		return f
	}
	VCMPPS(Imm(14), zero, z, f)
	VBLENDVPS(f, g, low, f)
	return f
}

// spread returns the number at p in all lanes, and that times the slope.
func (k *kernel) spread(p reg.GPVirtual, lower reg.VecVirtual) (g, low reg.VecVirtual) {
	g, low = k.vec(), k.vec()
	VBROADCASTSS(Mem{Base: p}, g)
	VMULPS(lower, g, low)
	return g, low
}

// self writes the gradients of an edge's destination.
func self(bits int) {
	k, heads := begin("self", "adds ds_k lrelu'(l_k + r_k) a_k to dl_k and ds_k lrelu(l_k + r_k) to da_k.", bits,
		[]string{"ds"}, []string{"a", "l", "r", "dl", "da"})
	lower, zero := k.constant(slope), k.vec()
	k.zero(zero)
	Label(k.name + "_head")
	g, low := k.spread(heads[0], lower)
	k.loop(func() {
		z, t := k.vec(), k.vec()
		VMOVUPS(Mem{Base: k.at[1]}, z)
		VADDPS(Mem{Base: k.at[2]}, z, z)
		f := k.slopes(g, low, zero, z)
		VMOVUPS(Mem{Base: k.at[4]}, t)
		VFMADD231PS(z, f, t)
		VMOVUPS(t, Mem{Base: k.at[4]})
		VMOVUPS(Mem{Base: k.at[3]}, t)
		VFMADD231PS(Mem{Base: k.at[0]}, f, t)
		VMOVUPS(t, Mem{Base: k.at[3]})
	})
	k.end(heads)
}

// source writes the gradient of an edge's source.
func source(bits int) {
	k, heads := begin("source", "adds ds_k lrelu'(l_k + r_k) a_k + w_k dy_k to dr_k.", bits,
		[]string{"ds", "w"}, []string{"a", "l", "r", "dy", "dr"})
	lower, zero := k.constant(slope), k.vec()
	k.zero(zero)
	Label(k.name + "_head")
	g, low := k.spread(heads[0], lower)
	w := k.vec()
	VBROADCASTSS(Mem{Base: heads[1]}, w)
	k.loop(func() {
		z, t := k.vec(), k.vec()
		VMOVUPS(Mem{Base: k.at[1]}, z)
		VADDPS(Mem{Base: k.at[2]}, z, z)
		f := k.slopes(g, low, zero, z)
		VMOVUPS(Mem{Base: k.at[4]}, t)
		VFMADD231PS(Mem{Base: k.at[0]}, f, t)
		VFMADD231PS(Mem{Base: k.at[3]}, w, t)
		VMOVUPS(t, Mem{Base: k.at[4]})
	})
	k.end(heads)
}

// outer writes the addition of an edge's source to the sums.
func outer(bits int) {
	k, heads := begin("outer", "adds w_k r_k to y_k.", bits, []string{"w"}, []string{"r", "y"})
	Label(k.name + "_head")
	w := k.vec()
	VBROADCASTSS(Mem{Base: heads[0]}, w)
	k.loop(func() {
		t := k.vec()
		VMOVUPS(Mem{Base: k.at[1]}, t)
		VFMADD231PS(Mem{Base: k.at[0]}, w, t)
		VMOVUPS(t, Mem{Base: k.at[1]})
	})
	k.end(heads)
}

// exps reduces x = n ln 2 + r with |r| <= ln2/2, ln 2 in two parts so that n times the first is
// exact, and takes the Taylor polynomial of degree 7 of r, whose error is below that of float32.
func exps() {
	const degree = 7
	numbers := []float64{-87, 1 / math.Ln2, 0.693359375, math.Ln2 - 0.693359375}
	for i, factorial := 0, 1.0; i <= degree; i++ {
		factorial *= max(1, float64(i))
		numbers = append(numbers, 1/factorial)
	}
	table := GLOBL("expNumbers", RODATA|NOPTR)
	for i, v := range numbers {
		for j := range 8 {
			DATA(32*i+4*j, U32(math.Float32bits(float32(v))))
		}
	}
	number := func(i int) Mem { return table.Offset(32 * i) }
	TEXT("exps", NOSPLIT, "func(x *float32)")
	Doc("exps writes exp(max(x, -87)) over 8 numbers that are at most 0.")
	Pragma("noescape")
	p := Load(Param("x"), GP64())
	x, n, y, low := YMM(), YMM(), YMM(), YMM()
	VMOVUPS(Mem{Base: p}, x)
	VMOVUPS(number(0), low)
	VMAXPS(x, low, x) // of a number and none the second, x
	VMULPS(number(1), x, n)
	VROUNDPS(Imm(0), n, n)
	VFNMADD231PS(number(2), n, x)
	VFNMADD231PS(number(3), n, x)
	VMOVUPS(number(4+degree), y)
	for i := degree - 1; i >= 0; i-- {
		VFMADD213PS(number(4+i), x, y)
	}
	VCVTPS2DQ(n, n)
	VPSLLD(Imm(23), n, n)
	VPADDD(n, y, y) // the exponent; at least -126, so it stays normal
	VMOVUPS(y, Mem{Base: p})
	VZEROUPPER()
	RET()
}
