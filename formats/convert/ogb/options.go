package ogb

import (
	"fmt"
	"io"
	"runtime"

	"github.com/saint-gnn/saint/internal/fileop"
)

// Direction says what becomes of the edges in the file.
type Direction uint8

// Directions.
const (
	// Default makes a known set undirected and refuses an unknown one.
	Default Direction = iota
	// Undirected stores every edge in both directions.
	Undirected
	// Directed stores edges as the file has them: an entry in row u, column v for u,v, or the
	// other way round with Options.TargetRows.
	Directed
)

// DefaultMemory is the bound on memory where Options say nothing.
const DefaultMemory = 4 << 30

// Options say how to convert. The zero value is usable.
type Options struct {
	Direction Direction
	// TargetRows makes edge u,v the entry of row v, column u. Of undirected graphs it changes
	// nothing.
	TargetRows bool
	// Split is a folder below split/; empty: the set's own, or the only one.
	Split string
	// Memory is about the bytes that the conversion may hold at a time. Where the graph
	// needs more, its edges pass through files beside the result. 0: DefaultMemory. A value
	// that the arrays of one entry a node exceed is refused.
	Memory int64
	// Workers is the number of goroutines that parse; 0: one for each processor. The result
	// does not depend on it.
	Workers int
	// Progress is told how far a stage is, one call at a time. It may be nil.
	Progress func(Step)
	// Warn is told what is odd but usable, a line each. It may be nil.
	Warn func(string)
	// Note is told what was decided for the user, a line each. It may be nil.
	Note func(string)

	create func(path string) (io.WriteCloser, error) // tests let it fail
}

func (o *Options) setDefaults() {
	if o.Memory <= 0 {
		o.Memory = DefaultMemory
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Progress == nil {
		o.Progress = func(Step) {}
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	if o.create == nil {
		o.create = func(path string) (io.WriteCloser, error) { return fileop.Create(path) }
	}
}

// Step is how far a stage of the conversion is.
type Step struct {
	Stage       string // the file or array that is read
	Done, Total int64  // bytes of it
	Rows        int64  // lines or rows of it so far
}

// OptionError says that the Options do not fit the input; other ones would.
type OptionError struct{ msg string }

// Error returns what is wrong and what to do.
func (e *OptionError) Error() string { return e.msg }

func badOption(format string, args ...any) error { return &OptionError{fmt.Sprintf(format, args...)} }

// Summary says what was converted.
type Summary struct {
	Dataset          string // the benchmark's name of the set; empty if unknown
	Nodes            int
	FileEdges        int64 // edges in the input
	Edges            int64 // entries of adj_full.npz
	TrainEdges       int64 // entries of adj_train.npz
	ValEdges         int64 // entries of adj_val.npz: those with no test node at an end
	Merged           int64 // edges that repeated another one
	SelfLoops        int64 // edges from a node to itself in the input; they are kept
	Undirected       bool
	Features         int
	Classes          int
	MultiLabel       bool
	Split            string
	Train, Val, Test int
	Unlabelled       int  // nodes without a label
	Spilled          bool // the adjacency passed through files
}
