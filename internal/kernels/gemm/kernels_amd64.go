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

var _ = [1]struct{}{}[unsafe.Offsetof(splitting{}.left)-0+
	unsafe.Offsetof(splitting{}.unit)-8+
	unsafe.Offsetof(splitting{}.second)-16+
	unsafe.Offsetof(splitting{}.next)-24+
	unsafe.Offsetof(splitting{}.dst)-32+
	unsafe.Offsetof(splitting{}.dstNext)-40+
	unsafe.Offsetof(splitting{}.src)-48+
	unsafe.Offsetof(splitting{}.units)-56+
	unsafe.Offsetof(splitting{}.blocks)-64+
	unsafe.Offsetof(splitting{}.rate)-72+
	unsafe.Offsetof(splitting{}.mask)-80+
	unsafe.Offsetof(splitting{}.mask2)-84+
	unsafe.Offsetof(tiling{}.panels)-88+
	unsafe.Offsetof(tiling{}.steps)-96+
	unsafe.Offsetof(tiling{}.a)-104+
	unsafe.Offsetof(tiling{}.b)-112+
	unsafe.Offsetof(tiling{}.c)-120+
	unsafe.Offsetof(tiling{}.fresh)-128+
	unsafe.Offsetof(tiling{}.scratch)-136+
	unsafe.Offsetof(tiling{}.pending)-144+
	unsafe.Offsetof(tiling{}.count)-152+
	unsafe.Offsetof(tiling{}.fetch)-160+
	unsafe.Sizeof(fetching{})-40+
	unsafe.Offsetof(fetching{}.at)-8+
	unsafe.Offsetof(fetching{}.left)-16+
	unsafe.Offsetof(fetching{}.lines)-24+
	unsafe.Offsetof(fetching{}.jump)-32]

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

// asmTiles returns the kernels on tiles of a level; none of them is set if it has none.
func asmTiles(level cpufeat.Level) tileOps {
	if level < cpufeat.AMX {
		return tileOps{}
	}
	return tileOps{
		split:     func(s *splitting) { splitAVX512(&s.left) },
		transpose: transposeSquares,
		multiply:  func(t *tiling) { multiplyAMX(&t.left) },
		finish:    finishRows,
		finite:    finite,
	}
}

func transposeSquares(blocks int, src []float32, ld, next int, dst []float32, step, dstNext int) {
	transpose16(blocks, &src[0], 4*ld, 4*next, &dst[0], 4*step, 4*dstNext)
}

func finishRows(rows, panels int, p, c []float32, ldc int, mask uint32, alpha, beta float32) bool {
	var out [16]float32
	finishAVX512(rows, panels, &p[0], &c[0], 4*ldc, mask, alpha, beta, &out)
	return out == [16]float32{}
}

func finite(x []float32) bool {
	var out [16]float32
	finiteAVX512(len(x), &x[0], &out)
	return out == [16]float32{}
}
