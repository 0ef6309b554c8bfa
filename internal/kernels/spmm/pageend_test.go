package spmm

import (
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/internal/pageend"
	"github.com/saint-gnn/saint/internal/workers"
)

// No kernel touches memory behind its operands, whatever the number of columns.
func TestOperandsEndWhereMemoryEnds(t *testing.T) {
	g := workers.New(2)
	defer g.Close()
	for _, level := range levels() {
		r := rand.New(rand.NewPCG(5, 2))
		ws := newWorkspace(level)
		for n := range 140 {
			a := newArgs(r, 13, 11, n, n%2, 10)
			y := a.Y[:12*a.LDY+n]
			a.Indptr, a.Col, a.Val = pageend.Copy(t, a.Indptr), pageend.Copy(t, a.Col), pageend.Copy(t, a.Val)
			a.X, a.Y, a.Beta = pageend.Copy(t, a.X), pageend.Copy(t, y), float32(n%2)
			Mul(g, ws, a)
			compare(t, &a, y, a.Y, 0)
		}
	}
}
