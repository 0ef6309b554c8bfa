package samplers_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

type params = samplertest.Params

// tiny lists parameters of every sampler that suit graphs of about ten nodes, budgets
// beyond the graph among them.
var tiny = map[string][]params{
	"node":                {{"size_subgraph": 1}, {"size_subgraph": 6}, {"size_subgraph": 700}},
	"edge":                {{"size_subg_edge": 1}, {"size_subg_edge": 4}, {"size_subg_edge": 700}},
	"edge_bernoulli":      {{"size_subg_edge": 1}, {"size_subg_edge": 4}, {"size_subg_edge": 700}},
	"rw":                  {{"num_root": 1, "depth": 1}, {"num_root": 3, "depth": 2}, {"num_root": 100, "depth": 7}},
	"mrw":                 {{"size_subgraph": 1, "size_frontier": 1}, {"size_subgraph": 9, "size_frontier": 3, "deg_clip": 2}, {"size_subgraph": 700, "size_frontier": 300}},
	"full_batch":          {{}},
	"cluster_gcn":         {{"parts": 1, "clusters_per_batch": 1}},
	"vanilla_node_python": {{"size_subgraph": 1}, {"size_subgraph": 6}, {"size_subgraph": 700}},
}

func TestContract(t *testing.T) {
	for _, info := range samplers.All() {
		if len(tiny[info.Name]) == 0 {
			t.Errorf("sampler %s has no contract test", info.Name)
		}
		if info.Doc == "" {
			t.Errorf("sampler %s has no description", info.Name)
		}
		for _, p := range tiny[info.Name] {
			t.Run(fmt.Sprint(info.Name, p), func(t *testing.T) { samplertest.Run(t, info.Name, p) })
		}
	}
}

func TestBudget(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(50, 100, 1))
	for _, c := range []struct {
		name string
		p    params
		want int
	}{
		{"node", params{"size_subgraph": 7}, 7},
		{"edge", params{"size_subg_edge": 7}, 14},
		{"edge_bernoulli", params{"size_subg_edge": 7}, 14},
		{"rw", params{"num_root": 7, "depth": 3}, 21},
		{"mrw", params{"size_subgraph": 7, "size_frontier": 2}, 7},
		{"full_batch", nil, 50},
		{"vanilla_node_python", params{"size_subgraph": 7}, 7},
		{"cluster_gcn", params{"parts": 7, "clusters_per_batch": 3}, 17},
		{"cluster_gcn", params{"parts": 50, "clusters_per_batch": 50}, 50},
	} {
		s, err := samplers.New(c.name, env, c.p)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Budget(); got != c.want {
			t.Errorf("%s%v: Budget() = %d, want %d", c.name, c.p, got, c.want)
		}
	}
}

func TestBadParameters(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(50, 100, 1))
	for _, c := range []struct {
		name string
		p    params
		want string // part of the error
	}{
		{"nod", nil, "known are cluster_gcn, edge, edge_bernoulli, full_batch, mrw, node, rw, "},
		{"node", nil, "sampler node: size_subgraph is missing"},
		{"node", params{"size_subgraph": 0}, "size_subgraph is 0, want at least 1"},
		{"node", params{"size_subgraph": -3}, "size_subgraph is -3, want at least 1"},
		{"node", params{"size_subgraph": 1 << 40}, "size_subgraph is 1099511627776, want at most 268435456"},
		{"node", params{"size_subgraph": 1, "depth": 2}, `unknown key "depth"`},
		{"vanilla_node_python", nil, "size_subgraph is missing"},
		{"cluster_gcn", params{"clusters_per_batch": 1}, "sampler cluster_gcn: parts is missing"},
		{"cluster_gcn", params{"parts": 3}, "clusters_per_batch is missing"},
		{"cluster_gcn", params{"parts": 0, "clusters_per_batch": 1}, "parts is 0, want at least 1"},
		{"cluster_gcn", params{"parts": 51, "clusters_per_batch": 1}, "parts is 51, want at most 50, the number of nodes of the training graph"},
		{"cluster_gcn", params{"parts": 5, "clusters_per_batch": 0}, "clusters_per_batch is 0, want at least 1"},
		{"cluster_gcn", params{"parts": 5, "clusters_per_batch": 6}, "clusters_per_batch is 6, want at most parts, which is 5"},
		{"cluster_gcn", params{"parts": 5, "clusters_per_batch": 5, "partition_seed": -1}, "partition_seed is -1, want 0 or more"},
		{"cluster_gcn", params{"parts": 5, "clusters_per_batch": 5, "part": 1}, `unknown key "part"`},
		{"edge", nil, "size_subg_edge is missing"},
		{"edge", params{"size_subg_edge": 1<<27 + 1}, "size_subg_edge is 134217729, want at most 134217728"},
		{"edge_bernoulli", params{"size_subg_edge": 0}, "size_subg_edge is 0"},
		{"rw", params{"depth": 2}, "num_root is missing"},
		{"rw", params{"num_root": 2}, "depth is missing"},
		{"rw", params{"num_root": 2, "depth": 0}, "depth is 0"},
		{"rw", params{"num_root": 1 << 20, "depth": 1 << 20}, "num_root 1048576 times depth+1 1048577 is"},
		{"mrw", params{"size_frontier": 2}, "size_subgraph is missing"},
		{"mrw", params{"size_subgraph": 2}, "size_frontier is missing"},
		{"mrw", params{"size_subgraph": 2, "size_frontier": 3}, "size_frontier is 3, want at most size_subgraph, which is 2"},
		{"mrw", params{"size_subgraph": 3, "size_frontier": 3, "deg_clip": 0}, "deg_clip is 0"},
	} {
		if _, err := samplers.New(c.name, env, c.p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New(%s, %v): error %v, want it to contain %q", c.name, c.p, err, c.want)
		}
	}
}

func TestBadEnvironment(t *testing.T) {
	g := samplertest.Undirected(4, [2]int32{0, 1})
	for name, c := range map[string]struct {
		env  samplers.Env
		want string
	}{
		"no graph":          {samplers.Env{Train: []int32{0}}, "no training nodes"},
		"no training nodes": {samplers.Env{Graph: g}, "no training nodes"},
		"beyond the graph":  {samplers.Env{Graph: g, Train: []int32{1, 4}}, "4 after 1"},
		"not ascending":     {samplers.Env{Graph: g, Train: []int32{1, 1}}, "1 after 1"},
		"empty graph":       {samplers.Env{Graph: &formats.Graph{Indptr: []int64{0}}}, "no training nodes"},
	} {
		if _, err := samplers.New("full_batch", c.env, params{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want it to contain %q", name, err, c.want)
		}
	}
	empty := samplertest.Env(samplertest.Edges(4))
	for _, name := range []string{"node", "edge", "edge_bernoulli"} {
		if _, err := samplers.New(name, empty, tiny[name][0]); err == nil || !strings.Contains(err.Error(), "no edges") {
			t.Errorf("%s on a graph without edges: error %v, want one that says so", name, err)
		}
	}
}

type failing struct{}

func (failing) Decode(any) error { return errors.New("line 3: depth is a list") }

func TestDecodeErrorsPassThrough(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(50, 100, 1))
	for _, info := range samplers.All() {
		if _, err := samplers.New(info.Name, env, failing{}); err == nil || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%s: error %v, want the one of Decode", info.Name, err)
		}
	}
}
