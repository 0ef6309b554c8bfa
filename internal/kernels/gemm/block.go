package gemm

// multiply computes one block of c, or of a partial product, over the chunks of a slab.
func (ws *Workspace) multiply(worker, slab, bi, bj int) {
	j := &ws.job
	dst := target{c: j.c, ld: j.ldc, alpha: j.alpha, beta: j.beta}
	if j.slabs > 1 {
		dst = target{c: ws.partial[slab*j.m*j.n : (slab+1)*j.m*j.n], ld: j.n, alpha: j.alpha}
	}
	i0, i1 := bi*j.mc, min(j.m, (bi+1)*j.mc)
	p0, p1 := bj*(j.nc/ws.kern.nr), min(j.panels, (bj+1)*(j.nc/ws.kern.nr))
	for ch := slab * j.chunks / j.slabs; ch < (slab+1)*j.chunks/j.slabs; ch++ {
		k0, kc := j.chunk(ch)
		ws.packA(worker, i0, i1, k0, kc)
		more := ch+1 < (slab+1)*j.chunks/j.slabs
		ws.aim(worker, ch, more, i0, i1, p0, p1)
		ws.block(worker, dst, i0, i1, p0, p1, k0, kc)
		dst.beta = 1
	}
}

// target is where a block goes: c = alpha product + beta c.
type target struct {
	c           []float32
	ld          int
	alpha, beta float32
}

// block multiplies rows [i0,i1) of op(a) by panels [p0,p1) of op(b) for one chunk. A strip
// of op(a) stays in the first-level cache while the panels stream by from the second, and
// rows of c are written from one end to the other.
func (ws *Workspace) block(worker int, dst target, i0, i1, p0, p1, k0, kc int) {
	j, kern, s := &ws.job, &ws.kern, &ws.scratch[worker]
	t := &s.tile
	for i := i0; i < i1; i += kern.mr {
		rows := min(kern.mr, i1-i)
		ws.strip(s, i0, i1, i, k0, kc)
		s.ahead.strip(j, t, i+kern.mr, i1, kern.mr, (p1-p0)*kc)
		for p := p0; p < p1; p++ {
			col, width := j.panel(kern, p)
			if j.directB {
				t.b, t.bs = &j.b[k0*j.ldb+col], j.ldb
			} else {
				t.b, t.bs = &ws.packedB[k0*j.padded+col*kc], width
			}
			t.width, t.valid = width, min(width, j.n-col)
			t.alpha, t.beta = dst.alpha, dst.beta
			if rows == kern.mr && (kern.masked || t.valid == width) {
				t.c, t.ldc = &dst.c[i*dst.ld+col], dst.ld
				kern.run(t)
				s.ahead.tile(t)
				continue
			}
			// A tile over the edge goes to scratch memory and from there to c.
			t.c, t.ldc, t.beta = &s.edge[0], width, 0
			kern.run(t)
			s.ahead.tile(t)
			for r := range rows {
				addFirst(s.edge[r*width:][:t.valid], dst.beta, dst.c[(i+r)*dst.ld+col:][:t.valid])
			}
		}
	}
}

// strip points the tile to the strip of op(a) that begins at row i.
func (ws *Workspace) strip(s *scratch, i0, i1, i, k0, kc int) {
	j, mr, t := &ws.job, ws.kern.mr, &s.tile
	t.kc = kc
	switch {
	case j.transA:
		t.a, t.rs, t.cs = &s.a[(i-i0)*kc], 1, mr
	case j.directA && i+mr <= i1:
		t.a, t.rs, t.cs = &j.a[i*j.lda+k0], j.lda, 1
	default:
		t.a, t.rs, t.cs = &s.a[(i-i0)*rowStep], rowStep, 1
	}
}

// rowStep is the distance of rows in packed form: rows that are a power of two apart would
// fall into the same few sets of the cache.
const rowStep = maxKC + 16

// packA copies rows [i0,i1) of one chunk of op(a): of a transposed a into strips of
// [kc][mr], of any other row by row and only where it cannot be read in place. There are
// zeros behind the last row.
func (ws *Workspace) packA(worker, i0, i1, k0, kc int) {
	j, mr := &ws.job, ws.kern.mr
	buf := ws.scratch[worker].a
	if j.transA {
		whole := (i1 - i0) / mr
		if whole > 0 {
			ws.kern.pack(kc, whole, j.a[k0*j.lda+i0:], j.lda, buf)
		}
		if i := i0 + whole*mr; i < i1 {
			packEdge(buf[whole*mr*kc:][:mr*kc], mr, i1-i, j.a[k0*j.lda+i:], j.lda)
		}
		return
	}
	for i := i0; i < i1; i += mr {
		rows := min(mr, i1-i)
		if j.directA && rows == mr {
			continue
		}
		strip := buf[(i-i0)*rowStep:][:mr*rowStep]
		for r := range rows {
			copy(strip[r*rowStep:], j.a[(i+r)*j.lda+k0:][:kc])
		}
		for r := rows; r < mr; r++ {
			clear(strip[r*rowStep:][:kc])
		}
	}
}

// packEdge copies rows columns of a, which is transposed, into [kc][mr].
func packEdge(strip []float32, mr, rows int, a []float32, lda int) {
	for ; len(strip) >= mr; strip = strip[mr:] {
		clear(strip[copy(strip, a[:rows]):mr])
		a = a[min(lda, len(a)):]
	}
}

// packB copies one panel of one chunk of op(b) into [kc][width], zeros behind the last column.
func (ws *Workspace) packB(ch, p int) {
	j := &ws.job
	k0, kc := j.chunk(ch)
	col, width := j.panel(&ws.kern, p)
	dst := ws.packedB[k0*j.padded+col*kc:][:kc*width]
	valid := min(width, j.n-col)
	if valid < width {
		clear(dst)
	}
	if j.transB {
		for x := range valid {
			interleave(dst[x:], width, j.b[(col+x)*j.ldb+k0:][:kc])
		}
		return
	}
	for l := range kc {
		copy(dst[l*width:][:valid], j.b[(k0+l)*j.ldb+col:][:valid])
	}
}

// interleave computes dst[i*step] = src[i].
func interleave(dst []float32, step int, src []float32) {
	o := 0
	for _, v := range src {
		dst[o] = v
		o += step
	}
}
