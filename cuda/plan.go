package cuda

import (
	"fmt"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/dry"
	"github.com/saint-gnn/saint/internal/hostmem"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// dryBytes is the memory of a part in an arena that only counts: more than any device has.
const dryBytes = 1 << 50

// Dry returns a backend that counts what this one would take of its device.
func (b *Backend) Dry() tensor.Backend { return dryOn(b.dev.Properties(), &b.lib) }

// OpenDry returns a backend that counts what a GPU would be asked for, on a machine without one: dense
// products are cuBLAS's in that way, with the workspace of an architecture from compute capability 9 on.
func OpenDry(m tensor.Matmul) tensor.Backend {
	return dryOn(driver.Properties{Name: "a GPU that is not there", Major: 9, MaxThreads: 1024, TotalBytes: dryBytes}, &library{mode: m, name: "cuBLAS"})
}

func dryOn(p driver.Properties, l *library) *Backend {
	b := &Backend{dev: dry.New(p, l.name), part: partBytes, dry: true}
	b.lib.mode, b.lib.name = l.mode, l.name
	return b
}

// HeldBytes returns the bytes of the device that arenas, queues and copies have, and the most they had.
func (b *Backend) HeldBytes() (now, most int64) { return b.held.Load(), b.most.Load() }

// hold counts bytes taken from the device.
func (b *Backend) hold(bytes int64) {
	now := b.held.Add(bytes)
	for most := b.most.Load(); now > most && !b.most.CompareAndSwap(most, now); most = b.most.Load() {
	}
}

// Free returns the bytes of the device that nobody has.
func (b *Backend) Free() (int64, error) {
	free, _, err := b.dev.MemInfo()
	return free, b.explain(err)
}

// Taken returns the bytes from the beginning of the arena's parts to the last that was in use.
func (a *Arena) Taken() int64 {
	var n int64
	for _, p := range a.parts {
		n += p.space.Extent()
	}
	return n
}

// Reserve gives the arena at least that many bytes: in one part if it is empty, else in another one
// for what is missing.
func (a *Arena) Reserve(bytes int64) error {
	var have int64
	for _, p := range a.parts {
		have += p.size
	}
	if bytes = hostmem.Round(bytes); bytes <= have && (len(a.parts) == 1 || len(a.slots) > 0) || bytes == 0 {
		return nil
	}
	if len(a.slots) == 0 {
		if err := a.Close(); err != nil {
			return err
		}
		have = 0
	}
	return a.grow(bytes - have)
}

// grow adds a part of that many bytes.
func (a *Arena) grow(bytes int64) error {
	base, err := a.b.take(bytes)
	if err != nil {
		return err
	}
	a.parts = append(a.parts, &part{mem: &memory{base}, size: bytes, space: hostmem.NewSpace(bytes)})
	return nil
}

// Taken returns the bytes of the largest operation's scratch memory.
func (q *Queue) Taken() int64 { return q.asked }

// Reserve takes scratch memory.
func (q *Queue) Reserve(bytes int64) error {
	if err := q.openProducts(); err != nil {
		return err
	}
	if bytes <= q.scratch.size {
		return nil
	}
	p, err := q.b.take(bytes)
	if err != nil {
		return fmt.Errorf("cuda: scratch memory of operations: %w", err)
	}
	if q.scratch.at != 0 {
		q.retired = append(q.retired, q.scratch)
	}
	q.scratch = block{p, bytes}
	return nil
}

// Taken returns the bytes of the largest set.
func (c *Copies) Taken() int64 { return c.most }
