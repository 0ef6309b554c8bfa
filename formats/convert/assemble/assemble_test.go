package assemble

import (
	"reflect"
	"testing"

	"github.com/saint-gnn/saint/formats"
)

func TestGraph(t *testing.T) {
	edges := func() *Edges {
		return &Edges{Src: []int32{1, 0, 1, 2, 2}, Dst: []int32{0, 1, 0, 2, 0}, Weights: []float32{1, 5, 2, 7, 1}}
	}
	tests := []struct {
		name    string
		options GraphOptions
		want    *formats.Graph
	}{
		{"as it is", GraphOptions{}, &formats.Graph{Indptr: []int64{0, 2, 3, 4}, Indices: []int32{1, 2, 0, 2}, Weights: []float32{3, 1, 5, 7}}},
		{
			"undirected without loops",
			GraphOptions{Undirected: true, DropSelfLoops: true},
			&formats.Graph{Indptr: []int64{0, 2, 3, 4}, Indices: []int32{1, 2, 0, 0}, Weights: []float32{5, 1, 5, 1}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, counts, err := Graph(t.Context(), 3, edges(), test.options)
			if err != nil || !reflect.DeepEqual(got, test.want) || counts != (Counts{Merged: 1, SelfLoops: 1}) {
				t.Errorf("Graph = %+v, %+v, %v, want %+v and one each", got, counts, err, test.want)
			}
		})
	}
}

func TestFractions(t *testing.T) {
	for _, text := range []string{"", "1", "0.5,0.5", "0.5,0.5,0.5", "a,0,0", "0,0.5,0.5", "-1,1,1", "nan,0,0"} {
		if f, err := ParseFractions(text); err == nil {
			t.Errorf("ParseFractions(%q) = %v, want an error", text, f)
		}
	}
	f, err := ParseFractions("0.6, 0.2,0.2")
	if err != nil {
		t.Fatal(err)
	}
	nodes := make([]int32, 7)
	for i := range nodes {
		nodes[i] = int32(3 * i)
	}
	a, b, c := f.Draw(nodes, 1), f.Draw(nodes, 1), f.Draw(nodes, 2)
	if len(a.Train) != 4 || len(a.Val) != 2 || len(a.Test) != 1 {
		t.Errorf("Draw of 7 nodes = %v, want 4, 2 and 1", a)
	}
	if !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, c) {
		t.Errorf("Draw(seed 1) = %v, then %v; seed 2: %v", a, b, c)
	}
}
