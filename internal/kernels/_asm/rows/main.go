// Command rows writes the kernels of internal/kernels/rows. They take a multiple of 16
// elements.
package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	lanes = 2          // vectors in flight
	width = 32         // bytes of a vector
	slope = 0x3e4ccccd // 0.2 in float32
)

type act int

const (
	identity act = iota
	relu
	leaky
)

var actNames = [...]string{"Identity", "ReLU", "Leaky"}

func main() {
	ConstraintExpr("amd64,!noasm")
	for a := identity; a <= leaky; a++ {
		biasAct(a)
		actGrad(a)
		normGrad(a)
	}
	squaresAround()
	standardize()
	normSums()
	adam()
	expNeg()
	Generate()
}

type vec = reg.VecVirtual

// begin writes the head of a function and its loop over n elements; ptrs are the
// parameters that advance with it.
func begin(name, sig, doc string, ptrs []string, setup func(), body func(p map[string]reg.Register, i int), end func()) {
	TEXT(name+"AVX2", NOSPLIT, sig)
	Doc(name + "AVX2 " + doc + " n is a multiple of 16 and at least 16.")
	Pragma("noescape")
	n := Load(Param("n"), GP64())
	p := map[string]reg.Register{}
	for _, s := range ptrs {
		p[s] = Load(Param(s), GP64())
	}
	setup()
	Label(name + "_loop")
	for i := range lanes {
		body(p, i)
	}
	for _, s := range ptrs {
		ADDQ(Imm(lanes*width), p[s])
	}
	SUBQ(Imm(lanes*width/4), n)
	JNZ(LabelRef(name + "_loop"))
	end()
	VZEROUPPER()
	RET()
}

func nothing() {}

func at(p reg.Register, i int) Mem { return Mem{Base: p, Disp: i * width} }

func broadcast(param string) vec {
	m, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	v := YMM()
	VBROADCASTSS(m.Addr, v)
	return v
}

func zero() vec {
	v := YMM()
	VXORPS(v, v, v)
	return v
}

// constant returns a vector of one float32 given by its bits.
func constant(bits uint32) vec {
	g, x, v := GP32(), XMM(), YMM()
	MOVL(U32(bits), g)
	VMOVD(g, x)
	VBROADCASTSS(x, v)
	return v
}

func load(m Mem) vec {
	v := YMM()
	VMOVUPS(m, v)
	return v
}

// storeSums adds the vectors and stores 8 sums behind a pointer parameter.
func storeSums(param string, disp int, s [lanes]vec) {
	p := Load(Param(param), GP64())
	VADDPS(s[1], s[0], s[0])
	VMOVUPS(s[0], Mem{Base: p, Disp: disp})
}

// actConst is the register an activation needs.
func actConst(a act) (c vec) {
	switch a {
	case relu:
		c = zero()
	case leaky:
		c = constant(slope)
	}
	return c
}

func biasAct(a act) {
	var s [lanes]vec
	var c vec
	begin("bias"+actNames[a], "func(n int, x, bias, y *float32, sums *[8]float32)",
		"computes y = act(x + bias) and sums of y.", []string{"x", "bias", "y"},
		func() {
			c = actConst(a)
			for i := range s {
				s[i] = zero()
			}
		},
		func(p map[string]reg.Register, i int) {
			v := load(at(p["x"], i))
			VADDPS(at(p["bias"], i), v, v)
			switch a {
			case relu:
				// The maximum is its second source if one is NaN, and that is v.
				VMAXPS(v, c, v)
			case leaky:
				l := YMM()
				VMULPS(c, v, l)
				VMAXPS(v, l, v)
			}
			VMOVUPS(v, at(p["y"], i))
			VADDPS(v, s[i], s[i])
		},
		func() { storeSums("sums", 0, s) })
}

// slopeOf multiplies d by act'(x + bias); z is zero.
func slopeOf(a act, p map[string]reg.Register, i int, z, c, d vec) {
	if a == identity {
		return
	}
	v, m := load(at(p["x"], i)), YMM()
	VADDPS(at(p["bias"], i), v, v)
	VCMPPS(Imm(6), z, v, m) // not <= 0: true for NaN
	if a == relu {
		VANDPS(m, d, d)
		return
	}
	l := YMM()
	VMULPS(c, d, l)
	VBLENDVPS(m, d, l, d)
}

// finish stores dx and adds it to dbias.
func finish(p map[string]reg.Register, i int, d vec) {
	VMOVUPS(d, at(p["dx"], i))
	VADDPS(at(p["dbias"], i), d, d)
	VMOVUPS(d, at(p["dbias"], i))
}

func actGrad(a act) {
	var z, c vec
	begin("grad"+actNames[a], "func(n int, x, bias, dy, dx, dbias *float32)",
		"computes dx = dy act'(x + bias) and dbias += dx.", []string{"x", "bias", "dy", "dx", "dbias"},
		func() { z, c = zero(), actConst(a) },
		func(p map[string]reg.Register, i int) {
			d := load(at(p["dy"], i))
			slopeOf(a, p, i, z, c, d)
			finish(p, i, d)
		}, nothing)
}

func normGrad(a act) {
	var z, c, rstd, g, gx vec
	begin("normGrad"+actNames[a], "func(n int, x, bias, scale, xhat *float32, rstd, mg, mgx float32, dy, dx, dbias *float32)",
		"computes dx = rstd (dy scale - mg - xhat mgx) act'(x + bias) and dbias += dx.",
		[]string{"x", "bias", "scale", "xhat", "dy", "dx", "dbias"},
		func() {
			z, c = zero(), actConst(a)
			rstd, g, gx = broadcast("rstd"), broadcast("mg"), broadcast("mgx")
		},
		func(p map[string]reg.Register, i int) {
			d := load(at(p["dy"], i))
			VFMSUB132PS(at(p["scale"], i), g, d)
			VFNMADD231PS(at(p["xhat"], i), gx, d)
			VMULPS(rstd, d, d)
			slopeOf(a, p, i, z, c, d)
			finish(p, i, d)
		}, nothing)
}

func squaresAround() {
	var s [lanes]vec
	var mean vec
	begin("squaresAround", "func(n int, x *float32, mean float32, sums *[8]float32)",
		"computes sums of (x-mean)².", []string{"x"},
		func() {
			mean = broadcast("mean")
			for i := range s {
				s[i] = zero()
			}
		},
		func(p map[string]reg.Register, i int) {
			v := load(at(p["x"], i))
			VSUBPS(mean, v, v)
			VFMADD231PS(v, v, s[i])
		},
		func() { storeSums("sums", 0, s) })
}

func standardize() {
	var mean, rstd vec
	begin("standardize", "func(n int, y *float32, mean, rstd float32, scale, offset *float32)",
		"computes y = (y-mean) rstd scale + offset.", []string{"y", "scale", "offset"},
		func() { mean, rstd = broadcast("mean"), broadcast("rstd") },
		func(p map[string]reg.Register, i int) {
			v, o := load(at(p["y"], i)), load(at(p["offset"], i))
			VSUBPS(mean, v, v)
			VMULPS(rstd, v, v)
			VFMADD132PS(at(p["scale"], i), o, v)
			VMOVUPS(v, at(p["y"], i))
		}, nothing)
}

func normSums() {
	var mean, rstd vec
	var g, gx [lanes]vec
	begin("normSums", "func(n int, a *float32, mean, rstd float32, dy, scale, dscale, doffset *float32, sums *[16]float32)",
		"computes a = (a-mean) rstd, dscale += dy a, doffset += dy and sums of dy scale and dy scale a.",
		[]string{"a", "dy", "scale", "dscale", "doffset"},
		func() {
			mean, rstd = broadcast("mean"), broadcast("rstd")
			for i := range g {
				g[i], gx[i] = zero(), zero()
			}
		},
		func(p map[string]reg.Register, i int) {
			h, d, t := load(at(p["a"], i)), load(at(p["dy"], i)), YMM()
			VSUBPS(mean, h, h)
			VMULPS(rstd, h, h)
			VMOVUPS(h, at(p["a"], i))
			VADDPS(at(p["doffset"], i), d, t)
			VMOVUPS(t, at(p["doffset"], i))
			s := load(at(p["dscale"], i))
			VFMADD231PS(h, d, s)
			VMOVUPS(s, at(p["dscale"], i))
			VMULPS(at(p["scale"], i), d, d)
			VADDPS(d, g[i], g[i])
			VFMADD231PS(h, d, gx[i])
		},
		func() {
			storeSums("sums", 0, g)
			storeSums("sums", width, gx)
		})
}

// double returns a vector of one float64.
func double(f float64) vec {
	g, x, v := GP64(), XMM(), YMM()
	MOVQ(U64(math.Float64bits(f)), g)
	VMOVQ(g, x)
	VBROADCASTSD(x, v)
	return v
}

// expNeg reduces t = k ln 2 + r with |r| <= ln2/2, ln 2 in two parts so that k times the
// first is exact, takes the Taylor polynomial of e^r up to r^10, whose next term is below
// 3e-13, and multiplies by 2^k.
func expNeg() {
	TEXT("expNegAVX2", NOSPLIT, "func(n int, x *float32, sign uint32, top float64, e *float64)")
	Doc("expNegAVX2 computes e = exp(max((x|sign) - top, -708)). n is a multiple of 4 and at least 4.")
	Pragma("noescape")
	n, x, e := Load(Param("n"), GP64()), Load(Param("x"), GP64()), Load(Param("e"), GP64())
	sign, top := XMM(), YMM()
	m, err := Param("sign").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(m.Addr, sign)
	if m, err = Param("top").Resolve(); err != nil {
		panic(err)
	}
	VBROADCASTSD(m.Addr, top)
	least, log2e := double(-708), double(math.Log2E)
	hi, lo := double(6.93147180369123816490e-01), double(1.90821492927058770002e-10)
	bias := double(math.Float64frombits(1023))
	Label("expNeg_loop")
	f, t, p, k := XMM(), YMM(), YMM(), YMM()
	VMOVUPS(Mem{Base: x}, f)
	VORPS(sign, f, f)
	VCVTPS2PD(f, t)
	VSUBPD(top, t, t)
	VMAXPD(t, least, t) // the second source where NaN
	VMULPD(log2e, t, k)
	VROUNDPD(Imm(0), k, k)
	VFNMADD231PD(hi, k, t)
	VFNMADD231PD(lo, k, t)
	terms := GLOBL("expTerms", RODATA|NOPTR)
	factorial := 1.0
	for i := range 11 {
		if i > 0 {
			factorial *= float64(i)
		}
		for j := range 4 {
			DATA(32*i+8*j, U64(math.Float64bits(1/factorial)))
		}
	}
	VMOVUPD(terms.Offset(320), p)
	for i := 9; i >= 0; i-- {
		VFMADD213PD(terms.Offset(32*i), t, p)
	}
	i32 := XMM()
	VCVTPD2DQY(k, i32)
	VPMOVSXDQ(i32, k)
	VPADDQ(bias, k, k)
	VPSLLQ(Imm(52), k, k)
	VMULPD(k, p, p)
	VMOVUPD(p, Mem{Base: e})
	ADDQ(Imm(16), x)
	ADDQ(Imm(32), e)
	SUBQ(Imm(4), n)
	JNZ(LabelRef("expNeg_loop"))
	VZEROUPPER()
	RET()
}

func adam() {
	var c [10]vec
	var z vec
	begin("adam", "func(n int, grad, m, v, value *float32, c *[10]float32)",
		"does one update; c is factor, -bound, bound, beta1, 1-beta1, beta2, 1-beta2, corr2, eps, rate.",
		[]string{"grad", "m", "v", "value"},
		func() {
			p := Load(Param("c"), GP64())
			for i := range c {
				c[i] = YMM()
				VBROADCASTSS(Mem{Base: p, Disp: 4 * i}, c[i])
			}
			z = zero()
		},
		func(p map[string]reg.Register, i int) {
			g := load(at(p["grad"], i))
			VMOVUPS(z, at(p["grad"], i))
			VMULPS(c[0], g, g)
			VMAXPS(g, c[1], g) // second source where NaN
			VMINPS(g, c[2], g)
			m, v, t := load(at(p["m"], i)), load(at(p["v"], i)), YMM()
			VMULPS(c[3], m, m)
			VFMADD231PS(c[4], g, m)
			VMOVUPS(m, at(p["m"], i))
			VMULPS(g, g, g)
			VMULPS(c[5], v, v)
			VFMADD231PS(c[6], g, v)
			VMOVUPS(v, at(p["v"], i))
			VSQRTPS(v, v)
			VFMADD213PS(c[8], c[7], v) // v = sqrt(v)*corr2 + eps
			VMULPS(c[9], m, m)
			VDIVPS(v, m, m)
			VMOVUPS(at(p["value"], i), t)
			VSUBPS(m, t, t)
			VMOVUPS(t, at(p["value"], i))
		}, nothing)
}
