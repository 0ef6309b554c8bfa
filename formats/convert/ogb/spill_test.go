package ogb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

func create(path string) (io.WriteCloser, error) { return os.Create(path) }

// randomEdges makes edges with a hub, duplicates and self loops, in blocks.
func randomEdges(n int32, count int) *edgeList {
	random := rand.New(rand.NewPCG(5, uint64(n)))
	l := &edgeList{}
	var block pairs
	for i := range count {
		u, v := random.Int32N(n), random.Int32N(n)
		if i%3 == 0 {
			u = n / 2
		}
		block = append(block, u, v)
		if len(block) == 64 || i == count-1 {
			l.blocks, l.count, block = append(l.blocks, block), l.count+int64(len(block)/2), nil
		}
	}
	return l
}

func randomRoles(n int) []role {
	random := rand.New(rand.NewPCG(9, 9))
	roles := make([]role, n)
	for i := range roles {
		roles[i] = role(random.IntN(4))
	}
	return roles
}

// flat returns all columns of a matrix.
func flat(t *testing.T, m *matrix) []int32 {
	t.Helper()
	var all []int32
	if err := m.rows(t.Context(), func(_ int, row []int32) error { all = append(all, row...); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestThroughFiles(t *testing.T) {
	for _, n := range []int{1, 2, 7, 300} {
		for _, budget := range []int64{1, 100, 3000, 1 << 20} {
			for _, undirected := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d nodes, %d bytes, %t", n, budget, undirected), func(t *testing.T) {
					throughFiles(t, n, budget, undirected)
				})
			}
		}
	}
}

// throughFiles builds a matrix in memory and through files and compares the two.
func throughFiles(t *testing.T, n int, budget int64, undirected bool) {
	t.Helper()
	roles := randomRoles(n)
	want, got := newMatrix(roles), newMatrix(roles)
	if err := want.inMemory(t.Context(), randomEdges(int32(n), 1000), undirected, 3); err != nil {
		t.Fatal(err)
	}
	edges := randomEdges(int32(n), 1000)
	s := &spill{dir: t.TempDir(), undirected: undirected, budget: budget, workers: 2, create: create}
	err := got.inFiles(t.Context(), s, edges.count, func(take func(pairs) error) error {
		for _, b := range edges.blocks {
			if err := take(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, same := range map[string]bool{
		"columns": slices.Equal(flat(t, got), flat(t, want)), "full": slices.Equal(got.full, want.full), "train": slices.Equal(got.train, want.train),
		"val": slices.Equal(got.val, want.val), "merged": got.merged == want.merged, "loops": got.loops == want.loops,
	} {
		if !same {
			t.Errorf("%s differ from those in memory", name)
		}
	}
	if left := names(t, s.dir); len(left) != 1 || left[0] != "columns" {
		t.Errorf("files left: %v", left)
	}
}

func TestWorkersAgree(t *testing.T) {
	roles := randomRoles(500)
	var want []int32
	for _, workers := range []int{1, 2, 3, 600} {
		m := newMatrix(roles)
		if err := m.inMemory(t.Context(), randomEdges(500, 5000), true, workers); err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = flat(t, m)
		}
		if !slices.Equal(flat(t, m), want) {
			t.Errorf("%d workers: another matrix", workers)
		}
	}
}

func TestSpillCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	edges := randomEdges(50, 500)
	s := &spill{dir: t.TempDir(), budget: 100, workers: 1, create: create}
	err := newMatrix(randomRoles(50)).inFiles(ctx, s, edges.count, func(take func(pairs) error) error { return take(edges.blocks[0]) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
