package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/saintdir"
	"github.com/saint-gnn/saint/formats/synth"
)

// graphOf builds a graph of n nodes from its directed edges.
func graphOf(n int, edges ...[2]int32) *formats.Graph {
	rows := make([][]int32, n)
	for _, e := range edges {
		if !slices.Contains(rows[e[0]], e[1]) {
			rows[e[0]] = append(rows[e[0]], e[1])
		}
	}
	g := &formats.Graph{Indptr: make([]int64, n+1), Indices: []int32{}}
	for v, row := range rows {
		slices.Sort(row)
		g.Indices = append(g.Indices, row...)
		g.Indptr[v+1] = int64(len(g.Indices))
	}
	return g
}

// both adds the reverse of every edge.
func both(edges ...[2]int32) [][2]int32 {
	for _, e := range slices.Clone(edges) {
		edges = append(edges, [2]int32{e[1], e[0]})
	}
	return edges
}

// small is a data set of 8 nodes: 0-3 train, 4-5 validation, 6 test, 7 in no split and
// isolated, as is 3 in the training graph.
func small() *formats.RawDataset {
	full := graphOf(8, both([2]int32{0, 1}, [2]int32{1, 2}, [2]int32{3, 4}, [2]int32{4, 5}, [2]int32{5, 6}, [2]int32{2, 2})...)
	return &formats.RawDataset{
		Name: "small", Full: full, Train: formats.Induced(full, []int32{0, 1, 2, 3}),
		Features:   []float32{1, 5, 2, 5, 3, 5, 0, 0, 1, 5, 7, 5, -4, 5, 0, 0},
		Dim:        2,
		Labels:     formats.Labels{NumClasses: 3, Class: []int32{0, 0, 1, 0, 0, 2, 1, -1}, Offset: 10},
		TrainNodes: []int32{0, 1, 2, 3}, ValNodes: []int32{4, 5}, TestNodes: []int32{6},
	}
}

func compute(t *testing.T, raw *formats.RawDataset) *Report {
	t.Helper()
	r, err := Compute(context.Background(), raw, Options{})
	if err != nil {
		t.Fatalf("Compute: %v", err)
	}
	return r
}

func TestSmall(t *testing.T) {
	raw := small()
	before := slices.Clone(raw.Features)
	r := compute(t, raw)
	if !slices.Equal(raw.Features, before) {
		t.Errorf("Compute changed the features")
	}
	ds, err := small().Prepare()
	if err != nil {
		t.Fatal(err)
	}
	if r.Fingerprint != ds.Fingerprint {
		t.Errorf("fingerprint = %s, want that of training, %s", r.Fingerprint, ds.Fingerprint)
	}
	type numbers struct {
		nodes, isolated, empty, components, largest, max int
		edges, loops                                     int64
	}
	of := func(g *GraphStats) numbers {
		return numbers{g.Nodes, g.Isolated, g.NoNeighbors, g.Components.Count, g.Components.Largest, g.Degrees.Max, g.Edges, g.SelfLoops}
	}
	if got, want := of(&r.Full), (numbers{8, 1, 1, 3, 4, 2, 11, 1}); got != want {
		t.Errorf("full graph = %+v, want %+v", got, want)
	}
	if got, want := of(&r.Train), (numbers{4, 1, 1, 2, 3, 2, 5, 1}); got != want {
		t.Errorf("training graph = %+v, want %+v", got, want)
	}
	want := []SplitEdges{
		{Train, Train, 5},
		{Train, Validation, 1},
		{Validation, Train, 1},
		{Validation, Validation, 2},
		{Validation, Test, 1},
		{Test, Validation, 1},
	}
	if !slices.Equal(r.EdgesBetween, want) {
		t.Errorf("edges between splits = %v, want %v", r.EdgesBetween, want)
	}
	// Of the ten entries that are no self loop, those of 0-1 and 3-4 join equal classes.
	if r.Homophily == nil || *r.Homophily != 0.4 {
		t.Errorf("homophily = %v, want 0.4", r.Homophily)
	}
	s := &r.Splits[0]
	if s.MajorityClass != 10 || s.MajorityShare != 0.75 || s.GuessF1 != 0.75 || s.ClassesPresent != 2 {
		t.Errorf("training split = %+v, want class 10 at 3/4 of the nodes", s)
	}
	if !slices.Equal(r.Labels.AbsentFromTrain, []int64{12}) || r.Labels.Unlabelled != 1 || r.NoRole != 1 {
		t.Errorf("labels = %+v with %d nodes in no split, want class 12 absent, 1 unlabelled, 1", r.Labels, r.NoRole)
	}
	f := &r.Features
	if f.Min != -4 || f.Max != 7 || f.ZeroRows != 2 || !slices.Equal(f.ConstantInTrain, []int{1}) || f.TwinsInTrain != [2]int{1, 0} {
		t.Errorf("features = %+v", f)
	}
}

// plainStats finds components by the closure of reachability.
func plainStats(g *formats.Graph) (mirrored, isolated, components, largest int, degrees []int) {
	n := g.NumNodes()
	reach, degrees := closure(g)
	for v := range int32(n) {
		for _, u := range g.Neighbors(v) {
			if g.Find(u, v) >= 0 {
				mirrored++
			}
		}
	}
	for v := range n {
		size := 0
		for _, ok := range reach[v] {
			if ok {
				size++
			}
		}
		if size == 1 {
			isolated++
		}
		if slices.Index(reach[v], true) == v {
			components++
		}
		largest = max(largest, size)
	}
	return mirrored, isolated, components, largest, degrees
}

// closure returns which nodes reach which, whatever the direction, and the sorted degrees.
func closure(g *formats.Graph) (reach [][]bool, degrees []int) {
	n := g.NumNodes()
	reach, degrees = make([][]bool, n), make([]int, n)
	for v := range reach {
		reach[v] = make([]bool, n)
	}
	for v := range int32(n) {
		reach[v][v], degrees[v] = true, g.Degree(v)
		for _, u := range g.Neighbors(v) {
			reach[v][u], reach[u][v] = true, true
		}
	}
	for k := range n {
		for i := range n {
			for j := range n {
				reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
			}
		}
	}
	slices.Sort(degrees)
	return reach, degrees
}

// TestRandomGraphs compares with the plainest way to compute each number.
func TestRandomGraphs(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		n := 1 + rnd.IntN(40)
		var edges [][2]int32
		for range rnd.IntN(2 * n) {
			edges = append(edges, [2]int32{rnd.Int32N(int32(n)), rnd.Int32N(int32(n))})
		}
		if seed%2 == 0 {
			edges = both(edges...)
		}
		g := graphOf(n, edges...)
		nodes := make([]int32, n)
		for v := range nodes {
			nodes[v] = int32(v)
		}
		got := graphStats(g, nodes, nil)
		mirrored, isolated, components, largest, degrees := plainStats(g)
		rank := func(percent int) int { return degrees[max(0, (percent*n+99)/100-1)] }
		d := got.Degrees
		if d.Min != degrees[0] || d.P25 != rank(25) || d.P50 != rank(50) || d.P99 != rank(99) || d.Max != degrees[n-1] {
			t.Errorf("seed %d: degrees = %+v, want quantiles of %v", seed, d, degrees)
		}
		if got.Components.Count != components || got.Components.Largest != largest || got.Isolated != isolated {
			t.Errorf("seed %d: %+v isolated %d, want %d components, largest %d, isolated %d", seed, got.Components, got.Isolated, components, largest, isolated)
		}
		if want := float64(mirrored) / max(1, float64(g.NumEdges())); g.NumEdges() > 0 && got.Reciprocal != want || got.Symmetric != (got.Reciprocal == 1) {
			t.Errorf("seed %d: reciprocal %v, symmetric %v, want %v", seed, got.Reciprocal, got.Symmetric, want)
		}
	}
}

func TestCompareEdges(t *testing.T) {
	full := graphOf(4, both([2]int32{0, 1}, [2]int32{1, 2}, [2]int32{2, 3})...)
	train := graphOf(4, both([2]int32{0, 1}, [2]int32{0, 2})...)
	extra, missing := compareEdges(train, full, []uint8{0, 0, 0, 1})
	if extra != 2 || missing != 2 {
		t.Errorf("compareEdges = %d, %d, want 2, 2", extra, missing)
	}
}

func TestMultiLabel(t *testing.T) {
	full := graphOf(4, both([2]int32{0, 1}, [2]int32{1, 2}, [2]int32{2, 3})...)
	raw := &formats.RawDataset{
		Name: "multi", Full: full, Train: formats.Induced(full, []int32{0, 1, 2}), Features: []float32{1, 2, 3, 4}, Dim: 1,
		Labels:     formats.Labels{NumClasses: 3, Multi: []uint8{1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}},
		TrainNodes: []int32{0, 1, 2}, ValNodes: []int32{3}, TestNodes: []int32{},
	}
	r := compute(t, raw)
	// 0-1 share one of two labels, 1-2 none of one, 2-3 have none and do not count.
	if want := (0.5 + 0) / 2; r.Homophily == nil || *r.Homophily != want || r.HomophilyByChance != nil {
		t.Errorf("homophily = %v, want %v", r.Homophily, want)
	}
	// Answering class 0 everywhere: 2 hits of 3 answers and 3 labels.
	if want := 2 * 2.0 / (3 + 3); math.Abs(r.Splits[0].GuessF1-want) > 1e-15 {
		t.Errorf("guess = %v, want %v", r.Splits[0].GuessF1, want)
	}
	if r.Labels.Unlabelled != 2 || *r.Splits[0].LabelsPerNode != 1 || !slices.Equal(r.Labels.Unused, []int64{2}) {
		t.Errorf("labels = %+v", r.Labels)
	}
}

// setColumn overwrites a feature.
func setColumn(d *formats.RawDataset, j int, f func(v int) float32) {
	for v := range d.Full.NumNodes() {
		d.Features[v*d.Dim+j] = f(v)
	}
}

// upper returns g with one direction of every edge.
func upper(g *formats.Graph) *formats.Graph {
	var edges [][2]int32
	for v := range int32(g.NumNodes()) {
		for _, u := range g.Neighbors(v) {
			if u > v {
				edges = append(edges, [2]int32{v, u})
			}
		}
	}
	return graphOf(g.NumNodes(), edges...)
}

// setGraph gives d another undirected graph.
func setGraph(d *formats.RawDataset, edges ...[2]int32) {
	d.Full = graphOf(d.Full.NumNodes(), both(edges...)...)
	d.Train = formats.Induced(d.Full, d.TrainNodes)
}

// chain returns the edges between neighbouring ids that are not multiples of every.
func chain(n, every int) (edges [][2]int32) {
	for v := 1; v < n; v++ {
		if v%every != 0 {
			edges = append(edges, [2]int32{int32(v - 1), int32(v)})
		}
	}
	return edges
}

// fromFolder writes d to a folder and looks at that, with features that stay in their file.
func fromFolder(t *testing.T, d *formats.RawDataset) *Report {
	t.Helper()
	dir := filepath.Join(t.TempDir(), d.Name)
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := saintdir.Write(dir, d); err != nil {
		t.Fatal(err)
	}
	folder, err := saintdir.Open(dir, saintdir.Options{MaxResident: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	r, err := ComputeFrom(t.Context(), folder.Raw, folder.Features, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFindings damages a healthy data set in one way at a time.
func TestFindings(t *testing.T) {
	healthy, err := synth.Generate(context.Background(), "tiny", 1, synth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want   string
		damage func(d *formats.RawDataset)
	}{
		{"", func(*formats.RawDataset) {}},
		{"validation_empty", func(d *formats.RawDataset) { d.ValNodes = nil }},
		{"test_empty", func(d *formats.RawDataset) { d.TestNodes = nil }},
		{"train_no_edges", func(d *formats.RawDataset) { d.Train = graphOf(d.Full.NumNodes()) }},
		{"train_isolated", func(d *formats.RawDataset) {
			d.Train = formats.Induced(d.Full, d.TrainNodes[:len(d.TrainNodes)/2])
		}},
		{"train_edges_missing", func(d *formats.RawDataset) {
			d.Train = formats.Induced(d.Full, d.TrainNodes[1:])
		}},
		{"train_edges_not_in_full", func(d *formats.RawDataset) { d.Full = graphOf(d.Full.NumNodes()) }},
		{"directed", func(d *formats.RawDataset) { d.Full, d.Train = upper(d.Full), upper(d.Train) }},
		{"train_directed", func(d *formats.RawDataset) { d.Train = upper(d.Train) }},
		{"classes_absent_from_train", func(d *formats.RawDataset) {
			for _, v := range d.TrainNodes {
				d.Labels.Class[v] = min(3, d.Labels.Class[v])
			}
		}},
		{"unused_classes", func(d *formats.RawDataset) {
			for v, c := range d.Labels.Class {
				if c == 2 {
					d.Labels.Class[v] = 0
				}
			}
		}},
		{"majority", func(d *formats.RawDataset) {
			for v, c := range d.Labels.Class {
				d.Labels.Class[v] = max(0, c-2)
			}
		}},
		{"one_class", func(d *formats.RawDataset) { clear(d.Labels.Class) }},
		{"self_loops", func(d *formats.RawDataset) {
			setGraph(d, append(chain(d.Full.NumNodes(), 1<<20), [2]int32{3, 3})...)
		}},
		{"scattered", func(d *formats.RawDataset) { setGraph(d, chain(d.Full.NumNodes(), 10)...) }},
		{"hubs", func(d *formats.RawDataset) {
			var edges [][2]int32
			for _, v := range d.TrainNodes[1:] {
				edges = append(edges, [2]int32{d.TrainNodes[0], v})
			}
			setGraph(d, edges...)
		}},
		{"unlabelled", func(d *formats.RawDataset) {
			d.TrainNodes = d.TrainNodes[:300]
			setGraph(d, chain(d.Full.NumNodes(), 1<<20)...)
			d.ValNodes, d.TestNodes = d.ValNodes[:200], d.TestNodes[:200]
			for v := range d.Labels.Class {
				if !slices.Contains(d.TrainNodes, int32(v)) && !slices.Contains(d.ValNodes, int32(v)) && !slices.Contains(d.TestNodes, int32(v)) {
					d.Labels.Class[v] = -1
				}
			}
		}},
		{"heterophily", func(d *formats.RawDataset) {
			setGraph(d, chain(d.Full.NumNodes(), 1<<20)...)
			for v := range d.Labels.Class {
				d.Labels.Class[v] = int32(v % 2)
			}
		}},
		{"constant_columns", func(d *formats.RawDataset) { setColumn(d, 3, func(int) float32 { return 4 }) }},
		{"all_constant", func(d *formats.RawDataset) { clear(d.Features) }},
		{"constant_in_train_columns", func(d *formats.RawDataset) {
			setColumn(d, 3, func(v int) float32 {
				if _, ok := slices.BinarySearch(d.TrainNodes, int32(v)); ok {
					return 1
				}
				return float32(v)
			})
		}},
		{"outlier_columns", func(d *formats.RawDataset) { d.Features[int(d.TestNodes[0])*d.Dim] = 1e6 }},
		{"imprecise_columns", func(d *formats.RawDataset) {
			setColumn(d, 0, func(v int) float32 { return float32(1<<22 + v%8) })
		}},
		{"zero_rows", func(d *formats.RawDataset) { clear(d.Features[:300*d.Dim]) }},
		{"twins", func(d *formats.RawDataset) {
			for v := range 100 {
				copy(d.Features[v*d.Dim:(v+1)*d.Dim], d.Features[500*d.Dim:501*d.Dim])
			}
		}},
	} {
		name := c.want
		if name == "" {
			name = "healthy"
		}
		t.Run(name, func(t *testing.T) {
			d := *healthy
			d.Features, d.Labels.Class = slices.Clone(d.Features), slices.Clone(d.Labels.Class)
			c.damage(&d)
			r := compute(t, &d)
			var codes []string
			for _, f := range r.Warnings {
				codes = append(codes, f.Code)
			}
			if i := slices.IndexFunc(r.Warnings, isUntidy); i >= 0 {
				t.Errorf("finding %+v: want one line of message and of advice", r.Warnings[i])
			}
			if c.want == "" && len(codes) > 0 || c.want != "" && !slices.Contains(codes, c.want) {
				t.Errorf("findings = %v, want %q", codes, c.want)
			}
			d.Name = "folder"
			if r := fromFolder(t, &d); !slices.ContainsFunc(r.Warnings, func(f Finding) bool { return f.Code == c.want }) && c.want != "" {
				t.Errorf("findings of the folder = %+v, want %q", r.Warnings, c.want)
			}
		})
	}
}

// TestEveryCode looks for findings that the manual lists and TestFindings does not make.
func TestEveryCode(t *testing.T) {
	manual, err := os.ReadFile("../../docs/inspect.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("judge.go")
	if err != nil {
		t.Fatal(err)
	}
	test, err := os.ReadFile("inspect_test.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`r\.(?:warn|note)\("([a-z_]+)"`).FindAllSubmatch(source, -1)
	if len(codes) < 20 {
		t.Errorf("%d codes in judge.go, want at least 20", len(codes))
	}
	for _, c := range codes {
		if !strings.Contains(string(manual), "`"+string(c[1])+"`") {
			t.Errorf("docs/inspect.md does not explain %s", c[1])
		}
		if !strings.Contains(string(test), "{\""+string(c[1])+"\", func(") {
			t.Errorf("TestFindings does not make %s", c[1])
		}
	}
}

func isUntidy(f Finding) bool {
	return f.Message == "" || f.Advice == "" || strings.ContainsAny(f.Message+f.Advice, "\n")
}

func TestSameForAnyNumberOfProcessors(t *testing.T) {
	raw, err := synth.Generate(context.Background(), "ppi-like", 1, synth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := func() string {
		b, err := json.Marshal(compute(t, raw))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	want := text()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if got := text(); got != want {
		t.Errorf("one processor gives\n%s\nseveral\n%s", got, want)
	}
}

func TestErrors(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Compute(ctx, small(), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Compute with a cancelled context = %v, want %v", err, context.Canceled)
	}
	var input *formats.InputError
	for name, damage := range map[string]func(*formats.RawDataset){
		"ragged features": func(d *formats.RawDataset) { d.Features = d.Features[1:] },
		"no columns":      func(d *formats.RawDataset) { d.Dim = 0 },
		"NaN":             func(d *formats.RawDataset) { d.Features[3] = float32(math.NaN()) },
		"role":            func(d *formats.RawDataset) { d.ValNodes = []int32{0} },
		"training edge":   func(d *formats.RawDataset) { d.Train = d.Full },
	} {
		d := small()
		damage(d)
		if _, err := Compute(context.Background(), d, Options{}); !errors.As(err, &input) {
			t.Errorf("%s: Compute = %v, want a *formats.InputError", name, err)
		}
	}
}

// onlyRows is a store of features that are not in memory.
type onlyRows struct {
	m    *formats.Matrix
	fail int32 // row that cannot be read
}

func (s onlyRows) Rows() int { return s.m.Rows() }
func (s onlyRows) Dim() int  { return s.m.Dim() }
func (s onlyRows) Gather(dst []float32, ids []int32) error {
	if slices.Contains(ids, s.fail) {
		return errors.New("bad disk")
	}
	return s.m.Gather(dst, ids)
}

// TestFromRows gets the same report from features that stay where they are.
func TestFromRows(t *testing.T) {
	raw, err := synth.Generate(context.Background(), "ppi-like", 1, synth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	copy(raw.Features[raw.Dim*int(raw.ValNodes[0]):], raw.Features[raw.Dim*int(raw.TrainNodes[0]):raw.Dim*int(raw.TrainNodes[0]+1)])
	want := compute(t, raw)
	src := onlyRows{formats.NewMatrix(raw.Features, raw.Dim), -1}
	raw.Features = nil
	got, err := ComputeFrom(context.Background(), raw, src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if string(a) != string(b) || got.Features.TwinsInTrain[0] == 0 {
		t.Errorf("ComputeFrom =\n%s\nwant\n%s", a, b)
	}
	src.fail = 7
	if _, err := ComputeFrom(context.Background(), raw, src, Options{}); err == nil || !strings.Contains(err.Error(), "bad disk") {
		t.Errorf("ComputeFrom of rows that cannot be read = %v, want bad disk", err)
	}
}
