package saintcpp

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/internal/fileop"
)

// The files of a folder.
const (
	dimsFile         = "dims.bin"
	trainIndicesFile = "adj_train_indices.bin"
	trainIndptrFile  = "adj_train_indptr.bin"
	fullIndicesFile  = "adj_full_indices.bin"
	fullIndptrFile   = "adj_full_indptr.bin"
	trainFile        = "node_train.bin"
	testFile         = "node_test.bin"
	valFile          = "node_val.bin"
	featsFile        = "feats_norm_col.bin"
	labelsFile       = "labels_col.bin"
	extraFile        = "saint.json"
)

// dims is the content of dims.bin, eleven int32 in this order.
type dims struct {
	trainEdges, trainStarts, fullEdges, fullStarts int
	train, test, val                               int
	rows, features                                 int
	labelRows, classes                             int
}

const numDims = 11

func (d *dims) fields() [numDims]*int {
	return [...]*int{
		&d.trainEdges, &d.trainStarts, &d.fullEdges, &d.fullStarts, &d.train, &d.test, &d.val,
		&d.rows, &d.features, &d.labelRows, &d.classes,
	}
}

// readDims reads dims.bin and checks the numbers against each other.
func readDims(dir string) (*dims, error) {
	path := filepath.Join(dir, dimsFile)
	info, err := os.Stat(path)
	if err != nil {
		return nil, assemble.InFile(path, err)
	}
	if info.Size() != 4*numDims {
		return nil, formats.BadInput(path, "%d bytes, want %d: %d numbers of type int32", info.Size(), 4*numDims, numDims)
	}
	raw, err := fileop.ReadFile(path)
	if err != nil {
		return nil, assemble.InFile(path, err)
	}
	return parseDims(path, raw)
}

func parseDims(path string, raw []byte) (*dims, error) {
	if len(raw) != 4*numDims {
		return nil, formats.BadInput(path, "%d bytes, want %d", len(raw), 4*numDims)
	}
	d := new(dims)
	for i, f := range d.fields() {
		*f = int(int32(binary.LittleEndian.Uint32(raw[4*i:])))
		if *f < 0 {
			return nil, &formats.InputError{Path: path, Offset: int64(4 * i), Err: fmt.Errorf("number %d is %d, want one that is not negative", i, *f)}
		}
	}
	at := func(i int, format string, args ...any) error {
		return &formats.InputError{Path: path, Offset: int64(4 * i), Err: fmt.Errorf(format, args...)}
	}
	n := d.fullStarts - 1
	switch {
	case n < 1:
		return nil, at(3, "%d row starts of the full graph, want at least 2 (one node)", d.fullStarts)
	case d.trainStarts != d.fullStarts:
		return nil, at(1, "%d row starts of the training graph, but the full graph has %d", d.trainStarts, d.fullStarts)
	case d.rows != n:
		return nil, at(7, "features of %d nodes, but the graph has %d", d.rows, n)
	case d.features < 1:
		return nil, at(8, "%d features, want at least 1", d.features)
	case d.labelRows != n:
		return nil, at(9, "labels of %d nodes, but the graph has %d", d.labelRows, n)
	case d.classes < 1 || d.classes > maxClasses:
		return nil, at(10, "%d classes, want 1 to %d", d.classes, maxClasses)
	case int64(n)*int64(max(d.features, d.classes)) > math.MaxInt64/8:
		return nil, at(7, "%d nodes with %d features and %d classes are too many", n, d.features, d.classes)
	}
	return d, nil
}

// maxClasses is the greatest number of classes that a data set may have.
const maxClasses = 1 << 20

// extra is saint.json: what the other files cannot hold.
type extra struct {
	Format int    `json:"format"` // 1
	Labels string `json:"labels"` // single or multi
	Offset int64  `json:"offset"` // the least label of single-label data
	// Features are (x - mean) / std, column by column; empty: they are as they were.
	Mean []float64 `json:"mean,omitempty"`
	Std  []float64 `json:"std,omitempty"`
}

const (
	singleLabel = "single"
	multiLabel  = "multi"
)

// forward standardises a value; back is its inverse.
func (x *extra) forward(v float32, col int) float64 {
	if x.Mean == nil {
		return float64(v)
	}
	return (float64(v) - x.Mean[col]) / x.Std[col]
}

// back undoes forward. Rounding leaves a remainder of some 2^-52 of the mean where the
// value was 0, so a result that small is 0; for all other values the remainder is far
// below what float32 resolves.
func (x *extra) back(z float64, col int) float64 {
	if x.Mean == nil {
		return z
	}
	scaled := z * x.Std[col]
	v := scaled + x.Mean[col]
	const tiny = 0x1p-48
	if math.Abs(v) < tiny*(math.Abs(scaled)+math.Abs(x.Mean[col])) {
		return 0
	}
	return v
}
