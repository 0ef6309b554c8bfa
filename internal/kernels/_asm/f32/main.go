// Command f32 writes the vector kernels of internal/kernels/f32. They take a multiple of 32
// elements. AVX2 is as fast as AVX-512 here: memory sets the pace.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	lanes = 4  // vectors in flight
	width = 32 // bytes of a vector
)

func main() {
	ConstraintExpr("amd64,!noasm")
	axpy()
	scale()
	dot()
	sumSquares()
	Generate()
}

func vecs() [lanes]reg.VecVirtual {
	var v [lanes]reg.VecVirtual
	for i := range v {
		v[i] = YMM()
	}
	return v
}

func zeros() [lanes]reg.VecVirtual {
	v := vecs()
	for _, a := range v {
		VXORPS(a, a, a)
	}
	return v
}

func at(p reg.Register, i int) Mem { return Mem{Base: p, Disp: i * width} }

// begin writes the head of a function and its loop.
func begin(name, sig, doc string, setup, body func()) {
	TEXT(name, NOSPLIT, sig)
	Doc(name + " " + doc + " n is a multiple of 32 and at least 32.")
	Pragma("noescape")
	n := Load(Param("n"), GP64())
	setup()
	Label(name + "_loop")
	body()
	SUBQ(Imm(lanes*width/4), n)
	JNZ(LabelRef(name + "_loop"))
}

func axpy() {
	var x, y reg.Register
	alpha := YMM()
	begin("axpyAVX2", "func(n int, alpha float32, x, y *float32)", "computes y += alpha x.", func() {
		x, y = Load(Param("x"), GP64()), Load(Param("y"), GP64())
		broadcast("alpha", alpha)
	}, func() {
		v := vecs()
		for i := range v {
			VMOVUPS(at(y, i), v[i])
		}
		for i := range v {
			VFMADD231PS(at(x, i), alpha, v[i])
		}
		for i := range v {
			VMOVUPS(v[i], at(y, i))
		}
		advance(x, y)
	})
	VZEROUPPER()
	RET()
}

func scale() {
	var x reg.Register
	alpha := YMM()
	begin("scaleAVX2", "func(n int, alpha float32, x *float32)", "computes x *= alpha.", func() {
		x = Load(Param("x"), GP64())
		broadcast("alpha", alpha)
	}, func() {
		v := vecs()
		for i := range v {
			VMULPS(at(x, i), alpha, v[i])
		}
		for i := range v {
			VMOVUPS(v[i], at(x, i))
		}
		advance(x)
	})
	VZEROUPPER()
	RET()
}

func dot() {
	var x, y reg.Register
	var acc [lanes]reg.VecVirtual
	begin("dotAVX2", "func(n int, x, y *float32, sums *[8]float32)", "writes eight sums of x*y by lane.", func() {
		x, y = Load(Param("x"), GP64()), Load(Param("y"), GP64())
		acc = zeros()
	}, func() {
		v := vecs()
		for i := range v {
			VMOVUPS(at(x, i), v[i])
		}
		for i := range v {
			VFMADD231PS(at(y, i), v[i], acc[i])
		}
		advance(x, y)
	})
	VADDPS(acc[1], acc[0], acc[0])
	VADDPS(acc[3], acc[2], acc[2])
	VADDPS(acc[2], acc[0], acc[0])
	sums := Load(Param("sums"), GP64())
	VMOVUPS(acc[0], Mem{Base: sums})
	VZEROUPPER()
	RET()
}

func sumSquares() {
	var x reg.Register
	var acc, acc2 [lanes]reg.VecVirtual
	begin("sumSquaresAVX2", "func(n int, x *float32, sums *[4]float64)", "writes four sums of squares by lane.", func() {
		x = Load(Param("x"), GP64())
		acc, acc2 = zeros(), zeros()
	}, func() {
		for i := range acc {
			lo, hi := YMM(), YMM()
			VCVTPS2PD(Mem{Base: x, Disp: i * width}, lo)
			VCVTPS2PD(Mem{Base: x, Disp: i*width + width/2}, hi)
			VFMADD231PD(lo, lo, acc[i])
			VFMADD231PD(hi, hi, acc2[i])
		}
		advance(x)
	})
	for i := range acc {
		VADDPD(acc2[i], acc[i], acc[i])
	}
	VADDPD(acc[1], acc[0], acc[0])
	VADDPD(acc[3], acc[2], acc[2])
	VADDPD(acc[2], acc[0], acc[0])
	sums := Load(Param("sums"), GP64())
	VMOVUPD(acc[0], Mem{Base: sums})
	VZEROUPPER()
	RET()
}

func advance(ps ...reg.Register) {
	for _, p := range ps {
		ADDQ(Imm(lanes*width), p)
	}
}

func broadcast(name string, v reg.VecVirtual) {
	b, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(b.Addr, v)
}
