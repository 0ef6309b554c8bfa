package samplers_test

import (
	"context"
	"fmt"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// One worker draws and normalises the first subgraphs of a phase.
func Example() {
	ring := samplertest.Undirected(6, [2]int32{0, 1}, [2]int32{1, 2}, [2]int32{2, 3}, [2]int32{3, 4}, [2]int32{4, 5}, [2]int32{5, 0})
	env := samplertest.Env(ring)
	sampler, err := samplers.New("rw", env, samplertest.Params{"num_root": 1, "depth": 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	norm, err := samplers.EstimateNorm(context.Background(), sampler, env, samplers.EstimateOptions{Coverage: 50, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	var scratch samplers.Scratch
	var sub formats.Subgraph
	for index := range uint64(3) {
		if err := samplers.Draw(sampler, env, scratch.Stream(1, 0, index), &scratch, &sub); err != nil {
			fmt.Println(err)
			return
		}
		norm.Apply(env.Graph, &sub)
		fmt.Println(sub.Nodes, sub.Indptr, sub.Indices, sub.EdgeIDs)
	}
	// Output:
	// [0 1] [0 1 2] [1 0] [0 2]
	// [4 5] [0 1 2] [1 0] [9 11]
	// [3 4 5] [0 1 3 4] [1 0 2 1] [7 8 9 11]
}
