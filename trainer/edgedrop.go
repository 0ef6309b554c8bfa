package trainer

import (
	"math"

	"github.com/saint-gnn/saint/internal/philox"
	"github.com/saint-gnn/saint/trainer/nn"
)

// edgeDropout leaves edges out of a step's graph. Whether the pair {u,v} of nodes stays is a
// function of seed, step and the two ids in the full graph, so both directions of an edge, and
// its entry in the transpose, stay or go together, whatever subgraph they are in. Coefficients
// and degrees are those of the whole batch; entries that stay are as they were, or divided by
// 1-share if they are to count for the others.
type edgeDropout struct {
	share   float32
	rescale bool

	fwd, back edges
}

// layerOfEdges stands for no layer in the key of edge dropout.
const layerOfEdges = math.MaxUint32

// factor returns what entries that stay are multiplied by.
func (d *edgeDropout) factor() float32 {
	if d.rescale {
		return 1 / (1 - d.share)
	}
	return 1
}

// left returns what stays of a batch's entries and of their transpose, valid until the next call.
func (d *edgeDropout) left(c *nn.Context, nodes []int32, fwd, back edges) (f, b edges) {
	key := philox.Key(c.Seed, c.Step, layerOfEdges, 0)
	d.filter(key, nodes, fwd, &d.fwd)
	d.filter(key, nodes, back, &d.back)
	return d.fwd, d.back
}

// filter writes what stays of e to out, whose memory it reuses.
func (d *edgeDropout) filter(key uint64, nodes []int32, e edges, out *edges) {
	threshold, factor := philox.Threshold(d.share), d.factor()
	out.indptr = append(out.indptr[:0], 0)
	out.indices, out.sampled, out.symmetric = grow(out.indices, len(e.indices)), grow(out.sampled, len(e.indices)), grow(out.symmetric, len(e.symmetric))
	n := 0
	for u := range nodes {
		for k := e.indptr[u]; k < e.indptr[u+1]; k++ {
			v := e.indices[k]
			if !stays(key, threshold, nodes[u], nodes[v]) {
				continue
			}
			out.indices[n], out.sampled[n] = v, factor*e.sampled[k]
			if e.symmetric != nil {
				out.symmetric[n] = factor * e.symmetric[k]
			}
			n++
		}
		out.indptr = append(out.indptr, int32(n))
	}
	out.indices, out.sampled = out.indices[:n], out.sampled[:n]
	if e.symmetric != nil {
		out.symmetric = out.symmetric[:n]
	}
}

// stays reports whether the edges between two nodes are kept.
func stays(key, threshold uint64, u, v int32) bool {
	w, _, _, _ := philox.Block(uint32(min(u, v)), uint32(max(u, v)), 0, 0, uint32(key), uint32(key>>32))
	return uint64(w) >= threshold
}
