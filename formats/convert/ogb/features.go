package ogb

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"unsafe"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/npz"
)

const featsFile = "feats.npy"

// floatBytes views x as bytes in host order. Every supported platform is little endian.
func floatBytes(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// scanFloats hands the lines of a CSV file of numbers to take, block by block.
func (c *converter) scanFloats(ctx context.Context, name string, begin func(columns int) error, take func([]float32) error) (lines int64, path string, err error) {
	t, err := c.src.openText(name)
	if err != nil {
		return 0, "", err
	}
	defer t.close()
	columns, err := t.columns()
	if err == nil {
		err = begin(columns)
	}
	if err != nil {
		return 0, "", err
	}
	free := make(chan []float32, 4*c.o.Workers)
	parse := func(b []byte) ([]float32, *lineError) {
		var out []float32
		select {
		case out = <-free:
		default:
		}
		return parseFloats(out[:0], b, columns)
	}
	lines, err = readLines(ctx, c, name, t, parse, func(x []float32) error {
		err := take(x)
		select {
		case free <- x:
		default:
		}
		return err
	})
	return lines, t.path, err
}

// writeFeatureText turns node-feat.csv.gz into feats.npy and returns the number of columns.
func (c *converter) writeFeatureText(ctx context.Context, n int) (dim int, err error) {
	err = c.write(filepath.Join(c.tmp, featsFile), func(w *bufio.Writer) error {
		left := 0
		begin := func(columns int) error {
			dim, left = columns, n*columns
			return npy.WriteHeader(w, npy.Header{DType: npy.Float32, Shape: []int{n, columns}})
		}
		lines, path, err := c.scanFloats(ctx, nodeFeatFile, begin, func(x []float32) error {
			if left -= len(x); left < 0 {
				return tooMany(c.src.at(nodeFeatFile), "features", n)
			}
			_, err := w.Write(floatBytes(x))
			return err
		})
		if err != nil {
			return err
		}
		return checkLines(path, "features", lines, int64(n))
	})
	return dim, err
}

// means sums the features of the edges at each node.
type means struct {
	dim        int
	sums       []float64
	counts     []int32
	undirected bool
}

func newMeans(n, dim int, undirected bool) *means {
	return &means{dim: dim, sums: make([]float64, n*dim), counts: make([]int32, n), undirected: undirected}
}

// add counts the edge u,v with features x: for its target, and for its source as the target
// of the inverse edge.
func (m *means) add(u, v int32, x []float32) {
	m.at(v, x)
	if m.undirected {
		m.at(u, x)
	}
}

func (m *means) at(v int32, x []float32) {
	m.counts[v]++
	sums := m.sums[int(v)*m.dim:][:len(x)]
	for i, f := range x {
		sums[i] += float64(f)
	}
}

// write writes the means; nodes without edges get 0.
func (m *means) write(w *bufio.Writer) error {
	if err := npy.WriteHeader(w, npy.Header{DType: npy.Float32, Shape: []int{len(m.counts), m.dim}}); err != nil {
		return err
	}
	row := make([]float32, m.dim)
	for v, n := range m.counts {
		for i := range row {
			row[i] = float32(m.sums[v*m.dim+i] / float64(max(1, n)))
		}
		if _, err := w.Write(floatBytes(row)); err != nil {
			return err
		}
	}
	return nil
}

// room verifies that the sums of n nodes fit.
func (c *converter) room(n, dim int) error {
	if need := c.fixed(n) + 8*int64(n)*int64(dim) + c.edgeBytes; need > c.o.Memory {
		return badOption("node features are means of %d edge features, which takes %d MiB; raise --memory", dim, need>>20+1)
	}
	return nil
}

// averageText makes node features of edge-feat.csv.gz and writes feats.npy. The edges are
// those of the list, in the order of the file.
func (c *converter) averageText(ctx context.Context, n int, edges *edgeList, undirected bool) (dim int, err error) {
	var sums *means
	begin := func(columns int) error {
		if err := c.room(n, columns); err != nil {
			return err
		}
		dim, sums = columns, newMeans(n, columns, undirected)
		return nil
	}
	walk := walker{blocks: edges.blocks}
	lines, path, err := c.scanFloats(ctx, edgeFeatFile, begin, func(x []float32) error {
		for ; len(x) > 0; x = x[dim:] {
			u, v, ok := walk.next()
			if !ok {
				return &formats.InputError{Path: c.src.at(edgeFeatFile), Line: int(edges.count) + 1, Offset: -1, Err: fmt.Errorf("features for more than the %d edges", edges.count)}
			}
			sums.add(u, v, x[:dim])
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := checkLines(path, "edge features", lines, edges.count); err != nil {
		return 0, err
	}
	return dim, c.write(filepath.Join(c.tmp, featsFile), sums.write)
}

// walker goes through a list of edges.
type walker struct {
	blocks []pairs
	block  int
	at     int
}

func (w *walker) next() (u, v int32, ok bool) {
	for w.block < len(w.blocks) && w.at == len(w.blocks[w.block]) {
		w.block, w.at = w.block+1, 0
	}
	if w.block == len(w.blocks) {
		return 0, 0, false
	}
	p := w.blocks[w.block][w.at:]
	w.at += 2
	return p[0], p[1], true
}

// eachRow streams a matrix of the archive, rows in pieces.
func (c *converter) eachRow(ctx context.Context, a *npz.Archive, name string, rows int, begin func(dim int) error, take func([]float32) error) error {
	m, err := a.Stream(name)
	if err != nil {
		return c.inSource(dataFile, err)
	}
	defer m.Close() //nolint:errcheck // opened for reading
	h := m.Header()
	if len(h.Shape) != 2 || h.Shape[0] != rows || h.Shape[1] < 1 || h.Shape[1] > blockBytes || h.Fortran && h.Shape[1] > 1 {
		return formats.BadInput(c.src.at(dataFile), "array %s is %v, want %d rows of numbers, one behind the other", name, &h, rows)
	}
	dim := h.Shape[1]
	if err := begin(dim); err != nil {
		return err
	}
	step := max(1, (1<<18)/dim)
	buf := make([]float32, step*dim)
	for lo := 0; lo < rows; lo += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := buf[:min(step, rows-lo)*dim]
		if err := m.Float32s(part); err != nil {
			return c.inSource(dataFile, err)
		}
		for i, x := range part {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				return formats.BadInput(c.src.at(dataFile), "array %s: value at row %d, column %d is %v, want a finite number", name, lo+i/dim, i%dim, x)
			}
		}
		if err := take(part); err != nil {
			return err
		}
		c.o.Progress(Step{name + " of " + dataFile, int64(lo*dim+len(part)) * int64(h.ItemSize), h.DataSize(), int64(lo + len(part)/dim)})
	}
	return c.inSource(dataFile, m.Finish())
}

// writeFeatureData copies node_feat to feats.npy.
func (c *converter) writeFeatureData(ctx context.Context, a *npz.Archive, n int) (dim int, err error) {
	err = c.write(filepath.Join(c.tmp, featsFile), func(w *bufio.Writer) error {
		begin := func(columns int) error {
			dim = columns
			return npy.WriteHeader(w, npy.Header{DType: npy.Float32, Shape: []int{n, columns}})
		}
		return c.eachRow(ctx, a, "node_feat", n, begin, func(x []float32) error {
			_, err := w.Write(floatBytes(x))
			return err
		})
	})
	return dim, err
}

// averageData makes node features of edge_feat and writes feats.npy.
func (c *converter) averageData(ctx context.Context, a *npz.Archive, n int, edges *edgeList, undirected bool) (dim int, err error) {
	var sums *means
	walk := walker{blocks: edges.blocks}
	begin := func(columns int) error {
		if err := c.room(n, columns); err != nil {
			return err
		}
		dim, sums = columns, newMeans(n, columns, undirected)
		return nil
	}
	err = c.eachRow(ctx, a, "edge_feat", int(edges.count), begin, func(x []float32) error {
		for ; len(x) > 0; x = x[dim:] {
			u, v, _ := walk.next() // as many as rows
			sums.add(u, v, x[:dim])
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return dim, c.write(filepath.Join(c.tmp, featsFile), sums.write)
}
