package cpu64

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/internal/kernels/pairs"
	"github.com/saint-gnn/saint/internal/workers"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Queue runs operations as they are called. It is a tensor.Queue; not safe for concurrent
// use.
type Queue struct {
	group *workers.Group
	err   error

	// One job of each kind is kept, because a job made for each call would escape to the heap.
	run      rowRunner
	edges    edgeRunner
	partial  []float64
	zeros    []float64
	ones     []float64
	copies   copyJob
	elements elementsJob
	gather   gatherJob
	dropout  dropoutJob
	gemm     gemmJob
	spmm     spmmJob
	norm     normJob
	batch    batchJob
	unit     unitJob
	loss     lossJob
	squares  squaresJob
	update   updateJob
	dots     headDotsJob
	scale    headScaleJob
	heads    headEdgesJob
	softmax  headSumsJob
	most     neighborMaxJob
	groups   groupMaxJob
	pairs    pairs.Job[float64]
}

// rowJob is an operation that treats rows by themselves. do computes the rows [lo,hi); part,
// for those that ask for it, takes sums over these rows and is 0 at first.
type rowJob interface {
	do(lo, hi int, part []float64)
}

// rowRunner cuts the rows of a job into tasks of block rows.
type rowRunner struct {
	job         rowJob
	rows, block int
	width       int // numbers of a part
	part        []float64
}

// RunTask computes a block of rows.
func (r *rowRunner) RunTask(_, task int) {
	lo := task * r.block
	var part []float64
	if r.width > 0 {
		part = r.part[task*r.width:][:r.width]
		clear(part)
	}
	r.job.do(lo, min(lo+r.block, r.rows), part)
}

// taskElements is about how many elements a task treats.
const taskElements = 1 << 13

// overRows runs a job over rows of cols elements.
func (q *Queue) overRows(rows, cols int, j rowJob) {
	q.run = rowRunner{job: j, rows: rows, block: max(1, taskElements/max(1, cols))}
	q.group.Do(blocks(rows, q.run.block), &q.run)
}

// sumBlock is the number of rows of a task that keeps sums over its rows.
const sumBlock = 64

// sumRows runs a job over rows and returns the width sums over all of them, valid until the
// next operation: those of the tasks, added in order.
func (q *Queue) sumRows(rows, width int, j rowJob) []float64 {
	n := blocks(rows, sumBlock)
	part := q.scratch(max(n, 1) * width)
	clear(part[:width])
	q.run = rowRunner{job: j, rows: rows, block: sumBlock, width: width, part: part}
	q.group.Do(n, &q.run)
	total := part[:width]
	for t := 1; t < n; t++ {
		add(total, part[t*width:])
	}
	return total
}

// add computes y += x.
func add(y, x []float64) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] += v
	}
}

// addTo computes y += x unless y is nil.
func addTo(y matrix[float64], x []float64) {
	if y.s != nil {
		add(y.row(0), x)
	}
}

// edgeJob is an operation over the rows of a sparse matrix.
type edgeJob interface{ row(i int, from, to int32) }

// edgeRunner cuts the rows of a sparse matrix into parts of about the same number of entries.
type edgeRunner struct {
	job    edgeJob
	indptr []int32
	parts  int
}

// RunTask computes a part of the rows.
func (r *edgeRunner) RunTask(_, task int) {
	lo, hi := workers.RowsByNNZ(r.indptr, r.parts, task)
	for i := lo; i < hi; i++ {
		r.job.row(i, r.indptr[i], r.indptr[i+1])
	}
}

// overEdges runs a job over the rows of a, whose entries stand for cols elements each.
func (q *Queue) overEdges(a *tensor.CSR, cols int, j edgeJob) {
	ptr := view[int32](a.Indptr)
	parts := partsOf(ptr.s, cols)
	q.edges = edgeRunner{job: j, indptr: ptr.s, parts: parts}
	q.group.Do(parts, &q.edges)
}

// partsOf returns the number of tasks for rows whose entries stand for cols elements each.
func partsOf(indptr []int32, cols int) int {
	rows := len(indptr) - 1
	work := (int64(indptr[rows]-indptr[0]) + int64(rows)) * int64(cols)
	return int(max(1, min(int64(rows), work/taskElements)))
}

// blocks returns how many blocks of size block cover n.
func blocks(n, block int) int { return (n + block - 1) / block }

// scratch returns n numbers with undefined contents.
func (q *Queue) scratch(n int) []float64 {
	if cap(q.partial) < n {
		q.partial = make([]float64, n)
	}
	return q.partial[:n]
}

// zeroRow returns n zeros: the bias of an operation without one.
func (q *Queue) zeroRow(n int) []float64 {
	if len(q.zeros) < n {
		q.zeros = make([]float64, n)
	}
	return q.zeros[:n]
}

// ready reports whether an operation may run: nothing has failed and the memory of every
// tensor is there.
func (q *Queue) ready(ts ...tensor.Tensor) bool {
	if q.err != nil {
		return false
	}
	for _, t := range ts {
		if !t.Present() {
			continue
		}
		if _, q.err = cpu.Raw(t); q.err != nil {
			return false
		}
	}
	return true
}

// firstBad is the lowest row at which tasks met bad data.
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

// row returns the noted row.
func (f *firstBad) row() (i int, bad bool) {
	at := f.at.Load()
	return int(at), at != math.MaxInt64
}

// copyJob moves rows between a tensor and the host, float32 on its side if single is set.
type copyJob struct {
	single, up bool
	t          matrix[float64]
	raw        []byte // of other tensors, rows of width at distance stride
	stride     int
	host       []byte
	width      int // bytes of the host's row
}

func (j *copyJob) do(lo, hi int, _ []float64) {
	for i := lo; i < hi; i++ {
		switch {
		case j.single && j.up:
			host := j.host[i*j.width:]
			for k := range j.t.cols {
				j.t.s[i*j.t.stride+k] = float64(math.Float32frombits(binary.LittleEndian.Uint32(host[4*k:])))
			}
		case j.single:
			host := j.host[i*j.width:]
			for k, v := range j.t.row(i) {
				binary.LittleEndian.PutUint32(host[4*k:], math.Float32bits(float32(v)))
			}
		case j.up:
			copy(j.raw[i*j.stride:][:j.width], j.host[i*j.width:])
		default:
			copy(j.host[i*j.width:(i+1)*j.width], j.raw[i*j.stride:])
		}
	}
}

// Upload copies src to dst, float32 converted if src is half its size.
func (q *Queue) Upload(src []byte, dst tensor.Tensor) {
	if dst.Rows > 1 && dst.Stride != dst.Cols {
		panic(&tensor.ShapeError{Op: "Upload", Got: describe(dst), Want: "contiguous"})
	}
	q.move("Upload", true, dst, src)
}

// Download copies src to dst, rounded to float32 if dst is half its size.
func (q *Queue) Download(src tensor.Tensor, dst []byte) { q.move("Download", false, src, dst) }

func (q *Queue) move(op string, up bool, t tensor.Tensor, host []byte) {
	n := int64(len(host))
	j := &q.copies
	j.up, j.single = up, t.Type == tensor.F64 && n == t.Bytes()/2
	if n != t.Bytes() && !j.single {
		panic(&tensor.ShapeError{Op: op, Got: fmt.Sprintf("%d bytes", n), Want: fmt.Sprintf("%d for %s", t.Bytes(), t)})
	}
	if !q.ready(t) || n == 0 {
		return
	}
	size := int(t.Type.Size())
	j.raw, _ = cpu.Raw(t) // ready said that it is there
	j.host, j.width, j.stride = host, t.Cols*size, t.Stride*size
	if j.single {
		j.t, j.width = numbers(t), t.Cols*4
	}
	q.overRows(t.Rows, t.Cols, j)
	j.host = nil // the caller's
}

// Sync returns the first failure of the queue.
func (q *Queue) Sync() error { return q.err }

// Err returns the first failure of the queue.
func (q *Queue) Err() error { return q.err }

// Close forgets the scratch memory.
func (q *Queue) Close() error {
	*q = Queue{group: q.group, err: q.err}
	return nil
}
