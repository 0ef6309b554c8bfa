package gemm

import "unsafe"

// ahead decides what the tiles of a block fetch while they compute. The operands of a
// training step are as long as a minibatch: they come from memory or the shared cache, and
// the processor does not see by itself where the next strip or chunk begins.
type ahead struct {
	lines int // of the current region that are not fetched yet
	then  region
	none  [16]float32 // fetched when there is nothing else
}

// region is part of a matrix.
type region struct {
	at          uintptr
	rows, lines int // lines are those of a row
	jump        int // bytes from behind the last line of a row to the next row
}

const line = 64

// regionOf returns rows of cols elements from x[at] on, ld elements apart.
func regionOf(x []float32, at, ld, rows, cols int) region {
	if rows <= 0 || cols <= 0 {
		return region{}
	}
	p := uintptr(unsafe.Pointer(&x[at]))
	skip := p % line
	lines := ceil(int(skip)+4*cols, line)
	return region{at: p - skip, rows: rows, lines: lines, jump: 4*ld - lines*line}
}

// fetch begins with a region.
func (h *ahead) fetch(t *tile, r region) {
	h.lines = r.rows * r.lines
	if h.lines == 0 {
		h.reset(t)
		return
	}
	t.at, t.left, t.lines, t.jump = r.at, r.lines, r.lines, r.jump
}

// reset ends fetching.
func (h *ahead) reset(t *tile) {
	h.lines = 0
	h.then = region{}
	t.at, t.left, t.lines, t.jump = uintptr(unsafe.Pointer(&h.none)), 1, 1, -line
}

// long aims at the operands of the next chunk of a weight gradient.
func (h *ahead) long(j *job, t *tile, next part, nr int) {
	if next.i1 == 0 {
		return
	}
	k0, kc := j.chunk(next.ch)
	h.fetch(t, regionOf(j.a, k0*j.lda+next.i0, j.lda, kc, next.i1-next.i0))
	col := next.p0 * nr
	h.then = regionOf(j.b, k0*j.ldb+col, j.ldb, kc, min(next.p1*nr, j.n)-col)
}

// strip aims at the strip of a at row i, or behind the last one at the first of the next
// chunk.
func (h *ahead) strip(j *job, t *tile, p, next part, i, mr int) {
	if i >= p.i1 {
		p, i = next, next.i0
		if p.i1 == 0 {
			h.reset(t)
			return
		}
	}
	k0, kc := j.chunk(p.ch)
	h.fetch(t, regionOf(j.a, i*j.lda+k0, j.lda, min(mr, p.i1-i), kc))
}

// done counts what a tile has fetched.
func (h *ahead) done(t *tile, kern *kernels) {
	if h.lines == 0 {
		return
	}
	slots := kern.slots
	if t.width < kern.nr {
		slots *= 2
	}
	if h.lines -= t.kc / kern.round * slots; h.lines <= 0 {
		then := h.then
		h.then = region{}
		h.fetch(t, then)
	}
}
