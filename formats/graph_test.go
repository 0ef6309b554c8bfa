package formats

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// fromRows builds a graph from adjacency lists.
func fromRows(rows ...[]int32) *Graph {
	g := &Graph{Indptr: []int64{0}, Indices: []int32{}}
	for _, row := range rows {
		g.Indices = append(g.Indices, row...)
		g.Indptr = append(g.Indptr, int64(len(g.Indices)))
	}
	return g
}

// randomGraph draws each of the n*n edges, self loops included, with probability p.
func randomGraph(r *rand.Rand, n int, p float64, weights bool) *Graph {
	g := &Graph{Indptr: []int64{0}, Indices: []int32{}}
	for range n {
		for u := range n {
			if r.Float64() < p {
				g.Indices = append(g.Indices, int32(u))
				if weights {
					g.Weights = append(g.Weights, r.Float32())
				}
			}
		}
		g.Indptr = append(g.Indptr, int64(len(g.Indices)))
	}
	return g
}

func TestGraphValidate(t *testing.T) {
	tests := []struct {
		name string
		g    *Graph
		want string // part of the error; empty: valid
	}{
		{"no nodes", &Graph{Indptr: []int64{0}}, ""},
		{"zero value", &Graph{}, "indptr is empty"},
		{"isolated nodes", fromRows(nil, nil, nil), ""},
		{"self loops", fromRows([]int32{0}, []int32{1}), ""},
		{"directed", fromRows([]int32{1, 2}, nil, []int32{2}), ""},
		{"weights", &Graph{Indptr: []int64{0, 1}, Indices: []int32{0}, Weights: []float32{2}}, ""},
		{"first is not 0", &Graph{Indptr: []int64{1, 1}, Indices: []int32{0}}, "indptr[0] is 1"},
		{"negative first", &Graph{Indptr: []int64{-1, 0}}, "indptr[0] is -1"},
		{"ends early", &Graph{Indptr: []int64{0, 1}, Indices: []int32{0, 0}}, "indptr ends at 1"},
		{"ends late", &Graph{Indptr: []int64{0, 2}, Indices: []int32{0}}, "indptr ends at 2"},
		{"decreases", &Graph{Indptr: []int64{0, 2, 1}, Indices: []int32{0}}, "decreases at row 1"},
		{"leaves and comes back", &Graph{Indptr: []int64{0, 9, 1}, Indices: []int32{0}}, "decreases at row 1"},
		{"few weights", &Graph{Indptr: []int64{0, 1}, Indices: []int32{0}, Weights: []float32{}}, "0 weights for 1 indices"},
		{"unsorted", fromRows([]int32{1, 0}, nil), "row 0: index 0 after 1"},
		{"duplicate", fromRows(nil, []int32{1, 1}), "row 1: index 1 after 1"},
		{"negative id", fromRows([]int32{-1}), "row 0: index -1"},
		{"id too large", fromRows([]int32{0, 1}), "row 0: index 1 after 0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.g.Validate()
			switch {
			case test.want == "" && err != nil:
				t.Errorf("Validate() = %v, want nil", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("Validate() = %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestGraphSymmetric(t *testing.T) {
	tests := []struct {
		name string
		g    *Graph
		want bool
	}{
		{"zero value", &Graph{}, true},
		{"no nodes", fromRows(), true},
		{"isolated", fromRows(nil, nil), true},
		{"self loop", fromRows(nil, []int32{1}), true},
		{"one edge", fromRows([]int32{1}, nil), false},
		{"mirror", fromRows([]int32{1}, []int32{0}), true},
		{"mirror is missing at the end", fromRows(nil, nil, []int32{0}), false},
		{"triangle, one way", fromRows([]int32{1}, []int32{2}, []int32{0}), false},
		{"same degrees, other edges", fromRows([]int32{1, 2}, []int32{0, 3}, []int32{1, 3}, []int32{0, 2}), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.g.Symmetric(); got != test.want {
				t.Errorf("Symmetric() = %t, want %t", got, test.want)
			}
		})
	}
}

func TestGraphAgainstDenseForm(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 12 {
		g := randomGraph(r, n, 0.3, n%2 == 0)
		tr := g.Transpose()
		if err := tr.Validate(); err != nil {
			t.Fatalf("Transpose() is invalid: %v", err)
		}
		symmetric := true
		for i := range n * n {
			v, u := int32(i/n), int32(i%n)
			e, back := g.Find(v, u), tr.Find(u, v)
			if want := slices.Contains(g.Neighbors(v), u); (e >= 0) != want || (back >= 0) != want {
				t.Errorf("Find(%d, %d) = %d, in the transpose %d, edge is %t", v, u, e, back, want)
			}
			if e >= 0 && g.Weights != nil && g.Weights[e] != tr.Weights[back] {
				t.Errorf("weight of (%d, %d) = %v, in the transpose %v", v, u, g.Weights[e], tr.Weights[back])
			}
			symmetric = symmetric && (e >= 0) == (g.Find(u, v) >= 0)
		}
		if got := g.Symmetric(); got != symmetric {
			t.Errorf("Symmetric() = %t, want %t", got, symmetric)
		}
		if back := tr.Transpose(); back.Fingerprint() != g.Fingerprint() {
			t.Errorf("n=%d: the transpose of the transpose is another graph", n)
		}
	}
}

func TestTransposeOfZeroValue(t *testing.T) {
	got := (&Graph{}).Transpose()
	if err := got.Validate(); err != nil || got.NumNodes() != 0 {
		t.Errorf("Transpose() of the zero value has %d nodes and is %v, want 0 and valid", got.NumNodes(), err)
	}
}

func TestInduced(t *testing.T) {
	g := fromRows([]int32{0, 1, 2}, []int32{0, 2}, []int32{1}, nil)
	g.Weights = []float32{1, 2, 3, 4, 5, 6}
	tests := []struct {
		name    string
		nodes   []int32
		indptr  []int64
		indices []int32
		weights []float32
	}{
		{"none", nil, []int64{0, 0, 0, 0, 0}, []int32{}, []float32{}},
		{"isolated", []int32{3}, []int64{0, 0, 0, 0, 0}, []int32{}, []float32{}},
		{"self loop", []int32{0}, []int64{0, 1, 1, 1, 1}, []int32{0}, []float32{1}},
		{"unsorted and repeated", []int32{2, 1, 2}, []int64{0, 0, 1, 2, 2}, []int32{2, 1}, []float32{5, 6}},
		{"all", []int32{0, 1, 2, 3}, g.Indptr, g.Indices, g.Weights},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := Induced(g, test.nodes)
			want := &Graph{Indptr: test.indptr, Indices: test.indices, Weights: test.weights}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("Induced(g, %v) = %v, want %v", test.nodes, got, want)
			}
		})
	}
	if got := Induced(fromRows(), nil); got.NumNodes() != 0 || got.Validate() != nil {
		t.Errorf("Induced(empty) = %v, want the empty graph", got)
	}
}

func TestGraphFingerprintSeesEverything(t *testing.T) {
	base := fromRows([]int32{1}, []int32{0}, nil)
	variants := []*Graph{
		base,
		fromRows([]int32{1}, nil, []int32{0}),
		fromRows([]int32{1}, []int32{1}, nil),
		fromRows([]int32{1}, []int32{0}),
		{Indptr: base.Indptr, Indices: base.Indices, Weights: []float32{1, 1}},
		{Indptr: base.Indptr, Indices: base.Indices, Weights: []float32{1, 2}},
	}
	var seen []string
	for i, g := range variants {
		f := g.Fingerprint()
		if slices.Contains(seen, f) {
			t.Errorf("Fingerprint of variant %d = %s, want another than those before", i, f)
		}
		seen = append(seen, f)
	}
}
