package assemble

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/npz"
	"github.com/saint-gnn/saint/formats/saintdir"
)

// Split says where the roles come from: a file, or fractions drawn with a seed.
type Split struct {
	// Path names a role.json or role.npz as data folders have them, with rows as node ids;
	// empty: Fractions.
	Path      string
	Fractions Fractions
	Seed      uint64
}

// ParseSplit reads a command line's --split: the path of a file, or three fractions.
func ParseSplit(text string, seed uint64) (Split, error) {
	_, notNumber := strconv.ParseFloat(text, 64)
	if text != "" && (notNumber != nil && !strings.Contains(text, ",") || Exists(text)) {
		return Split{Path: text}, nil
	}
	f, err := ParseFractions(text)
	return Split{Fractions: f, Seed: seed}, err
}

// Name returns the file that holds the split, or other if it is drawn.
func (s *Split) Name(other string) string {
	if s.Path != "" {
		return s.Path
	}
	return other
}

// Apply sets the roles of raw; fractions are drawn of the labelled nodes.
func (s *Split) Apply(raw *formats.RawDataset, labelled []int32) error {
	if s.Path == "" {
		r := s.Fractions.Draw(labelled, s.Seed)
		raw.TrainNodes, raw.ValNodes, raw.TestNodes = r.Train, r.Val, r.Test
		return nil
	}
	tr, va, te, err := saintdir.ReadRoles(s.Path, raw.Full.NumNodes())
	raw.TrainNodes, raw.ValNodes, raw.TestNodes = tr, va, te
	return err
}

// LabelsOf turns an array into the labels of n nodes: one whole number a node, where -1 and
// NaN mean no label, or a row of 0 and 1 a node. A matrix of one column is one number a
// node. path stands in messages.
func LabelsOf(path string, a *npy.Array, n int) (formats.Labels, error) {
	h := a.Header()
	shape := h.Shape
	if len(shape) == 2 && shape[1] == 1 {
		shape = shape[:1]
	}
	switch {
	case !h.DType.Numeric() || len(shape) < 1 || len(shape) > 2:
		return formats.Labels{}, formats.BadInput(path, "labels are %v, want numbers of shape (nodes,) or (nodes, classes)", &h)
	case shape[0] != n:
		return formats.Labels{}, formats.BadInput(path, "labels of %d nodes, but there are %d", shape[0], n)
	}
	if len(shape) == 2 {
		if shape[1] < 1 || shape[1] > maxClasses {
			return formats.Labels{}, formats.BadInput(path, "%d classes, want 1 to %d", shape[1], maxClasses)
		}
		rows, err := a.Uint8s()
		if err != nil {
			return formats.Labels{}, InFile(path, err)
		}
		for i, b := range rows {
			if b > 1 {
				return formats.Labels{}, formats.BadInput(path, "node %d has value %d for class %d, want 0 or 1", i/shape[1], b, i%shape[1])
			}
		}
		return formats.Labels{NumClasses: shape[1], Multi: rows}, nil
	}
	values, err := wholeNumbers(path, a)
	if err != nil {
		return formats.Labels{}, err
	}
	labels, err := Classes(values)
	return labels, InFile(path, err)
}

// wholeNumbers reads one number a node; -1 and NaN become Unlabelled.
func wholeNumbers(path string, a *npy.Array) ([]int64, error) {
	if t := a.Header().DType; t == npy.Float16 || t == npy.Float32 || t == npy.Float64 {
		floats, err := a.Float64s()
		if err != nil {
			return nil, InFile(path, err)
		}
		out := make([]int64, len(floats))
		for i, x := range floats {
			const exact = 1 << 53
			switch {
			case math.IsNaN(x) || x == -1:
				out[i] = Unlabelled
			case x != math.Trunc(x) || math.Abs(x) > exact:
				return nil, formats.BadInput(path, "label of node %d is %v, want a whole number", i, x)
			default:
				out[i] = int64(x)
			}
		}
		return out, nil
	}
	values, err := a.Int64s()
	if err != nil {
		return nil, InFile(path, err)
	}
	for i, x := range values {
		if x == -1 {
			values[i] = Unlabelled
		}
	}
	return values, nil
}

// Arrays is a set of named arrays: a folder of .npy files or one .npz archive.
type Arrays struct {
	path    string
	archive *npz.Archive // nil: a folder
}

// OpenArrays opens the folder or archive at path. Close must be called.
func OpenArrays(path string) (*Arrays, error) {
	if filepath.Ext(path) != ".npz" {
		return &Arrays{path: path}, nil
	}
	archive, err := npz.Open(path)
	if err != nil {
		return nil, InFile(path, err)
	}
	return &Arrays{path, archive}, nil
}

// Close closes an archive.
func (a *Arrays) Close() error {
	if a.archive == nil {
		return nil
	}
	return a.archive.Close()
}

// Has reports whether there is an array of that name.
func (a *Arrays) Has(name string) bool {
	if a.archive != nil {
		return a.archive.Has(name)
	}
	return Exists(a.Path(name))
}

// Path returns the file of an array, for messages.
func (a *Arrays) Path(name string) string {
	if a.archive != nil {
		return a.path
	}
	return filepath.Join(a.path, name+".npy")
}

// Read reads an array.
func (a *Arrays) Read(name string) (*npy.Array, error) {
	var array *npy.Array
	var err error
	if a.archive != nil {
		array, err = a.archive.Read(name)
	} else {
		array, err = npy.ReadFile(a.Path(name))
	}
	return array, InFile(a.Path(name), err)
}

// WriteIDMap writes {"id": index, …} in the order of the indices.
func WriteIDMap(w *bufio.Writer, ids []string) error {
	separator := "{\n"
	for i, id := range ids {
		if _, err := fmt.Fprintf(w, "%s%s: %d", separator, Quote(id), i); err != nil {
			return err
		}
		separator = ",\n"
	}
	_, err := w.WriteString("\n}\n")
	return err
}

// Quote returns s as a JSON string.
func Quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil { // a string always has a JSON form
		return `""`
	}
	return string(text)
}
