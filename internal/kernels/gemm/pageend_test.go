package gemm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/internal/cpufeat"
	"github.com/saint-gnn/saint/internal/pageend"
	"github.com/saint-gnn/saint/internal/workers"
)

// exactly makes a product whose operands end with the last element of their last rows, where
// memory ends. Rows are gap elements further apart than they are long.
func exactly(t *testing.T, r *rand.Rand, transA, transB bool, m, n, k, gap int, beta float32) *product {
	t.Helper()
	p := &product{transA: transA, transB: transB, m: m, n: n, k: k, alpha: 0.5, beta: beta}
	matrix := func(rows, cols int, trans bool) ([]float32, int) {
		if trans {
			rows, cols = cols, rows
		}
		return pageend.Copy(t, random(r, (rows-1)*(cols+gap)+cols)), cols + gap
	}
	p.a, p.lda = matrix(m, k, transA)
	p.b, p.ldb = matrix(k, n, transB)
	p.c, p.ldc = matrix(m, n, false)
	return p
}

// No kernel touches memory behind operands, on tiles and on vectors, with rows from a slice and
// from a reader, whatever the tails.
func TestOperandsEndWhereMemoryEnds(t *testing.T) {
	sizes := [][3]int{{1, 1, 1}, {13, 31, 15}, {32, 64, 32}, {33, 65, 33}, {47, 79, 257}, {63, 95, 31}, {95, 113, 300}, {129, 64, 63}, {40, 66, 2100}}
	for _, level := range levels() {
		for _, tr := range transposes {
			t.Run(fmt.Sprint(level, "/", tr.name), func(t *testing.T) {
				g := workers.New(2)
				defer g.Close()
				r := rand.New(rand.NewPCG(11, 12))
				ws := newWorkspace(level)
				for x, s := range sizes {
					if level == cpufeat.Generic && x%4 != 1 {
						continue
					}
					p := exactly(t, r, tr.a, tr.b, s[0], s[1], s[2], 3*(x%2), float32(x%3)/2)
					got := pageend.Copy(t, p.c)
					p.run(g, ws, got)
					p.compare(t, got, 1+s[0]*s[1]/500)
					if tr.a && !tr.b {
						copy(got, p.c)
						p.fused(g, ws, Around{Left: &given{x: p.a, ld: p.lda, cols: p.m}}, got)
						p.compare(t, got, 1+s[0]*s[1]/500)
					}
				}
			})
		}
	}
}

// Rows that tiles cannot hold, which vectors compute again, too.
func TestInfiniteOperandsEndWhereMemoryEnds(t *testing.T) {
	workspace, ok := onTiles()["amx"]
	if !ok {
		t.Skip("this processor or system has no tiles")
	}
	g := workers.New(2)
	defer g.Close()
	const most = 1e38
	for _, tr := range transposes[:3] {
		p := exactly(t, rand.New(rand.NewPCG(11, 12)), tr.a, tr.b, 37, 70, 301, 0, 0.5)
		for _, x := range [][]float32{p.a, p.b} {
			for i := range x {
				x[i] = most
			}
		}
		got := pageend.Copy(t, p.c)
		p.run(g, workspace(), got)
		if v := got[len(got)-1]; v-v == 0 {
			t.Errorf("%s: last element of an infinite product is %v", tr.name, v)
		}
	}
}
