package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of gemm.tile, which that package checks.
const (
	offKC    = 0
	offA     = 8
	offStep  = 16
	offB     = 24
	offC     = 32
	offLDC   = 40
	offAt    = 48
	offLeft  = 56
	offLines = 64
	offJump  = 72
	offLastC = 80
	offAlpha = 88
	offBeta  = 92
	offMask  = 96
)

// kernel is a register tile of mr rows and nv vectors. Fewer than 24 accumulators, or 12
// rows of a with 2 vectors of b, keep the multiply-add units at 85 to 95 % of what they can
// do on some processors; 28 are at 99 %.
type kernel struct {
	bits, mr, nv int
	unroll       int
	slots        int  // lines fetched ahead in every round
	rows         bool // a is stored row by row; otherwise column by column
}

// walk holds what changes from round to round.
type walk struct {
	kernel
	t, kc, b, step reg.Register
	base           []reg.GPVirtual // of every three rows of a: an address cannot hold 3 strides
	at, left       reg.Register
	cp, ldc        reg.Register
	acc            [][]reg.VecVirtual
	bv, x          []reg.VecVirtual
}

func (k kernel) name() string {
	order := "cols"
	if k.rows {
		order = "rows"
	}
	return fmt.Sprintf("%s%dx%d", order, k.mr, k.nv*k.bits/32)
}

func (k kernel) write() {
	name := k.name()
	TEXT(name, NOSPLIT, "func(kc *int)")
	how := "column by column"
	if k.rows {
		how = "row by row"
	}
	Doc(fmt.Sprintf("%s computes c = alpha*a*b + beta*c for %d rows of an a stored %s, and fetches %d lines ahead with every %d columns of a. It reads the tile that begins with kc.", name, k.mr, how, k.slots, k.unroll))
	Pragma("noescape")
	w := k.begin()
	SUBQ(Imm(uint64(k.unroll)), w.kc)
	JB(LabelRef(name + "_tail"))
	Label(name + "_loop")
	w.round(k.unroll)
	SUBQ(Imm(uint64(k.unroll)), w.kc)
	JAE(LabelRef(name + "_loop"))
	Label(name + "_tail")
	ADDQ(Imm(uint64(k.unroll)), w.kc)
	JZ(LabelRef(name + "_done"))
	Label(name + "_one")
	w.round(1)
	DECQ(w.kc)
	JNZ(LabelRef(name + "_one"))
	Label(name + "_done")
	MOVQ(w.at, field(w.t, offAt))
	MOVQ(w.left, field(w.t, offLeft))
	w.store()
	VZEROUPPER()
	RET()
}

func field(t reg.Register, off int) Mem { return Mem{Base: t, Disp: off} }

func load(t reg.Register, off int) reg.GPVirtual {
	r := GP64()
	MOVQ(field(t, off), r)
	return r
}

// begin loads the fields and clears the accumulators.
func (k kernel) begin() *walk {
	w := &walk{kernel: k}
	w.t = Load(Param("kc"), GP64())
	w.ldc = load(w.t, offLDC)
	SHLQ(Imm(2), w.ldc)
	w.cp = load(w.t, offC)
	last := GP64()
	IMUL3Q(Imm(uint64(k.mr-1)), w.ldc, last)
	ADDQ(w.cp, last)
	MOVQ(last, field(w.t, offLastC))
	w.kc, w.b, w.step = load(w.t, offKC), load(w.t, offB), load(w.t, offStep)
	SHLQ(Imm(2), w.step)
	w.base = []reg.GPVirtual{load(w.t, offA)}
	for i := 3; k.rows && i < k.mr; i += 3 {
		r := GP64()
		LEAQ(Mem{Base: w.base[len(w.base)-1], Index: w.step, Scale: 2}, r)
		ADDQ(w.step, r)
		w.base = append(w.base, r)
	}
	w.at, w.left = load(w.t, offAt), load(w.t, offLeft)
	w.acc = make([][]reg.VecVirtual, k.mr)
	for i := range w.acc {
		w.acc[i] = make([]reg.VecVirtual, k.nv)
		for j := range w.acc[i] {
			w.acc[i][j] = vec(k.bits)
			zero(w.acc[i][j])
		}
	}
	for range k.nv {
		w.bv = append(w.bv, vec(k.bits))
	}
	w.x = []reg.VecVirtual{vec(k.bits), vec(k.bits)}
	return w
}

// round writes n columns of a times n rows of b.
func (w *walk) round(n int) {
	bytes := w.bits / 8
	for l := range n {
		for j, r := range w.bv {
			VMOVUPS(Mem{Base: w.b, Disp: (l*w.nv + j) * bytes}, r)
		}
		if n > 1 {
			w.fetch(l)
		}
		for i := range w.acc {
			x := w.x[i&1]
			VBROADCASTSS(w.element(i, l), x)
			for j, r := range w.bv {
				VFMADD231PS(r, x, w.acc[i][j])
			}
		}
		if !w.rows && l%4 == 2 { // an address cannot hold 3 strides either
			LEAQ(Mem{Base: w.base[0], Index: w.step, Scale: 2}, w.base[0])
			ADDQ(w.step, w.base[0])
		} else if !w.rows && (l%4 == 3 || n == 1) {
			ADDQ(w.step, w.base[0])
		}
	}
	ADDQ(U32(n*w.nv*bytes), w.b)
	for _, r := range w.base {
		if w.rows {
			ADDQ(Imm(uint64(4*n)), r)
		}
	}
}

// element returns the address of row i and column l of a.
func (w *walk) element(i, l int) Mem {
	if w.rows {
		m := Mem{Base: w.base[i/3], Disp: 4 * l}
		if i%3 > 0 {
			m.Index, m.Scale = w.step, uint8(i%3)
		}
		return m
	}
	m := Mem{Base: w.base[0], Disp: 4 * i}
	if l %= 4; l == 1 || l == 2 {
		m.Index, m.Scale = w.step, uint8(l)
	}
	return m
}

// fetch writes step l's share of what a round fetches: a row of c, which the tile writes at
// its end, and some lines of t.ahead. One after the other, since a burst of them would fill
// the buffers that loads of a and b wait for too.
func (w *walk) fetch(l int) {
	bytes := w.nv * w.bits / 8
	if l == 1 {
		for j := 0; j < bytes; j += 64 {
			PREFETCHT0(Mem{Base: w.cp, Disp: j})
		}
		PREFETCHT0(Mem{Base: w.cp, Disp: bytes - 4}) // rows seldom begin at a cache line
		ADDQ(w.ldc, w.cp)
		CMPQ(w.cp, field(w.t, offLastC))
		CMOVQHI(field(w.t, offLastC), w.cp)
	}
	if l%(w.unroll/w.slots) != 0 {
		return
	}
	PREFETCHT1(Mem{Base: w.at})
	next := GP64()
	ADDQ(Imm(64), w.at)
	MOVQ(field(w.t, offJump), next)
	ADDQ(w.at, next)
	DECQ(w.left)
	CMOVQEQ(next, w.at)
	CMOVQEQ(field(w.t, offLines), w.left)
}

// store writes c = alpha*accumulators + beta*c. In AVX-512 kernels the last vector of a row
// is masked.
func (w *walk) store() {
	name, bytes := w.name(), w.bits/8
	var k reg.OpmaskVirtual
	if w.bits == 512 {
		k = K()
		KMOVW(field(w.t, offMask), k)
	}
	alpha, beta := vec(w.bits), vec(w.bits)
	VBROADCASTSS(field(w.t, offAlpha), alpha)
	for _, row := range w.acc {
		for _, r := range row {
			VMULPS(alpha, r, r)
		}
	}
	c, ldc, p := load(w.t, offC), load(w.t, offLDC), GP64()
	SHLQ(Imm(2), ldc)
	b := GP32()
	MOVL(field(w.t, offBeta), b)
	ADDL(b, b) // the sign of zero does not count
	JZ(LabelRef(name + "_store"))
	VBROADCASTSS(field(w.t, offBeta), beta)
	MOVQ(c, p)
	for _, row := range w.acc {
		for j, r := range row {
			m := Mem{Base: p, Disp: j * bytes}
			if w.bits == 512 && j == w.nv-1 {
				VFMADD231PS(m, beta, k, r)
			} else {
				VFMADD231PS(m, beta, r)
			}
		}
		ADDQ(ldc, p)
	}
	Label(name + "_store")
	for _, row := range w.acc {
		for j, r := range row {
			m := Mem{Base: c, Disp: j * bytes}
			if w.bits == 512 && j == w.nv-1 {
				VMOVUPS(r, k, m)
			} else {
				VMOVUPS(r, m)
			}
		}
		ADDQ(ldc, c)
	}
}
