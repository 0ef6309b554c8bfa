package ogb

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npz"
	"github.com/saint-gnn/saint/formats/saintdir"
)

// files is a set as it lies on disk: what is inside each gzip file, or the bytes of others.
type files map[string]string

// mini is a small set of known content.
type mini struct {
	files
	n      int
	edges  [][2]int32
	roles  []role
	feats  []float32
	labels []int32
}

// newMini makes a set with self loops, an edge in both directions and one that comes twice.
func newMini(split string, columns, tasks int) *mini {
	random := rand.New(rand.NewPCG(7, 7))
	m := &mini{files: files{}, n: 20}
	for range 50 {
		m.edges = append(m.edges, [2]int32{random.Int32N(20), random.Int32N(20)})
	}
	m.edges = append(m.edges, [2]int32{3, 3}, [2]int32{4, 5}, [2]int32{5, 4}, [2]int32{4, 5})
	for v := range m.n {
		m.roles = append(m.roles, []role{trainRole, trainRole, validRole, testRole, noRole}[v%5])
	}
	for range m.n * columns {
		m.feats = append(m.feats, float32(random.NormFloat64()))
	}
	for i := range m.n * tasks {
		m.labels = append(m.labels, int32(i)%7)
		if tasks > 1 {
			m.labels[i] = random.Int32N(2)
		}
	}
	for i, name := range splitFiles {
		var ids []int32
		for v, r := range m.roles {
			if r == role(i+1) {
				ids = append(ids, int32(v))
			}
		}
		m.files["split/"+split+"/"+name+".csv.gz"] = table(ids, 1)
	}
	return m
}

// table writes values as CSV.
func table[T int32 | float32](values []T, columns int) string {
	var b strings.Builder
	for i, x := range values {
		end := ','
		if (i+1)%columns == 0 {
			end = '\n'
		}
		fmt.Fprintf(&b, "%v%c", x, end)
	}
	return b.String()
}

// text adds the files of the CSV form.
func (m *mini) text(tasks int) *mini {
	flat := make([]int32, 0, 2*len(m.edges))
	for _, e := range m.edges {
		flat = append(flat, e[0], e[1])
	}
	m.files[edgeFile] = table(flat, 2)
	m.files[labelFile] = table(m.labels, tasks)
	m.files[numNodesFile] = fmt.Sprintf("%d\n", m.n)
	m.files[numEdgesFile] = fmt.Sprintf("%d\n", len(m.edges))
	return m
}

// packed returns the bytes of the file of that name.
func (f files) packed(name string) []byte {
	if !strings.HasSuffix(name, ".gz") || strings.HasPrefix(f[name], "raw:") {
		return []byte(strings.TrimPrefix(f[name], "raw:"))
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(f[name]))
	z.Close() // a buffer takes all
	return b.Bytes()
}

// folder writes the files below a folder of that name.
func (f files) folder(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	for file := range f {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.packed(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// zip writes the files below a folder of an archive.
func (f files) zip(t testing.TB, archive, folder string, method uint16) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for file := range f {
		w, err := z.CreateHeader(&zip.FileHeader{Name: folder + "/" + file, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		w.Write(f.packed(file))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), archive)
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// archive returns the bytes of a .npz file.
func archive(t testing.TB, compress bool, entries ...npz.Entry) string {
	t.Helper()
	var b bytes.Buffer
	if err := npz.Write(&b, compress, entries); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// check compares a converted folder with the set.
func (m *mini) check(t *testing.T, out string, undirected bool) *formats.RawDataset {
	t.Helper()
	checkMatrices(t, out, entries(m.edges, undirected), m.roles)
	raw, err := saintdir.LoadRaw(out, saintdir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(raw.Features, m.feats) {
		t.Errorf("features %v, want %v", raw.Features, m.feats)
	}
	for i, nodes := range [][]int32{raw.TrainNodes, raw.ValNodes, raw.TestNodes} {
		for v, r := range m.roles {
			if slices.Contains(nodes, int32(v)) != (r == role(i+1)) {
				t.Errorf("node %d is in the wrong role", v)
			}
		}
	}
	got := raw.Labels.Class
	if raw.Labels.IsMulti() {
		got = nil
		for _, b := range raw.Labels.Multi {
			got = append(got, int32(b))
		}
	}
	if !slices.Equal(got, m.labels) {
		t.Errorf("labels %v, want %v", got, m.labels)
	}
	return raw
}

// products, arxiv, proteins and papers are small sets of the form of the real ones.
func products() *mini {
	m := newMini("sales_ranking", 3, 1).text(1)
	m.files[nodeFeatFile] = table(m.feats, 3)
	return m
}

func arxivMini() *mini {
	m := newMini("time", 4, 1).text(1)
	m.files[nodeFeatFile] = strings.ReplaceAll(table(m.feats, 4), "\n", "\r\n")
	m.files["raw/node_year.csv.gz"] = "2001\n"
	return m
}

func proteins() *mini {
	const tasks, columns = 112, 8
	m := newMini("species", columns, tasks).text(tasks)
	random := rand.New(rand.NewPCG(3, 3))
	x := make([]float32, len(m.edges)*columns)
	for i := range x {
		x[i] = random.Float32()
	}
	m.files[edgeFeatFile] = table(x, columns)
	m.meanOf(x, columns, true)
	return m
}

// meanOf sets the features to the means of those of the edges at a node.
func (m *mini) meanOf(x []float32, columns int, undirected bool) {
	for v := range int32(m.n) {
		for j := range columns {
			sum, count := 0.0, 0.0
			for i, e := range m.edges {
				if e[1] == v {
					sum, count = sum+float64(x[i*columns+j]), count+1
				}
				if undirected && e[0] == v {
					sum, count = sum+float64(x[i*columns+j]), count+1
				}
			}
			m.feats[int(v)*columns+j] = float32(sum / max(1, count))
		}
	}
}

func papers(t testing.TB, compress bool) *mini {
	m := newMini("time", 5, 1)
	var ends [2][]int64
	for _, e := range m.edges {
		ends[0], ends[1] = append(ends[0], int64(e[0])), append(ends[1], int64(e[1]))
	}
	labels := make([]float32, m.n)
	for v := range labels {
		labels[v] = float32(m.labels[v])
		if m.roles[v] == noRole {
			labels[v], m.labels[v] = float32(math.NaN()), -1
		}
	}
	count := len(m.edges)
	m.files[dataFile] = archive(
		t, compress,
		npz.Entry{Name: "edge_index", Shape: []int{2, count}, Data: slices.Concat(ends[0], ends[1])},
		npz.Entry{Name: "num_nodes_list", Shape: []int{1}, Data: []int64{int64(m.n)}},
		npz.Entry{Name: "num_edges_list", Shape: []int{1}, Data: []int64{int64(count)}},
		npz.Entry{Name: "node_feat", Shape: []int{m.n, 5}, Data: m.feats},
		npz.Entry{Name: "node_year", Shape: []int{m.n, 1}, Data: make([]int64, m.n)},
	)
	m.files[labelDataFile] = archive(t, compress, npz.Entry{Name: "node_label", Shape: []int{m.n, 1}, Data: labels})
	return m
}

func TestSets(t *testing.T) {
	type set struct {
		name       string
		m          *mini
		in         string
		o          Options
		undirected bool
		files      string
	}
	five := "adj_full.npz adj_train.npz adj_val.npz class_map.json feats.npy role.json"
	arrays := "adj_full.npz adj_train.npz adj_val.npz feats.npy labels.npy role.npz"
	var sets []set
	add := func(name string, m *mini, in string, o Options, undirected bool, files string) {
		sets = append(sets, set{name, m, in, o, undirected, files})
	}
	p, a, q := products(), arxivMini(), proteins()
	stored, deflated := papers(t, false), papers(t, true)
	add("products", p, p.folder(t, "ogbn_products"), Options{}, true, five)
	add("products as downloaded", p, p.folder(t, "products"), Options{Workers: 1}, true, five)
	add("products.zip", p, p.zip(t, "products.zip", "products", zip.Deflate), Options{}, true, five)
	add("arxiv", a, a.folder(t, "arxiv"), Options{}, true, five)
	add("arxiv directed", a, a.folder(t, "ogbn_arxiv_nofeat"), Options{Direction: Directed}, false, five)
	add("proteins", q, q.folder(t, "ogbn-proteins"), Options{Workers: 3}, true, five)
	add("papers100M", stored, stored.folder(t, "papers100M-bin"), Options{}, true, arrays)
	add("papers100M directed", deflated, deflated.folder(t, "ogbn_papers100M"), Options{Direction: Directed}, false, arrays)
	add("papers100M.zip", deflated, deflated.zip(t, "x.zip", "papers100M-bin", zip.Deflate), Options{Workers: 2}, true, arrays)
	add("unknown name", p, p.folder(t, "mine"), Options{Direction: Undirected}, true, five)
	add("unknown split", p, p.folder(t, "mine"), Options{Direction: Directed, Split: "sales_ranking"}, false, five)
	for _, c := range sets {
		t.Run(c.name, func(t *testing.T) {
			steps := 0
			c.o.Progress = func(Step) { steps++ }
			out := filepath.Join(t.TempDir(), "out")
			s, err := Convert(t.Context(), c.in, out, c.o)
			if err != nil {
				t.Fatal(err)
			}
			c.m.check(t, out, c.undirected)
			if got := strings.Join(names(t, out), " "); got != c.files {
				t.Errorf("files %s, want %s", got, c.files)
			}
			if s.Undirected != c.undirected || s.Merged == 0 || s.SelfLoops == 0 || steps == 0 {
				t.Errorf("Summary = %+v after %d steps", s, steps)
			}
		})
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestProteinsDirected(t *testing.T) {
	m := proteins()
	x := make([]float32, 0)
	for _, f := range strings.FieldsFunc(m.files[edgeFeatFile], func(r rune) bool { return r == ',' || r == '\n' }) {
		v, n, ok := parseFloat([]byte(f))
		if !ok || n != len(f) {
			t.Fatalf("parseFloat(%q)", f)
		}
		x = append(x, float32(v))
	}
	m.meanOf(x, 8, false)
	out := filepath.Join(t.TempDir(), "out")
	if _, err := Convert(t.Context(), m.folder(t, "proteinfunc_v4"), out, Options{Direction: Directed}); err != nil {
		t.Fatal(err)
	}
	m.check(t, out, false)
}

// TestChosenSplit takes another split than the set's own, from a folder and from an archive.
func TestChosenSplit(t *testing.T) {
	m := products()
	for i, name := range splitFiles {
		m.files["split/mine/"+name+".csv.gz"] = fmt.Sprintf("%d\n", 18-i)
	}
	for in, form := range map[string]string{m.folder(t, "products"): "folder", m.zip(t, "products.zip", "products", zip.Deflate): "archive"} {
		for split, want := range map[string][3]int{"": {8, 4, 4}, "sales_ranking": {8, 4, 4}, "mine": {1, 1, 1}} {
			s, err := Convert(t.Context(), in, filepath.Join(t.TempDir(), "out"), Options{Split: split})
			if err != nil {
				t.Fatal(err)
			}
			if got := [3]int{s.Train, s.Val, s.Test}; got != want || split != "" && s.Split != split {
				t.Errorf("%s, split %q: %s with %v nodes, want %v", form, split, s.Split, got, want)
			}
		}
	}
}

// TestTargetRows turns the edges of directed sets round, also where they pass through files.
func TestTargetRows(t *testing.T) {
	a, b := arxivMini(), papers(t, true)
	for name, c := range map[string]struct {
		m  *mini
		in string
		o  Options
	}{
		"text":         {a, a.folder(t, "arxiv"), Options{Direction: Directed, TargetRows: true}},
		"binary":       {b, b.folder(t, "papers100M-bin"), Options{Direction: Directed, TargetRows: true}},
		"no effect on": {a, a.folder(t, "arxiv"), Options{TargetRows: true}},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			s, err := Convert(t.Context(), c.in, out, c.o)
			if err != nil {
				t.Fatal(err)
			}
			m := *c.m
			m.edges = slices.Clone(m.edges)
			for i, e := range m.edges {
				m.edges[i] = [2]int32{e[1], e[0]}
			}
			m.check(t, out, s.Undirected)
		})
	}
}

// TestSameBytes converts with other numbers of workers.
func TestSameBytes(t *testing.T) {
	m := products()
	in := m.folder(t, "products")
	var want map[string]string
	for _, o := range []Options{{Workers: 1}, {Workers: 7}} {
		out := filepath.Join(t.TempDir(), "out")
		if _, err := Convert(t.Context(), in, out, o); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, name := range names(t, out) {
			raw, err := os.ReadFile(filepath.Join(out, name))
			if err != nil {
				t.Fatal(err)
			}
			got[name] = string(raw)
		}
		if want == nil {
			want = got
		}
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("%+v: %s differs", o, name)
			}
		}
	}
}

func TestNotes(t *testing.T) {
	var notes, warnings []string
	o := Options{Note: func(m string) { notes = append(notes, m) }, Warn: func(m string) { warnings = append(warnings, m) }}
	if _, err := Convert(t.Context(), arxivMini().folder(t, "arxiv"), filepath.Join(t.TempDir(), "out"), o); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(notes, "\n"); !strings.Contains(got, "edges are directed; the inverse of every edge is added") {
		t.Errorf("notes: %s", got)
	}
	got := strings.Join(warnings, "\n")
	for _, want := range []string{"entries repeat another one", "to itself; they are kept", "not ogbn-arxiv as published: 20 nodes, not 169343", "4 features, not 128"} {
		if !strings.Contains(got, want) {
			t.Errorf("warnings lack %q: %s", want, got)
		}
	}
}

func TestNothingHalfWritten(t *testing.T) {
	m := products()
	in := m.folder(t, "products")
	out := filepath.Join(t.TempDir(), "data", "out")
	if err := os.MkdirAll(out, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Convert(t.Context(), in, out, Options{}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("existing folder: %v", err)
	}
	if _, err := Convert(t.Context(), t.TempDir(), filepath.Join(out, "no", "such"), Options{}); err == nil {
		t.Error("Convert of nothing = nil, want an error")
	}
	if _, err := os.Stat(filepath.Join(out, "no")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after a failure the folder above is there: %v", err)
	}
	if _, err := Convert(t.Context(), in, filepath.Join(out, "no", "such"), Options{}); err != nil {
		t.Errorf("below folders that are not there: %v", err)
	}
}
