package gemm

import (
	"unsafe"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

// Workspace holds the packed operands and partial products of Gemm between calls. It
// serves one Gemm at a time and grows to the largest it has served.
type Workspace struct {
	kern    kernels
	tiles   tileOps // nothing in it if the level has none
	job     job
	packedB []float32
	partial []float32
	scratch []scratch // by worker
}

type scratch struct {
	a     []float32 // a strip of op(a)
	b     []float32 // panels of op(b), if every task packs for itself
	edge  []float32 // a tile over the edge of c
	left  []float32 // rows of a that are made for a chunk
	ahead ahead
	tiles tileScratch
	tile  tile // here and not on the stack because calls through kernels.run make it escape
}

// NewWorkspace returns a workspace for the instruction set in use.
func NewWorkspace() *Workspace { return newWorkspace(cpufeat.Chosen()) }

func newWorkspace(level cpufeat.Level) *Workspace {
	return &Workspace{kern: kernelsOf(level), tiles: asmTiles(level)}
}

// Bytes returns the size of the memory held.
func (ws *Workspace) Bytes() int64 {
	n := len(ws.packedB) + len(ws.partial)
	for i := range ws.scratch {
		n += len(ws.scratch[i].a) + len(ws.scratch[i].b) + len(ws.scratch[i].edge) + len(ws.scratch[i].left)
		x := &ws.scratch[i].tiles
		n += len(x.strips[0]) + len(x.strips[1]) + len(x.square) + len(x.panel) + len(x.sum) + len(x.c)
		if x.exact != nil {
			n += int(x.exact.Bytes() / 4)
		}
	}
	return 4 * int64(n)
}

// reserve makes the memory for the job.
func (ws *Workspace) reserve(threads int) {
	j, kern := &ws.job, &ws.kern
	if j.tiled {
		ws.reserveTiles(threads)
		return
	}
	if !j.private {
		grow(&ws.packedB, j.k*j.padded)
	}
	if j.slabs > 1 {
		grow(&ws.partial, j.slabs*j.m*j.n)
	}
	ws.workers(threads)
	for i := range ws.scratch {
		s := &ws.scratch[i]
		grow(&s.a, max(kern.mr*(kern.krows+32), kern.kcols*kern.apitch))
		grow(&s.edge, kern.mr*kern.nr)
		if j.private {
			grow(&s.b, j.kc*j.nc)
		}
		if j.left != nil {
			grow(&s.left, j.kc*j.lda)
		}
	}
}

// reserveTiles makes the memory for a job on tiles.
func (ws *Workspace) reserveTiles(threads int) {
	j := &ws.job
	steps := tileChunk * stepSize
	if !j.private {
		grow(&ws.packedB, j.chunks*j.panels*steps)
	}
	if j.slabs > 1 {
		grow(&ws.partial, j.slabs*j.strips()*j.panels*tileSize)
	}
	ws.workers(threads)
	for i := range ws.scratch {
		s := &ws.scratch[i]
		x := &s.tiles
		grow(&x.strips[0], steps)
		grow(&x.strips[1], steps)
		grow(&x.square, tileSide*squareLD)
		grow(&x.panel, stepSize)
		grow(&x.sum, tileSize)
		if j.slabs == 1 {
			grow(&x.c, j.mc*j.nc)
		}
		if j.private {
			grow(&s.b, j.nc/tileSide*steps)
		}
		if j.left != nil {
			grow(&s.left, j.kc*j.lda)
		}
	}
}

// workers makes room for threads.
func (ws *Workspace) workers(threads int) {
	for len(ws.scratch) < threads {
		ws.scratch = append(ws.scratch, scratch{})
	}
}

// forget drops the references to the operands.
func (ws *Workspace) forget() {
	ws.job = job{}
	for i := range ws.scratch {
		ws.scratch[i].tile = tile{}
		ws.scratch[i].tiles.t = tiling{}
	}
}

// grow makes *s at least n long, beginning at a cache line; the contents are lost.
func grow(s *[]float32, n int) {
	if len(*s) >= n {
		return
	}
	buf := make([]float32, n+line/4)
	skip := int(-uintptr(unsafe.Pointer(&buf[0]))%line) / 4
	*s = buf[skip : skip+n]
}
