package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/npz"
	"github.com/saint-gnn/saint/formats/saintdir"
)

// original is a directed graph that is written in every format.
type original struct {
	n, tasks int // tasks 1: a class of 3
	src, dst []int32
	x        []float32 // two columns
	y        []int32   // of a row of tasks
	role     []assemble.Role
	graph    *formats.Graph // the source of an edge is its row
}

func newOriginal(t *testing.T, n, edges, tasks int) *original {
	t.Helper()
	random := rand.New(rand.NewPCG(1, uint64(tasks)))
	g := &original{n: n, tasks: tasks}
	seen := map[[2]int32]bool{}
	for len(g.src) < edges {
		e := [2]int32{random.Int32N(int32(n)), random.Int32N(int32(n))}
		if e[0] == e[1] || seen[e] {
			continue
		}
		seen[e] = true
		g.src, g.dst = append(g.src, e[0]), append(g.dst, e[1])
	}
	for v := range n {
		g.x = append(g.x, float32(v%3)+float32(random.NormFloat64()), float32(random.NormFloat64()))
		g.role = append(g.role, []assemble.Role{assemble.Train, assemble.Train, assemble.Train, assemble.Val, assemble.Test}[v%5])
		for k := range tasks {
			if tasks == 1 {
				g.y = append(g.y, int32(v%3))
			} else {
				g.y = append(g.y, int32(v>>k&1))
			}
		}
	}
	var err error
	g.graph, _, err = assemble.Graph(t.Context(), n, &assemble.Edges{Src: slices.Clone(g.src), Dst: slices.Clone(g.dst)}, assemble.GraphOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// textLines writes one line for each of count items.
func textLines(count int, line func(b *bytes.Buffer, i int)) string {
	var b bytes.Buffer
	for i := range count {
		line(&b, i)
		b.WriteByte('\n')
	}
	return b.String()
}

func (g *original) label(b *bytes.Buffer, v int, between string) {
	for k, y := range g.y[v*g.tasks : (v+1)*g.tasks] {
		if k > 0 {
			b.WriteString(between)
		}
		fmt.Fprint(b, y)
	}
}

// splits writes OGB's split of that name.
func (g *original) splits(t *testing.T, dir, name string) {
	t.Helper()
	for role, file := range map[assemble.Role]string{assemble.Train: "train", assemble.Val: "valid", assemble.Test: "test"} {
		var b strings.Builder
		for v, r := range g.role {
			if r == role {
				fmt.Fprintln(&b, v)
			}
		}
		writeGzip(t, dir, "split/"+name+"/"+file+".csv.gz", b.String())
	}
}

func (g *original) ogbText(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "arxiv")
	writeGzip(t, dir, "raw/edge.csv.gz", textLines(len(g.src), func(b *bytes.Buffer, i int) { fmt.Fprintf(b, "%d,%d", g.src[i], g.dst[i]) }))
	writeGzip(t, dir, "raw/node-feat.csv.gz", textLines(g.n, func(b *bytes.Buffer, v int) { fmt.Fprintf(b, "%v,%v", g.x[2*v], g.x[2*v+1]) }))
	writeGzip(t, dir, "raw/node-label.csv.gz", textLines(g.n, func(b *bytes.Buffer, v int) { g.label(b, v, ",") }))
	writeGzip(t, dir, "raw/num-node-list.csv.gz", fmt.Sprintln(g.n))
	writeGzip(t, dir, "raw/num-edge-list.csv.gz", fmt.Sprintln(len(g.src)))
	g.splits(t, dir, "time")
	return dir
}

// ogbData writes the binary form; nodes without a role have no label in it.
func (g *original) ogbData(t *testing.T, name string) string {
	dir := filepath.Join(t.TempDir(), name)
	labels := make([]float32, len(g.y))
	for i, y := range g.y {
		labels[i] = float32(y)
		if g.role[i/g.tasks] == assemble.NoRole {
			labels[i] = float32(math.NaN())
		}
	}
	g.splits(t, dir, "time")
	if err := os.Mkdir(filepath.Join(dir, "raw"), 0o777); err != nil {
		t.Fatal(err)
	}
	writeArchive(t, filepath.Join(dir, "raw", "data.npz"),
		npz.Entry{Name: "num_nodes_list", Shape: []int{1}, Data: []int64{int64(g.n)}},
		npz.Entry{Name: "num_edges_list", Shape: []int{1}, Data: []int64{int64(len(g.src))}},
		npz.Entry{Name: "edge_index", Shape: []int{2, len(g.src)}, Data: slices.Concat(g.src, g.dst)},
		npz.Entry{Name: "node_feat", Shape: []int{g.n, 2}, Data: g.x})
	writeArchive(t, filepath.Join(dir, "raw", "node-label.npz"), npz.Entry{Name: "node_label", Shape: []int{g.n, g.tasks}, Data: labels})
	return dir
}

func writeArchive(t *testing.T, path string, entries ...npz.Entry) {
	t.Helper()
	if err := npz.WriteFile(path, true, entries); err != nil {
		t.Fatal(err)
	}
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (g *original) graphSAGE(t *testing.T) string {
	dir := t.TempDir()
	ids, classes := map[string]int{}, map[string]any{}
	var nodes, links []string
	for v := range g.n {
		id := fmt.Sprintf("paper %d", v)
		ids[id] = v
		nodes = append(nodes, fmt.Sprintf(`{"id": %q, "val": %t, "test": %t}`, id, g.role[v] == assemble.Val, g.role[v] == assemble.Test))
		if classes[id] = any(g.y[v*g.tasks : (v+1)*g.tasks]); g.tasks == 1 {
			classes[id] = g.y[v]
		}
	}
	for i, u := range g.src {
		links = append(links, fmt.Sprintf(`{"source": "paper %d", "target": "paper %d"}`, u, g.dst[i]))
	}
	writeJSON(t, filepath.Join(dir, "x-id_map.json"), ids)
	writeJSON(t, filepath.Join(dir, "x-class_map.json"), classes)
	graph := `{"directed": true, "nodes": [` + strings.Join(nodes, ", ") + `], "links": [` + strings.Join(links, ", ") + `]}`
	if err := os.WriteFile(filepath.Join(dir, "x-G.json"), []byte(graph), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := npy.WriteFile(filepath.Join(dir, "x-feats.npy"), []int{g.n, 2}, g.x); err != nil {
		t.Fatal(err)
	}
	return dir
}

// nodeName is an id that is text; the order of names is that of the nodes.
func nodeName(v int32) string { return fmt.Sprintf("node-%06d", v) }

// lists returns the flags of edgelist for files of text, but not --in.
func (g *original) lists(t *testing.T) []string {
	return []string{
		"--directed",
		"--feats", writeFile(t, "x.csv", textLines(g.n, func(b *bytes.Buffer, v int) { fmt.Fprintf(b, "%s,%v,%v", nodeName(int32(v)), g.x[2*v], g.x[2*v+1]) })),
		"--labels", writeFile(t, "y.tsv", textLines(g.n, func(b *bytes.Buffer, v int) { b.WriteString(nodeName(int32(v)) + "\t"); g.label(b, v, "\t") })),
		"--split", writeFile(t, "roles.txt", textLines(g.n, func(b *bytes.Buffer, v int) { b.WriteString(nodeName(int32(v)) + " " + g.role[v].String()) })),
	}
}

func (g *original) edgeText(t *testing.T) string {
	return writeFile(t, "edges.csv", "from,to\n"+textLines(len(g.src), func(b *bytes.Buffer, i int) { b.WriteString(nodeName(g.src[i]) + "," + nodeName(g.dst[i])) }))
}

func (g *original) edgeTable(t *testing.T) string {
	src, dst := array.NewStringBuilder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
	for i, u := range g.src {
		src.Append(nodeName(u))
		dst.Append(nodeName(g.dst[i]))
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "dst", Type: arrow.BinaryTypes.String}, {Name: "src", Type: arrow.BinaryTypes.String}}, nil)
	path := filepath.Join(t.TempDir(), "edges.parquet")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pqarrow.NewFileWriter(schema, f, nil, pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(array.NewRecord(schema, []arrow.Array{dst.NewArray(), src.NewArray()}, int64(len(g.src)))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// labelArray returns the labels as PyTorch Geometric and DGL have them.
func (g *original) labelArray(name string) npz.Entry {
	if g.tasks == 1 {
		return npz.Entry{Name: name, Shape: []int{g.n}, Data: g.y}
	}
	return npz.Entry{Name: name, Shape: []int{g.n, g.tasks}, Data: g.y}
}

func (g *original) arrays(t *testing.T) string {
	entries := []npz.Entry{
		{Name: "edge_index", Shape: []int{2, len(g.src)}, Data: slices.Concat(g.src, g.dst)},
		{Name: "x", Shape: []int{g.n, 2}, Data: g.x},
		g.labelArray("y"),
	}
	for role, key := range map[assemble.Role]string{assemble.Train: "train_mask", assemble.Val: "val_mask", assemble.Test: "test_mask"} {
		mask := make([]bool, g.n)
		for v, r := range g.role {
			mask[v] = r == role
		}
		entries = append(entries, npz.Entry{Name: key, Shape: []int{g.n}, Data: mask})
	}
	path := filepath.Join(t.TempDir(), "data.npz")
	writeArchive(t, path, entries...)
	return path
}

func (g *original) shchur(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "coauthor.npz")
	writeArchive(t, path,
		npz.Entry{Name: "adj_shape", Shape: []int{2}, Data: []int64{int64(g.n), int64(g.n)}},
		npz.Entry{Name: "adj_indptr", Shape: []int{g.n + 1}, Data: g.graph.Indptr},
		npz.Entry{Name: "adj_indices", Shape: []int{len(g.graph.Indices)}, Data: g.graph.Indices},
		npz.Entry{Name: "adj_data", Shape: []int{len(g.graph.Indices)}, Data: make([]float32, len(g.graph.Indices))},
		npz.Entry{Name: "attr_matrix", Shape: []int{g.n, 2}, Data: g.x},
		g.labelArray("labels"))
	return path
}

// check loads the folder, compares it with the original, or its edges turned round, and trains on it.
func (g *original) check(t *testing.T, out string, turned bool) {
	t.Helper()
	raw, err := saintdir.LoadRaw(out, saintdir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := g.graph
	if turned {
		want = want.Transpose()
	}
	if !slices.Equal(raw.Full.Indptr, want.Indptr) || !slices.Equal(raw.Full.Indices, want.Indices) {
		t.Errorf("the graph is another one: %d edges, want %d", raw.Full.NumEdges(), want.NumEdges())
	}
	if !slices.Equal(raw.Features, g.x) {
		t.Error("the features are others")
	}
	for v, role := range g.role {
		if role == assemble.NoRole {
			continue
		}
		if got := slices.Contains(raw.TrainNodes, int32(v)); got != (role == assemble.Train) && !strings.Contains(t.Name(), "coauthor") {
			t.Fatalf("node %d has another role", v)
		}
		if g.tasks == 1 && raw.Labels.Class[v] != g.y[v] {
			t.Fatalf("node %d has class %d, want %d", v, raw.Labels.Class[v], g.y[v])
		}
		for k := range g.tasks {
			if g.tasks > 1 && int32(raw.Labels.Row(int32(v))[k]) != g.y[v*g.tasks+k] {
				t.Fatalf("node %d has labels %v", v, raw.Labels.Row(int32(v)))
			}
		}
	}
	loss := "softmax"
	if g.tasks > 1 {
		loss = "sigmoid"
	}
	o := must(t, "train", "--data_prefix", out, "--train_config", writeConfig(t, loss, "1"), "--gpu", "-1", "--run_dir", filepath.Join(t.TempDir(), "run"), "--json")
	if line := o.last(t); line["type"] != "result" || line["epochs"] != 1.0 {
		t.Errorf("training ends with %v", line)
	}
}

// TestTrainOnEveryFormat converts one directed graph from every format, which gives the same
// matrix, and trains on each folder.
func TestTrainOnEveryFormat(t *testing.T) {
	for _, tasks := range []int{1, 4} {
		g := newOriginal(t, 300, 2500, tasks)
		lists := g.lists(t)
		first := filepath.Join(t.TempDir(), "first")
		must(t, "convert", "arrays", "--in", g.arrays(t), "--out", first)
		cpp, tables := filepath.Join(t.TempDir(), "cpp"), filepath.Join(t.TempDir(), "tables")
		must(t, "convert", "to-cpp", "--in", first, "--out", cpp)
		must(t, "convert", "to-tables", "--in", first, "--out", tables)
		for _, c := range []struct {
			name string
			args []string
			said string
		}{
			{"ogb text", []string{"ogb", "--in", g.ogbText(t), "--directed"}, "u aggregates from v"},
			{"ogb data", []string{"ogb", "--in", g.ogbData(t, "arxiv"), "--directed"}, "u aggregates from v"},
			{"ogb targets", []string{"ogb", "--in", g.ogbText(t), "--directed", "--rows", "target"}, "v aggregates from u"},
			{"graphsage", []string{"graphsage", "--in", g.graphSAGE(t)}, ""},
			{"edgelist csv", append([]string{"edgelist", "--in", g.edgeText(t)}, lists...), "the source of an edge aggregates from its target"},
			{"edgelist parquet", append([]string{"edgelist", "--in", g.edgeTable(t)}, lists...), "the source of an edge aggregates from its target"},
			{"edgelist targets", append([]string{"edgelist", "--in", g.edgeText(t), "--rows", "target"}, lists...), "the target of an edge aggregates from its source"},
			{"arrays", []string{"arrays", "--in", g.arrays(t)}, "--rows target"},
			{"arrays targets", []string{"arrays", "--in", g.arrays(t), "--rows", "target"}, "--rows source"},
			{"coauthor", []string{"shchur", "--in", g.shchur(t), "--directed"}, "--rows target"},
			{"cpp", []string{"cpp", "--in", cpp}, ""},
			{"tables", []string{"tables", "--in", tables}, "--rows target"},
		} {
			t.Run(fmt.Sprintf("%s %d", c.name, tasks), func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "out")
				o := must(t, slices.Concat([]string{"convert"}, c.args, []string{"--out", out})...)
				if !strings.Contains(o.stderr, c.said) {
					t.Errorf("stderr %q does not say %q", o.stderr, c.said)
				}
				g.check(t, out, strings.Contains(c.name, "targets"))
			})
		}
	}
}

// TestTrainOnPapers converts a set in ogbn-papers100M's form, of which most nodes have no
// label, with less memory than its edges need.
func TestTrainOnPapers(t *testing.T) {
	g := newOriginal(t, 4000, 600_000, 1)
	for v := range g.role {
		if v%4 > 0 {
			g.role[v] = assemble.NoRole
		}
	}
	out := filepath.Join(t.TempDir(), "ogbn-papers100M")
	o := must(t, "convert", "ogb", "--in", g.ogbData(t, "papers100M-bin"), "--out", out, "--directed", "--memory", "14MiB", "--num_cpu_core", "1", "--json")
	if !strings.Contains(o.stderr, "pass through files") {
		t.Errorf("stderr %q: the edges were in memory", o.stderr)
	}
	if line := o.last(t); line["unlabelled"] != 3000.0 || line["dataset"] != "ogbn-papers100M" {
		t.Errorf("convert printed %v, want 3000 nodes without a label", line)
	}
	for _, file := range []string{"labels.npy", "role.npz"} {
		if _, err := os.Stat(filepath.Join(out, file)); err != nil {
			t.Error(err)
		}
	}
	g.check(t, out, false)
}
