package ptx

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// DefaultSteps is how many instructions a warp may run: a kernel that takes more does not end.
const DefaultSteps = 1 << 26

// Launch is how a kernel is run.
type Launch struct {
	Grid, Block [3]uint32
	Shared      int      // bytes of dynamic shared memory
	Args        []uint64 // one for each parameter; narrow ones take the low bytes
	Reverse     bool     // last block and last warp first
	Workers     int      // blocks run at a time; 0: as many as there are processors
	Steps       int64    // instructions of a warp at most; 0: DefaultSteps
}

// block is a block being run, with what a worker needs for one after the other.
type block struct {
	k       *Kernel
	l       *Launch
	mem     *Memory
	id      [3]uint32
	args    []byte
	words   []uint64 // what shared lies in
	shared  []byte
	warps   []*warp
	steps   int64
	maximum int64
}

// Limits of a launch, those of the architectures that the kernels are compiled for.
const (
	maxThreads = 1024
	maxGridYZ  = 1<<16 - 1
	maxGridX   = 1<<31 - 1
)

// Run runs a kernel and returns a *Fault if it does something wrong, another error if it cannot
// be launched like that. Memory must not be freed meanwhile.
func (k *Kernel) Run(mem *Memory, l Launch) error {
	if err := k.validate(&l); err != nil {
		return fmt.Errorf("ptx: %s: %w", k.Name, err)
	}
	blocks := int64(l.Grid[0]) * int64(l.Grid[1]) * int64(l.Grid[2])
	workers := int64(l.Workers)
	if workers == 0 {
		workers = int64(runtime.GOMAXPROCS(0))
	}
	workers = min(workers, blocks)
	var next atomic.Int64
	var first atomic.Pointer[Fault]
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			b := newBlock(k, &l, mem)
			for first.Load() == nil {
				n := next.Add(1) - 1
				if n >= blocks {
					return
				}
				if l.Reverse {
					n = blocks - 1 - n
				}
				if f := b.run(n); f != nil {
					first.CompareAndSwap(nil, f)
				}
			}
		})
	}
	wg.Wait()
	if f := first.Load(); f != nil {
		return f
	}
	return nil
}

func (k *Kernel) validate(l *Launch) error {
	threads := uint64(l.Block[0]) * uint64(l.Block[1]) * uint64(l.Block[2])
	switch {
	case len(l.Args) != len(k.ParamSizes):
		return fmt.Errorf("%d arguments, want %d", len(l.Args), len(k.ParamSizes))
	case l.Grid[0] == 0 || l.Grid[1] == 0 || l.Grid[2] == 0 || threads == 0:
		return fmt.Errorf("grid %v of blocks %v is empty", l.Grid, l.Block)
	case l.Grid[0] > maxGridX || l.Grid[1] > maxGridYZ || l.Grid[2] > maxGridYZ:
		return fmt.Errorf("grid %v is too large", l.Grid)
	case threads > maxThreads || l.Block[2] > 64:
		return fmt.Errorf("block %v is too large", l.Block)
	case k.MaxThreads > 0 && threads > uint64(k.MaxThreads):
		return fmt.Errorf("block %v has more than the %d threads that the kernel is compiled for", l.Block, k.MaxThreads)
	case k.Shared+l.Shared > 48<<10:
		return fmt.Errorf("%d bytes of shared memory", k.Shared+l.Shared)
	}
	return nil
}

func newBlock(k *Kernel, l *Launch, mem *Memory) *block {
	b := &block{k: k, l: l, mem: mem, maximum: l.Steps}
	if b.maximum == 0 {
		b.maximum = DefaultSteps
	}
	args := make([]uint64, (k.bytes+7)/8+1)
	b.args = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(args))), len(args)*8)
	for i, v := range l.Args {
		var buf [8]byte
		binary.LittleEndian.PutUint64(buf[:], v)
		copy(b.args[k.offsets[i]:], buf[:k.ParamSizes[i]])
	}
	size := (k.Shared+15)&^15 + l.Shared
	if l.Shared == 0 {
		size = k.Shared
	}
	b.words = make([]uint64, size/8+2)
	// Shared memory begins where a vector of 16 bytes may.
	from := uintptr(unsafe.Pointer(&b.words[0])) & 8
	all := unsafe.Slice((*byte)(unsafe.Pointer(&b.words[0])), len(b.words)*8)
	b.shared = all[from : int(from)+size]
	threads := int(l.Block[0] * l.Block[1] * l.Block[2])
	for base := 0; base < threads; base += 32 {
		w := &warp{b: b, base: base, r: make([]lanes, len(k.regs))}
		for _, s := range k.special {
			w.setSpecial(s)
		}
		b.warps = append(b.warps, w)
	}
	return b
}

// specialValue gives the registers that tell threads apart.
var specialValue = map[string]func(b *block, thread uint32) uint32{
	"%tid.x":    func(b *block, t uint32) uint32 { return t % b.l.Block[0] },
	"%tid.y":    func(b *block, t uint32) uint32 { return t / b.l.Block[0] % b.l.Block[1] },
	"%tid.z":    func(b *block, t uint32) uint32 { return t / b.l.Block[0] / b.l.Block[1] },
	"%ntid.x":   func(b *block, _ uint32) uint32 { return b.l.Block[0] },
	"%ntid.y":   func(b *block, _ uint32) uint32 { return b.l.Block[1] },
	"%ntid.z":   func(b *block, _ uint32) uint32 { return b.l.Block[2] },
	"%ctaid.x":  func(b *block, _ uint32) uint32 { return b.id[0] },
	"%ctaid.y":  func(b *block, _ uint32) uint32 { return b.id[1] },
	"%ctaid.z":  func(b *block, _ uint32) uint32 { return b.id[2] },
	"%nctaid.x": func(b *block, _ uint32) uint32 { return b.l.Grid[0] },
	"%nctaid.y": func(b *block, _ uint32) uint32 { return b.l.Grid[1] },
	"%nctaid.z": func(b *block, _ uint32) uint32 { return b.l.Grid[2] },
	"%laneid":   func(_ *block, t uint32) uint32 { return t & 31 },
}

func (w *warp) setSpecial(s specialReg) {
	f := specialValue[s.name]
	for l := range 32 {
		w.r[s.reg][l] = uint64(f(w.b, uint32(w.base+l)))
	}
}

// tick counts an instruction.
func (b *block) tick(w *warp, in *instruction) {
	if b.steps++; b.steps > b.maximum*int64(len(b.warps)) {
		w.fault(in, -1, "the block does not end")
	}
}

// run runs block n.
func (b *block) run(n int64) (fault *Fault) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(*Fault)
			if !ok {
				panic(r)
			}
			fault = f
		}
	}()
	g := b.l.Grid
	b.id = [3]uint32{uint32(n % int64(g[0])), uint32(n / int64(g[0]) % int64(g[1])), uint32(n / int64(g[0]) / int64(g[1]))}
	b.steps = 0
	for i := range b.words {
		b.words[i] = ^uint64(0)
	}
	threads := int(b.l.Block[0] * b.l.Block[1] * b.l.Block[2])
	for _, w := range b.warps {
		w.live = uint32(mask64(uint64(min(32, threads-w.base))))
		w.waiting = 0
		w.pc = [32]int32{}
		for _, s := range b.k.special {
			if s.name[:2] == "%c" {
				w.setSpecial(s)
			}
		}
	}
	for b.phase() {
	}
	return nil
}

// phase runs every warp up to a barrier, and lets them pass it. It reports whether any is left.
func (b *block) phase() bool {
	at, left := int32(-1), false
	for i := range b.warps {
		w := b.warps[i]
		if b.l.Reverse {
			w = b.warps[len(b.warps)-1-i]
		}
		w.run()
		for l := range 32 {
			if w.waiting>>l&1 == 0 {
				continue
			}
			if left && w.pc[l] != at {
				w.fault(&b.k.code[w.pc[l]-1], l, fmt.Sprintf("waits at this barrier, others at that of line %d", b.k.code[at-1].line))
			}
			at, left = w.pc[l], true
		}
	}
	for _, w := range b.warps {
		w.waiting = 0
	}
	return left
}
