//go:build !noasm

package pairs

import "github.com/saint-gnn/saint/internal/cpufeat"

//go:generate sh ../_asm/generate.sh pairs

// level is the instruction set in use; tests change it.
var level = cpufeat.Chosen()

// vectorsOf returns the kernels for heads of width columns, the zero loops where there are none.
func vectorsOf(width int) loops {
	switch {
	case level >= cpufeat.AVX512 && width%16 == 0:
		return loops{vecs: width / 16, wide: true}
	case level >= cpufeat.AVX2 && width%8 == 0:
		return loops{vecs: width / 8}
	}
	return loops{}
}

// loops are the kernels for heads of some whole vectors; wide ones are twice as long.
type loops struct {
	vecs int
	wide bool
}

func (p loops) scores(heads int, s *lanes, a, l, r []float32) {
	if p.wide {
		scores512(heads, p.vecs, &s[0], &a[0], &l[0], &r[0])
		return
	}
	scores256(heads, p.vecs, &s[0], &a[0], &l[0], &r[0])
}

func (p loops) scoreDots(heads int, s, t *lanes, a, l, r, dy []float32) {
	if p.wide {
		scoreDots512(heads, p.vecs, &s[0], &t[0], &a[0], &l[0], &r[0], &dy[0])
		return
	}
	scoreDots256(heads, p.vecs, &s[0], &t[0], &a[0], &l[0], &r[0], &dy[0])
}

func (p loops) self(heads int, g *lanes, a, l, r, dl, da []float32) {
	if p.wide {
		self512(heads, p.vecs, &g[0], &a[0], &l[0], &r[0], &dl[0], &da[0])
		return
	}
	self256(heads, p.vecs, &g[0], &a[0], &l[0], &r[0], &dl[0], &da[0])
}

func (p loops) source(heads int, g, w *lanes, a, l, r, dy, dr []float32) {
	if p.wide {
		source512(heads, p.vecs, &g[0], &w[0], &a[0], &l[0], &r[0], &dy[0], &dr[0])
		return
	}
	source256(heads, p.vecs, &g[0], &w[0], &a[0], &l[0], &r[0], &dy[0], &dr[0])
}

func (p loops) outer(heads int, w *lanes, r, y []float32) {
	if p.wide {
		outer512(heads, p.vecs, &w[0], &r[0], &y[0])
		return
	}
	outer256(heads, p.vecs, &w[0], &r[0], &y[0])
}

// exp replaces numbers of at most 0 by their exponentials.
func (s *lanes) exp() { exps(&s[0]) }
