package trainer

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Placement says where the features of all nodes lie while a device with memory of its own trains.
// It changes nothing where memory is shared.
type Placement uint8

// Placements.
const (
	PlaceAuto   Placement = iota // on the device if they take at most half of its memory
	PlaceDevice                  // on the device: a step brings the numbers of its nodes alone
	PlaceHost                    // in the host's memory: a step brings the rows of its nodes
)

// ParsePlacement returns the placement of that name.
func ParsePlacement(s string) (Placement, error) {
	switch s {
	case "auto":
		return PlaceAuto, nil
	case "device":
		return PlaceDevice, nil
	case "host":
		return PlaceHost, nil
	}
	return 0, fmt.Errorf("%q, want device, host or auto", s)
}

// hostOnly hides that features lie in memory, so that their rows are fetched as they are needed.
type hostOnly struct{ formats.FeatureStore }

// placeFeatures decides where features lie.
func (r *run) placeFeatures() error {
	res, ok := formats.StoredOf(r.Data.Features)
	caps := r.Backend.Caps()
	if !ok || caps.SharedMemory || r.Features == PlaceDevice {
		return nil
	}
	needed := r.Config.Params.Inputs.UseLabels // labels are hidden on the device
	bytes := res.Bytes()
	if !tensor.TakesHalfRows(r.Backend) {
		bytes = 4 * int64(res.Rows) * int64(res.Dim)
	}
	if r.Features == PlaceHost && needed {
		return r.Config.Params.Section.Errorf("use_labels", "use_labels needs the features on the device; leave out --features host")
	}
	if r.Features == PlaceAuto && (needed || caps.TotalBytes == 0 || bytes <= caps.TotalBytes/2) {
		return nil
	}
	data := *r.Data
	data.Features = hostOnly{data.Features}
	r.Data = &data
	return nil
}

// pinned is an allocator of batches in page-locked memory. Where that runs out it gives other memory.
type pinned struct {
	from tensor.HostAllocator

	mu   sync.Mutex
	live map[*byte][]byte
}

// allocator returns where batches live, nil for anywhere.
func (r *run) allocator() memory.Allocator {
	from, ok := r.Backend.(tensor.HostAllocator)
	if !ok {
		return nil
	}
	if r.pinned == nil {
		r.pinned = &pinned{from: from, live: map[*byte][]byte{}}
	}
	return r.pinned
}

// Allocate returns size bytes.
func (p *pinned) Allocate(size int) []byte {
	if size > 0 {
		if b, err := p.from.AllocHost(int64(size)); err == nil {
			p.mu.Lock()
			p.live[unsafe.SliceData(b)] = b
			p.mu.Unlock()
			return b
		}
	}
	return memory.DefaultAllocator.Allocate(size)
}

// Reallocate returns size bytes that begin as b does, in place of b.
func (p *pinned) Reallocate(size int, b []byte) []byte {
	n := p.Allocate(size)
	copy(n, b)
	p.Free(b)
	return n
}

// Free takes b back.
func (p *pinned) Free(b []byte) {
	if cap(b) == 0 {
		return
	}
	p.mu.Lock()
	whole, ok := p.live[unsafe.SliceData(b)]
	delete(p.live, unsafe.SliceData(b))
	p.mu.Unlock()
	if !ok {
		memory.DefaultAllocator.Free(b)
		return
	}
	_ = p.from.FreeHost(whole) // a device that is lost says so elsewhere
}

// keeper has the copies of a batch that repeats, for as long as it does.
type keeper struct {
	batch *loader.Batch
	arena tensor.Arena
	held  [numSlots]tensor.Tensor
	may   [numSlots]bool // slots whose contents are the batch's own
	bytes int64          // that held takes
}

// forBatch makes what is placed from now on that of b. Copies of a batch that repeats are kept in a, but
// for the slots that change from step to step.
func (p *placer) forBatch(b *loader.Batch, a tensor.Arena, changing ...int) {
	k := &p.keep
	if p.b.Caps().SharedMemory || k.batch == b {
		return
	}
	for i, t := range k.held {
		if t.Present() {
			k.arena.Release(t)
		}
		k.held[i], k.may[i] = tensor.Tensor{}, b.Repeats
	}
	k.arena, k.batch, k.bytes = a, nil, 0
	if b.Repeats {
		k.batch = b
	}
	for _, i := range changing {
		k.may[i] = false
	}
}

// kept returns the copy of a slot's array that an earlier step made.
func (k *keeper) kept(slot, rows, cols int, dt tensor.DType) (t tensor.Tensor, again bool) {
	t = k.held[slot]
	return t, t.Present() && t.Rows == rows && t.Cols == cols && t.Type == dt
}
