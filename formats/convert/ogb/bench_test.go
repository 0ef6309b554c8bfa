package ogb

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// stepReader delivers a few bytes at a time.
type stepReader struct {
	text []byte
	step int
}

func (r *stepReader) Read(p []byte) (int, error) {
	if len(r.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.step)], r.text)
	r.text = r.text[n:]
	return n, nil
}

// productsNodes and productsEdges are the sizes of ogbn-products.
const (
	productsNodes = 2449029
	productsEdges = 61859140
)

// BenchmarkProducts parses an edge file of a share of ogbn-products' size, not compressed,
// and builds its undirected adjacency. SAINT_OGB_SHARE is the share in percent, default 2.
func BenchmarkProducts(b *testing.B) {
	percent := 2
	if s := os.Getenv("SAINT_OGB_SHARE"); s != "" {
		percent, _ = strconv.Atoi(s)
	}
	nodes, edges := productsNodes*percent/100, productsEdges*percent/100
	path := filepath.Join(b.TempDir(), "edge.csv")
	writeEdges(b, path, nodes, edges)
	roles := make([]role, nodes)
	workers := runtime.GOMAXPROCS(0)
	for b.Loop() {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		list := &edgeList{}
		begin := time.Now()
		s := &scanner{path: path, workers: workers, broken: func(_ int64, err error) error { return err }, after: func(int64) {}}
		lines, err := scanLines(b.Context(), s, f, func(t []byte) (pairs, *lineError) {
			p, bad := parsePairs(t, nodes)
			return p, bad
		}, func(p pairs) error {
			list.blocks = append(list.blocks, p)
			return nil
		})
		if err != nil || int(lines) != edges {
			b.Fatal(lines, err)
		}
		parsed := time.Since(begin)
		m := newMatrix(roles)
		if err := m.inMemory(b.Context(), list, true, workers); err != nil {
			b.Fatal(err)
		}
		built := time.Since(begin)
		f.Close()
		csr := 4*int64(len(m.columns)) + 8*int64(nodes+1)
		b.ReportMetric(float64(edges)/parsed.Seconds()/1e6, "Medges/s-parse")
		b.ReportMetric(float64(edges)/built.Seconds()/1e6, "Medges/s-parse+build")
		b.ReportMetric(float64(csr)/(1<<20), "MiB-CSR")
		b.ReportMetric(float64(peak())/float64(csr), "peak/CSR")
	}
}

// peak returns the greatest resident size of this process in bytes, 0 where the system does
// not tell.
func peak() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return 0
}

func writeEdges(tb testing.TB, path string, nodes, edges int) {
	tb.Helper()
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	random := rand.New(rand.NewPCG(1, 1))
	var line []byte
	for range edges {
		u := int64(float64(nodes) * random.Float64() * random.Float64()) // some nodes have many edges
		line = append(strconv.AppendInt(line[:0], u, 10), ',')
		line = append(strconv.AppendInt(line, int64(random.IntN(nodes)), 10), '\n')
		w.Write(line)
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
}

func BenchmarkFloats(b *testing.B) {
	for name, form := range map[string]int{"6 digits": 6, "17 digits": 17} {
		b.Run(name, func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 1))
			var text bytes.Buffer
			for i := range 100_000 {
				text.WriteString(strconv.FormatFloat(random.NormFloat64(), 'f', form, 64))
				text.WriteByte(",\n"[boolIndex(i%100 == 99)])
			}
			var out []float32
			b.SetBytes(int64(text.Len()))
			for b.Loop() {
				var bad *lineError
				if out, bad = parseFloats(out[:0], text.Bytes(), 100); bad != nil {
					b.Fatal(bad.err)
				}
			}
		})
	}
}

func boolIndex(b bool) int {
	if b {
		return 1
	}
	return 0
}
