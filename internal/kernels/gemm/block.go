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

// block multiplies packed rows [i0,i1) of op(a) by panels [p0,p1) of op(b) for one chunk. A
// panel stays in the first-level cache while the strips of op(a) pass by.
func (ws *Workspace) block(worker int, dst target, i0, i1, p0, p1, k0, kc int) {
	j, kern, s := &ws.job, &ws.kern, &ws.scratch[worker]
	for p := p0; p < p1; p++ {
		col, width := j.panel(kern, p)
		b := &ws.packedB[k0*j.padded+col*kc]
		valid := min(width, j.n-col)
		for i := i0; i < i1; i += kern.mr {
			t := &s.tile
			*t = tile{kc: kc, a: &s.a[(i-i0)*kc], b: b, alpha: dst.alpha, beta: dst.beta}
			rows := min(kern.mr, i1-i)
			if rows == kern.mr && valid == width {
				t.c, t.ldc = &dst.c[i*dst.ld+col], dst.ld
				kern.run(width, t)
				continue
			}
			// A tile over the edge goes to scratch memory and from there to c.
			t.c, t.ldc, t.beta = &s.edge[0], width, 0
			kern.run(width, t)
			for r := range rows {
				addFirst(s.edge[r*width:][:valid], dst.beta, dst.c[(i+r)*dst.ld+col:][:valid])
			}
		}
	}
}

// packA copies rows [i0,i1) of one chunk of op(a) into strips of [kc][mr], zeros behind the
// last row.
func (ws *Workspace) packA(worker, i0, i1, k0, kc int) {
	j, mr := &ws.job, ws.kern.mr
	buf := ws.scratch[worker].a
	for i := i0; i < i1; i += mr {
		rows := min(mr, i1-i)
		strip := buf[(i-i0)*kc:][:mr*kc]
		if rows < mr {
			clear(strip)
		}
		if j.transA {
			for l := range kc {
				copy(strip[l*mr:][:rows], j.a[(k0+l)*j.lda+i:][:rows])
			}
			continue
		}
		for r := range rows {
			interleave(strip[r:], mr, j.a[(i+r)*j.lda+k0:][:kc])
		}
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
