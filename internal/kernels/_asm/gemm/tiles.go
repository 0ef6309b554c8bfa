package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/saint-gnn/saint/internal/kernels/asm/amx"
)

// Offsets of the fields of gemm.splitting and gemm.tiling, which that package checks.
const (
	splitSrc      = 48
	splitUnit     = 8
	splitSecond   = 16
	splitNext     = 24
	splitDst      = 32
	splitDstNext  = 40
	splitLeft     = 0
	splitUnits    = 56
	splitBlocks   = 64
	splitRate     = 72
	splitMask     = 80
	splitMask2    = 84
	tilingPanels  = 88
	tilingSteps   = 96
	tilingA       = 104
	tilingB       = 112
	tilingC       = 120
	tilingFresh   = 128
	tilingScratch = 136
	tilingPending = 144
	tilingCount   = 152
	tilingFetch   = 160 // the first of two gemm.fetching
	fetchingSize  = 40
	pieceBytes    = 2048
	tileBytes     = 1024
	stepBytes     = 3 * pieceBytes
	productBytes  = 4096
	productStride = 128
)

// splitter cuts numbers into three bfloat16 pieces whose sum they are: 16 numbers and 16
// others become a line of 16 pairs in each of three tiles.
type splitter struct {
	src, unit, second, dst, left reg.Register
	half, high                   reg.VecPhysical
}

// begin loads the constants and the places of a gemm.splitting.
func (s *splitter) begin(t reg.Register) {
	MOVQ(field(t, splitSrc), s.src)
	MOVQ(field(t, splitUnit), s.unit)
	MOVQ(field(t, splitSecond), s.second)
	MOVQ(field(t, splitDst), s.dst)
	MOVQ(field(t, splitLeft), s.left)
	MOVL(U32(0x8000), reg.EAX)
	VPBROADCASTD(reg.EAX, s.half)
	MOVL(U32(0xffff0000), reg.EAX)
	VPBROADCASTD(reg.EAX, s.high)
}

// work splits one pair of vectors, and goes to the next. The first piece is rounded, half away
// from zero, which two integer operations do; the second is cut off, which leaves eight bits
// or fewer for the last. A NaN stays one in the last piece, an infinity becomes one in all but
// the first.
func (s *splitter) work(masks ...reg.Register) {
	x, y, h, g := reg.Z16, reg.Z17, reg.Z18, reg.Z19
	first, second := Mem{Base: s.src}, Mem{Base: s.src, Index: s.second, Scale: 1}
	if masks != nil {
		VMOVUPS_Z(first, masks[0], x)
		VMOVUPS_Z(second, masks[1], y)
	} else {
		VMOVUPS(first, x)
		VMOVUPS(second, y)
	}
	for piece := range 2 {
		if piece == 0 {
			VPADDD(s.half, x, h)
			VPADDD(s.half, y, g)
			VPANDD(s.high, h, h)
			VPANDD(s.high, g, g)
		} else {
			VPANDD(s.high, x, h)
			VPANDD(s.high, y, g)
		}
		VSUBPS(h, x, x)
		VSUBPS(g, y, y)
		VPSRLD(Imm(16), h, h)
		VPORD(g, h, h)
		VMOVDQU32(h, Mem{Base: s.dst, Disp: piece * pieceBytes})
	}
	VPSRLD(Imm(16), x, x)
	VPTERNLOGD(Imm(0xf8), s.high, y, x)
	VMOVDQU32(x, Mem{Base: s.dst, Disp: 2 * pieceBytes})
	ADDQ(s.unit, s.src)
	ADDQ(Imm(64), s.dst)
}

// end keeps the places.
func (s *splitter) end(t reg.Register) {
	MOVQ(s.src, field(t, splitSrc))
	MOVQ(s.dst, field(t, splitDst))
	MOVQ(s.left, field(t, splitLeft))
}

func newSplitter() *splitter {
	return &splitter{
		src: reg.R10, unit: reg.R11, second: reg.R12, dst: reg.R13, left: reg.R8,
		half: reg.Z30, high: reg.Z31,
	}
}

// split writes the function that does the rest of a gemm.splitting.
func split() {
	TEXT("splitAVX512", NOSPLIT, "func(left *int)")
	Doc("splitAVX512 does what is left of the splitting that begins with left.")
	Pragma("noescape")
	t := reg.RDI
	Load(Param("left"), t)
	s := newSplitter()
	s.begin(t)
	KMOVW(field(t, splitMask), reg.K1)
	KMOVW(field(t, splitMask2), reg.K2)
	MOVQ(field(t, splitBlocks), reg.RBX)
	Label("split_unit")
	s.work(reg.K1, reg.K2)
	DECQ(s.left)
	JNZ(LabelRef("split_unit"))
	ADDQ(field(t, splitNext), s.src)
	ADDQ(field(t, splitDstNext), s.dst)
	MOVQ(field(t, splitUnits), s.left)
	DECQ(reg.RBX)
	JNZ(LabelRef("split_unit"))
	MOVQ(reg.RBX, field(t, splitBlocks))
	s.end(t)
	VZEROUPPER()
	RET()
}

// transposeTile writes the transposition of squares of 16×16.
func transposeTile() {
	const name = "transpose16"
	TEXT(name, NOSPLIT, "func(blocks int, src *float32, ld, next int, dst *float32, step, dstNext int)")
	Doc(name + " transposes blocks squares of 16×16 elements; ld and step are the bytes from row to row, next and dstNext those from square to square.")
	Pragma("noescape")
	blocks := Load(Param("blocks"), GP64())
	src := Load(Param("src"), GP64())
	ld := Load(Param("ld"), GP64())
	dst := Load(Param("dst"), GP64())
	step := Load(Param("step"), GP64())
	ld3, step3, ld4 := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, step3)
	MOVQ(ld, ld4)
	SHLQ(Imm(2), ld4)
	mask := GP32()
	var lanes [3]reg.OpmaskVirtual
	for i := range lanes {
		lanes[i] = K()
		MOVL(U32(0xf0<<(4*i)), mask)
		KMOVW(mask, lanes[i])
	}
	p, out := GP64(), GP64()
	Label(name + "_block")
	MOVQ(dst, out)
	for c := range 4 {
		var z [4]reg.VecVirtual // lane q of z[j]: four elements of row 4q+j
		for j := range z {
			z[j] = ZMM()
		}
		LEAQ(Mem{Base: src, Disp: 16 * c}, p)
		for q := range 4 {
			for j, at := range []Mem{{Base: p}, {Base: p, Index: ld, Scale: 1}, {Base: p, Index: ld, Scale: 2}, {Base: p, Index: ld3, Scale: 1}} {
				if q == 0 {
					VBROADCASTF32X4(at, z[j])
				} else {
					VBROADCASTF32X4(at, lanes[q-1], z[j])
				}
			}
			if q < 3 {
				ADDQ(ld4, p)
			}
		}
		transposeLanes(&z)
		VMOVUPS(z[0], Mem{Base: out})
		VMOVUPS(z[1], Mem{Base: out, Index: step, Scale: 1})
		VMOVUPS(z[2], Mem{Base: out, Index: step, Scale: 2})
		VMOVUPS(z[3], Mem{Base: out, Index: step3, Scale: 1})
		if c < 3 {
			LEAQ(Mem{Base: out, Index: step, Scale: 4}, out)
		}
	}
	next := GP64()
	Load(Param("next"), next)
	ADDQ(next, src)
	Load(Param("dstNext"), next)
	ADDQ(next, dst)
	DECQ(blocks)
	JNZ(LabelRef(name + "_block"))
	VZEROUPPER()
	RET()
}

// transposeLanes makes element c of z[j] in every lane element j of z[c].
func transposeLanes(z *[4]reg.VecVirtual) {
	t0, t1, t2, t3 := ZMM(), ZMM(), ZMM(), ZMM()
	VUNPCKLPS(z[1], z[0], t0)
	VUNPCKHPS(z[1], z[0], t1)
	VUNPCKLPS(z[3], z[2], t2)
	VUNPCKHPS(z[3], z[2], t3)
	VUNPCKLPD(t2, t0, z[0])
	VUNPCKHPD(t2, t0, z[1])
	VUNPCKLPD(t3, t1, z[2])
	VUNPCKHPD(t3, t1, z[3])
}

// Registers of multiply.
var (
	tilingReg     = reg.RDI
	stripReg      = reg.RSI
	panelReg      = reg.RDX
	productsReg   = reg.R9
	strideReg     = reg.RCX // bytes between rows of strip and panel
	acrossReg     = reg.RBX // and between those of products
	tempReg       = reg.RAX
	temp2Reg      = reg.R14
	countReg      = reg.R15
	multiplyLabel = func(what string) string { return "multiplyAMX_" + what }
)

// multiply writes the product of a strip with panels on tiles 0 to 3, with one half of the
// strip in tiles 4 and 5 and of the panel in 6 and 7. Between the products of a step come
// other things that the processor does at the same time, on other units.
func multiply() {
	const name = "multiplyAMX"
	TEXT(name, NOSPLIT, "func(left *int)")
	Doc(name + " computes the products of a strip of 32 rows with panels of 32 columns, adding them to c unless it is fresh, and does a part of a splitting. It reads the tiling that begins with left.")
	Pragma("noescape")
	shape := amx.Shape()
	Load(Param("left"), tilingReg)
	s := newSplitter()
	s.begin(tilingReg)
	amx.Begin(shape)
	MOVQ(field(tilingReg, tilingB), panelReg)
	MOVQ(field(tilingReg, tilingC), productsReg)
	MOVL(U32(64), reg.ECX)
	MOVL(U32(productStride), reg.EBX)
	MOVQ(U32(productBytes), field(tilingReg, tilingPending))
	Label(multiplyLabel("panel"))
	MOVQ(field(tilingReg, tilingA), stripReg)
	MOVQ(field(tilingReg, tilingSteps), tempReg)
	MOVQ(tempReg, field(tilingReg, tilingCount))
	for i := range 4 {
		amx.Zero(i)
	}
	Label(multiplyLabel("step"))
	splitSome(s)
	step()
	addDue()
	ADDQ(U32(stepBytes), stripReg)
	ADDQ(U32(stepBytes), panelReg)
	DECQ(field(tilingReg, tilingCount))
	JNZ(LabelRef(multiplyLabel("step")))
	storeProducts()
	ADDQ(U32(productBytes), productsReg)
	DECQ(field(tilingReg, tilingPanels))
	JNZ(LabelRef(multiplyLabel("panel")))
	addRest("last")
	amx.End()
	s.end(tilingReg)
	VZEROUPPER()
	RET()
}

// step adds the products of a step to the tiles.
func step() {
	pair := func(first int, base reg.Register, piece int32) {
		for i := range int32(2) {
			amx.Load(first+int(i), base, strideReg, piece*pieceBytes+i*tileBytes)
		}
	}
	dots := func() {
		for i := range 4 {
			amx.Dot(i, 4+i/2, 6+i%2)
		}
	}
	// Small products first, as far as the tiles allow.
	pair(4, stripReg, 2)
	pair(6, panelReg, 0)
	dots() // low, high
	pair(4, stripReg, 1)
	dots() // middle, high
	fetch("first", tilingFetch)
	pair(6, panelReg, 1)
	dots() // middle, middle
	pair(4, stripReg, 0)
	dots() // high, middle
	fetch("second", tilingFetch+fetchingSize)
	pair(6, panelReg, 2)
	dots() // high, low
	pair(6, panelReg, 0)
	dots() // high, high
}

// addDue adds some of the last panel's products to c. By now they are in memory.
func addDue() {
	MOVQ(field(tilingReg, tilingPending), countReg)
	CMPQ(countReg, U32(productBytes))
	JE(LabelRef(multiplyLabel("added")))
	MOVQ(field(tilingReg, tilingScratch), tempReg)
	addSome()
	MOVQ(countReg, field(tilingReg, tilingPending))
	Label(multiplyLabel("added"))
}

// storeProducts writes the tiles to c if it is fresh, and otherwise to scratch memory, from
// where they are added to c: sums of sums of a chunk are more exact than sums of steps.
func storeProducts() {
	MOVQ(productsReg, temp2Reg)
	CMPQ(field(tilingReg, tilingFresh), Imm(0))
	JNE(LabelRef(multiplyLabel("store")))
	addRest("rest")
	MOVQ(U32(0), field(tilingReg, tilingPending))
	MOVQ(field(tilingReg, tilingScratch), temp2Reg)
	Label(multiplyLabel("store"))
	for i := range int32(4) {
		amx.Store(int(i), temp2Reg, acrossReg, i/2*16*productStride+i%2*64)
	}
}

// splitSome does a step's share of a splitting.
func splitSome(s *splitter) {
	MOVQ(field(tilingReg, splitRate), countReg)
	TESTQ(countReg, countReg)
	JZ(LabelRef(multiplyLabel("split")))
	Label(multiplyLabel("unit"))
	s.work()
	DECQ(s.left)
	JNZ(LabelRef(multiplyLabel("more")))
	ADDQ(field(tilingReg, splitNext), s.src)
	ADDQ(field(tilingReg, splitDstNext), s.dst)
	MOVQ(field(tilingReg, splitUnits), s.left)
	DECQ(field(tilingReg, splitBlocks))
	JNZ(LabelRef(multiplyLabel("more")))
	MOVQ(U32(0), field(tilingReg, splitRate))
	JMP(LabelRef(multiplyLabel("split")))
	Label(multiplyLabel("more"))
	DECQ(countReg)
	JNZ(LabelRef(multiplyLabel("unit")))
	Label(multiplyLabel("split"))
}

// addSome adds a quarter of the products in scratch memory at tempReg, from byte countReg on,
// to the last panel's.
func addSome() {
	for i := range 16 {
		v := []reg.VecPhysical{reg.Z20, reg.Z21, reg.Z22, reg.Z23}[i%4]
		to := Mem{Base: productsReg, Index: countReg, Scale: 1, Disp: 64*i - productBytes}
		VMOVUPS(Mem{Base: tempReg, Index: countReg, Scale: 1, Disp: 64 * i}, v)
		VADDPS(to, v, v)
		VMOVUPS(v, to)
	}
	ADDQ(U32(productBytes/4), countReg)
}

// addRest adds what is left.
func addRest(name string) {
	MOVQ(field(tilingReg, tilingPending), countReg)
	MOVQ(field(tilingReg, tilingScratch), tempReg)
	JMP(LabelRef(multiplyLabel(name + "_test")))
	Label(multiplyLabel(name))
	addSome()
	Label(multiplyLabel(name + "_test"))
	CMPQ(countReg, U32(productBytes))
	JB(LabelRef(multiplyLabel(name)))
}

// fetch fetches a step's share of a gemm.fetching into the second-level cache.
func fetch(name string, off int) {
	const offRate, offAt, offLeft, offLines, offJump = 0, 8, 16, 24, 32
	MOVQ(field(tilingReg, off+offRate), countReg)
	TESTQ(countReg, countReg)
	JZ(LabelRef(multiplyLabel(name)))
	MOVQ(field(tilingReg, off+offAt), tempReg)
	MOVQ(field(tilingReg, off+offLeft), temp2Reg)
	Label(multiplyLabel(name + "_line"))
	PREFETCHT1(Mem{Base: tempReg})
	ADDQ(Imm(64), tempReg)
	DECQ(temp2Reg)
	JNZ(LabelRef(multiplyLabel(name + "_same")))
	ADDQ(field(tilingReg, off+offJump), tempReg)
	MOVQ(field(tilingReg, off+offLines), temp2Reg)
	Label(multiplyLabel(name + "_same"))
	DECQ(countReg)
	JNZ(LabelRef(multiplyLabel(name + "_line")))
	MOVQ(tempReg, field(tilingReg, off+offAt))
	MOVQ(temp2Reg, field(tilingReg, off+offLeft))
	Label(multiplyLabel(name))
}
