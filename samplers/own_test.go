package samplers_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// halves takes four uniform nodes and of their edges those towards greater ids.
type halves struct{ env samplers.Env }

func (h halves) Budget() int { return 4 }

func (h halves) SampleNodes(r *rand.Rand, _ *samplers.Scratch, dst []int32) []int32 {
	for range 4 {
		dst = append(dst, h.env.Train[r.IntN(len(h.env.Train))])
	}
	return dst
}

func (h halves) SampleSubgraph(r *rand.Rand, s *samplers.Scratch, dst *formats.Subgraph) error {
	dst.Nodes = h.SampleNodes(r, s, dst.Nodes[:0])
	if err := samplers.Induce(h.env.Graph, s, dst); err != nil {
		return err
	}
	kept := int32(0)
	for i := range dst.Nodes {
		lo, hi := dst.Indptr[i], dst.Indptr[i+1]
		dst.Indptr[i] = kept
		for k := lo; k < hi; k++ {
			if dst.Indices[k] > int32(i) {
				dst.Indices[kept], dst.EdgeIDs[kept] = dst.Indices[k], dst.EdgeIDs[k]
				kept++
			}
		}
	}
	dst.Indptr[len(dst.Nodes)] = kept
	dst.Indices, dst.EdgeIDs = dst.Indices[:kept], dst.EdgeIDs[:kept]
	return nil
}

func init() {
	samplers.Register(samplers.Info{
		Name: "test_halves",
		Doc:  "four uniform nodes and their edges towards greater ids",
		Factory: func(env samplers.Env, p samplers.Params) (samplers.Sampler, error) {
			return halves{env}, p.Decode(&struct{}{})
		},
	})
	tiny["test_halves"] = []params{{}}
}

func TestSubgraphSamplerIsCounted(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(30, 80, 3))
	norm, err := samplers.EstimateNorm(t.Context(), halves{env}, env, samplers.EstimateOptions{Coverage: 300, Seed: 3, Phase: 1})
	if err != nil {
		t.Fatal(err)
	}
	checkIdentity(t, halves{env}, env, norm)
}

// broken returns the subgraph it is told.
type broken struct {
	fixed
	sub formats.Subgraph
}

func (b broken) SampleSubgraph(_ *rand.Rand, _ *samplers.Scratch, dst *formats.Subgraph) error {
	*dst = b.sub
	return nil
}

func TestBrokenSubgraphsAreRefused(t *testing.T) {
	env := samplertest.Env(samplertest.Undirected(4, [2]int32{0, 1}, [2]int32{1, 2}))
	for name, c := range map[string]struct {
		sub  formats.Subgraph
		want string
	}{
		"no row starts":  {formats.Subgraph{Nodes: []int32{0}}, "0 row starts"},
		"no positions":   {formats.Subgraph{Nodes: []int32{0, 1}, Indptr: []int32{0, 1, 1}, Indices: []int32{1}}, "0 edge positions"},
		"foreign node":   {formats.Subgraph{Nodes: []int32{4}, Indptr: []int32{0, 0}}, "node 4 after -1"},
		"unsorted":       {formats.Subgraph{Nodes: []int32{1, 0}, Indptr: []int32{0, 0, 0}}, "node 0 after 1"},
		"falling rows":   {formats.Subgraph{Nodes: []int32{0, 1, 2}, Indptr: []int32{0, 2, 1, 1}, Indices: []int32{1}, EdgeIDs: []int64{0}}, "from entry 0 to 2 of 1"},
		"foreign column": {formats.Subgraph{Nodes: []int32{0, 1}, Indptr: []int32{0, 1, 1}, Indices: []int32{2}, EdgeIDs: []int64{0}}, "column 2 after -1"},
		"wrong position": {formats.Subgraph{Nodes: []int32{0, 1}, Indptr: []int32{0, 1, 1}, Indices: []int32{1}, EdgeIDs: []int64{1}}, "position 1 is not its edge to node 1"},
		"wrong edge":     {formats.Subgraph{Nodes: []int32{0, 2}, Indptr: []int32{0, 1, 1}, Indices: []int32{1}, EdgeIDs: []int64{0}}, "position 0 is not its edge to node 2"},
	} {
		var sc samplers.Scratch
		var sub formats.Subgraph
		if err := samplers.Draw(broken{sub: c.sub}, env, nil, &sc, &sub); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want it to contain %q", name, err, c.want)
		}
	}
}
