package gemm

import (
	"unsafe"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

// tile describes one call of a kernel: c = alpha*a*b + beta*c for mr rows of c. Kernels in
// assembly know where its fields are.
type tile struct {
	kc          int
	a           *float32 // element (i,l) at a[i*rs + l*cs]
	stride      int      // rs or cs, whichever is not 1; set by run
	b           *float32 // element (l,j) at b[l*width + j]
	c           *float32
	ldc         int     // elements from row to row of c
	at          uintptr // memory to fetch next into the second-level cache: lines of a region
	left        int     // lines to the end of its row
	lines, jump int     // as in region
	lastC       uintptr // for the kernel's own use
	alpha, beta float32 // with beta 0, c is not read
	mask        uint32  // columns of the last vector to write; set by run
	rs, cs      int     // one of them is 1
	width       int     // columns of the kernel: nr or narrow
	valid       int     // columns to write, at most width; only masked kernels heed it
}

// kernels are the register tiles of one instruction set.
type kernels struct {
	mr, nr, narrow int  // rows; columns of the wide and of the narrow kernel
	masked         bool // writes tile.valid columns and not tile.width
	apitch         int  // from column to column of a packed strip of a transposed a
	round, slots   int  // the wide kernel fetches slots lines in round columns of a, the narrow one twice as many
	krows, kcols   int  // longest chunk with an a stored by rows and by columns
	cache          int  // elements of op(b) that stay in the second-level cache
	strips, longNC int  // of a block of a weight gradient: strips of op(a), columns
	run            func(t *tile)
	// pack copies kc rows of cols columns to dst, [cols/width][kc][width], zeros behind the
	// last column. ld is the elements from row to row of src.
	pack func(kc, cols int, src []float32, ld int, dst []float32, width int)
	// transpose copies 8 rows of 8*blocks columns to dst, where a row holds 8 of its step
	// elements; nil if there is none.
	transpose func(blocks int, src []float32, ld int, dst []float32, step int)
}

func kernelsOf(level cpufeat.Level) kernels {
	if k, ok := asmKernels(level); ok {
		return k
	}
	return kernels{
		mr: 4, nr: 4, narrow: 4, apitch: 4, round: 1, krows: 256, kcols: 256,
		cache: 64 << 10, strips: 24, longNC: 512, run: tileGo, pack: packGo,
	}
}

// tileGo is the portable 4×4 kernel, in two halves that fit the registers of most
// processors.
func tileGo(t *tile) {
	a := unsafe.Slice(t.a, 3*t.rs+(t.kc-1)*t.cs+1)
	b := unsafe.Slice(t.b, 4*t.kc)
	c := unsafe.Slice(t.c, 3*t.ldc+4)
	for h := 0; h < 4; h += 2 {
		var c00, c01, c02, c03, c10, c11, c12, c13 float32
		x, y := a[h*t.rs:], a[(h+1)*t.rs:]
		at := 0
		for l := 0; l+4 <= len(b); l += 4 {
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
