package tensortest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/internal/rng"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Case is one operation on operands of its own.
type Case struct {
	Name  string
	Bytes int64  // of operands read and written by one call
	Call  func() // puts the operation on the queue
	check func() // compares the outputs after exactly one Call
	outs  []*operand
}

// shape is the size an operation is tried at.
type shape struct {
	rows, cols int
	strided    bool // operands are column ranges of wider tensors
}

func (s shape) String() string {
	if s.strided {
		return fmt.Sprintf("%dx%d-strided", s.rows, s.cols)
	}
	return fmt.Sprintf("%dx%d", s.rows, s.cols)
}

// shapes: nothing, single rows and columns, odd sizes, one more than usual blocks, and rows
// longer than a block.
var shapes = []shape{
	{0, 0, false},
	{0, 5, false},
	{5, 0, false},
	{1, 1, false},
	{1, 7, true},
	{7, 1, false},
	{7, 1, true},
	{3, 5, false},
	{33, 17, true},
	{130, 33, false},
	{257, 20, true},
	{1, 16411, false},
}

// build prepares a case.
type build func(e *env, s shape) Case

// env is the device that a test works on. Failures are reported to t.
type env struct {
	testing.TB
	backend tensor.Backend
	q       tensor.Queue
	a       tensor.Arena
	rnd     *rand.Rand
	float   tensor.DType // what arenas return for F32
}

func newEnv(t testing.TB, open tensor.Opener, o tensor.Options) *env {
	t.Helper()
	b, err := open(o)
	if errors.Is(err, tensor.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return envOf(t, b)
}

func envOf(t testing.TB, b tensor.Backend) *env {
	t.Helper()
	q, err := b.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, err := range []error{q.Close(), a.Close(), b.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	e := &env{TB: t, backend: b, q: q, a: a, rnd: rng.New(1, rng.Test, 0, 0)}
	e.float = a.Alloc(tensor.F32, 0, 0).Type
	a.Reset()
	return e
}

// sync waits and fails the test on a device error.
func (e *env) sync() {
	e.Helper()
	if err := e.q.Sync(); err != nil {
		e.Fatal(err)
	}
	if err := e.a.Err(); err != nil {
		e.Fatal(err)
	}
}

// Run runs the whole suite on the backends that open returns. It skips where the device is
// not available.
func Run(t *testing.T, open tensor.Opener) { run(t, open, false) }

// RunSlow is Run for devices on which operations take long because they are interpreted: of what
// differs by numbers of threads alone, and of the encodings at large shapes, it tries only a part.
func RunSlow(t *testing.T, open tensor.Opener) { run(t, open, true) }

// RunOps is the part of RunSlow that compares operations at many shapes with their definitions, for those
// whose names begin so: where a backend differs from one that passes RunSlow in these alone.
func RunOps(t *testing.T, open tensor.Opener, prefix string) { runOps(t, open, true, prefix) }

func run(t *testing.T, open tensor.Opener, slow bool) {
	t.Run("Ops", func(t *testing.T) { runOps(t, open, slow, "") })
	t.Run("Threads", func(t *testing.T) { runThreads(t, open, slow) })
	t.Run("Empty", func(t *testing.T) { runEmpty(newEnv(t, open, tensor.Options{})) })
	t.Run("Quant", func(t *testing.T) { runQuant(t, open, slow) })
	t.Run("HalfRows", func(t *testing.T) { runHalfRows(newEnv(t, open, tensor.Options{})) })
	t.Run("Pairs", func(t *testing.T) { runPairs(t, open) })
	t.Run("Dropout", func(t *testing.T) { runDropout(newEnv(t, open, tensor.Options{})) })
	t.Run("NotFinite", func(t *testing.T) { runNotFinite(newEnv(t, open, tensor.Options{})) })
	t.Run("Shapes", func(t *testing.T) { runShapeErrors(newEnv(t, open, tensor.Options{})) })
	t.Run("Failure", func(t *testing.T) { runFailure(newEnv(t, open, tensor.Options{})) })
	t.Run("Transfers", func(t *testing.T) { runTransfers(newEnv(t, open, tensor.Options{})) })
	t.Run("Import", func(t *testing.T) { runImport(newEnv(t, open, tensor.Options{})) })
	t.Run("Arena", func(t *testing.T) { runArena(t, open) })
}

// threadsOf returns the numbers of threads whose bits are compared.
func threadsOf(slow bool) []int {
	if slow {
		return []int{1, 8}
	}
	return []int{1, 2, 3, 8}
}

// runOps compares every operation whose name has the prefix at every shape with its reference.
func runOps(t *testing.T, open tensor.Opener, slow bool, prefix string) {
	for _, b := range builds() {
		e := newEnv(t, open, tensor.Options{})
		for _, s := range shapes {
			if slow {
				s.cols = min(s.cols, 2059)
			}
			c := b(e, s)
			if !strings.HasPrefix(c.Name, prefix) {
				e.a.Reset()
				break
			}
			t.Run(c.Name+"/"+s.String(), func(t *testing.T) {
				e.TB = t
				c.Call()
				e.sync()
				c.check()
			})
			e.TB = t
			e.a.Reset()
		}
	}
}

// runThreads compares the bits of every operation's outputs between numbers of threads.
func runThreads(t *testing.T, open tensor.Opener, slow bool) {
	s := shape{300, 40, true}
	if slow {
		s.rows = 70
	}
	var want [][]byte
	for _, threads := range threadsOf(slow) {
		e := newEnv(t, open, tensor.Options{Threads: threads})
		i := 0
		for _, b := range builds() {
			c := b(e, s)
			c.Call()
			e.sync()
			for k, o := range c.outs {
				got := o.raw()
				if threads == 1 {
					want = append(want, got)
				} else if !bytes.Equal(got, want[i]) {
					t.Errorf("%s: output %d differs between 1 and %d threads", c.Name, k, threads)
				}
				i++
			}
			e.a.Reset()
		}
	}
}

// Cases prepares every operation on rows×cols operands of b, for measuring it. They may be
// called any number of times. The queue, its arena and b close with the test.
func Cases(t testing.TB, b tensor.Backend, rows, cols int) []Case {
	e := envOf(t, b)
	bs := builds()
	cs := make([]Case, len(bs))
	for i, build := range bs {
		cs[i] = build(e, shape{rows: rows, cols: cols})
		call := cs[i].Call
		cs[i].Call = func() {
			call()
			if err := e.q.Sync(); err != nil {
				e.Fatal(err)
			}
		}
	}
	e.sync()
	return cs
}

// near reports g within absolute tolerance tol of want; NaN and infinities must be equal.
func near(g, want, tol float64) bool {
	if math.IsNaN(want) || math.IsNaN(g) {
		return math.IsNaN(want) && math.IsNaN(g)
	}
	return g == want || math.Abs(g-want) <= tol
}
