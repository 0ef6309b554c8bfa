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

	"github.com/sourcegraph/conc/pool"
	"golang.org/x/sys/unix"
)

const (
	openTime   = 10 * time.Second // for a client to open the files of a ring
	firstPause = 20 * time.Microsecond
	longPause  = time.Millisecond
	writers    = 4       // goroutines that fill a slot
	writeStep  = 1 << 20 // bytes that one of them moves at a time
	staleAfter = time.Minute
)

// allocate makes room in a file; tests replace it.
var allocate = unix.Fallocate

// ring is the server's end of a ring of files: slots and a control file, whose byte 0 the
// client sets when it has all of them open, and whose byte 1+k is 1 as long as slot k is the
// client's. The control file is read and written and never mapped, and a fault in a slot is an
// error, so that a client that cuts files short does no harm. The files have no name any more
// once the client has them open: whoever dies, the memory goes.
type ring struct {
	folder  string
	slots   []ringSlot
	control *os.File
	memory  *budget
	at      int // slot to look at first
}

// ringSlot is a file and the server's view of it.
type ringSlot struct {
	file   *os.File
	mapped []byte
}

func newRing(root string, n int, memory *budget) (*ring, error) {
	folder, err := os.MkdirTemp(root, ringPrefix) // nobody else may enter
	if err != nil {
		return nil, err
	}
	r := &ring{folder: folder, memory: memory}
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

// close gives the memory up; what the client has mapped stays its own.
func (r *ring) close() {
	r.remove()
	for k := range r.slots {
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

// acquire waits for a slot that the client has given back. The client tells nobody, so that a
// batch costs no message; the server looks again after short naps.
func (r *ring) acquire(ctx, serving context.Context) (int, error) {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		for i := range r.slots {
			k := (r.at + i) % len(r.slots)
			b, err := r.flag(1 + k)
			if err != nil {
				return 0, err
			}
			if b == 0 {
				r.at = (k + 1) % len(r.slots)
				return k, nil
			}
		}
		if serving.Err() != nil {
			return 0, errDraining
		}
		if err := nap(ctx, pause); err != nil {
			return 0, err
		}
	}
}

// write fills slot k and hands it to the client. It returns the bytes of the file.
func (r *ring) write(k int, pieces [][]byte) (int64, error) {
	n := int64(0)
	for _, p := range pieces {
		n += int64(len(p))
	}
	s := &r.slots[k]
	if err := s.grow(n, r.memory); err != nil {
		return 0, err
	}
	fill := pool.New().WithErrors().WithFirstError().WithMaxGoroutines(writers)
	to := s.mapped
	for _, p := range pieces {
		for len(p) > 0 {
			step := min(len(p), writeStep)
			dst, src := to[:step], p[:step]
			fill.Go(func() error { return copyShared(dst, src) })
			to, p = to[step:], p[step:]
		}
	}
	if err := fill.Wait(); err != nil {
		return 0, err
	}
	_, err := r.control.WriteAt([]byte{1}, int64(1+k))
	return n, err
}

// copyShared copies to memory that another process may take away.
func copyShared(dst, src []byte) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("shared memory: the client took it away (%v)", p)
		}
	}()
	copy(dst, src)
	return nil
}

// grow makes room for n bytes, with some to spare.
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
		s.mapped, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
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

// attached is the client's end of a ring.
type attached struct {
	control *os.File

	mu    sync.Mutex
	slots []attachedSlot
	gone  bool // detached: slots are unmapped when they are put back
}

type attachedSlot struct {
	file   *os.File
	mapped []byte
	taken  bool
}

// attachRing opens the files of a ring and tells the server.
func attachRing(folder string, n int) (*attached, error) {
	a := &attached{slots: make([]attachedSlot, n)}
	var err error
	open := func(name string, flags int) (f *os.File) {
		if err != nil {
			return nil
		}
		if f, err = os.OpenFile(filepath.Join(folder, name), flags|unix.O_NOFOLLOW, 0); err != nil {
			return nil
		}
		if info, e := f.Stat(); e != nil || !info.Mode().IsRegular() {
			err = errors.Join(e, errNoSharing)
		}
		return f
	}
	a.control = open(controlled, os.O_RDWR)
	for k := range a.slots {
		a.slots[k].file = open(slotName(k), os.O_RDONLY)
	}
	if err == nil {
		_, err = a.control.WriteAt([]byte{1}, 0)
	}
	if err != nil {
		a.detach()
		return nil, err
	}
	return a, nil
}

// take maps a slot that the server has filled. It is valid until put.
func (a *attached) take(k int, n int64) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k < 0 || k >= len(a.slots) || a.slots[k].taken {
		return nil, fmt.Errorf("slot %d is not free", k)
	}
	s := &a.slots[k]
	if int64(len(s.mapped)) < n {
		info, err := s.file.Stat()
		if err != nil {
			return nil, err
		}
		if info.Size() < n {
			return nil, fmt.Errorf("slot %d has %d bytes, want %d", k, info.Size(), n)
		}
		s.unmap()
		if s.mapped, err = unix.Mmap(int(s.file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED); err != nil {
			return nil, err
		}
	}
	s.taken = true
	return s.mapped[:n:n], nil
}

func (s *attachedSlot) unmap() {
	if s.mapped != nil {
		_ = unix.Munmap(s.mapped) // our own mapping
		s.mapped = nil
	}
}

// put gives a slot back to the server.
func (a *attached) put(k int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.slots[k].taken = false
	if a.gone {
		a.slots[k].unmap()
		return
	}
	_, _ = a.control.WriteAt([]byte{0}, int64(1+k)) // a server that is gone needs it no more
}

// detach closes the files. Slots that are taken stay mapped until they are put.
func (a *attached) detach() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone = true
	for k := range a.slots {
		s := &a.slots[k]
		if s.file != nil {
			_ = s.file.Close() // opened for reading
		}
		if !s.taken {
			s.unmap()
		}
	}
	if a.control != nil {
		_ = a.control.Close() // nobody reads it any more
	}
}
