package samplertest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
)

// drawLimit is how long 8 draws on a tiny graph may take before the sampler counts as
// hanging. It is generous: test machines stall.
const drawLimit = time.Minute

// Run checks that the sampler registered under name keeps the contract of
// [samplers.Sampler] with the given parameters on graphs of every awkward kind. Use
// parameters that suit graphs of about ten nodes. A sampler may refuse a graph without
// edges with an error; everything else must work.
func Run(t *testing.T, name string, params samplers.Params) { RunOn(t, name, params, Graphs()) }

// RunOn is [Run] on other graphs, for parameters that some graphs do not suit.
func RunOn(t *testing.T, name string, params samplers.Params, cases []Case) {
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			s, err := samplers.New(name, c.Env, params)
			if err != nil {
				if c.Env.Graph.NumEdges() == 0 {
					t.Skipf("refuses a graph without edges: %v", err)
				}
				t.Fatal(err)
			}
			if s.Budget() < 1 {
				t.Fatalf("Budget() = %d, want at least 1", s.Budget())
			}
			want := drawInTime(t, s, c.Env)
			for i := range want {
				checkSubgraph(t, c.Env, s, &want[i])
			}
			again, err := samplers.New(name, c.Env, params)
			if err != nil {
				t.Fatal(err)
			}
			checkConcurrent(t, c.Env, s, again, want)
			checkDst(t, s)
		})
	}
}

// drawAll draws subgraphs 0…7 with one Scratch.
func drawAll(s samplers.Sampler, env samplers.Env) ([]formats.Subgraph, error) {
	var sc samplers.Scratch
	subs := make([]formats.Subgraph, 8)
	for i := range subs {
		if err := samplers.DrawAt(s, env, 1, 0, uint64(i), &sc, &subs[i]); err != nil {
			return nil, err
		}
	}
	return subs, nil
}

// drawInTime is drawAll for a sampler that may hang.
func drawInTime(t *testing.T, s samplers.Sampler, env samplers.Env) []formats.Subgraph {
	t.Helper()
	var subs []formats.Subgraph
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		subs, err = drawAll(s, env)
	}()
	select {
	case <-done:
	case <-time.After(drawLimit):
		t.Fatalf("the draws take longer than %v", drawLimit) // subs belongs to the goroutine
	}
	if err != nil {
		t.Fatal(err)
	}
	return subs
}

// checkSubgraph checks one subgraph: training nodes only, sorted and unique, and the edges
// induced, or at least valid for a sampler that chooses its own.
func checkSubgraph(t *testing.T, env samplers.Env, s samplers.Sampler, sub *formats.Subgraph) {
	t.Helper()
	for i, v := range sub.Nodes {
		if _, ok := slices.BinarySearch(env.Train, v); !ok {
			t.Fatalf("node %d is not a training node", v)
		}
		if i > 0 && sub.Nodes[i-1] >= v {
			t.Fatalf("Nodes = %v, want ascending and unique", sub.Nodes)
		}
	}
	if _, own := s.(samplers.SubgraphSampler); !own {
		CheckInduced(t, env.Graph, sub.Nodes, sub)
		return
	}
	for i, v := range sub.Nodes {
		for k := sub.Indptr[i]; k < sub.Indptr[i+1]; k++ {
			e := sub.EdgeIDs[k]
			if e < env.Graph.Indptr[v] || e >= env.Graph.Indptr[v+1] || env.Graph.Indices[e] != sub.Nodes[sub.Indices[k]] {
				t.Fatalf("entry %d of row %d (node %d) is not edge %d of the graph", k, i, v, e)
			}
		}
	}
}

// checkConcurrent draws from eight goroutines, half of them from a second instance.
func checkConcurrent(t *testing.T, env samplers.Env, s, again samplers.Sampler, want []formats.Subgraph) {
	t.Helper()
	var group sync.WaitGroup
	for i := range 8 {
		instance := s
		if i%2 == 1 {
			instance = again
		}
		group.Go(func() {
			got, err := drawAll(instance, env)
			if err != nil {
				t.Error(err)
				return
			}
			for k := range want {
				if !slices.Equal(got[k].Nodes, want[k].Nodes) || !slices.Equal(got[k].EdgeIDs, want[k].EdgeIDs) {
					t.Errorf("subgraph %d: nodes %v, want %v as in the first run", k, got[k].Nodes, want[k].Nodes)
				}
			}
		})
	}
	group.Wait()
}

// checkDst checks that SampleNodes appends, and neither keeps dst nor reads it.
func checkDst(t *testing.T, s samplers.Sampler) {
	t.Helper()
	var sc samplers.Scratch
	want := slices.Clone(s.SampleNodes(sc.Stream(1, 0, 3), &sc, nil))
	dst := s.SampleNodes(sc.Stream(1, 0, 3), &sc, []int32{-7, -8})
	if len(dst) < 2 || dst[0] != -7 || dst[1] != -8 || !slices.Equal(dst[2:], want) {
		t.Fatalf("SampleNodes(dst=[-7 -8]) = %v, want dst with %v appended", dst, want)
	}
	for i := range dst {
		dst[i] = -9
	}
	if got := s.SampleNodes(sc.Stream(1, 0, 3), &sc, dst[:0]); !slices.Equal(got, want) {
		t.Fatalf("after its result was overwritten, SampleNodes = %v, want %v", got, want)
	}
}
