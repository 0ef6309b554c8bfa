package tables

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
)

// ReadOptions say how to read a folder.
type ReadOptions struct {
	assemble.Reports
	assemble.GraphOptions
	// EdgeWeight keeps the column weight.
	EdgeWeight bool
}

// reader holds what one call of Read has read so far.
type reader struct {
	ctx     context.Context
	options *ReadOptions
	path    string // of the file that is being read
	has     func(name string) bool

	// Nodes, in the order of the table.
	ids      []int32
	role     []assemble.Role
	class    []int64
	bits     []uint8
	classes  int
	features []float32
	dim      int

	edges assemble.Edges
	train assemble.Edges
}

// Read reads and checks the tables nodes and edges in the folder dir, as Parquet or Arrow
// files. Rows of nodes may come in any order. Without the column train, every edge between
// training nodes is one of the training graph. Errors about the content are
// *formats.InputError.
func Read(ctx context.Context, dir string, o ReadOptions) (*formats.RawDataset, error) {
	nodesPath, err := find(dir, nodesName)
	if err != nil {
		return nil, err
	}
	edgesPath, err := find(dir, edgesName)
	if err != nil {
		return nil, err
	}
	r := &reader{ctx: ctx, options: &o, path: nodesPath}
	raw := &formats.RawDataset{Name: filepath.Base(filepath.Clean(dir))}
	if err := r.nodes(raw); err != nil {
		return nil, err
	}
	r.path = edgesPath
	if err := r.graphs(raw); err != nil {
		return nil, err
	}
	return assemble.Dataset(raw, map[formats.Part]string{
		formats.PartFull: edgesPath, formats.PartTrain: edgesPath, formats.PartRoles: nodesPath,
		formats.PartLabels: nodesPath, formats.PartFeatures: nodesPath,
	})
}

// find returns the file of a table, whatever its format.
func find(dir, name string) (string, error) {
	for _, ending := range []string{"parquet", "arrow", "feather"} {
		path := filepath.Join(dir, name+"."+ending)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return "", formats.BadInput(dir, "this is a file, want the folder that holds %s.parquet and %s.parquet, or .arrow files", nodesName, edgesName)
	}
	return "", formats.BadInput(dir, "no table %s.parquet or %s.arrow", name, name)
}

// pick returns a choice of columns: all of must and those of may that are there.
func (r *reader) pick(must, may []string) func([]string) ([]string, error) {
	return func(names []string) ([]string, error) {
		chosen := slices.Clone(must)
		for _, name := range must {
			if !slices.Contains(names, name) {
				return nil, formats.BadInput(r.path, "no column %s; the table has %s", name, list(names))
			}
		}
		for _, name := range may {
			if slices.Contains(names, name) {
				chosen = append(chosen, name)
			}
		}
		r.has = func(name string) bool { return slices.Contains(chosen, name) }
		return chosen, nil
	}
}

// nodes reads the table of nodes and puts its rows in order.
func (r *reader) nodes(raw *formats.RawDataset) error {
	choose := r.pick([]string{colNode, colRole, colFeatures}, []string{colLabel, colLabels})
	err := Each(r.ctx, r.path, choose, func(columns []Column) error {
		if err := r.options.Step(r.ctx, "nodes", int64(len(r.ids)), 0); err != nil {
			return err
		}
		for i := range columns {
			if err := r.nodeColumn(&columns[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	n := len(r.ids)
	switch {
	case n == 0 || n > assemble.MaxNodes:
		return formats.BadInput(r.path, "%d nodes, want 1 to %d", n, assemble.MaxNodes)
	case r.has(colLabel) == r.has(colLabels):
		return formats.BadInput(r.path, "want either a column %s or a column %s", colLabel, colLabels)
	}
	if err := r.order(n); err != nil {
		return err
	}
	roles := assemble.RolesOf(r.role)
	raw.TrainNodes, raw.ValNodes, raw.TestNodes = roles.Train, roles.Val, roles.Test
	raw.Features, raw.Dim = r.features, r.dim
	if r.classes > 0 {
		raw.Labels = formats.Labels{NumClasses: r.classes, Multi: r.bits}
		return nil
	}
	raw.Labels, err = assemble.Classes(r.class)
	return assemble.InFile(r.path, err)
}

// nodeColumn appends the values of one column of a batch.
func (r *reader) nodeColumn(c *Column) error {
	for i := range c.Len() {
		var err error
		switch c.Name {
		case colNode:
			err = r.nodeID(c, i)
		case colRole:
			err = r.nodeRole(c, i)
		case colLabel:
			v, ok, e := c.Int(i)
			if !ok {
				v = assemble.Unlabelled
			}
			r.class, err = append(r.class, v), e
		case colLabels:
			r.classes, err = r.row(c, i, r.classes, func(values *Column, k int) error {
				v, ok, err := values.Int(k)
				if err == nil && (!ok || v < 0 || v > 1) {
					err = c.errorf(i, "label %d is not 0 or 1", k)
				}
				r.bits = append(r.bits, uint8(v))
				return err
			})
		case colFeatures:
			err = r.featureRow(c, i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) nodeID(c *Column, i int) error {
	v, ok, err := c.Int(i)
	if err == nil && (!ok || v < 0 || v >= assemble.MaxNodes) {
		err = c.errorf(i, "want a node id from 0 on")
	}
	r.ids = append(r.ids, int32(v))
	return err
}

func (r *reader) nodeRole(c *Column, i int) error {
	text, _, err := c.Text(i)
	if err != nil {
		return err
	}
	role, ok := assemble.ParseRole(text)
	if !ok {
		return c.errorf(i, "role %.40q, want tr, va, te or null", text)
	}
	r.role = append(r.role, role)
	return nil
}

// featureRow appends one row of features, without a look at every value where they are
// float32 already.
func (r *reader) featureRow(c *Column, i int) error {
	values, ok, err := c.List(i)
	if err != nil {
		return err
	}
	if a, plain := values.Array.(*array.Float32); ok && plain && a.NullN() == 0 && (r.dim == 0 || a.Len() == r.dim) && a.Len() > 0 {
		r.dim = a.Len()
		r.features = append(r.features, a.Float32Values()...)
		return nil
	}
	r.dim, err = r.row(c, i, r.dim, func(values *Column, k int) error {
		x, ok, err := values.Float(k)
		if err == nil && !ok {
			err = c.errorf(i, "feature %d is null", k)
		}
		r.features = append(r.features, float32(x))
		return err
	})
	return err
}

// row walks the list at row i, which must be as long as earlier ones, and returns its length.
func (r *reader) row(c *Column, i, width int, take func(values *Column, k int) error) (int, error) {
	values, ok, err := c.List(i)
	switch {
	case err != nil:
		return width, err
	case !ok || values.Len() == 0:
		return width, c.errorf(i, "want a list with at least one value")
	case width > 0 && values.Len() != width:
		return width, c.errorf(i, "a list of %d values, but earlier ones have %d", values.Len(), width)
	}
	for k := range values.Len() {
		if err := take(&values, k); err != nil {
			return width, err
		}
	}
	return values.Len(), nil
}

// order sorts all columns by node id, which must be 0…n-1, each once.
func (r *reader) order(n int) error {
	seen, sorted := make([]bool, n), true
	for i, v := range r.ids {
		if int(v) >= n || seen[v] {
			return formats.BadInput(r.path, "column %s, row %d: node %d comes twice or is not below %d, the number of rows", colNode, i, v, n)
		}
		seen[v] = true
		sorted = sorted && int(v) == i
	}
	if sorted {
		return nil
	}
	r.role = permute(r.role, r.ids, 1)
	r.class = permute(r.class, r.ids, 1)
	r.bits = permute(r.bits, r.ids, r.classes)
	r.features = permute(r.features, r.ids, r.dim)
	return nil
}

// permute moves row i of values to row to[i].
func permute[T any](values []T, to []int32, width int) []T {
	if len(values) == 0 {
		return values
	}
	out := make([]T, len(values))
	for i, v := range to {
		copy(out[int(v)*width:(int(v)+1)*width], values[i*width:])
	}
	return out
}

// graphs reads the table of edges.
func (r *reader) graphs(raw *formats.RawDataset) error {
	n := len(r.ids)
	may := []string{colTrain}
	if r.options.EdgeWeight {
		may = append(may, colWeight)
	}
	err := Each(r.ctx, r.path, r.pick([]string{colSrc, colDst}, may), func(columns []Column) error {
		if err := r.options.Step(r.ctx, "edges", int64(len(r.edges.Src)), 0); err != nil {
			return err
		}
		return r.edgeBatch(columns, n)
	})
	if err != nil {
		return err
	}
	hasTrain := r.has(colTrain)
	if hasTrain && r.options.Undirected {
		return formats.BadInput(r.path, "the column %s says which directed edges train; inverse edges cannot be added", colTrain)
	}
	full, counts, err := assemble.Graph(r.ctx, n, &r.edges, r.options.GraphOptions)
	if err != nil {
		return assemble.InFile(r.path, err)
	}
	r.options.WarnGraph(r.path, counts, r.options.GraphOptions)
	raw.Full = full
	r.options.WarnDirected(r.path, full, r.options.GraphOptions)
	if !hasTrain {
		return nil
	}
	raw.Train, _, err = assemble.Graph(r.ctx, n, &r.train, r.options.GraphOptions)
	return assemble.InFile(r.path, err)
}

// edgeBatch appends the edges of one batch.
func (r *reader) edgeBatch(columns []Column, n int) error {
	var train, weight *Column
	for i := range columns {
		switch columns[i].Name {
		case colTrain:
			train = &columns[i]
		case colWeight:
			weight = &columns[i]
		}
	}
	for i := range columns[0].Len() {
		var ends [2]int32
		for k := range ends {
			v, ok, err := columns[k].Int(i)
			if err == nil && (!ok || v < 0 || v >= int64(n)) {
				err = columns[k].errorf(i, "node %d, but there are %d nodes", v, n)
			}
			if err != nil {
				return err
			}
			ends[k] = int32(v)
		}
		w, err := weightAt(weight, i)
		if err != nil {
			return err
		}
		inTrain, err := isTrue(train, i)
		if err != nil {
			return err
		}
		push(&r.edges, ends, w, weight != nil)
		if inTrain {
			push(&r.train, ends, w, weight != nil)
		}
	}
	return nil
}

// weightAt returns the weight of edge i; c is nil without weights.
func weightAt(c *Column, i int) (float64, error) {
	if c == nil {
		return 1, nil
	}
	x, ok, err := c.Float(i)
	if err == nil && (!ok || !(x >= 0)) {
		err = c.errorf(i, "weight %v, want a number that is not negative", x)
	}
	return x, err
}

func isTrue(c *Column, i int) (bool, error) {
	if c == nil {
		return false, nil
	}
	v, _, err := c.Int(i)
	if err == nil && v != 0 && v != 1 {
		err = c.errorf(i, "%d, want true or false", v)
	}
	return v == 1, err
}

func push(e *assemble.Edges, ends [2]int32, weight float64, weighted bool) {
	e.Src, e.Dst = append(e.Src, ends[0]), append(e.Dst, ends[1])
	if weighted {
		e.Weights = append(e.Weights, float32(weight))
	}
}
