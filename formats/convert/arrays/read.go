package arrays

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/npy"
)

// Options say how to read arrays.
type Options struct {
	assemble.Reports
	assemble.GraphOptions
	// Split says which nodes train, validate and test if there are no masks; nil: masks
	// are wanted.
	Split *assemble.Split
	// SplitColumn chooses a column of masks with two dimensions.
	SplitColumn int
	// EdgeWeight reads edge_weight as weights.
	EdgeWeight bool
}

// reader holds one set of arrays.
type reader struct {
	*assemble.Arrays
	options *Options
	columns bool // a mask has columns to choose from
}

// Read reads and checks the arrays in the folder or archive at path. The number of nodes is
// that of the rows of x, else of y. Errors about the
// content are *formats.InputError.
func Read(ctx context.Context, path string, o Options) (*formats.RawDataset, error) {
	files, err := assemble.OpenArrays(path)
	if err != nil {
		return nil, err
	}
	defer files.Close() //nolint:errcheck // opened for reading
	r := &reader{Arrays: files, options: &o}
	raw := &formats.RawDataset{Name: strings.TrimSuffix(filepath.Base(filepath.Clean(path)), ".npz")}
	e, err := r.edges()
	if err != nil {
		return nil, err
	}
	n, err := r.countNodes()
	if err != nil {
		return nil, err
	}
	y, err := r.Read("y")
	if err != nil {
		return nil, err
	}
	if raw.Labels, err = assemble.LabelsOf(r.Path("y"), y, n); err != nil {
		return nil, err
	}
	if err := r.features(raw, n); err != nil {
		return nil, err
	}
	edgePath := r.edgePath()
	g, counts, err := assemble.Graph(ctx, n, e, o.GraphOptions)
	if err != nil {
		return nil, assemble.InFile(edgePath, err)
	}
	o.WarnGraph(edgePath, counts, o.GraphOptions)
	o.WarnDirected(edgePath, g, o.GraphOptions)
	raw.Full = g
	if raw.Dim == 0 {
		o.Warnf("%s: no such array; the number of neighbours becomes the only feature", r.Path("x"))
		raw.Features, raw.Dim = assemble.DegreeFeatures(g), 1
	}
	rolePath, err := r.roles(raw)
	if err != nil {
		return nil, err
	}
	return assemble.Dataset(raw, map[formats.Part]string{
		formats.PartFull: edgePath, formats.PartTrain: edgePath, formats.PartLabels: r.Path("y"),
		formats.PartFeatures: r.Path("x"), formats.PartRoles: rolePath,
	})
}

func (r *reader) edgePath() string {
	if r.Has("edge_index") {
		return r.Path("edge_index")
	}
	return r.Path("src")
}

// edges reads edge_index, or src and dst, and the weights.
func (r *reader) edges() (*assemble.Edges, error) {
	e := new(assemble.Edges)
	if r.Has("edge_index") {
		a, err := r.Read("edge_index")
		if err != nil {
			return nil, err
		}
		if s := a.Shape(); len(s) != 2 || s[0] != 2 {
			return nil, formats.BadInput(r.Path("edge_index"), "shape %v, want two rows: sources and targets", s)
		}
		both, err := a.Int32s()
		if err != nil {
			return nil, assemble.InFile(r.Path("edge_index"), err)
		}
		e.Src, e.Dst = both[:len(both)/2], both[len(both)/2:]
	} else {
		if !r.Has("src") {
			return nil, formats.BadInput(r.Path("edge_index"), "no such array, and no src and dst either")
		}
		var err error
		if e.Src, err = r.ids("src"); err != nil {
			return nil, err
		}
		if e.Dst, err = r.ids("dst"); err != nil {
			return nil, err
		}
		if len(e.Src) != len(e.Dst) {
			return nil, formats.BadInput(r.Path("dst"), "%d targets for %d sources", len(e.Dst), len(e.Src))
		}
	}
	return e, r.weights(e)
}

func (r *reader) ids(name string) ([]int32, error) {
	a, err := r.Read(name)
	if err != nil {
		return nil, err
	}
	if len(a.Shape()) != 1 {
		return nil, formats.BadInput(r.Path(name), "shape %v, want one dimension", a.Shape())
	}
	ids, err := a.Int32s()
	return ids, assemble.InFile(r.Path(name), err)
}

func (r *reader) weights(e *assemble.Edges) error {
	const name = "edge_weight"
	if !r.Has(name) {
		return nil
	}
	if !r.options.EdgeWeight {
		r.options.Warnf("%s is not used; --edge_weight keeps it", r.Path(name))
		return nil
	}
	a, err := r.Read(name)
	if err != nil {
		return err
	}
	if a.Len() != len(e.Src) || len(a.Shape()) < 1 {
		return formats.BadInput(r.Path(name), "shape %v, want one weight for each of %d edges", a.Shape(), len(e.Src))
	}
	e.Weights, err = a.Float32s()
	return assemble.InFile(r.Path(name), err)
}

// countNodes returns the number of nodes.
func (r *reader) countNodes() (int, error) {
	for _, name := range []string{"x", "y"} {
		if !r.Has(name) {
			continue
		}
		a, err := r.Read(name)
		if err != nil {
			return 0, err
		}
		if s := a.Shape(); len(s) == 0 || s[0] < 1 || s[0] > assemble.MaxNodes {
			return 0, formats.BadInput(r.Path(name), "shape %v, want one row for each of 1 to %d nodes", s, assemble.MaxNodes)
		}
		return a.Shape()[0], nil
	}
	return 0, formats.BadInput(r.Path("y"), "no such array; y holds the labels")
}

func (r *reader) features(raw *formats.RawDataset, n int) error {
	if !r.Has("x") {
		return nil
	}
	a, err := r.Read("x")
	if err != nil {
		return err
	}
	m, err := assemble.MatrixOf(r.Path("x"), a, &r.options.Reports)
	if err != nil {
		return err
	}
	raw.Features, raw.Dim = m.Values, m.Dim
	return assemble.CheckRows(r.Path("x"), "features", m.Rows, n)
}

// roles sets the roles of raw from the masks or the split, and returns the file that a
// mistake in them is in.
func (r *reader) roles(raw *formats.RawDataset) (string, error) {
	n := raw.Full.NumNodes()
	if s := r.options.Split; s != nil {
		return s.Name(r.Path("y")), s.Apply(raw, assemble.Labelled(&raw.Labels, n, nil))
	}
	role := make([]assemble.Role, n)
	unlabelled := 0
	for i, name := range []string{"train_mask", "val_mask", "test_mask"} {
		if i > 0 && !r.Has(name) {
			continue
		}
		mask, err := r.mask(name, n)
		if err != nil {
			return "", err
		}
		for v, in := range mask {
			switch {
			case !in:
			case role[v] != assemble.NoRole:
				return "", formats.BadInput(r.Path(name), "node %d is in the mask of %s already", v, role[v])
			case !raw.Labels.IsMulti() && raw.Labels.Class[v] < 0:
				unlabelled++
			default:
				role[v] = assemble.Role(i + 1)
			}
		}
	}
	if c := r.options.SplitColumn; c > 0 && !r.columns {
		return "", formats.BadInput(r.Path("train_mask"), "the masks have one dimension, so there is no column %d; leave out --split_column", c)
	}
	if unlabelled > 0 {
		r.options.Warnf("%s: %d nodes of the masks have no label and get no role", r.Path("y"), unlabelled)
	}
	roles := assemble.RolesOf(role)
	raw.TrainNodes, raw.ValNodes, raw.TestNodes = roles.Train, roles.Val, roles.Test
	return r.Path("train_mask"), nil
}

// mask reads one mask; of one with two dimensions the chosen column.
func (r *reader) mask(name string, n int) ([]bool, error) {
	path := r.Path(name)
	if !r.Has(name) {
		return nil, formats.BadInput(path, "no such array; give the masks, or draw a split with --split 0.6,0.2,0.2")
	}
	a, err := r.Read(name)
	if err != nil {
		return nil, err
	}
	s := a.Shape()
	if len(s) < 1 || len(s) > 2 || s[0] != n || a.Header().DType == npy.Float32 {
		h := a.Header()
		return nil, formats.BadInput(path, "the mask is %v, want bool of shape (%d,) or (%d, splits)", &h, n, n)
	}
	values, err := a.Bools()
	if err != nil {
		return nil, assemble.InFile(path, err)
	}
	if len(s) == 1 {
		return values, nil
	}
	r.columns = true
	if c := r.options.SplitColumn; c < 0 || c >= s[1] {
		return nil, formats.BadInput(path, "the masks have %d columns, so there is no column %d; --split_column chooses one", s[1], c)
	}
	mask := make([]bool, n)
	for v := range mask {
		mask[v] = values[v*s[1]+r.options.SplitColumn]
	}
	return mask, nil
}
