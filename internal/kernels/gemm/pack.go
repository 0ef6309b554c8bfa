package gemm

// packPrivate packs a chunk of a task's columns of op(b), which is not transposed.
func (ws *Workspace) packPrivate(s *scratch, p part, k0, kc int) {
	j, kern := &ws.job, &ws.kern
	lo, hi := p.p0*kern.nr, min(j.n, p.p1*kern.nr)
	wide := hi
	if j.narrowed && p.p1 == j.panels {
		wide = (j.panels - 1) * kern.nr
	}
	b := j.b[k0*j.ldb:]
	if wide > lo {
		kern.pack(kc, wide-lo, b[lo:], j.ldb, s.b, kern.nr)
	}
	if wide < hi {
		kern.pack(kc, hi-wide, b[wide:], j.ldb, s.b[(wide-lo)*kc:], kern.narrow)
	}
}

// packB packs one panel of one chunk of op(b) for all tasks.
func (ws *Workspace) packB(ch, p int) {
	j := &ws.job
	k0, kc := j.chunk(ch)
	col, width := j.panel(&ws.kern, p)
	dst := ws.packedB[k0*j.padded+col*kc:][:kc*width]
	valid := min(width, j.n-col)
	if !j.transB {
		ws.kern.pack(kc, valid, j.b[k0*j.ldb+col:], j.ldb, dst, width)
		return
	}
	if valid < width {
		clear(dst)
	}
	x := 0
	for ; ws.kern.transpose != nil && x+8 <= valid && kc >= 8; x += 8 {
		src := j.b[(col+x)*j.ldb+k0:]
		ws.kern.transpose(kc/8, src, j.ldb, dst[x:], width)
		for l := kc &^ 7; l < kc; l++ {
			for r := range 8 {
				dst[l*width+x+r] = src[r*j.ldb+l]
			}
		}
	}
	for ; x < valid; x++ {
		interleave(dst[x:], width, j.b[(col+x)*j.ldb+k0:][:kc])
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

// packGo copies kc rows of cols columns to dst, [cols/width][kc][width], zeros behind the
// last column.
func packGo(kc, cols int, src []float32, ld int, dst []float32, width int) {
	for ; cols > 0; cols -= width {
		n := min(cols, width)
		for l := range kc {
			row := dst[l*width:][:width]
			clear(row[copy(row, src[l*ld:][:n]):])
		}
		src, dst = src[min(n, len(src)):], dst[kc*width:]
	}
}
