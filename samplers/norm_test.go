package samplers_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// avoid returns, for a sampler on env, the exact probability that a draw holds no node of
// a set.
func avoid(env samplers.Env, name string, p params) func(set ...int32) float64 {
	switch name {
	case "node":
		return avoidDraws(nodeLaw(env.Graph), p["size_subgraph"])
	case "vanilla_node_python":
		return avoidDraws(uniformLaw(env.Train), p["size_subgraph"])
	case "edge", "edge_bernoulli":
		return avoidEdges(edgeLaw(env.Graph), float64(p["size_subg_edge"]), name == "edge")
	case "rw":
		return avoidPaths(p["num_root"], func(visit func([]int32, float64)) { walks(env, int(p["depth"]), visit) })
	case "mrw":
		return avoidPaths(1, func(visit func([]int32, float64)) {
			frontiers(env, int(p["size_subgraph"]), int(p["size_frontier"]), 100000, visit)
		})
	default:
		return func(...int32) float64 { return 0 }
	}
}

func avoidDraws(one map[int32]float64, draws int64) func(set ...int32) float64 {
	return func(set ...int32) float64 {
		hit := 0.0
		for v, q := range one {
			if slices.Contains(set, v) {
				hit += q
			}
		}
		return math.Pow(1-hit, float64(draws))
	}
}

func avoidEdges(edges map[[2]int32]float64, m float64, replacement bool) func(set ...int32) float64 {
	return func(set ...int32) float64 {
		hit, none := 0.0, 1.0
		for e, q := range edges {
			if slices.Contains(set, e[0]) || slices.Contains(set, e[1]) {
				hit += q
				none *= 1 - min(1, q*m)
			}
		}
		if replacement {
			return math.Pow(1-hit, m)
		}
		return none
	}
}

func avoidPaths(power int64, each func(visit func(ids []int32, p float64))) func(set ...int32) float64 {
	return func(set ...int32) float64 {
		miss := 0.0
		each(func(ids []int32, p float64) {
			if !slices.ContainsFunc(ids, func(v int32) bool { return slices.Contains(set, v) }) {
				miss += p
			}
		})
		return math.Pow(miss, float64(power))
	}
}

// inclusion lists one setting of each sampler for the tests of counts.
var inclusion = map[string]params{
	"node":                {"size_subgraph": 4},
	"edge":                {"size_subg_edge": 2},
	"edge_bernoulli":      {"size_subg_edge": 3},
	"rw":                  {"num_root": 2, "depth": 2},
	"mrw":                 {"size_subgraph": 4, "size_frontier": 2},
	"full_batch":          {},
	"vanilla_node_python": {"size_subgraph": 4},
}

func TestCountsConvergeToExactProbabilities(t *testing.T) {
	for _, c := range graphsWithEdges() {
		if c.Env.Graph.NumEdges() > 30 {
			continue
		}
		for name, p := range inclusion {
			t.Run(fmt.Sprint(c.Name, "/", name), func(t *testing.T) {
				s, err := samplers.New(name, c.Env, p)
				if err != nil {
					t.Fatal(err)
				}
				nodes, edges, n, err := samplers.Count(t.Context(), s, c.Env, samplers.EstimateOptions{Coverage: 1500, Seed: 5})
				if err != nil {
					t.Fatal(err)
				}
				not := avoid(c.Env, name, p)
				for _, v := range c.Env.Train {
					checkShare(t, fmt.Sprint("node ", v), int(nodes[v]), n, 1-not(v))
					for k, u := range c.Env.Graph.Neighbors(v) {
						checkShare(t, fmt.Sprint("edge ", v, u), int(edges[c.Env.Graph.Indptr[v]+int64(k)]), n, 1-not(v)-not(u)+not(u, v))
					}
				}
			})
		}
	}
}

// TestCountsEqualTheSubgraphs recounts from the subgraphs themselves.
func TestCountsEqualTheSubgraphs(t *testing.T) {
	for _, c := range graphsWithEdges() {
		t.Run(c.Name, func(t *testing.T) {
			s, err := samplers.New("rw", c.Env, params{"num_root": 3, "depth": 1})
			if err != nil {
				t.Fatal(err)
			}
			nodes, edges, n, err := samplers.Count(t.Context(), s, c.Env, samplers.EstimateOptions{Coverage: 10, Seed: 3, Phase: 1})
			if err != nil {
				t.Fatal(err)
			}
			wantNodes, wantEdges := make([]uint32, len(nodes)), make([]uint32, len(edges))
			norm := &samplers.Norm{Loss: make([]float32, len(nodes)), Subgraphs: n}
			inSample(t, s, c.Env, norm, func(sub *formats.Subgraph) {
				for _, v := range sub.Nodes {
					wantNodes[v]++
				}
				for _, e := range sub.EdgeIDs {
					wantEdges[e]++
				}
			})
			if !slices.Equal(nodes, wantNodes) || !slices.Equal(edges, wantEdges) {
				t.Errorf("counts = %v, %v, want %v, %v", nodes, edges, wantNodes, wantEdges)
			}
		})
	}
}

// inSample draws the subgraphs 0…S-1 of a norm, applies it and passes them to visit.
func inSample(t *testing.T, s samplers.Sampler, env samplers.Env, norm *samplers.Norm, visit func(sub *formats.Subgraph)) {
	t.Helper()
	var sc samplers.Scratch
	var sub formats.Subgraph
	for i := range norm.Subgraphs {
		if err := samplers.DrawAt(s, env, 3, 1, uint64(i), &sc, &sub); err != nil {
			t.Fatal(err)
		}
		norm.Apply(env.Graph, &sub)
		visit(&sub)
	}
}

// TestInSampleIdentity checks what the coefficients are for: over the counted subgraphs
// the normalised aggregation of a node, averaged over those that hold it, is its full
// aggregation, and the loss averages to the mean over the training nodes.
func TestInSampleIdentity(t *testing.T) {
	hubs := samplertest.Env(samplertest.PowerLaw(60, 200, 7))
	weighted := samplertest.Env(samplertest.PowerLaw(60, 200, 7))
	weighted.Graph.Weights = make([]float32, weighted.Graph.NumEdges())
	for e := range weighted.Graph.Weights {
		weighted.Graph.Weights[e] = 0.5 + float32(e%7)
	}
	loops := samplertest.Env(samplertest.Undirected(7, [2]int32{0, 0}, [2]int32{0, 1}, [2]int32{0, 2}, [2]int32{1, 2}, [2]int32{4, 4}, [2]int32{4, 6}))
	for graph, env := range map[string]samplers.Env{"hubs": hubs, "weighted": weighted, "loops": loops} {
		for name, p := range map[string]params{
			"node":                {"size_subgraph": 30},
			"edge":                {"size_subg_edge": 15},
			"edge_bernoulli":      {"size_subg_edge": 15},
			"rw":                  {"num_root": 12, "depth": 2},
			"mrw":                 {"size_subgraph": 30, "size_frontier": 10},
			"full_batch":          {},
			"vanilla_node_python": {"size_subgraph": 30},
		} {
			t.Run(graph+"/"+name, func(t *testing.T) {
				s, err := samplers.New(name, env, p)
				if err != nil {
					t.Fatal(err)
				}
				norm, err := samplers.EstimateNorm(t.Context(), s, env, samplers.EstimateOptions{Coverage: 400, Seed: 3, Phase: 1})
				if err != nil {
					t.Fatal(err)
				}
				if name == "full_batch" {
					norm.Subgraphs = 1 // nothing had to be counted; any number of draws averages to the same
				}
				checkIdentity(t, s, env, norm)
			})
		}
	}
}

func checkIdentity(t *testing.T, s samplers.Sampler, env samplers.Env, norm *samplers.Norm) {
	g := env.Graph
	x := func(v int32) float64 { return 1 + float64(v*v%11) }
	n := g.NumNodes()
	sum, count, seen := make([]float64, n), make([]float64, n), make([]bool, g.NumEdges())
	loss := make([]float64, n)
	inSample(t, s, env, norm, func(sub *formats.Subgraph) {
		for i, v := range sub.Nodes {
			count[v]++
			loss[v] += float64(sub.LossNorm[i])
			for k := sub.Indptr[i]; k < sub.Indptr[i+1]; k++ {
				sum[v] += float64(sub.AdjNorm[k]) * x(sub.Nodes[sub.Indices[k]])
				seen[sub.EdgeIDs[k]] = true
			}
		}
	})
	for v := range int32(n) {
		if count[v] == 0 {
			continue
		}
		want, degree := 0.0, 0.0
		for e := g.Indptr[v]; e < g.Indptr[v+1]; e++ {
			w := 1.0
			if g.Weights != nil {
				w = float64(g.Weights[e])
			}
			degree += w
			if seen[e] { // edges that no counted subgraph holds cannot add to the average
				want += w * x(g.Indices[e])
			}
		}
		if degree > 0 {
			want /= degree
		}
		if got := sum[v] / count[v]; math.Abs(got-want) > 2e-6*math.Abs(want) {
			t.Errorf("node %d: the average aggregation is %v, want %v", v, got, want)
		}
		if got, want := loss[v]/float64(norm.Subgraphs), 1/float64(len(env.Train)); math.Abs(got-want) > 1e-6*want {
			t.Errorf("node %d: the average loss weight is %v, want %v", v, got, want)
		}
	}
}

// scripted draws the node sets it is told, by the first value of the stream.
type scripted func(r *rand.Rand) []int32

func (s scripted) Budget() int { return 1 }

func (s scripted) SampleNodes(r *rand.Rand, _ *samplers.Scratch, dst []int32) []int32 {
	return append(dst, s(r)...)
}

func TestCoefficientsOfRareEvents(t *testing.T) {
	type e = [2]int32
	// 0 comes with 1, less often with 7, or alone; 2, 3 and 4 come alone; 5 and 6 never.
	g := samplertest.Undirected(8, e{0, 1}, e{0, 2}, e{0, 7}, e{2, 5}, e{3, 4}, e{5, 6})
	env := samplertest.Env(g)
	counts := [8]atomic.Int32{}
	s := scripted(func(r *rand.Rand) []int32 {
		set := [][]int32{{0, 1}, {0, 1}, {0, 1}, {0, 7}, {0}, {3}, {4}, {2}}[r.IntN(8)]
		for _, v := range set {
			counts[v].Add(1)
		}
		return set
	})
	norm, err := samplers.EstimateNorm(t.Context(), s, env, samplers.EstimateOptions{Coverage: 20})
	if err != nil {
		t.Fatal(err)
	}
	c := func(v int) float64 { return float64(counts[v].Load()) }
	if norm.Subgraphs != 200 {
		t.Errorf("Subgraphs = %d, want 200", norm.Subgraphs)
	}
	unseen := float64(norm.Subgraphs) / (0.1 * 8)
	for v, want := range []float64{200 / c(0) / 8, 200 / c(1) / 8, 200 / c(2) / 8, 200 / c(3) / 8, 200 / c(4) / 8, unseen, unseen, 200 / c(7) / 8} {
		if norm.Loss[v] != float32(want) && math.Abs(float64(norm.Loss[v])-want) > 1e-6*want {
			t.Errorf("lambda of node %d = %v, want %v", v, norm.Loss[v], want)
		}
	}
	reference, err := samplers.EstimateNorm(t.Context(), s, env, samplers.EstimateOptions{Coverage: 20, Compat: samplers.CompatReference})
	if err != nil {
		t.Fatal(err)
	}
	for i := range counts {
		counts[i].Store(counts[i].Load() / 2) // two estimates have counted the same subgraphs
	}
	for _, x := range []struct {
		v, u       int32
		want, comp float64
	}{
		{0, 1, c(0) / c(1), c(0) / c(1)},
		{0, 7, c(0) / c(7), c(0) / c(7)},
		{0, 2, c(0) / c(7), 1e4}, // never counted: the largest of its row
		{1, 0, 1, 1},
		{2, 5, c(2), 1e4}, // no edge of the row was counted: as if counted once
		{3, 4, c(3), 1e4},
		{5, 6, 0.1, 0.1}, // neither was counted
	} {
		at := g.Find(x.v, x.u)
		if got := norm.Aggr[at]; got != float32(x.want) {
			t.Errorf("alpha of edge %d, %d = %v, want %v", x.v, x.u, got, x.want)
		}
		if got := reference.Aggr[at]; got != float32(x.comp) {
			t.Errorf("alpha of edge %d, %d with compat: reference = %v, want %v", x.v, x.u, got, x.comp)
		}
	}
}

func TestAlphaIsClipped(t *testing.T) {
	// Node 0 is in all of 30,000 subgraphs, its neighbour in very few.
	env := samplertest.Env(samplertest.Undirected(2, [2]int32{0, 1}))
	s := scripted(func(r *rand.Rand) []int32 {
		if r.IntN(20000) == 0 {
			return []int32{0, 1}
		}
		return []int32{0}
	})
	norm, err := samplers.EstimateNorm(t.Context(), s, env, samplers.EstimateOptions{Coverage: 15000, Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	if norm.Aggr[0] != 1e4 || norm.Aggr[1] != 1 {
		t.Errorf("Aggr = %v, want [10000 1]", norm.Aggr)
	}
}

func TestEstimateIsIndependentOfWorkers(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(200, 1000, 2))
	for name, p := range map[string]params{
		"node": {"size_subgraph": 15}, "edge": {"size_subg_edge": 8}, "edge_bernoulli": {"size_subg_edge": 8},
		"rw": {"num_root": 5, "depth": 3}, "mrw": {"size_subgraph": 15, "size_frontier": 5}, "vanilla_node_python": {"size_subgraph": 15},
	} {
		t.Run(name, func(t *testing.T) {
			want := estimateWith(t, env, name, p, 1)
			if want.Subgraphs < 400 {
				t.Fatalf("S = %d, want several rounds", want.Subgraphs)
			}
			for _, workers := range []int{0, 3, 1000} {
				got := estimateWith(t, env, name, p, workers)
				if got.Subgraphs != want.Subgraphs || !slices.Equal(got.Loss, want.Loss) || !slices.Equal(got.Aggr, want.Aggr) {
					t.Errorf("%d workers give another result than one", workers)
				}
			}
		})
	}
}

func estimateWith(t *testing.T, env samplers.Env, name string, p params, workers int) *samplers.Norm {
	t.Helper()
	s, err := samplers.New(name, env, p)
	if err != nil {
		t.Fatal(err)
	}
	var last, total int64
	got, err := samplers.EstimateNorm(t.Context(), s, env, samplers.EstimateOptions{
		Coverage: 30, Workers: workers, Seed: 11,
		Progress: func(drawn, want int64) { last, total = drawn, want },
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(30*len(env.Train) + 1); total != want || last < 1 || last > total {
		t.Errorf("progress ended at %d of %d, want a total of %d", last, total, want)
	}
	return got
}

func TestSubgraphsIsTheSmallestMultiple(t *testing.T) {
	env := samplertest.Env(samplertest.Undirected(4, [2]int32{0, 1}))
	for _, c := range []struct{ perSubgraph, coverage, want int }{
		{2, 0, 200},
		{2, 99, 200},
		{2, 100, 400}, // 400 nodes are not more than 400
		{4, 1000, 1200},
	} {
		s := fixed(env.Train[:c.perSubgraph])
		norm, err := samplers.EstimateNorm(t.Context(), s, env, samplers.EstimateOptions{Coverage: c.coverage})
		if err != nil {
			t.Fatal(err)
		}
		if norm.Subgraphs != c.want {
			t.Errorf("%d nodes a subgraph, coverage %d: S = %d, want %d", c.perSubgraph, c.coverage, norm.Subgraphs, c.want)
		}
	}
}

func TestSwitchesOff(t *testing.T) {
	env := samplertest.Env(samplertest.Undirected(5, [2]int32{0, 1}, [2]int32{1, 2}, [2]int32{2, 3}))
	env.Train = []int32{0, 1, 2, 3} // node 4 is not for training
	s := fixed{0, 1, 2, 4}
	var sc samplers.Scratch
	var sub formats.Subgraph
	for _, c := range []struct {
		name       string
		o          samplers.EstimateOptions
		loss       float32
		aggregates bool
		subgraphs  int
	}{
		{"loss off", samplers.EstimateOptions{DisableNormLoss: true}, 1.0 / 3, true, 200},
		{"aggregation off", samplers.EstimateOptions{DisableNormAggr: true}, 0.25, false, 200},
		{"both off", samplers.EstimateOptions{DisableNormAggr: true, DisableNormLoss: true}, 1.0 / 3, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			norm, err := samplers.EstimateNorm(t.Context(), s, env, c.o)
			if err != nil {
				t.Fatal(err)
			}
			if norm.Subgraphs != c.subgraphs || (norm.Aggr != nil) != c.aggregates {
				t.Errorf("S = %d and Aggr = %v, want S = %d", norm.Subgraphs, norm.Aggr, c.subgraphs)
			}
			if err := samplers.Draw(s, env, nil, &sc, &sub); err != nil {
				t.Fatal(err)
			}
			norm.Apply(env.Graph, &sub)
			if want := []float32{c.loss, c.loss, c.loss, 0}; !slices.Equal(sub.LossNorm, want) {
				t.Errorf("LossNorm = %v, want %v", sub.LossNorm, want)
			}
			if want := []float32{1, 0.5, 0.5, 0.5}; !slices.Equal(sub.AdjNorm, want) {
				t.Errorf("AdjNorm = %v, want %v", sub.AdjNorm, want)
			}
		})
	}
}

func TestApplyWithWeights(t *testing.T) {
	g := samplertest.Edges(4, [2]int32{0, 1}, [2]int32{0, 2}, [2]int32{0, 3}, [2]int32{1, 0}, [2]int32{2, 0})
	g.Weights = []float32{1, 3, 4, 2, 0}
	env := samplertest.Env(g)
	norm := &samplers.Norm{Loss: []float32{1, 1, 1, 1}, Aggr: []float32{2, 4, 8, 1, 1}}
	var sc samplers.Scratch
	sub := formats.Subgraph{Nodes: []int32{2, 0, 1}}
	if err := samplers.Induce(env.Graph, &sc, &sub); err != nil {
		t.Fatal(err)
	}
	norm.Apply(g, &sub)
	// Row 2 has a degree of 0 by weight.
	if want := []float32{2.0 / 8, 4.0 * 3 / 8, 1, 0}; !slices.Equal(sub.AdjNorm, want) {
		t.Errorf("AdjNorm = %v, want %v", sub.AdjNorm, want)
	}
}

func TestEstimateErrors(t *testing.T) {
	env := samplertest.Env(samplertest.Undirected(3, [2]int32{0, 1}))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		s    samplers.Sampler
		o    samplers.EstimateOptions
		want string
	}{
		"empty subgraphs": {t.Context(), fixed{}, samplers.EstimateOptions{Coverage: 5}, "drew 200 subgraphs without a node"},
		"foreign ids":     {t.Context(), fixed{9}, samplers.EstimateOptions{}, "node 9 is not in the graph"},
		"panic":           {t.Context(), scripted(func(*rand.Rand) []int32 { panic("boom") }), samplers.EstimateOptions{}, "boom"},
		"coverage":        {t.Context(), fixed{1}, samplers.EstimateOptions{Coverage: -1}, "sample_coverage is -1"},
		"huge coverage":   {t.Context(), fixed{1}, samplers.EstimateOptions{Coverage: math.MaxInt}, "sample_coverage is 9223372036854775807, want at most"},
		"compat":          {t.Context(), fixed{1}, samplers.EstimateOptions{Compat: "x"}, `compat is "x"`},
		"cancelled":       {cancelled, fixed{1}, samplers.EstimateOptions{}, "context canceled"},
	} {
		_, err := samplers.EstimateNorm(c.ctx, c.s, env, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want it to contain %q", name, err, c.want)
		}
		if c.ctx == cancelled && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v is not context.Canceled", name, err)
		}
	}
	// A coverage that would take forever ends with the context.
	ctx, stop := context.WithCancel(t.Context())
	_, err := samplers.EstimateNorm(ctx, fixed{1}, env, samplers.EstimateOptions{Coverage: 1 << 40, Progress: func(drawn, _ int64) {
		if drawn > 5000 {
			stop()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled estimate returns %v, want context.Canceled", err)
	}
}
