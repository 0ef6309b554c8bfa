package ogb

import (
	"context"
	"fmt"
	"math"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npz"
)

// labels of all nodes: one class each, or a row of 0 and 1.
type labels struct {
	path          string
	rows, columns int
	multi         bool
	values        []int32
	missing       int // nodes without a label
}

func (l *labels) row(v int) []int32 { return l.values[v*l.columns : (v+1)*l.columns] }

// most returns the greatest value that a label of so many columns may have.
func most(columns int) int {
	if columns > 1 {
		return 1
	}
	return maxClass
}

// readLabels reads the labels in CSV form.
func (c *converter) readLabels(ctx context.Context, n int) (*labels, error) {
	t, err := c.src.openText(labelFile)
	if err != nil {
		return nil, err
	}
	defer t.close()
	columns, err := t.columns()
	if err != nil {
		return nil, err
	}
	if err := c.labelRoom(t.path, n, columns); err != nil {
		return nil, err
	}
	l := &labels{path: t.path, columns: columns, multi: columns > 1}
	parse := func(b []byte) ([]int32, *lineError) { return parseLabels(b, columns, most(columns)) }
	lines, err := readLines(ctx, c, labelFile, t, parse, func(v []int32) error {
		if len(l.values)+len(v) > n*columns {
			return tooMany(t.path, "labels", n)
		}
		l.values = append(l.values, v...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	l.rows = int(lines)
	return l, checkLines(t.path, "labels", lines, int64(n))
}

// labelRoom verifies that the labels of n nodes fit, before as much is allocated.
func (c *converter) labelRoom(path string, n, columns int) error {
	if need := c.fixed(n) + 4*int64(n)*int64(columns-1); need > c.o.Memory { // fixed counts one column
		return badOption("%s: labels of %d nodes in %d columns take %d MiB; raise --memory", path, n, columns, need>>20+1)
	}
	return nil
}

// tooMany and checkLines compare a file with the declared size of the graph.
func tooMany(path, what string, n int) error {
	return &formats.InputError{Path: path, Line: n + 1, Offset: -1, Err: fmt.Errorf("%s for more than the %d nodes that %s declares", what, n, numNodesFile)}
}

func checkLines(path, what string, lines, want int64) error {
	if lines != want {
		return formats.BadInput(path, "%d lines of %s, want %d", lines, what, want)
	}
	return nil
}

// readLabelData reads the labels in binary form.
func (c *converter) readLabelData(ctx context.Context, n int) (l *labels, err error) {
	path, err := c.src.onDisk(labelDataFile, c.work, c.o.Note)
	if err != nil {
		return nil, err
	}
	a, err := npz.Open(path)
	if err != nil {
		return nil, c.inSource(labelDataFile, err)
	}
	defer a.Close() //nolint:errcheck // opened for reading
	m, err := a.Stream("node_label")
	if err != nil {
		return nil, c.inSource(labelDataFile, err)
	}
	defer m.Close() //nolint:errcheck // opened for reading
	h := m.Header()
	columns := 1
	if len(h.Shape) == 2 {
		columns = h.Shape[1]
	}
	where := c.src.at(labelDataFile)
	if len(h.Shape) < 1 || len(h.Shape) > 2 || h.Shape[0] != n || columns < 1 || columns > maxClass || h.Fortran && columns > 1 {
		return nil, formats.BadInput(where, "array node_label is %v, want %d rows of labels", &h, n)
	}
	if err := c.labelRoom(where, n, columns); err != nil {
		return nil, err
	}
	l = &labels{path: where, rows: n, columns: columns, multi: columns > 1, values: make([]int32, n*columns)}
	buf := make([]float32, 1<<16)
	for at := 0; at < len(l.values); at += len(buf) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		part := buf[:min(len(buf), len(l.values)-at)]
		if err := m.Float32s(part); err != nil {
			return nil, c.inSource(labelDataFile, err)
		}
		for i, x := range part {
			switch {
			case x != x || x == noLabel && !l.multi:
				l.values[at+i] = noLabel
			case x < 0 || x > float32(most(columns)) || x != float32(math.Trunc(float64(x))):
				return nil, formats.BadInput(where, "label %v of node %d, want a whole number from 0 to %d, or nan", x, (at+i)/columns, most(columns))
			default:
				l.values[at+i] = int32(x)
			}
		}
		c.o.Progress(Step{labelDataFile, int64(at+len(part)) * int64(h.ItemSize), h.DataSize(), int64((at + len(part)) / columns)})
	}
	return l, c.inSource(labelDataFile, m.Finish())
}

// check verifies that every node with a role has a label, and returns the number of classes.
func (l *labels) check(s *split) (classes int, err error) {
	least, greatest := int32(math.MaxInt32), int32(-1)
	for v := range l.rows {
		for i, c := range l.row(v) {
			if c >= 0 {
				least, greatest = min(least, c), max(greatest, c)
				continue
			}
			l.missing++
			if r := s.roles[v]; r != noRole {
				return 0, &formats.InputError{Path: l.path, Line: v + 1, Offset: -1, Err: fmt.Errorf("node %d is in split %s (%s) but has no label", v, s.name, splitFiles[r-1])}
			}
			if l.multi {
				return 0, &formats.InputError{Path: l.path, Line: v + 1, Offset: -1, Err: fmt.Errorf("node %d lacks value %d; labels of several tasks must be complete", v, i+1)}
			}
		}
	}
	if l.multi {
		return l.columns, nil
	}
	return int(greatest-least) + 1, nil
}
