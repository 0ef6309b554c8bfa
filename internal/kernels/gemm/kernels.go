package gemm

import (
	"unsafe"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

// tile describes one call of a kernel: c = alpha*a*b + beta*c for mr rows of c.
type tile struct {
	kc          int
	a           *float32 // element (i,l) at a[i*rs + l*cs]
	rs, cs      int
	b           *float32 // element (l,j) at b[l*bs + j]; only masked kernels heed valid here too
	bs          int
	nextA       stream
	nextB       stream
	c           *float32
	ldc         int     // elements from row to row of c
	alpha, beta float32 // with beta 0, c is not read
	width       int     // columns of the kernel: nr or narrow
	valid       int     // columns to write, at most width; only masked kernels heed it
}

// stream is memory to fetch into the second-level cache: one address for every column of
// a, step bytes apart. It may run past its end.
type stream struct {
	at   uintptr
	step int
}

// kernels are the register tiles of one instruction set.
type kernels struct {
	mr, nr, narrow int  // rows; columns of the wide and of the narrow kernel
	masked         bool // writes tile.valid columns and not tile.width
	mc             int  // rows of a block of c, a multiple of mr
	run            func(t *tile)
	// pack copies kc rows of strips*mr elements of a to dst, [strips][kc][mr].
	pack func(kc, strips int, a []float32, lda int, dst []float32)
}

func kernelsOf(level cpufeat.Level) kernels {
	if k, ok := asmKernels(level); ok {
		return k
	}
	return kernels{mr: 4, nr: 4, narrow: 4, mc: 96, run: tileGo, pack: packGo}
}

// tileGo is the portable 4×4 kernel, in two halves that fit the registers of most
// processors.
func tileGo(t *tile) {
	a := unsafe.Slice(t.a, 3*t.rs+(t.kc-1)*t.cs+1)
	b := unsafe.Slice(t.b, (t.kc-1)*t.bs+4)
	c := unsafe.Slice(t.c, 3*t.ldc+4)
	for h := 0; h < 4; h += 2 {
		var c00, c01, c02, c03, c10, c11, c12, c13 float32
		x, y := a[h*t.rs:], a[(h+1)*t.rs:]
		at := 0
		for l := 0; l+4 <= len(b); l += t.bs {
			v := (*[4]float32)(b[l:])
			x, y := x[at], y[at]
			c00 += x * v[0]
			c01 += x * v[1]
			c02 += x * v[2]
			c03 += x * v[3]
			c10 += y * v[0]
			c11 += y * v[1]
			c12 += y * v[2]
			c13 += y * v[3]
			at += t.cs
		}
		storeGo((*[4]float32)(c[h*t.ldc:]), t, c00, c01, c02, c03)
		storeGo((*[4]float32)(c[(h+1)*t.ldc:]), t, c10, c11, c12, c13)
	}
}

func storeGo(c *[4]float32, t *tile, v0, v1, v2, v3 float32) {
	al := t.alpha
	if t.beta == 0 {
		*c = [4]float32{al * v0, al * v1, al * v2, al * v3}
		return
	}
	c[0] = al*v0 + t.beta*c[0]
	c[1] = al*v1 + t.beta*c[1]
	c[2] = al*v2 + t.beta*c[2]
	c[3] = al*v3 + t.beta*c[3]
}

func packGo(kc, strips int, a []float32, lda int, dst []float32) {
	for l := range kc {
		row := a[l*lda:][:4*strips]
		for s := range strips {
			*(*[4]float32)(dst[(s*kc+l)*4:]) = *(*[4]float32)(row[4*s:])
		}
	}
}
