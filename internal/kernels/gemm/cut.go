package gemm

// job is one product, cut into tasks.
type job struct {
	transA, transB bool
	m, n, k        int
	alpha, beta    float32
	a, b, c        []float32
	lda, ldb, ldc  int
	left           Rows     // instead of a
	done           RowsDone // may be nil

	phase    phase
	tiled    bool // on tiles of bfloat16 pieces; the sizes below are then multiples of theirs
	kc       int  // inner dimension of a chunk; the last one may be shorter
	chunks   int
	slabs    int  // partial products, each of neighbouring chunks
	mc       int  // rows of c in a block, a multiple of the tile's rows
	nc       int  // columns of c in a block, a multiple of the tile's columns
	mb, nb   int  // blocks of c
	panels   int  // column panels of op(b)
	padded   int  // columns of op(b) in packed form
	narrowed bool // the last panel has the width of the narrow kernel
	directA  bool // a is read in place, but for rows over the edge
	private  bool // every task packs its part of op(b) for itself
	grouping grouping
	aligned  int // where blocks of rows begin: at multiples of it; 0: nobody waits for them
}

// grouping says which blocks of c belong to one task.
type grouping int

const (
	oneBlock  grouping = iota
	ofRows             // all blocks of the same rows, which somebody waits for
	ofColumns          // all blocks of the same columns, which share rows of a that are made for them
)

type phase int

const (
	packing     phase = iota // op(b) into panels; a task is one panel of one chunk
	multiplying              // a task is one block of c in one slab
	reducing                 // partial products into c; a task is some rows
)

const (
	// With fewer blocks of c than wantTasks the inner dimension is split, into slabs of
	// minSlab chunks at least, so that writing and summing partial products stays cheap.
	leastMC   = 48
	wantTasks = 16
	minSlab   = 4

	// maxPartial bounds the memory of partial products, in elements.
	maxPartial = 16 << 20

	reduceRows = 16

	// doneThreads cuts a product whose rows somebody waits for, on any number of threads.
	doneThreads = 8
)

// cut chooses the sizes. Threads may change only mc, which decides who computes an
// element and not how.
func (j *job) cut(kern *kernels, threads int) {
	if j.done != nil {
		threads = doneThreads
	}
	j.panels = ceil(j.n, kern.nr)
	j.padded = j.panels * kern.nr
	if j.narrowed = j.padded-j.n >= kern.nr-kern.narrow; j.narrowed {
		j.padded -= kern.nr - kern.narrow
	}
	// In a weight gradient b is as long as a: packed for all, it would travel to memory and
	// back.
	j.private = j.transA && !j.transB
	// Rows that are a page apart fall into the same set of the cache. A copy of them costs
	// as much as a few columns of c.
	const page = 1024
	if j.transA {
		j.cutK(kern.kcols)
		j.directA = j.lda%page != 0 || j.n < 8*kern.nr
	} else {
		j.cutK(kern.krows)
		j.directA = j.lda%page != 0 || j.n < 4*kern.nr
	}
	if j.private {
		j.cutLong(kern)
		j.group()
		return
	}
	j.nc = max(4, kern.cache/j.k/kern.nr) * kern.nr
	j.nb = ceil(j.padded, j.nc)
	j.nc = ceil(j.panels, j.nb) * kern.nr
	j.nb = ceil(j.panels*kern.nr, j.nc)
	j.split(ceil(j.m, leastMC) * j.nb)
	j.mc = 12 * kern.mr
	j.mb = ceil(j.m, j.mc)
	for j.mc >= 4*kern.mr && j.mb*j.nb*j.slabs < 8*threads {
		j.mc = ceil(j.mc/2, kern.mr) * kern.mr
		j.mb = ceil(j.m, j.mc)
	}
	j.mc = ceil(ceil(j.m, j.mb), kern.mr) * kern.mr
	if j.done != nil {
		j.align(kern.doneRows())
	}
	j.mb = ceil(j.m, j.mc)
	j.group()
}

// doneRows is BlockRows of kernels without tiles.
func (k *kernels) doneRows() int {
	if k.mr < 12 {
		return 12 * k.mr
	}
	return 6 * k.mr
}

// align makes blocks of rows that somebody waits for begin at multiples of rows.
func (j *job) align(rows int) {
	j.mc = max(1, j.mc/rows) * rows
	for j.mc > rows && ceil(j.m, j.mc) < 3*doneThreads {
		j.mc -= rows
	}
	j.mb = ceil(j.m, j.mc)
	j.aligned = rows
}

// group chooses what a task is. Blocks are the same for every choice, and so are results.
func (j *job) group() {
	switch {
	case j.left != nil:
		j.grouping = ofColumns
	case j.done != nil && j.slabs == 1:
		j.grouping = ofRows
	}
}

// cutK cuts the inner dimension into chunks of at most limit, by whole cache lines.
func (j *job) cutK(limit int) {
	j.chunks = ceil(j.k, limit)
	j.kc = ceil(ceil(j.k, j.chunks), 16) * 16
	j.chunks = ceil(j.k, j.kc)
}

// cutLong cuts a weight gradient: few blocks, since each packs the rows of b anew.
func (j *job) cutLong(kern *kernels) {
	strips := ceil(j.m, kern.mr)
	j.mb = max(1, (strips+kern.strips/2)/kern.strips)
	j.mc = ceil(strips, j.mb) * kern.mr
	j.mb = ceil(j.m, j.mc)
	j.nb = ceil(j.panels*kern.nr, kern.longNC)
	j.nc = ceil(j.panels, j.nb) * kern.nr
	j.nb = ceil(j.panels*kern.nr, j.nc)
	j.split(j.mb * j.nb)
}

// split chooses the number of slabs.
func (j *job) split(blocks int) {
	j.slabs = max(1, min(ceil(wantTasks, blocks), j.chunks/minSlab, maxPartial/(j.m*j.n)))
}

func ceil(x, y int) int { return (x + y - 1) / y }

// panel returns the first column of panel p of op(b) and its packed width.
func (j *job) panel(kern *kernels, p int) (col, width int) {
	col = p * kern.nr
	if j.narrowed && p == j.panels-1 {
		return col, kern.narrow
	}
	return col, kern.nr
}

// chunk returns the range of the inner dimension of chunk i.
func (j *job) chunk(i int) (k0, kc int) {
	k0 = i * j.kc
	return k0, min(j.kc, j.k-k0)
}

// part is one task of the multiplying phase: rows [i0,i1) of c and panels [p0,p1) of op(b)
// over chunks [ch,ch1).
type part struct{ i0, i1, p0, p1, ch, ch1, slab int }

// part returns a task, with panels of nr columns. Neighbouring tasks share a slab, so that its part of op(b) is hot in
// the shared cache.
func (j *job) part(nr, task int) part {
	slab, block := task/(j.mb*j.nb), task%(j.mb*j.nb)
	bi, bj := block%j.mb, block/j.mb
	w := j.nc / nr
	return part{
		i0: bi * j.mc, i1: min(j.m, (bi+1)*j.mc),
		p0: bj * w, p1: min(j.panels, (bj+1)*w),
		ch: slab * j.chunks / j.slabs, ch1: (slab + 1) * j.chunks / j.slabs,
		slab: slab,
	}
}

// tasks returns the number of tasks of the current phase.
func (ws *Workspace) tasks() int {
	j := &ws.job
	switch {
	case j.phase == packing && j.private:
		return 0
	case j.phase == packing:
		return j.chunks * j.panels
	case j.phase == multiplying && j.grouping == ofRows:
		return j.mb
	case j.phase == multiplying && j.grouping == ofColumns:
		return j.slabs * j.nb
	case j.phase == multiplying:
		return j.slabs * j.mb * j.nb
	case j.tiled && (j.slabs > 1 || j.done != nil && j.grouping != ofRows):
		return j.strips()
	case j.slabs > 1 || j.done != nil && j.grouping != ofRows:
		return ceil(j.m, max(reduceRows, j.aligned))
	}
	return 0
}

// RunTask does one task of the current phase; it makes a Workspace a workers.Runner.
func (ws *Workspace) RunTask(worker, task int) {
	j := &ws.job
	if j.tiled {
		ws.runTiles(worker, task)
		return
	}
	switch j.phase {
	case packing:
		ws.packB(task/j.panels, task%j.panels)
	case multiplying:
		ws.multiply(worker, task)
	case reducing:
		ws.reduce(worker, task)
	}
}
