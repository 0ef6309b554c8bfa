package main

import (
	"context"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// TestSnowball: the contract of samplers on a dozen awkward graphs.
func TestSnowball(t *testing.T) {
	samplertest.Run(t, "snowball", samplertest.Params{"num_root": 5, "depth": 2, "fanout": 3})
}

func TestSnowballDraws(t *testing.T) {
	// A star whose centre is node 0: after the roots come neighbours only.
	g := samplertest.Undirected(5, [2]int32{0, 1}, [2]int32{0, 2}, [2]int32{0, 3}, [2]int32{0, 4})
	s, err := samplers.New("snowball", samplertest.Env(g), samplertest.Params{"num_root": 3, "depth": 1, "fanout": 2})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Budget(); got != 9 {
		t.Errorf("Budget() = %d, want 3 roots and 2 neighbours of each, 9", got)
	}
	r := samplers.Stream(1, 0, 0)
	nodes := s.SampleNodes(r, &samplers.Scratch{}, nil)
	if len(nodes) != 9 {
		t.Fatalf("SampleNodes drew %v, want 9 nodes", nodes)
	}
	for i, v := range nodes[3:] {
		if root := nodes[i/2]; (root == 0) == (v == 0) {
			t.Errorf("node %d was drawn as neighbour of %d, and is none", v, root)
		}
	}
}

func TestSnowballErrors(t *testing.T) {
	env := samplertest.Env(samplertest.Edges(3))
	for _, c := range []struct {
		params samplertest.Params
		want   string
	}{
		{samplertest.Params{}, "num_root is 0, want 1 to 2^20"},
		{samplertest.Params{"num_root": 1, "depth": 5}, "depth is 5, want 0 to 4"},
		{samplertest.Params{"num_root": 1, "fanout": 0}, "fanout is 0, want 1 to 10"},
	} {
		if _, err := samplers.New("snowball", env, c.params); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New(snowball, %v) = %v, want %q", c.params, err, c.want)
		}
	}
}

// TestRun: the whole program trains with it.
func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "val F1"); n != 15 || !strings.Contains(out.String(), "test F1 0.") {
		t.Errorf("run printed\n%s\nwant 15 epochs and a score", out.String())
	}
}
