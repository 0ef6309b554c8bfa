package gemm

// multiply does one task of the phase.
func (ws *Workspace) multiply(worker, task int) {
	j := &ws.job
	blocks := j.mb * j.nb
	switch j.grouping {
	case ofRows:
		for bj := range j.nb {
			next := j.mb*j.nb + 1 // of the next task, none is known
			if bj+1 < j.nb {
				next = task + (bj+1)*j.mb
			}
			ws.chunks(worker, task+bj*j.mb, next)
		}
		j.done.RowsDone(worker, task*j.mc, min(j.m, (task+1)*j.mc))
	case ofColumns:
		ws.columns(worker, task/j.nb*blocks+task%j.nb*j.mb)
	default:
		// A guess at what this worker does next: its turn comes when all others had theirs.
		ws.chunks(worker, task, task+len(ws.scratch))
	}
}

// chunks computes one block of c, or of a partial product, over the chunks of a slab. next
// is a block that is likely to follow.
func (ws *Workspace) chunks(worker, block, next int) {
	j, s := &ws.job, &ws.scratch[worker]
	p := j.part(ws.kern.nr, block)
	dst := ws.target(p)
	for ; p.ch < p.ch1; p.ch++ {
		then := p
		if then.ch++; then.ch == then.ch1 {
			then = part{}
			if next < j.slabs*j.mb*j.nb {
				then = j.part(ws.kern.nr, next)
			}
		}
		s.ahead.reset(&s.tile)
		if j.private {
			k0, kc := j.chunk(p.ch)
			ws.packPrivate(s, p, k0, kc)
			s.ahead.long(j, &s.tile, then, ws.kern.nr)
		}
		ws.block(s, dst, p, then)
		dst.beta = 1
	}
}

// columns computes all blocks of c, or of a partial product, in the columns of the given one,
// which is the first of them. Rows of a are made once for all.
func (ws *Workspace) columns(worker, first int) {
	j, s := &ws.job, &ws.scratch[worker]
	top := j.part(ws.kern.nr, first)
	for ch := top.ch; ch < top.ch1; ch++ {
		k0, kc := j.chunk(ch)
		j.left.Read(worker, s.left, j.lda, k0, k0+kc, 0, j.m)
		ws.packPrivate(s, top, k0, kc)
		for bi := range j.mb {
			p := j.part(ws.kern.nr, first+bi)
			p.ch = ch
			dst := ws.target(p)
			if ch > top.ch {
				dst.beta = 1
			}
			s.ahead.reset(&s.tile)
			ws.block(s, dst, p, part{})
		}
	}
}

// target returns where a task's result goes.
func (ws *Workspace) target(p part) target {
	j := &ws.job
	if j.slabs > 1 {
		return target{c: ws.partial[p.slab*j.m*j.n : (p.slab+1)*j.m*j.n], ld: j.n, alpha: j.alpha}
	}
	return target{c: j.c, ld: j.ldc, alpha: j.alpha, beta: j.beta}
}

// target is where a block goes: c = alpha product + beta c.
type target struct {
	c           []float32
	ld          int
	alpha, beta float32
}

// block multiplies rows of op(a) by panels of op(b) for one chunk. A strip of op(a) stays in
// the first-level cache while the panels stream by from the second, and rows of c are
// written from one end to the other.
func (ws *Workspace) block(s *scratch, dst target, p, next part) {
	j, kern, t := &ws.job, &ws.kern, &s.tile
	k0, kc := j.chunk(p.ch)
	b := s.b
	if !j.private {
		b = ws.packedB[k0*j.padded+p.p0*kern.nr*kc:]
	}
	t.kc = kc
	for i := p.i0; i < p.i1; i += kern.mr {
		rows := min(kern.mr, p.i1-i)
		ws.strip(s, i, rows, k0, kc)
		if !j.transA {
			s.ahead.strip(j, t, p, next, i+kern.mr, kern.mr)
		}
		for q := p.p0; q < p.p1; q++ {
			col, width := j.panel(kern, q)
			t.b = &b[(q-p.p0)*kern.nr*kc]
			t.width, t.valid = width, min(width, j.n-col)
			t.alpha, t.beta = dst.alpha, dst.beta
			if rows == kern.mr && (kern.masked || t.valid == width) {
				t.c, t.ldc = &dst.c[i*dst.ld+col], dst.ld
				kern.run(t)
				s.ahead.done(t, kern)
				continue
			}
			// A tile over the edge goes to scratch memory and from there to c.
			t.c, t.ldc, t.beta = &s.edge[0], width, 0
			kern.run(t)
			s.ahead.done(t, kern)
			for r := range rows {
				addFirst(s.edge[r*width:][:t.valid], dst.beta, dst.c[(i+r)*dst.ld+col:][:t.valid])
			}
		}
	}
}

// strip points the tile to the strip of op(a) that begins at row i, which is packed first
// where it cannot be read in place. There are zeros behind the last row.
func (ws *Workspace) strip(s *scratch, i, rows, k0, kc int) {
	j, mr, t := &ws.job, ws.kern.mr, &s.tile
	direct := j.directA && rows == mr
	a, at := j.a, k0*j.lda
	if j.left != nil {
		a, at = s.left, 0
	}
	switch {
	case j.transA && direct:
		t.a, t.rs, t.cs = &a[at+i], 1, j.lda
	case j.transA:
		// Columns of the next strip cost nothing, and whole vectors are faster to copy.
		ws.kern.pack(kc, min(ws.kern.apitch, j.m-i), a[at+i:], j.lda, s.a, ws.kern.apitch)
		t.a, t.rs, t.cs = &s.a[0], 1, ws.kern.apitch
	case direct:
		t.a, t.rs, t.cs = &j.a[i*j.lda+k0], j.lda, 1
	default:
		step := ceil(kc, 16)*16 + 16
		for r := range rows {
			copy(s.a[r*step:], j.a[(i+r)*j.lda+k0:][:kc])
		}
		for r := rows; r < mr; r++ {
			clear(s.a[r*step:][:kc])
		}
		t.a, t.rs, t.cs = &s.a[0], step, 1
	}
}
