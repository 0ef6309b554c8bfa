// Command gemm writes the assembly of internal/kernels/gemm.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	for _, k := range []kernel{
		{bits: 512, mr: 14, nv: 2, unroll: 4, slots: 2},
		{bits: 512, mr: 14, nv: 1, unroll: 4, slots: 4},
		{bits: 256, mr: 6, nv: 2, unroll: 8, slots: 1},
		{bits: 256, mr: 6, nv: 1, unroll: 8, slots: 2},
	} {
		k.rows = true
		k.write()
		k.rows = false
		k.write()
	}
	pack{name: "pack32", bits: 512, nv: 2}.write()
	pack{name: "pack16", bits: 512, nv: 1}.write()
	pack{name: "pack16y", bits: 256, nv: 2}.write()
	pack{name: "pack8y", bits: 256, nv: 1}.write()
	transpose()
	split()
	transposeTile()
	multiply()
	finish()
	finite()
	Generate()
}

func vec(bits int) reg.VecVirtual {
	if bits == 512 {
		return ZMM()
	}
	return YMM()
}

func zero(r reg.VecVirtual) {
	if r.Size() == 64 {
		VPXORQ(r, r, r)
		return
	}
	VXORPS(r, r, r)
}
