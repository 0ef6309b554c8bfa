package samplers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
)

// CompatReference as EstimateOptions.Compat gives edges that were never counted the
// reference implementation's coefficient.
const CompatReference = "reference"

// roundSize is how many subgraphs are counted between two looks at the coverage.
const roundSize = 200

// EstimateOptions says how much to count and which coefficients are wanted.
type EstimateOptions struct {
	// Coverage is sample_coverage: count until the subgraphs hold more than
	// Coverage*len(Train) nodes in total.
	Coverage int
	Workers  int    // goroutines; below 1: one per usable CPU. The result does not depend on it.
	Seed     uint64 // with Phase: the stream that training will read, from index 0
	Phase    int

	DisableNormLoss bool // norm_loss: false
	DisableNormAggr bool // norm_aggr: false
	// SubgraphMean (norm: subgraph) makes rows of the adjacency means over the neighbours that
	// are in the subgraph, as in Cluster-GCN. It needs DisableNormAggr.
	SubgraphMean bool

	// Exact asks for closed forms in place of counts. It is an error if the sampler is no
	// [ClosedForm]; Coverage, Seed and Compat then do not matter.
	Exact bool
	// Compat is "" or CompatReference.
	Compat string
	// Progress, if set, is told now and then how many nodes have been drawn and how many
	// are wanted. Calls do not overlap, but come from several goroutines.
	Progress func(drawn, want int64)
}

// Deterministic is implemented by samplers that draw the same subgraph every time. Their
// coefficients are exact without counting.
type Deterministic interface {
	Sampler
	// Deterministic reports whether every draw holds all training nodes and all edges.
	Deterministic() bool
}

// EstimateNorm counts how often nodes and edges occur in subgraphs 0…S-1 of the phase,
// where S is the smallest multiple of 200 for which they hold more than
// Coverage*len(Train) nodes, and returns the coefficients of arXiv:1907.04931, section 3.2:
//
//	alpha_e  = min(C_v/C_e, 1e4) for an edge e of row v; where C_v = 0: 0.1
//	lambda_v = S/(C_v*len(Train)); where C_v = 0: S/(0.1*len(Train))
//
// An edge that was never counted, of a row v that was, gets the largest alpha of its row,
// or min(C_v, 1e4) if no edge of the row was counted; with CompatReference it gets 1e4.
// Quotients are taken in float64 and rounded once.
//
// Memory: 20 bytes a node and 4 an edge, shared by all workers, and what drawing takes. It returns ctx.Err() when
// ctx ends, and an error if the sampler draws 200 empty subgraphs or panics.
func EstimateNorm(ctx context.Context, s Sampler, env Env, o EstimateOptions) (*Norm, error) {
	if o.Coverage < 0 {
		return nil, fmt.Errorf("sample_coverage is %d, want at least 0", o.Coverage)
	}
	if o.Compat != "" && o.Compat != CompatReference {
		return nil, fmt.Errorf("compat is %q, want %q or nothing", o.Compat, CompatReference)
	}
	if err := env.check(); err != nil {
		return nil, err
	}
	if most := (math.MaxInt - 1) / len(env.Train); o.Coverage > most {
		return nil, fmt.Errorf("sample_coverage is %d, want at most %d", o.Coverage, most)
	}
	if o.SubgraphMean && !o.DisableNormAggr {
		return nil, errors.New("means over the neighbours in a subgraph leave no room for coefficients of edges")
	}
	if d, ok := s.(Deterministic); ok && d.Deterministic() || o.DisableNormLoss && o.DisableNormAggr {
		n := exactNorm(env, o.DisableNormLoss)
		n.SubgraphMean = o.SubgraphMean
		return n, nil
	}
	if err := Prepare(ctx, s, PrepareOptions{Workers: o.Workers}); err != nil {
		return nil, err
	}
	if o.Exact {
		return closedNorm(ctx, s, env, o)
	}
	c, err := newCounter(ctx, s, env, !o.DisableNormAggr, o.Workers)
	if err != nil {
		return nil, err
	}
	subgraphs, err := c.run(ctx, o)
	if err != nil {
		return nil, err
	}
	norm := &Norm{Subgraphs: subgraphs, UniformLoss: o.DisableNormLoss, SubgraphMean: o.SubgraphMean}
	norm.prepare(env.Graph)
	norm.Loss = lossWeights(env, c.nodes, subgraphs, o.DisableNormLoss)
	if c.edges != nil {
		if norm.Aggr, err = c.aggrWeights(ctx, o.Compat == CompatReference); err != nil {
			return nil, err
		}
	}
	return norm, nil
}

// exactNorm is the answer where every node and edge is in every subgraph, or where nobody
// asks for a coefficient.
func exactNorm(env Env, uniform bool) *Norm {
	n := &Norm{Loss: make([]float32, env.Graph.NumNodes()), UniformLoss: uniform}
	n.prepare(env.Graph)
	weight := float32(1 / float64(len(env.Train)))
	if uniform {
		weight = 1
	}
	for _, v := range env.Train {
		n.Loss[v] = weight
	}
	return n
}

// reporter passes progress on without making workers wait for a slow listener.
type reporter struct {
	mu       sync.Mutex
	progress func(drawn, want int64)
	want     int64
}

func (r *reporter) tell(drawn int64) {
	if r.progress == nil || !r.mu.TryLock() {
		return
	}
	defer r.mu.Unlock()
	r.progress(min(drawn, r.want), r.want)
}
