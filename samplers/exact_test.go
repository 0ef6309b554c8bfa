package samplers_test

import (
	"math"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// TestClosedFormsAreTheLimitOfCounting compares probabilities with counts, within five
// standard deviations of a binomial.
func TestClosedFormsAreTheLimitOfCounting(t *testing.T) {
	for name, p := range map[string]params{
		"node": {"size_subgraph": 9}, "edge": {"size_subg_edge": 5}, "edge_bernoulli": {"size_subg_edge": 5}, "vanilla_node_python": {"size_subgraph": 8},
		"cluster_gcn": {"parts": 5, "clusters_per_batch": 2},
	} {
		for _, c := range samplertest.Graphs() {
			s, err := samplers.New(name, c.Env, p)
			if err != nil {
				continue // some refuse graphs without edges
			}
			t.Run(name+"/"+c.Name, func(t *testing.T) { checkClosedForm(t, s, c.Env) })
		}
	}
}

func checkClosedForm(t *testing.T, s samplers.Sampler, env samplers.Env) {
	nodes, edges, subgraphs, err := samplers.Count(t.Context(), s, env, samplers.EstimateOptions{Coverage: 3000, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	norm, err := samplers.EstimateNorm(t.Context(), s, env, samplers.EstimateOptions{Exact: true})
	if err != nil {
		t.Fatal(err)
	}
	n := float64(subgraphs)
	far := func(count uint32, p float64) bool {
		return math.Abs(float64(count)-n*p) > 5*math.Sqrt(n*p*(1-min(p, 1)))+1e-5*n
	}
	miss, _ := s.(samplers.ClosedForm).LogMisses()
	for _, v := range env.Train {
		if miss[v] == 0 {
			if nodes[v] != 0 {
				t.Errorf("node %d: counted in %d subgraphs, want none", v, nodes[v])
			}
			continue
		}
		pv := 1 / (float64(norm.Loss[v]) * float64(len(env.Train)))
		if far(nodes[v], pv) {
			t.Errorf("node %d: counted in %d of %d subgraphs, want %v", v, nodes[v], subgraphs, n*pv)
		}
		for e := env.Graph.Indptr[v]; e < env.Graph.Indptr[v+1]; e++ {
			if p := pv / float64(norm.Aggr[e]); norm.Aggr[e] < 1e3 && far(edges[e], p) {
				t.Errorf("edge %d of node %d: counted in %d of %d subgraphs, want %v", e, v, edges[e], subgraphs, n*p)
			}
		}
	}
}

func TestClosedFormsNeedALaw(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(30, 80, 3))
	s, err := samplers.New("rw", env, params{"num_root": 3, "depth": 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := samplers.EstimateNorm(t.Context(), s, env, samplers.EstimateOptions{Exact: true}); err == nil || !strings.Contains(err.Error(), "no closed form") {
		t.Errorf("EstimateNorm = %v, want an error about the closed form", err)
	}
	a := samplers.CacheKey("g", "node", "{}", samplers.EstimateOptions{Coverage: 5})
	if b := samplers.CacheKey("g", "node", "{}", samplers.EstimateOptions{Coverage: 5, Exact: true}); a == b {
		t.Error("exact and counted coefficients have the same key")
	}
}
