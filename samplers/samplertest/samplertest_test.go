package samplertest

import (
	"strings"
	"testing"
)

func TestGraphsAreValid(t *testing.T) {
	names := map[string]bool{}
	for _, c := range Graphs() {
		if err := c.Env.Graph.Validate(); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		if names[c.Name] {
			t.Errorf("%s appears twice", c.Name)
		}
		names[c.Name] = true
		train := map[int32]bool{}
		for _, v := range c.Env.Train {
			train[v] = true
		}
		for v := range int32(c.Env.Graph.NumNodes()) {
			if len(c.Env.Graph.Neighbors(v)) > 0 && !train[v] {
				t.Errorf("%s: node %d has edges, but is not a training node", c.Name, v)
			}
		}
	}
}

func TestPowerLawIsSymmetricWithHubs(t *testing.T) {
	g := PowerLaw(1000, 5000, 1)
	if err := g.Validate(); err != nil || !g.Symmetric() {
		t.Errorf("Validate() = %v, Symmetric() = %t, want nil and true", err, g.Symmetric())
	}
	most := 0
	for v := range int32(1000) {
		most = max(most, g.Degree(v))
	}
	if mean := int(g.NumEdges() / 1000); most < 10*mean || g.Degree(999) != 0 {
		t.Errorf("degrees: mean %d, largest %d, last %d; want a hub and an isolated node", mean, most, g.Degree(999))
	}
}

func TestParamsDecode(t *testing.T) {
	var into struct {
		Size  *int64 `yaml:"size"`
		Depth int64  `yaml:"depth"`
		Other *int64 `yaml:"other"`
	}
	if err := (Params{"size": 3, "depth": 4}).Decode(&into); err != nil || into.Size == nil || *into.Size != 3 || into.Depth != 4 || into.Other != nil {
		t.Errorf("Decode: %+v, %v, want size 3, depth 4 and no other", into, err)
	}
	if err := (Params{"siez": 3}).Decode(&into); err == nil || !strings.Contains(err.Error(), `unknown key "siez"`) {
		t.Errorf("Decode of an unknown key: error %v", err)
	}
}
