package gemm

// packPanels splits a chunk of a task's columns of op(b), which is not transposed.
func (ws *Workspace) packPanels(s *scratch, p part, k0, kc int) {
	for q := p.p0; q < p.p1; q++ {
		ws.splitPanel(s, q, k0, kc, s.b[(q-p.p0)*ceil(kc, tileStep)*stepSize:])
	}
}

// packPanel splits one panel of one chunk of op(b) for all tasks.
func (ws *Workspace) packPanel(worker, ch, panel int) {
	j, s := &ws.job, &ws.scratch[worker]
	k0, kc := j.chunk(ch)
	dst := ws.packedB[k0/tileStep*j.panels*stepSize+panel*ceil(kc, tileStep)*stepSize:]
	if j.transB {
		ws.turnPanel(s, panel, k0, kc, dst)
		return
	}
	ws.splitPanel(s, panel, k0, kc, dst)
}

// splitPanel splits a panel of a b that is stored as it is used: in every step, rows l and
// l+16 become pairs.
func (ws *Workspace) splitPanel(s *scratch, panel, k0, kc int, dst []float32) {
	j, q := &ws.job, &s.tiles.t.splitting
	col := panel * tileSide
	m1, m2 := masks(min(tileSide, j.n-col))
	for step := 0; step*tileStep < kc; step++ {
		rows := min(tileStep, kc-step*tileStep)
		both, one := max(rows-16, 0), min(rows, 16)
		for h, mask := range [2]uint32{m1, m2} {
			out := dst[step*stepSize+h*pieceSize/2:]
			if mask == 0 {
				clearLines(out, 0, 16)
				continue
			}
			src := j.b[(k0+step*tileStep)*j.ldb+col+16*h:]
			if both > 0 {
				q.pairs(src, j.ldb, 0, both, out, mask, mask)
				ws.tiles.split(q)
			}
			if one > both {
				q.pairs(src, j.ldb, both, one, out, mask, 0)
				ws.tiles.split(q)
			}
			clearLines(out, one, 16)
		}
	}
}

// pairs aims at rows [lo,hi) of a step and the rows 16 behind them.
func (q *splitting) pairs(src []float32, ld, lo, hi int, dst []float32, mask, mask2 uint32) {
	*q = splitting{
		left: hi - lo, units: hi - lo, blocks: 1,
		src: address(src) + uintptr(4*lo*ld), unit: 4 * ld, second: 64 * ld,
		dst: address(dst) + uintptr(64*lo), mask: mask, mask2: mask2,
	}
}

// clearLines makes lines [lo,hi) of a tile and of those of the other pieces zero.
func clearLines(dst []float32, lo, hi int) {
	for piece := range pieces {
		clear(dst[piece*pieceSize+16*lo : piece*pieceSize+16*hi])
	}
}

// turnPanel splits a panel of a b that is stored transposed: rows of it are split like those
// of a strip, and the tiles then transposed pair by pair.
func (ws *Workspace) turnPanel(s *scratch, panel, k0, kc int, dst []float32) {
	j, q, tmp := &ws.job, &s.tiles.t.splitting, s.tiles.panel
	col := panel * tileSide
	rows := min(tileSide, j.n-col)
	for step := 0; step*tileStep < kc; step++ {
		q.rows(j.b[col*j.ldb+k0+step*tileStep:], j.ldb, rows, tmp)
		q.mask, q.mask2 = masks(min(tileStep, kc-step*tileStep))
		ws.tiles.split(q)
		clearRows(tmp, 1, rows)
		ws.tiles.transpose(2*pieces, tmp, 16, 256, dst[step*stepSize:], 16, 256)
	}
}
