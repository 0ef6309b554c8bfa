package samplers

import "context"

// Count exposes the counts behind EstimateNorm to tests.
func Count(ctx context.Context, s Sampler, env Env, o EstimateOptions) (nodes, edges []uint32, subgraphs int, err error) {
	c := &counter{sampler: s, env: env, nodes: make([]uint32, env.Graph.NumNodes()), edges: make([]uint32, env.Graph.NumEdges())}
	subgraphs, err = c.run(ctx, o)
	return c.nodes, c.edges, subgraphs, err
}
