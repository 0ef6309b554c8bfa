package graphsage

import (
	"strconv"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
)

// classFile is the content of class_map.json.
type classFile struct {
	ids     *idTable
	size    int64 // bytes of the file
	seen    []bool
	class   []int64
	classes int // columns of rows; 0: single-label, or nothing read yet
	rows    []uint8
	entries int
	bits    []uint8 // the list that is being read
}

// read parses the file into labels by row.
func (c *classFile) read(path string) (formats.Labels, error) {
	if err := scanFile(path, c.parse); err != nil {
		return formats.Labels{}, err
	}
	if c.classes > 0 {
		return formats.Labels{NumClasses: c.classes, Multi: c.rows}, nil
	}
	labels, err := assemble.Classes(c.class)
	return labels, assemble.InFile(path, err)
}

func (c *classFile) parse(s *scanner) error {
	n := c.ids.size()
	c.seen = make([]bool, n)
	err := s.object(`'{"id": label, …}'`, func(key []byte, at place) error {
		row := c.ids.find(key)
		if row < 0 {
			return s.errorAt(at, "node %q is not in the id map", clip(key))
		}
		if c.seen[row] {
			return s.errorAt(at, "node %q comes twice", clip(key))
		}
		c.seen[row] = true
		c.entries++
		return c.label(s, row, n)
	})
	if err != nil {
		return err
	}
	if c.entries == 0 {
		return s.errorAt(place{1, 1}, "no labels")
	}
	return s.finish()
}

// label consumes the label of a node: an integer, or a list of 0 and 1.
func (c *classFile) label(s *scanner, row int32, n int) error {
	isList := s.peek() == '['
	at := s.here()
	if c.entries > 1 && isList != (c.classes > 0) {
		return s.errorAt(at, "the label is of another kind than earlier ones: want either numbers or lists of 0 and 1")
	}
	if !isList {
		v, err := c.integer(s)
		if err != nil {
			return err
		}
		if c.class == nil {
			c.class = make([]int64, n)
			for i := range c.class {
				c.class[i] = assemble.Unlabelled
			}
		}
		c.class[row] = v
		return nil
	}
	c.bits = c.bits[:0]
	err := s.list("a list of 0 and 1", func() error {
		s.peek()
		at := s.here()
		v, err := c.integer(s)
		if err == nil && v != 0 && v != 1 {
			err = s.errorAt(at, "the label list holds %d, want 0 or 1", v)
		}
		c.bits = append(c.bits, uint8(v))
		return err
	})
	if err != nil {
		return err
	}
	if c.entries == 1 {
		// Lists are equally long and a value takes two bytes, so the file bounds the matrix
		// unless most nodes have no label.
		if len(c.bits) == 0 || int64(len(c.bits))*int64(n) > max(1<<30, 16*c.size) {
			return s.errorAt(at, "%d label values for %d nodes do not fit a file of %d bytes", len(c.bits), n, c.size)
		}
		c.classes, c.rows = len(c.bits), make([]uint8, n*len(c.bits))
	}
	if len(c.bits) != c.classes {
		return s.errorAt(at, "the label list has %d entries, but earlier ones have %d", len(c.bits), c.classes)
	}
	copy(c.rows[int(row)*c.classes:], c.bits)
	return nil
}

// integer consumes a whole number; 1.0 is one.
func (c *classFile) integer(s *scanner) (int64, error) {
	s.peek()
	at := s.here()
	if err := s.word("a class number"); err != nil {
		return 0, err
	}
	switch string(s.text) {
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	}
	if v, err := strconv.ParseInt(string(s.text), 10, 64); err == nil && v != assemble.Unlabelled {
		return v, nil
	}
	const exact = 1 << 53
	x, err := strconv.ParseFloat(string(s.text), 64)
	if err != nil || !(x >= -exact && x <= exact) || x != float64(int64(x)) {
		return 0, s.errorAt(at, "found %q, want a whole number", clip(s.text))
	}
	return int64(x), nil
}
