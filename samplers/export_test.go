package samplers

import "context"

// Count exposes the counts behind EstimateNorm to tests.
func Count(ctx context.Context, s Sampler, env Env, o EstimateOptions) (nodes, edges []uint32, subgraphs int, err error) {
	c, err := newCounter(ctx, s, env, true, o.Workers)
	if err != nil {
		return nil, nil, 0, err
	}
	subgraphs, err = c.run(ctx, o)
	return c.nodes, c.edges, subgraphs, err
}

// Checksum exposes the checksum of saved tensors to tests.
var Checksum = checksum
