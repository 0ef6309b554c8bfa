package samplers

import (
	"context"
	"fmt"
	"math"
)

// ClosedForm is implemented by samplers for which it is known how often a subgraph holds a
// node or the two ends of an edge. Their coefficients need no counting.
type ClosedForm interface {
	Sampler
	// LogMisses returns ln P(a subgraph lacks v) for every node v, and a function for
	// ln P(a subgraph lacks both v and u), u not v, for the edge e of row v to column u. The
	// function may be called concurrently.
	LogMisses() (node []float64, pair func(v, u int32, e int64) float64)
}

// closedNorm returns the coefficients that counting would give in the limit:
// alpha_e = min(P(v)/P(v and u), 1e4) and lambda_v = 1/(P(v)*len(Train)). A node that is
// never drawn has alpha 0.1 as in counting and lambda 1/len(Train); neither is ever used.
func closedNorm(ctx context.Context, s Sampler, env Env, o EstimateOptions) (*Norm, error) {
	closed, ok := s.(ClosedForm)
	if _, own := s.(SubgraphSampler); !ok || own {
		return nil, fmt.Errorf("norm is exact, but this sampler has no closed form as cluster_gcn, node, edge, edge_bernoulli and vanilla_node_python have; use norm: estimate")
	}
	g := env.Graph
	node, pair := closed.LogMisses()
	n := exactNorm(env, o.DisableNormLoss)
	n.SubgraphMean = o.SubgraphMean
	hit := make([]float64, len(node)) // P(v)
	for v, miss := range node {
		hit[v] = -math.Expm1(miss)
	}
	if !o.DisableNormLoss {
		for _, v := range env.Train {
			if hit[v] > 0 {
				n.Loss[v] = float32(1 / (hit[v] * float64(len(env.Train))))
			}
		}
	}
	if o.DisableNormAggr {
		return n, nil
	}
	n.Aggr = make([]float32, g.NumEdges())
	err := newTasks(g, o.Workers).each(ctx, func(lo, hi int32) {
		for v := lo; v < hi; v++ {
			for e := g.Indptr[v]; e < g.Indptr[v+1]; e++ {
				n.Aggr[e] = closedAlpha(hit, pair, v, g.Indices[e], e)
			}
		}
	})
	return n, err
}

func closedAlpha(hit []float64, pair func(v, u int32, e int64) float64, v, u int32, e int64) float32 {
	switch {
	case hit[v] == 0:
		return alphaUnseen
	case u == v:
		return 1
	}
	// P(v and u) = P(v) + P(u) - P(v or u), which rounding must not make negative.
	both := hit[v] + hit[u] + math.Expm1(pair(v, u, e))
	if both <= 0 {
		return alphaMost
	}
	return float32(max(1, min(hit[v]/both, alphaMost)))
}

// lnMiss returns ln (1-p)^n, where p is a probability but for rounding.
func lnMiss(n int, p float64) float64 { return float64(n) * math.Log1p(-min(p, 1)) }

// LogMisses implements [ClosedForm]: a draw takes v with probability deg(v)/E.
func (s *Node) LogMisses() (node []float64, pair func(v, u int32, e int64) float64) {
	indptr, edges := s.rows.indptr, float64(s.edges)
	degree := func(v int32) float64 { return float64(indptr[v+1] - indptr[v]) }
	node = make([]float64, len(indptr)-1)
	for v := range node {
		node[v] = lnMiss(s.Draws, degree(int32(v))/edges)
	}
	return node, func(v, u int32, _ int64) float64 { return lnMiss(s.Draws, (degree(v)+degree(u))/edges) }
}

// LogMisses implements [ClosedForm]: a draw takes every training node alike.
func (s *VanillaNode) LogMisses() (node []float64, pair func(v, u int32, e int64) float64) {
	p := make([]float64, s.nodes)
	for _, v := range s.train {
		p[v] = 1 / float64(len(s.train))
	}
	node = make([]float64, s.nodes)
	for v := range node {
		node[v] = lnMiss(s.Draws, p[v])
	}
	return node, func(v, u int32, _ int64) float64 { return lnMiss(s.Draws, p[v]+p[u]) }
}

// LogMisses implements [ClosedForm]: a draw misses v and u if it takes none of their edges,
// and the edges between the two are edges of both.
func (s *Edge) LogMisses() (node []float64, pair func(v, u int32, e int64) float64) {
	g := s.graph
	symmetric := s.cumulative == nil
	q := make([]float64, g.NumNodes()) // weights of the edges at a node
	total := 0.0
	forEachEdge(g, func(v, u int32, _ int64) {
		w := inverseDegree(g, v) + inverseDegree(g, u)
		q[v] += w
		if !symmetric && u != v {
			q[u] += w
		}
		if !symmetric || v <= u {
			total += w
		}
	})
	node = make([]float64, len(q))
	for v := range q {
		q[v] /= total
		node[v] = lnMiss(s.Draws, q[v])
	}
	return node, func(v, u int32, _ int64) float64 {
		w := (inverseDegree(g, v) + inverseDegree(g, u)) / total
		if !symmetric && g.Find(u, v) >= 0 {
			w *= 2
		}
		return lnMiss(s.Draws, q[v]+q[u]-w)
	}
}

// LogMisses implements [ClosedForm]: v and u are missed if each of their edges is dropped,
// and the edges between the two are edges of both.
func (s *EdgeBernoulli) LogMisses() (node []float64, pair func(v, u int32, e int64) float64) {
	g := s.graph
	symmetric := s.rows == nil
	drop := func(v, u int32) float64 {
		return math.Log1p(-min(1, s.scale*(inverseDegree(g, v)+inverseDegree(g, u))))
	}
	node = make([]float64, g.NumNodes())
	forEachEdge(g, func(v, u int32, _ int64) {
		l := drop(v, u)
		node[v] += l
		if !symmetric && u != v {
			node[u] += l
		}
	})
	return node, func(v, u int32, _ int64) float64 {
		shared := drop(v, u)
		if !symmetric && g.Find(u, v) >= 0 {
			shared *= 2
		}
		if math.IsInf(shared, -1) {
			return shared
		}
		return node[v] + node[u] - shared
	}
}
