package samplers

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// ClusterGCN cuts the training graph into Parts parts with few edges between them and takes
// PerBatch parts together with all edges among them (arXiv:1905.07953, algorithm 1). An epoch goes
// through all parts once, in a new random order: every node is in exactly one of its
// ceil(Parts/PerBatch) subgraphs. The nodes are those for training and, where the graph has more,
// those with edges. Loops and weights of edges do not matter to the parts.
//
// Cost: the partition once, then O(Parts + nodes) a subgraph; 8 bytes a node, shared by all
// workers.
type ClusterGCN struct {
	Parts    int    // parts
	PerBatch int    // clusters_per_batch
	Seed     uint64 // partition_seed

	env      Env
	nodes    []int32    // that are cut, ascending
	mu       sync.Mutex // held by who makes the clusters
	clusters atomic.Pointer[clusters]
}

// clusters lists the nodes of each part: part p has nodes[start[p]:start[p+1]], ascending.
type clusters struct {
	start, nodes []int32
}

func init() {
	Register(Info{
		Name:    "cluster_gcn",
		Doc:     "clusters_per_batch of the parts that the graph is cut into, with the edges between them; all parts once an epoch",
		Keys:    "parts, clusters_per_batch, partition_seed",
		Factory: newClusterGCN,
	})
}

func newClusterGCN(env Env, p Params) (Sampler, error) {
	var key struct {
		Parts         *int64 `yaml:"parts"`
		PerBatch      *int64 `yaml:"clusters_per_batch"`
		PartitionSeed int64  `yaml:"partition_seed"`
	}
	if err := p.Decode(&key); err != nil {
		return nil, err
	}
	parts, err := positive("parts", key.Parts, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	batch, err := positive("clusters_per_batch", key.PerBatch, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	nodes := env.nodes()
	switch {
	case !env.StandIn && parts > int64(len(nodes)):
		return nil, fmt.Errorf("parts is %d, want at most %d, the number of nodes of the training graph", parts, len(nodes))
	case batch > parts:
		return nil, fmt.Errorf("clusters_per_batch is %d, want at most parts, which is %d", batch, parts)
	case key.PartitionSeed < 0:
		return nil, fmt.Errorf("partition_seed is %d, want 0 or more", key.PartitionSeed)
	}
	return &ClusterGCN{Parts: int(parts), PerBatch: int(batch), Seed: uint64(key.PartitionSeed), env: env, nodes: nodes}, nil
}

// BatchesPerEpoch returns ceil(parts/clusters_per_batch).
func (s *ClusterGCN) BatchesPerEpoch() int { return (s.Parts + s.PerBatch - 1) / s.PerBatch }

// Budget returns the mean number of nodes of a subgraph, rounded up.
func (s *ClusterGCN) Budget() int {
	groups := s.BatchesPerEpoch()
	return max(1, (len(s.nodes)+groups-1)/groups)
}

// Deterministic reports whether all parts are taken together every time.
func (s *ClusterGCN) Deterministic() bool { return s.BatchesPerEpoch() == 1 }

// SampleIndexed appends the nodes of the parts of subgraph index: those at positions
// clusters_per_batch*(index mod g) and following of the order of epoch index/g, where g is
// the number of subgraphs of an epoch. The last subgraph of an epoch may have fewer parts.
func (s *ClusterGCN) SampleIndexed(seed uint64, phase int, index uint64, sc *Scratch, dst []int32) []int32 {
	groups := uint64(s.BatchesPerEpoch())
	first := int(index%groups) * s.PerBatch
	last := min(first+s.PerBatch, s.Parts)
	order := shuffled(sc.EpochStream(seed, phase, index/groups), sc.Int32s(0, s.Parts), last)
	return s.append(dst, order[first:last])
}

// SampleNodes appends the nodes of clusters_per_batch different parts, uniformly: a subgraph
// that belongs to no epoch.
func (s *ClusterGCN) SampleNodes(r *rand.Rand, sc *Scratch, dst []int32) []int32 {
	return s.append(dst, shuffled(r, sc.Int32s(0, s.Parts), s.PerBatch)[:s.PerBatch])
}

// shuffled fills order with a permutation of which the first n are random.
func shuffled(r *rand.Rand, order []int32, n int) []int32 {
	for i := range order {
		order[i] = int32(i)
	}
	for i := range n {
		j := i + int(below(r, uint64(len(order)-i)))
		order[i], order[j] = order[j], order[i]
	}
	return order
}

func (s *ClusterGCN) append(dst, parts []int32) []int32 {
	c := s.clusters.Load()
	if c == nil {
		c = s.made()
	}
	for _, p := range parts {
		dst = append(dst, c.nodes[c.start[p]:c.start[p+1]]...)
	}
	return dst
}

// made returns the clusters, for draws without Prepare.
func (s *ClusterGCN) made() *clusters {
	if err := s.Prepare(context.Background(), PrepareOptions{}); err != nil {
		panic(err) // a graph that Env.check and the factory have let through can be cut
	}
	return s.clusters.Load()
}

// Prepare implements [Preparer]: it cuts the graph, or takes the parts from the cache.
func (s *ClusterGCN) Prepare(ctx context.Context, o PrepareOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clusters.Load() != nil {
		return ctx.Err()
	}
	part, err := s.partition(ctx, o)
	if err != nil {
		return err
	}
	s.clusters.Store(newClusters(part, s.nodes, s.Parts))
	return nil
}

func newClusters(part, nodes []int32, parts int) *clusters {
	c := &clusters{start: make([]int32, parts+1), nodes: make([]int32, len(nodes))}
	for _, p := range part {
		c.start[p+1]++
	}
	for p := range parts {
		c.start[p+1] += c.start[p]
	}
	next := append([]int32(nil), c.start[:parts]...)
	for i, p := range part {
		c.nodes[next[p]] = nodes[i]
		next[p]++
	}
	return c
}

// LogMisses implements [ClosedForm]: over the subgraphs of an epoch, each node is in one.
func (s *ClusterGCN) LogMisses() (node []float64, pair func(v, u int32, e int64) float64) {
	if s.clusters.Load() == nil {
		s.made()
	}
	c := s.clusters.Load()
	part := make([]int32, s.env.Graph.NumNodes())
	node = make([]float64, len(part))
	for v := range part {
		part[v] = -1
	}
	groups := float64(s.BatchesPerEpoch())
	for p := range int32(s.Parts) {
		for _, v := range c.nodes[c.start[p]:c.start[p+1]] {
			part[v] = p
			node[v] = math.Log1p(-1 / groups)
		}
	}
	// Two parts are together if the second has one of the other places of the first one's subgraph.
	together := 0.0
	for first := 0; first < s.Parts && s.Parts > 1; first += s.PerBatch {
		size := float64(min(s.PerBatch, s.Parts-first))
		together += float64(size * (size - 1) / (float64(s.Parts) * float64(s.Parts-1)))
	}
	apart := math.Log1p(-min(1, (2-together)/groups))
	return node, func(v, u int32, _ int64) float64 {
		switch {
		case part[v] == part[u]:
			return node[v]
		case part[v] < 0 || part[u] < 0:
			return node[v] + node[u]
		}
		return apart
	}
}
