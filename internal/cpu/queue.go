package cpu

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/saint-gnn/saint/internal/kernels/gemm"
	"github.com/saint-gnn/saint/internal/kernels/spmm"
	"github.com/saint-gnn/saint/internal/workers"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Queue runs operations as they are called. It is a tensor.Queue; not safe for concurrent
// use.
type Queue struct {
	group *workers.Group
	err   error

	// One job of each kind is kept, because a job made for each call would escape to the
	// heap. partial is scratch of sums over rows.
	partial  []float32
	losses   []float64
	fill     fillJob
	axpby    axpbyJob
	gather   gatherJob
	dropout  dropoutJob
	masks    masks
	norm     normJob
	normBack normBackJob
	batch    batchJob
	unit     unitJob
	softmax  softmaxJob
	sigmoid  sigmoidJob
	squares  squaresJob
	adam     adamJob
	put      deferred
	gemm     *gemm.Workspace
	spmm     *spmm.Workspace
	columns  columnsJob
	heads    headJobs
	zeros    []float32
	around   []float32
	updates  updateJobs
	smooth   smoothJob
	quant    quantJob
	signs    signsJob
	download downloadJob
}

// rowBlock is the number of rows of a task where tasks keep sums over their rows: few enough
// for 4 threads to share a small minibatch, many enough for the partial sums to be small.
const rowBlock = 128

// flatBlock is the number of elements of a task of an elementwise operation.
const flatBlock = 1 << 14

// tasks returns how many blocks of size block cover n.
func tasks(n, block int) int { return (n + block - 1) / block }

// grid cuts rows×cols elements into tasks of about flatBlock elements: blocks of whole rows,
// or parts of a row where rows are long.
type grid struct{ rows, cols, down, across, blocksAcross int }

func newGrid(rows, cols int) grid {
	g := grid{rows: rows, cols: cols, down: 1, across: min(cols, flatBlock)}
	if cols > 0 && cols < flatBlock {
		g.down = flatBlock / cols
	}
	if cols > 0 {
		g.blocksAcross = tasks(cols, flatBlock)
	}
	return g
}

func (g *grid) tasks() int { return tasks(g.rows, g.down) * g.blocksAcross }

// part returns the rows [r0,r1) and columns [c0,c1) of a task.
func (g *grid) part(task int) (r0, r1, c0, c1 int) {
	r0 = task / g.blocksAcross * g.down
	c0 = task % g.blocksAcross * g.across
	return r0, min(r0+g.down, g.rows), c0, min(c0+g.across, g.cols)
}

// ready reports whether an operation may run, after what was put off: nothing has failed and the
// memory of every tensor is there.
func (q *Queue) ready(ts ...tensor.Tensor) bool {
	q.flush()
	return q.usable(ts...)
}

// usable is ready for an operation that may follow what was put off.
func (q *Queue) usable(ts ...tensor.Tensor) bool {
	if q.err != nil {
		return false
	}
	for _, t := range ts {
		if !t.Present() {
			continue
		}
		if m, ok := t.Mem.(*memory); !ok {
			q.err = fmt.Errorf("cpu: operation on a tensor (%s) of another backend", t)
		} else if m == noMemory {
			q.err = errNoMemory
		}
		if q.err != nil {
			return false
		}
	}
	return true
}

// scratch returns n elements of scratch memory with undefined contents.
func (q *Queue) scratch(n int) []float32 {
	if cap(q.partial) < n {
		q.partial = make([]float32, n)
	}
	return q.partial[:n]
}

// lossScratch returns n sums.
func (q *Queue) lossScratch(n int) []float64 {
	if cap(q.losses) < n {
		q.losses = make([]float64, n)
	}
	return q.losses[:n]
}

// firstBad is the lowest index at which tasks met bad data.
type firstBad struct{ at atomic.Int64 }

func (f *firstBad) reset() { f.at.Store(math.MaxInt64) }

func (f *firstBad) note(i int) {
	for {
		old := f.at.Load()
		if int64(i) >= old || f.at.CompareAndSwap(old, int64(i)) {
			return
		}
	}
}

// index returns the noted index, -1 if there is none.
func (f *firstBad) index() int {
	if i := f.at.Load(); i != math.MaxInt64 {
		return int(i)
	}
	return -1
}

// Upload copies src to dst.
func (q *Queue) Upload(src []byte, dst tensor.Tensor) {
	contiguous("Upload", dst, len(src))
	if q.ready(dst) {
		copy(bytesOf(dst), src)
	}
}

func contiguous(op string, t tensor.Tensor, n int) {
	if t.Rows > 1 && t.Stride != t.Cols || t.Bytes() != int64(n) {
		panic(&tensor.ShapeError{Op: op, Got: describe(t), Want: fmt.Sprintf("contiguous, %d bytes", n)})
	}
}

// bytesOf returns the bytes from the first to the last element of t.
func bytesOf(t tensor.Tensor) []byte {
	if t.Rows <= 0 || t.Cols <= 0 {
		return nil
	}
	size := t.Type.Size()
	n := int64(t.Rows-1)*int64(t.Stride) + int64(t.Cols)
	return t.Mem.(*memory).b[t.Off*size : (t.Off+n)*size]
}

// Sync returns the first failure of the queue.
func (q *Queue) Sync() error {
	q.flush()
	return q.err
}

// Err returns the first failure of the queue.
func (q *Queue) Err() error { return q.err }

// Close forgets the scratch memory.
func (q *Queue) Close() error {
	*q = Queue{group: q.group, err: q.err}
	return nil
}

// zeroRow returns n zeros: the bias of an operation without one.
func (q *Queue) zeroRow(n int) []float32 {
	if len(q.zeros) < n {
		q.zeros = make([]float32, n)
	}
	return q.zeros[:n]
}

var (
	_ tensor.Queue   = (*Queue)(nil)
	_ tensor.Arena   = (*Arena)(nil)
	_ tensor.Backend = (*Backend)(nil)
)
