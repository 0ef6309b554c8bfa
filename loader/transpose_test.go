package loader_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/loader"
)

// matrix is a batch whose entries are those of a dense matrix.
func matrix(rows [][]bool) *loader.Batch {
	b := loader.NewBatch(func(*loader.Batch) {})
	b.Nodes, b.Indptr = make([]int32, len(rows)), []int32{0}
	for v := range rows {
		for u, set := range rows[v] {
			if set {
				b.Indices = append(b.Indices, int32(u))
				b.AdjNorm = append(b.AdjNorm, float32(len(b.Indices)))
			}
		}
		b.Indptr = append(b.Indptr, int32(len(b.Indices)))
	}
	return b
}

// checkEntries compares a transpose with its definition, entry by entry.
func checkEntries(rows [][]bool, b *loader.Batch) error {
	at := func(v, u int) int32 { // position of an entry of the batch
		i, _ := slices.BinarySearch(b.Indices[b.Indptr[v]:b.Indptr[v+1]], int32(u))
		return b.Indptr[v] + int32(i)
	}
	k := 0
	for u := range rows {
		if int(b.TransIndptr[u]) != k {
			return fmt.Errorf("row %d starts at %d, want %d", u, b.TransIndptr[u], k)
		}
		for v := range rows {
			if !rows[v][u] {
				continue
			}
			e := at(v, u)
			if k >= len(b.TransPerm) || b.TransIndices[k] != int32(v) || b.TransPerm[k] != e || b.TransNorm[k] != b.AdjNorm[e] {
				return fmt.Errorf("entry %d is not (%d, %d), entry %d of the batch", k, v, u, e)
			}
			k++
		}
	}
	if k != len(b.TransPerm) || k != len(b.TransNorm) {
		return fmt.Errorf("%d entries, want %d", len(b.TransPerm), k)
	}
	return nil
}

// TestTransposer: every matrix of up to three nodes, and larger random ones that are symmetric
// or lack an entry, have their transpose, whatever was said of them and is left of others.
func TestTransposer(t *testing.T) {
	var tr loader.Transposer
	check := func(rows [][]bool) {
		t.Helper()
		for _, symmetric := range []bool{false, true} {
			b := matrix(rows)
			tr.Apply(b, symmetric)
			if err := checkEntries(rows, b); err != nil {
				t.Errorf("%v, said to be symmetric: %t: %v", rows, symmetric, err)
			}
		}
	}
	for n := range 4 {
		for bits := range 1 << (n * n) {
			rows := make([][]bool, n)
			for i := range n * n {
				rows[i/n] = append(rows[i/n], bits>>i&1 != 0)
			}
			check(rows)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		n := 1 + r.IntN(12)
		rows := make([][]bool, n)
		for v := range rows {
			rows[v] = make([]bool, n)
		}
		density := r.Float64()
		for v := range n {
			for u := range v + 1 {
				rows[v][u] = r.Float64() < density
				rows[u][v] = rows[v][u]
			}
		}
		for range r.IntN(3) {
			v, u := r.IntN(n), r.IntN(n)
			rows[v][u] = !rows[v][u]
		}
		check(rows)
	}
}

// TestTransposerPanics: columns outside the subgraph never reach memory outside of it.
func TestTransposerPanics(t *testing.T) {
	for _, u := range []int32{-1, 2, 1 << 30} {
		for _, symmetric := range []bool{false, true} {
			b := matrix([][]bool{{false, true}, {true, false}})
			b.Indices[1] = u
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("column %d of 2, said to be symmetric: %t: no panic", u, symmetric)
					}
				}()
				new(loader.Transposer).Apply(b, symmetric)
			}()
		}
	}
}
