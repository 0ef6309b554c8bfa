package saintcpp

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/internal/fileop"
)

// ReadOptions say how to read a folder.
type ReadOptions struct {
	assemble.Reports
	// Labels is single, multi or empty: what saint.json says, else single-label if no row
	// has two ones and every node with a role has one.
	Labels string
	// NormalizedFeatures keeps the features as they are in the folder, although saint.json
	// says how to undo the standardisation.
	NormalizedFeatures bool
}

// reader holds what one call of Read has read so far.
type reader struct {
	ctx     context.Context
	dir     string
	dims    *dims
	extra   *extra // nil without saint.json
	options ReadOptions
}

// Read reads and checks the folder dir. Without saint.json the features stay standardised
// and single-label classes count from 0. Errors about the content are *formats.InputError.
func Read(ctx context.Context, dir string, o ReadOptions) (*formats.RawDataset, error) {
	if o.Labels != "" && o.Labels != singleLabel && o.Labels != multiLabel {
		return nil, fmt.Errorf("labels %q, want %s or %s", o.Labels, singleLabel, multiLabel)
	}
	r := &reader{ctx: ctx, dir: dir, options: o}
	var err error
	if r.dims, err = readDims(dir); err != nil {
		return nil, err
	}
	if r.extra, err = r.readExtra(); err != nil {
		return nil, err
	}
	raw := &formats.RawDataset{Name: filepath.Base(filepath.Clean(dir)), Dim: r.dims.features}
	if err := r.roles(raw); err != nil {
		return nil, err
	}
	if raw.Full, err = r.graph(fullIndptrFile, fullIndicesFile, r.dims.fullEdges); err != nil {
		return nil, err
	}
	if raw.Train, err = r.graph(trainIndptrFile, trainIndicesFile, r.dims.trainEdges); err != nil {
		return nil, err
	}
	if err := r.labels(raw); err != nil {
		return nil, err
	}
	if err := r.features(raw); err != nil {
		return nil, err
	}
	return assemble.Dataset(raw, map[formats.Part]string{
		formats.PartFull: r.path(fullIndicesFile), formats.PartTrain: r.path(trainIndicesFile),
		formats.PartRoles: r.path(trainFile), formats.PartLabels: r.path(labelsFile), formats.PartFeatures: r.path(featsFile),
	})
}

func (r *reader) path(name string) string { return filepath.Join(r.dir, name) }

func (r *reader) readExtra() (*extra, error) {
	path := r.path(extraFile)
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		r.options.Warnf("%s has no %s: features stay as the folder has them (standardised), classes count from 0", r.dir, extraFile)
		return nil, nil //nolint:nilnil // a folder of the C++ program itself has none
	}
	if err != nil {
		return nil, assemble.InFile(path, err)
	}
	// Two numbers of at most 25 bytes a column.
	if most := int64(64*r.dims.features + 4096); info.Size() > most {
		return nil, formats.BadInput(path, "%d bytes, want at most %d for %d features", info.Size(), most, r.dims.features)
	}
	text, err := fileop.ReadFile(path)
	if err != nil {
		return nil, assemble.InFile(path, err)
	}
	return parseExtra(path, text, r.dims.features)
}

func parseExtra(path string, text []byte, features int) (*extra, error) {
	x := new(extra)
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(x); err != nil {
		return nil, &formats.InputError{Path: path, Offset: d.InputOffset(), Err: err}
	}
	switch {
	case x.Format != 1:
		return nil, formats.BadInput(path, "format %d, want 1", x.Format)
	case x.Labels != singleLabel && x.Labels != multiLabel:
		return nil, formats.BadInput(path, "labels %q, want %s or %s", x.Labels, singleLabel, multiLabel)
	case len(x.Mean) != len(x.Std) || x.Mean != nil && len(x.Mean) != features:
		return nil, formats.BadInput(path, "%d means and %d standard deviations for %d features", len(x.Mean), len(x.Std), features)
	}
	for j, s := range x.Std {
		if s <= 0 {
			return nil, formats.BadInput(path, "standard deviation %d is %v, want a positive number", j, s)
		}
	}
	return x, nil
}

// open opens a file of the folder and verifies its length.
func (r *reader) open(name string, elements, size int64, what string) (*fileop.File, error) {
	path := r.path(name)
	f, err := fileop.Open(path)
	if err != nil {
		return nil, assemble.InFile(path, err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		err = assemble.InFile(path, err)
	case !info.Mode().IsRegular():
		err = formats.BadInput(path, "not a regular file")
	case info.Size() != elements*size:
		err = formats.BadInput(path, "%d bytes, but %s says that there are %d %s of %d bytes", info.Size(), dimsFile, elements, what, size)
	default:
		return f, nil
	}
	return nil, errors.Join(err, f.Close())
}

// ints reads a file of n int32.
func (r *reader) ints(name string, n int) ([]int32, error) {
	f, err := r.open(name, int64(n), 4, "numbers")
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	out := make([]int32, n)
	buf := make([]byte, 1<<18)
	for rest := out; len(rest) > 0; {
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
		k := min(len(rest), len(buf)/4)
		if _, err := io.ReadFull(f, buf[:4*k]); err != nil {
			return nil, assemble.InFile(r.path(name), err)
		}
		for i := range k {
			rest[i] = int32(binary.LittleEndian.Uint32(buf[4*i:]))
		}
		rest = rest[k:]
	}
	return out, nil
}

// roles reads the three node lists. The order of the two counts of test and validation
// nodes in dims.bin is not the same in all descriptions of the format, so the lengths of
// the files decide.
func (r *reader) roles(raw *formats.RawDataset) error {
	d := r.dims
	if size := fileSize(r.path(testFile)); d.test != d.val && size == 4*int64(d.val) && fileSize(r.path(valFile)) == 4*int64(d.test) {
		r.options.Warnf("%s gives the number of validation nodes before that of test nodes; the files' lengths count", r.path(dimsFile))
		d.test, d.val = d.val, d.test
	}
	for _, f := range []struct {
		name  string
		n     int
		nodes *[]int32
	}{{trainFile, d.train, &raw.TrainNodes}, {valFile, d.val, &raw.ValNodes}, {testFile, d.test, &raw.TestNodes}} {
		nodes, err := r.ints(f.name, f.n)
		if err != nil {
			return err
		}
		for i, v := range nodes {
			if v < 0 || int(v) >= d.rows {
				return &formats.InputError{Path: r.path(f.name), Offset: int64(4 * i), Err: fmt.Errorf("node %d, but there are %d nodes", v, d.rows)}
			}
		}
		slices.Sort(nodes)
		for i := 1; i < len(nodes); i++ {
			if nodes[i] == nodes[i-1] {
				return formats.BadInput(r.path(f.name), "node %d comes twice", nodes[i])
			}
		}
		*f.nodes = nodes
	}
	return nil
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return info.Size()
}

// graph reads a matrix of compressed rows, sorts the rows and merges repeated entries.
func (r *reader) graph(indptrName, indicesName string, edges int) (*formats.Graph, error) {
	starts, err := r.ints(indptrName, r.dims.fullStarts)
	if err != nil {
		return nil, err
	}
	bad := func(i int, format string, args ...any) error {
		return &formats.InputError{Path: r.path(indptrName), Offset: int64(4 * i), Err: fmt.Errorf(format, args...)}
	}
	n := len(starts) - 1
	if starts[0] != 0 {
		return nil, bad(0, "the first row starts at %d, want 0", starts[0])
	}
	for v := range n {
		if starts[v+1] < starts[v] {
			return nil, bad(v+1, "row %d ends at %d, before its start %d", v, starts[v+1], starts[v])
		}
	}
	if int(starts[n]) != edges {
		return nil, bad(n, "the last row ends at %d, but there are %d edges", starts[n], edges)
	}
	cols, err := r.ints(indicesName, edges)
	if err != nil {
		return nil, err
	}
	for i, u := range cols {
		if u < 0 || int(u) >= n {
			return nil, &formats.InputError{Path: r.path(indicesName), Offset: int64(4 * i), Err: fmt.Errorf("column %d, but there are %d nodes", u, n)}
		}
	}
	rows := make([]int32, edges)
	for v := range n {
		for e := starts[v]; e < starts[v+1]; e++ {
			rows[e] = int32(v)
		}
	}
	g, counts, err := assemble.Graph(r.ctx, n, &assemble.Edges{Src: rows, Dst: cols}, assemble.GraphOptions{})
	if counts.Merged > 0 {
		r.options.Warnf("%s: %d entries repeat an edge and were merged with it", r.path(indicesName), counts.Merged)
	}
	return g, err
}

// eachColumn reads a matrix of doubles stored column by column.
func (r *reader) eachColumn(name string, rows, cols int, take func(col int, values []float64) error) error {
	f, err := r.open(name, int64(rows)*int64(cols), 8, "numbers")
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	raw, values := make([]byte, 8*rows), make([]float64, rows)
	for j := range cols {
		if err := r.options.Step(r.ctx, "columns", int64(j), int64(cols)); err != nil {
			return err
		}
		if _, err := io.ReadFull(f, raw); err != nil {
			return assemble.InFile(r.path(name), err)
		}
		for i := range values {
			values[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
		}
		if err := take(j, values); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) features(raw *formats.RawDataset) error {
	n, dim := r.dims.rows, r.dims.features
	if size := fileSize(r.path(featsFile)); size != 8*int64(n)*int64(dim) && size >= 0 {
		return formats.BadInput(r.path(featsFile), "%d bytes, but %s says that there are %d x %d numbers of 8 bytes", size, dimsFile, n, dim)
	}
	undo := r.extra
	if undo == nil || r.options.NormalizedFeatures {
		undo = &extra{}
	}
	raw.Features = make([]float32, n*dim)
	rounded := int64(0)
	err := r.eachColumn(featsFile, n, dim, func(j int, values []float64) error {
		for v, z := range values {
			x := undo.back(z, j)
			raw.Features[v*dim+j] = float32(x)
			if undo.Mean == nil && float64(float32(x)) != x {
				rounded++
			}
		}
		return nil
	})
	if err == nil && rounded > 0 {
		r.options.Warnf("%s: %d of %d values were rounded from float64 to float32", r.path(featsFile), rounded, n*dim)
	}
	return err
}

func (r *reader) labels(raw *formats.RawDataset) error {
	n, classes := r.dims.rows, r.dims.classes
	if size := fileSize(r.path(labelsFile)); size != 8*int64(n)*int64(classes) && size >= 0 {
		return formats.BadInput(r.path(labelsFile), "%d bytes, but %s says that there are %d x %d numbers of 8 bytes", size, dimsFile, n, classes)
	}
	rows := make([]uint8, n*classes)
	ones, class := make([]int32, n), make([]int32, n)
	for v := range class {
		class[v] = -1
	}
	err := r.eachColumn(labelsFile, n, classes, func(c int, values []float64) error {
		for v, x := range values {
			if x != 0 && x != 1 {
				return &formats.InputError{Path: r.path(labelsFile), Offset: 8 * (int64(c)*int64(n) + int64(v)), Err: fmt.Errorf("class %d of node %d is %v, want 0 or 1", c, v, x)}
			}
			if x == 1 {
				rows[v*classes+c] = 1
				ones[v]++
				class[v] = int32(c)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	raw.Labels = formats.Labels{NumClasses: classes, Multi: rows}
	kind := r.labelKind(raw, ones)
	if kind == multiLabel {
		return nil
	}
	for v, k := range ones {
		if k > 1 {
			return formats.BadInput(r.path(labelsFile), "node %d has %d classes, but the data is single-label", v, k)
		}
	}
	raw.Labels = formats.Labels{NumClasses: classes, Class: class}
	if r.extra != nil {
		raw.Labels.Offset = r.extra.Offset
	}
	return nil
}

// labelKind decides between single-label and multi-label data.
func (r *reader) labelKind(raw *formats.RawDataset, ones []int32) string {
	switch {
	case r.options.Labels != "":
		return r.options.Labels
	case r.extra != nil:
		return r.extra.Labels
	}
	kind := singleLabel
	if slices.Max(ones) > 1 {
		kind = multiLabel
	}
	for _, nodes := range [][]int32{raw.TrainNodes, raw.ValNodes, raw.TestNodes} {
		for _, v := range nodes {
			if ones[v] != 1 {
				kind = multiLabel
			}
		}
	}
	r.options.Warnf("%s is taken as %s-label data", r.path(labelsFile), kind)
	return kind
}
