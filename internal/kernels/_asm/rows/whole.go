package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// whole writes the head of a kernel that does all of a row, in several loops over it.
func whole(name, params, doc string) (n reg.Register) {
	TEXT(name+suffix, NOSPLIT, "func(n int, "+params+")")
	Doc(fmt.Sprintf("%s%s %s n is a multiple of %d and at least that.", name, suffix, doc, lanes*width/4))
	Pragma("noescape")
	n = Load(Param("n"), GP64())
	SHLQ(Imm(2), n)
	return n
}

// loop writes a loop over the n bytes of a row. body gets vectors in flight by the element
// behind a pointer.
func loop(label string, n reg.Register, body func(lane int, at func(p reg.Register) Mem)) {
	i := GP64()
	XORQ(i, i)
	Label(label)
	for lane := range lanes {
		body(lane, func(p reg.Register) Mem { return Mem{Base: p, Index: i, Scale: 1, Disp: lane * width} })
	}
	ADDQ(Imm(uint64(lanes*width)), i)
	CMPQ(i, n)
	JNE(LabelRef(label))
}

// ahead asks for the line of a vector. Vectors of half a line ask once for two.
func ahead(lane int, m Mem) {
	if width == 64 || lane%2 == 0 {
		PREFETCHT0(m)
	}
}

// total adds up all lanes of the vectors.
func total(s [lanes]vec) reg.VecVirtual {
	VADDPS(s[1], s[0], s[0])
	y, x, t := YMM(), XMM(), XMM()
	if width == 64 {
		VEXTRACTF64X4(Imm(1), s[0], y)
		VADDPS(y, s[0].(reg.Vec).AsY(), y)
	} else {
		VMOVAPS(s[0], y)
	}
	VEXTRACTF128(Imm(1), y, x)
	VADDPS(x, y.AsX(), x)
	VMOVHLPS(x, x, t)
	VADDPS(t, x, x)
	VMOVSHDUP(x, t)
	VADDSS(t, x, x)
	return x
}

func spread(x reg.VecVirtual) vec {
	v := vector()
	VBROADCASTSS(x, v)
	return v
}

// scalar returns a float32 parameter. Load would take an instruction of SSE, for which the
// processor waits while upper halves of vectors are in use.
func scalar(param string) reg.VecVirtual {
	m, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	x := XMM()
	VMOVSS(m.Addr, x)
	return x
}

// normRow writes bias, activation and norm of one row.
func normRow(a act) {
	name := "normRow" + actNames[a]
	n := whole(name, "x, bias, scale, offset, y, around, nextX, nextY *float32, count float32, eps float64, stat *[2]float32",
		"computes a = act(x + bias), mean and rstd of a, written to stat, and y = (a-mean) rstd scale + offset. around is scratch for a row; the rows behind next are asked for. count is n.")
	x, bias, around := Load(Param("x"), GP64()), Load(Param("bias"), GP64()), Load(Param("around"), GP64())
	nextX, nextY := Load(Param("nextX"), GP64()), Load(Param("nextY"), GP64())
	c := actConst(a)
	sums := [lanes]vec{zero(), zero()}
	loop(name+suffix+"_sum", n, func(lane int, at func(reg.Register) Mem) {
		ahead(lane, at(nextX))
		ahead(lane, at(nextY))
		v := load(at(x))
		VADDPS(at(bias), v, v)
		activate(a, c, v)
		VMOVUPS(v, at(around))
		VADDPS(v, sums[lane], sums[lane])
	})
	count, m := scalar("count"), total(sums)
	VDIVSS(count, m, m)
	stat := Load(Param("stat"), GP64())
	VMOVSS(m, Mem{Base: stat})
	mean := spread(m)
	squares := [lanes]vec{zero(), zero()}
	loop(name+suffix+"_squares", n, func(lane int, at func(reg.Register) Mem) {
		v := load(at(around))
		VSUBPS(mean, v, v)
		VMOVUPS(v, at(around))
		VFMADD231PS(v, v, squares[lane])
	})
	s, d, one := total(squares), XMM(), XMM()
	VDIVSS(count, s, s)
	VCVTSS2SD(s, s, d)
	eps, err := Param("eps").Resolve()
	if err != nil {
		panic(err)
	}
	VADDSD(eps.Addr, d, d)
	VSQRTSD(d, d, d)
	bits := GP64()
	MOVQ(U64(0x3ff0000000000000), bits)
	VMOVQ(bits, one)
	VDIVSD(d, one, d)
	VCVTSD2SS(d, d, d)
	VMOVSS(d, Mem{Base: stat, Disp: 4})
	rstd := spread(d)
	scale, offset, y := Load(Param("scale"), GP64()), Load(Param("offset"), GP64()), Load(Param("y"), GP64())
	loop(name+suffix+"_write", n, func(_ int, at func(reg.Register) Mem) {
		v, o := vector(), load(at(offset))
		VMULPS(at(around), rstd, v)
		VFMADD132PS(at(scale), o, v)
		VMOVUPS(v, at(y))
	})
	VZEROUPPER()
	RET()
}

// normRowBack writes the gradient of one row of normRow.
func normRowBack(a act) {
	name := "normRowBack" + actNames[a]
	n := whole(name, "x, bias, scale, dy, dx, dbias, dscale, doffset, around, nextX, nextDY, nextDX *float32, mean, rstd, count float32",
		"computes h = (act(x + bias) - mean) rstd, dscale += dy h, doffset += dy, dx = (dy scale - mean(dy scale) - h mean(dy scale h)) rstd act'(x + bias) and dbias += dx. around is scratch for a row; the rows behind next are asked for. count is n.")
	x, bias, around := Load(Param("x"), GP64()), Load(Param("bias"), GP64()), Load(Param("around"), GP64())
	scale, dy := Load(Param("scale"), GP64()), Load(Param("dy"), GP64())
	nextX, nextDY, nextDX := Load(Param("nextX"), GP64()), Load(Param("nextDY"), GP64()), Load(Param("nextDX"), GP64())
	c := actConst(a)
	mean := broadcast("mean")
	g, gt := [lanes]vec{zero(), zero()}, [lanes]vec{zero(), zero()}
	loop(name+suffix+"_sums", n, func(lane int, at func(reg.Register) Mem) {
		ahead(lane, at(nextX))
		ahead(lane, at(nextDY))
		ahead(lane, at(nextDX))
		t, d := load(at(x)), load(at(dy))
		VADDPS(at(bias), t, t)
		activate(a, c, t)
		VSUBPS(mean, t, t)
		VMOVUPS(t, at(around))
		VMULPS(at(scale), d, d)
		VADDPS(d, g[lane], g[lane])
		VFMADD231PS(t, d, gt[lane])
	})
	// dx = p scale - t k1 - k0 with t = act(x + bias) - mean, p = dy rstd, k0 = rstd mean(dy scale)
	// and k1 = rstd³ mean(dy scale t).
	r, count, k0, k1 := scalar("rstd"), scalar("count"), total(g), total(gt)
	VDIVSS(count, k0, k0)
	VDIVSS(count, k1, k1)
	VMULSS(r, k0, k0)
	for range 3 {
		VMULSS(r, k1, k1)
	}
	rstd, s0, s1, z := spread(r), spread(k0), spread(k1), zero()
	dx := Load(Param("dx"), GP64())
	dbias, dscale, doffset := Load(Param("dbias"), GP64()), Load(Param("dscale"), GP64()), Load(Param("doffset"), GP64())
	loop(name+suffix+"_write", n, func(_ int, at func(reg.Register) Mem) {
		t, d := load(at(around)), load(at(dy))
		var pass reg.Register
		if a != identity {
			v := load(at(x))
			VADDPS(at(bias), v, v)
			pass = passing(a, z, v)
		}
		accumulate(d, at(doffset))
		VMULPS(rstd, d, d)
		s := load(at(dscale))
		VFMADD231PS(t, d, s)
		VMOVUPS(s, at(dscale))
		VFNMSUB213PS(s0, s1, t) // t = -t k1 - k0
		VFMADD132PS(at(scale), t, d)
		slopeOf(a, pass, c, d)
		VMOVUPS(d, at(dx))
		accumulate(d, at(dbias))
	})
	VZEROUPPER()
	RET()
}
