package tables

import (
	"math"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow/array"
)

// Int returns value i as a whole number; ok is false for null.
func (c *Column) Int(i int) (v int64, ok bool, err error) {
	if c.IsNull(i) {
		return 0, false, nil
	}
	switch a := c.Array.(type) {
	case *array.Int8:
		return int64(a.Value(i)), true, nil
	case *array.Int16:
		return int64(a.Value(i)), true, nil
	case *array.Int32:
		return int64(a.Value(i)), true, nil
	case *array.Int64:
		return a.Value(i), true, nil
	case *array.Uint8:
		return int64(a.Value(i)), true, nil
	case *array.Uint16:
		return int64(a.Value(i)), true, nil
	case *array.Uint32:
		return int64(a.Value(i)), true, nil
	case *array.Uint64:
		if a.Value(i) > math.MaxInt64 {
			return 0, false, c.errorf(i, "%d is too large", a.Value(i))
		}
		return int64(a.Value(i)), true, nil
	case *array.Boolean:
		if a.Value(i) {
			return 1, true, nil
		}
		return 0, true, nil
	case *array.Float32, *array.Float64:
		x, _, err := c.Float(i)
		const exact = 1 << 53
		switch {
		case err != nil:
			return 0, false, err
		case math.IsNaN(x): // pandas turns integers with gaps into doubles with NaN
			return 0, false, nil
		case x != math.Trunc(x) || math.Abs(x) > exact:
			return 0, false, c.errorf(i, "%v is no whole number", x)
		}
		return int64(x), true, nil
	}
	return 0, false, c.errorf(i, "values of type %s, want whole numbers", c.DataType())
}

// Float returns value i as a number; ok is false for null.
func (c *Column) Float(i int) (x float64, ok bool, err error) {
	if c.IsNull(i) {
		return 0, false, nil
	}
	switch a := c.Array.(type) {
	case *array.Float16:
		return float64(a.Value(i).Float32()), true, nil
	case *array.Float32:
		return float64(a.Value(i)), true, nil
	case *array.Float64:
		return a.Value(i), true, nil
	}
	v, ok, err := c.Int(i)
	return float64(v), ok, err
}

// Text returns value i as text; numbers are spelt in decimal. ok is false for null.
func (c *Column) Text(i int) (s string, ok bool, err error) {
	if c.IsNull(i) {
		return "", false, nil
	}
	switch a := c.Array.(type) {
	case *array.String:
		return a.Value(i), true, nil
	case *array.LargeString:
		return a.Value(i), true, nil
	case *array.Binary:
		return string(a.Value(i)), true, nil
	}
	v, ok, err := c.Int(i)
	if err != nil {
		return "", false, c.errorf(i, "values of type %s, want text or whole numbers", c.DataType())
	}
	return strconv.FormatInt(v, 10), ok, nil
}

// List returns the values of list i; ok is false for null, and err tells of a column that
// holds no lists.
func (c *Column) List(i int) (values Column, ok bool, err error) {
	l, isList := c.Array.(array.ListLike)
	if !isList {
		return Column{}, false, c.errorf(i, "values of type %s, want lists", c.DataType())
	}
	if c.IsNull(i) {
		return Column{}, false, nil
	}
	from, to := l.ValueOffsets(i)
	inner := l.ListValues()
	if from < 0 || to < from || to > int64(inner.Len()) {
		return Column{}, false, c.errorf(i, "the list goes from %d to %d of %d values", from, to, inner.Len())
	}
	return Column{c.Name, array.NewSlice(inner, from, to), c.path, c.row + int64(i)}, true, nil
}
