package arrowrec

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
)

// Version is the major version of the format that this package writes, the value of the
// metadata key saint.schema. Readers accept "1" and "1.x".
const Version = "1"

// namedVersion is the version of a stream that also names its data and normalisation.
const namedVersion = "1.1"

// LabelKind says what the labels column holds.
type LabelKind string

// The kinds of labels.
const (
	NoLabels     LabelKind = "none"
	SingleLabels LabelKind = "single" // one class a node
	MultiLabels  LabelKind = "multi"  // a 0/1 row of NumClasses a node
)

// Meta describes every batch of a stream. It travels as the schema's metadata.
type Meta struct {
	Dataset         string
	Sampler         string // JSON of the sampler's name and parameters
	Seed            uint64
	Phase           int
	NumNodes        int   // of the full graph: node ids lie below it
	NumTrainEdges   int64 // of the training graph: edge ids lie below it
	BatchesPerEpoch int
	NumFeatures     int // 0: the features column is empty
	Labels          LabelKind
	NumClasses      int  // 0 without labels
	EdgeIDs         bool // whether the edge_ids column is filled

	// Streams of the sampling service also name what they were made from: the fingerprint of
	// the data set (formats.Dataset) and the key of the normalisation (samplers.CacheKey).
	// Both empty: not named, and the schema has version 1 instead of 1.1.
	Data, Norm string
}

// The columns, in schema order.
const (
	colIndex = iota
	colNodes
	colIndptr
	colIndices
	colEdgeIDs
	colAdjNorm
	colLossNorm
	colFeatures
	colLabels
	numColumns
)

var columnNames = [numColumns]string{
	"index", "nodes", "indptr", "indices", "edge_ids", "adj_norm", "loss_norm", "features", "labels",
}

// Schema returns the schema of batches described by m. Metadata stands in a fixed order,
// so that equal Metas give equal bytes. It panics if m is out of range; see Validate.
func Schema(m Meta) *arrow.Schema {
	if err := m.Validate(); err != nil {
		panic("arrowrec: " + err.Error())
	}
	types := m.types()
	fields := make([]arrow.Field, numColumns)
	for i, name := range columnNames {
		fields[i] = arrow.Field{Name: name, Type: types[i]}
	}
	keys := []string{
		"saint.schema", "saint.dataset", "saint.sampler", "saint.seed", "saint.phase", "saint.num_nodes",
		"saint.num_train_edges", "saint.batches_per_epoch", "saint.num_features", "saint.labels",
		"saint.num_classes", "saint.edge_ids",
	}
	values := []string{
		Version, m.Dataset, m.Sampler, strconv.FormatUint(m.Seed, 10), strconv.Itoa(m.Phase), strconv.Itoa(m.NumNodes),
		strconv.FormatInt(m.NumTrainEdges, 10), strconv.Itoa(m.BatchesPerEpoch), strconv.Itoa(m.NumFeatures), string(m.Labels),
		strconv.Itoa(m.NumClasses), strconv.FormatBool(m.EdgeIDs),
	}
	if m.Data != "" || m.Norm != "" {
		values[0] = namedVersion
		keys, values = append(keys, "saint.data", "saint.norm"), append(values, m.Data, m.Norm)
	}
	md := arrow.NewMetadata(keys, values)
	return arrow.NewSchema(fields, &md)
}

// Validate reports the first field of m that no schema can hold.
func (m *Meta) Validate() error {
	for _, f := range []struct {
		key        string
		value, max int64
	}{
		{"saint.phase", int64(m.Phase), math.MaxInt32},
		{"saint.num_nodes", int64(m.NumNodes), math.MaxInt32},
		{"saint.num_train_edges", m.NumTrainEdges, math.MaxInt64},
		{"saint.batches_per_epoch", int64(m.BatchesPerEpoch), math.MaxInt64},
		{"saint.num_features", int64(m.NumFeatures), math.MaxInt32},
		{"saint.num_classes", int64(m.NumClasses), math.MaxInt32},
	} {
		if f.value < 0 || f.value > f.max {
			return fmt.Errorf("metadata %s is %d, want 0 to %d", f.key, f.value, f.max)
		}
	}
	switch m.Labels {
	case NoLabels:
		if m.NumClasses != 0 {
			return fmt.Errorf("metadata saint.num_classes is %d, want 0 where saint.labels is none", m.NumClasses)
		}
	case SingleLabels, MultiLabels:
		if m.NumClasses == 0 {
			return fmt.Errorf("metadata saint.num_classes is 0, want at least 1 where saint.labels is %s", m.Labels)
		}
	default:
		return fmt.Errorf("metadata saint.labels is %q, want none, single or multi", m.Labels)
	}
	return nil
}

// types returns the columns' types. Arrow has no fixed-size list of length 0, so a
// features column that is not carried has rows of length 1, and none of them.
func (m *Meta) types() [numColumns]arrow.DataType {
	i32 := arrow.ListOfNonNullable(arrow.PrimitiveTypes.Int32)
	f32 := arrow.ListOfNonNullable(arrow.PrimitiveTypes.Float32)
	labels := arrow.DataType(i32)
	if m.Labels == MultiLabels {
		labels = listOfRows(m.NumClasses, arrow.PrimitiveTypes.Uint8)
	}
	return [numColumns]arrow.DataType{
		colIndex:    arrow.PrimitiveTypes.Uint64,
		colNodes:    i32,
		colIndptr:   i32,
		colIndices:  i32,
		colEdgeIDs:  arrow.ListOfNonNullable(arrow.PrimitiveTypes.Int64),
		colAdjNorm:  f32,
		colLossNorm: f32,
		colFeatures: listOfRows(max(1, m.NumFeatures), arrow.PrimitiveTypes.Float32),
		colLabels:   labels,
	}
}

func listOfRows(width int, t arrow.DataType) arrow.DataType {
	return arrow.ListOfNonNullable(arrow.FixedSizeListOfNonNullable(int32(width), t))
}

// ParseSchema reads a Meta back and checks that s has every column with its type. Columns
// may stand in any order, others may stand beside them, and fields may be declared
// nullable (View refuses actual nulls). The error names the metadata key or the column.
func ParseSchema(s *arrow.Schema) (Meta, error) {
	l, err := parseLayout(s)
	return l.meta, err
}

// layout is a checked schema: where each column stands.
type layout struct {
	meta Meta
	at   [numColumns]int
}

func parseLayout(s *arrow.Schema) (layout, error) {
	var l layout
	m, err := parseMeta(s.Metadata())
	if err != nil {
		return l, err
	}
	l.meta = m
	types := m.types()
	for c, name := range columnNames {
		at := s.FieldIndices(name)
		switch len(at) {
		case 0:
			return l, fmt.Errorf("column %s is missing", name)
		case 1:
		default:
			return l, fmt.Errorf("column %s stands %d times in the schema, want once", name, len(at))
		}
		if got := s.Field(at[0]).Type; !sameType(got, types[c]) {
			return l, fmt.Errorf("column %s has type %s, want %s", name, got, types[c])
		}
		l.at[c] = at[0]
	}
	return l, nil
}

// sameType compares types without the names and nullability of list elements, which
// differ between Arrow implementations.
func sameType(a, b arrow.DataType) bool {
	if a.ID() != b.ID() {
		return false
	}
	switch b := b.(type) {
	case *arrow.ListType:
		return sameType(a.(*arrow.ListType).Elem(), b.Elem())
	case *arrow.FixedSizeListType:
		a := a.(*arrow.FixedSizeListType)
		return a.Len() == b.Len() && sameType(a.Elem(), b.Elem())
	default:
		return true
	}
}

func parseMeta(md arrow.Metadata) (Meta, error) {
	p := metaParser{md: md}
	version := p.text("saint.schema")
	if major, _, _ := strings.Cut(version, "."); p.err == nil && major != Version {
		return Meta{}, fmt.Errorf("metadata saint.schema is %q, this program reads version %s", version, Version)
	}
	m := Meta{
		Dataset:         p.text("saint.dataset"),
		Sampler:         p.text("saint.sampler"),
		Seed:            p.number("saint.seed", math.MaxUint64),
		Phase:           int(p.number("saint.phase", math.MaxInt32)),
		NumNodes:        int(p.number("saint.num_nodes", math.MaxInt32)),
		NumTrainEdges:   int64(p.number("saint.num_train_edges", math.MaxInt64)),
		BatchesPerEpoch: int(p.number("saint.batches_per_epoch", math.MaxInt)),
		NumFeatures:     int(p.number("saint.num_features", math.MaxInt32)),
		Labels:          LabelKind(p.text("saint.labels")),
		NumClasses:      int(p.number("saint.num_classes", math.MaxInt32)),
		EdgeIDs:         p.boolean("saint.edge_ids"),
		Data:            p.optional("saint.data"),
		Norm:            p.optional("saint.norm"),
	}
	if p.err != nil {
		return Meta{}, p.err
	}
	return m, m.Validate()
}

// metaParser keeps the first error.
type metaParser struct {
	md  arrow.Metadata
	err error
}

func (p *metaParser) text(key string) string {
	i := p.md.FindKey(key)
	if i < 0 {
		if p.err == nil {
			p.err = fmt.Errorf("metadata %s is missing: not a stream of batches", key)
		}
		return ""
	}
	return p.md.Values()[i]
}

// optional returns "" for a key that is not there.
func (p *metaParser) optional(key string) string {
	if i := p.md.FindKey(key); i >= 0 {
		return p.md.Values()[i]
	}
	return ""
}

func (p *metaParser) number(key string, most uint64) uint64 {
	s := p.text(key)
	if p.err != nil {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > most {
		p.err = fmt.Errorf("metadata %s is %q, want a whole number from 0 to %d", key, s, most)
		return 0
	}
	return n
}

func (p *metaParser) boolean(key string) bool {
	s := p.text(key)
	if p.err == nil && s != "true" && s != "false" {
		p.err = fmt.Errorf("metadata %s is %q, want true or false", key, s)
	}
	return s == "true"
}
