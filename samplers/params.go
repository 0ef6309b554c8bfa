package samplers

import (
	"errors"
	"fmt"
	"math"
)

// maxDraws bounds the draws of one subgraph: 2^28 ids are 1 GiB a worker, far beyond what a
// subgraph of a graph with 2^31 nodes can use, and small enough for an honest error.
const maxDraws = 1 << 28

// positive returns the value of a required key that must lie in 1…most.
func positive(key string, v *int64, most int64) (int64, error) {
	switch {
	case v == nil:
		return 0, fmt.Errorf("%s is missing", key)
	case *v < 1:
		return 0, fmt.Errorf("%s is %d, want at least 1", key, *v)
	case *v > most:
		return 0, fmt.Errorf("%s is %d, want at most %d", key, *v, most)
	}
	return *v, nil
}

// errNoEdges is what samplers that draw by degree answer for a graph without edges.
var errNoEdges = errors.New("the training graph has no edges to draw from; use full_batch, rw or vanilla_node_python")

// check tells whether a sampler can be built on env at all. Cost O(len(Train)).
func (e Env) check() error {
	if e.Graph == nil || len(e.Train) == 0 {
		return errors.New("there are no training nodes to sample from")
	}
	n := e.Graph.NumNodes()
	if n > math.MaxInt32 {
		return fmt.Errorf("the training graph has %d nodes, want at most %d", n, math.MaxInt32)
	}
	last := int32(-1)
	for _, v := range e.Train {
		if v <= last || int(v) >= n {
			return fmt.Errorf("training nodes: %d after %d, want ascending ids below %d", v, last, n)
		}
		last = v
	}
	return nil
}
