// Command rows writes the kernels of internal/kernels/rows. Those of AVX2 take a multiple of
// 16 elements, those of AVX-512 of 32, unless they say otherwise.
package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	lanes = 2          // vectors in flight
	slope = 0x3e4ccccd // 0.2 in float32
)

// The instruction set that is being written.
var (
	width  int // bytes of a vector
	suffix string
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
	for _, isa := range []struct {
		suffix string
		width  int
	}{{"AVX2", 32}, {"AVX512", 64}} {
		suffix, width = isa.suffix, isa.width
		for a := identity; a <= leaky; a++ {
			biasAct(a)
			actBack(a)
			normDots(a)
			normBack(a)
			normRow(a)
			normRowBack(a)
		}
		squaresAround()
		standardize()
		adam()
		descent()
		rmsprop()
	}
	suffix, width = "AVX2", 32
	expNeg()
	fetch()
	Generate()
}

type vec = reg.VecVirtual

// begin writes the head of a function and its loop over n elements; ptrs are the
// parameters that advance with it.
func begin(name, sig, doc string, ptrs []string, setup func(), body func(p map[string]reg.Register, i int), end func()) {
	step := lanes * width / 4
	TEXT(name+suffix, NOSPLIT, sig)
	Doc(fmt.Sprintf("%s%s %s n is a multiple of %d and at least that.", name, suffix, doc, step))
	Pragma("noescape")
	n := Load(Param("n"), GP64())
	p := map[string]reg.Register{}
	for _, s := range ptrs {
		p[s] = Load(Param(s), GP64())
	}
	setup()
	Label(name + suffix + "_loop")
	for i := range lanes {
		body(p, i)
	}
	for _, s := range ptrs {
		ADDQ(Imm(uint64(lanes*width)), p[s])
	}
	SUBQ(Imm(uint64(step)), n)
	JNZ(LabelRef(name + suffix + "_loop"))
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
	v := vector()
	VBROADCASTSS(m.Addr, v)
	return v
}

func vector() vec {
	if width == 64 {
		return ZMM()
	}
	return YMM()
}

func zero() vec {
	v := vector()
	VXORPS(v, v, v)
	return v
}

// constant returns a vector of one float32 given by its bits.
func constant(bits uint32) vec {
	g, x, v := GP32(), XMM(), vector()
	MOVL(U32(bits), g)
	VMOVD(g, x)
	VBROADCASTSS(x, v)
	return v
}

func load(m Mem) vec {
	v := vector()
	VMOVUPS(m, v)
	return v
}

// storeSums adds the vectors and stores a sum for each lane behind a pointer parameter.
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
	begin("bias"+actNames[a], "func(n int, x, bias, y *float32, sums *[16]float32)",
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
			activate(a, c, v)
			VMOVUPS(v, at(p["y"], i))
			VADDPS(v, s[i], s[i])
		},
		func() { storeSums("sums", 0, s) })
}

// activate makes v act(v); c is actConst's.
func activate(a act, c, v vec) {
	switch a {
	case relu:
		// The maximum is its second source if one is NaN, and that is v.
		VMAXPS(v, c, v)
	case leaky:
		l := vector()
		VMULPS(c, v, l)
		VMAXPS(v, l, v)
	}
}

// normDots writes the sums over a row that its gradient needs.
func normDots(a act) {
	var mean, rstd, c vec
	var g, gx [lanes]vec
	begin("normDots"+actNames[a], "func(n int, x, bias, dy, scale *float32, mean, rstd float32, sums *[32]float32)",
		"computes sums of dy scale and, 16 further, of dy scale (act(x + bias) - mean) rstd.",
		[]string{"x", "bias", "dy", "scale"},
		func() {
			mean, rstd, c = broadcast("mean"), broadcast("rstd"), actConst(a)
			for i := range g {
				g[i], gx[i] = zero(), zero()
			}
		},
		func(p map[string]reg.Register, i int) {
			h, d := load(at(p["x"], i)), load(at(p["dy"], i))
			VADDPS(at(p["bias"], i), h, h)
			activate(a, c, h)
			VSUBPS(mean, h, h)
			VMULPS(rstd, h, h)
			VMULPS(at(p["scale"], i), d, d)
			VADDPS(d, g[i], g[i])
			VFMADD231PS(h, d, gx[i])
		},
		func() {
			storeSums("sums", 0, g)
			storeSums("sums", 64, gx)
		})
}

// passing returns where the gradient passes unchanged: where v is not at most 0, which is
// true for NaN. It is a mask register or a vector.
func passing(a act, z, v vec) reg.Register {
	if a == identity {
		return nil
	}
	if width == 64 {
		k := K()
		VCMPPS(Imm(6), z, v, k)
		return k
	}
	m := YMM()
	VCMPPS(Imm(6), z, v, m)
	return m
}

// slopeOf multiplies d by the slope where the gradient does not pass.
func slopeOf(a act, pass reg.Register, c, d vec) {
	switch {
	case a == identity:
	case a == relu && width == 64:
		VMOVAPS_Z(d, pass, d)
	case a == relu:
		VANDPS(pass, d, d)
	case width == 64:
		l := vector()
		VMULPS(c, d, l)
		VBLENDMPS(d, l, pass, d)
	default:
		l := vector()
		VMULPS(c, d, l)
		VBLENDVPS(pass, d, l, d)
	}
}

// accumulate adds v to the sum in memory.
func accumulate(v vec, m Mem) {
	t := vector()
	VADDPS(m, v, t)
	VMOVUPS(t, m)
}

func actBack(a act) {
	var z, c vec
	begin("actBack"+actNames[a], "func(n int, x, bias, dy, dx, dbias *float32)",
		"computes dx = dy act'(x + bias) and dbias += dx.", []string{"x", "bias", "dy", "dx", "dbias"},
		func() { z, c = zero(), actConst(a) },
		func(p map[string]reg.Register, i int) {
			v, d := load(at(p["x"], i)), load(at(p["dy"], i))
			VADDPS(at(p["bias"], i), v, v)
			slopeOf(a, passing(a, z, v), c, d)
			VMOVUPS(d, at(p["dx"], i))
			accumulate(d, at(p["dbias"], i))
		}, nothing)
}

// normBack writes the gradient of the row norm.
func normBack(a act) {
	var z, c, mean, rstd, g, gx vec
	begin("normBack"+actNames[a],
		"func(n int, x, bias, scale, dy, dx, dbias, dscale, doffset *float32, mean, rstd, mg, mgx float32)",
		"computes h = (act(x + bias) - mean) rstd, dscale += dy h, doffset += dy, dx = (dy scale - mg - h mgx) rstd act'(x + bias) and dbias += dx.",
		[]string{"x", "bias", "scale", "dy", "dx", "dbias", "dscale", "doffset"},
		func() {
			z, c = zero(), actConst(a)
			mean, rstd, g, gx = broadcast("mean"), broadcast("rstd"), broadcast("mg"), broadcast("mgx")
		},
		func(p map[string]reg.Register, i int) {
			h, d := load(at(p["x"], i)), load(at(p["dy"], i))
			VADDPS(at(p["bias"], i), h, h)
			pass := passing(a, z, h)
			activate(a, c, h)
			VSUBPS(mean, h, h)
			VMULPS(rstd, h, h)
			accumulate(d, at(p["doffset"], i))
			s := load(at(p["dscale"], i))
			VFMADD231PS(h, d, s)
			VMOVUPS(s, at(p["dscale"], i))
			VFMSUB132PS(at(p["scale"], i), g, d) // d = d*scale - g
			VFNMADD231PS(gx, h, d)
			VMULPS(rstd, d, d)
			slopeOf(a, pass, c, d)
			VMOVUPS(d, at(p["dx"], i))
			accumulate(d, at(p["dbias"], i))
		}, nothing)
}

func squaresAround() {
	var s [lanes]vec
	var mean vec
	begin("squaresAround", "func(n int, x *float32, mean float32, sums *[16]float32)",
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
				c[i] = vector()
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
			m, v, t := load(at(p["m"], i)), load(at(p["v"], i)), vector()
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

// fetch asks for cache lines. A prefetch never faults and changes nothing but the time.
func fetch() {
	TEXT("fetchLines", NOSPLIT, "func(n int, x *float32)")
	Doc("fetchLines asks for n cache lines from x on; n is at least 1.")
	Pragma("noescape")
	n, x := Load(Param("n"), GP64()), Load(Param("x"), GP64())
	Label("fetch_loop")
	PREFETCHT0(Mem{Base: x})
	ADDQ(Imm(64), x)
	DECQ(n)
	JNZ(LabelRef("fetch_loop"))
	RET()
}
