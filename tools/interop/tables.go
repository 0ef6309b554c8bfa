package main

import (
	"context"

	"github.com/saint-gnn/saint/formats/convert/ogb"
	"github.com/saint-gnn/saint/formats/convert/tables"
	"github.com/saint-gnn/saint/formats/download"
)

// column is a column of a table; a null is a null in each.
type column struct {
	Ints   []*int64   `json:"ints,omitempty"`
	Floats *array     `json:"floats,omitempty"` // of the values that are not null
	Texts  []*string  `json:"texts,omitempty"`
	Lists  []*[]int64 `json:"lists,omitempty"`
	Valid  []bool     `json:"valid,omitempty"`

	floats []float64
}

// tableRead reads the named columns in the way that As asks for: int, float, text or list (of
// integers).
func tableRead(q struct {
	Path    string   `json:"path"`
	Columns []string `json:"columns"`
	As      string   `json:"as"`
},
) (any, error) {
	out := make([]column, len(q.Columns))
	err := tables.Each(context.Background(), q.Path,
		func([]string) ([]string, error) { return q.Columns, nil },
		func(batch []tables.Column) error {
			for i := range batch {
				for row := range batch[i].Len() {
					if err := out[i].take(&batch[i], row, q.As); err != nil {
						return err
					}
				}
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	for i := range out {
		c := &out[i]
		if c.Floats, err = pack("float64", []int{len(c.floats)}, c.floats); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *column) take(from *tables.Column, row int, as string) error {
	switch as {
	case "int":
		v, ok, err := from.Int(row)
		c.Ints = append(c.Ints, orNull(v, ok))
		return err
	case "text":
		v, ok, err := from.Text(row)
		c.Texts = append(c.Texts, orNull(v, ok))
		return err
	case "list":
		list, ok, err := from.List(row)
		if err != nil || !ok {
			c.Lists = append(c.Lists, nil)
			return err
		}
		values := make([]int64, list.Len())
		for i := range values {
			if values[i], _, err = list.Int(i); err != nil {
				return err
			}
		}
		c.Lists = append(c.Lists, &values)
		return nil
	default:
		v, ok, err := from.Float(row)
		c.Valid = append(c.Valid, ok)
		if ok {
			c.floats = append(c.floats, v)
		}
		return err
	}
}

func orNull[T any](v T, ok bool) *T {
	if !ok {
		return nil
	}
	return &v
}

// ogbSets returns what is known of the benchmark's sets.
func ogbSets(struct{}) (any, error) {
	type set struct {
		ogb.Set
		URL string // "" if there is no download
	}
	var all []set
	for _, s := range ogb.Sets() {
		entry := set{Set: s}
		if src, err := download.Lookup(s.Name); err == nil {
			entry.URL = src.Base + "/" + src.Files[0]
		}
		all = append(all, entry)
	}
	return all, nil
}
