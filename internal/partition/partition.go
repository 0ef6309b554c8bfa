package partition

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
)

// Graph is an undirected graph in rows: the neighbours of v are Indices[Indptr[v]:Indptr[v+1]].
// Every edge stands in the rows of both of its ends with the same weight. Loops are allowed and
// do not matter.
type Graph struct {
	Indptr  []int64
	Indices []int32
	// EdgeWeights has one positive weight for every entry of Indices; nil: all 1.
	EdgeWeights []int32
	// NodeWeights has one positive weight for every node, 2^31-1 in all at most; nil: all 1.
	NodeWeights []int32
}

// Options says how to cut a graph.
type Options struct {
	Parts int // 1 or more
	// Imbalance is by what share a part may be heavier than the mean; 0: 0.03. A part is never
	// asked to be lighter than the mean rounded up.
	Imbalance float64
	Seed      uint64
	// Workers is how many goroutines are used; below 1: one for each usable CPU. The result does
	// not depend on it.
	Workers int
	// Progress, if set, is told now and then how much of the work is done, done of total. Calls
	// do not overlap.
	Progress func(done, total int64)
}

// DefaultImbalance is what Options.Imbalance 0 means.
const DefaultImbalance = 0.03

// KWay cuts g into o.Parts parts of about equal weight such that the weight of the edges
// between parts is small, and returns the part of each node, 0 to Parts-1. With at least as many
// nodes as parts no part is empty; with fewer every node gets a part of its own.
//
// It is the multilevel scheme of Karypis and Kumar (SIAM J. Sci. Comput. 20(1), 1998, and
// J. Parallel Distrib. Comput. 48(1), 1998): heavy edges are contracted until the graph is small,
// that graph is cut by recursive bisection, and the cut is refined on each larger graph with
// moves in the order of their gain (Fiduccia and Mattheyses, DAC 1982).
//
// Time is O((nodes+edges)·log parts), memory about 60 bytes an entry of Indices. The result is a
// function of g, Parts, Imbalance and Seed. It returns ctx.Err() when ctx ends, and an error for
// a graph that is no graph.
func KWay(ctx context.Context, g *Graph, o Options) ([]int32, error) {
	if o.Imbalance == 0 {
		o.Imbalance = DefaultImbalance
	}
	if o.Workers < 1 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	lv, err := newLevel(g)
	if err != nil {
		return nil, err
	}
	part := make([]int32, lv.n)
	switch {
	case o.Parts == 1:
		return part, ctx.Err()
	case o.Parts >= lv.n:
		for v := range part {
			part[v] = int32(v)
		}
		return part, ctx.Err()
	}
	s := &solver{
		ctx: ctx, seed: o.Seed, parts: o.Parts, imbalance: o.Imbalance, workers: make(chan struct{}, o.Workers), threads: o.Workers,
		progress: o.Progress, total: 3 * int64(len(lv.adj)+lv.n),
	}
	if err := s.kway(lv, part); err != nil {
		return nil, err
	}
	return part, nil
}

func (o *Options) check() error {
	switch {
	case o.Parts < 1 || o.Parts > math.MaxInt32:
		return fmt.Errorf("partition: %d parts, want 1 to 2^31-1", o.Parts)
	case !(o.Imbalance > 0 && o.Imbalance <= 10):
		return fmt.Errorf("partition: imbalance %v, want more than 0 and at most 10", o.Imbalance)
	}
	return nil
}

// Cut returns the weight of the edges of g whose ends are in different parts, each edge counted
// once.
func Cut(g *Graph, part []int32) int64 {
	cut := int64(0)
	for v := range len(g.Indptr) - 1 {
		for e := g.Indptr[v]; e < g.Indptr[v+1]; e++ {
			if part[g.Indices[e]] == part[v] {
				continue
			}
			if g.EdgeWeights == nil {
				cut++
			} else {
				cut += int64(g.EdgeWeights[e])
			}
		}
	}
	return cut / 2
}

var errIndptr = errors.New("partition: Indptr does not start at 0, falls, or does not end at the number of entries")

// newLevel checks g and makes the finest level of it, without copying where there is no loop.
func newLevel(g *Graph) (*level, error) {
	n := len(g.Indptr) - 1
	if n < 0 || g.Indptr[0] != 0 || g.Indptr[n] != int64(len(g.Indices)) {
		return nil, errIndptr
	}
	if n > math.MaxInt32 {
		return nil, fmt.Errorf("partition: %d nodes, want at most 2^31-1", n)
	}
	if g.EdgeWeights != nil && len(g.EdgeWeights) != len(g.Indices) || g.NodeWeights != nil && len(g.NodeWeights) != n {
		return nil, fmt.Errorf("partition: %d weights of %d entries and %d of %d nodes", len(g.EdgeWeights), len(g.Indices), len(g.NodeWeights), n)
	}
	loops := int64(0)
	for v := range n {
		lo, hi := g.Indptr[v], g.Indptr[v+1]
		if lo > hi || hi > int64(len(g.Indices)) {
			return nil, errIndptr
		}
		for _, u := range g.Indices[lo:hi] {
			if u < 0 || int(u) >= n {
				return nil, fmt.Errorf("partition: node %d has neighbour %d, but there are %d nodes", v, u, n)
			}
			if int(u) == v {
				loops++
			}
		}
	}
	l := &level{n: n, xadj: g.Indptr, adj: g.Indices, ew: g.EdgeWeights, vw: g.NodeWeights}
	if loops > 0 {
		l.dropLoops(loops)
	}
	return l, l.weigh()
}
