package assemble

import (
	"errors"
	"io/fs"
	"os"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
)

// Matrix is a feature matrix, row-major.
type Matrix struct {
	Values    []float32
	Rows, Dim int
}

// ReadMatrix reads a two-dimensional .npy file of numbers as float32. It warns where the
// values are doubles that float32 cannot hold.
func ReadMatrix(path string, r *Reports) (Matrix, error) {
	a, err := npy.ReadFile(path)
	if err != nil {
		return Matrix{}, InFile(path, err)
	}
	return MatrixOf(path, a, r)
}

// MatrixOf is ReadMatrix for an array that was read already; path stands in messages.
func MatrixOf(path string, a *npy.Array, r *Reports) (Matrix, error) {
	h := a.Header()
	if len(h.Shape) != 2 || !h.DType.Numeric() || h.Shape[1] == 0 || h.Shape[0] > MaxNodes {
		return Matrix{}, formats.BadInput(path, "features are %v, want numbers of shape (nodes, features)", &h)
	}
	m := Matrix{Rows: h.Shape[0], Dim: h.Shape[1]}
	var err error
	if h.DType == npy.Float64 {
		wide, err := a.Float64s()
		if err != nil {
			return Matrix{}, InFile(path, err)
		}
		m.Values = Narrow(path, wide, r)
		return m, nil
	}
	m.Values, err = a.Float32s()
	return m, err
}

// Narrow rounds doubles to float32 and warns if that changes any.
func Narrow(path string, wide []float64, r *Reports) []float32 {
	out := make([]float32, len(wide))
	rounded := 0
	for i, x := range wide {
		out[i] = float32(x)
		if float64(out[i]) != x && x == x {
			rounded++
		}
	}
	if rounded > 0 {
		r.Warnf("%s: %d of %d values were rounded from float64 to float32", path, rounded, len(wide))
	}
	return out
}

// InFile makes sure that err names path, once, as an error about the user's input.
func InFile(path string, err error) error {
	if err == nil {
		return nil
	}
	var in *formats.InputError
	if errors.As(err, &in) {
		return err
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("no such file")
	}
	return &formats.InputError{Path: path, Offset: -1, Err: err}
}

// Exists reports whether there is something at path.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Dataset puts the parts together and checks them. train nil means the edges of full
// between training nodes. files names the file of each part for messages.
func Dataset(raw *formats.RawDataset, files map[formats.Part]string) (*formats.RawDataset, error) {
	if raw.Train == nil && raw.Full != nil {
		for _, v := range raw.TrainNodes {
			if int(v) >= raw.Full.NumNodes() || v < 0 {
				return nil, formats.BadInput(files[formats.PartRoles], "training node %d of %d nodes", v, raw.Full.NumNodes())
			}
		}
		raw.Train = formats.Induced(raw.Full, raw.TrainNodes)
	}
	err := raw.Validate()
	var part *formats.PartError
	if errors.As(err, &part) {
		path := files[part.Part]
		if path == "" {
			path = raw.Name
		}
		return nil, &formats.InputError{Path: path, Offset: -1, Err: part.Err}
	}
	if err != nil {
		return nil, err
	}
	return raw, nil
}

// CheckRows verifies that a part has one row for each of n nodes.
func CheckRows(path, what string, rows, n int) error {
	if rows != n {
		return formats.BadInput(path, "%s for %d nodes, but there are %d", what, rows, n)
	}
	return nil
}

// WarnGraph says what Graph merged or met.
func (r *Reports) WarnGraph(path string, c Counts, o GraphOptions) {
	if c.Merged > 0 {
		r.Warnf("%s: %d edges repeat another one and were merged with it", path, c.Merged)
	}
	if c.SelfLoops > 0 {
		what := "are kept"
		if o.DropSelfLoops {
			what = "were left out"
		}
		r.Warnf("%s: %d edges lead from a node to itself and %s", path, c.SelfLoops, what)
	}
}

// WarnDirected says which end aggregates if a graph has edges in one direction only.
func (r *Reports) WarnDirected(path string, g *formats.Graph, o GraphOptions) {
	switch {
	case o.Undirected || g.Symmetric():
	case o.TargetRows:
		r.Warnf("%s: some edges go one way only; the target of an edge aggregates from its source (--rows source turns that round, --undirected adds the inverse edges)", path)
	default:
		r.Warnf("%s: some edges go one way only; the source of an edge aggregates from its target (--rows target turns that round, --undirected adds the inverse edges)", path)
	}
}

// WarnTrain says what a format loses that marks the training edges among those of the full
// graph: other edges, and other weights.
func (r *Reports) WarnTrain(raw *formats.RawDataset) {
	lost, reweighted := 0, 0
	for v := range raw.Train.NumNodes() {
		for e := raw.Train.Indptr[v]; e < raw.Train.Indptr[v+1]; e++ {
			switch at := raw.Full.Find(int32(v), raw.Train.Indices[e]); {
			case at < 0:
				lost++
			case WeightOf(raw.Train, e) != WeightOf(raw.Full, at):
				reweighted++
			}
		}
	}
	if lost > 0 {
		r.Warnf("%d edges of the training graph are not in the full graph and are lost", lost)
	}
	if reweighted > 0 {
		r.Warnf("%d edges of the training graph have another weight there than in the full graph, which counts", reweighted)
	}
}

// WeightOf returns the weight of entry e, which is 1 in a graph without weights.
func WeightOf(g *formats.Graph, e int64) float32 {
	if g.Weights == nil {
		return 1
	}
	return g.Weights[e]
}
