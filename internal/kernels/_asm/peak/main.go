// Command peak writes the kernels of internal/kernels/peak.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	fma("fma512", 24, func() reg.VecVirtual { return ZMM() })
	fma("fma256", 12, func() reg.VecVirtual { return YMM() })
	Generate()
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
