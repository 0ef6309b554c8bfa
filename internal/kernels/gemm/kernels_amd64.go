//go:build !noasm

package gemm

import "github.com/saint-gnn/saint/internal/cpufeat"

//go:generate sh ../_asm/generate.sh gemm

// asmKernels returns the kernels of a level, if it has any.
func asmKernels(level cpufeat.Level) (kernels, bool) {
	switch level {
	case cpufeat.AVX512:
		return kernels{mr: 12, nr: 32, narrow: 16, masked: true, mc: 96, run: tileAVX512, pack: packAVX512}, true
	case cpufeat.AVX2:
		return kernels{mr: 6, nr: 16, narrow: 8, mc: 96, run: tileAVX2, pack: packAVX2}, true
	default:
		return kernels{}, false
	}
}

func tileAVX512(t *tile) {
	mask := uint16(0xffff) >> (t.width - t.valid)
	if t.width == 32 {
		tile12x32(t.kc, t.a, 4*t.rs, 4*t.cs, t.b, 4*t.bs, t.nextA.at, t.nextA.step, t.nextB.at, t.nextB.step, t.alpha, t.beta, t.c, 4*t.ldc, mask)
		return
	}
	tile12x16(t.kc, t.a, 4*t.rs, 4*t.cs, t.b, 4*t.bs, t.nextA.at, t.nextA.step, t.nextB.at, t.nextB.step, t.alpha, t.beta, t.c, 4*t.ldc, mask)
}

func tileAVX2(t *tile) {
	if t.width == 16 {
		tile6x16(t.kc, t.a, 4*t.rs, 4*t.cs, t.b, 4*t.bs, t.nextA.at, t.nextA.step, t.nextB.at, t.nextB.step, t.alpha, t.beta, t.c, 4*t.ldc)
		return
	}
	tile6x8(t.kc, t.a, 4*t.rs, 4*t.cs, t.b, 4*t.bs, t.nextA.at, t.nextA.step, t.nextB.at, t.nextB.step, t.alpha, t.beta, t.c, 4*t.ldc)
}

func packAVX512(kc, strips int, a []float32, lda int, dst []float32) {
	pack12(kc, &a[0], 4*lda, strips, &dst[0], 4*12*kc)
}

func packAVX2(kc, strips int, a []float32, lda int, dst []float32) {
	pack6(kc, &a[0], 4*lda, strips, &dst[0], 4*6*kc)
}
