package ogb

import (
	"bufio"
	"bytes"
	"cmp"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/npz"
	"github.com/saint-gnn/saint/formats/saintdir"
)

// arxiv copies the benchmark's ogbn-arxiv to a folder of that name and adds generated
// features of so many columns.
func arxiv(t testing.TB, columns int) string {
	t.Helper()
	data := os.Getenv("SAINT_TEST_DATA")
	if data == "" {
		t.Skip("SAINT_TEST_DATA is not set: the folder that holds ogbn_arxiv_nofeat")
	}
	dir := filepath.Join(t.TempDir(), "ogbn_arxiv")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(data, "ogbn_arxiv_nofeat"))); err != nil {
		t.Fatal(err)
	}
	// The copy keeps the modes of the original, which may be read-only.
	for _, sub := range []string{"", "raw", "split", "split/time"} {
		os.Chmod(filepath.Join(dir, sub), 0o755)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var text bytes.Buffer
	z, err := gzip.NewWriterLevel(&text, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(z, 1<<16)
	var line []byte
	for range 169343 {
		line = line[:0]
		for j := range columns {
			if j > 0 {
				line = append(line, ',')
			}
			line = strconv.AppendFloat(line, random.NormFloat64()*0.1, 'f', 6, 64)
		}
		w.Write(append(line, '\n'))
	}
	w.Flush()
	z.Close()
	if err := os.WriteFile(filepath.Join(dir, "raw", "node-feat.csv.gz"), text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// plainLines reads a gzip file of integers line by line, the slow and obvious way.
func plainLines(t *testing.T, path string, each func(v []int32)) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(z); s.Scan(); {
		var v []int32
		for _, f := range bytes.Split(s.Bytes(), []byte{','}) {
			x, err := strconv.Atoi(string(f))
			if err != nil {
				t.Fatal(err)
			}
			v = append(v, int32(x))
		}
		each(v)
	}
}

func TestArxiv(t *testing.T) {
	columns := 128
	if testing.Short() {
		columns = 3
	}
	dir := arxiv(t, columns)
	roles := make([]role, 169343)
	for i, name := range splitFiles {
		plainLines(t, filepath.Join(dir, "split", "time", name+".csv.gz"), func(v []int32) { roles[v[0]] = role(i + 1) })
	}
	edges := textEdges(t, dir)
	for _, c := range []struct {
		name       string
		o          Options
		undirected bool
		entries    int64
	}{
		{"default", Options{}, true, 2315598},
		{"directed", Options{Direction: Directed, Workers: 3}, false, 1166243},
		{"through files", Options{Memory: 26 << 20, Workers: 2}, true, 2315598},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "ogbn-arxiv")
			begin := time.Now()
			s, err := Convert(t.Context(), dir, out, c.o)
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(begin)
			want := Summary{
				Dataset: "ogbn-arxiv", Nodes: 169343, FileEdges: 1166243, Edges: c.entries, TrainEdges: s.TrainEdges, ValEdges: s.ValEdges,
				Merged: s.Merged, Undirected: c.undirected, Features: columns, Classes: 40, Split: "time", Train: 90941, Val: 29799, Test: 48603,
				Spilled: c.o.Memory > 0, SelfLoops: s.SelfLoops,
			}
			if *s != want {
				t.Errorf("Summary = %+v,\nwant %+v", *s, want)
			}
			if !testing.Short() && columns == 128 {
				begin := time.Now()
				if err := exec.Command("sh", "-c", "gzip -dc "+dir+"/raw/*.gz "+dir+"/split/time/*.gz > /dev/null").Run(); err == nil {
					gzip := time.Since(begin)
					t.Logf("converted in %.2f s, %.2f times the %.2f s of gzip -dc", took.Seconds(), took.Seconds()/gzip.Seconds(), gzip.Seconds())
				}
			}
			all := entries(edges, c.undirected)
			if int64(len(all)) != c.entries {
				t.Errorf("%d entries by sorting, want %d", len(all), c.entries)
			}
			checkMatrices(t, out, all, roles)
			if _, err := saintdir.LoadRaw(out, saintdir.Options{Warn: func(m string) { t.Errorf("loading warns: %s", m) }}); err != nil {
				t.Error(err)
			}
		})
	}
}

// textEdges reads edge.csv.gz the slow way.
func textEdges(t *testing.T, dir string) [][2]int32 {
	t.Helper()
	var edges [][2]int32
	plainLines(t, filepath.Join(dir, "raw", "edge.csv.gz"), func(v []int32) { edges = append(edges, [2]int32{v[0], v[1]}) })
	return edges
}

// entries returns what the full matrix must hold, by sorting.
func entries(edges [][2]int32, undirected bool) [][2]int32 {
	all := slices.Clone(edges)
	if undirected {
		for _, e := range edges {
			all = append(all, [2]int32{e[1], e[0]})
		}
	}
	slices.SortFunc(all, func(a, b [2]int32) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	return slices.Compact(all)
}

// checkMatrices compares the three matrices with an independent construction.
func checkMatrices(t *testing.T, out string, all [][2]int32, roles []role) {
	t.Helper()
	for name, keep := range map[string]func(u, v role) bool{
		"adj_full.npz":  func(role, role) bool { return true },
		"adj_train.npz": func(u, v role) bool { return u == trainRole && v == trainRole },
		"adj_val.npz":   func(u, v role) bool { return u != testRole && v != testRole },
	} {
		checkMatrix(t, filepath.Join(out, name), all, roles, keep)
	}
}

// checkMatrix compares a matrix with the edges, sorted, that keep chooses by their ends.
func checkMatrix(t *testing.T, path string, all [][2]int32, roles []role, keep func(u, v role) bool) {
	t.Helper()
	m, err := npz.ReadCSR(path)
	if err != nil {
		t.Fatal(err)
	}
	if m.Rows != len(roles) || m.Cols != len(roles) || m.DataType != npy.Bool {
		t.Errorf("%s: %d x %d of %v", path, m.Rows, m.Cols, m.DataType)
	}
	data, err := m.Data()
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	ends := make([]int64, len(roles)+1)
	for _, e := range all {
		if !keep(roles[e[0]], roles[e[1]]) {
			continue
		}
		if at >= len(m.Indices) || m.Indices[at] != e[1] || data[at] != 1 {
			t.Fatalf("%s: entry %d is not %v", path, at, e)
		}
		at++
		ends[e[0]+1]++
	}
	for v := range roles {
		ends[v+1] += ends[v]
	}
	if !slices.Equal(ends, m.Indptr) || at != len(m.Indices) {
		t.Errorf("%s: %d entries, want %d, or other row starts", path, len(m.Indices), at)
	}
}
