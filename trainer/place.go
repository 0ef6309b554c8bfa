package trainer

import (
	"fmt"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Slots name the host arrays that a step or an evaluation puts on the device.
const (
	slotFeatures = iota
	slotNodes
	slotIndptr
	slotIndices
	slotValues
	slotTransIndptr
	slotTransIndices
	slotTransValues
	slotClass
	slotMulti
	slotWeight
	slotOnes
	slotSym
	slotTransSym
	slotLoops
	slotGiven
	numSlots
)

// placer makes host arrays visible to a backend: as aliases where memory is shared, as
// uploaded copies elsewhere. What it placed is valid until done.
type placer struct {
	b      tensor.Backend
	slots  [numSlots]tensor.Tensor // descriptors, reused from step to step
	copies []tensor.Tensor
	keep   keeper
	beside tensor.Copies // if not nil, what copies in place of the queue
}

func (p *placer) put(a tensor.Arena, q tensor.Queue, slot int, dt tensor.DType, rows, cols int, src []byte) tensor.Tensor {
	if p.b.Caps().SharedMemory {
		if err := p.b.Import(&p.slots[slot], dt, rows, cols, src); err != nil {
			panic(fmt.Sprintf("trainer: %v", err)) // sizes are ours, so this is our bug
		}
		return p.slots[slot]
	}
	if p.keep.batch != nil && p.keep.may[slot] {
		t, again := p.keep.kept(slot, rows, cols, dt)
		if !again {
			before := p.keep.arena.Bytes()
			t = p.keep.arena.Alloc(dt, rows, cols)
			p.keep.bytes += p.keep.arena.Bytes() - before
			q.Upload(src, t)
			p.keep.held[slot] = t
		}
		return t
	}
	if p.beside != nil {
		return p.beside.Put(dt, rows, cols, src)
	}
	t := a.Alloc(dt, rows, cols)
	q.Upload(src, t)
	p.copies = append(p.copies, t)
	return t
}

// begin makes what is placed from now on that of b, as forBatch does.
func (p *placer) begin(b *loader.Batch, a tensor.Arena, changing ...int) {
	p.forBatch(b, a, changing...)
	if p.beside != nil {
		p.beside.Begin()
	}
}

// ready makes the queue's work to come follow the copies of what was placed.
func (p *placer) ready() {
	if p.beside != nil {
		p.beside.Ready()
	}
}

// ints places a column of int32.
func (p *placer) ints(a tensor.Arena, q tensor.Queue, slot int, s []int32) tensor.Tensor {
	return p.put(a, q, slot, tensor.I32, len(s), 1, bytesOf(s))
}

// column places a column of float32.
func (p *placer) column(a tensor.Arena, q tensor.Queue, slot int, s []float32) tensor.Tensor {
	return p.put(a, q, slot, tensor.F32, len(s), 1, bytesOf(s))
}

// forget drops the copies without releasing them: for an arena that is about to be reset.
func (p *placer) forget() { p.copies = p.copies[:0] }

// done releases the copies; the queue was given everything that uses them. The host arrays may change
// once it has been synced.
func (p *placer) done(a tensor.Arena) {
	if p.beside != nil {
		p.beside.End()
	}
	for _, t := range p.copies {
		a.Release(t)
	}
	p.copies = p.copies[:0]
}
