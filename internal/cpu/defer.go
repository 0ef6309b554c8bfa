package cpu

import (
	"time"
	"unsafe"

	"github.com/saint-gnn/saint/internal/hostmem"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/internal/kernels/gemm"
	"github.com/saint-gnn/saint/internal/kernels/spmm"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// A product that is put off waits for the operations that go over its rows right afterwards:
// they then run block by block, while the rows that a worker has just written are in its cache.
// Every other operation, and Sync, makes the product first. Whether a product waits for others
// changes no bit of what it or they compute.
//
// An operation follows if its input is the product, or what another follower makes of it, or some
// of the columns of those, or has those among its columns, if row i of what it writes depends on
// row i of what it reads alone, and if what it writes is in nobody's way (see joins). It does so by
// passing joins and then follow, instead of ready and Group.Do.

// follower goes over the rows of a product.
type follower interface {
	// block does rows [lo,hi), which are complete. No other call has the same worker.
	block(worker, lo, hi int)
	// alone does all rows, after a product whose rows are not complete one after the other.
	alone(q *Queue)
	// done ends the operation.
	done(q *Queue)
}

// mostFollowers bounds what waits for one product.
const mostFollowers = 6

// productKind says what is put off.
type productKind int

const (
	noProduct productKind = iota
	denseProduct
	sparseProduct
)

// deferred is a product that is put off and what follows it.
type deferred struct {
	on   bool // products are put off
	kind productKind
	c    tensor.Tensor

	transB         bool
	k              int
	alpha, beta    float32
	a, b, out      matrix[float32]
	sparse         spmm.Args
	left           extent // of a dense product
	blocks         bool   // rows come in multiples of sumRows
	reads          []extent
	followers      []follower
	reads2, writes []extent // of the followers

	norms pool[normJob]
	backs pool[normBackJob]
	units pool[unitJob]
	drops pool[dropoutJob]
	codes pool[quantJob]
	spent time.Duration // on products put off, with what followed
}

// pool is the jobs of one kind among the followers.
type pool[T any] struct {
	jobs [mostFollowers]T
	used int
}

// next returns a job that no follower has.
func (p *pool[T]) next() *T {
	p.used++
	return &p.jobs[p.used-1]
}

// Defer lets the queue put products off.
func (q *Queue) Defer(on bool) {
	q.flush()
	q.put.on = on && !invariants.Enabled // there released memory is overwritten at once
}

// Waiting reports whether a product is put off, and Spent how long such products took so far
// with what followed them: who measures operations asks.
func (q *Queue) Waiting() bool { return q.put.kind != noProduct }

// Spent is described at Waiting.
func (q *Queue) Spent() time.Duration { return q.put.spent }

// extent is the memory from the first to the last element of a tensor.
type extent struct {
	lo, hi      uintptr
	stride, row uintptr // bytes from row to row and of a row
	rows        int
}

func extentOf(t tensor.Tensor) extent {
	if !t.Present() || t.Rows <= 0 || t.Cols <= 0 {
		return extent{}
	}
	b, size := bytesOf(t), uintptr(t.Type.Size())
	lo := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return extent{lo, lo + uintptr(len(b)), uintptr(t.Stride) * size, uintptr(t.Cols) * size, t.Rows}
}

func (e extent) overlaps(f extent) bool { return e.lo < f.hi && f.lo < e.hi }

// within reports whether e are columns of f.
func (e extent) within(f extent) bool {
	return e.rows == f.rows && e.stride == f.stride && e.lo >= f.lo && e.lo+e.row <= f.lo+f.row
}

// clashes reports whether e and f share memory otherwise than row by row: rows that lie at the
// same distances, each within the memory from a row of the other to the next. Vectors share all or
// clash.
func (e extent) clashes(f extent) bool {
	if !e.overlaps(f) {
		return false
	}
	if e.rows == 1 && f.rows == 1 { // elements may belong to rows of something else, as codes do
		return e.lo != f.lo || e.hi != f.hi
	}
	if e.lo > f.lo {
		e, f = f, e
	}
	return e.rows != f.rows || e.stride != f.stride || f.lo-e.lo+f.row > e.stride
}

// disturbs is clashes for one that reads and one that writes: a vector is read by everybody for
// every row, and written when all rows are done.
func (e extent) disturbs(f extent) bool {
	return e.clashes(f) || e.rows == 1 && e.overlaps(f)
}

// any reports whether one of list is so to e.
func (e extent) any(list []extent, so func(e, f extent) bool) bool {
	for _, f := range list {
		if so(e, f) {
			return true
		}
	}
	return false
}

// waits puts a product off if products are.
func (q *Queue) waits(kind productKind, c tensor.Tensor, reads ...tensor.Tensor) bool {
	p := &q.put
	if !p.on || c.Rows < 2 || c.Cols == 0 { // one row is a vector as well
		return false
	}
	p.kind, p.c = kind, c
	p.reads, p.reads2, p.writes, p.followers = p.reads[:0], p.reads2[:0], p.writes[:0], p.followers[:0]
	p.norms.used, p.backs.used, p.units.used, p.drops.used, p.codes.used = 0, 0, 0, 0, 0
	p.left, p.blocks = extent{}, false
	for _, t := range reads {
		p.reads = append(p.reads, extentOf(t))
	}
	if m, ok := c.Mem.(*memory); ok {
		m.waiting = p
	}
	return true
}

// disturbedBy reports whether who writes e could not follow the product, or not follow what follows it.
func (p *deferred) disturbedBy(e extent) bool {
	return e.any(p.reads, extent.overlaps) || e.clashes(p.left) || e.clashes(extentOf(p.c)) ||
		e.any(p.reads2, extent.disturbs) || e.any(p.writes, extent.clashes)
}

// memory appends what of m the product and its followers read and write to list.
func (p *deferred) memory(m *memory, list []hostmem.Range) []hostmem.Range {
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(m.b)))
	add := func(e extent) {
		if e.lo >= begin && e.hi <= begin+uintptr(len(m.b)) && e.lo < e.hi {
			list = append(list, hostmem.Range{Lo: int64(e.lo - begin), Hi: int64(e.hi - begin)})
		}
	}
	add(extentOf(p.c))
	add(p.left)
	for _, more := range [...][]extent{p.reads, p.reads2, p.writes} {
		for _, e := range more {
			add(e)
		}
	}
	return list
}

// joins reports whether an operation on the rows of x that reads and writes these tensors may
// follow the product that is put off. x may be among writes.
//
// Everybody may use the memory of everybody else row by row, because one after the other goes over
// the same rows. That goes for the left operand of a dense product too: when a row of the product
// is complete, nobody reads that row of the operand any more. Memory that an operand had is often
// given to what is made of its product. Other operands nobody may write to.
//
// sums says that the operation keeps sums over blocks of rows of q.sumRows(): not all products are
// made in such blocks.
func (q *Queue) joins(x tensor.Tensor, sums bool, reads, writes []tensor.Tensor) bool {
	p := &q.put
	if p.kind == noProduct || sums && !p.blocks || len(p.followers) == mostFollowers || q.err != nil {
		return false
	}
	c, in := extentOf(p.c), extentOf(x)
	if !in.within(c) && !in.any(p.writes, extent.within) && !p.partOf(in) {
		return false
	}
	for _, t := range writes {
		e := extentOf(t)
		if p.disturbedBy(e) {
			return false
		}
	}
	for _, t := range reads {
		if e := extentOf(t); e.clashes(c) || e.any(p.writes, extent.disturbs) {
			return false
		}
	}
	p.reads2 = append(p.reads2, in)
	for _, t := range reads {
		p.reads2 = append(p.reads2, extentOf(t))
	}
	for _, t := range writes {
		p.writes = append(p.writes, extentOf(t))
	}
	return true
}

// partOf reports whether the product, or what a follower makes, is some columns of x, the others of
// which were there before: so ends a concatenation.
func (p *deferred) partOf(x extent) bool {
	c := extentOf(p.c)
	if x.clashes(c) || x.any(p.writes, extent.clashes) {
		return false
	}
	return c.within(x) || x.any(p.writes, func(x, w extent) bool { return w.within(x) })
}

// masked reports whether a follower has a mask.
func (p *deferred) masked() bool {
	for i := range p.norms.used {
		if p.norms.jobs[i].drop.mask != nil {
			return true
		}
	}
	for i := range p.backs.used {
		if b := &p.backs.jobs[i]; b.drop.mask != nil || b.x.masked() {
			return true
		}
	}
	for i := range p.units.used {
		if p.units.jobs[i].y.masked() {
			return true
		}
	}
	for i := range p.drops.used {
		if p.drops.jobs[i].drop.mask != nil {
			return true
		}
	}
	return false
}

// quant returns a job for codes that follow.
func (p *deferred) quant() *quantJob { return p.codes.next() }

// follow runs f with the product that is put off.
func (q *Queue) follow(f follower) { q.put.followers = append(q.put.followers, f) }

// flush makes the product that is put off.
func (q *Queue) flush() {
	p := &q.put
	kind := p.kind
	if kind == noProduct {
		return
	}
	p.kind = noProduct
	if q.err != nil {
		return
	}
	begin := time.Now()
	if kind == denseProduct {
		q.multiply(p)
	} else {
		q.aggregate(p)
	}
	for _, f := range p.followers {
		f.done(q)
	}
	p.a, p.b, p.out, p.sparse, p.c = matrix[float32]{}, matrix[float32]{}, matrix[float32]{}, spmm.Args{}, tensor.Tensor{}
	p.spent += time.Since(begin)
}

// sumRows is the number of rows that go into one sum where rows are summed up.
func (q *Queue) sumRows() int { return q.products().BlockRows() }

// products returns the workspace of dense products.
func (q *Queue) products() *gemm.Workspace {
	if q.gemm == nil {
		q.gemm = gemm.NewWorkspace()
	}
	return q.gemm
}

// multiply makes a dense product.
func (q *Queue) multiply(p *deferred) {
	var around gemm.Around
	if len(p.followers) > 0 {
		around.Done = p
	}
	gemm.Fused(q.group, q.gemm, around, false, p.transB, p.c.Rows, p.c.Cols, p.k, p.alpha, p.a.s, p.a.ld(), p.b.s, p.b.ld(), p.beta, p.out.s, p.out.ld())
}

// aggregate makes a sparse product.
func (q *Queue) aggregate(p *deferred) {
	if len(p.followers) == 0 {
		spmm.Mul(q.group, q.spmm, p.sparse)
		return
	}
	if spmm.MulThen(q.group, q.spmm, p.sparse, p) {
		return
	}
	for _, f := range p.followers {
		f.alone(q)
	}
}

// RowsDone lets everything that follows go over rows [lo,hi) of the product, a few of them at a time:
// what one has read and written the next finds in the first cache.
func (p *deferred) RowsDone(worker, lo, hi int) {
	step := max(1, valuesTogether/p.c.Cols)
	if p.backs.used > 0 || len(p.followers) == 1 { // sums are over blocks of rows
		step = hi - lo
	}
	for ; lo < hi; lo += step {
		end := min(lo+step, hi)
		for _, f := range p.followers {
			if j, ok := f.(*quantJob); ok {
				j.some(worker, lo, end, hi)
				continue
			}
			f.block(worker, lo, end)
		}
	}
}
