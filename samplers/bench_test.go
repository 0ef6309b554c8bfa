package samplers_test

import (
	"fmt"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// benchGraphs have the size of real data; their degrees follow a power law.
var benchGraphs = []struct {
	name     string
	nodes, m int
	params   map[string]params
}{
	{"flickr", 44_625, 218_000, map[string]params{
		"node": {"size_subgraph": 8000}, "edge": {"size_subg_edge": 6000}, "edge_bernoulli": {"size_subg_edge": 6000},
		"rw": {"num_root": 6000, "depth": 2}, "mrw": {"size_subgraph": 12000, "size_frontier": 3000},
		"vanilla_node_python": {"size_subgraph": 8000},
	}},
	{"reddit", 153_756, 5_400_000, map[string]params{
		"node": {"size_subgraph": 8000}, "edge": {"size_subg_edge": 6000}, "edge_bernoulli": {"size_subg_edge": 6000},
		"rw": {"num_root": 2000, "depth": 4}, "mrw": {"size_subgraph": 8000, "size_frontier": 1000},
		"vanilla_node_python": {"size_subgraph": 8000},
	}},
}

// BenchmarkDraw times one worker drawing, inducing and normalising subgraphs.
func BenchmarkDraw(b *testing.B) {
	for _, g := range benchGraphs {
		if testing.Short() && g.m > 1e6 {
			continue
		}
		env := samplertest.Env(samplertest.PowerLaw(g.nodes, g.m, 1))
		norm := &samplers.Norm{Loss: make([]float32, g.nodes), Aggr: make([]float32, env.Graph.NumEdges())}
		for _, info := range samplers.All() {
			p, ok := g.params[info.Name]
			if !ok {
				continue
			}
			s, err := samplers.New(info.Name, env, p)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%s/%s", g.name, info.Name), func(b *testing.B) {
				benchmarkDraw(b, s, env, norm)
			})
			b.Run(fmt.Sprintf("%s/%s/nodes", g.name, info.Name), func(b *testing.B) {
				var sc samplers.Scratch
				var ids []int32
				for i := uint64(0); b.Loop(); i++ {
					ids = s.SampleNodes(sc.Stream(1, 0, i), &sc, ids[:0])
				}
			})
		}
	}
}

func benchmarkDraw(b *testing.B, s samplers.Sampler, env samplers.Env, norm *samplers.Norm) {
	var sc samplers.Scratch
	var sub formats.Subgraph
	nodes, edges, degrees := 0, 0, 0
	b.ReportAllocs()
	i := uint64(0)
	for ; b.Loop(); i++ {
		if err := samplers.Draw(s, env, sc.Stream(1, 0, i), &sc, &sub); err != nil {
			b.Fatal(err)
		}
		norm.Apply(env.Graph, &sub)
		nodes += sub.NumNodes()
		edges += sub.NumEdges()
	}
	for _, v := range sub.Nodes {
		degrees += env.Graph.Degree(v)
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "subgraphs/s")
	b.ReportMetric(float64(nodes)/float64(i), "nodes")
	b.ReportMetric(float64(edges)/float64(i), "edges")
	b.ReportMetric(float64(degrees), "scanned")
}

// BenchmarkEstimateNorm times the normalisation phase on all CPUs.
func BenchmarkEstimateNorm(b *testing.B) {
	for _, g := range benchGraphs {
		if testing.Short() && g.m > 1e6 {
			continue
		}
		env := samplertest.Env(samplertest.PowerLaw(g.nodes, g.m, 1))
		s, err := samplers.New("rw", env, g.params["rw"])
		if err != nil {
			b.Fatal(err)
		}
		b.Run(g.name+"/rw/coverage=50", func(b *testing.B) {
			for b.Loop() {
				if _, err := samplers.EstimateNorm(b.Context(), s, env, samplers.EstimateOptions{Coverage: 50, Seed: 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
