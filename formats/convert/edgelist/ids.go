package edgelist

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/saint-gnn/saint/formats/convert/assemble"
)

// ids numbers names. While it grows the numbers are those of first appearance.
type ids struct {
	number map[string]int32
	names  []string
	rows   int // names are row numbers below this; 0: they are free
}

// intern returns the number of a name, a new one if it is unknown.
func (t *ids) intern(name []byte) (int32, error) {
	if t.rows > 0 {
		v, err := strconv.ParseInt(string(name), 10, 64)
		if err != nil || v < 0 || v >= int64(t.rows) {
			return 0, fmt.Errorf("node id %.40q, want a row number from 0 to %d", name, t.rows-1)
		}
		return int32(v), nil
	}
	if len(name) == 0 {
		return 0, fmt.Errorf("an empty node id")
	}
	if v, ok := t.number[string(name)]; ok {
		return v, nil
	}
	if len(t.names) == assemble.MaxNodes {
		return 0, fmt.Errorf("more than %d nodes", assemble.MaxNodes)
	}
	if t.number == nil {
		t.number = map[string]int32{}
	}
	v := int32(len(t.names))
	t.names = append(t.names, string(name))
	t.number[t.names[v]] = v
	return v, nil
}

// count returns the number of nodes.
func (t *ids) count() int {
	if t.rows > 0 {
		return t.rows
	}
	return len(t.names)
}

// sort orders the names and returns for every number of first appearance the final one.
func (t *ids) sort() []int32 {
	order := make([]int32, len(t.names))
	for i := range order {
		order[i] = int32(i)
	}
	values := make([]int64, len(t.names))
	for i, name := range t.names {
		values[i] = wholeNumber(name)
	}
	slices.SortFunc(order, func(a, b int32) int {
		va, vb := values[a], values[b]
		switch {
		case va >= 0 && vb >= 0:
			return cmp.Compare(va, vb)
		case va >= 0:
			return -1
		case vb >= 0:
			return 1
		}
		return cmp.Compare(t.names[a], t.names[b])
	})
	final := make([]int32, len(order))
	sorted := make([]string, len(order))
	for i, v := range order {
		final[v], sorted[i] = int32(i), t.names[v]
	}
	t.names, t.number = sorted, nil
	return final
}

// wholeNumber returns the number that name spells in the shortest form, or -1.
func wholeNumber(name string) int64 {
	v, err := strconv.ParseInt(name, 10, 64)
	if err != nil || v < 0 || strconv.FormatInt(v, 10) != name {
		return -1
	}
	return v
}
