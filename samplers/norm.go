package samplers

import (
	"context"
	"unsafe"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/kernels/induce"
)

const (
	alphaMost   = 1e4 // largest coefficient of an edge
	alphaUnseen = 0.1 // coefficient where neither the row nor the edge was counted
	countUnseen = 0.1 // what stands in for the count of a node that was never counted
)

// Norm holds GraphSAINT's estimated coefficients (arXiv:1907.04931, section 3.2). It is
// read-only once built and may be shared by any number of goroutines.
type Norm struct {
	// Loss is lambda_v, one per node; 0 outside Train and positive inside.
	Loss []float32
	// UniformLoss says that every training node of a subgraph weighs
	// 1/(training nodes in the subgraph); Loss then only tells which nodes are in Train.
	UniformLoss bool
	// Aggr is alpha_e, one per edge of the training graph; nil: 1 for every edge.
	Aggr []float32
	// SubgraphMean says that a row's entries are w_e over the sum of the weights of the row
	// in the subgraph, and not in the training graph; Aggr is nil.
	SubgraphMean bool
	// Subgraphs is S, how many were counted; 0 if nothing had to be.
	Subgraphs int

	// invDeg is 1/deg_w(v) of a weighted graph, 0 where the weights sum to 0.
	invDeg []float64
}

// Apply fills dst.AdjNorm and dst.LossNorm from dst.Nodes, Indptr and EdgeIDs, which must be
// those of a subgraph of the training graph g, as [Draw] and [Induce] make them. An edge e of row v gets float32(alpha_e * w_e * (1/deg_w(v))), computed
// in float64 in this order, where w_e is 1 and deg_w the degree if g has no weights.
// Cost O(nodes+edges); it allocates nothing if the two slices have room.
func (n *Norm) Apply(g *formats.Graph, dst *formats.Subgraph) {
	dst.AdjNorm = resize(dst.AdjNorm, dst.NumEdges())
	dst.LossNorm = resize(dst.LossNorm, dst.NumNodes())
	switch {
	case n.SubgraphMean:
		for i := range dst.Nodes {
			lo, hi := dst.Indptr[i], dst.Indptr[i+1]
			meanRow(g, dst.EdgeIDs[lo:hi], dst.AdjNorm[lo:hi])
		}
	case n.Aggr != nil && g.Weights == nil:
		induce.Scale(dst.Nodes, g.Indptr, dst.Indptr, dst.EdgeIDs, n.Aggr, dst.AdjNorm)
	default:
		for i, v := range dst.Nodes {
			lo, hi := dst.Indptr[i], dst.Indptr[i+1]
			n.applyRow(g, v, dst.EdgeIDs[lo:hi], dst.AdjNorm[lo:hi])
		}
	}
	if n.UniformLoss {
		n.uniformLoss(dst)
		return
	}
	for i, v := range dst.Nodes {
		dst.LossNorm[i] = n.Loss[v]
	}
}

// meanRow does a row that is a mean over the neighbours in the subgraph.
func meanRow(g *formats.Graph, ids []int64, adj []float32) {
	if g.Weights == nil {
		for k := range adj {
			adj[k] = float32(1 / float64(len(adj)))
		}
		return
	}
	sum := 0.0
	for _, e := range ids {
		sum += float64(g.Weights[e])
	}
	inv := 0.0
	if sum != 0 {
		inv = 1 / sum
	}
	for k, e := range ids {
		adj[k] = float32(float64(g.Weights[e]) * inv)
	}
}

// applyRow does a row of a graph with weights or without coefficients.
func (n *Norm) applyRow(g *formats.Graph, v int32, ids []int64, adj []float32) {
	inv := n.rowInverse(g, v)
	switch {
	case n.Aggr == nil && g.Weights == nil:
		for k := range adj {
			adj[k] = float32(inv)
		}
	case n.Aggr == nil:
		for k, e := range ids {
			adj[k] = float32(float64(g.Weights[e]) * inv)
		}
	default:
		for k, e := range ids {
			adj[k] = float32(float64(n.Aggr[e]) * float64(g.Weights[e]) * inv)
		}
	}
}

// rowInverse returns 1/deg_w(v), 0 for a row whose weights sum to 0 or that has no edge.
func (n *Norm) rowInverse(g *formats.Graph, v int32) float64 {
	deg := float64(g.Degree(v))
	if g.Weights != nil {
		if n.invDeg != nil {
			return n.invDeg[v]
		}
		deg = weightedDegree(g, v)
	}
	if deg == 0 {
		return 0
	}
	return 1 / deg
}

// weightedDegree returns the sum of the weights of row v, added up in order in float64.
func weightedDegree(g *formats.Graph, v int32) float64 {
	sum := 0.0
	for _, w := range g.Weights[g.Indptr[v]:g.Indptr[v+1]] {
		sum += float64(w)
	}
	return sum
}

func (n *Norm) uniformLoss(dst *formats.Subgraph) {
	train := 0
	for _, v := range dst.Nodes {
		if n.Loss[v] != 0 {
			train++
		}
	}
	for i, v := range dst.Nodes {
		dst.LossNorm[i] = 0
		if n.Loss[v] != 0 {
			dst.LossNorm[i] = float32(1 / float64(train))
		}
	}
}

// prepare computes what Apply needs of a weighted graph.
func (n *Norm) prepare(g *formats.Graph) {
	if g.Weights == nil {
		return
	}
	n.invDeg = make([]float64, g.NumNodes())
	for v := range n.invDeg {
		if deg := weightedDegree(g, int32(v)); deg != 0 {
			n.invDeg[v] = 1 / deg
		}
	}
}

// lossWeights returns lambda_v of all nodes, or 1 for every training node.
func lossWeights(env Env, nodes []uint32, subgraphs int, uniform bool) []float32 {
	loss := make([]float32, len(nodes))
	for _, v := range env.Train {
		loss[v] = 1
		if !uniform {
			count := max(float64(nodes[v]), countUnseen)
			loss[v] = float32(float64(subgraphs) / (count * float64(len(env.Train))))
		}
	}
	return loss
}

// aggrWeights turns the counts of edges into alpha, in the same memory.
func (c *counter) aggrWeights(ctx context.Context, reference bool) ([]float32, error) {
	if len(c.edges) == 0 {
		return []float32{}, nil
	}
	// Counts and coefficients are both 4 bytes; a second array of |E| would be the largest
	// allocation of a run.
	alpha := unsafe.Slice((*float32)(unsafe.Pointer(&c.edges[0])), len(c.edges))
	indptr := c.env.Graph.Indptr
	err := c.each(ctx, func(lo, hi int32) {
		for v := lo; v < hi; v++ {
			from, to := indptr[v], indptr[v+1]
			aggrRow(float64(c.nodes[v]), c.edges[from:to], alpha[from:to], reference)
		}
	})
	return alpha, err
}

// aggrRow does one row; counts and alpha share their memory.
func aggrRow(count float64, counts []uint32, alpha []float32, reference bool) {
	if count == 0 {
		for k := range alpha {
			alpha[k] = alphaUnseen
		}
		return
	}
	fewest := uint32(0)
	for _, c := range counts {
		if c != 0 && (fewest == 0 || c < fewest) {
			fewest = c
		}
	}
	unseen := float32(alphaMost)
	if !reference {
		unseen = float32(min(count/float64(max(fewest, 1)), alphaMost))
	}
	for k, c := range counts {
		if c == 0 {
			alpha[k] = unseen
		} else {
			alpha[k] = float32(min(count/float64(c), alphaMost))
		}
	}
}
