package remote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow"
	"golang.org/x/sys/unix"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/loader"
)

const (
	openTime   = 10 * time.Second // for a client to open the files of a ring
	firstPause = 20 * time.Microsecond
	longPause  = time.Millisecond
	reapPause  = 5 * time.Millisecond
	staleAfter = time.Minute
)

// Replaced by tests.
var allocate = unix.Fallocate

// ring is the server's end of a ring of files: slots, one for each batch that a pipeline may
// hold, and a control file, whose byte 0 the client sets when it has all of them open, and whose
// byte 1+k is 1 as long as slot k is the client's. Workers write batches straight into the slots.
// The control file is read and written and never mapped, and a fault in a slot is an error, so
// that a client that cuts files short does no harm. The files have no name any more once the
// client has them open: whoever dies, the memory goes.
type ring struct {
	folder  string
	control *os.File
	memory  *budget

	mu    sync.Mutex
	slots []ringSlot
	out   int           // slots that are the client's
	flags []byte        // what collect reads
	freed chan struct{} // has an element after the client has given a slot back
}

// ringSlot is a file and the server's view of it. A worker that fills it has it for itself.
type ringSlot struct {
	file   *os.File
	mapped []byte
	small  []float32 // feature rows that Arrow copies

	batch *loader.Batch // in the slot, until the client has given it back
	bytes int64         // of its file
	taken bool          // it is the client's
}

func newRing(root string, n int, memory *budget) (*ring, error) {
	folder, err := os.MkdirTemp(root, ringPrefix) // nobody else may enter
	if err != nil {
		return nil, err
	}
	r := &ring{folder: folder, memory: memory, flags: make([]byte, n), freed: make(chan struct{}, 1)}
	create := func(name string) (f *os.File) {
		if err == nil {
			f, err = os.OpenFile(filepath.Join(folder, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		}
		return f
	}
	r.control = create(controlled)
	for k := range n {
		r.slots = append(r.slots, ringSlot{file: create(slotName(k))})
	}
	if err == nil {
		// Held as long as the server lives, so that others see which folders are forsaken.
		err = unix.Flock(int(r.control.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err == nil {
		_, err = r.control.WriteAt(make([]byte, 1+n), 0)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// close gives the memory up; what the client has mapped stays its own. The pipeline must be
// closed: nobody may fill a slot any more.
func (r *ring) close() {
	r.remove()
	for k := range r.slots {
		if b := r.slots[k].batch; b != nil && r.slots[k].taken {
			b.Release()
		}
		r.slots[k].unmap(r.memory)
		if f := r.slots[k].file; f != nil {
			_ = f.Close() // nothing is lost with it
		}
	}
	if r.control != nil {
		_ = r.control.Close() // likewise
	}
}

func (r *ring) remove() {
	_ = os.RemoveAll(r.folder) // a sweep finds what is left
}

// opened waits until the client has all files open, and then takes their names away.
func (r *ring) opened(ctx context.Context) error {
	deadline := time.Now().Add(openTime)
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		b, err := r.flag(0)
		if err != nil {
			return err
		}
		if b != 0 {
			r.remove()
			return nil
		}
		if time.Now().After(deadline) {
			return &LimitError{"the client does not open the shared memory"}
		}
		if err := nap(ctx, pause); err != nil {
			return err
		}
	}
}

func nap(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *ring) flag(i int) (byte, error) {
	var b [1]byte
	_, err := r.control.ReadAt(b[:], int64(i))
	return b[0], err
}

// fill writes batch b with the rows of x, where there is one, into slot k: the rows are gathered
// where they belong in the file, and all else is copied there. The batch's features are the
// slot's memory from here on.
func (r *ring) fill(k int, b *loader.Batch, schema *arrow.Schema, x formats.FeatureStore) error {
	s := &r.slots[k]
	if err := s.grow(fileBound(b, x), r.memory); err != nil {
		return err
	}
	n, err := s.write(b, schema, x)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.batch, s.bytes = b, n
	return nil
}

// fileBound is more than the file of a batch takes.
func fileBound(b *loader.Batch, x formats.FeatureStore) int64 {
	const frame = 64 << 10 // schema, header, footer and padding
	n := 4*(len(b.Nodes)+len(b.Indptr)+len(b.Indices)+len(b.AdjNorm)+len(b.LossNorm)+len(b.Class)) + 8*len(b.EdgeIDs) + len(b.Multi)
	if x != nil {
		n += 4 * len(b.Nodes) * x.Dim()
	}
	return int64(n) + frame
}

// write makes the file of a batch in the slot and returns its bytes. The client may take the
// slot's memory away meanwhile. A fault is an error in this goroutine only, which is why nobody
// else may write on its behalf.
func (s *ringSlot) write(b *loader.Batch, schema *arrow.Schema, x formats.FeatureStore) (size int64, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if fault, ok := p.(interface{ Addr() uintptr }); ok {
			err = fmt.Errorf("shared memory: the client took it away (%v)", fault)
		} else if p != nil {
			panic(p)
		}
	}()
	values := 0
	if x != nil {
		values = len(b.Nodes) * x.Dim()
	}
	if 4*values < arrowrec.SmallPiece {
		if len(s.small) < values {
			s.small = make([]float32, values)
		}
		b.Features = s.small[:values]
		if values > 0 {
			if err := x.Gather(b.Features, b.Nodes); err != nil {
				return 0, err
			}
		}
		return s.copyParts(b, schema)
	}
	// Where the rows belong follows from the lengths of the columns: the file is laid out with
	// rows that lie anywhere in the slot, and then they are gathered where it has them.
	b.Features = floats(s.mapped, values)
	rec := b.Record(schema)
	defer rec.Release()
	parts, err := arrowrec.FileParts(rec)
	if err != nil {
		return 0, err
	}
	rows := -1
	for i, p := range parts {
		if len(p) > 0 && &p[0] == &s.mapped[0] {
			rows, parts[i] = i, s.mapped[size:size+int64(len(p))]
			b.Features = floats(parts[i], values)
		}
		size += int64(len(p))
	}
	if rows < 0 || size > int64(len(s.mapped)) {
		return 0, fmt.Errorf("shared memory: a file of %d bytes does not fit into a slot of %d", size, len(s.mapped))
	}
	if err := x.Gather(b.Features, b.Nodes); err != nil {
		return 0, err
	}
	to := s.mapped
	for i, p := range parts {
		if i != rows {
			copy(to, p)
		}
		to = to[len(p):]
	}
	return size, nil
}

// copyParts writes a file that is not laid out around its rows.
func (s *ringSlot) copyParts(b *loader.Batch, schema *arrow.Schema) (size int64, err error) {
	rec := b.Record(schema)
	defer rec.Release()
	parts, err := arrowrec.FileParts(rec)
	if err != nil {
		return 0, err
	}
	for _, p := range parts {
		size += int64(len(p))
	}
	if size > int64(len(s.mapped)) {
		return 0, fmt.Errorf("shared memory: a file of %d bytes does not fit into a slot of %d", size, len(s.mapped))
	}
	to := s.mapped
	for _, p := range parts {
		to = to[copy(to, p):]
	}
	return size, nil
}

// floats views the start of b, which is aligned, as n values.
func floats(b []byte, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// publish hands the slot that holds b to the client.
func (r *ring) publish(b *loader.Batch) (k int, bytes int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k = range r.slots {
		if s := &r.slots[k]; s.batch == b && !s.taken {
			if _, err := r.control.WriteAt([]byte{1}, int64(1+k)); err != nil {
				return 0, 0, err
			}
			s.taken = true
			r.out++
			return k, s.bytes, nil
		}
	}
	return 0, 0, errors.New("shared memory: the batch is in no slot")
}

// collect takes back what the client does not need any more, and reports whether there was
// anything.
func (r *ring) collect() (any bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.out == 0 {
		return false, nil
	}
	if _, err := r.control.ReadAt(r.flags, 1); err != nil {
		return false, err
	}
	for k := range r.slots {
		if s := &r.slots[k]; s.taken && r.flags[k] == 0 {
			any, s.taken = true, false
			r.out--
			b := s.batch
			s.batch = nil
			b.Release() // whereupon a worker may fill the slot anew
		}
	}
	if any {
		r.wake()
	}
	return any, nil
}

// wake lets room look again.
func (r *ring) wake() {
	select {
	case r.freed <- struct{}{}:
	default:
	}
}

// reap collects until ctx ends or it cannot. The client tells nobody that it has given a slot
// back, so that a batch costs no message; the server looks again after short naps.
func (r *ring) reap(ctx context.Context) {
	pause := firstPause
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		any, err := r.collect()
		if err != nil {
			r.wake() // room finds the error
			return
		}
		pause = min(2*pause, reapPause)
		if any {
			pause = firstPause
		}
		timer.Reset(pause)
	}
}

// room waits until not all slots are the client's.
func (r *ring) room(ctx, serving context.Context) error {
	for {
		if _, err := r.collect(); err != nil {
			return err
		}
		r.mu.Lock()
		full := r.out == len(r.slots)
		r.mu.Unlock()
		if !full {
			return nil
		}
		select {
		case <-r.freed:
		case <-serving.Done():
			return errDraining
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// grow makes room for n bytes, with some to spare. Pages are made at once: workers and client
// find them there.
func (s *ringSlot) grow(n int64, memory *budget) error {
	if int64(len(s.mapped)) >= n {
		return nil
	}
	s.unmap(memory)
	size := n + n/8
	if held := memory.held.Add(size); memory.limit > 0 && held > memory.limit {
		memory.held.Add(-size)
		return fmt.Errorf("%w: the batches of all streams would hold more than the server's %d MiB", errRingFull, memory.limit>>20)
	}
	fd := int(s.file.Fd())
	// Allocated here, a full file system is an error and not a fault.
	err := allocate(fd, 0, 0, size)
	if err == nil {
		s.mapped, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	}
	if err != nil {
		memory.held.Add(-size)
		return fmt.Errorf("%w: %d bytes: %w", errRingFull, size, err)
	}
	return nil
}

func (s *ringSlot) unmap(memory *budget) {
	if s.mapped != nil {
		memory.held.Add(-int64(len(s.mapped)))
		_ = unix.Munmap(s.mapped) // our own mapping
		s.mapped = nil
	}
}

// sweep removes the rings that servers left behind which were killed before their client had
// opened the files.
func sweep(root string) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() || !strings.HasPrefix(e.Name(), ringPrefix) || time.Since(info.ModTime()) < staleAfter {
			continue
		}
		folder := filepath.Join(root, e.Name())
		f, err := os.OpenFile(filepath.Join(folder, controlled), os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(folder) // another user's cannot be removed, and need not
		}
		_ = f.Close() // it was only locked
	}
}
