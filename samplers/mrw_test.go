package samplers

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/kernels/induce"
	"github.com/saint-gnn/saint/internal/rng"
)

// scarce is a source many of whose values have to be drawn anew.
type scarce struct{ *rand.PCG }

func (s scarce) Uint64() uint64 {
	x := s.PCG.Uint64()
	if x%5 == 0 {
		return 0
	}
	return x
}

// tangle is a random graph, undirected or not, with isolated nodes, loops and a hub.
func tangle(r *rand.Rand, n int, directed bool) *formats.Graph {
	rows := make([][]int32, n)
	add := func(v, u int) {
		rows[v] = append(rows[v], int32(u))
		if !directed {
			rows[u] = append(rows[u], int32(v))
		}
	}
	for range 2 * n {
		v, u := r.IntN(n), r.IntN(n)
		if v%7 != 3 && u%7 != 3 {
			add(v, u)
		}
	}
	for u := range n / 2 {
		add(0, u)
	}
	g := &formats.Graph{Indptr: []int64{0}}
	for _, row := range rows {
		slices.Sort(row)
		g.Indices = append(g.Indices, slices.Compact(row)...)
		g.Indptr = append(g.Indptr, int64(len(g.Indices)))
	}
	return g
}

func TestBlocksPopAsTheTreeDoes(t *testing.T) {
	if !induce.CanPop() {
		t.Skip("blocks need AVX-512")
	}
	var sc Scratch
	for seed := range uint64(300) {
		r := rng.New(seed, rng.Test, 0, 0)
		n := 1 + r.IntN(400)
		env := Env{Graph: tangle(r, n, seed%3 == 0)}
		for v := range int32(n) {
			env.Train = append(env.Train, v)
		}
		frontier := 1 + r.IntN(300)
		if seed%10 == 0 {
			frontier = induce.MaxFrontier
		}
		s := &MultiDimRandomWalk{Draws: frontier + r.IntN(900), Frontier: frontier, DegClip: 1 + r.IntN(40), env: env}
		stream := func() *rand.Rand { return rand.New(scarce{rand.NewPCG(seed, 1)}) }
		draw := func(pop func(*rand.Rand, *Scratch, []int32) []int32) []int32 {
			r := stream()
			dst := appendUniform(r, env.Train, frontier, make([]int32, 0, s.Draws))
			return pop(r, &sc, dst)
		}
		want, got := draw(s.popTree), draw(s.popBlocks)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d, %d nodes, frontier %d of %d draws: blocks and tree differ", seed, n, frontier, s.Draws)
		}
	}
}

func TestBelowIsUint64N(t *testing.T) {
	r := rng.New(1, rng.Test, 0, 0)
	a, b := rand.New(scarce{rand.NewPCG(1, 2)}), rand.New(scarce{rand.NewPCG(1, 2)})
	c := rand.New(scarce{rand.NewPCG(1, 2)})
	for i := range 100_000 {
		n := 1 + r.Uint64()>>r.UintN(64)
		x, y, z := below(a, n), b.Uint64N(n), belowOf(c.Uint64, n)
		if x != y || z != y {
			t.Fatalf("draw %d below %d: below gives %d, belowOf %d, want %d", i, n, x, z, y)
		}
	}
}

func TestStepsGoOneByOne(t *testing.T) {
	for seed := range uint64(40) {
		r := rng.New(seed, rng.Test, 0, 0)
		n := 1 + r.IntN(200)
		g := tangle(r, n, seed%2 == 0)
		from := make([]int32, r.IntN(3*block))
		for i := range from {
			from[i] = int32(r.IntN(n))
		}
		a, b := rng.New(seed, rng.Test, 1, 0), rng.New(seed, rng.Test, 1, 0)
		got, want := make([]int32, len(from)), make([]int32, len(from))
		steps(a, g, from, got)
		for i, v := range from {
			want[i] = step(b, g, v)
		}
		if !slices.Equal(got, want) || a.Uint64() != b.Uint64() {
			t.Fatalf("seed %d: %d steps at once differ from one by one", seed, len(from))
		}
	}
}
