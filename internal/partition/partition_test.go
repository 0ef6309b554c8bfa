package partition_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/internal/partition"
	"github.com/saint-gnn/saint/internal/rng"
)

// build makes a graph of undirected edges; a repeated edge adds 1 to its weight.
func build(n int, edges [][2]int32) *partition.Graph {
	rows := make([]map[int32]int32, n)
	for v := range rows {
		rows[v] = map[int32]int32{}
	}
	for _, e := range edges {
		rows[e[0]][e[1]]++
		if e[0] != e[1] {
			rows[e[1]][e[0]]++
		}
	}
	g := &partition.Graph{Indptr: []int64{0}, Indices: []int32{}, EdgeWeights: []int32{}}
	for _, row := range rows {
		ids := make([]int32, 0, len(row))
		for u := range row {
			ids = append(ids, u)
		}
		slices.Sort(ids)
		for _, u := range ids {
			g.Indices, g.EdgeWeights = append(g.Indices, u), append(g.EdgeWeights, row[u])
		}
		g.Indptr = append(g.Indptr, int64(len(g.Indices)))
	}
	return g
}

// check fails t unless every node has a part, no part is empty or too heavy.
func check(t *testing.T, g *partition.Graph, part []int32, parts int, imbalance float64) {
	t.Helper()
	n := len(g.Indptr) - 1
	if len(part) != n {
		t.Fatalf("%d parts of %d nodes", len(part), n)
	}
	weight, total, heaviest := make([]int64, parts), int64(0), int64(1)
	for v, p := range part {
		if p < 0 || int(p) >= parts {
			t.Fatalf("part of node %d = %d, want 0 to %d", v, p, parts-1)
		}
		w := int64(1)
		if g.NodeWeights != nil {
			w = int64(g.NodeWeights[v])
		}
		weight[p] += w
		total += w
		heaviest = max(heaviest, w)
	}
	mean := float64(total) / float64(parts)
	limit := max(int64(mean*(1+imbalance)), (total+int64(parts)-1)/int64(parts))
	if g.NodeWeights != nil {
		limit += heaviest // packing weights exactly is another problem
	}
	for p, w := range weight {
		if w == 0 && n >= parts {
			t.Errorf("part %d of %d is empty with %d nodes", p, parts, n)
		}
		if w > limit {
			t.Errorf("part %d weighs %d, want at most %d", p, w, limit)
		}
	}
}

func grid(w, h int) *partition.Graph {
	var edges [][2]int32
	for y := range int32(h) {
		for x := range int32(w) {
			v := y*int32(w) + x
			if x+1 < int32(w) {
				edges = append(edges, [2]int32{v, v + 1})
			}
			if y+1 < int32(h) {
				edges = append(edges, [2]int32{v, v + int32(w)})
			}
		}
	}
	return build(w*h, edges)
}

func star(leaves int32) *partition.Graph {
	var edges [][2]int32
	for v := range leaves {
		edges = append(edges, [2]int32{0, v + 1})
	}
	return build(int(leaves)+1, edges)
}

// planted makes groups of nodes with many edges inside and few between.
func planted(groups, size int, r *rand.Rand) (*partition.Graph, int64) {
	n := int32(groups * size)
	var edges [][2]int32
	between := int64(0)
	for v := range n {
		for range 8 {
			u := v/int32(size)*int32(size) + r.Int32N(int32(size))
			if u != v {
				edges = append(edges, [2]int32{v, u})
			}
		}
		if r.IntN(4) == 0 {
			if u := r.Int32N(n); u/int32(size) != v/int32(size) {
				edges = append(edges, [2]int32{v, u})
				between++
			}
		}
	}
	return build(int(n), edges), between
}

func random(n, m int, r *rand.Rand) *partition.Graph {
	edges := make([][2]int32, 0, m)
	for range m {
		u := r.Int32N(int32(n))
		edges = append(edges, [2]int32{u, int32(float64(n) * r.Float64() * r.Float64())})
	}
	return build(n, edges)
}

func cut(t *testing.T, g *partition.Graph, o partition.Options) []int32 {
	t.Helper()
	part, err := partition.KWay(t.Context(), g, o)
	if err != nil {
		t.Fatal(err)
	}
	return part
}

func TestAwkwardGraphs(t *testing.T) {
	r := rng.New(1, rng.Test, 0, 0)
	two := build(400, nil)
	for _, c := range []struct {
		name string
		g    *partition.Graph
	}{
		{"no node", build(0, nil)},
		{"one node", build(1, nil)},
		{"only loops", build(5, [][2]int32{{1, 1}, {3, 3}})},
		{"no edges", two},
		{"star", star(5000)},
		{"path", grid(1500, 1)},
		{"grid", grid(25, 25)},
		{"complete", random(30, 3000, r)},
		{"sparse", random(1500, 800, r)},
		{"hubs", random(800, 5000, r)},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := len(c.g.Indptr) - 1
			for _, parts := range []int{1, 2, 3, 7, 64, n - n/3, n - 1, n, n + 5} {
				if parts > 0 {
					check(t, c.g, cut(t, c.g, partition.Options{Parts: parts, Seed: 3}), parts, partition.DefaultImbalance)
				}
			}
		})
	}
}

func TestKnownCuts(t *testing.T) {
	r := rng.New(2, rng.Test, 0, 0)
	communities, between := planted(10, 200, r)
	for _, c := range []struct {
		name  string
		g     *partition.Graph
		parts int
		most  int64
	}{
		{"path in 4", grid(1000, 1), 4, 3},
		{"grid in 2", grid(50, 50), 2, 56},
		{"grid in 4", grid(60, 60), 4, 160},
		{"communities", communities, 10, between},
		{"components", build(40, [][2]int32{{0, 1}, {2, 3}, {4, 5}, {6, 7}}), 4, 0},
	} {
		const seeds = 4
		sum := int64(0)
		for seed := range uint64(seeds) {
			part := cut(t, c.g, partition.Options{Parts: c.parts, Seed: seed + 1})
			sum += partition.Cut(c.g, part)
			check(t, c.g, part, c.parts, partition.DefaultImbalance)
		}
		if sum > seeds*c.most {
			t.Errorf("%s: mean cut = %.1f, want at most %d", c.name, float64(sum)/seeds, c.most)
		}
	}
}

// TestRandomGraphs compares with parts of consecutive and of random nodes.
func TestRandomGraphs(t *testing.T) {
	for i := range uint64(20) {
		r := rng.New(i, rng.Test, 0, 0)
		n := 2 + r.IntN(800)
		g := random(n, r.IntN(6*n), r)
		weighted := i%3 == 0
		if weighted {
			g.NodeWeights = make([]int32, n)
			for v := range g.NodeWeights {
				g.NodeWeights[v] = 1 + r.Int32N(9)
			}
		}
		parts := 1 + r.IntN(min(n, 40))
		imbalance := 0.01 + 0.1*r.Float64()
		o := partition.Options{Parts: parts, Imbalance: imbalance, Seed: i, Workers: 1}
		part := cut(t, g, o)
		check(t, g, part, parts, imbalance)
		naive := make([]int32, n)
		for v := range naive {
			naive[v] = int32(v * parts / n)
		}
		for range 2 {
			if got, want := partition.Cut(g, part), partition.Cut(g, naive); got > want {
				t.Errorf("graph %d, %d nodes in %d parts: cut = %d, want at most %d", i, n, parts, got, want)
			}
			r.Shuffle(n, func(a, b int) { naive[a], naive[b] = naive[b], naive[a] })
		}
		o.Workers = 8
		if !slices.Equal(cut(t, g, o), part) {
			t.Errorf("graph %d: the parts depend on the number of workers", i)
		}
	}
}

// TestWorkers is for a graph that is contracted by several goroutines.
func TestWorkers(t *testing.T) {
	g := random(3000, 12000, rng.New(5, rng.Test, 0, 0))
	want := cut(t, g, partition.Options{Parts: 20, Seed: 1, Workers: 1})
	for _, workers := range []int{3, 16} {
		if !slices.Equal(cut(t, g, partition.Options{Parts: 20, Seed: 1, Workers: workers}), want) {
			t.Errorf("%d workers: other parts than with 1", workers)
		}
	}
	if slices.Equal(cut(t, g, partition.Options{Parts: 20, Seed: 2}), want) {
		t.Error("another seed gives the same parts")
	}
}

func TestCancelAndProgress(t *testing.T) {
	g := random(3000, 12000, rng.New(5, rng.Test, 0, 0))
	last := int64(-1)
	o := partition.Options{Parts: 20, Progress: func(done, total int64) {
		if done < last || done > total {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	}}
	cut(t, g, o)
	if last < 1 {
		t.Error("no progress told")
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(int64, int64) { cancel() }
	if _, err := partition.KWay(ctx, g, o); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestBadInput(t *testing.T) {
	good := grid(3, 3)
	for name, c := range map[string]struct {
		g    partition.Graph
		o    partition.Options
		want string
	}{
		"no rows":         {partition.Graph{}, partition.Options{Parts: 2}, "Indptr"},
		"falling rows":    {partition.Graph{Indptr: []int64{0, 2, 1}, Indices: []int32{0}}, partition.Options{Parts: 2}, "Indptr"},
		"rows beyond":     {partition.Graph{Indptr: []int64{0, 5, 1}, Indices: []int32{0}}, partition.Options{Parts: 2}, "Indptr"},
		"neighbour":       {partition.Graph{Indptr: []int64{0, 1}, Indices: []int32{1}}, partition.Options{Parts: 2}, "neighbour 1"},
		"weights":         {partition.Graph{Indptr: []int64{0, 0}, NodeWeights: []int32{1, 1}}, partition.Options{Parts: 2}, "weights"},
		"weight 0":        {partition.Graph{Indptr: []int64{0, 0}, NodeWeights: []int32{0}}, partition.Options{Parts: 2}, "weighs 0"},
		"edge weight -1":  {partition.Graph{Indptr: []int64{0, 1, 2}, Indices: []int32{1, 0}, EdgeWeights: []int32{1, -1}}, partition.Options{Parts: 2}, "weighs -1"},
		"too heavy":       {partition.Graph{Indptr: []int64{0, 0, 0}, NodeWeights: []int32{1 << 30, 1 << 30}}, partition.Options{Parts: 2}, "at most 2^31-1"},
		"no parts":        {*good, partition.Options{}, "0 parts"},
		"imbalance below": {*good, partition.Options{Parts: 2, Imbalance: -1}, "imbalance -1"},
	} {
		if _, err := partition.KWay(t.Context(), &c.g, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want it to contain %q", name, err, c.want)
		}
	}
}

func FuzzKWay(f *testing.F) {
	f.Add([]byte{0, 1, 1, 2, 2, 0}, uint8(3), uint8(2))
	f.Add([]byte{0, 0, 5, 5}, uint8(9), uint8(9))
	f.Fuzz(func(t *testing.T, ends []byte, nodes, parts uint8) {
		if nodes == 0 || parts == 0 {
			return
		}
		var edges [][2]int32
		for i := 0; i+1 < len(ends); i += 2 {
			edges = append(edges, [2]int32{int32(ends[i] % nodes), int32(ends[i+1] % nodes)})
		}
		g := build(int(nodes), edges)
		o := partition.Options{Parts: int(parts), Seed: uint64(len(ends))}
		part := cut(t, g, o)
		check(t, g, part, int(parts), partition.DefaultImbalance)
		if again := cut(t, g, o); !slices.Equal(part, again) {
			t.Fatalf("two runs: %v and %v", part, again)
		}
	})
}

func ExampleKWay() {
	// Two triangles joined by an edge.
	g := &partition.Graph{
		Indptr:  []int64{0, 2, 4, 7, 10, 12, 14},
		Indices: []int32{1, 2, 0, 2, 0, 1, 3, 2, 4, 5, 3, 5, 3, 4},
	}
	part, err := partition.KWay(context.Background(), g, partition.Options{Parts: 2})
	if err != nil {
		panic(err)
	}
	fmt.Println("cut:", partition.Cut(g, part), "together:", part[0] == part[1] && part[1] == part[2])
	// Output: cut: 1 together: true
}
