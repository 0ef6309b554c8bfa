//go:build !noasm

package gemm

import (
	"unsafe"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

//go:generate sh ../_asm/generate.sh gemm

// The offsets that the generator of the kernels knows.
var _ = [1]struct{}{}[unsafe.Offsetof(tile{}.kc)-0+
	unsafe.Offsetof(tile{}.a)-8+
	unsafe.Offsetof(tile{}.stride)-16+
	unsafe.Offsetof(tile{}.b)-24+
	unsafe.Offsetof(tile{}.c)-32+
	unsafe.Offsetof(tile{}.ldc)-40+
	unsafe.Offsetof(tile{}.at)-48+
	unsafe.Offsetof(tile{}.left)-56+
	unsafe.Offsetof(tile{}.lines)-64+
	unsafe.Offsetof(tile{}.jump)-72+
	unsafe.Offsetof(tile{}.lastC)-80+
	unsafe.Offsetof(tile{}.alpha)-88+
	unsafe.Offsetof(tile{}.beta)-92+
	unsafe.Offsetof(tile{}.mask)-96]

// asmKernels returns the kernels of a level, if it has any.
func asmKernels(level cpufeat.Level) (kernels, bool) {
	switch level {
	case cpufeat.AVX512, cpufeat.AMX:
		return kernels{
			mr: 14, nr: 32, narrow: 16, masked: true, apitch: 16, round: 4, slots: 2,
			krows: 512, kcols: 128, cache: 256 << 10, strips: 18, longNC: 512,
			run: tileAVX512, pack: packAVX512, transpose: transposeAVX,
		}, true
	case cpufeat.AVX2:
		return kernels{
			mr: 6, nr: 16, narrow: 8, apitch: 8, round: 8, slots: 1,
			krows: 256, kcols: 256, cache: 64 << 10, strips: 24, longNC: 256,
			run: tileAVX2, pack: packAVX2, transpose: transposeAVX,
		}, true
	default:
		return kernels{}, false
	}
}

func tileAVX512(t *tile) {
	t.mask = 0xffff >> (t.width - t.valid)
	if t.cs == 1 {
		t.stride = t.rs
		if t.width == 32 {
			rows14x32(&t.kc)
		} else {
			rows14x16(&t.kc)
		}
		return
	}
	t.stride = t.cs
	if t.width == 32 {
		cols14x32(&t.kc)
	} else {
		cols14x16(&t.kc)
	}
}

func tileAVX2(t *tile) {
	if t.cs == 1 {
		t.stride = t.rs
		if t.width == 16 {
			rows6x16(&t.kc)
		} else {
			rows6x8(&t.kc)
		}
		return
	}
	t.stride = t.cs
	if t.width == 16 {
		cols6x16(&t.kc)
	} else {
		cols6x8(&t.kc)
	}
}

func packAVX512(kc, cols int, src []float32, ld int, dst []float32, width int) {
	tail := uint32(1)<<(cols%width) - 1
	if width == 32 {
		pack32(kc, &src[0], 4*ld, cols/width, &dst[0], 4*kc*width, tail)
	} else {
		pack16(kc, &src[0], 4*ld, cols/width, &dst[0], 4*kc*width, tail)
	}
}

func packAVX2(kc, cols int, src []float32, ld int, dst []float32, width int) {
	strips := cols / width
	switch {
	case strips == 0:
	case width == 16:
		pack16y(kc, &src[0], 4*ld, strips, &dst[0], 4*kc*width)
	default:
		pack8y(kc, &src[0], 4*ld, strips, &dst[0], 4*kc*width)
	}
	if at := strips * width; at < cols {
		packGo(kc, cols-at, src[at:], ld, dst[at*kc:], width)
	}
}

func transposeAVX(blocks int, src []float32, ld int, dst []float32, step int) {
	transpose8(blocks, &src[0], 4*ld, &dst[0], 4*step)
}
