package graphsage

import (
	"strconv"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
)

// idTable maps node ids to rows. While ids are "0", "1", … at the rows they name, it takes
// no memory.
type idTable struct {
	plain int              // ids "0"…"plain-1" are their own rows
	rows  map[string]int32 // the others; nil if there are none
}

// add gives an id its row; it returns false if the id has one.
func (t *idTable) add(id []byte, row int32) bool {
	if t.rows == nil && int(row) == t.plain && plainID(id) == int64(t.plain) {
		t.plain++
		return true
	}
	if t.rows == nil {
		t.rows = map[string]int32{}
	}
	if t.find(id) >= 0 {
		return false
	}
	t.rows[string(id)] = row
	return true
}

// find returns the row of an id, or -1.
func (t *idTable) find(id []byte) int32 {
	if v := plainID(id); v >= 0 && v < int64(t.plain) {
		return int32(v)
	}
	if row, ok := t.rows[string(id)]; ok {
		return row
	}
	return -1
}

// size returns the number of ids.
func (t *idTable) size() int { return t.plain + len(t.rows) }

// plainID returns the number that id spells in decimal without leading zeros, or -1.
func plainID(id []byte) int64 {
	if len(id) == 0 || len(id) > 10 || id[0] == '0' && len(id) > 1 {
		return -1
	}
	v := int64(0)
	for _, c := range id {
		if c < '0' || c > '9' {
			return -1
		}
		v = 10*v + int64(c-'0')
	}
	return v
}

// readIDMap reads {"id": row, …}; the rows must be 0…n-1, each once.
func readIDMap(path string) (*idTable, error) {
	t := new(idTable)
	err := scanFile(path, t.parse)
	return t, err
}

func (t *idTable) parse(s *scanner) error {
	greatest := int32(-1)
	err := s.object(`'{"id": row, …}'`, func(key []byte, at place) error {
		id := string(key)
		s.peek()
		where := s.here()
		if err := s.word("a row number"); err != nil {
			return err
		}
		row, err := strconv.ParseInt(string(s.text), 10, 32)
		if err != nil || row < 0 || row >= assemble.MaxNodes {
			return s.errorAt(where, "row %q of node %q, want a number from 0 on", clip(s.text), clip([]byte(id)))
		}
		if !t.add([]byte(id), int32(row)) {
			return s.errorAt(at, "node %q comes twice", clip([]byte(id)))
		}
		greatest = max(greatest, int32(row))
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.finish(); err != nil {
		return err
	}
	return t.check(s.path, int(greatest))
}

// check verifies that the rows are 0…greatest, each once.
func (t *idTable) check(path string, greatest int) error {
	n := t.size()
	if n == 0 {
		return formats.BadInput(path, "no nodes")
	}
	if greatest+1 > n {
		return formats.BadInput(path, "%d nodes, but a row %d; want the rows 0 to %d, each once", n, greatest, n-1)
	}
	seen := make([]bool, n)
	for v := range t.plain {
		seen[v] = true
	}
	for _, row := range t.rows {
		if seen[row] {
			return formats.BadInput(path, "row %d belongs to two nodes", row)
		}
		seen[row] = true
	}
	return nil
}
