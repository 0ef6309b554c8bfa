package assemble

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
)

func TestGraph(t *testing.T) {
	edges := func() *Edges {
		return &Edges{Src: []int32{0, 1, 0, 2, 0}, Dst: []int32{1, 0, 1, 2, 2}, Weights: []float32{1, 5, 2, 7, 1}}
	}
	tests := []struct {
		name    string
		options GraphOptions
		want    *formats.Graph
	}{
		{"as it is", GraphOptions{}, &formats.Graph{Indptr: []int64{0, 2, 3, 4}, Indices: []int32{1, 2, 0, 2}, Weights: []float32{3, 1, 5, 7}}},
		{
			"targets as rows",
			GraphOptions{TargetRows: true},
			&formats.Graph{Indptr: []int64{0, 1, 2, 4}, Indices: []int32{1, 0, 0, 2}, Weights: []float32{5, 3, 1, 7}},
		},
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

// TestGraphWithoutWeights compares with the same edges of weight 1, whose graph is built in
// another way, whole and in pieces.
func TestGraphWithoutWeights(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, o := range []GraphOptions{{}, {Undirected: true}, {DropSelfLoops: true}, {TargetRows: true}, {Undirected: true, TargetRows: true, DropSelfLoops: true}} {
		for _, size := range []struct{ n, edges int }{{1, 0}, {1, 3}, {2, 9}, {30, 100}, {9000, 40000}} {
			var blocks, weighted []Edges
			for left := size.edges; left > 0; {
				k := min(left, 1+random.IntN(left))
				left -= k
				var e Edges
				for range k {
					e.Src, e.Dst = append(e.Src, random.Int32N(int32(size.n))), append(e.Dst, random.Int32N(int32(size.n)))
				}
				blocks = append(blocks, e)
				e.Weights = slices.Repeat([]float32{1}, k)
				weighted = append(weighted, Edges{slices.Clone(e.Src), slices.Clone(e.Dst), e.Weights})
			}
			want, wantCounts, err := GraphOf(t.Context(), size.n, weighted, o)
			if err != nil {
				t.Fatal(err)
			}
			want.Weights = nil // sums of ones
			if want.Indices == nil {
				want.Indices = []int32{}
			}
			got, counts, err := GraphOf(t.Context(), size.n, blocks, o)
			if err != nil || counts != wantCounts || !slices.Equal(got.Indptr, want.Indptr) || !slices.Equal(got.Indices, want.Indices) || got.Weights != nil {
				t.Errorf("%+v %+v: GraphOf = %d entries, %+v, %v, want %d, %+v", o, size, got.NumEdges(), counts, err, want.NumEdges(), wantCounts)
			}
		}
	}
	if _, _, err := Graph(t.Context(), 2, &Edges{Src: []int32{0, 2}, Dst: []int32{1, 1}}, GraphOptions{}); err == nil || !strings.Contains(err.Error(), "edge 1 is (2, 1)") {
		t.Errorf("Graph = %v, want edge 1 is (2, 1)", err)
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
