package cuda

import (
	"errors"
	"fmt"
	"math"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Threads of a block, and rows of one where a warp does a row.
const (
	blockThreads = 256
	blockRows    = blockThreads / 32
)

// sumRows is the number of rows whose column sums one block makes.
const sumRows = 256

// maxBlocks is the most that the second and third dimension of a grid may have.
const maxBlocks = 1<<16 - 1

// Queue gives operations to a stream of the device. It is a tensor.Queue; not safe for concurrent
// use.
type Queue struct {
	b      *Backend
	dev    driver.Device
	stream driver.Stream
	err    error
	args   args

	multiplier multiplier
	borrowed   borrowed
	marking    marking
	recorder   recorder
	pass       rowPass       // what later operations may join
	held       tensor.Tensor // if present, updates do nothing where it is not 0
	group      *group        // whose exchanges are among its work; nil: none
	place      int           // in group

	// Memory of results that live within an operation. What was too small is freed when the
	// stream has passed its users.
	scratch block
	asked   int64 // the most that an operation wanted
	under   int64 // of it, what the operation at hand has lent to itself
	lent    memory
	piece   int // bytes of rows that a product makes at a time
	retired []block

	// What kernels found wrong with data: common.cuh's report. checks is set if any of them
	// may have since the last Sync.
	fault   driver.Ptr
	found   []byte
	checked bool
}

// block is memory of the device.
type block struct {
	at   driver.Ptr
	size int64
}

// faultBytes is the size of a report.
const faultBytes = 12

func newQueue(b *Backend) (*Queue, error) {
	q := &Queue{b: b, dev: b.dev, piece: madeBytes}
	err := q.open()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cuda: new queue: %w", b.explain(err)), q.Close())
	}
	return q, nil
}

func (q *Queue) open() (err error) {
	if q.stream, err = q.dev.NewStream(); err != nil {
		return err
	}
	if q.fault, err = q.b.take(faultBytes); err != nil {
		return err
	}
	if q.found, err = q.dev.AllocHost(faultBytes); err != nil {
		return err
	}
	return q.dev.Set8(q.fault, 0, faultBytes, q.stream)
}

// fail keeps the first failure.
func (q *Queue) fail(err error) {
	if q.err == nil && err != nil {
		q.err = q.b.explain(err)
	}
}

// ready reports whether an operation may run: nothing has failed and the memory of every tensor
// is there.
func (q *Queue) ready(ts ...tensor.Tensor) bool {
	for _, t := range ts {
		if q.err != nil {
			return false
		}
		if !t.Present() {
			continue
		}
		switch m, ok := t.Mem.(*memory); {
		case !ok:
			q.fail(fmt.Errorf("cuda: operation on a tensor (%s) of another backend", t))
		case m == noMemory:
			q.fail(errors.New("cuda: operation on a tensor that could not be allocated"))
		case tooLarge(t):
			q.fail(fmt.Errorf("cuda: operation on a tensor (%s) of more than %d rows or columns", t, math.MaxInt32))
		}
	}
	return q.err == nil
}

// args are the arguments of a launch, kept because the driver's interface would make them escape.
type args struct {
	v [64]uint64
	n int
}

// with begins the arguments of the next launch.
func (q *Queue) with() *args {
	q.args.n = 0
	return &q.args
}

func (a *args) u64(v uint64) *args {
	a.v[a.n] = v
	a.n++
	return a
}

func (a *args) int(vs ...int) *args {
	for _, v := range vs {
		a.u64(uint64(v))
	}
	return a
}

func (a *args) f32(vs ...float32) *args {
	for _, v := range vs {
		a.u64(uint64(math.Float32bits(v)))
	}
	return a
}

func (a *args) ptr(vs ...driver.Ptr) *args {
	for _, v := range vs {
		a.u64(uint64(v))
	}
	return a
}

// row is the address of a vector or other contiguous tensor.
func (a *args) row(ts ...tensor.Tensor) *args {
	for _, t := range ts {
		a.ptr(address(t))
	}
	return a
}

// mat is address and stride of matrices.
func (a *args) mat(ts ...tensor.Tensor) *args {
	for _, t := range ts {
		a.ptr(address(t)).int(t.Stride)
	}
	return a
}

func (a *args) flag(b bool) *args {
	if b {
		return a.u64(1)
	}
	return a.u64(0)
}

// drop is a dropout of part of a wider matrix.
func (a *args) drop(d dropout) *args {
	return a.u64(d.key).u64(d.threshold).f32(d.scale).int(d.col, d.width)
}

// edgeDrop is dropout of edges' weights.
func (a *args) edgeDrop(d tensor.EdgeDrop) *args {
	if d.P == 0 {
		return a.u64(0).u64(0).f32(1).int(0, 0)
	}
	w := newDropout(d.P, d.Key, int(d.U), int(d.V))
	return a.drop(w)
}

// launch gives a kernel to the stream.
func (q *Queue) launch(k kernel, grid driver.Dim3, threads int, a *args) {
	if q.settle(); q.err != nil {
		return
	}
	if grid.Y > maxBlocks || grid.Z > maxBlocks {
		q.fail(fmt.Errorf("cuda: %s: %d by %d blocks are too many", k.name, grid.Y, grid.Z))
		return
	}
	f, err := q.b.function(k)
	if err != nil {
		q.fail(err)
		return
	}
	g := driver.Geometry{Grid: grid, Block: driver.Dim3{X: uint32(threads), Y: 1, Z: 1}}
	q.b.count.launches.Add(1)
	switch {
	case q.b.profile != nil:
		q.flush()
		err = q.b.profile.measured(q.dev, q.stream, func() error { return q.dev.Launch(f, g, q.stream, a.v[:a.n]) })
	case q.recorder.open:
		q.recorder.kernel(k.name, f, g, a.v[:a.n])
	default:
		err = q.dev.Launch(f, g, q.stream, a.v[:a.n])
	}
	if err != nil {
		q.fail(fmt.Errorf("cuda: %s: %w", k.name, err))
	}
}

// ceil returns how many blocks of size b cover n.
func ceil(n, b int) int { return (n + b - 1) / b }

func dim(x, y int) driver.Dim3 { return driver.Dim3{X: uint32(x), Y: uint32(y), Z: 1} }

// elements launches a kernel of one thread for each of n work items, if there are any.
func (q *Queue) elements(k kernel, n int, a *args) {
	if n > 0 {
		q.launch(k, dim(ceil(n, blockThreads), 1), blockThreads, a)
	}
}

// quads is elements for kernels of map.cu: four columns a thread.
func (q *Queue) quads(k kernel, rows, cols int, a *args) { q.elements(k, rows*ceil(cols, 4), a) }

// rows launches a kernel of one warp for each row, if there are any.
func (q *Queue) rows(k kernel, n int, a *args) {
	if n > 0 {
		q.launch(k, dim(ceil(n, blockRows), 1), blockThreads, a)
	}
}

// temporary returns bytes of scratch memory, which belong to the operation that asks.
func (q *Queue) temporary(bytes int) driver.Ptr {
	if q.err != nil {
		return 0
	}
	n := int64(bytes) + q.under
	q.asked = max(q.asked, n)
	if n > q.scratch.size {
		n = max(n, 2*q.scratch.size, 1<<16)
		p, err := q.b.take(n)
		if err != nil {
			q.fail(fmt.Errorf("cuda: scratch memory of an operation: %w", err))
			return 0
		}
		if q.scratch.at != 0 {
			q.retired = append(q.retired, q.scratch)
		}
		q.scratch = block{p, n}
	}
	return q.scratch.at + driver.Ptr(q.under)
}

// Upload copies src to dst.
func (q *Queue) Upload(src []byte, dst tensor.Tensor) {
	if !contiguous(dst) || dst.Bytes() != int64(len(src)) {
		panic(&tensor.ShapeError{Op: "Upload", Got: describe(dst), Want: fmt.Sprintf("contiguous, %d bytes", len(src))})
	}
	if q.ready(dst) && len(src) > 0 {
		q.flush()
		q.beforePageable(src)
		q.b.count.upload(int64(len(src)))
		q.borrow(src)
		q.fail(q.dev.Upload(address(dst), src, q.stream))
	}
}

// Download copies src to dst.
func (q *Queue) Download(src tensor.Tensor, dst []byte) {
	if int64(len(dst)) != src.Bytes() {
		panic(&tensor.ShapeError{Op: "Download", Got: fmt.Sprintf("%d bytes", len(dst)), Want: fmt.Sprintf("%d for %s", src.Bytes(), src)})
	}
	if !q.ready(src) || len(dst) == 0 {
		return
	}
	from := address(src)
	if !contiguous(src) {
		if from = q.temporary(len(dst)); from == 0 {
			return
		}
		k := kernel{"map", "copy_bytes"}
		if src.Type.Size() == 4 {
			k.name = "copy_words"
		}
		q.quads(k, src.Rows, src.Cols, q.with().int(src.Rows, src.Cols).mat(src).ptr(from).int(src.Cols))
	}
	q.flush()
	if q.beforePageable(dst); q.err == nil {
		q.b.count.download(int64(len(dst)))
		q.borrow(dst)
		q.fail(q.dev.Download(dst, from, q.stream))
	}
}

// reports are the operations whose kernels check data; a report has the number.
var reports = []string{1: "GatherRows", 2: "SoftmaxXent", 3: "SigmoidXent", 4: "SmoothSoftmaxXent", 5: "SmoothSigmoidXent", 6: "LogSoftmaxXent"}

const (
	reportGather = 1 + iota
	reportSoftmax
	reportSigmoid
	reportSmoothSoftmax
	reportSmoothSigmoid
	reportLogSoftmax
)

// Sync waits for the queue's work and returns its first failure.
func (q *Queue) Sync() error {
	q.flush()
	q.recorder.open = false
	if q.checked && q.err == nil {
		q.b.count.download(faultBytes)
		q.fail(q.dev.Download(q.found, q.fault, q.stream))
	}
	q.b.count.waits.Add(1)
	if q.group != nil {
		q.fail(q.group.pass(q))
	}
	if err := q.dev.SyncStream(q.stream); err != nil {
		q.fail(fmt.Errorf("cuda: %w", err))
		return q.err
	}
	q.borrowed.drop(q.borrowed.total)
	for len(q.retired) > 0 && q.err == nil {
		last := len(q.retired) - 1
		if err := q.b.give(q.retired[last].at, q.retired[last].size); err != nil {
			q.fail(fmt.Errorf("cuda: %w", err)) // Close tries again
			break
		}
		q.retired = q.retired[:last]
	}
	if q.checked && q.err == nil {
		q.checked = false
		q.fail(faultOf(q.found))
	}
	return q.err
}

// Err returns the first failure so far without waiting.
func (q *Queue) Err() error { return q.err }

// Close waits for the queue's work and frees what it holds.
func (q *Queue) Close() error {
	var errs []error
	q.flush()
	if q.stream != 0 {
		errs = append(errs, q.dev.SyncStream(q.stream))
	}
	errs = append(errs, q.dropGraphs())
	for _, m := range append(q.retired, q.scratch, block{q.fault, faultBytes}) {
		if m.at != 0 {
			errs = append(errs, q.b.give(m.at, m.size))
		}
	}
	errs = append(errs, q.multiplier.close(q))
	errs = append(errs, q.marking.close(q.dev)...)
	if q.found != nil {
		errs = append(errs, q.dev.FreeHost(q.found))
	}
	if q.stream != 0 {
		errs = append(errs, q.dev.DestroyStream(q.stream))
	}
	*q = Queue{b: q.b, dev: q.dev, err: errors.New("cuda: the queue is closed")}
	return q.b.explain(errors.Join(errs...))
}
