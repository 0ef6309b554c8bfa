//go:build !noasm

package heads

import "github.com/saint-gnn/saint/internal/cpufeat"

//go:generate sh ../_asm/generate.sh heads

// level is the instruction set in use; tests change it.
var level = cpufeat.Chosen()

// planOf returns the columns and heads of a block: what fits the registers, and the lanes of
// one vector.
func planOf() (columns, heads int) {
	switch level {
	case cpufeat.AVX512, cpufeat.AMX:
		return 8 * 16, 16
	case cpufeat.AVX2:
		return 4 * 8, 8
	default:
		return blockGo, blockGo
	}
}

// vectors returns the whole vectors of a head's columns, 0 where the kernels are of no use.
func vectors(width, heads int) int {
	if level < cpufeat.AVX2 || width%8 != 0 || heads == 0 {
		return 0
	}
	return width / 8
}

func dots(width int, x, a, s []float32) {
	if v := vectors(width, len(s)); v > 0 {
		dotsAVX2(len(s), v, &x[0], &a[0], &s[0])
		return
	}
	dotsGo(width, x, a, s)
}

func addOuter(width int, s, a, y []float32) {
	if v := vectors(width, len(s)); v > 0 {
		addOuterAVX2(len(s), v, &s[0], &a[0], &y[0])
		return
	}
	addOuterGo(width, s, a, y)
}

func scale(width int, s, x, y []float32) {
	if v := vectors(width, len(s)); v > 0 {
		scaleAVX2(len(s), v, &s[0], &x[0], &y[0])
		return
	}
	scaleGo(width, s, x, y)
}

var pairs512 = [...]func(n int, col *int32, val, x *float32, ldx int, r *float32, ldr int, lanes *int32, sum, dot *float32, mask, heads uint16){
	pair512x1, pair512x2, pair512x3, pair512x4, pair512x5, pair512x6, pair512x7, pair512x8,
}

var pairs256 = [...]func(n int, col *int32, val, x *float32, ldx int, r *float32, ldr int, lanes *int32, sum, dot *float32, mask, heads *int32){
	pair256x1, pair256x2, pair256x3, pair256x4,
}

// masks256 has the mask of l lanes at position 8-l.
var masks256 = [16]int32{-1, -1, -1, -1, -1, -1, -1, -1}

func (p *Pair) row(i int, b block, sum, dot []float32) {
	e, cols := int(p.Indptr[i]), b.to-b.from
	n := int(p.Indptr[i+1]) - e
	col, val := p.Col[e:e+n], p.Val[e:e+n]
	x, r, lanes := p.X[b.from:], p.R[b.head:], &p.lanes[b.from]
	switch level {
	case cpufeat.AVX512, cpufeat.AMX:
		v := (cols + 15) / 16
		pairs512[v-1](n, &col[0], &val[0], &x[0], 4*p.LDX, &r[0], 4*p.LDR, lanes, &sum[b.from], &dot[b.from],
			0xffff>>(16*v-cols), 0xffff>>max(0, 16-(p.Heads-b.head)))
	case cpufeat.AVX2:
		v := (cols + 7) / 8
		pairs256[v-1](n, &col[0], &val[0], &x[0], 4*p.LDX, &r[0], 4*p.LDR, lanes, &sum[b.from], &dot[b.from],
			&masks256[8*v-cols], &masks256[max(0, 8-(p.Heads-b.head))])
	default:
		p.rowGo(i, b, sum, dot)
	}
}
