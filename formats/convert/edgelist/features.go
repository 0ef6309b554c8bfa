package edgelist

import (
	"fmt"
	"math"
	"slices"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
)

// featureRows are successive rows of a file of features.
type featureRows struct {
	nodes  []int32
	lines  []int32 // of each row, counted from the begin of the block
	values []float32
}

// readFeatures reads a file with an id and then numbers in every row.
func (r *reader) readFeatures(path string) error {
	if isTable(path) {
		rows := featureRows{}
		err := r.eachNode(path, func(v int32, line row, width int) error {
			r.featDim = width
			rows.nodes = append(rows.nodes, v)
			return rows.add(line, width)
		})
		r.features = append(r.features, rows)
		return err
	}
	choose := func(names []string, count int) ([]int, error) {
		r.featDim = count - 1
		return idFirst(names, count)
	}
	var seen nodeSet
	take := func(rows featureRows, before int) error {
		for i, v := range rows.nodes {
			if !seen.add(v) {
				return &formats.InputError{Path: path, Offset: -1, Line: before + int(rows.lines[i]), Err: fmt.Errorf("node %.40q comes twice", r.ids.name(v))}
			}
		}
		r.ids.note(rows.nodes)
		r.features = append(r.features, rows)
		return r.ctx.Err()
	}
	return scanText(r.ctx, path, r.text, choose, r.parseFeatures, take, func(count int64) {
		_ = r.options.Step(r.ctx, "features", count, 0) // take looks at the context
	})
}

// parseFeatures parses a block of lines.
func (r *reader) parseFeatures(text []byte, line *lineRow) (featureRows, error) {
	var rows featureRows
	err := line.eachIn(text, func() error {
		id, err := line.text(0)
		if err != nil {
			return err
		}
		v, err := r.ids.intern(id)
		if err != nil {
			return line.errorf("%w", err)
		}
		rows.nodes, rows.lines = append(rows.nodes, v), append(rows.lines, int32(line.line))
		return rows.add(line, line.columns-1)
	})
	return rows, err
}

// add appends the numbers of a row.
func (f *featureRows) add(line row, width int) error {
	for i := range width {
		x, err := line.float(i + 1)
		if err != nil {
			return err
		}
		if math.IsNaN(x) || math.Abs(x) > math.MaxFloat32 {
			return line.errorf("feature %d is %v, want a finite number", i+1, x)
		}
		f.values = append(f.values, float32(x))
	}
	return nil
}

// placeFeatures puts the rows where their nodes are.
func (r *reader) placeFeatures(raw *formats.RawDataset) error {
	n, m := raw.Full.NumNodes(), &r.matrix
	switch {
	case r.options.Features == "":
		r.options.Warnf("no features: the number of neighbours becomes the only feature")
		raw.Features, raw.Dim = assemble.DegreeFeatures(raw.Full), 1
		return nil
	case m.Values != nil:
		raw.Features, raw.Dim = m.Values, m.Dim
		return assemble.CheckRows(r.options.Features, "features", m.Rows, n)
	}
	has := make([]bool, n)
	for i := range r.features {
		for _, v := range r.features[i].nodes {
			has[v] = true
		}
	}
	if missing := slices.Index(has, false); missing >= 0 {
		return formats.BadInput(r.options.Features, "node %s has no features", r.name(missing))
	}
	dim := r.featDim
	raw.Features, raw.Dim = make([]float32, n*dim), dim
	for k := range r.features {
		f := &r.features[k]
		for i, v := range f.nodes {
			copy(raw.Features[int(v)*dim:(int(v)+1)*dim], f.values[i*dim:])
		}
		*f = featureRows{}
	}
	return nil
}
