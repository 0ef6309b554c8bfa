// Command peak writes the kernels of internal/kernels/peak.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/saint-gnn/saint/internal/kernels/asm/amx"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	fma("fma512", 24, func() reg.VecVirtual { return ZMM() })
	fma("fma256", 12, func() reg.VecVirtual { return YMM() })
	tiles()
	Generate()
}

// tiles writes a loop of products of tiles that are zero, four independent ones in turn.
func tiles() {
	const name = "dotAMX"
	TEXT(name, NOSPLIT, "func(n int)")
	Doc(name + " runs n rounds of products of tiles.")
	shape := amx.Shape()
	n := reg.RCX
	Load(Param("n"), n)
	amx.Begin(shape)
	Label(name + "_loop")
	for range 6 {
		for i := range 4 {
			amx.Dot(i, 4+i/2, 6+i%2)
		}
	}
	DECQ(n)
	JNZ(LabelRef(name + "_loop"))
	amx.End()
	RET()
}

// fma writes a loop of independent multiply-adds that touches no memory, as many as the
// registers hold so that latency is hidden.
func fma(name string, nacc int, vec func() reg.VecVirtual) {
	TEXT(name, NOSPLIT, "func(n int)")
	Doc(name + " runs n rounds of independent multiply-adds on registers.")
	n := Load(Param("n"), GP64())
	x := vec()
	zero(x)
	acc := make([]reg.VecVirtual, nacc)
	for i := range acc {
		acc[i] = vec()
		zero(acc[i])
	}
	Label(name + "_loop")
	for _, a := range acc {
		VFMADD231PS(x, x, a)
	}
	DECQ(n)
	JNZ(LabelRef(name + "_loop"))
	VZEROUPPER()
	RET()
}

func zero(x reg.VecVirtual) {
	if x.Size() == 64 {
		VPXORQ(x, x, x)
		return
	}
	VXORPS(x, x, x)
}
