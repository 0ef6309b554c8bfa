package gemm

import (
	"unsafe"

	"github.com/saint-gnn/saint/internal/kernels/f32"
	"github.com/saint-gnn/saint/internal/workers"
)

const (
	tileSide  = 32           // rows and columns of what multiply computes at a time: two by two tiles
	tileStep  = 32           // of the inner dimension in a tile
	tileChunk = 8            // steps of a chunk at most: two strips and a few panels stay close
	pieces    = 3            // whose sum a number is
	stepSize  = 1536         // elements that the pieces of a step of a strip or panel take
	pieceSize = stepSize / 3 // and one piece
	tileSize  = tileSide * tileSide
	longChunk = 4                       // and of a weight gradient, whose panels are split anew for every chunk
	squareLD  = longChunk*tileStep + 16 // elements between rows of a transposed strip, not a power of two
)

// splitting cuts pairs of vectors of 16 numbers into pieces: units of a block one after the
// other, and block after block. Distances are in bytes. Kernels in assembly know where its
// fields are.
type splitting struct {
	left    int // units of the current block
	unit    int // from unit to unit of the source; a line in dst
	second  int // from the first to the second vector of a pair
	next    int // from behind the last unit of a block to the next block
	dst     uintptr
	dstNext int
	src     uintptr
	units   int // of a block
	blocks  int // including the current one; 0: nothing is left
	rate    int // units that a step of multiply does
	mask    uint32
	mask2   uint32 // elements of the vectors of a pair that are read; the others are 0. multiply reads all
}

// tiling is a call of multiply: c += strip times panels.
type tiling struct {
	splitting // of what is needed next
	panels    int
	steps     int
	a         *float32 // pieces of the strip, [steps][3][32][32] bfloat16
	b         *float32 // pieces of the panels, [panels][steps][3][2][16][16][2] bfloat16
	c         *float32 // [panels][32][32]
	fresh     int      // not 0: c = strip times panels

	scratch *float32 // 32 times 32 products that are to be added to c
	pending int      // for the kernel's own use, as is count
	count   int
	fetch   [2]fetching
}

// fetching is what multiply brings to the second-level cache: in every step rate lines.
type fetching struct {
	rate        int
	at          uintptr
	left        int // lines to the end of the row
	lines, jump int // as in region
}

// over aims at a region, spread over steps.
func (f *fetching) over(r region, steps int) {
	*f = fetching{rate: ceil(r.rows*r.lines, steps), at: r.at, left: r.lines, lines: r.lines, jump: r.jump}
}

// tileOps are kernels on tiles of bfloat16.
type tileOps struct {
	split func(s *splitting) // does what is left
	// transpose writes squares of 16×16: distances in elements between rows of source and
	// destination, and between squares.
	transpose func(blocks int, src []float32, ld, next int, dst []float32, step, dstNext int)
	multiply  func(t *tiling)
	// finish computes c = alpha p + beta c for rows of panels of p, 32 elements each, and of the
	// last panel the columns of mask. It reports whether these rows of p are finite.
	finish func(rows, panels int, p, c []float32, ldc int, mask uint32, alpha, beta float32) bool
	finite func(x []float32) bool // len(x) is a multiple of 64
}

// tileScratch is what a worker needs for products on tiles.
type tileScratch struct {
	t      tiling
	strips [2][]float32 // pieces of the current and the next strip
	square []float32    // a strip of a transposed a, before it is split
	panel  []float32    // pieces of a panel of a transposed b, before they are transposed
	sum    []float32    // products of a chunk
	c      []float32    // products of a block
	exact  *Workspace   // for what tiles cannot hold
}

// tiled reports whether the product is one for tiles. With few rows or columns the splitting
// would take longer than the product.
func (ws *Workspace) tiled() bool {
	j := &ws.job
	return ws.tiles.multiply != nil && (!j.transA || !j.transB) && j.m >= 32 && j.n >= 64 && j.k >= 32
}

// cutTiles chooses the sizes, by shape alone.
func (j *job) cutTiles() {
	j.tiled = true
	j.private = j.transA
	j.kc = tileChunk * tileStep
	if j.private {
		j.kc = longChunk * tileStep
	}
	j.chunks = ceil(j.k, j.kc)
	j.panels = ceil(j.n, tileSide)
	j.padded = j.panels * tileSide
	j.nb = ceil(j.panels, tileColumns/tileSide)
	j.nc = ceil(j.panels, j.nb) * tileSide
	j.slabs = 1
	rows := tileRows
	if j.private {
		rows = tileColumns
	} else {
		rows = min(rows, ceil(ceil(j.m, wantTasks), tileSide)*tileSide)
	}
	j.mb = ceil(j.m, rows)
	j.mc = ceil(ceil(j.m, j.mb), tileSide) * tileSide
	j.mb = ceil(j.m, j.mc)
	if j.private {
		j.slabs = max(1, min(ceil(wantTasks, j.mb*j.nb), j.chunks/minSlab, maxPartial/(j.strips()*j.panels*tileSize)))
	}
	if j.done != nil && j.slabs == 1 {
		j.grouping = ofRows
	}
}

// Blocks of c for tiles: their products, the pieces of the panels and those of two strips fit
// the second-level cache.
const (
	tileRows    = 256
	tileColumns = 512
)

func (j *job) strips() int { return ceil(j.m, tileSide) }

// runTiles does one task of the current phase.
func (ws *Workspace) runTiles(worker, task int) {
	j := &ws.job
	switch {
	case j.phase == packing:
		ws.packPanel(worker, task/j.panels, task%j.panels)
	case j.phase == reducing:
		ws.reduceTiles(worker, task)
	case j.grouping == ofRows:
		for bj := range j.nb {
			ws.tilesBlock(worker, task+bj*j.mb)
		}
		j.done.RowsDone(worker, task*j.mc, min(j.m, (task+1)*j.mc))
	default:
		ws.tilesBlock(worker, task)
	}
}

// tilesBlock computes a block of c, or of a partial product, over the chunks of a slab.
func (ws *Workspace) tilesBlock(worker, block int) {
	j, s := &ws.job, &ws.scratch[worker]
	p := j.part(tileSide, block)
	x, t := &s.tiles, &s.tiles.t
	t.panels = p.p1 - p.p0
	c, rowOfTiles := x.c, t.panels*tileSize
	if j.slabs > 1 {
		rowOfTiles = j.panels * tileSize
		c = ws.partial[(p.slab*j.strips()+p.i0/tileSide)*rowOfTiles+p.p0*tileSize:]
	}
	ws.prepare(worker, p.ch, p.i0, 0)
	if t.blocks > 0 {
		ws.tiles.split(&t.splitting)
	}
	turn := 0
	for ch := p.ch; ch < p.ch1; ch++ {
		k0, kc := j.chunk(ch)
		b := s.b
		if j.private {
			ws.packPanels(s, p, k0, kc)
		} else {
			b = ws.packedB[k0/tileStep*j.panels*stepSize+p.p0*ceil(kc, tileStep)*stepSize:]
		}
		for i := p.i0; i < p.i1; i += tileSide {
			t.a, t.b, t.c = &x.strips[turn][0], &b[0], &c[(i-p.i0)/tileSide*rowOfTiles]
			t.steps, t.panels, t.fresh = ceil(kc, tileStep), p.p1-p.p0, 0
			if ch == p.ch {
				t.fresh = 1
			}
			turn ^= 1
			switch {
			case i+tileSide < p.i1:
				ws.prepare(worker, ch, i+tileSide, turn)
			case ch+1 < p.ch1:
				ws.prepare(worker, ch+1, p.i0, turn)
			}
			t.rate = ceil(t.units*t.blocks, t.steps*t.panels)
			t.scratch = &x.sum[0]
			ws.fetch(t, p, ch, i)
			ws.tiles.multiply(t)
			if t.blocks > 0 {
				ws.tiles.split(&t.splitting)
			}
			if ch+1 == p.ch1 && j.slabs == 1 {
				ws.finishStrip(worker, i, p.p0, p.p1, c[(i-p.i0)/tileSide*rowOfTiles:])
			}
		}
	}
}

// fetch aims at what is used after the strip that begins at row i: the rows behind the next
// strip, and the rows of b for the next chunk or those of c that are about to be written.
func (ws *Workspace) fetch(t *tiling, p part, ch, i int) {
	j := &ws.job
	steps := t.steps * t.panels
	t.fetch = [2]fetching{}
	at, then := i+2*tileSide, ch
	if at >= p.i1 && then+1 < p.ch1 {
		at, then = at-p.i1+p.i0, then+1
	}
	if at < p.i1 && j.left == nil {
		k0, kc := j.chunk(then)
		rows := min(tileSide, p.i1-at)
		if j.transA {
			t.fetch[0].over(regionOf(j.a, k0*j.lda+at, j.lda, kc, rows), steps)
		} else {
			t.fetch[0].over(regionOf(j.a, at*j.lda+k0, j.lda, rows, kc), steps)
		}
	}
	switch {
	case j.private && ch+1 < p.ch1:
		k0, kc := j.chunk(ch + 1)
		col, strips := p.p0*tileSide, ceil(p.i1-p.i0, tileSide)
		s := (i - p.i0) / tileSide
		lo, hi := kc*s/strips, kc*(s+1)/strips
		t.fetch[1].over(regionOf(j.b, (k0+lo)*j.ldb+col, j.ldb, hi-lo, min(p.p1*tileSide, j.n)-col), steps)
	case !j.private && ch+1 == p.ch1:
		col := p.p0 * tileSide
		t.fetch[1].over(regionOf(j.c, i*j.ldc+col, j.ldc, min(tileSide, p.i1-i), min(p.p1*tileSide, j.n)-col), steps)
	}
}

// prepare begins to split rows [i,i+32) of op(a) of a chunk: t.splitting says what is left.
func (ws *Workspace) prepare(worker, ch, i, turn int) {
	j, s := &ws.job, &ws.scratch[worker]
	x, q := &s.tiles, &s.tiles.t.splitting
	k0, kc := j.chunk(ch)
	rows, dst := min(tileSide, j.m-i), x.strips[turn]
	if j.transA {
		a, at := j.a, k0*j.lda
		if j.left != nil {
			a, at = s.left, 0
			if i%j.mc == 0 {
				j.left.Read(worker, s.left, j.lda, k0, k0+kc, i, min(i+j.mc, j.m))
			}
		}
		ws.square(x.square, a[at+i:], j.lda, kc, rows)
		q.rows(x.square, squareLD, tileSide, dst)
		q.blocks = ceil(kc, tileStep)
		return
	}
	src := j.a[i*j.lda+k0:]
	if rest := kc % tileStep; rest > 0 {
		full := kc - rest
		q.rows(src[full:], j.lda, rows, dst[full/tileStep*stepSize:])
		q.mask, q.mask2 = masks(rest)
		ws.tiles.split(q)
	}
	q.rows(src, j.lda, rows, dst)
	q.blocks = kc / tileStep
	if rows < tileSide {
		clearRows(dst, ceil(kc, tileStep), rows)
	}
}

// rows aims at the first block of 32 numbers of rows, and those behind it.
func (q *splitting) rows(src []float32, ld, rows int, dst []float32) {
	*q = splitting{
		left: rows, units: rows, blocks: 1,
		src: address(src), unit: 4 * ld, second: 64, next: 4 * (tileStep - rows*ld),
		dst: address(dst), dstNext: 4*stepSize - 64*rows,
		mask: 0xffff, mask2: 0xffff,
	}
}

func address(x []float32) uintptr { return uintptr(unsafe.Pointer(&x[0])) }

// masks returns those of two vectors for n elements, at most 32.
func masks(n int) (uint32, uint32) {
	m := uint32(1)<<n - 1
	if n >= 32 {
		m = 0xffffffff
	}
	return m & 0xffff, m >> 16
}

// clearRows makes the rows of a strip from the given one on zero.
func clearRows(strip []float32, steps, rows int) {
	for step := range steps {
		for piece := range pieces {
			clear(strip[step*stepSize+piece*pieceSize+rows*16 : step*stepSize+(piece+1)*pieceSize])
		}
	}
}

// square transposes kc rows of a strip of columns, with zeros behind the last of both.
func (ws *Workspace) square(dst, src []float32, ld, kc, cols int) {
	rows, whole := kc&^15, cols&^15
	for h := 0; h < whole && rows > 0; h += 16 {
		ws.tiles.transpose(rows/16, src[h:], ld, 16*ld, dst[h*squareLD:], squareLD, 16)
	}
	for l := range kc {
		from := whole
		if l >= rows {
			from = 0
		}
		for x := from; x < cols; x++ {
			dst[x*squareLD+l] = src[l*ld+x]
		}
	}
	end := ceil(kc, tileStep) * tileStep
	for x := range tileSide {
		if x < cols {
			clear(dst[x*squareLD+kc : x*squareLD+end])
		} else {
			clear(dst[x*squareLD : x*squareLD+end])
		}
	}
}

// finishStrip writes rows [i,i+32) of c from the products of panels [p0,p1). Numbers that
// tiles cannot hold make them infinite or not a number: then the kernels on vectors compute
// the rows.
func (ws *Workspace) finishStrip(worker, i, p0, p1 int, products []float32) {
	j := &ws.job
	rows := min(tileSide, j.m-i)
	col := p0 * tileSide
	// With beta 0 there is nothing to lose in c, and the check costs nothing.
	fine := j.beta == 0 || ws.tiles.finite(products[:(p1-p0)*tileSize])
	if fine {
		m1, m2 := masks(min(tileSide, j.n-(p1-1)*tileSide))
		fine = ws.tiles.finish(rows, p1-p0, products, j.c[i*j.ldc+col:], j.ldc, m1|m2<<16, j.alpha, j.beta)
	}
	if !fine {
		ws.exactStrip(worker, i, rows, col, min(j.n, p1*tileSide))
	}
}

// alone runs in the goroutine that it is called from.
var alone = workers.New(1)

// exactStrip computes rows of c and columns [lo,hi) on vectors.
func (ws *Workspace) exactStrip(worker, i, rows, lo, hi int) {
	j, s := &ws.job, &ws.scratch[worker]
	if s.tiles.exact == nil {
		s.tiles.exact = &Workspace{kern: ws.kern}
	}
	exact, c := s.tiles.exact, j.c[i*j.ldc+lo:]
	if !j.transA {
		b := j.b[lo*j.ldb:]
		if !j.transB {
			b = j.b[lo:]
		}
		Gemm(alone, exact, false, j.transB, rows, hi-lo, j.k, j.alpha, j.a[i*j.lda:], j.lda, b, j.ldb, j.beta, c, j.ldc)
		return
	}
	beta := j.beta
	for ch := range j.chunks {
		k0, kc := j.chunk(ch)
		a, at := j.a, k0*j.lda
		if j.left != nil {
			a, at = s.left, 0
			block := i / j.mc * j.mc // all of it: strips behind this one still need the last chunk
			j.left.Read(worker, s.left, j.lda, k0, k0+kc, block, min(block+j.mc, j.m))
		}
		Gemm(alone, exact, true, false, rows, hi-lo, kc, j.alpha, a[at+i:], j.lda, j.b[k0*j.ldb+lo:], j.ldb, beta, c, j.ldc)
		beta = 1
	}
}

// reduceTiles sums a strip of the partial products in order and writes it to c.
func (ws *Workspace) reduceTiles(worker, strip int) {
	j := &ws.job
	if j.slabs > 1 {
		n := j.panels * tileSize
		sum := ws.partial[strip*n:][:n]
		for slab := 1; slab < j.slabs; slab++ {
			f32.Add(ws.partial[(slab*j.strips()+strip)*n:][:n], sum)
		}
		ws.finishStrip(worker, strip*tileSide, 0, j.panels, sum)
	}
	if j.done != nil {
		j.done.RowsDone(worker, strip*tileSide, min(j.m, (strip+1)*tileSide))
	}
}
