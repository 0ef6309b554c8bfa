package synth

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/rng"
)

// shape is what a preset promises, from the published sizes.
type shape struct {
	nodes, features, classes int
	entries                  int64
	multi                    bool
	train, val, test         int
	roots, depth             int     // of the walks whose subgraphs are measured
	subNodes, subEdges       float64 // 0: not known
	degreeSum                float64
}

var shapes = map[string]shape{
	"tiny": {nodes: 2000, features: 16, classes: 5, entries: 20000, train: 1200, val: 400, test: 400},
	// Walks on the real PPI and Flickr give the subgraphs below; Reddit's are published ones.
	"ppi-like": {
		nodes: 14755, features: 50, classes: 121, entries: 450540, multi: true, train: 9738, val: 1771, test: 3246,
		roots: 3000, depth: 2, subNodes: 5060, subEdges: 162500, degreeSum: 220800,
	},
	"flickr-like": {
		nodes: 89250, features: 500, classes: 7, entries: 899756, train: 44625, val: 22313, test: 22312,
		roots: 6000, depth: 2, subNodes: 12500, subEdges: 47700, degreeSum: 102100,
	},
	"reddit-like": {
		nodes: 232965, features: 602, classes: 41, entries: 23213838, train: 153757, val: 23296, test: 55912,
		roots: 2000, depth: 4, subNodes: 8600, subEdges: 510000, degreeSum: 2.4e6,
	},
	"yelp-like": {nodes: 716847, features: 300, classes: 100, entries: 13954820, multi: true, train: 537635, val: 71685, test: 107527},
}

// TestPresets checks each preset as a whole, so that the large ones are generated once.
func TestPresets(t *testing.T) {
	for _, p := range Presets() {
		t.Run(p.Name, func(t *testing.T) {
			want, ok := shapes[p.Name]
			if !ok {
				t.Fatalf("no expectations for %s", p.Name)
			}
			if testing.Short() && p.Nodes > 20_000 {
				t.Skip("large: runs without -short")
			}
			if p.Nodes > 200_000 {
				// Features are checked on the smaller presets; here they would only cost
				// gigabytes of memory.
				p.Features, p.NoiseColumns = 2, 0
				want.features = 2
			}
			ds, err := p.Generate(t.Context(), 1, Options{})
			if err != nil {
				t.Fatal(err)
			}
			checkCounts(t, ds, want)
			checkGraph(t, ds)
			checkDegrees(t, &p, ds)
			checkLabels(t, &p, ds)
			checkWalks(t, ds, want)
			if _, err := ds.Prepare(); err != nil {
				t.Errorf("Prepare: %v", err)
			}
		})
	}
}

func checkCounts(t *testing.T, ds *formats.RawDataset, want shape) {
	t.Helper()
	got := shape{
		nodes: ds.Full.NumNodes(), features: ds.Dim, classes: ds.Labels.NumClasses, entries: ds.Full.NumEdges(),
		multi: ds.Labels.IsMulti(), train: len(ds.TrainNodes), val: len(ds.ValNodes), test: len(ds.TestNodes),
	}
	want.roots, want.depth, want.subNodes, want.subEdges, want.degreeSum = 0, 0, 0, 0, 0
	if got != want {
		t.Errorf("shape = %+v, want %+v", got, want)
	}
	if len(ds.Features) != want.nodes*want.features {
		t.Errorf("%d feature values, want %d", len(ds.Features), want.nodes*want.features)
	}
	seen := make([]bool, want.nodes)
	for _, ids := range [][]int32{ds.TrainNodes, ds.ValNodes, ds.TestNodes} {
		if !slices.IsSorted(ids) {
			t.Error("roles are not ascending")
		}
		for _, v := range ids {
			if seen[v] {
				t.Fatalf("node %d has two roles", v)
			}
			seen[v] = true
		}
	}
}

func checkGraph(t *testing.T, ds *formats.RawDataset) {
	t.Helper()
	for name, g := range map[string]*formats.Graph{"full": ds.Full, "training": ds.Train} {
		if err := g.Validate(); err != nil { // also finds duplicates
			t.Fatalf("%s graph: %v", name, err)
		}
		if !g.Symmetric() {
			t.Errorf("%s graph is not symmetric", name)
		}
		for v := range int32(g.NumNodes()) {
			if g.Find(v, v) >= 0 {
				t.Fatalf("%s graph: node %d has a self loop", name, v)
			}
		}
	}
	role := roles(ds)
	var inside int64
	for v := range int32(ds.Full.NumNodes()) {
		for _, u := range ds.Full.Neighbors(v) {
			if role[v] == 0 && role[u] == 0 {
				inside++
			}
		}
	}
	if inside != ds.Train.NumEdges() {
		t.Errorf("training graph has %d edges, the full graph %d between training nodes", ds.Train.NumEdges(), inside)
	}
}

func roles(ds *formats.RawDataset) []uint8 {
	role := make([]uint8, ds.Full.NumNodes())
	for i, ids := range [][]int32{ds.TrainNodes, ds.ValNodes, ds.TestNodes} {
		for _, v := range ids {
			role[v] = uint8(i)
		}
	}
	return role
}

// checkDegrees compares the tail with the power law of the preset by Hill's estimator and
// the largest degree with the mean.
func checkDegrees(t *testing.T, p *Preset, ds *formats.RawDataset) {
	t.Helper()
	degrees := make([]float64, ds.Full.NumNodes())
	for v := range degrees {
		degrees[v] = float64(ds.Full.Degree(int32(v)))
	}
	slices.Sort(degrees)
	slices.Reverse(degrees)
	// The estimate of the tail exponent of the counting function, 64/Tail, from the largest
	// 5 %. Cut and Shift bend the ends, hence the wide band.
	k := len(degrees) / 20
	hill := 0.0
	for _, d := range degrees[:k] {
		hill += math.Log(d/degrees[k]) / float64(k)
	}
	if want := float64(p.Tail) / 64; hill < 0.6*want || hill > 1.5*want {
		t.Errorf("Hill estimate of the inverse exponent = %.3f, want about %.3f", hill, want)
	}
	mean := float64(ds.Full.NumEdges()) / float64(len(degrees))
	if ratio := degrees[0] / mean; ratio < 5 {
		t.Errorf("largest degree is %.1f times the mean, want hubs: at least 5", ratio)
	}
}

// checkLabels looks for every class, for the noise, and for neighbours that agree more
// often than strangers do.
func checkLabels(t *testing.T, p *Preset, ds *formats.RawDataset) {
	t.Helper()
	n, c := ds.Full.NumNodes(), ds.Labels.NumClasses
	has := func(v int32, k int) bool {
		if p.Multi {
			return ds.Labels.Row(v)[k] == 1
		}
		return ds.Labels.Class[v] == int32(k)
	}
	freq := make([]float64, c)
	for v := range int32(n) {
		for k := range c {
			if has(v, k) {
				freq[k] += 1 / float64(n)
			}
		}
	}
	total, chance := 0.0, 0.0
	for k, f := range freq {
		if f == 0 || f == 1 {
			t.Errorf("label %d occurs at %.0f %% of the nodes", k, 100*f)
		}
		total += f
		chance += f * f
	}
	if want := map[bool]float64{false: 1, true: p.Density * float64(c)}[p.Multi]; math.Abs(total-want) > 0.15*want {
		t.Errorf("%.3f labels a node, want about %.3f", total, want)
	}
	r := newStream(1, 0, 0)
	agree, edges := 0.0, 20_000.0
	for range int(edges) {
		e := r.below(ds.Full.NumEdges())
		v, _ := slices.BinarySearch(ds.Full.Indptr, e+1)
		for k := range c {
			if has(int32(v-1), k) && has(ds.Full.Indices[e], k) {
				agree += 1 / edges
			}
		}
	}
	if agree < 1.15*chance || agree > 0.95*total {
		t.Errorf("labels shared by neighbours = %.3f, want above %.3f (strangers) and below %.3f (no noise)", agree, 1.15*chance, 0.95*total)
	}
}

// checkWalks compares the subgraphs of random walks on the training graph with the
// preset's real namesake.
func checkWalks(t *testing.T, ds *formats.RawDataset, want shape) {
	t.Helper()
	if want.roots == 0 {
		return
	}
	r := rng.New(1, rng.Test, 0, 0)
	in := make([]bool, want.nodes)
	for range want.roots {
		v := ds.TrainNodes[r.IntN(len(ds.TrainNodes))]
		in[v] = true
		for range want.depth {
			if row := ds.Train.Neighbors(v); len(row) > 0 {
				v = row[r.IntN(len(row))]
			}
			in[v] = true
		}
	}
	var nodes, edges, degrees float64
	for v := range int32(want.nodes) {
		if !in[v] {
			continue
		}
		nodes++
		degrees += float64(ds.Train.Degree(v))
		for _, u := range ds.Train.Neighbors(v) {
			if in[u] {
				edges++
			}
		}
	}
	for _, q := range []struct {
		name      string
		got, want float64
	}{{"nodes", nodes, want.subNodes}, {"edges", edges, want.subEdges}, {"sum of training degrees", degrees, want.degreeSum}} {
		if math.Abs(q.got-q.want) > 0.2*q.want {
			t.Errorf("rw %d x %d: %s = %.0f, want %.0f within 20 %%", want.roots, want.depth, q.name, q.got, q.want)
		}
	}
}

func TestSplitEdges(t *testing.T) {
	ds, err := small(t).Generate(t.Context(), 2, Options{})
	if err != nil {
		t.Fatal(err)
	}
	role := roles(ds)
	for v := range int32(ds.Full.NumNodes()) {
		for _, u := range ds.Full.Neighbors(v) {
			if role[v] != role[u] {
				t.Fatalf("edge (%d, %d) joins two roles", v, u)
			}
		}
	}
}

// TestFeatures classifies by the nearest class centroid, which needs no training loop: by a
// node's own features, and by the mean over its neighbourhood.
func TestFeatures(t *testing.T) {
	ds := generate(t, "tiny", 1)
	for i, x := range ds.Features {
		if math.IsNaN(float64(x)) || math.Abs(float64(x)) > 30 {
			t.Fatalf("feature value %d = %v, want a moderate number", i, x)
		}
	}
	own := centroidAccuracy(ds, ds.Features)
	near := centroidAccuracy(ds, averaged(ds, averaged(ds, ds.Features)))
	if own < 0.35 || own > 0.7 {
		t.Errorf("accuracy from own features = %.3f, want 0.35 to 0.7", own)
	}
	if near < own+0.15 || near > 0.98 {
		t.Errorf("accuracy from averaged features = %.3f, want at least 0.15 above %.3f and at most 0.98", near, own)
	}
}

// averaged returns the mean over each node and its neighbours.
func averaged(ds *formats.RawDataset, x []float32) []float32 {
	out := slices.Clone(x)
	for v := range int32(ds.Full.NumNodes()) {
		row := out[int(v)*ds.Dim:][:ds.Dim]
		for _, u := range ds.Full.Neighbors(v) {
			for j := range row {
				row[j] += x[int(u)*ds.Dim+j]
			}
		}
		for j := range row {
			row[j] /= float32(ds.Full.Degree(v) + 1)
		}
	}
	return out
}

func centroidAccuracy(ds *formats.RawDataset, x []float32) float64 {
	f := ds.Dim
	centroid := make([]float64, ds.Labels.NumClasses*f)
	count := make([]float64, ds.Labels.NumClasses)
	for _, v := range ds.TrainNodes {
		count[ds.Labels.Class[v]]++
	}
	for _, v := range ds.TrainNodes {
		k := int(ds.Labels.Class[v])
		for j := range f {
			centroid[k*f+j] += float64(x[int(v)*f+j]) / count[k]
		}
	}
	right := 0.0
	for _, v := range ds.TestNodes {
		best, bestDist := 0, math.Inf(1)
		for k := range count {
			dist := 0.0
			for j := range f {
				d := float64(x[int(v)*f+j]) - centroid[k*f+j]
				dist += d * d
			}
			if dist < bestDist {
				best, bestDist = k, dist
			}
		}
		if int32(best) == ds.Labels.Class[v] {
			right++
		}
	}
	return right / float64(len(ds.TestNodes))
}

func TestParse(t *testing.T) {
	tests := []struct {
		spec, name string
		seed       uint64
		wantErr    []string // parts of the message; nil: no error
	}{
		{spec: "synth:tiny", name: "tiny", seed: 1},
		{spec: "synth:reddit-like?seed=42", name: "reddit-like", seed: 42},
		{spec: "synth:tiny?seed=0", name: "tiny", seed: 0},
		{spec: "synth:tiny?seed=18446744073709551615", name: "tiny", seed: math.MaxUint64},
		{spec: "tiny", wantErr: []string{"want synth:NAME or synth:NAME?seed=K"}},
		{spec: "", wantErr: []string{"want synth:NAME"}},
		{spec: "synth:", wantErr: []string{`unknown generated graph ""`, "known: tiny, ppi-like"}},
		{spec: "synth:redit-like", wantErr: []string{"did you mean reddit-like?", "known: tiny, ppi-like, flickr-like, reddit-like, yelp-like"}},
		{spec: "synth:flickr", wantErr: []string{"did you mean flickr-like?"}},
		{spec: "synth:Tiny", wantErr: []string{"did you mean tiny?"}},
		{spec: "synth:" + strings.Repeat("x", 100_000), wantErr: []string{"unknown generated graph"}},
		{spec: "synth:zzzzzzzzz", wantErr: []string{`"zzzzzzzzz" (known:`}},
		{spec: "synth:tiny?", wantErr: []string{`unknown option ""`, "synth:tiny?seed=7"}},
		{spec: "synth:tiny?sed=3", wantErr: []string{`unknown option "sed"`}},
		{spec: "synth:tiny?seed=", wantErr: []string{`bad seed ""`}},
		{spec: "synth:tiny?seed=-1", wantErr: []string{`bad seed "-1"`, "whole number"}},
		{spec: "synth:tiny?seed=1.5", wantErr: []string{`bad seed "1.5"`}},
		{spec: "synth:tiny?seed=18446744073709551616", wantErr: []string{"bad seed"}},
		{spec: "synth:tiny?seed=1&seed=2", wantErr: []string{`bad seed "1&seed=2"`}},
	}
	for _, tt := range tests {
		name, seed, err := Parse(tt.spec)
		if tt.wantErr == nil {
			if err != nil || name != tt.name || seed != tt.seed {
				t.Errorf("Parse(%q) = %q, %d, %v, want %q, %d", tt.spec, name, seed, err, tt.name, tt.seed)
			}
			continue
		}
		var input *formats.InputError
		if !errors.As(err, &input) {
			t.Errorf("Parse(%.40q) error = %v, want an InputError", tt.spec, err)
			continue
		}
		for _, part := range tt.wantErr {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("Parse(%.40q) error = %.300q, want it to contain %q", tt.spec, err, part)
			}
		}
	}
}

// TestSomebodyTrains rounds a small share of few nodes.
func TestSomebodyTrains(t *testing.T) {
	p := Preset{Name: "two", Nodes: 2, Features: 1, Classes: 1, Train: 24, Communities: 1, Cut: 1}
	raw, err := p.Generate(t.Context(), 1, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Validate(); err != nil || len(raw.TrainNodes) != 1 {
		t.Errorf("%d training nodes, %v, want 1", len(raw.TrainNodes), err)
	}
}
