package formats

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// FeatureStore hands out feature rows as the model sees them (standardised, float32).
// Implementations are safe for concurrent use.
type FeatureStore interface {
	// Rows is the number of nodes.
	Rows() int
	// Dim is the number of features of a node.
	Dim() int
	// Gather copies row ids[i] to dst[i*Dim():(i+1)*Dim()]. dst holds len(ids)*Dim() values.
	Gather(dst []float32, ids []int32) error
}

// Resident is a FeatureStore whose whole matrix lies in memory.
type Resident interface {
	FeatureStore
	// Matrix returns all rows, row-major Rows()×Dim(). The caller must not write to it.
	Matrix() []float32
}

// Labels holds the classes of all nodes: Class for single-label data, Multi for
// multi-label data; the other one is nil.
type Labels struct {
	NumClasses int
	Class      []int32 // one per node, 0…NumClasses-1; -1: unlabelled
	Multi      []uint8 // NumNodes×NumClasses of 0 and 1, row-major
	Offset     int64   // what was subtracted from the file's integer labels to make Class
}

// IsMulti reports whether a node may have several classes.
func (l *Labels) IsMulti() bool { return l.Multi != nil }

// Row returns the 0/1 row of node v of multi-label data.
func (l *Labels) Row(v int32) []uint8 {
	return l.Multi[int(v)*l.NumClasses : (int(v)+1)*l.NumClasses]
}

// Dataset is one loaded and checked data folder. It is read-only and may be shared.
type Dataset struct {
	Name        string // last element of the folder's path, or "synth:NAME"
	Full, Train *Graph // Train holds the edges with both ends in TrainNodes, in Full's node ids
	Features    FeatureStore
	Labels      Labels
	// The roles: ascending, disjoint. Nodes in none of them take part in aggregation only.
	TrainNodes, ValNodes, TestNodes []int32
	// Fingerprint is the SHA-256 (hex) of graphs, labels, roles and the features before
	// standardisation, not of the name; it identifies the data of a run.
	Fingerprint string
	// Close releases mapped files; nil if there is nothing to release.
	Close func() error
}

// NumNodes returns the number of nodes of the full graph.
func (d *Dataset) NumNodes() int { return d.Full.NumNodes() }

// InputError says which bytes of a user's input are wrong. The command line maps it to
// exit code 3.
type InputError struct {
	Path   string
	Offset int64 // byte offset; negative: unknown
	Line   int   // 1-based; 0: unknown
	Col    int   // 1-based; 0: unknown
	Err    error
}

// Error returns path:line:col: what, or path: byte offset: what. It is one printable line,
// whatever names and words of the input it repeats.
func (e *InputError) Error() string { return printable(e.text()) }

func (e *InputError) text() string {
	switch {
	case e.Line > 0 && e.Col > 0:
		return fmt.Sprintf("%s:%d:%d: %v", e.Path, e.Line, e.Col, e.Err)
	case e.Line > 0:
		return fmt.Sprintf("%s:%d: %v", e.Path, e.Line, e.Err)
	case e.Offset >= 0:
		return fmt.Sprintf("%s: byte %d: %v", e.Path, e.Offset, e.Err)
	default:
		return fmt.Sprintf("%s: %v", e.Path, e.Err)
	}
}

// printable escapes what cannot be printed as a Go string does.
func printable(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		if unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.Quote(s[i : i+size])
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *InputError) Unwrap() error { return e.Err }

// BadInput returns an InputError for path without a position.
func BadInput(path, format string, args ...any) *InputError {
	return &InputError{Path: path, Offset: -1, Err: fmt.Errorf(format, args...)}
}
