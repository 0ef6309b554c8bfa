package saintdir

import (
	"math"
	"strconv"
	"strings"

	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/npz"
)

// readRolesNPZ reads and checks a role.npz by itself.
func readRolesNPZ(path string) (*roleSet, error) {
	archive, err := npz.Open(path)
	if err != nil {
		return nil, inFile(path, err)
	}
	defer archive.Close() //nolint:errcheck // opened for reading
	for _, name := range archive.Names() {
		if name != roleKeys[0] && name != roleKeys[1] && name != roleKeys[2] {
			return nil, badFile(path, "unknown array %q, want tr, va and te", name)
		}
	}
	for _, name := range roleKeys {
		if !archive.Has(name) {
			return nil, badFile(path, "array %s is missing; store an empty one for a role without nodes", name)
		}
	}
	arrays, err := archive.ReadAll(roleKeys[:]...)
	if err != nil {
		return nil, inFile(path, err)
	}
	roles := &roleSet{path: path}
	for i, array := range arrays {
		h := array.Header()
		// NumPy makes an empty list an array of float64, so that type is accepted without entries.
		if len(h.Shape) != 1 || !isInteger(h.DType) && array.Len() > 0 {
			return nil, badFile(path, "array %s is %v, want one dimension of integers", roleKeys[i], &h)
		}
		if roles.nodes[i], err = array.Int32s(); err != nil {
			return nil, inFile(path, err)
		}
		for k, v := range roles.nodes[i] {
			if v < 0 || v > maxNodeID {
				return nil, badFile(path, "array %s, entry %d: node id %d, want 0 to %d", roleKeys[i], k, v, int64(maxNodeID))
			}
		}
	}
	roles.where = func(_ int32, _ int, format string, args ...any) error { return badFile(path, format, args...) }
	return roles, roles.sort()
}

// isInteger reports whether t is an integer type; bool is none.
func isInteger(t npy.DType) bool { return t >= npy.Int8 && t <= npy.Uint64 }

// readLabelArray reads and checks a labels.npy by itself: one integer a node, -1 for none,
// or one row of 0 and 1 a node.
func readLabelArray(path string) (*labelSet, error) {
	array, err := npy.ReadFile(path)
	if err != nil {
		return nil, inFile(path, err)
	}
	h := array.Header()
	l := &labelSet{path: path}
	l.where = func(_ int32, _ int, format string, args ...any) error { return badFile(path, format, args...) }
	switch {
	case len(h.Shape) == 1 && isInteger(h.DType):
		err = l.takeClasses(array)
	case len(h.Shape) == 2 && (isInteger(h.DType) || h.DType == npy.Bool):
		err = l.takeRows(array, h.Shape[1])
	default:
		return nil, badFile(path, "%v, want one integer a node or a row of 0 and 1 a node", &h)
	}
	if err != nil {
		return nil, inFile(path, err)
	}
	if l.entries() > math.MaxInt32 {
		return nil, badFile(path, "%d rows, want at most %d", l.entries(), math.MaxInt32)
	}
	return l, nil
}

// takeClasses reads one class number a node.
func (l *labelSet) takeClasses(array *npy.Array) error {
	var err error
	if l.class, err = array.Int64s(); err != nil {
		return err
	}
	for i, c := range l.class {
		if c < -1 {
			return badFile(l.path, "entry %d is %d, want a class number or -1 for no label", i, c)
		}
		if c == -1 {
			l.class[i] = unlabelled
		}
	}
	return nil
}

// takeRows reads one row of 0 and 1 a node.
func (l *labelSet) takeRows(array *npy.Array, classes int) error {
	if classes < 1 || classes > maxClasses {
		return badFile(l.path, "%d columns, want 1 to %d classes", classes, maxClasses)
	}
	l.classes = classes
	var err error
	if l.bits, err = array.Uint8s(); err != nil {
		return err
	}
	for i, b := range l.bits {
		if b > 1 {
			return badFile(l.path, "row %d, column %d is %d, want 0 or 1", i/classes, i%classes, b)
		}
	}
	return nil
}

// shapeText writes a shape as NumPy does.
func shapeText(shape []int) string {
	parts := make([]string, len(shape))
	for i, n := range shape {
		parts[i] = strconv.Itoa(n)
	}
	if len(parts) == 1 {
		return "(" + parts[0] + ",)"
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
