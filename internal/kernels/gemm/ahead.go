package gemm

import "unsafe"

// ahead decides what the tiles of a block fetch while they compute. The operands of a
// training step are as long as a minibatch: they come from memory or the shared cache, and
// the processor does not see by itself where the next strip or chunk begins.
type ahead struct {
	none uintptr // an address that costs nothing to fetch
	rows bool    // fetch the next strip of a that is read in place
}

// aim sets the streams for the block that rows [i0,i1), panels [p0,p1) and chunk ch make.
// more is whether the slab has a chunk after it.
func (ws *Workspace) aim(worker, ch int, more bool, i0, i1, p0, p1 int) {
	j, s, nr := &ws.job, &ws.scratch[worker], ws.kern.nr
	t := &s.tile
	s.ahead = ahead{none: uintptr(unsafe.Pointer(s))}
	// Rows of an a read in place hold all chunks: the first one fetches for the others.
	s.ahead.rows = j.directA && ch == 0 && j.lda <= 2*j.k
	t.nextA, t.nextB = stream{at: s.ahead.none}, stream{at: s.ahead.none}
	if !more {
		return
	}
	k0, kc := j.chunk(ch + 1)
	tiles := ceil(i1-i0, ws.kern.mr) * (p1 - p0)
	cols := (p1 - p0) * nr
	switch {
	case !j.directB:
		t.nextB = stream{addr(ws.packedB, k0*j.padded+p0*nr*kc), ceil(4*cols, tiles)}
	case j.ldb <= 2*cols:
		t.nextB = stream{addr(j.b, k0*j.ldb+p0*nr), ceil(4*j.ldb, tiles)}
	}
}

// strip aims at the rows of a from i on, if they belong to the block; rounds is how many
// steps the strip before them takes.
func (h *ahead) strip(j *job, t *tile, i, i1, mr, rounds int) {
	if !h.rows {
		return
	}
	t.nextA = stream{at: h.none}
	if i < i1 {
		t.nextA = stream{addr(j.a, i*j.lda), ceil(4*j.lda*min(mr, i1-i), rounds)}
	}
}

// tile moves on to the share of the next tile.
func (h *ahead) tile(t *tile) {
	t.nextB.at += uintptr(t.kc * t.nextB.step)
	t.nextA.at += uintptr(t.kc * t.nextA.step)
}

func addr(x []float32, i int) uintptr { return uintptr(unsafe.Pointer(&x[i])) }
