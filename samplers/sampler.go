package samplers

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"sync"

	"github.com/saint-gnn/saint/formats"
)

// Sampler draws the node set of one subgraph. Implementations are immutable after
// construction and safe for concurrent use; all state of a draw is in r, s and dst.
type Sampler interface {
	// Budget is the number of draws per subgraph before duplicates are removed.
	// An epoch is ceil(len(Train)/Budget) subgraphs (GraphSAINT's definition).
	Budget() int
	// SampleNodes appends the drawn node ids to dst and returns it. Duplicates and any
	// order are fine. It draws randomness from r only, keeps working memory in s between
	// calls and keeps no reference to dst.
	SampleNodes(r *rand.Rand, s *Scratch, dst []int32) []int32
}

// BatchesPerEpoch returns ceil(len(env.Train)/Budget), at least 1: GraphSAINT's length of an
// epoch. An [IndexedSampler] has its own.
func BatchesPerEpoch(s Sampler, env Env) int {
	if i, ok := s.(IndexedSampler); ok {
		return max(i.BatchesPerEpoch(), 1)
	}
	budget := max(s.Budget(), 1)
	return max((len(env.Train)+budget-1)/budget, 1)
}

// SubgraphSampler is for samplers whose edges are not the induced ones.
type SubgraphSampler interface {
	Sampler
	// SampleSubgraph fills Nodes, Indptr, Indices and EdgeIDs of dst.
	SampleSubgraph(r *rand.Rand, s *Scratch, dst *formats.Subgraph) error
}

// Env is what a sampler may look at. Nothing in it may be written to.
type Env struct {
	Graph *formats.Graph // the training graph, in the full graph's node ids
	Train []int32        // training nodes, ascending
	// StandIn says that the graph stands for another one, which is not known: parameters are
	// checked against each other, but not against its size.
	StandIn bool

	symmetric func() bool
}

// NewEnv returns the Env of a graph and its training nodes. It and its copies find out once
// whether the graph is symmetric, when the first of them is asked; a literal Env does so on
// every call.
func NewEnv(g *formats.Graph, train []int32) Env {
	return Env{Graph: g, Train: train, symmetric: sync.OnceValue(g.Symmetric)}
}

// Symmetric reports whether the graph has the edge (u, v) for every edge (v, u). It is safe
// for concurrent use.
func (e Env) Symmetric() bool {
	if e.symmetric == nil {
		return e.Graph.Symmetric()
	}
	return e.symmetric()
}

// Params decodes the sampler's own keys of a phase into a pointer to a struct with yaml
// tags. Keys that nobody decodes are an error of the configuration.
type Params interface{ Decode(into any) error }

// Factory validates parameters and does all precomputation (alias tables, prefix sums).
type Factory func(env Env, p Params) (Sampler, error)

// Info describes a registered sampler to the command line and the documentation.
type Info struct {
	Name    string
	Doc     string // one sentence: the law it draws from
	Keys    string // its YAML keys, for example "num_root, depth"
	Factory Factory
}

var registry = map[string]Info{}

// Register makes a sampler available to configurations under info.Name. It is called from
// an init function and panics on a duplicate.
func Register(info Info) {
	if _, dup := registry[info.Name]; dup {
		panic("samplers: " + info.Name + " registered twice")
	}
	registry[info.Name] = info
}

// All returns the registered samplers by name.
func All() []Info {
	all := make([]Info, 0, len(registry))
	for _, info := range registry {
		all = append(all, info)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

// New builds the sampler of that name on env. An unknown name's error lists the known ones;
// an error of a parameter names its key and value.
func New(name string, env Env, p Params) (Sampler, error) {
	info, ok := registry[name]
	if !ok {
		names := make([]string, 0, len(registry))
		for _, i := range All() {
			names = append(names, i.Name)
		}
		return nil, fmt.Errorf("unknown sampler %q; known are %s", name, strings.Join(names, ", "))
	}
	if err := env.check(); err != nil {
		return nil, fmt.Errorf("sampler %s: %w", name, err)
	}
	s, err := info.Factory(env, p)
	if err != nil {
		return nil, fmt.Errorf("sampler %s: %w", name, err)
	}
	return s, nil
}
