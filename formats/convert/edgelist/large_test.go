package edgelist

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
)

// forms write the number of a node in the ways that files have.
var forms = map[string]func(text []byte, v int) []byte{
	"numbers":       func(text []byte, v int) []byte { return strconv.AppendInt(text, int64(v), 10) },
	"sparse":        func(text []byte, v int) []byte { return strconv.AppendInt(text, 7+int64(v)*4001, 10) },
	"large numbers": func(text []byte, v int) []byte { return strconv.AppendInt(text, 1e9-1500+int64(v), 10) },
	"text": func(text []byte, v int) []byte {
		return append(strconv.AppendInt(append(text, 'n'), int64(1e7+v), 10), "-x"...)
	},
	"quoted": func(text []byte, v int) []byte { return fmt.Appendf(text, "\"%09d\"", v) },
}

// writeEdges writes random edges and returns them.
func writeEdges(tb testing.TB, path string, nodes, edges int, form func([]byte, int) []byte, delimiter byte) [][2]int {
	tb.Helper()
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	random := rand.New(rand.NewPCG(1, 1))
	w.WriteString("# edges\nsrc" + string(delimiter) + "dst\n")
	var line []byte
	var all [][2]int
	for i := range edges {
		u, v := random.IntN(nodes), random.IntN(nodes)
		line = append(form(append(form(line[:0], u), delimiter), v), '\n')
		w.Write(line)
		if nodes <= 10_000 {
			all = append(all, [2]int{u, v})
		}
		if i == edges/2 {
			w.WriteString("\n# half of them\n")
		}
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	return all
}

// TestForms reads lists of several blocks, whose graph must be that of the numbers.
func TestForms(t *testing.T) {
	for name, form := range forms {
		for _, delimiter := range []byte(", ") {
			t.Run(fmt.Sprintf("%s %q", name, delimiter), func(t *testing.T) { checkForm(t, form, delimiter) })
		}
	}
}

func checkForm(t *testing.T, form func([]byte, int) []byte, delimiter byte) {
	const nodes, count = 3000, 130_000
	dir := t.TempDir()
	path, labels := filepath.Join(dir, "e.csv"), filepath.Join(dir, "l.csv")
	edges := writeEdges(t, path, nodes, count, form, delimiter)
	var text []byte
	for v := range nodes {
		text = append(strconv.AppendInt(append(form(text, v), delimiter), int64(v%7), 10), '\n')
	}
	if err := os.WriteFile(labels, text, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Read(t.Context(), path, Options{Labels: labels, Split: assemble.Split{Fractions: assemble.Fractions{1, 0, 0}}})
	if err != nil {
		t.Fatal(err)
	}
	var e assemble.Edges
	for _, x := range edges {
		e.Src, e.Dst = append(e.Src, int32(x[0])), append(e.Dst, int32(x[1]))
	}
	want, _, err := assemble.Graph(t.Context(), nodes, &e, assemble.GraphOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g := got.Data.Full
	if !slices.Equal(g.Indptr, want.Indptr) || !slices.Equal(g.Indices, want.Indices) {
		t.Errorf("another graph of %d nodes and %d edges, want %d", g.NumNodes(), g.NumEdges(), want.NumEdges())
	}
	for v, c := range got.Data.Labels.Class {
		if int(c) != v%7 {
			t.Fatalf("node %d (%s) has class %d, want %d", v, got.IDs[v], c, v%7)
		}
	}
}

// TestMixedIDs numbers all kinds of ids at once, many times, because who comes first differs.
func TestMixedIDs(t *testing.T) {
	names := []string{"0", "7", "999999999", "1000000000", "9223372036854775807", "00", "007", "9223372036854775808", "a", "b"}
	var text, labels strings.Builder
	for i := range 120_000 {
		fmt.Fprintf(&text, "%s,%s\n", names[i%len(names)], names[(i*7+1)%len(names)])
	}
	for _, n := range names {
		fmt.Fprintf(&labels, "%s,1\n", n)
	}
	edges, label := put(t, "e.csv", text.String()), put(t, "l.csv", labels.String())
	for range 3 {
		got, err := Read(t.Context(), edges, Options{Labels: label, Split: assemble.Split{Fractions: assemble.Fractions{1, 0, 0}}, Header: HeaderNo})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.IDs, names) {
			t.Fatalf("ids = %q, want %q", got.IDs, names)
		}
	}
}

// TestFarLine makes a mistake blocks behind the beginning.
func TestFarLine(t *testing.T) {
	for what, bad := range map[string]string{"3 columns": "1,2,3", "empty node id": "1,", "not closed": "\"1,2"} {
		text := "src,dst\n" + strings.Repeat("123456,654321\r\n", 200_000) + bad + "\n" + strings.Repeat("1,2\n", 100_000) + "x,,\n"
		_, err := Read(t.Context(), put(t, "e.csv", text), Options{Labels: put(t, "l.csv", goodLabels)})
		var in *formats.InputError
		if !errors.As(err, &in) || in.Line != 200_002 || !strings.Contains(err.Error(), what) {
			t.Errorf("Read = %v, want %q in line 200002", err, what)
		}
	}
	feats := "id,x\n" + strings.Repeat("#\n", 1<<20) + "ann,1\nbob,2\nann,3\n"
	_, err := Read(t.Context(), put(t, "e.csv", goodEdges), Options{Labels: put(t, "l.csv", goodLabels), Features: put(t, "f.csv", feats)})
	var in *formats.InputError
	if !errors.As(err, &in) || in.Line != 1<<20+4 || !strings.Contains(err.Error(), `"ann" comes twice`) {
		t.Errorf("Read = %v, want ann twice in line %d", err, 1<<20+4)
	}
}

// BenchmarkEdges reads a list of SAINT_EDGES edges (default 1 million) of a 25th of so many
// nodes and builds its undirected graph.
func BenchmarkEdges(b *testing.B) {
	count := 1_000_000
	if s := os.Getenv("SAINT_EDGES"); s != "" {
		count, _ = strconv.Atoi(s)
	}
	for _, name := range []string{"numbers", "sparse", "text"} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "e.csv")
			writeEdges(b, path, max(10_001, count/25), count, forms[name], ',')
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			runtime.GC()
			b.SetBytes(info.Size())
			for b.Loop() {
				r := &reader{ctx: b.Context(), options: &Options{}}
				begin := time.Now()
				if err := r.readEdges(path); err != nil {
					b.Fatal(err)
				}
				r.renumber()
				parsed := time.Since(begin)
				g, _, err := assemble.GraphOf(b.Context(), r.ids.count(), r.edges, assemble.GraphOptions{Undirected: true})
				if err != nil {
					b.Fatal(err)
				}
				built := time.Since(begin)
				csr := float64(4*len(g.Indices) + 8*len(g.Indptr))
				b.ReportMetric(float64(count)/parsed.Seconds()/1e6, "Medges/s-parse")
				b.ReportMetric(float64(count)/built.Seconds()/1e6, "Medges/s-parse+build")
				b.ReportMetric(csr/(1<<20), "MiB-CSR")
				b.ReportMetric(peak()/csr, "peak/CSR")
			}
		})
	}
}

// peak returns the greatest resident size of this process in bytes, 0 where the system does
// not tell.
func peak() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmHWM: %g kB", &kib); err == nil {
			return kib * 1024
		}
	}
	return 0
}
