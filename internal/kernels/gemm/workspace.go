package gemm

import (
	"unsafe"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

// Workspace holds the packed operands and partial products of Gemm between calls. It
// serves one Gemm at a time and grows to the largest it has served.
type Workspace struct {
	kern    kernels
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
	tile  tile // here and not on the stack because calls through kernels.run make it escape
}

// NewWorkspace returns a workspace for the instruction set in use.
func NewWorkspace() *Workspace { return newWorkspace(cpufeat.Chosen()) }

func newWorkspace(level cpufeat.Level) *Workspace { return &Workspace{kern: kernelsOf(level)} }

// Bytes returns the size of the memory held.
func (ws *Workspace) Bytes() int64 {
	n := len(ws.packedB) + len(ws.partial)
	for i := range ws.scratch {
		n += len(ws.scratch[i].a) + len(ws.scratch[i].b) + len(ws.scratch[i].edge) + len(ws.scratch[i].left)
	}
	return 4 * int64(n)
}

// reserve makes the memory for the job.
func (ws *Workspace) reserve(threads int) {
	j, kern := &ws.job, &ws.kern
	if !j.private {
		grow(&ws.packedB, j.k*j.padded)
	}
	if j.slabs > 1 {
		grow(&ws.partial, j.slabs*j.m*j.n)
	}
	for len(ws.scratch) < threads {
		ws.scratch = append(ws.scratch, scratch{})
	}
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

// forget drops the references to the operands.
func (ws *Workspace) forget() {
	ws.job = job{}
	for i := range ws.scratch {
		ws.scratch[i].tile = tile{}
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
