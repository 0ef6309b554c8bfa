package samplers_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/synth"
	"github.com/saint-gnn/saint/samplers"
)

// presetCases are the generated sets that measurements are published for, with the
// parameters of the built-in configurations of the sets they are like.
var presetCases = []struct {
	name     string
	samplers map[string]params
}{
	{"flickr-like", map[string]params{
		"rw": {"num_root": 6000, "depth": 2}, "edge": {"size_subg_edge": 6000},
		"node": {"size_subgraph": 8000}, "mrw": {"size_subgraph": 12000, "size_frontier": 3000},
	}},
	{"reddit-like", map[string]params{
		"rw": {"num_root": 2000, "depth": 4}, "edge": {"size_subg_edge": 6000},
		"node": {"size_subgraph": 8000}, "mrw": {"size_subgraph": 8000, "size_frontier": 1000},
	}},
}

// presetEnv generates the training graph of a preset; its features do not matter here.
var presetEnv = func() func(tb testing.TB, name string) samplers.Env {
	var mu sync.Mutex
	made := map[string]samplers.Env{}
	return func(tb testing.TB, name string) samplers.Env {
		mu.Lock()
		defer mu.Unlock()
		if env, ok := made[name]; ok {
			return env
		}
		p, err := synth.Lookup(name)
		if err != nil {
			tb.Fatal(err)
		}
		p.Features, p.NoiseColumns = 1, 0
		raw, err := p.Generate(context.Background(), 1, synth.Options{})
		if err != nil {
			tb.Fatal(err)
		}
		made[name] = samplers.Env{Graph: raw.Train, Train: raw.TrainNodes}
		return made[name]
	}
}()

// BenchmarkPreset times drawing, inducing and normalising on 1, 2 and 4 workers. edges/s
// counts the entries of the subgraphs, ids/s the neighbours of their nodes.
func BenchmarkPreset(b *testing.B) {
	for _, c := range presetCases {
		for _, name := range []string{"rw", "edge", "node", "mrw"} {
			for _, workers := range []int{1, 2, 4} {
				b.Run(fmt.Sprintf("%s/%s/workers=%d", c.name, name, workers), func(b *testing.B) {
					env := presetEnv(b, c.name)
					s, err := samplers.New(name, env, c.samplers[name])
					if err != nil {
						b.Fatal(err)
					}
					norm := &samplers.Norm{Loss: make([]float32, env.Graph.NumNodes()), Aggr: make([]float32, env.Graph.NumEdges())}
					benchmarkWorkers(b, s, env, norm, workers)
				})
			}
		}
	}
}

func benchmarkWorkers(b *testing.B, s samplers.Sampler, env samplers.Env, norm *samplers.Norm, workers int) {
	var next atomic.Uint64
	var edges, ids atomic.Int64
	warm := uint64(20 * workers)
	run := func(sc *samplers.Scratch, sub *formats.Subgraph, from, end uint64) {
		for {
			i := next.Add(1) - 1
			if i >= end {
				return
			}
			if err := samplers.Draw(s, env, sc.Stream(1, 0, from+i), sc, sub); err != nil {
				b.Error(err)
				return
			}
			norm.Apply(env.Graph, sub)
			edges.Add(int64(sub.NumEdges()))
			if i%16 != 0 {
				continue
			}
			for _, v := range sub.Nodes {
				ids.Add(16 * int64(env.Graph.Degree(v)))
			}
		}
	}
	scratch := make([]samplers.Scratch, workers)
	subs := make([]formats.Subgraph, workers)
	all := func(from, n uint64) {
		next.Store(0)
		edges.Store(0)
		ids.Store(0)
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() { run(&scratch[w], &subs[w], from, n) })
		}
		wg.Wait()
	}
	all(0, warm)
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	all(warm, uint64(b.N))
	seconds := time.Since(start).Seconds()
	b.ReportMetric(float64(b.N)/seconds, "subgraphs/s")
	b.ReportMetric(float64(edges.Load())/float64(b.N), "edges")
	b.ReportMetric(float64(ids.Load())/seconds/1e6, "Mids/s")
}

// BenchmarkPresetNorm times the normalisation phase on 1, 2 and 4 workers.
func BenchmarkPresetNorm(b *testing.B) {
	for _, c := range presetCases {
		for _, workers := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("%s/rw/workers=%d", c.name, workers), func(b *testing.B) {
				env := presetEnv(b, c.name)
				s, err := samplers.New("rw", env, c.samplers["rw"])
				if err != nil {
					b.Fatal(err)
				}
				b.ResetTimer()
				for range b.N {
					o := samplers.EstimateOptions{Coverage: 50, Seed: 1, Workers: workers}
					if _, err := samplers.EstimateNorm(b.Context(), s, env, o); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// uniformEnv has n nodes with 10 neighbours each, whatever n: what a subgraph costs beyond
// cache misses is then the same for all n.
func uniformEnv(n int) samplers.Env {
	const degree = 10
	env := samplers.Env{Graph: &formats.Graph{Indptr: make([]int64, n+1), Indices: make([]int32, degree*n)}, Train: make([]int32, n)}
	r := rand.New(rand.NewPCG(1, 1))
	width := int32(n / degree)
	for v := range n {
		env.Train[v] = int32(v)
		env.Graph.Indptr[v+1] = int64(degree * (v + 1))
		for k := range int32(degree) {
			// One in each tenth of the ids: ascending without sorting.
			env.Graph.Indices[degree*v+int(k)] = k*width + r.Int32N(width)
		}
	}
	return env
}

// BenchmarkNodes times one worker on graphs of 10^5 to 2*10^7 nodes.
func BenchmarkNodes(b *testing.B) {
	for _, n := range []int{100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 20_000_000} {
		if testing.Short() && n > 1_000_000 {
			continue
		}
		var env samplers.Env
		var norm *samplers.Norm
		for _, name := range []string{"rw", "node", "mrw"} {
			b.Run(fmt.Sprintf("nodes=%d/%s", n, name), func(b *testing.B) {
				if norm == nil {
					env = uniformEnv(n)
					norm = &samplers.Norm{Loss: make([]float32, n), Aggr: make([]float32, env.Graph.NumEdges())}
				}
				s, err := samplers.New(name, env, presetCases[1].samplers[name])
				if err != nil {
					b.Fatal(err)
				}
				benchmarkWorkers(b, s, env, norm, 1)
			})
		}
	}
}
